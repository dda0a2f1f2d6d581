"""What a statement's stored signatures bear out under the walked authority. Nothing that the web process wrote is believed."""

from __future__ import annotations

from approvals import ceremonies, permissions, signatures
from approvals.authority import Authority
from approvals.demands import Forged, KeyWasGoing
from approvals.models import Statement
from approvals.signatures import RelyingParty
from approvals.statements.texts import Said, read
from approvals.states import Verdict


def approvers(statement: Statement, authority: Authority, party: RelyingParty, *, least: int) -> tuple[Said, frozenset[str]]:
    """What it says, and the persons (ids) whose approvals verify, whoever they are; with passkeys that were removed since, too.

    Raises BadAuthority (Forged) when the text or any signature does not verify, or when somebody denied it. What was signed with
    a passkey that was being removed counts for nothing: KeyWasGoing where fewer than `least` are left without it.
    """
    said = read(statement)
    found: set[str] = set()
    uncounted: KeyWasGoing | None = None
    for row in statement.signatures.select_related("person"):
        try:
            person = ceremonies.verified(row, statement.digest, authority, party, domain=signatures.STATEMENT)
        except KeyWasGoing as error:
            uncounted = error
        else:
            found.add(person)
        if row.verdict == Verdict.DENY:
            raise Forged(f"{row.person} denied statement {statement.reference}, and its row says otherwise.")
    if uncounted is not None and len(found) < least:
        raise uncounted
    return said, frozenset(found)


def administrators_among(persons: frozenset[str], statement: Statement, authority: Authority) -> frozenset[str]:
    """Those who count for pausing and resuming: administrators by authority and by today's tables, with a passkey of now."""
    rows = statement.signatures.filter(verdict=Verdict.APPROVE)
    current = {str(row.person_id) for row in rows if row.credential_id in authority.passkeys}
    live = {str(person) for person in permissions.active_among([row.person_id for row in rows])}
    return frozenset(person for person in persons & current & live if authority.is_administrator(person))
