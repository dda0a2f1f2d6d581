"""The fields of a guardrail, declared once: the reader checks by them, and docs/guardrails.schema.json is written from them.

`python -m approvals.policies` prints that file.
"""

from __future__ import annotations

import json
from typing import Any, Final

from approvals.canonical import LARGEST_INTEGER
from approvals.operations.facts import RISK_CLASSES
from approvals.policies import rules
from approvals.policies.rules import DAYS, Clocks, Irreversible, Mode, Operator
from approvals.policies.shapes import AnyOf, Choice, Field, Flag, ListOf, MapOf, Number, Object, Text

FILE_SCHEMA: Final = "countersign/guardrails/1"
_DAY: Final = 86_400
_YEAR: Final = 366 * _DAY

_PATTERNS: Final = ListOf(Text(least=1))
_NAME: Final = Text(
    pattern="[a-z][a-z0-9-]{1,62}", like="lower-case letters, digits and dashes, beginning with a letter (at most 63 characters)"
)
_GROUP: Final = Text(least=1, most=150)
_ZONE: Final = Text(pattern=r"[A-Za-z][A-Za-z0-9_+/-]{0,63}", like="the name of a time zone such as Europe/Berlin")
_HOUR: Final = Text(pattern=r"(?:[01][0-9]|2[0-3]):[0-5][0-9]", like="a time such as 22:00")
_HOUR_OR_END: Final = Text(pattern=r"(?:[01][0-9]|2[0-3]):[0-5][0-9]|24:00", like="a time such as 06:00, or 24:00")
_LOCAL: Final = Text(
    pattern=r"2[0-9]{3}-[0-9]{2}-[0-9]{2}(?:T(?:[01][0-9]|2[0-3]):[0-5][0-9])?", like="a local time such as 2026-12-20T18:00"
)
_SCALAR: Final = AnyOf(
    (Text(most=2048), Number(-LARGEST_INTEGER, LARGEST_INTEGER), Flag()), "a text, a whole number, true or false"
)
_INTEGER: Final = Number(-LARGEST_INTEGER, LARGEST_INTEGER)

CONDITION: Final = Object(
    {
        "parameter": Field(
            Text(
                most=512,
                pattern=r"[A-Za-z][A-Za-z0-9_-]*(?:\.[A-Za-z0-9_:/-]+)*",
                like="a member of the call such as Force or Tags.Key",
            ),
            "the boto3 parameter; dots lead into structures and maps, lists on the way mean any of their items",
            needed=True,
        ),
        "is": Field(_SCALAR, "equal to this"),
        "is_not": Field(_SCALAR, "anything else than this, or absent"),
        "in": Field(ListOf(_SCALAR, what="value"), "equal to one of these"),
        "matches": Field(Text(least=1, most=2048), "a text that fits this pattern with * and ?"),
        "at_least": Field(_INTEGER, "a number, this or greater"),
        "at_most": Field(_INTEGER, "a number, this or smaller"),
        "present": Field(Choice((True,)), "the call has the parameter, or AWS takes a default for it"),
        "absent": Field(Choice((True,)), "the call has not the parameter, and AWS takes no default for it"),
    },
    one_of=(tuple(str(one) for one in Operator),),
)

WINDOW: Final = Object(
    {
        "days": Field(ListOf(Choice(DAYS), what="day"), "the days on which it begins", needed=True),
        "from": Field(_HOUR, "when it begins, by the clock of the zone", needed=True),
        "to": Field(_HOUR_OR_END, "when it ends; a time at or before `from` is one of the day after", needed=True),
        "zone": Field(_ZONE, "the IANA time zone whose clock is meant", needed=True),
    }
)

FREEZE: Final = Object(
    {
        "from": Field(_LOCAL, "when it begins, by the clock of the zone; a date alone is its midnight", needed=True),
        "until": Field(_LOCAL, "when it ends", needed=True),
        "zone": Field(_ZONE, "the IANA time zone whose clock is meant", needed=True),
        "why": Field(Text(least=1, most=200), "what people read who have to wait", needed=True),
    }
)

BREAK_GLASS: Final = Object(
    {
        "groups": Field(ListOf(_GROUP, what="group"), "whose members may act at once in an emergency", needed=True),
        "review_within": Field(Number(60, 31 * _DAY), "seconds within which another approver must have reviewed it", needed=True),
    }
)

