"""How much one hand may ask for at once: what is more drowns what others ask for, and nobody could read it anyway.

Repeats of a denied call merge into one draft before anything is counted, and what was decided counts no more.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from django.db import connection

from approvals.caller import Caller
from approvals.errors import TooMany
from approvals.models import ApprovalRequest, Person, Source
from approvals.states import RequestState

# Requests of one person that he filed and nobody has decided, at a time.
MOST_FILED: Final = 50
# The same with those that he withdrew or let expire, within a day: whoever files and withdraws fills the lists as well.
MOST_FILED_A_DAY: Final = 200
# Open drafts of denied calls of one AWS identity.
MOST_OF_A_PRINCIPAL: Final = 50

_OPEN: Final = (RequestState.DRAFT, RequestState.PENDING)
_UNDECIDED: Final = (*_OPEN, RequestState.WITHDRAWN, RequestState.EXPIRED)


def may_file(person: Person, now: datetime) -> None:
    """Raise TooMany when this person has enough on the table. Others who file for him at this moment wait for each other."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"countersign/filing/{person.pk}"])
    filed = ApprovalRequest.objects.filter(requester=person, source=Source.FILED)
    if filed.filter(state__in=_OPEN).count() >= MOST_FILED:
        raise TooMany(
            f"You have {MOST_FILED} requests open that nobody has decided, and that is as many as one person may have. Withdraw "
            "what is no longer wanted, or wait until some are decided; then file this one."
        )
    if filed.filter(state__in=_UNDECIDED, created_at__gt=now - timedelta(days=1)).count() >= MOST_FILED_A_DAY:
        raise TooMany(
            f"You have filed {MOST_FILED_A_DAY} requests within a day that came to nothing. File again tomorrow, or ask somebody "
            "else to file it."
        )


def may_draft(caller: Caller) -> None:
    """Raise TooMany when this AWS identity has as many denied calls open as anybody could look at.

    A role's sessions are one identity, whatever they call themselves, unless AWS vouches for who is behind each.
    """
    mine = ApprovalRequest.objects.filter(source=Source.EVENT, state__in=_OPEN)
    role, slash, _ = caller.arn.rpartition("/")
    if caller.type == "AssumedRole" and slash and not caller.human:
        who, mine = role, mine.filter(principal__startswith=f"{role}/")
    else:
        who, mine = caller.arn, mine.filter(principal=caller.arn)
    if mine[:MOST_OF_A_PRINCIPAL].count() >= MOST_OF_A_PRINCIPAL:
        raise TooMany(f"{who} has {MOST_OF_A_PRINCIPAL} denied calls open, so no further draft is made of its calls.")
