"""Every address that the site has, what is sent to it, and what each role may change by it. `test_every_address` asks them all.

A new address is added to ADDRESSES: what it takes (a key of `House.things`), what forms a person or an attacker would post
(`posts`), and who may change which tables by them (`may`, role or (role, label of the argument) -> tables). Nothing else may.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from django.urls import URLPattern, URLResolver, get_resolver
from fido2.utils import websafe_decode

from approvals import decisions, signatures
from approvals.ceremonies import Ceremony
from approvals.models import AuthorityChange, Statement
from approvals.states import Verdict
from tests.cast import noise
from tests.portal.hands import fields_of
from tests.portal.house import House, Visitor, parts_of
from tests.portal.test_proposing import form_of

Form = dict[str, Any]
# Forms that follow from what the page answered before are sent by a function of its own.
Posts = Callable[[House, Visitor, str, Any], Iterator[Any]]

_TRAIL: Final = frozenset({"approvals_auditentry", "approvals_chainhead"})
CHALLENGE: Final = frozenset({"approvals_signaturechallenge"})
DRAFTS: Final = _TRAIL | {
    "approvals_approvalrequest",
    "approvals_revision",
    "approvals_revisionguardrail",
    "approvals_outboxmessage",
}
ENDS: Final = _TRAIL | {"approvals_approvalrequest", "approvals_outboxmessage"}
ALERTS: Final = _TRAIL | {"approvals_alert"}
PROPOSES: Final = _TRAIL | {"approvals_authoritychange", "approvals_outboxmessage"}
SAYS: Final = _TRAIL | {"approvals_comment", "approvals_outboxmessage"}
RETURNS: Final = DRAFTS | {"approvals_comment"}
STATEMENT_CHALLENGE: Final = frozenset({"approvals_statementchallenge"})
WITHDRAWS: Final = _TRAIL | {"approvals_statement", "approvals_outboxmessage"}
STATES: Final = WITHDRAWS | STATEMENT_CHALLENGE
CHANGE_CHALLENGE: Final = frozenset({"approvals_changechallenge"})
REGISTRATION_CHALLENGE: Final = frozenset({"approvals_registrationchallenge"})

# What decides, and what says who may: no form of this table changes any of it, whoever sends it. A genuine signature would.
DECISIVE: Final = frozenset(
    f"approvals_{name}"
    for name in (
        "review", "signature", "execution", "attempt", "proof", "observation", "authoritylink", "authoritysettings", "person",
        "login", "principal", "passkey", "account", "guardrail", "guardrailversion", "guardrailuserpermission",
        "guardrailgrouppermission", "invitation", "changesignature", "statementsignature", "look", "sealedkey", "notice",
    )
) | {
    "auth_group", "auth_group_permissions", "auth_permission", "portal_user", "portal_user_groups",
    "portal_user_user_permissions", "socialaccount_socialaccount", "guardian_userobjectpermission",
    "guardian_groupobjectpermission",
}  # fmt: skip


@dataclass(frozen=True)
class Address:
    """What one address takes, is sent, and may change."""

    takes: str = "nothing"
    posts: Posts | None = None
    may: Mapping[Any, frozenset[str]] = field(default_factory=dict)

    def may_change(self, role: str, label: str) -> frozenset[str]:
        """The tables that this role may change here."""
        return self.may.get((role, label), frozenset()) | self.may.get(role, frozenset())


@dataclass(frozen=True)
class Found:
    """One address of the resolver: its name (namespace and all), its route, the names of what it captures."""

    name: str
    route: str
    captures: tuple[str, ...]


def found() -> list[Found]:
    """Every address that the resolver has, in its order."""
    return list(_below(get_resolver(), "", (), ()))


def _below(resolver: URLResolver, prefix: str, spaces: tuple[str, ...], captured: tuple[str, ...]) -> Iterator[Found]:
    for pattern in resolver.url_patterns:
        route = prefix + str(pattern.pattern)
        captures = (*captured, *(getattr(pattern.pattern, "converters", {}) or pattern.pattern.regex.groupindex))
        if isinstance(pattern, URLPattern):
            yield Found(":".join((*spaces, pattern.name or route)), route, captures)
        else:
            yield from _below(pattern, route, spaces + ((pattern.namespace,) if pattern.namespace else ()), captures)


# --- what is sent ---------------------------------------------------------------------------------------------------------


def said(*forms: Form) -> Posts:
    """These forms, whoever it is and whatever is asked about."""

    def posts(house: House, visitor: Visitor, url: str, thing: Any) -> Iterator[Any]:
        for form in forms:
            yield visitor.ask("POST", url, form)

    return posts


# What Django's own admin would do with a form, and what somebody would like it to do with ours.
ADMIN_FORM: Final[Form] = {
    "action": "delete_selected",
    "_selected_action": "1",
    "post": "yes",
    "_save": "Save",
    "state": "approved",
    "is_superuser": "on",
    "is_staff": "on",
    "is_administrator": "on",
    "handle": "mine",
    "name": "mine",
}


def forged(house: House, visitor: Visitor, url: str, thing: Any) -> Iterator[Any]:
    """Decisions of every verdict: both steps, with every assertion but the right one."""
    request = next((one for one in house.requests.values() if one.pk == thing), house.requests["pending"])
    change = AuthorityChange.objects.filter(pk=thing).first()
    signed = change or (Statement.objects.filter(pk=thing).first() if isinstance(thing, UUID) else None)
    digest = signed.digest if signed else request.current_revision().digest or "0" * 64
    form = {"digest": digest, "reason": "because", "typed_name": request.target}
    yield visitor.ask("POST", url, {})
    yield visitor.ask("POST", url, ADMIN_FORM)
    verdicts = (Verdict.CONFIRM,) if url.endswith("/confirm/") else (Verdict.APPROVE, Verdict.DENY)
    for verdict in verdicts:
        yield from _ceremonies(house, visitor, url, {**form, "verdict": str(verdict)})


_FORGERIES: Final = (
    "_replayed",
    "_noise",
    "_nothing",
    "_somebody_elses",
    "_under_ones_own_id",
    "_of_the_other_verdict",
    "_software",
)


def _ceremonies(house: House, visitor: Visitor, url: str, form: Form) -> Iterator[Any]:
    opened: Form = {}
    for number, forge in enumerate(_FORGERIES):
        if opened or not number:
            answer = visitor.ask("POST", url, {**form, "step": "begin"})
            yield answer
            opened = fields_of(answer.content.decode(), "ceremony")
        nonce = opened.get("nonce") or house.replayed["nonce"]
        fields = globals()[forge](house, visitor, form, nonce)
        yield visitor.ask("POST", url, {**form, "step": "sign", "nonce": nonce, **fields})
        # Whoever may not even begin is refused whatever he sends: what bob once sent, and noise, show it.
        if "nonce" not in opened and number:
            return


def _nothing(house: House, visitor: Visitor, form: Form, nonce: str) -> Form:
    return {}


def _noise(house: House, visitor: Visitor, form: Form, nonce: str) -> Form:
    mine = house.cast.keys.get(visitor.role, house.cast.keys["bob"])
    return {"credential_id": mine["credential_id"], "client_data": "e30", "authenticator_data": "AAAA", "signature": noise()}


def _somebody_elses(house: House, visitor: Visitor, form: Form, nonce: str) -> Form:
    other = "carol" if visitor.role != "carol" else "erin"
    return parts_of(house.cast.assertion(other, _ceremony(form, form["verdict"], nonce)))


def _under_ones_own_id(house: House, visitor: Visitor, form: Form, nonce: str) -> Form:
    mine = house.cast.keys.get(visitor.role, house.cast.keys["bob"])
    return {**_somebody_elses(house, visitor, form, nonce), "credential_id": mine["credential_id"]}


def _replayed(house: House, visitor: Visitor, form: Form, nonce: str) -> Form:
    return house.replayed


def _of_the_other_verdict(house: House, visitor: Visitor, form: Form, nonce: str) -> Form:
    """One's own key, over another verdict than the form's."""
    handle = visitor.role if visitor.role in house.cast.keys else "bob"
    other = Verdict.DENY if form["verdict"] == Verdict.APPROVE else Verdict.APPROVE
    return parts_of(house.cast.assertion(handle, _ceremony(form, str(other), nonce)))


def _software(house: House, visitor: Visitor, form: Form, nonce: str) -> Form:
    return {"sign_with": "software"}


def _ceremony(form: Form, verdict: str, nonce: str) -> Ceremony:
    domain = signatures.AUTHORITY if AuthorityChange.objects.filter(digest=form["digest"]).exists() else signatures.DOMAIN
    if Statement.objects.filter(digest=form["digest"]).exists():
        domain = signatures.STATEMENT
    asked = signatures.challenge(form["digest"], Verdict(verdict), bytes(websafe_decode(nonce)), domain=domain)
    return Ceremony(nonce, signatures.websafe(asked), form["digest"], Verdict(verdict), (), decisions.relying_party())


def edits(house: House, visitor: Visitor, url: str, thing: Any) -> Iterator[Any]:
    """A step's parameters, another step, the order of steps: for each page its own fields, over the newest revision."""
    request = next((one for one in house.requests.values() if one.pk == thing), house.requests["pending"])
    form = {"revision": str(request.revision_number), "at": "1", "p.TableName": request.target or "prod-x"}
    yield visitor.ask("POST", url, {**form, "operation": "dynamodb:UpdateTable", "p.TableClass": "STANDARD"})
    yield visitor.ask("POST", url, {**form, "down": "1", "operation": request.operation})
    yield visitor.ask("POST", url, {**form, "ready": "1.0", "revision": "7"})
    yield visitor.ask("POST", url, ADMIN_FORM)


