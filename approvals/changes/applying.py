"""Applying a change that enough administrators signed: what the authority process does, and no other.

1. Nobody else looks at authority meanwhile: the chain and the tables are of one moment for every walk.
2. Walk the chain from the pinned genesis. The change must follow its newest link.
3. Verify the proof from stored bytes: a quorum's signatures, or the registration with its codes.
4. Judge the new state: it must be one that people can live with, now.
5. Write the rows that differ, and hold the tables against the new state: they must say exactly what was signed.
6. Append the link and the audit entry. Either all of it is there, or nothing.
"""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.utils import timezone
from fido2.utils import websafe_decode

from approvals import audit, authority, canonical, outbox, permissions
from approvals.alerts import raise_alert
from approvals.audit import Trail
from approvals.authority import links, soundness, state, tables
from approvals.authority.chain import held_still
from approvals.authority.edits import apply as apply_edits
from approvals.authority.links import Link, Standing
from approvals.changes.writing import end
from approvals.errors import BadAuthority, BadChange, BadSignature, CountersignError, Expired, NotYet, StaleChange
from approvals.models import AlertKind, AuditKind, AuthorityChange, AuthorityLink, OutboxKind
from approvals.signatures import moment_of
from approvals.states import ChangeState, Verdict

log = logging.getLogger(__name__)
ACTOR: Final = "process:authority"


def apply(change_id: UUID, *, now: datetime | None = None) -> bool:
    """Apply a change; whether it is applied now. What does not hold is ended with its reason, and a forgery is an alert.

    Repeats are harmless: what has ended is left as it is.
    """
    now = now or timezone.now()
    with audit.recorded() as trail:
        held_still(to_change=True)
        change = AuthorityChange.objects.select_for_update(of=("self",)).select_related("proposer").filter(pk=change_id).first()
        if change is None or change.state != ChangeState.OPEN:
            return False
        try:
            authority.walk(settings.GENESIS)
            newest = authority.standing(settings.GENESIS)
            after = _judged(change, newest, now)
        except NotYet as reason:
            log.warning("a change of authority was to be applied too early: %s", reason)
            return False
        except (StaleChange, Expired) as reason:
            over = ChangeState.STALE if isinstance(reason, StaleChange) else ChangeState.EXPIRED
            end(trail, change, over, str(reason), ACTOR, now)
            return False
        except BadChange as reason:
            end(trail, change, ChangeState.STALE, str(reason), ACTOR, now)
            return False
        except BadAuthority as reason:
            _refused(trail, change, reason, now)
            return False
        _write(trail, change, newest, after, now)
    return True


def expire(*, now: datetime | None = None, most: int = 100) -> int:
    """End what nobody signed in time or what another change overtook; return how many. Every verb looks at the clock itself."""
    now = now or timezone.now()
    newest = AuthorityLink.objects.order_by("-number").values_list("hash", flat=True).first()
    ended = 0
    still_open = AuthorityChange.objects.filter(state=ChangeState.OPEN).order_by("created_at")
    for pk in list(still_open.values_list("pk", flat=True)[:most]):
        with audit.recorded() as trail:
            change = AuthorityChange.objects.select_for_update(of=("self",)).get(pk=pk)
            if change.state != ChangeState.OPEN:
                continue
            if change.open_until <= now:
                end(trail, change, ChangeState.EXPIRED, "Too few administrators signed it in time.", ACTOR, now)
            elif change.kind == AuthorityChange.Kind.EDITS and change.previous != newest:
                end(trail, change, ChangeState.STALE, "Another change was applied first.", ACTOR, now)
            else:
                continue
            ended += 1
    return ended


def _judged(change: AuthorityChange, newest: Standing, now: datetime) -> Standing:
    if change.open_until <= now:
        raise Expired("The time for this change had run out before it could be applied.")
    if change.kind == AuthorityChange.Kind.ENROLMENT:
        # What the person registered is not about the rest of the state: it follows whatever holds now.
        text = _enrolled(change, newest, now)
    else:
        text = change.next_state
        if (change.number, change.previous) != (newest.number + 1, newest.hash):
            raise StaleChange("Another change of authority was applied first. Propose it again if it is still wanted.")
        _is_what_was_proposed(change, newest)
        _nobody_denied(change)
        _signed_by_enough(change, newest)
        _is_of_one_time(change, now)
    number = newest.number + 1
    link = Link(number, newest.hash, text, links.link_hash(number, newest.hash, text), _proof(change))
    if change.kind == AuthorityChange.Kind.EDITS and link.hash != change.digest:
        raise BadAuthority("The change's state does not have the digest that was signed: the row was changed.")
    after = links.follow(newest, link, authority.relying_party())
    soundness.must_be_sound(after.document, now)
    return after


def _is_what_was_proposed(change: AuthorityChange, newest: Standing) -> None:
    """The edits, which lists, messages and the trail tell of, lead to the state that is signed, and to no other.

    Our own pages refuse to show anything else as genuine; whoever took them over signs nothing under other words than its own.
    """
    try:
        same = state.text_of(apply_edits(newest.document, canonical.loads(change.edits))) == change.next_state
    except (CountersignError, LookupError, TypeError, AttributeError, ValueError) as error:
        raise BadAuthority(f"The change's edits cannot be made: {error}") from error
    if not same:
        raise BadAuthority("The change's edits do not lead to the state that was signed: people were told of something else.")


