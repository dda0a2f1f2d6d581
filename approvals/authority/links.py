"""Whether one link follows another: the rule by which authority changes, verified from stored bytes alone. Knows no Django.

A link is valid in one of two ways, which its proof (canonical JSON) names:
- `edits`: enough administrators of the state before it signed its hash, which covers the new state and the hash before it.
  Whoever gains by it is not counted.
- `enrolment`: a person whom a quorum invited registered passkeys with the codes of those who invited him. Nothing else changes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, Final

from fido2.utils import websafe_decode

from approvals import canonical, signatures
from approvals.authority import codes
from approvals.authority.difference import gains
from approvals.authority.state import Authority, Document, Retired, moment_of, read, text_of, view
from approvals.errors import BadAuthority, BadCanonicalForm, BadSignature, CountersignError
from approvals.signatures import Assertion, Registration, RelyingParty
from approvals.states import Verdict

SCHEMA: Final = "countersign/authority/1"
# From the first signature under a change to its last: what was read a week ago is read again.
LIFETIME: Final = timedelta(days=7)
MOST_PASSKEYS: Final = 2
MOST_INVITATIONS: Final = 1
# Codes are as many bytes of a nonce as follow the moment in it.
_TAIL: Final = slice(8, None)
_PARTS: Final = ("nonce", "credential_id", "client_data", "authenticator_data", "signature")

# (person, the end of the nonce of his signature): who made an invitation, and which code he holds.
Maker = tuple[str, bytes]


def link_hash(number: int, previous: str, state: str) -> str:
    """The hash of one link: over its number, the hash of the one before and the state's canonical text. It is what is signed."""
    return canonical.digest(f"{SCHEMA}\n{number}\n{previous}\n{state}")


@dataclass(frozen=True)
class Standing:
    """A link that was verified. `makers` says of each invitation that a quorum made who made it; `retired` is what became of
    passkeys that a quorum removed."""

    number: int
    hash: str
    text: str
    document: Document
    makers: Mapping[str, tuple[Maker, ...]] = field(default_factory=dict)
    retired: Mapping[str, Retired] = field(default_factory=dict)

    @cached_property
    def authority(self) -> Authority:
        """The state, to be asked."""
        return replace(view(self.document), retired=self.retired)


@dataclass(frozen=True, slots=True)
class Link:
    """A link as it is stored, believed in nothing."""

    number: int
    previous: str
    state: str
    hash: str
    proof: str


def begin(link: Link, pin: str) -> Standing:
    """The genesis, if it is the pinned one. Raises BadAuthority."""
    if link.number != 0 or link.previous or link_hash(0, "", link.state) != link.hash or link.hash != pin:
        raise BadAuthority("The genesis in the database is not the one that the executor's configuration pins.")
    return Standing(0, link.hash, link.state, read(link.state))


def follow(standing: Standing, link: Link, party: RelyingParty) -> Standing:
    """The next link, if it follows. Raises BadAuthority with what does not hold."""
    try:
        found = _follow(standing, link, party)
        _ = found.authority  # it can be asked, or it is none; the next link asks it anyway
        return found
    except BadAuthority:
        raise
    except (CountersignError, LookupError, TypeError, AttributeError, ValueError) as error:
        # Bytes that somebody else may write need have no shape at all, and are a forgery all the same.
        raise BadAuthority(f"Authority link {link.number} holds what is no state of authority: {error!r}") from error


def _follow(standing: Standing, link: Link, party: RelyingParty) -> Standing:
    number = standing.number + 1
    if (link.number, link.previous) != (number, standing.hash) or link_hash(number, standing.hash, link.state) != link.hash:
        raise BadAuthority(f"Authority link {link.number} does not follow link {standing.number}.")
    after = read(link.state)
    if text_of(after) != link.state:
        raise BadAuthority(f"Authority link {number} is not written canonically.")
    proof = _proof(link)
    retired = standing.retired
    try:
        if proof.get("kind") == "enrolment":
            _enrolled(standing, after, proof, party)
            makers = {key: value for key, value in standing.makers.items() if key != proof["invitation"]}
        else:
            signers = _signed(standing, link.hash, proof, party)
            enough(standing, after, frozenset(signers))
            makers = {**standing.makers, **_made(standing, after, signers)}
            retired = {**retired, **_retired(standing, after, signers)}
            makers = {row["id"]: makers[row["id"]] for row in after["invitations"] if row["id"] in makers}
    except BadSignature as error:
        raise BadAuthority(f"Authority link {number} does not hold: {error}") from error
    return Standing(number, link.hash, link.state, after, makers, retired)