def proposes(by: str, **typed: Any) -> Posts:
    """The form of this page, as it opens for `by` and filled in with what is typed: sent by whoever it is, and sent empty."""

    def posts(house: House, visitor: Visitor, url: str, thing: Any) -> Iterator[Any]:
        # The page is the same for each of them: what anybody changes is undone.
        opened = house.opened.get((by, url)) or house.opened.setdefault((by, url), form_of(house.visitors[by].ask("GET", url)))
        yield visitor.ask("POST", url, {**opened, "reason": "it is time", **{k.replace("__", "-"): v for k, v in typed.items()}})
        yield visitor.ask("POST", url, {**opened, "reason": ""})
        yield visitor.ask("POST", url, ADMIN_FORM)

    return posts


PLACE: Final[Form] = {"place": "111122223333/eu-west-1", "operation": "dynamodb:DeleteTable"}
files = said({**PLACE, "p.TableName": "prod-filed"}, PLACE, {"place": "x/y"}, ADMIN_FORM)
ends = said({"reason": "no longer"})
says = said({"text": ""}, {"text": "what I think"}, ADMIN_FORM)
closes = said({"reason": ""}, {"reason": "looked at it"}, ADMIN_FORM)
shown = said(ADMIN_FORM, {"step": "begin"})
credentials = said(
    {},
    {"login": "bob", "password": "guessed", "next": "/admin/"},
    {"login": "bob", "password": "", "sso": "1"},
    {"username": "bob", "password1": "x", "handle": "bob"},
)
codes = said(
    {}, {"code": "000000"}, {"code": "000000", "credential": "{}", "name": "mine", "passwordless": "on"}, {"credential": "x"}
)
switches = said({}, ADMIN_FORM, *({"verb": verb, "reason": reason} for verb in ("pause", "resume") for reason in ("", "why not")))
closes_outcome = said({}, {"outcome": "succeeded", "evidence": "I saw it", "reason": "it was so"}, ADMIN_FORM)
leaves = said({}, {"next": "https://elsewhere.example/"})
enrols = said(
    {},
    {"step": "begin"},
    {"step": "register", "nonce": "x", "client_data": "e30", "attestation": "AAAA", "label": "mine"},
    {"step": "enrol", "code": ["AAAA-BBBB", "CCCC-DDDD"]},
    {"step": "restart"},
)
registers = said({}, {"step": "begin"}, {"step": "finish", "credential": "{}"}, {"step": "finish", "credential": '{"id":"AA"}'})

