"""Every call was claimed outside the database before it was sent, where neither a backup nor an administrator undoes it."""

from __future__ import annotations

import json

from executor.demo.teller import Teller, must
from executor.sandbox.world import DEMO


class ClaimsOutside:
    """The end of point 6 of the story. `story` has the clients, the looks into the database and the printing."""

    def __init__(self, story: Teller) -> None:
        self.story = story

    def the_claim(self) -> None:
        """6. The claim of the deleted table: its key, the audit trail's head in it, and what nobody may do to it."""
        found = self.story.one_row(
            "SELECT a.claimed_as, r.digest FROM approvals_attempt a JOIN approvals_execution e ON e.id = a.execution_id "
            "JOIN approvals_revision r ON r.id = e.revision_id WHERE r.request_id = %s",
            self.story.requests["delete"],
        )
        key = str(found["claimed_as"])
        must(f"/{found['digest']}/" in key, f"the attempt was claimed as {key!r}")
        kept = self.story.aws(DEMO.execution_user, "s3").get_object(Bucket=DEMO.claims_bucket, Key=key)
        said = json.loads(kept["Body"].read())
        link = self.story.one_row("SELECT hash FROM approvals_auditentry WHERE sequence = %s", said["sequence"])
        must(link["hash"] == said["head"], f"the claim saw entry #{said['sequence']} as {said['head']}")
        must(kept["ObjectLockMode"] == "COMPLIANCE", f"the claim is not locked: {kept}")
        lock = f"locked until {kept['ObjectLockRetainUntilDate']:%Y}"
        self.story.ok(6, f"it was claimed in S3 first, under digest {said['digest'][:8]}, {lock}, with the audit trail's head")
        for operation, more in (("delete_object", {}), ("delete_object", {"VersionId": kept["VersionId"]}), ("put_object", {})):
            self.story.denied_by("s3", "AccessDenied", "mallory", operation, Bucket=DEMO.claims_bucket, Key=key, **more)
        self.story.ok(6, "mallory, an administrator, can neither delete that claim nor write over it")
        verified = self.story.manage("claims_verify", as_execution=True)
        must(verified.returncode == 0, f"claims_verify: {verified.stdout}{verified.stderr}")
        self.story.ok(6, verified.stdout.strip())
