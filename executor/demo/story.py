"""The whole story, played without a person: real AWS clients, the real queue, workers and pages. One line a step.

The points are those of the story that README tells: 1 the world, 2 the denial, 3 its record, 4 the draft, 5 the review, 6 the
execution, 7 who may decide, 8 the bypass, 9 the audit trail; 2 to 6 are told of DynamoDB and then of five other services. The
first step that does not hold ends it.
"""

from __future__ import annotations

import json
import time
from functools import partial

import psycopg
import requests
from botocore.exceptions import BotoCoreError, ClientError

from executor.demo.claims_outside import ClaimsOutside
from executor.demo.errors import DemoError
from executor.demo.five_services import FiveServices
from executor.demo.teller import DidNotHold, Row, Teller, must
from executor.demo.visitor import Page, Visitor
from executor.demo.who_decides import WhoDecides
from executor.demo.world import DemoWorld
from executor.sandbox.world import DEMO


def play(world: DemoWorld) -> bool:
    """Play it; True when every step held. Prints one line a step."""
    story = Story(world)
    five, who, claims = FiveServices(story), WhoDecides(story), ClaimsOutside(story)
    try:
        for point in (
            story.the_world,
            story.the_denial,
            story.the_record,
            story.the_draft,
            story.the_form,
            story.without_event_and_not_mine,
            story.nobody_alone,
            story.the_decision,
            story.the_execution,
            five.the_denials,
            five.the_records,
            five.the_drafts,
            five.the_decisions,
            five.the_executions,
            claims.the_claim,
            who.the_proposal,
            who.the_signatures,
            who.the_new_right,
            story.the_bypass,
            story.the_audit,
        ):
            point()
    except (DemoError, BotoCoreError, ClientError, psycopg.Error, requests.RequestException) as error:
        print(f"FAILED after {story.said or 'nothing'}: {type(error).__name__}: {error}", flush=True)
        return False
    finally:
        story.close()
    print("The story held.", flush=True)
    return True


