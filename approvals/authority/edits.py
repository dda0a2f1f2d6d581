"""The edits that a change of authority is made of: each takes a state and gives the next, or says why it cannot. Knows no Django.

An edit is an object {edit: name, ...fields}. People name persons by handle and logins by user name; what they do not name (ids,
version numbers) is filled in when the change is proposed, so that the same edits always lead to the same state.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from fido2.utils import websafe_decode

from approvals import canonical
from approvals.authority.state import Document, text_of_moment
from approvals.errors import BadChange, BadGuardrail
from approvals.policies import rules_from
from approvals.signatures import cose_key

Edit = Mapping[str, Any]
MOST_EDITS: Final = 200
_HANDLE: Final = re.compile(r"[a-z][a-z0-9._-]{0,63}")
_LONGEST: Final = 2048
_PATH: Final = {"iam_user": "user", "role": "role"}
KINDS: Final = ("iam_user", "source_identity", "sso_user", "role")


def apply(document: Document, edits: Sequence[Edit]) -> Document:
    """The state after the edits. Raises BadChange naming the edit and what is wrong with it."""
    if not 0 < len(edits) <= MOST_EDITS:
        raise BadChange(f"A change has one to {MOST_EDITS} edits, not {len(edits)}.")
    if sum(edit.get("edit") == "invite" for edit in edits) > 1:
        raise BadChange(
            "A change issues one enrolment link: who signs it holds one code, which would open every link of it. Propose one "
            "change for each person."
        )
    for index, edit in enumerate(edits):
        name = edit.get("edit")
        known = EDITS.get(str(name))
        if known is None:
            raise BadChange(f"Edit {index + 1}: there is no edit {name!r}; there are {', '.join(EDITS)}.")
        try:
            document = known(document, edit)
        except BadChange as error:
            raise BadChange(f"Edit {index + 1} ({name}): {error}" if len(edits) > 1 else str(error)) from error
        except KeyError as error:
            raise BadChange(f"Edit {index + 1} ({name}) lacks {error.args[0]}.") from error
    return document


# --- persons --------------------------------------------------------------------------------------------------------------


def _add_person(document: Document, edit: Edit) -> Document:
    handle = _text(edit, "handle")
    if not _HANDLE.fullmatch(handle):
        raise BadChange(f"The handle {handle!r} must be lower-case letters, digits, dots and dashes, beginning with a letter.")
    try:
        plain = str(UUID(str(edit["id"]))) == edit["id"]
    except ValueError:
        plain = False
    if not plain:
        raise BadChange("A new person has an id: a UUID as 32 lower-case digits and four dashes.")
    if any(row["handle"] == handle or row["id"] == edit["id"] for row in document["persons"]):
        raise BadChange(f"There is a person {handle} already; handles are for ever.")
    person = {
        "id": edit["id"],
        "handle": handle,
        "name": _text(edit, "name"),
        "email": _text(edit, "email", empty=True),
        "human": _flag(edit, "human", usual=True),
        "active": True,
        "administrator": _flag(edit, "administrator"),
        "auditor": _flag(edit, "auditor"),
        "logins": [_text(edit, "login")] if edit.get("login", handle) and "login" in edit else [handle],
        "sign_on": [],
        "principals": [],
        "passkeys": [],
    }
    return {**document, "persons": [*document["persons"], person]}


def _set_person(document: Document, edit: Edit) -> Document:
    fields = {name: edit[name] for name in ("name", "email", "active", "administrator", "auditor") if name in edit}
    if not fields:
        raise BadChange("Nothing is changed: name what, of name, email, active, administrator, auditor.")
    for name in ("active", "administrator", "auditor"):
        if name in fields:
            _flag(edit, name)
    for name in ("name", "email"):
        if name in fields:
            fields[name] = _text(edit, name, empty=name == "email")
    return _person(document, edit, lambda row: {**row, **fields})


def _add_login(document: Document, edit: Edit) -> Document:
    return _person(document, edit, lambda row: {**row, "logins": _with(row["logins"], _text(edit, "login"), "login")})


def _remove_login(document: Document, edit: Edit) -> Document:
    login = _text(edit, "login")
    changed = _person(document, edit, lambda row: {**row, "logins": _without(row["logins"], login, "login")})
    return {
        **changed,
        "groups": {name: [one for one in members if one != login] for name, members in changed["groups"].items()},
        "grants": [row for row in changed["grants"] if row.get("login") != login],
        "persons": [{**row, "sign_on": [one for one in row["sign_on"] if one["login"] != login]} for row in changed["persons"]],
    }


def _sign_on(edit: Edit) -> dict[str, str]:
    return {name: _text(edit, name) for name in ("login", "provider", "subject")}


def _add_sign_on(document: Document, edit: Edit) -> Document:
    wanted = _sign_on(edit)

    def added(row: Document) -> Document:
        if wanted["login"] not in row["logins"]:
            raise BadChange(f"{row['handle']} has no login {wanted['login']}.")
        return {**row, "sign_on": _with(row["sign_on"], wanted, "sign-on")}

    return _person(document, edit, added)


def _remove_sign_on(document: Document, edit: Edit) -> Document:
    return _person(document, edit, lambda row: {**row, "sign_on": _without(row["sign_on"], _sign_on(edit), "sign-on")})


def _add_principal(document: Document, edit: Edit) -> Document:
    kind, value, precedence = _text(edit, "kind"), _text(edit, "value"), edit.get("precedence", 0)
    if kind not in KINDS:
        raise BadChange(f"A principal's kind is {', '.join(KINDS)}, not {kind!r}.")
    if type(precedence) is not int or not -1000 <= precedence <= 1000:
        raise BadChange("A principal's precedence is a whole number from -1000 to 1000.")
    if kind in ("iam_user", "role") and not re.fullmatch(rf"arn:[\w*?-]+:iam::[\d*?]{{1,12}}:{_PATH[kind]}/\S+", value):
        raise BadChange(f"{value} is no ARN of an IAM {_PATH[kind]}.")
    if not value.strip("*?"):
        raise BadChange("A pattern of stars alone would make everybody this person.")
    made = {"kind": kind, "value": value, "precedence": precedence}
    return _person(document, edit, lambda row: {**row, "principals": _with(row["principals"], made, "principal")})


def _remove_principal(document: Document, edit: Edit) -> Document:
    kind, value = _text(edit, "kind"), _text(edit, "value")

    def removed(row: Document) -> Document:
        left = [one for one in row["principals"] if (one["kind"], one["value"]) != (kind, value)]
        if len(left) == len(row["principals"]):
            raise BadChange(f"{row['handle']} has no principal {kind}:{value}.")
        return {**row, "principals": left}

    return _person(document, edit, removed)


def _add_passkey(document: Document, edit: Edit) -> Document:
    made = {name: _text(edit, name) for name in ("credential_id", "public_key", "label")}
    try:
        cose_key(bytes(websafe_decode(made["public_key"])))
        websafe_decode(made["credential_id"])
    except (ValueError, TypeError) as error:
        raise BadChange("The passkey cannot be read. Copy both texts as the portal's passkey page shows them.") from error
    return _person(document, edit, lambda row: {**row, "passkeys": _with(row["passkeys"], made, "passkey")})


def _remove_passkey(document: Document, edit: Edit) -> Document:
    credential = _text(edit, "credential_id")

    def removed(row: Document) -> Document:
        left = [one for one in row["passkeys"] if one["credential_id"] != credential]
        if len(left) == len(row["passkeys"]):
            raise BadChange(f"{row['handle']} has no such passkey.")
        return {**row, "passkeys": left}

    return _person(document, edit, removed)


def _invite(document: Document, edit: Edit) -> Document:
    person = _found(document, edit)
    if not person["human"] or not person["active"]:
        raise BadChange("Only an active person registers passkeys; a bot never signs.")
    invitation = {"id": _text(edit, "id"), "person": person["id"], "until": _moment(edit, "until"), "codes": []}
    # A person has one invitation at a time: the newer link makes the older one worthless.
    others = [row for row in document["invitations"] if row["person"] != person["id"]]
    return {**document, "invitations": [*others, invitation]}


def _uninvite(document: Document, edit: Edit) -> Document:
    person = _found(document, edit)
    left = [row for row in document["invitations"] if row["person"] != person["id"]]
    if len(left) == len(document["invitations"]):
        raise BadChange(f"{person['handle']} has no open invitation.")
    return {**document, "invitations": left}


# --- groups and rights ----------------------------------------------------------------------------------------------------


def _add_member(document: Document, edit: Edit) -> Document:
    name, login = _text(edit, "group"), _text(edit, "login")
    _known_login(document, login)
    members = _with(document["groups"].get(name, []), login, "member")
    return {**document, "groups": {**document["groups"], name: members}}


def _remove_member(document: Document, edit: Edit) -> Document:
    name = _text(edit, "group")
    members = _without(document["groups"].get(name, []), _text(edit, "login"), "member")
    return {**document, "groups": {**document["groups"], name: members}}


def _holder(document: Document, edit: Edit) -> dict[str, str]:
    if ("login" in edit) == ("group" in edit):
        raise BadChange("A right is given to one login or to one group.")
    if "login" in edit:
        _known_login(document, _text(edit, "login"))
        return {"login": edit["login"]}
    if edit["group"] not in document["groups"]:
        raise BadChange(f"There is no group {edit['group']!r}.")
    return {"group": edit["group"]}


def _grant(document: Document, edit: Edit) -> Document:
    guardrail = _text(edit, "guardrail")
    if guardrail not in {row["name"] for row in document["guardrails"]}:
        raise BadChange(f"There is no guardrail {guardrail!r}.")
    made: dict[str, Any] = {
        "guardrail": guardrail,
        **_holder(document, edit),
        "starts": _moment(edit, "starts") if edit.get("starts") else None,
        "ends": _moment(edit, "ends") if edit.get("ends") else None,
        "delegated_by": None,
    }
    if edit.get("delegated_by"):
        made["delegated_by"] = _found(document, {"person": edit["delegated_by"]})["id"]
        if "login" not in made or made["ends"] is None:
            raise BadChange("A delegation is to one login and has an end.")
    if made["starts"] and made["ends"] and made["starts"] >= made["ends"]:
        raise BadChange("The right would end before it begins.")
    key = _grant_key(made)
    return {**document, "grants": [*(row for row in document["grants"] if _grant_key(row) != key), made]}


def _revoke(document: Document, edit: Edit) -> Document:
    lent = _found(document, {"person": edit["delegated_by"]})["id"] if edit.get("delegated_by") else None
    key = (_text(edit, "guardrail"), edit.get("login", ""), edit.get("group", ""), lent or "")
    left = [row for row in document["grants"] if _grant_key(row) != key]
    if len(left) == len(document["grants"]):
        raise BadChange("There is no such right to take away.")
    return {**document, "grants": left}


def _grant_key(row: Mapping[str, Any]) -> tuple[str, str, str, str]:
    return row["guardrail"], row.get("login", ""), row.get("group", ""), row["delegated_by"] or ""


# --- guardrails, accounts, settings ---------------------------------------------------------------------------------------


def _put_guardrail(document: Document, edit: Edit) -> Document:
    try:
        rules = rules_from(edit["rules"])
    except BadGuardrail as error:
        raise BadChange(str(error)) from error
    text = rules.text()
    versions = [row for row in document["guardrails"] if row["name"] == rules.name]
    if versions and max(versions, key=lambda row: row["number"])["text"] == text:
        raise BadChange(f"Guardrail {rules.name} says exactly this already.")
    number = 1 + max((row["number"] for row in versions), default=0)
    made = {"name": rules.name, "number": number, "hash": canonical.digest(text), "text": text}
    return {**document, "guardrails": [*document["guardrails"], made]}


_ACCOUNT: Final = ("alias", "partition", "executor_role_arn", "external_id", "environment")


def _put_account(document: Document, edit: Edit) -> Document:
    key = _text(edit, "id")
    if not re.fullmatch(r"\d{12}", key):
        raise BadChange("An account's id is 12 digits.")
    known = next((row for row in document["accounts"] if row["id"] == key), {"partition": "aws", "environment": "", "tags": {}})
    made = {**known, "id": key, **{name: _text(edit, name, empty=name == "environment") for name in _ACCOUNT if name in edit}}
    made["regions"] = list(edit.get("regions", made.get("regions", [])))
    made["tags"] = dict(edit.get("tags", made["tags"]))
    if missing := [name for name in _ACCOUNT if name not in made]:
        raise BadChange(f"A new account needs {', '.join(missing)}.")
    texts = [*made["regions"], *made["tags"], *made["tags"].values()]
    if not made["regions"] or not all(isinstance(text, str) and text for text in texts):
        raise BadChange("An account has at least one region; regions, tags and their values are texts.")
    if not re.fullmatch(rf"arn:{re.escape(made['partition'])}:iam::{key}:role/\S+", made["executor_role_arn"]):
        raise BadChange(f"The executor's role is a role in this account: arn:{made['partition']}:iam::{key}:role/...")
    return {**document, "accounts": [*(row for row in document["accounts"] if row["id"] != key), made]}


def _set_settings(document: Document, edit: Edit) -> Document:
    made = dict(document["settings"])
    for name, least, most in (("signers", 2, 20), ("checkpoint_every", 60, 7 * 86_400)):
        if name in edit:
            if type(edit[name]) is not int or not least <= edit[name] <= most:
                raise BadChange(f"{name.replace('_', ' ').capitalize()} is a whole number from {least} to {most}.")
            made[name] = edit[name]
    if "checkpoint_bucket" in edit:
        bucket = _text(edit, "checkpoint_bucket", empty=True)
        if bucket and not re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", bucket):
            raise BadChange(f"{bucket!r} is no name of an S3 bucket.")
        made["checkpoint_bucket"] = bucket
    if made == document["settings"]:
        raise BadChange("Nothing is changed.")
    return {**document, "settings": made}


EDITS: Final[Mapping[str, Callable[[Document, Edit], Document]]] = {
    "add_person": _add_person,
    "set_person": _set_person,
    "add_login": _add_login,
    "remove_login": _remove_login,
    "add_sign_on": _add_sign_on,
    "remove_sign_on": _remove_sign_on,
    "add_principal": _add_principal,
    "remove_principal": _remove_principal,
    "add_passkey": _add_passkey,
    "remove_passkey": _remove_passkey,
    "invite": _invite,
    "uninvite": _uninvite,
    "add_member": _add_member,
    "remove_member": _remove_member,
    "grant": _grant,
    "revoke": _revoke,
    "put_guardrail": _put_guardrail,
    "put_account": _put_account,
    "set_settings": _set_settings,
}


# --- reading an edit ------------------------------------------------------------------------------------------------------


def _found(document: Document, edit: Edit) -> Document:
    handle = _text(edit, "person")
    person = next((row for row in document["persons"] if row["handle"] == handle), None)
    if person is None:
        raise BadChange(f"There is no person {handle!r}.")
    return dict(person)


def _person(document: Document, edit: Edit, change: Callable[[Document], Document]) -> Document:
    found = _found(document, edit)
    changed = change(found)
    if changed == found:
        raise BadChange(f"Nothing is changed of {found['handle']}.")
    return {**document, "persons": [changed if row["id"] == found["id"] else row for row in document["persons"]]}


def _known_login(document: Document, login: str) -> None:
    if not any(login in row["logins"] for row in document["persons"]):
        raise BadChange(f"There is no login {login!r}.")


def _with(items: Sequence[Any], item: Any, word: str) -> list[Any]:
    if item in items:
        raise BadChange(f"That {word} is there already.")
    return [*items, item]


def _without(items: Sequence[Any], item: Any, word: str) -> list[Any]:
    if item not in items:
        raise BadChange(f"There is no such {word}.")
    return [one for one in items if one != item]


def _text(edit: Edit, name: str, *, empty: bool = False) -> str:
    value = edit[name]
    if not isinstance(value, str) or "\0" in value or len(value) > _LONGEST or not (empty or value.strip()):
        raise BadChange(f"{name.replace('_', ' ').capitalize()} is a text{'' if empty else ' that is not empty'}.")
    return value


def _flag(edit: Edit, name: str, *, usual: bool = False) -> bool:
    value = edit.get(name, usual)
    if not isinstance(value, bool):
        raise BadChange(f"{name.replace('_', ' ').capitalize()} is yes or no.")
    return value


def _moment(edit: Edit, name: str) -> str:
    try:
        found = datetime.fromisoformat(_text(edit, name))
    except ValueError as error:
        raise BadChange(f"{name.capitalize()} is a date and time with its zone, such as 2027-01-31T18:00:00+01:00.") from error
    if found.tzinfo is None or not timedelta(0) <= found - datetime(2020, 1, 1, tzinfo=found.tzinfo) < timedelta(days=36_500):
        raise BadChange(f"{name.capitalize()} is a date and time with its zone, such as 2027-01-31T18:00:00+01:00.")
    return str(text_of_moment(found))