_CLOCKS: Final = Object(
    {
        "draft": Field(Number(60, _YEAR), "seconds that a draft lives", default=Clocks().draft),
        "pending": Field(Number(60, _YEAR), "seconds that a pending request lives", default=Clocks().pending),
        "approval": Field(
            Number(60, 31 * _DAY),
            "seconds that an approval is good for, extended to the close of an execution window",
            default=Clocks().approval,
        ),
    }
)

_IRREVERSIBLE: Final = Object(
    {
        "extra_approvals": Field(Number(0, 10), "approvals on top", default=Irreversible().extra_approvals),
        "typed_name": Field(Flag(), "whether approvers type the target's name", default=Irreversible().typed_name),
        "hold": Field(
            Number(0, 7 * _DAY), "seconds before the claim in which anybody concerned may stop it", default=Irreversible().hold
        ),
    }
)

GUARDRAIL: Final = Object(
    {
        "schema": Field(Choice((rules.SCHEMA,)), "the version of this format"),
        "name": Field(_NAME, "what versions, grants and people call it", needed=True),
        "description": Field(Text(), "what it is for, in a sentence"),
        "mode": Field(
            Choice(tuple(str(one) for one in Mode)), "enforce, or observe: only record what it would ask", default="enforce"
        ),
        "accounts": Field(_PATTERNS, "patterns of account numbers"),
        "account_tags": Field(
            MapOf(Text(least=1, most=128), _PATTERNS, "an object of tag names, each with a list of patterns", least=1),
            "an account that has every one of these tags is meant as well",
        ),
        "regions": Field(_PATTERNS, "patterns of regions", default=["*"]),
        "operations": Field(_PATTERNS, "patterns of service:Operation, in boto3's spelling", needed=True),
        "resources": Field(_PATTERNS, "patterns of ARNs", default=["*"]),
        "risk": Field(ListOf(Choice(RISK_CLASSES), what="class"), "only operations of one of these classes"),
        "families": Field(
            ListOf(Text(pattern="[a-z0-9]+(?:-[a-z0-9]+)*", most=63, like="a family such as rds-instance-loss"), what="family"),
            "only operations of one of these families of the operations table",
        ),
        "conditions": Field(ListOf(CONDITION, what="condition"), "all of these must hold; what is not known of a call holds"),
        "approvals": Field(Number(1, 20), "how many distinct persons, besides the requester, must approve", needed=True),
        "groups": Field(
            MapOf(_GROUP, Number(1, 20), "an object of group names, each with a number"),
            "at least so many of the approvers are of this group; who is in two counts for both",
        ),
        "reason": Field(Flag(), "whether requester and approvers must give a reason", default=True),
        "ticket": Field(
            Text(most=200, pattern=r"[^\u0000-\u001f]*", like="without control characters"),
            "the reason must name a ticket like this: # is a number, ? a character, * any characters, | parts alternatives",
        ),
        "unconfirmed": Field(
            Flag(), "whether an event that nobody confirmed may be decided, by two approvers at least", default=False
        ),
        "clocks": Field(_CLOCKS, "how long things live, in seconds"),
        "irreversible": Field(_IRREVERSIBLE, "what a plan that cannot be undone needs on top"),
        "protective_step": Field(
            Flag(),
            "whether what cannot be undone needs a backup of its target as a step before it, wherever one is known",
            default=False,
        ),
        "windows": Field(ListOf(WINDOW, what="window"), "carried out only inside one of these; they only delay"),
        "freezes": Field(ListOf(FREEZE, what="freeze"), "nothing is carried out meanwhile; they only delay"),
        "break_glass": Field(BREAK_GLASS, "lets eligible persons act at once in an emergency; off when absent"),
        "delegation": Field(Flag(), "whether a grant under it may be delegated", default=True),
    },
    any_of=(("accounts", "account_tags"),),
    titled="Guardrail",
)

FILE: Final = Object(
    {
        "schema": Field(Choice((FILE_SCHEMA,)), "the version of this format", needed=True),
        "guardrails": Field(ListOf(GUARDRAIL, what="guardrail"), "the guardrails, each with a name of its own", needed=True),
    },
    titled="Guardrails of Countersign",
)


def json_schema() -> dict[str, Any]:
    """The JSON schema of a guardrails file, as docs/guardrails.schema.json holds it."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": "urn:countersign:guardrails:1", **FILE.schema()}


def as_text() -> str:
    """The JSON schema as the published file has it."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=True) + "\n"