def _nobody_denied(change: AuthorityChange) -> None:
    """One denial ends a change; that it is open all the same is no work of ours."""
    if change.signatures.filter(verdict=Verdict.DENY).exists():
        raise BadAuthority("An administrator denied the change, and the row says that it is open.")


def _is_of_one_time(change: AuthorityChange, now: datetime) -> None:
    """By the moments inside the signatures: the row's own clock was written by whoever proposed it."""
    nonces = change.signatures.filter(verdict=Verdict.APPROVE).values_list("nonce", flat=True)
    try:
        first = min(moment_of(bytes(websafe_decode(nonce))) for nonce in nonces)
    except (BadSignature, ValueError, TypeError) as error:
        raise BadAuthority(f"A signature's nonce cannot be read: {error}") from error
    if first + links.LIFETIME <= now:
        raise Expired("The time for this change had run out before it could be applied.")


def _signed_by_enough(change: AuthorityChange, newest: Standing) -> None:
    """Raise NotYet while rows of too few are there: a promise that came too early, by whomever, ends nothing.

    Whose login was switched off since does not count: that takes one person and no link, as for a review at the claim.
    """
    rows = change.signatures.filter(verdict=Verdict.APPROVE).values_list("person_id", flat=True)
    have = links.counted(newest, state.read(change.next_state), frozenset(map(str, permissions.active_among(list(rows)))))
    if len(have) < max(2, newest.authority.signers):
        raise NotYet(f"{len(have)} administrators have signed it.")


def _enrolled(change: AuthorityChange, newest: Standing, now: datetime) -> str:
    shown = canonical.loads(change.registration)
    invitation = next((row for row in newest.document["invitations"] if row["id"] == shown["invitation"]), None)
    until = state.moment_of(invitation["until"]) if invitation else None
    if invitation is None or until is None or until <= now:
        raise Expired("The enrolment link had lapsed or was used.")
    makers = [UUID(person) for person, _ in links.still_makers(newest, invitation)]
    if not invitation["codes"] and len(permissions.active_among(makers)) < links.codes_needed(newest, invitation):
        raise Expired("Who issued the enrolment link is no administrator any more. Ask the administrators for a new one.")
    keys = [links.registration_of(row).passkey() for row in shown["registrations"]]
    return state.text_of(links.enrolled(newest.document, invitation, keys))


def _proof(change: AuthorityChange) -> str:
    """The proof as canonical JSON, from the rows that the web process wrote; nothing in it is believed before it is verified."""
    if change.kind == AuthorityChange.Kind.ENROLMENT:
        return change.registration
    rows = change.signatures.filter(verdict=Verdict.APPROVE).order_by("created_at", "id")
    return canonical.dumps(
        {
            "kind": "edits",
            "change": str(change.pk),
            "signatures": [
                {
                    "person": str(row.person_id),
                    "verdict": row.verdict,
                    "nonce": row.nonce,
                    "credential_id": row.credential_id,
                    "client_data": row.client_data,
                    "authenticator_data": row.authenticator_data,
                    "signature": row.signature,
                }
                for row in rows
            ],
        }
    )


def _write(trail: Trail, change: AuthorityChange, newest: Standing, after: Standing, now: datetime) -> None:
    tables.write(newest.document, after.document)
    if tables.state_of_tables() != after.text:
        raise BadAuthority("The tables could not be brought to say what was signed, so nothing was written.")
    AuthorityLink.objects.create(
        number=after.number,
        previous=newest.hash,
        state=after.text,
        hash=after.hash,
        proof=_proof(change),
        created_at=now,
    )
    AuthorityChange.objects.filter(pk=change.pk).update(state=ChangeState.APPLIED, ended_at=now, ended_why="Applied.")
    # Whatever else is open to be signed followed the former link.
    others = AuthorityChange.objects.filter(state=ChangeState.OPEN, kind=AuthorityChange.Kind.EDITS)
    for other in others.exclude(pk=change.pk):
        end(trail, other, ChangeState.STALE, "Another change was applied first.", ACTOR, now)
    detail: dict[str, Any] = {"change": str(change.pk), "number": after.number, "hash": after.hash, "previous": newest.hash}
    if change.kind == AuthorityChange.Kind.ENROLMENT:
        keys = [row["credential_id"] for row in canonical.loads(change.registration)["registrations"]]
        trail.add(AuditKind.PASSKEY_REGISTERED, actor=ACTOR, person=change.proposer.handle, passkeys=keys, **detail)
    else:
        trail.add(AuditKind.CHANGE_APPLIED, actor=ACTOR, edits=canonical.loads(change.edits), **detail)
    outbox.put(OutboxKind.NOTIFY, change.pk, topic="change.ended")


def _refused(trail: Trail, change: AuthorityChange, reason: BadAuthority, now: datetime) -> None:
    """The rows do not bear out what they claim: the gravest alarm, and the change is over, so that it is raised once."""
    log.critical("a change of authority was not applied: %s", reason)
    why = f"Not applied, because it does not verify: {reason}"
    AuthorityChange.objects.filter(pk=change.pk).update(state=ChangeState.REFUSED, ended_at=now, ended_why=why)
    trail.add(AuditKind.CHANGE_REFUSED, actor=ACTOR, change=str(change.pk), digest=change.digest, why=str(reason))
    raise_alert(
        trail,
        AlertKind.FORGERY,
        title=f"Not applied: change of authority {change.reference} does not verify",
        detail=f"{reason} No right, key or guardrail was changed. Find out who wrote these rows before anything else is signed.",
        actor=ACTOR,
    )