def counted(standing: Standing, after: Document, signers: frozenset[str]) -> frozenset[str]:
    """Those of the signers who count for a change to this state: administrators who gain nothing by it."""
    administrators = {person for person in signers if standing.authority.is_administrator(person)}
    return frozenset(administrators) - gains(standing.document, after)


def enough(standing: Standing, after: Document, signers: frozenset[str]) -> None:
    """Raise BadAuthority unless enough of the signers count."""
    have, need = len(counted(standing, after, signers)), max(2, standing.authority.signers)
    if have < need:
        raise BadAuthority(
            f"Authority link {standing.number + 1} needs the signatures of {need} administrators who gain nothing by it, and "
            f"carries {have}."
        )


def verify_signature(standing: Standing, digest: str, row: Mapping[str, Any], party: RelyingParty) -> tuple[str, bytes]:
    """Verify one stored signature over a link's hash; return (person, nonce). Raises BadSignature."""
    known = standing.authority.passkeys.get(row["credential_id"])
    if known is None or known[0] != row["person"]:
        raise BadSignature("it was made with a passkey that the authority before it does not know as that person's.")
    try:
        nonce = bytes(websafe_decode(row["nonce"]))
    except (ValueError, TypeError) as error:
        raise BadSignature("its nonce cannot be read.") from error
    verdict = Verdict(row["verdict"])
    expected = signatures.challenge(digest, verdict, nonce, domain=signatures.AUTHORITY)
    assertion = Assertion(row["credential_id"], row["client_data"], row["authenticator_data"], row["signature"])
    signatures.verify(assertion, expected=expected, public_key=known[1], party=party)
    return known[0], nonce


def _signed(standing: Standing, digest: str, proof: Mapping[str, Any], party: RelyingParty) -> dict[str, bytes]:
    """Who signed the link, each with his nonce."""
    found: dict[str, bytes] = {}
    moments: list[datetime] = []
    for row in proof.get("signatures", ()):
        if row.get("verdict") != Verdict.APPROVE or not all(isinstance(row.get(part), str) for part in _PARTS):
            raise BadSignature("a signature in its proof is no approval.")
        person, nonce = verify_signature(standing, digest, row, party)
        found[person] = nonce
        moments.append(signatures.moment_of(nonce))
    if moments and max(moments) - min(moments) > LIFETIME:
        raise BadSignature("its signatures are not of one time.")
    return found


def _made(standing: Standing, after: Document, signers: Mapping[str, bytes]) -> dict[str, tuple[Maker, ...]]:
    """Who made the invitation that this link makes. Raises BadAuthority when it makes several, or one that is not new."""
    had = {row["id"]: row for row in standing.document["invitations"]}
    made = [row for row in after["invitations"] if had.get(row["id"]) != row]
    if len(made) > MOST_INVITATIONS:
        # A signer's code is in his signature: it would open each of them, in the hands of whoever got it for one.
        raise BadAuthority(f"Authority link {standing.number + 1} issues {len(made)} enrolment links under the same codes.")
    if any(row["codes"] or row["id"] in had for row in made):
        raise BadAuthority(f"Authority link {standing.number + 1} issues an enrolment link that other codes would open.")
    count = counted(standing, after, frozenset(signers))
    makers = tuple(sorted((person, nonce[_TAIL]) for person, nonce in signers.items() if person in count))
    return {row["id"]: makers for row in made}


def _retired(standing: Standing, after: Document, signers: Mapping[str, bytes]) -> dict[str, Retired]:
    """The passkeys that this link removes, with the moment of its newest signature: what they signed before was genuine."""
    left = {key["credential_id"] for row in after["persons"] for key in row["passkeys"]}
    moment = max(signatures.moment_of(nonce) for nonce in signers.values())
    return {
        name: Retired(person, public_key, moment)
        for name, (person, public_key) in standing.authority.passkeys.items()
        if name not in left
    }


