"""The page of a plan that lacks a backup which a guardrail asks for, and of one that has it."""

from __future__ import annotations

import html
import re

from approvals import decisions
from approvals.models import ApprovalRequest
from tests.approvals.test_steps import BACKUP, DELETE
from tests.cast import ACCOUNT, REGION, seal
from tests.portal.hands import browser_of


def filed(cast, *steps):
    return decisions.file(cast.person("alice"), account_id=ACCOUNT, region=REGION, steps=steps)


def text(response):
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", response.content.decode())))


def test_what_lacks_its_backup_says_so_and_is_put_right_with_one_press(db, tmp_path, settings):
    """The page names guardrail and step, offers the backup ready made, and offers nothing to sign before it is there."""
    cast = seal(tmp_path, settings, protective_step=True)
    request, alice = filed(cast, DELETE), browser_of(cast, "alice")
    page = alice.get(alice.page("change", request))
    assert "asks for a backup first" in text(page)
    assert "Confirm and sign" not in text(page)
    shown = page.context["review"].steps[0].ready
    backup = next(one for one in shown if "Take a backup" in one.label)
    assert (backup.needed, backup.asked_for) == (True, True)
    put_in = alice.post(alice.page("plan", request), {"revision": "1", "ready": backup.value})
    assert put_in.status_code == 302
    page = alice.get(alice.page("change", request))
    assert "Confirm and sign" in text(page)
    assert "Protected by a backup: step 1 makes it" in text(page)
    assert "asks for a backup first" not in text(page)
    assert [step.operation for step in ApprovalRequest.objects.get().current_revision().steps] == ["CreateBackup", "DeleteTable"]


def test_a_protected_plan_asks_for_no_name_and_no_more_approvals(db, tmp_path, settings):
    """What the reviewer sees is what the executor will demand: no name to type, one approval."""
    cast = seal(tmp_path, settings, irreversible={"extra_approvals": 1, "typed_name": True, "hold": 300})
    bob = browser_of(cast, "bob")
    for steps, final in (((BACKUP, DELETE), False), ((DELETE,), True)):
        request = cast.sign_confirm(filed(cast, *steps))
        page = bob.get(bob.page("decide", request))
        assert ("To approve, type the name" in text(page)) is final
        assert page.context["review"].quorum[0].need == (2 if final else 1)


def test_the_way_back_is_shown_only_once_something_was_done(db, tmp_path, settings):
    """A plan that was never carried out has nothing to undo."""
    cast = seal(tmp_path, settings)
    request = cast.sign_confirm(filed(cast, BACKUP, DELETE))
    alice = browser_of(cast, "alice")
    assert "File the reverse" not in text(alice.get(alice.page("change", request)))
    cast.sign_review(request)
    assert "File the reverse" not in text(alice.get(alice.page("change", request)))
