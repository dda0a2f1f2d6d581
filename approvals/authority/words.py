"""What the edits of a change ask for, as the end of the sentence "somebody proposes to ...". Knows no Django.

The sentence is for lists and titles. What is signed is the difference between two states, and that is what signers read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from approvals import canonical
from approvals.errors import BadCanonicalForm

Edit = Mapping[str, Any]
ENROLMENT: Final = "register passkeys by an enrolment link"
# A title names this many edits; the difference names all.
MOST: Final = 3


def sentence_of(edits: Sequence[Edit]) -> str:
    """`let carol review under dynamodb-production; add the person gina; and 2 more`."""
    said = [_said(edit) for edit in edits[:MOST]]
    more = len(edits) - len(said)
    return "; ".join([*said, f"and {more} more"] if more else said) or "change nothing"


def sentence_in(text: str) -> str:
    """The same for edits as they are stored, as canonical JSON."""
    try:
        return sentence_of(canonical.loads(text))
    except (BadCanonicalForm, AttributeError, TypeError):
        return "do something that cannot be read"


def _said(edit: Edit) -> str:
    name = str(edit.get("edit", ""))
    try:
        return _WORDS[name](edit)
    except (KeyError, TypeError, AttributeError):
        return name.replace("_", " ") or "change something"


def _set_person(edit: Edit) -> str:
    flags = {"active": ("switch {} on", "switch {} off")}
    for flag, word in (("administrator", "an administrator"), ("auditor", "an auditor")):
        flags[flag] = (f"make {{}} {word}", f"make {{}} {word} no longer")
    parts = [flags[name][0 if edit[name] else 1].format(edit["person"]) for name in flags if name in edit]
    parts += [f"change the {word} of {edit['person']}" for name, word in (("name", "name"), ("email", "mail")) if name in edit]
    return " and ".join(parts)


def _holder(edit: Edit) -> str:
    return str(edit["login"]) if "login" in edit else f"group {edit['group']}"


def _grant(edit: Edit) -> str:
    until = f" until {edit['ends']}" if edit.get("ends") else ""
    lent = f" in place of {edit['delegated_by']}" if edit.get("delegated_by") else ""
    return f"let {_holder(edit)} review under {edit['guardrail']}{lent}{until}"


def _revoke(edit: Edit) -> str:
    lent = f" that {edit['delegated_by']} delegated" if edit.get("delegated_by") else ""
    return f"take the right to review under {edit['guardrail']}{lent} from {_holder(edit)}"


_WORDS: Final[Mapping[str, Callable[[Edit], str]]] = {
    "add_person": lambda edit: f"add the person {edit['handle']}",
    "set_person": _set_person,
    "add_login": lambda edit: f"give {edit['person']} the login {edit['login']}",
    "remove_login": lambda edit: f"take the login {edit['login']} from {edit['person']}",
    "add_sign_on": lambda edit: f"let {edit['person']} sign in through {edit['provider']}",
    "remove_sign_on": lambda edit: f"no longer let {edit['person']} sign in through {edit['provider']}",
    "add_principal": lambda edit: f"take {edit['kind']}:{edit['value']} for {edit['person']}",
    "remove_principal": lambda edit: f"no longer take {edit['kind']}:{edit['value']} for {edit['person']}",
    "add_passkey": lambda edit: f"register a passkey for {edit['person']}",
    "remove_passkey": lambda edit: f"remove a passkey of {edit['person']}",
    "invite": lambda edit: f"invite {edit['person']} to register passkeys",
    "uninvite": lambda edit: f"take the enrolment link of {edit['person']} back",
    "add_member": lambda edit: f"put {edit['login']} into group {edit['group']}",
    "remove_member": lambda edit: f"take {edit['login']} out of group {edit['group']}",
    "grant": _grant,
    "revoke": _revoke,
    "put_guardrail": lambda edit: f"write the next version of guardrail {edit['rules']['name']}",
    "put_account": lambda edit: f"write account {edit.get('alias') or edit['id']}",
    "set_settings": lambda edit: f"set {', '.join(key.replace('_', ' ') for key in sorted(edit) if key != 'edit')}",
}
