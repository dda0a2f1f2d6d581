"""One table: every address of the site, as every role, by every method. Nothing decides that should not, looking changes nothing.

What an address takes, is sent and may change stands in `tests/portal/every_address.py`; the roles in `tests/portal/house.py`.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.signals import got_request_exception
from django.db import IntegrityError, connection, transaction
from django.urls import NoReverseMatch, reverse
from django.utils import timezone

from approvals import decisions, permissions
from approvals.models import ApprovalRequest
from approvals.states import Verdict
from portal.viewer import Viewer
from tests.fingerprint import Watch, changed, fingerprint
from tests.portal import every_address
from tests.portal.every_address import ADDRESSES, DECISIVE, Found
from tests.portal.house import CONCERNED, INSIDE, OUTSIDE, ROLES, House, Visitor, parts_of

# For those to whom the portal says no without looking at the state, a few states stand for all; at the door, one.
FEW_STATES = ("pending", "approved", "nobody's")


def places(house: House, one: Found) -> Iterator[tuple[str, str, Any]]:
    """The addresses that a name stands for, as (label, URL, argument)."""
    address = ADDRESSES[one.name]
    if address.takes == "anything":
        yield from ((url, f"/{url}", url) for url in ("admin/nowhere/", "admin/approvals/approvalrequest", "admin/auth/user/"))
        return
    for label, thing in house.things[address.takes]:
        arguments = dict.fromkeys(one.captures, thing) if one.captures else {}
        try:
            yield label, reverse(one.name, kwargs=arguments), thing
        except NoReverseMatch:
            pytest.fail(f"{one.name} takes {one.captures}, and House.things[{address.takes!r}] does not fit it.")


def visits(house: House, one: Found, role: str) -> Iterator[tuple[str, str, Any, bool]]:
    """Which of them a role goes to, and whether by every method."""
    whole = True
    for label, url, thing in places(house, one):
        of_a_request = ADDRESSES[one.name].takes == "request"
        if of_a_request and role not in CONCERNED and label not in (FEW_STATES[:1] if role in OUTSIDE else FEW_STATES):
            continue
        yield label, url, thing, whole
        whole = whole and not of_a_request


class TestTheTableIsWhole:
    def test_every_address_is_classified(self):
        """An address that nobody classified fails here, and so does a line about one that is gone."""
        names = [one.name for one in every_address.found()]
        unknown = sorted(set(names) - ADDRESSES.keys())
        assert not unknown, (
            f"New addresses: {unknown}. Add each to ADDRESSES in tests/portal/every_address.py: what it takes, the forms that a "
            "person or an attacker would post to it, and which tables which role may change by them (none, unless it must)."
        )
        assert not ADDRESSES.keys() - set(names), "ADDRESSES names addresses that the site does not have any more. Take them out."
        assert len(names) == len(set(names)), [name for name, times in Counter(names).items() if times > 1]

    def test_no_line_of_the_table_lets_a_form_decide(self):
        """Whatever is allowed there, no review, signature, execution, right, key or person is."""
        for name, address in ADDRESSES.items():
            for who, tables in address.may.items():
                assert not tables & DECISIVE, (name, who, tables & DECISIVE)

    def test_every_table_of_the_database_is_in_the_fingerprint(self, house, before):
        """None is left out but the sessions', so that a new one is watched from its first day."""
        from django.apps import apps

        models = {model._meta.db_table for model in apps.get_models(include_auto_created=True) if model._meta.managed}
        assert models - before.keys() == {"django_session"}
        assert before.keys() >= DECISIVE

    def test_the_fingerprint_notices_a_change_of_any_table(self, house, watch, before):
        """A row that is added, changed or taken away anywhere is noticed, and told by its table's name; by the watch as well."""
        watched = 0
        for table in before:
            with house.undone(), connection.cursor() as cursor:
                cursor.execute(f'ALTER TABLE "{table}" DISABLE TRIGGER USER')
                cursor.execute(f'SELECT ctid, count(*) OVER () FROM "{table}" LIMIT 1')
                row = cursor.fetchone()
                if row is None:
                    continue
                cursor.execute(
                    "SELECT column_name FROM information_schema.columns WHERE table_name = %s AND data_type IN "
                    "('text', 'character varying', 'boolean', 'timestamp with time zone') ORDER BY ordinal_position DESC",
                    [table],
                )
                # A table of references alone loses a row instead.
                columns = [name for (name,) in cursor.fetchall()]
                assert any(_moved(cursor, watch, (table, column, row[0])) for column in columns or [""]), table
                watched += 1
        assert watched > 30
        with house.undone(), connection.cursor() as cursor:
            cursor.execute("DELETE FROM mfa_authenticator WHERE id = (SELECT max(id) FROM mfa_authenticator)")
            assert changed(before, fingerprint()) == watch.changed() == {"mfa_authenticator"}
        assert not watch.changed()
        with house.undone(), connection.cursor() as cursor:
            cursor.execute("TRUNCATE mfa_authenticator")
            assert watch.changed() == {"mfa_authenticator"}
        assert not watch.changed()
        assert not changed(before, fingerprint())

    def test_no_page_has_an_action(self, house):
        """No model's list offers one, to nobody, and none of them can be added, changed or deleted."""
        from portal.site import site
        from portal.viewer import viewer_of

        assert site._registry
        for role in INSIDE:
            http = house.visitors[role].ask("GET", "/admin/").wsgi_request
            assert viewer_of(http).person.handle == role
            for model, page in site._registry.items():
                assert page.actions is None, model
                assert not page.get_actions(http), (role, model)
                rights = page.get_model_perms(http)
                assert not any(rights[right] for right in ("add", "change", "delete")), (role, model)

    def test_a_genuine_signature_does_decide(self, house, before):
        """The same forms with the right assertion are a decision: what the table refuses, it refuses for what is wrong in it."""
        for role, verb, state, moves in (("bob", "decide", "pending", "approved"), ("alice", "confirm", "draft", "pending")):
            request = house.requests[state]
            visitor = house.visitors[role]
            url = reverse(f"admin:approvals_approvalrequest_{verb}", args=[request.pk])
            with house.undone():
                verdict = Verdict.APPROVE if verb == "decide" else Verdict.CONFIRM
                opened = decisions.begin(request.pk, house.cast.person(role), verdict)
                form = {
                    "step": "sign",
                    "digest": opened.digest,
                    "reason": "because",
                    "nonce": opened.nonce,
                    "verdict": str(verdict),
                }
                answer = visitor.ask("POST", url, {**form, **parts_of(house.cast.assertion(role, opened))})
                assert answer.status_code == 302
                assert ApprovalRequest.objects.get(pk=request.pk).state == moves
                assert changed(before, fingerprint()) & DECISIVE


