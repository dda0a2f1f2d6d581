"""The bucket of claims as S3 keeps it: conditional writes, versions, locks. Knows no database.

Nothing here repeats what S3 did not refuse by a condition of ours: whoever writes twice finds the first.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

from executor import aws
from executor.answers import translated
from executor.errors import AwsRefused, AwsUnavailable, NoPlaceForClaims

# Bytes; a claim has some 700. What is longer was not written by us.
LONGEST: Final = 16 * 1024
# COMPLIANCE: nobody shortens it or takes it away, not the account's root user either.
MODE: Final = "COMPLIANCE"
# S3's answers to a condition that does not hold, and to two conditional writes at the same moment.
THERE: Final = "PreconditionFailed"
AT_ONCE: Final = "ConditionalRequestConflict"
_VERSION: Final = re.compile(r"\S{1,1024}")


@dataclass(frozen=True, slots=True)
class Version:
    """One version of an object. A delete marker is one too, and hides what lies below it from a conditional write."""

    key: str
    id: str
    marker: bool


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket of the account that the execution process belongs to."""

    name: str
    region: str

    def put(self, key: str, content: bytes, until: datetime) -> str:
        """Write it if nothing lies there, locked until then; return the version's id.

        Raises AwsRefused (THERE: something lies there already), AwsUnavailable (it may lie there now, or not), NoPlaceForClaims.
        """
        answer = self._called(
            "put_object",
            Key=key,
            Body=content,
            ContentType="application/json",
            IfNoneMatch="*",
            ObjectLockMode=MODE,
            ObjectLockRetainUntilDate=until,
            ChecksumAlgorithm="SHA256",
            ChecksumSHA256=base64.b64encode(hashlib.sha256(content).digest()).decode(),
        )
        version = str(answer.get("VersionId", ""))
        if not _VERSION.fullmatch(version) or version == "null":
            raise NoPlaceForClaims(
                f"The bucket {self.name} keeps no versions, so a claim could be replaced. Switch versioning on."
            )
        return version

    def get(self, key: str, version: str = "") -> tuple[str, bytes] | None:
        """The object's version and beginning, None when there is none. Raises AwsRefused, AwsUnavailable."""
        try:
            which = {"VersionId": version} if version else {}
            with translated():
                answer = self._client().get_object(Bucket=self.name, Key=key, **which)
                return str(answer.get("VersionId", "")), bytes(answer["Body"].read(LONGEST))
        except AwsRefused as error:
            if error.code in {"NoSuchKey", "NoSuchVersion", "404", "MethodNotAllowed"}:
                return None
            raise

    def versions(self, prefix: str) -> list[Version]:
        """Every version of every object under the prefix, delete markers too. S3 shows what was written before it was asked.

        Raises AwsRefused, AwsUnavailable; the latter when there are more than fit into one answer.
        """
        answer = self._list(prefix)
        found = _listed(answer)
        if answer.get("IsTruncated"):
            raise AwsUnavailable(f"More than {len(found)} versions of claims lie under {prefix}; they were not looked at.")
        return found

    def walk(self, prefix: str) -> Iterator[Version]:
        """The same of any number, page by page. Raises AwsRefused, AwsUnavailable."""
        marker: dict[str, str] = {}
        while True:
            answer = self._list(prefix, **marker)
            yield from _listed(answer)
            marker = {
                "KeyMarker": str(answer.get("NextKeyMarker", "")),
                "VersionIdMarker": str(answer.get("NextVersionIdMarker", "")),
            }
            if not answer.get("IsTruncated"):
                return
            if not marker["KeyMarker"]:
                raise AwsUnavailable(f"S3 says that there is more under {prefix}, and not where.")

    def _list(self, prefix: str, **marker: str) -> Mapping[str, Any]:
        answer = self._called("list_object_versions", Prefix=prefix, **marker)
        if (answer.get("Name"), answer.get("Prefix")) != (self.name, prefix):
            # botocore reads any 2xx without a list as an empty one.
            raise AwsUnavailable("S3 answered without the list that it was asked for.")
        return answer

    def settings(self) -> tuple[str, str]:
        """Whether versioning and Object Lock are on, as S3 says it: twice `Enabled`. Raises AwsRefused, AwsUnavailable."""
        versioning = self._called("get_bucket_versioning")
        lock = self._called("get_object_lock_configuration").get("ObjectLockConfiguration", {})
        return str(versioning.get("Status", "off")), str(lock.get("ObjectLockEnabled", "off"))

    def _called(self, operation: str, **parameters: Any) -> Mapping[str, Any]:
        with translated():
            found: Mapping[str, Any] = getattr(self._client(), operation)(Bucket=self.name, **parameters)
            return found

    def _client(self) -> Any:
        return aws.own("s3", self.region)


def _listed(answer: Mapping[str, Any]) -> list[Version]:
    return [
        Version(str(one.get("Key", "")), str(one.get("VersionId", "")), marker)
        for name, marker in (("Versions", False), ("DeleteMarkers", True))
        for one in answer.get(name, ())
    ]


@lru_cache(maxsize=8)
def must_keep(bucket: Bucket, prefix: str) -> None:
    """Ask once in a process whether the bucket keeps what is written, before anything is.

    What is not versioned and locked could be deleted with the database's backup in hand; and what could not be listed afterwards
    would be found only once the first claim lay there. Raises NoPlaceForClaims, AwsUnavailable.
    """
    try:
        versioning, lock = bucket.settings()
        bucket.versions(f"{prefix}?/")
    except AwsRefused as error:
        if error.passing:
            raise AwsUnavailable(f"S3 does not say how it keeps the claims: {error}") from error
        raise NoPlaceForClaims(f"The bucket {bucket.name} cannot be used for claims. {error}") from error
    if (versioning, lock) != ("Enabled", "Enabled"):
        raise NoPlaceForClaims(
            f"The bucket {bucket.name} does not keep what is written (versioning {versioning}, Object Lock {lock}). Make one "
            "with Object Lock, as executor/infrastructure describes it."
        )