def _enrolled(standing: Standing, after: Document, proof: Mapping[str, Any], party: RelyingParty) -> None:
    """Raise BadSignature or BadAuthority unless this is the invited person's registration and nothing else."""
    invitation = next((row for row in standing.document["invitations"] if row["id"] == proof.get("invitation")), None)
    if invitation is None:
        raise BadAuthority("An enrolment names an invitation that nobody made, or that was used.")
    registrations = [registration_of(row) for row in proof.get("registrations", ())]
    if not 0 < len(registrations) <= MOST_PASSKEYS:
        raise BadAuthority(f"An enrolment registers one or {MOST_PASSKEYS} passkeys.")
    for one in registrations:
        signatures.verify_registration(one, invitation=invitation["id"], party=party)
        if signatures.moment_of(bytes(websafe_decode(one.nonce))) > _until(invitation):
            raise BadSignature("the invitation had lapsed when a passkey was registered.")
    keys = [one.passkey() for one in registrations]
    need = codes_needed(standing, invitation)
    known = {codes.verified(row, invitation["id"], keys) for row in proof.get("codes", ())}
    if not knows_codes(standing, invitation, known):
        raise BadSignature(f"the codes of {need} of those who issued the link are needed.")
    if text_of(enrolled(standing.document, invitation, keys)) != text_of(after):
        raise BadAuthority("An enrolment changes more than the passkeys of the person who was invited.")


def codes_needed(standing: Standing, invitation: Mapping[str, Any]) -> int:
    """How many codes open the invitation: one that genesis printed, else one of each of a quorum's signers."""
    return 1 if invitation["codes"] else max(2, standing.authority.signers)


def knows_codes(standing: Standing, invitation: Mapping[str, Any], known: set[bytes]) -> bool:
    """Whether the fingerprints of these codes open the invitation."""
    if invitation["codes"]:
        return bool({one.hex() for one in known} & set(invitation["codes"]))
    makers = still_makers(standing, invitation)
    tails = {one[: len(makers[0][1])] for one in known} if makers else set()
    return len({person for person, tail in makers if tail in tails}) >= codes_needed(standing, invitation)


def still_makers(standing: Standing, invitation: Mapping[str, Any]) -> tuple[Maker, ...]:
    """Who made the invitation and could make it today: the word of somebody whose right was taken away opens nothing."""
    makers = standing.makers.get(invitation["id"], ())
    return tuple(maker for maker in makers if standing.authority.is_administrator(maker[0]))


def enrolled(document: Document, invitation: Mapping[str, Any], keys: Sequence[Mapping[str, str]]) -> Document:
    """The state in which the invited person has these passkeys, and the invitation is used."""
    return {
        **document,
        "persons": [
            {**row, "passkeys": [*row["passkeys"], *keys]} if row["id"] == invitation["person"] else row
            for row in document["persons"]
        ],
        "invitations": [row for row in document["invitations"] if row["id"] != invitation["id"]],
    }


def registration_of(row: Any) -> Registration:
    """A stored registration, typed. Raises BadSignature."""
    try:
        parts = {name: row[name] for name in ("credential_id", "public_key", "label", "nonce", "client_data", "attestation")}
    except (KeyError, TypeError) as error:
        raise BadSignature("A registration in the enrolment lacks a part.") from error
    if not all(isinstance(part, str) for part in parts.values()):
        raise BadSignature("A registration in the enrolment has a part that is no text.")
    return Registration(**parts)


def _until(invitation: Mapping[str, Any]) -> datetime:
    return moment_of(invitation["until"]) or datetime.min.replace(tzinfo=UTC)


def _proof(link: Link) -> Mapping[str, Any]:
    try:
        found = canonical.loads(link.proof)
    except BadCanonicalForm as error:
        raise BadAuthority(f"The proof of authority link {link.number} cannot be read: {error}") from error
    if not isinstance(found, dict) or found.get("kind") not in ("edits", "enrolment"):
        raise BadAuthority(f"Authority link {link.number} carries no quorum's signatures.")
    rows = [found.get(name, []) for name in ("signatures", "registrations", "codes")]
    if not all(isinstance(row, list) and all(isinstance(item, dict) for item in row) for row in rows):
        raise BadAuthority(f"The proof of authority link {link.number} is no proof.")
    return found