class Story(Teller):
    """The points in order; each leaves behind what the next begins with."""

    # --- 1 to 3: AWS ---

    def the_world(self) -> None:
        """1. Tables with items, people with keys; and the workers are there, so that what is measured is not their start."""
        self.wait("the workers", self._workers)
        tables = self.aws("alice").list_tables()["TableNames"]
        must(set(DEMO.tables) <= set(tables), f"the tables are {tables}")
        items = {table: self.aws("alice").scan(TableName=table)["Count"] for table in DEMO.tables}
        must(all(items.values()), f"the tables hold {items}")
        self.ok(1, f"the local AWS holds {', '.join(f'{table} ({count} items)' for table, count in items.items())}")

    def _workers(self) -> bool:
        sessions = "SELECT count(DISTINCT usename) AS n FROM pg_stat_activity WHERE usename = ANY (%s)"
        return int(self.one_row(sessions, ["countersign_delivery", "countersign_execution", "countersign_authority"])["n"]) == 3

    def the_denial(self) -> None:
        """2. DynamoDB refuses alice in its own format; what is not protected works."""
        self.denied("alice", "delete_table", TableName="prod-orders")
        self.asked_at = time.monotonic()
        self.ok(2, "alice's DeleteTable on prod-orders is denied in DynamoDB's own format")
        self.aws("alice").describe_table(TableName="prod-orders")
        self.aws("alice").delete_table(TableName="staging-orders")
        self.ok(2, "DescribeTable on prod-orders and DeleteTable on staging-orders work")

    def the_record(self) -> None:
        """3. EventBridge and SQS delivered the CloudTrail record as AWS writes it."""
        record = self.wait("the record of the denial", lambda: self.record("DeleteTable", "request"))
        raw = json.loads(record["raw"])
        must(raw["errorCode"] == "AccessDenied", f"errorCode is {raw['errorCode']}")
        must(raw["requestParameters"] is None, "a denied call carries parameters")
        must(f"{DEMO.table_arn('prod-orders')}" in raw["errorMessage"], "the message names no ARN")
        self.requests["delete"] = str(record["request_id"])
        self.ok(3, "its record came through EventBridge and SQS as CloudTrail writes it, without parameters")

    # --- 4: the requester ---

    def the_draft(self) -> None:
        """4. Alice finds a draft rebuilt from the message and signs it."""
        request = self.requests["delete"]
        page = self.person("alice").get(f"/admin/approvals/approvalrequest/{request}/change/")
        must("delete table prod-orders" in page.text, f"the page says {page.text[:200]}")
        self.ok(4, f"the portal shows alice a draft within {time.monotonic() - self.asked_at:.1f} s")
        self.person("alice").confirm(request, "The orders moved to the new table; this one is empty.")
        self.state_is(request, "pending")
        self.ok(4, "alice confirms it with a reason and signs")

    def the_form(self) -> None:
        """4. What could not be rebuilt is completed in a form made from the operation's shape."""
        change = {"BillingMode": "PROVISIONED", "ProvisionedThroughput": {"ReadCapacityUnits": 7, "WriteCapacityUnits": 3}}
        self.denied("alice", "update_table", TableName="prod-customers", **change)
        record = self.wait("the record of UpdateTable", lambda: self.record("UpdateTable", "request"))
        request = self.requests["update"] = str(record["request_id"])
        alice = self.person("alice")
        shown = alice.get(alice.address(request))
        must("not complete" in shown.text, "a plan without parameters is offered as complete")
        page = alice.get(alice.address(request, "complete"))
        form = page.form(having="p.TableName")
        must(form.fields["p.TableName"] == "prod-customers", "the form does not know the table")
        typed = {
            "p.BillingMode": "PROVISIONED",
            "p.ProvisionedThroughput.ReadCapacityUnits": "seven",
            "p.ProvisionedThroughput.WriteCapacityUnits": "3",
            "p.DeletionProtectionEnabled": "false",
            "p.TableClass": "STANDARD_INFREQUENT_ACCESS",
        }
        wrong = alice.post(form, page, **typed)
        must(wrong.status == 400 and "Enter a whole number" in wrong.text, "a wrong field is not named")
        typed["p.ProvisionedThroughput.ReadCapacityUnits"] = "7"
        saved = alice.post(wrong.form(having="p.TableName"), wrong, **typed)
        must(saved.status == 200 and "/change/" in saved.url, f"saving answered {saved.status}: {saved.text[:300]}")
        alice.confirm(request, "Steady load: provisioned capacity is cheaper.")
        self.state_is(request, "pending")
        self.ok(4, "UpdateTable on prod-customers is completed in its own form, field by field, and signed")

    def without_event_and_not_mine(self) -> None:
        """4. A request without an event; and a denied call that was not hers."""
        alice = self.person("alice")
        where = f"?place={self.world.account}/{self.world.region}&operation=dynamodb:DeleteTable"
        page = alice.get(f"/admin/approvals/approvalrequest/file/{where}")
        filed = alice.post(page.form(having="p.TableName"), page, **{"p.TableName": "prod-customers"})
        must("/change/" in filed.url, f"filing answered {filed.status}: {filed.text[:300]}")
        request = self.requests["filed"] = filed.url.rstrip("/").split("/")[-2]
        alice.confirm(request, "I think nobody needs it.")
        self.ok(4, "alice files a request without any event")
        self.denied("alice", "delete_table", TableName="prod-customers")
        record = self.wait("the record that alice disowns", lambda: self.record("DeleteTable", "request", other_than="delete"))
        foreign = str(record["request_id"])
        page = alice.get(alice.address(foreign, "disown"))
        alice.post(page.form(having="csrfmiddlewaretoken"), page)
        self.state_is(foreign, "disowned")
        self.wait(
            "the alert of what was disowned", lambda: self.one("SELECT 1 AS a FROM approvals_alert WHERE kind = 'disowned'")
        )
        self.ok(4, "alice disowns a call that was not hers; an alert is raised")

    # --- 5: the reviewers ---

    def nobody_alone(self) -> None:
        """5. Alice by no route; carol has no right."""
        self.told("Review needed: dynamodb:DeleteTable")
        self.ok(5, "bob is told through SNS, and the demo's inbox shows it")
        request = self.requests["delete"]
        for who in ("alice", "carol"):
            for route, answer in self._tries(self.person(who), request).items():
                must(answer in (302, 403, 404, 405), f"{who} was answered {answer} at {route}")
        self._must_be_refused_by_the_database(request)
        must(self.count("SELECT count(*) AS n FROM approvals_review") == 0, "a review was written")
        self.state_is(request, "pending")
        self.ok(5, "alice cannot approve her own request: by page, by POST, by admin action, by SQL as the web's role")
        carol = self.person("carol")
        for verb in ("change", "decide"):
            page = carol.get(carol.address(request, verb))
            must(page.status == 403 and "Approve or deny" not in page.text, f"carol sees {verb}: {page.status}")
        self.ok(5, "carol, without the right, sees neither the buttons nor the page")

    def _tries(self, who: Visitor, request: str) -> dict[str, int]:
        digest = self.one_row("SELECT digest FROM approvals_revision WHERE request_id = %s ORDER BY number DESC", request)[
            "digest"
        ]
        approve = {"digest": digest, "verdict": "approve", "reason": "fine", "typed_name": "prod-orders"}
        decide, listing = who.address(request, "decide"), "/admin/approvals/approvalrequest/"
        return {
            "the decision page": who.get(decide).status,
            "a POST that begins to sign": who.post_by_hand(decide, approve | {"step": "begin"}).status,
            "a POST that signs": who.post_by_hand(decide, self._signed(approve)).status,
            "a POST to the page": who.post_by_hand(who.address(request), {"state": "approved"}).status,
            "an admin action": self._unmoved(who.post_by_hand(listing, {"action": "approve", "_selected_action": request})),
        }

    @staticmethod
    def _signed(approve: dict[str, str]) -> dict[str, str]:
        return approve | {"step": "sign", "nonce": "A" * 43, "sign_with": "software"}

    @staticmethod
    def _unmoved(page: Page) -> int:
        # The list answers whatever it does not know with itself; what counts is that nothing was written, which is checked after.
        return 405 if page.status == 200 else page.status

    def _must_be_refused_by_the_database(self, request: str) -> None:
        """Whoever holds the web process's database role writes a review in alice's name."""
        insert = (
            "INSERT INTO approvals_signature (revision_id, person_id, verdict, nonce, credential_id, client_data, "
            "authenticator_data, signature, counter, created_at) "
            "SELECT r.id, q.requester_id, 'approve', 'x', 'x', 'x', 'x', 'x', 0, now() FROM approvals_revision r "
            "JOIN approvals_approvalrequest q ON q.id = r.request_id WHERE q.id = %s AND r.number = q.revision_number"
        )
        with psycopg.connect(self.world.role_urls["web"]) as connection:
            try:
                connection.execute(insert, [request])
            except psycopg.errors.CheckViolation:
                connection.rollback()
                return
        raise DidNotHold("the database let alice sign an approval of her own request")

    def the_decision(self) -> None:
        """5. Bob reads one page; he denies one and approves two."""
        bob = self.person("bob")
        page = bob.get(bob.address(self.requests["delete"]))
        for wanted in (
            "asks to delete table prod-orders",
            "Approve or deny",
            "The orders moved to the new table",
            "cannot be undone",
        ):
            must(wanted.lower() in page.text.lower(), f"bob's page does not say {wanted!r}")
        bob.decide(self.requests["filed"], "deny", "Customers are still read by billing.")
        self.state_is(self.requests["filed"], "denied")
        self.told("Denied: dynamodb:DeleteTable")
        self.ok(5, "bob denies the filed request with a reason and signs; alice is told")
        bob.decide(self.requests["update"], "approve", "The numbers fit the load.")
        bob.decide(self.requests["delete"], "approve", "Looked at the new table: everything is there.")
        self.ok(5, "bob approves the deletion and the change, each with a reason and a signature")

    # --- 6: the executor ---

    def the_execution(self) -> None:
        """6. The worker makes each call once; CloudTrail proves it."""
        for name, sentence in (("update", "changed"), ("delete", "gone")):
            execution = self.wait(f"the end of {name}", partial(self.ended, name))
            must(execution["state"] == "succeeded", f"{name} is {execution['state']}: {execution['outcome']}")
            self.wait(f"the proof of {name}", partial(self.proven, str(execution["id"])))
            calls = self.calls_of(str(execution["id"]))
            must(len(calls) == 1, f"{len(calls)} calls were made for {name}")
            self.ok(6, f"the executor made one call under SourceIdentity {str(execution['id'])[:8]}, and the table is {sentence}")
        table = self.aws("alice").describe_table(TableName="prod-customers")["Table"]
        must(table["ProvisionedThroughput"]["ReadCapacityUnits"] == 7, "the throughput is not what was signed")
        must(self._gone("prod-orders"), "prod-orders is still there")
        self.told("Done: dynamodb:DeleteTable")
        page = self.person("alice").get(self.person("alice").address(self.requests["delete"]))
        must("Done" in page.text and "proven by CloudTrail" in page.text, "the page does not show how it ended")
        self.ok(6, "CloudTrail's record is matched to the attempt as its proof; alice is told")
        row = self.wait("the mirror", self._mirrored)
        shown = {name: row[name]["S"] for name in ("EventName", "Requester", "Status", "Approver")}
        expected = {"EventName": "DeleteTable", "Requester": "alice", "Status": "Done", "Approver": "bob"}
        must(shown == expected, f"the mirror says {shown}")
        self.ok(6, "the mirror table ApprovalRequests says Done, asked by alice, approved by bob")

    def _gone(self, table: str) -> bool:
        try:
            self.aws("alice").describe_table(TableName=table)
        except ClientError as error:
            return error.response["Error"]["Code"] == "ResourceNotFoundException"
        return False

    def _mirrored(self) -> Row | None:
        key = {"ApprovalId": {"S": self.requests["delete"]}}
        item: Row | None = self.aws("bob").get_item(TableName=DEMO.mirror_table, Key=key).get("Item")
        return item if item and item["Status"]["S"] == "Done" else None

    # --- 8 and 9 ---

    def the_bypass(self) -> None:
        """8. Mallory's stolen keys."""
        self.aws("mallory").delete_table(TableName="prod-customers")
        self.wait("the bypass alert", lambda: self.one("SELECT 1 AS a FROM approvals_alert WHERE kind = 'bypass'"))
        page = self.person("dana").get("/admin/approvals/alert/")
        must("succeeded outside the portal" in page.text, "dana's page shows no bypass")
        rogue = self.count("SELECT count(*) AS n FROM approvals_alert WHERE kind NOT IN ('bypass', 'disowned')")
        must(rogue == 0, f"{rogue} alerts too many")
        self.ok(8, "mallory deletes prod-customers with an administrator's keys: a bypass alert, and no other")

    def the_audit(self) -> None:
        """9. The trail holds; one edited row is named."""
        verified = self.manage("audit_verify")
        must(verified.returncode == 0, f"audit_verify: {verified.stdout}{verified.stderr}")
        self.ok(9, verified.stdout.strip().split(" Head:")[0].rstrip("."))
        reviews = "SELECT sequence FROM approvals_auditentry WHERE kind = 'request.reviewed' AND body LIKE '%%billing%%'"
        edited = self.one_row(reviews)["sequence"]
        with psycopg.connect(self.world.owner_url) as connection:
            connection.execute("ALTER TABLE approvals_auditentry DISABLE TRIGGER USER")
            connection.execute(
                "UPDATE approvals_auditentry SET body = replace(body, 'billing', 'nobody') WHERE sequence = %s", [edited]
            )
            connection.execute("ALTER TABLE approvals_auditentry ENABLE TRIGGER USER")
        verified = self.manage("audit_verify")
        must(verified.returncode == 1 and f"#{edited}" in verified.stdout, f"{verified.returncode}: {verified.stdout}")
        self.ok(9, f"after an edit by the owner of the tables audit_verify names entry #{edited}")
