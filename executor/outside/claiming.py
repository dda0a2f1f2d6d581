"""Writing the claim of one attempt, right before it is committed as `sent`.

1. Number the attempt: one more than the rows of its step. The claim of attempt n lies there before row n is written.
2. Ask, once in a process, whether the bucket keeps what is written.
3. Write the object on condition that there is none under its key. Its nonce is made now and kept in this function alone. A claim
   of this process under which definitely nothing was sent is used again instead: see `unused`.
4. Where something lies there already, read it: with our nonce it is this very write, whose answer was lost.
5. List every version of every claim of the request. Ours must be the only one of its key, without a delete marker above or below
   it (S3's condition does not see what a marker hides), and each other one must be of an attempt that the database knows.
   Each earlier attempt of the execution must lie there too, under its own key: a row that says that a step was made may be
   anybody's.

The last step also finds the claims of a request whose draft a backup restored, and that was frozen and signed anew since, under
another digest or in other steps.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections import Counter
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from django.conf import settings
from django.utils import timezone

from approvals.models import Attempt, ChainHead
from executor.claim import worker_name
from executor.endings import Claim
from executor.errors import AwsRefused, AwsUnavailable, ClaimedElsewhere, NoPlaceForClaims
from executor.outside import body
from executor.outside.body import PREFIX, Body
from executor.outside.bucket import AT_ONCE, THERE, Bucket, Version, must_keep

log = logging.getLogger(__name__)
# Two writes at the same moment are both told to come again.
CONFLICTS: Final = 5
PAUSE: Final = 0.1
_UNCLAIMED: Final = (
    "A row of this database says that step {} was made, and its claim does not lie where it would. No worker wrote that row, or "
    "the bucket for claims was set while the plan was under way."
)


@dataclass(frozen=True, slots=True)
class Held:
    """The attempt's number, and the key that it is claimed under; "" in a deployment that keeps no claims outside."""

    number: int
    key: str
    version: str = ""


# Claims of this process under which definitely nothing was committed as `sent`, by key: the version that is ours.
_unused: dict[str, str] = {}


def unused(held: Held) -> None:
    """Say that nothing was sent under this claim, and that no row says so: this process may use it again, another may not."""
    if held.key:
        _unused[held.key] = held.version


def claim(holder: Claim, digest: str, step: int) -> Held:
    """Claim the next attempt of a step outside the database. Nothing may be sent for it without what this returns.

    Raises ClaimedElsewhere: somebody else's claim was found. Raises AwsError: nothing may be sent now; whether the claim was
    written is not known, so that the next worker may find it and must take it for another's.
    """
    rows = Attempt.objects.filter(execution__revision__request=holder.request_id)
    known = list(rows.values_list("execution_id", "step", "number", "claimed_as"))
    number = sum((execution, at) == (holder.execution_id, step) for execution, at, *_ in known) + 1
    if not settings.CLAIMS_BUCKET:
        return Held(number, "")
    bucket = Bucket(settings.CLAIMS_BUCKET, settings.HOME_REGION)
    must_keep(bucket, PREFIX)
    wanted = _body(holder, digest, step, number)
    version = _unused.pop(wanted.key, "") or _written(bucket, wanted)
    found = _must_be_alone(bucket, wanted, version, {key for *_, key in known if key})
    for execution, at, which, key in known:
        if execution == holder.execution_id and (key not in found or key != replace(wanted, step=at, number=which).key):
            raise ClaimedElsewhere(key, _UNCLAIMED.format(at + 1))
    log.info("claimed outside the database", extra={"key": wanted.key, "version": version})
    return Held(number, wanted.key, version)


def must_be_unclaimed(holder: Claim) -> None:
    """Each claim of the request that lies outside is of an attempt that the database knows, or one that this process never used.

    Raises ClaimedElsewhere, and AwsError when that cannot be told now.
    """
    bucket = Bucket(settings.CLAIMS_BUCKET, settings.HOME_REGION)
    must_keep(bucket, PREFIX)
    rows = Attempt.objects.filter(execution__revision__request=holder.request_id).exclude(claimed_as="")
    _must_be_accounted_for(bucket, str(holder.request_id), set(rows.values_list("claimed_as", flat=True)), _never_used())


def _never_used() -> set[Version]:
    return {Version(key, version, marker=False) for key, version in _unused.items()}


def _body(holder: Claim, digest: str, step: int, number: int) -> Body:
    head = ChainHead.objects.get(pk=1)
    return Body(
        digest=digest,
        step=step,
        number=number,
        execution=str(holder.execution_id),
        request=str(holder.request_id),
        token=holder.token,
        worker=worker_name(),
        nonce=secrets.token_hex(32),
        sequence=head.sequence,
        head=head.hash,
        at=timezone.now().isoformat(),
        genesis=settings.GENESIS,
    )


def _written(bucket: Bucket, wanted: Body) -> str:
    """Steps 3 and 4: the id of the version that is ours."""
    until = timezone.now() + timedelta(days=settings.CLAIMS_DAYS)
    for turn in range(CONFLICTS):
        try:
            return bucket.put(wanted.key, wanted.text().encode(), until)
        except AwsRefused as error:
            if error.code == AT_ONCE:
                time.sleep(PAUSE * 2**turn)
                continue
            if error.code != THERE:
                raise _why_not(bucket, error) from error
        found = bucket.get(wanted.key)
        if found is None:
            raise AwsUnavailable("S3 says that a claim lies there, and that none does.")
        version, content = found
        said = body.read(content)
        if said is None or not secrets.compare_digest(said.nonce, wanted.nonce):
            raise ClaimedElsewhere(wanted.key, _in_words(said))
        return version
    raise AwsUnavailable("S3 was told to write the same claim by several at the same moment, again and again.")


def _why_not(bucket: Bucket, error: AwsRefused) -> AwsUnavailable | NoPlaceForClaims:
    if error.passing:
        return AwsUnavailable(f"S3 took no claim: {error}")
    return NoPlaceForClaims(f"The bucket {bucket.name} takes no claim, so nothing is executed. {error}")


def _must_be_alone(bucket: Bucket, wanted: Body, version: str, known: set[str]) -> set[str]:
    """Step 5: the keys of what lies there. Raises ClaimedElsewhere, or AwsUnavailable when not even our own is shown."""
    ours = Version(wanted.key, version, marker=False)
    found = _must_be_accounted_for(bucket, wanted.request, known, {ours} | _never_used())
    if ours not in found:
        raise AwsUnavailable("S3 took the claim and does not show it.")
    return {one.key for one in found}


def _must_be_accounted_for(bucket: Bucket, request: str, known: set[str], ours: set[Version]) -> list[Version]:
    """Every version of every claim of a request: each one of ours, or the only one under a key that the database knows.

    Raises ClaimedElsewhere, and AwsError when they cannot be listed.
    """
    found = bucket.versions(body.under(request))
    many = Counter(one.key for one in found)
    for one in found:
        if one not in ours and (many[one.key] > 1 or one.marker or one.key not in known):
            raise ClaimedElsewhere(one.key, _what_lies_there(bucket, one))
    return found


def _what_lies_there(bucket: Bucket, one: Version) -> str:
    if one.marker:
        return "Somebody deleted a claim there, which S3 shows by a marker."
    try:
        found = bucket.get(one.key, one.id)
    except (AwsRefused, AwsUnavailable) as error:
        return f"It could not be read: {error}"
    return _in_words(body.read(found[1]) if found else None)


def _in_words(said: Body | None) -> str:
    return said.in_words() if said else "What lies there is no claim of ours; somebody else wrote it."