def _moved(cursor: Any, watch: Watch, place: tuple[str, str, str]) -> bool:
    """Change one value of a row, where its constraints let it be changed; whether that is noticed."""
    table, column, ctid = place
    kinds = {
        "text": f"coalesce(\"{column}\", '') || 'x'",
        "character varying": f"left(coalesce(\"{column}\", ''), 3) || 'x'",
        "boolean": f'NOT "{column}"',
        "timestamp with time zone": f"coalesce(\"{column}\", now()) + interval '1 second'",
    }
    kind = "SELECT data_type FROM information_schema.columns WHERE table_name = %s AND column_name = %s"
    was = fingerprint()
    try:
        with transaction.atomic():
            if column:
                cursor.execute(kind, [table, column])
                (found,) = cursor.fetchone()
                cursor.execute(f'UPDATE "{table}" SET "{column}" = {kinds[found]} WHERE ctid = %s', [ctid])
            else:
                cursor.execute(f'DELETE FROM "{table}" WHERE ctid = %s', [ctid])
            return changed(was, fingerprint()) == watch.changed() == {table}
    except IntegrityError:
        return False


def _groups() -> list[tuple[str, list[Found]]]:
    """Names in groups of one test each, so that several workers share them."""
    made: dict[str, list[Found]] = {}
    for one in every_address.found():
        if one.name in ADDRESSES:
            space, _, rest = one.name.rpartition(":")
            words = rest.split("_")
            made.setdefault(
                one.name if {"approvalrequest", "authoritychange"} & set(words) or "propose" in rest else space or words[0], []
            ).append(one)
    return list(made.items())