_PERSONS: Final = ("alice", "bob", "carol", "dana", "olivia", "rosa")
_STATES: Final = (
    "incomplete", "denied call", "nobody's", "draft", "pending", "approved", "claimed", "denied", "withdrawn", "disowned",
    "expired",
)  # fmt: skip
_DRAFTS_WITH_A_PLAN: Final = ("denied call", "draft")
_OPEN_OF_ALICE: Final = ("incomplete", *_DRAFTS_WITH_A_PLAN, "pending", "approved")


def _by_alice(labels: tuple[str, ...], tables: frozenset[str]) -> Mapping[Any, frozenset[str]]:
    return {("alice", label): tables for label in labels}


def _lists(*models: str) -> dict[str, Address]:
    made = {}
    for model in models:
        app = "auth" if model == "group" else "approvals"
        made[f"admin:{app}_{model}_changelist"] = Address(posts=shown)
        made[f"admin:{app}_{model}_change"] = Address(takes=model, posts=shown)
    return made


_STATEMENT: Final = "admin:approvals_statement_"
_CHANGE: Final = "admin:approvals_authoritychange_"
_FORMS: Final[Mapping[str, tuple[str, str, Form]]] = {
    f"{_CHANGE}settings": ("nothing", "dana", {"checkpoint_every": "2 hours"}),
    "admin:approvals_guardrail_propose_new": (
        "nothing",
        "dana",
        {"name": "other", "mode": "observe", "operations": "dynamodb:DeleteTable", "accounts": "111122223333"},
    ),
    "admin:approvals_guardrail_propose": ("guardrail", "dana", {"description": "Something else."}),
    "admin:approvals_guardrail_rights": ("guardrail", "dana", {"rights__1__DELETE": "on"}),
    # Whoever may review lends his own right.
    "admin:approvals_guardrail_delegate": ("guardrail", "bob", {"to": "carol", "ends": "2036-01-01 10:00"}),
    "admin:approvals_account_propose_new": (
        "nothing",
        "dana",
        {
            "id": "222233334444",
            "alias": "Other",
            "regions": "eu-west-1",
            "executor_role_arn": "arn:aws:iam::222233334444:role/Countersign",
            "external_id": "x",
        },
    ),
    "admin:approvals_account_propose": ("account", "dana", {"environment": "another"}),
    "admin:approvals_person_propose_new": ("nothing", "dana", {"handle": "trent", "name": "Trent"}),
    "admin:approvals_person_propose": ("person", "dana", {"name": "Somebody Else"}),
    "admin:auth_group_propose_new": (
        "nothing",
        "dana",
        {"name": "Team", "members__TOTAL_FORMS": "1", "members__0__login": "alice"},
    ),
    "admin:auth_group_propose": ("group", "dana", {"members__0__DELETE": "on"}),
}
_REQUEST: Final = "admin:approvals_approvalrequest_"
ADDRESSES: Final[Mapping[str, Address]] = {
    "healthz": Address(posts=shown),
    "home": Address(posts=shown),
    "passkey": Address(posts=registers),
    # --- signing in: allauth's, as far as this portal has them
    "account_login": Address(posts=credentials),
    "account_logout": Address(posts=leaves),
    "account_inactive": Address(posts=shown),
    "account_reauthenticate": Address(posts=credentials),
    "mfa_index": Address(posts=codes),
    "mfa_authenticate": Address(posts=codes),
    "mfa_reauthenticate": Address(posts=codes),
    "mfa_activate_totp": Address(posts=codes),
    "mfa_deactivate_totp": Address(posts=codes),
    "mfa_view_recovery_codes": Address(posts=codes),
    "mfa_generate_recovery_codes": Address(posts=codes),
    "mfa_download_recovery_codes": Address(posts=codes),
    "mfa_list_webauthn": Address(posts=codes),
    "mfa_add_webauthn": Address(posts=codes),
    "mfa_reauthenticate_webauthn": Address(posts=codes),
    "mfa_remove_webauthn": Address(takes="factor", posts=codes),
    "mfa_edit_webauthn": Address(takes="factor", posts=codes),
    "socialaccount_login_cancelled": Address(posts=shown),
    "socialaccount_login_error": Address(posts=shown),
    "openid_connect_login": Address(takes="provider", posts=said({}, {"process": "connect", "next": "/admin/"})),
    "openid_connect_callback": Address(takes="provider", posts=said({}, {"code": "x", "state": "y"})),
    # --- the portal's own
    "admin:index": Address(posts=shown),
    "admin:login": Address(posts=credentials),
    "admin:logout": Address(posts=leaves),
    "admin:jsi18n": Address(posts=shown),
    r"admin:admin/(?P<url>.*)$": Address(takes="anything", posts=shown),
    **_lists("guardrail", "account", "person", "group", "execution", "alert", "auditentry", "feedbatch", "quarantinedmessage"),
    "admin:approvals_alert_close": Address(takes="alert", posts=closes, may={("dana", "open"): ALERTS}),
    # --- changes of authority, proposed by forms and signed by administrators
    f"{_CHANGE}changelist": Address(posts=shown),
    f"{_CHANGE}change": Address(takes="authoritychange", posts=shown),
    f"{_CHANGE}sign": Address(takes="authoritychange", posts=forged, may={("dana", "open"): CHANGE_CHALLENGE}),
    f"{_CHANGE}withdraw": Address(takes="authoritychange", posts=ends, may={("dana", "open"): PROPOSES}),
    f"{_CHANGE}again": Address(takes="authoritychange", posts=ends, may={("dana", "stale"): PROPOSES}),
    **{
        name: Address(takes=takes, posts=proposes(by, **typed), may={by: PROPOSES}) for name, (takes, by, typed) in _FORMS.items()
    },
    "enrol": Address(takes="invitation", posts=enrols, may={("carol", "carol's"): REGISTRATION_CHALLENGE}),
    # --- statements: the kill switch, and how a call went whose outcome nothing else settles
    f"{_STATEMENT}changelist": Address(posts=shown),
    f"{_STATEMENT}change": Address(takes="statement", posts=shown),
    # A statement is made and its ceremony begun; without the key nothing follows from it.
    f"{_STATEMENT}switch": Address(posts=switches, may={"dana": STATES}),
    f"{_STATEMENT}sign": Address(takes="statement", posts=forged, may={("dana", "resume"): STATEMENT_CHALLENGE}),
    f"{_STATEMENT}withdraw": Address(takes="statement", posts=ends, may={("dana", "resume"): WITHDRAWS}),
    # --- requests
    f"{_REQUEST}changelist": Address(posts=shown),
    f"{_REQUEST}change": Address(takes="request", posts=shown),
    # Whoever comes in may ask; what he gets is a draft of his own.
    f"{_REQUEST}file": Address(
        posts=files, may=dict.fromkeys(("alice", "bob", "carol", "dana", "olivia", "robot", "rosa"), DRAFTS)
    ),
    f"{_REQUEST}complete": Address(
        takes="request", posts=edits, may=_by_alice(("incomplete", *_DRAFTS_WITH_A_PLAN, "pending"), DRAFTS)
    ),
    f"{_REQUEST}add": Address(takes="request", posts=edits, may=_by_alice((*_DRAFTS_WITH_A_PLAN, "pending"), DRAFTS)),
    f"{_REQUEST}plan": Address(takes="request", posts=edits, may=_by_alice((*_DRAFTS_WITH_A_PLAN, "pending"), DRAFTS)),
    # The ceremony begins; without the key it ends there.
    f"{_REQUEST}confirm": Address(takes="request", posts=forged, may=_by_alice(_DRAFTS_WITH_A_PLAN, CHALLENGE)),
    f"{_REQUEST}decide": Address(takes="request", posts=forged, may={("bob", "pending"): CHALLENGE}),
    # No guardrail of this world lets anybody break the glass.
    f"{_REQUEST}glass": Address(takes="request", posts=forged),
    f"{_REQUEST}reviewed": Address(takes="request", posts=says),
    # Any person may ask, so any person may stand behind what nobody does; he is barred from deciding it then.
    f"{_REQUEST}adopt": Address(takes="request", posts=ends, may={(who, "nobody's"): ENDS for who in _PERSONS}),
    f"{_REQUEST}return": Address(takes="request", posts=ends, may={("bob", "pending"): RETURNS, ("bob", "approved"): RETURNS}),
    f"{_REQUEST}stop": Address(takes="request", posts=ends, may={(who, "approved"): ENDS for who in ("alice", "bob")}),
    f"{_REQUEST}comment": Address(
        takes="request",
        posts=says,
        may={
            **{(who, label): SAYS for who in ("alice", "dana", "olivia") for label in _STATES},
            **{("bob", label): SAYS for label in _STATES if label != "incomplete"},
            # Whoever may adopt it may read it, and talk about it.
            **{(who, "nobody's"): SAYS for who in _PERSONS},
        },
    ),
    # Nothing of this world has an outcome that is not known.
    f"{_REQUEST}close": Address(takes="request", posts=closes_outcome),
    f"{_REQUEST}withdraw": Address(takes="request", posts=ends, may=_by_alice(_OPEN_OF_ALICE, ENDS)),
    f"{_REQUEST}disown": Address(takes="request", posts=ends, may=_by_alice(("incomplete", "denied call"), ENDS | ALERTS)),
}
