"""The people of the model, by login: who is whose alias, who is no human, who holds a right at first."""

from __future__ import annotations

from typing import Final

# In this order the votes and the open ceremonies of a request are kept.
LOGINS: Final = ("alice", "al", "erin", "bob", "carol", "dana", "robo")
AT: Final = {login: index for index, login in enumerate(LOGINS)}
# alice asks, and has a second login; erin edits and adopts; bob and carol approve; dana has no right; robo is a bot.
ALIASES: Final = {"al": "alice"}
BOTS: Final = frozenset({"robo"})
EDITORS: Final = ("alice", "erin")
APPROVERS: Final = ("bob", "carol")
# The requester, the editor and the bot hold the right too: it must not help them.
RIGHTS: Final = frozenset({"alice", "al", "erin", "bob", "carol", "robo"})
# The group of which a guardrail may want some.
OWNERS: Final = frozenset({"carol"})


def human_behind(login: str) -> str:
    """The one human behind a login: what the invariants go by, whatever the guards believe."""
    return ALIASES.get(login, login)