@pytest.mark.slow
@pytest.mark.parametrize("group", [pytest.param(group, id=name) for name, group in _groups()])
class TestEveryAddress:
    def test_looking_changes_nothing(self, house, watch, before, group):
        """GET and HEAD are answered without an error of ours and leave every table as it was; so do methods that mean nothing."""
        for one, role in itertools.product(group, ROLES):
            for label, url, _, whole in visits(house, one, role):
                for method in ("GET", "HEAD", "OPTIONS", "PUT", "DELETE") if whole else ("GET",):
                    self._answered(house.visitors[role], method, url, (one.name, label))
            what = watch.changed()
            assert not what, f"looking at {one.name} as {role} changed {sorted(what)}"
        assert not changed(before, fingerprint())

    def test_row_03_nothing_decides_that_should_not(self, house, watch, before, group):
        """Every form that a person or an attacker would send: what changes is what this role may change here, and no decision."""
        for one, role in itertools.product(group, ROLES):
            for label, url, thing, _ in visits(house, one, role):
                with house.undone():
                    self._posted(house, one, role, (label, url, thing))
                    self._judged(house, one, role, (label, url), watch.changed())
        assert not changed(before, fingerprint())

    def _posted(self, house: House, one: Found, role: str, place: tuple[str, str, Any]) -> None:
        label, url, thing = place
        posts = ADDRESSES[one.name].posts
        assert posts is not None, f"{one.name}: say what is posted to it, in ADDRESSES."
        with _Errors() as errors:
            for answer in posts(house, house.visitors[role], url, thing):
                self._no_error(answer.status_code, errors, ("POST", one.name, label, role))

    def _judged(self, house: House, one: Found, role: str, where: tuple[str, str], what: frozenset[str]) -> None:
        may = ADDRESSES[one.name].may_change(role, where[0])
        assert what <= may, f"{role} changed {sorted(what - may)} by posting to {one.name} {where}"
        assert not may or what, f"{role} may change {sorted(may)} by {one.name} {where}, and no form here does."
        assert not what & DECISIVE
        assert role not in OUTSIDE or not what
        assert not what & {"approvals_approvalrequest"} or self._decided(house, one) == []

    def _answered(self, visitor: Visitor, method: str, url: str, where: tuple[str, str]) -> None:
        with _Errors() as errors:
            status = visitor.ask(method, url).status_code
        self._no_error(status, errors, (method, *where, visitor.role))

    def _no_error(self, status: int, errors: _Errors, where: tuple[str, ...]) -> None:
        # The provider of this world is away, and its pages say so.
        assert status < 500 or (status == 503 and where[1].startswith("openid_connect")), (where, errors.seen or status)

    def _decided(self, house: House, one: Found) -> list[str]:
        """Requests that are further than they were: no form without a signature brings one there. Stopping needs no key."""
        further = {"pending", "approved", "denied"} - ({"denied"} if one.name.endswith("_stop") else set())
        states = dict(ApprovalRequest.objects.values_list("pk", "state"))
        was = {request.pk: request.state for request in house.requests.values()}
        return [str(pk) for pk, state in states.items() if state in further and was.get(pk) != state]


class _Errors:
    """What views raised while a visit went on."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def __enter__(self) -> _Errors:
        got_request_exception.connect(self._note)
        return self

    def __exit__(self, *_: object) -> None:
        got_request_exception.disconnect(self._note)

    def _note(self, **_: Any) -> None:
        import traceback

        self.seen.append(traceback.format_exc(limit=-6))


def test_the_states_of_the_world_are_what_they_are_called(house):
    """Each request is in the state that its label says, so that a line of the table is about what it seems to be about."""
    names = {"incomplete": "draft", "denied call": "draft", "nobody's": "draft", "claimed": "approved"}
    for label, request in house.requests.items():
        now = ApprovalRequest.objects.get(pk=request.pk)
        assert now.state == names.get(label, label), label
        house.requests[label] = now
    assert timezone.now() < house.requests["pending"].pending_until


def test_who_may_read_one_request_is_who_finds_it_in_a_list(house):
    """The question about one request and the query over all give the same answer, to every role about every request."""
    asked = set()
    for handle, request in itertools.product(INSIDE, house.requests.values()):
        viewer = Viewer(house.cast.person(handle))
        listed = (viewer.requests() | viewer.waiting_to_be_adopted()).filter(pk=request.pk).exists()
        found = ApprovalRequest.objects.get(pk=request.pk)
        assert permissions.may_read(viewer.person, found) == listed, (handle, found)
        assert permissions.may_read(viewer.person, found, viewer.guardrails) == listed, (handle, found)
        asked.add(listed)
    assert asked == {True, False}
