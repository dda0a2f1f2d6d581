"""The signed chain of who may do what. `decisions` reads the tables; the executor walks the chain and trusts nothing else.

The state is one canonical document: persons, their logins, principals and passkeys, groups, grants, guardrail versions, accounts.
Link 0 is the genesis; its hash stands in the executor's own configuration, so whoever can write the database cannot begin another
chain. Each later link carries what made it valid: a quorum's signatures over (new state, previous hash), or the registration of
passkeys by somebody whom a quorum invited.
"""

from approvals.authority.chain import relying_party, standing, walk
from approvals.authority.links import Standing, link_hash
from approvals.authority.state import Authority, Grant, KnownAccount
from approvals.authority.tables import document_of_tables, state_of_tables

__all__ = [
    "Authority",
    "Grant",
    "KnownAccount",
    "Standing",
    "document_of_tables",
    "link_hash",
    "relying_party",
    "standing",
    "state_of_tables",
    "walk",
]
