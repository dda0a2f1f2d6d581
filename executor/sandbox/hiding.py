"""What CloudTrail does not tell: values that it writes as hidden, and values that it leaves out without a trace.

Source: public records, and the services' own pages on CloudTrail. botocore's `sensitive` trait and blobs cover about
half of it; the rest is this list.
"""

import enum
from collections.abc import Mapping

from botocore.model import Shape

HIDDEN = "HIDDEN_DUE_TO_SECURITY_REASONS"
REMOVED = "<sensitiveDataRemoved>"


class Fate(enum.Enum):
    """What becomes of a value: written as it is, written as hidden, or not written."""

    SHOWN = "shown"
    HIDDEN = "hidden"
    ABSENT = "absent"


# Members that leave no trace, by service; they are meant wherever they stand in the parameters.
_ABSENT: Mapping[str, frozenset[str]] = {
    "iam": frozenset(["Password", "OldPassword", "NewPassword", "AuthenticationCode1", "AuthenticationCode2", "SecretAccessKey"]),
    "lambda": frozenset(["ZipFile", "Variables"]),
    "cloudformation": frozenset(["TemplateBody", "ParameterValue"]),
    "secretsmanager": frozenset(["SecretString", "SecretBinary"]),
    "kms": frozenset(["EncryptedKeyMaterial", "ImportToken", "Plaintext", "CiphertextBlob", "Message"]),
    "sts": frozenset(["SecretAccessKey"]),
}
_HIDDEN: Mapping[str, frozenset[str]] = {
    "ssm": frozenset(["Parameters"]),
    "sns": frozenset(["Message"]),
    "rds-data": frozenset(["sql", "sqls"]),
    "redshift-data": frozenset(["Sql", "Sqls"]),
    "ec2": frozenset(["UserData"]),
    "elasticache": frozenset(["AuthToken", "Passwords"]),
    "memorydb": frozenset(["Passwords"]),
}
_PASSWORDS = ("Password", "password")
# Operations whose members of these names are no secret, or of which no public record shows that they are left out.
_SHOWN = frozenset({("ssm", "PutInventory"), ("ssm", "GetParameters"), ("cloudformation", "CreateStackRefactor")})


def fate(service: str, operation: str, name: str, shape: Shape | None) -> Fate:
    """What CloudTrail does with the member `name` of an operation's parameters, wherever it stands in them."""
    shown = (service, operation) in _SHOWN
    if not shown and name in _ABSENT.get(service, ()):
        return Fate.ABSENT
    if not shown and name in _HIDDEN.get(service, ()):
        return Fate.HIDDEN
    if shape is None:
        return Fate.SHOWN
    secret = shape.metadata.get("sensitive") or shape.type_name == "blob"
    return Fate.HIDDEN if secret or (name.endswith(_PASSWORDS) and shape.type_name == "string") else Fate.SHOWN
