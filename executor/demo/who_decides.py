"""The portal under its own rule: a change that two administrators sign gives carol the right to review, and she uses it."""

from __future__ import annotations

from functools import partial
from typing import Final

from executor.demo.teller import Teller, must
from executor.demo.visitor import Page
from executor.sandbox.world import DEMO

GUARDRAIL: Final = DEMO.guardrails[0].name
TABLE: Final = "prod-customers"


class WhoDecides:
    """Point 7 of the story. `story` has the people, the looks into the database and the printing."""

    def __init__(self, story: Teller) -> None:
        self.story = story
        self._change = ""

    def the_proposal(self) -> None:
        """7. Dana proposes it in the guardrail's own form; nothing changes by that."""
        dana = self.story.person("dana")
        number = self.story.one_row("SELECT id FROM approvals_guardrail WHERE name = %s", GUARDRAIL)["id"]
        page = dana.get(f"/admin/approvals/guardrail/{number}/rights/")
        page = dana.press(page, "Give the right to somebody")
        rows = int(page.form(having="seen").fields["rights-TOTAL_FORMS"])
        typed = {f"rights-{rows - 1}-holder": "login:carol", "reason": "Bob is on leave next week."}
        proposed = dana.post(page.form(having="seen"), page, **typed)
        must("/authoritychange/" in proposed.url, f"proposing answered {proposed.status}: {proposed.text[:300]}")
        must(f"login carol under {GUARDRAIL}" in proposed.text, "the page does not show the difference")
        self._change = proposed.url.rstrip("/").split("/")[-2]
        self._must_not_review_yet()
        self.story.told("A change of authority waits for signatures")
        self.story.ok(7, f"dana proposes that carol may review under {GUARDRAIL}: nothing changes, the administrators are told")

    def the_signatures(self) -> None:
        """7. One signature changes nothing; with the second the authority process applies it."""
        for handle in ("carol", "bob"):
            tried = self.story.person(handle).get(self._address("sign"))
            must(tried.status == 403, f"{handle} was answered {tried.status} where administrators sign")
        self._sign("dana")
        self._must_not_review_yet()
        self._sign("erin")
        self.story.wait("the change to be applied", partial(self._is, "applied"))
        self.story.told("Change of authority applied")
        self.story.ok(
            7, "dana and erin sign it; the authority process verifies both signatures and applies it as the chain's next link"
        )

    def the_new_right(self) -> None:
        """7. Carol sees what she may review now, and the executor believes her right."""
        alice, carol = self.story.person("alice"), self.story.person("carol")
        where = f"?place={self.story.world.account}/{self.story.world.region}&operation=dynamodb:UpdateTable"
        page = alice.get(f"/admin/approvals/approvalrequest/file/{where}")
        page = alice.press(page, "Fill in") if "p.ProvisionedThroughput.ReadCapacityUnits" not in page.html else page
        throughput = {"p.ProvisionedThroughput.ReadCapacityUnits": "9", "p.ProvisionedThroughput.WriteCapacityUnits": "4"}
        filed = alice.post(page.form(having="p.TableName"), page, **{"p.TableName": TABLE, **throughput})
        must("/change/" in filed.url, f"filing answered {filed.status}: {filed.text[:300]}")
        request = self.story.requests["lent"] = filed.url.rstrip("/").split("/")[-2]
        alice.confirm(request, "The sale begins on Monday.")
        must(carol.address(request) in carol.get("/admin/").html, "carol's home does not show what waits for her review")
        carol.decide(request, "approve", "Twice the load is expected.")
        execution = self.story.wait("the end of what carol approved", partial(self.story.ended, "lent"))
        must(execution["state"] == "succeeded", f"it is {execution['state']}: {execution['outcome']}")
        table = self.story.aws("alice").describe_table(TableName=TABLE)["Table"]
        must(table["ProvisionedThroughput"]["ReadCapacityUnits"] == 9, "the throughput is not what was signed")
        self.story.ok(7, f"carol sees alice's next request, approves it, and the executor carries it out on {TABLE}")

    def _sign(self, handle: str) -> Page:
        return self.story.person(handle).sign(self._address("sign"), verdict="approve")

    def _address(self, verb: str) -> str:
        return f"/admin/approvals/authoritychange/{self._change}/{verb}/"

    def _is(self, state: str) -> bool:
        found = self.story.one_row("SELECT state, ended_why FROM approvals_authoritychange WHERE id = %s", self._change)
        must(found["state"] in ("open", state), f"the change is {found['state']}: {found['ended_why']}")
        return bool(found["state"] == state)

    def _must_not_review_yet(self) -> None:
        must(self._is("open"), "the change is over before two have signed")
        page = self.story.person("carol").get("/admin/approvals/guardrail/")
        must(page.status == 403, f"carol sees guardrails before she may review: {page.status}")
