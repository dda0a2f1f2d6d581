"""Rows 16 and 17 of the security design: other sites, frames and links, for every address that there is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, urljoin, urlsplit
from uuid import UUID

import pytest
from django.conf import settings
from django.test.client import ClientHandler

from approvals import notifications, outbox
from approvals.models import Alert, ApprovalRequest, OutboxKind, OutboxMessage
from tests.fingerprint import changed, fingerprint
from tests.portal import every_address
from tests.portal.every_address import ADDRESSES
from tests.portal.house import INSIDE, ROLES, House, Visitor
from tests.portal.test_every_address import places
from tests.portal.test_pages import Page, is_worth_following

_checking = ClientHandler(enforce_csrf_checks=True)


class Checked(Visitor):
    """A visitor at a server that checks where forms come from, as the real one does."""

    def request(self, **request: Any) -> Any:
        return _checking(self._base_environ(**request))  # type: ignore[attr-defined]


def urls(house: House) -> Iterator[tuple[str, str]]:
    """Every address once, with the first of what it takes."""
    for one in every_address.found():
        if one.name in ADDRESSES:
            label, url, _ = next(iter(places(house, one)))
            yield f"{one.name} ({label})", url


@pytest.mark.parametrize("role", ["anonymous", "alice", "bob", "dana"])
def test_row_16_no_other_site_can_post_or_frame_anything(house, before, role):
    """Without our token, or with it and from another origin, every address refuses a form; and none of its pages is framed."""
    visitor = Checked()
    visitor.cookies = house.visitors[role].cookies
    token = "t" * 32
    refused = 0
    for where, url in urls(house):
        forged: tuple[tuple[dict[str, str], dict[str, Any], dict[str, str]], ...] = (
            ({}, {}, {"reason": "x"}),
            ({settings.CSRF_COOKIE_NAME: token}, {}, {"csrfmiddlewaretoken": "u" * 32}),
            (
                {settings.CSRF_COOKIE_NAME: token},
                {"HTTP_ORIGIN": "https://evil.example", "HTTP_REFERER": "https://evil.example/x"},
                {"csrfmiddlewaretoken": token},
            ),
            ({settings.CSRF_COOKIE_NAME: token}, {"HTTP_ORIGIN": "null"}, {"csrfmiddlewaretoken": token}),
        )
        for cookies, headers, form in forged:
            for name, value in cookies.items():
                visitor.cookies[name] = value
            answer: Any = visitor.post(url, form, secure=True, **headers)
            visitor.cookies.pop(settings.CSRF_COOKIE_NAME, None)
            assert answer.status_code == 403, (where, headers, answer.status_code)
            refused += 1
        page = visitor.ask("GET", url)
        if page.status_code < 300 and url != "/healthz":
            policy = page.headers["Content-Security-Policy"]
            assert "frame-ancestors 'none'" in policy, where
            assert page.headers["X-Frame-Options"] == "DENY", where
    assert refused > 150
    assert not changed(before, fingerprint())


# What an address may carry: which page, which part of a list, which thing to fill in. Nothing that lets anybody do anything.
_PARAMETERS = {
    "_changelist_filters", "at", "closed_at__isnull", "e",
    "is_active__exact", "is_administrator__exact", "is_auditor__exact", "is_human__exact", "kind",
    "kind__exact", "next", "o", "operation", "p", "place", "process", "q", "ready", "service", "source__exact", "state",
    "state__exact", "step", "view",
}  # fmt: skip
_LOOKS_LIKE_A_SECRET = re.compile(r"[A-Za-z0-9_-]{20,}")


def carries_a_token(link: str) -> bool:
    """Whether a link holds anything but names and ids."""
    parts = urlsplit(link)
    if {name for name, _ in parse_qsl(parts.query, keep_blank_values=True)} - _PARAMETERS:
        return True
    texts = [*parts.path.split("/"), *(value for name, value in parse_qsl(parts.query) if name != "next"), parts.fragment]
    return any(_LOOKS_LIKE_A_SECRET.fullmatch(text) and not _is_an_id(text) for text in texts)


def _is_an_id(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        # Names of ours and of AWS are words.
        return not any(char.isdigit() for char in text)
    return True


@pytest.mark.parametrize(
    ("link", "carries"),
    [
        ("/admin/approvals/approvalrequest/11111111-2222-3333-4444-555555555555/decide/", False),
        ("/admin/approvals/quarantinedmessage/?p=2", False),
        ("/admin/approvals/approvalrequest/file/?place=111122223333/eu-west-1&service=application-autoscaling", False),
        ("/decide/?verdict=approve", True),
        ("/admin/?token=x", True),
        ("/admin/x/c2VjcmV0LXNlY3JldC1zZWNyZXQ1Mg/", True),
        ("/admin/?q=AbCdEf0123456789AbCdEf0123", True),
    ],
)
def test_a_token_is_told_from_a_name(link, carries):
    """Ids and words are none; what only one person could know is one."""
    assert carries_a_token(link) is carries


@pytest.mark.slow
@pytest.mark.parametrize("role", ROLES)
def test_row_17_no_link_that_anybody_can_reach_changes_or_carries_anything(house, before, role):
    """Every link of every page, followed by GET as each role: no row changes but sessions, no error, no token, nothing inline."""
    visitor = house.visitors[role]
    todo = [url for _, url in urls(house)]
    seen: set[str] = set()
    while todo:
        url = todo.pop()
        if url in seen:
            continue
        seen.add(url)
        answer = visitor.ask("GET", url)
        assert answer.status_code < 500, (role, url)
        if answer.status_code in (301, 302):
            todo.append(urljoin(url, answer.headers["Location"]))
            assert not carries_a_token(answer.headers["Location"]), (role, url, answer.headers["Location"])
        if "html" not in answer.headers.get("Content-Type", "") or getattr(answer, "streaming", False):
            continue
        page = Page(answer.content.decode())
        _obeys_the_policy(url, page)
        for link in (urljoin(url, link) for link in page.links):
            assert not carries_a_token(link), (role, url, link)
            where = urlsplit(link)
            assert not where.netloc, (role, url, link)
            if is_worth_following(link):
                todo.append(link.partition("#")[0])
    assert len(seen) > (60 if role in INSIDE else 40)
    assert not changed(before, fingerprint())


def _obeys_the_policy(url: str, page: Page) -> None:
    """Nothing inline, nothing foreign, every field labelled, every id once."""
    assert page.inline == [], (url, page.inline)
    assert [source for source in page.sources if urlsplit(source).netloc] == [], url
    assert page.unlabelled == [], (url, page.unlabelled)
    assert len(page.ids) == len(set(page.ids)), (url, sorted(one for one in page.ids if page.ids.count(one) > 1))


def test_row_17_no_message_carries_a_token(house):
    """What is sent to people links to pages, by names and ids alone; the page asks who they are."""
    told = 0
    with house.undone():
        for alert in Alert.objects.all():
            outbox.put(OutboxKind.NOTIFY, alert.pk, topic=notifications.ALERT)
        for request in ApprovalRequest.objects.all():
            for topic in (notifications.DRAFTED, notifications.PENDING, notifications.EXPIRED):
                outbox.put(OutboxKind.NOTIFY, request.pk, topic=topic)
        for message in OutboxMessage.objects.filter(kind=OutboxKind.NOTIFY):
            notification = notifications.compose(message)
            if notification is None:
                continue
            links = re.findall(r"https?://\S+", f"{notification.subject}\n{notification.body}")
            for link in links:
                assert link.startswith(settings.ORIGIN), link
                assert not carries_a_token(link), link
                told += 1
    assert told > 20
