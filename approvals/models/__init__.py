"""Facts, constraints and querysets. Verdicts are computed from them elsewhere and never stored."""

from approvals.models.alerts import Alert, AlertKind
from approvals.models.audit import AuditEntry, AuditKind, ChainHead
from approvals.models.authority import (
    AuthorityChange,
    AuthorityLink,
    AuthoritySettings,
    ChangeChallenge,
    ChangeSignature,
    Invitation,
    RegistrationChallenge,
)
from approvals.models.events import FeedBatch, QuarantinedMessage, TrailRecord
from approvals.models.executions import Attempt, Execution, Notice, Observation, Proof
from approvals.models.guardrails import Account, Guardrail, GuardrailGroupPermission, GuardrailUserPermission, GuardrailVersion
from approvals.models.outbox import OutboxKind, OutboxMessage
from approvals.models.people import Login, Passkey, Person, Principal
from approvals.models.requests import ApprovalRequest, Revision, RevisionGuardrail, Source
from approvals.models.reviews import Comment, Review, Signature, SignatureChallenge
from approvals.models.sealing import SealedKey
from approvals.models.statements import Look, Statement, StatementChallenge, StatementSignature

__all__ = [
    "Account",
    "Alert",
    "AlertKind",
    "ApprovalRequest",
    "Attempt",
    "AuditEntry",
    "AuditKind",
    "AuthorityChange",
    "AuthorityLink",
    "AuthoritySettings",
    "ChainHead",
    "ChangeChallenge",
    "ChangeSignature",
    "Comment",
    "Execution",
    "FeedBatch",
    "Guardrail",
    "GuardrailGroupPermission",
    "GuardrailUserPermission",
    "GuardrailVersion",
    "Invitation",
    "Login",
    "Look",
    "Notice",
    "Observation",
    "OutboxKind",
    "OutboxMessage",
    "Passkey",
    "Person",
    "Principal",
    "Proof",
    "QuarantinedMessage",
    "RegistrationChallenge",
    "Review",
    "Revision",
    "RevisionGuardrail",
    "SealedKey",
    "Signature",
    "SignatureChallenge",
    "Source",
    "Statement",
    "StatementChallenge",
    "StatementSignature",
    "TrailRecord",
]
