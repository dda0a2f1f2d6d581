"""The process environment, read once into one frozen, typed value.

Everything a deployment configures stands here; `settings` only translates it. A missing or wrong variable never
falls back silently: `read` collects every problem and raises one error that names each variable and what to do.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar, cast, get_args
from urllib.parse import SplitResult, unquote, urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.core.exceptions import ImproperlyConfigured

from approvals import sealing
from approvals.errors import BadSealingKey

Process = Literal["web", "feed", "delivery", "execution", "authority", "beat", "owner", "tool"]
SecondFactor = Literal["amr", "provider"]
LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR"]

PROCESSES: tuple[str, ...] = get_args(Process)
# Who needs what. `tool` is no process of a deployment (linters, makemigrations, the demo's launcher) and needs nothing.
WITH_DATABASE = frozenset({"web", "feed", "delivery", "execution", "authority", "owner"})
# Only these sign or read signed values; a worker that reads hostile input is better off without the key.
WITH_SIGNED_VALUES = frozenset({"web"})
# Who needs no origin: nothing that it does is shown to a person or verified against a passkey.
WITHOUT_ORIGIN = frozenset({"tool", "owner"})
WITH_BROKER = frozenset({"web", "feed", "delivery", "execution", "authority", "beat"})
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
# Credentials that boto3 would pick up by itself; web, authority and beat must have none of them.
AWS_CREDENTIALS = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_PROFILE",
    "AWS_ROLE_ARN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
)

# A key, not an alias: an alias could be pointed at another key.
_KMS_KEY = re.compile(r"arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:key/[A-Za-z0-9-]+")

T = TypeVar("T")


class WrongEnvironment(ImproperlyConfigured):
    """Environment variables are missing or wrong. The message lists every one with what to do."""


@dataclass(frozen=True)
class Database:
    """Where PostgreSQL is, and as which role: the parts of a postgresql:// URL, percent-decoded."""

    host: str
    port: int
    name: str
    user: str
    password: str
    options: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class SingleSignOn:
    """An OpenID Connect provider. `second_factor`: read it from the id token's `amr`, or trust the provider's policy."""

    issuer: str
    client_id: str
    client_secret: str
    second_factor: SecondFactor


@dataclass(frozen=True)
class Environment:
    """What this process was told. Times, sizes and units are in the field's own name; URLs are as given."""

    process: Process
    secret_key: str
    origin: str
    rp_id: str
    hosts: tuple[str, ...]
    behind_proxy: bool
    database: Database | None
    redis_url: str
    queue_url: str
    topic_arn: str
    mirror_table: str
    home_region: str
    genesis: str
    demo: bool
    demo_keys: Path | None
    stop_at: str
    oidc: SingleSignOn | None
    # The public key that secrets are sealed for, as PEM text; where the private ones are, newest first (files or KMS ARNs).
    sealing_key: str
    opening_keys: tuple[str, ...]
    # Where the execution process claims each attempt outside the database, and for how many days a claim is locked there.
    claims_bucket: str
    claims_days: int
    time_zone: str
    log_level: LogLevel


class _Reader:
    """Takes variables one by one and notes every problem instead of stopping at the first."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.problems: list[str] = []

    def text(self, name: str, default: str = "") -> str:
        return self._environ.get(name, "").strip() or default

    def wanted(self, name: str, why: str) -> str:
        value = self.text(name)
        if not value:
            self.problems.append(f"{name} is missing: {why}")
        return value

    def parsed(self, name: str, value: str, parse: Callable[[str], T], default: T) -> T:
        """`parse(value)`, or `default` and a noted problem when it raises ValueError. Empty values are the default."""
        if not value:
            return default
        try:
            return parse(value)
        except ValueError as error:
            self.problems.append(f"{name} {error}")
            return default

    def flag(self, name: str) -> bool:
        return self.parsed(name, self.text(name), _flag, default=False)


def _flag(value: str) -> bool:
    if value not in {"0", "1"}:
        raise ValueError("must be 0 or 1.")
    return value == "1"


def _one_of(choices: tuple[str, ...]) -> Callable[[str], str]:
    def parse(value: str) -> str:
        if value not in choices:
            raise ValueError(f"must be one of {', '.join(choices)}.")
        return value

    return parse


def _split(value: str) -> SplitResult:
    """Split a URL. The value itself never stands in the error: it may hold a password."""
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError as error:
        raise ValueError("is not a URL that can be read: check its host and port.") from error
    return parts


def _database(value: str) -> Database:
    parts = _split(value)
    name = unquote(parts.path.lstrip("/"))
    if parts.scheme not in {"postgresql", "postgres"} or not (parts.hostname and parts.username and name):
        raise ValueError("must read postgresql://role:password@host:port/database (PostgreSQL is the only engine).")
    options = []
    for pair in filter(None, parts.query.split("&")):
        key, _, setting = pair.partition("=")
        options.append((unquote(key), unquote(setting)))
    return Database(
        host=parts.hostname,
        port=parts.port or 5432,
        name=name,
        user=unquote(parts.username),
        password=unquote(parts.password or ""),
        options=tuple(options),
    )


def _redis(value: str) -> str:
    parts = _split(value)
    if parts.scheme not in {"redis", "rediss"} or not parts.hostname:
        raise ValueError("must read redis://:password@host:port/0, or rediss:// for TLS.")
    return value


def _origin(value: str) -> str:
    parts = _split(value)
    if parts.scheme not in {"https", "http"} or not parts.hostname or parts.path or parts.query or parts.username:
        raise ValueError("must read https://host or https://host:port, with nothing after it.")
    if parts.scheme == "http" and parts.hostname not in LOOPBACK:
        raise ValueError("must be https: passkeys and secure cookies work over http on localhost alone.")
    return value


def _genesis(value: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{64}", value):
        raise ValueError("must be the 64 hexadecimal digits that `manage.py bootstrap` printed.")
    return value


def _time_zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError("must be a name of the tz database, like Europe/Berlin.") from error
    return value


def _secret_key(value: str) -> str:
    if len(value) < 50:
        raise ValueError("must have at least 50 random characters, e.g. of `openssl rand -base64 48`.")
    return value


def _sealing_key(value: str) -> str:
    """The PEM text itself (line breaks may be written \\n), or that of the file named."""
    text = value.replace("\\n", "\n")
    if not value.startswith("-----BEGIN"):
        try:
            text = Path(value).read_text("ascii")
        except (OSError, ValueError) as error:
            raise ValueError("must be a public key in PEM form, or a file that holds one and can be read.") from error
    try:
        sealing.sealing_key(text)
    except BadSealingKey as error:
        raise ValueError(f"does not do. {error}") from error
    return text


def _opening_keys(value: str) -> tuple[str, ...]:
    keys = tuple(part.strip() for part in value.split(",") if part.strip())
    if not all(_KMS_KEY.fullmatch(key) or Path(key).is_file() for key in keys):
        raise ValueError("must be the ARN of a KMS key, or a file with a private key; several are separated by commas.")
    return keys


def _bucket(value: str) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", value):
        raise ValueError("must be the name of an S3 bucket.")
    return value


def _days(value: str) -> int:
    if not value.isdecimal() or not 30 <= int(value) <= 36_500:
        raise ValueError("must be a number of days, 30 to 36500, longer than any backup of the database is kept.")
    return int(value)


def _read_oidc(reader: _Reader) -> SingleSignOn | None:
    """All of the OIDC variables or none: half a provider is a mistake."""
    if not any(reader.text(name) for name in ("OIDC_ISSUER", "OIDC_CLIENT_ID", "OIDC_CLIENT_SECRET")):
        return None
    why = "single sign-on needs OIDC_ISSUER, OIDC_CLIENT_ID and OIDC_CLIENT_SECRET together."
    factor = reader.parsed("OIDC_SECOND_FACTOR", reader.text("OIDC_SECOND_FACTOR"), _one_of(get_args(SecondFactor)), "amr")
    issuer = reader.parsed("OIDC_ISSUER", reader.wanted("OIDC_ISSUER", why), _issuer, "")
    return SingleSignOn(
        issuer=issuer,
        client_id=reader.wanted("OIDC_CLIENT_ID", why),
        client_secret=reader.wanted("OIDC_CLIENT_SECRET", why),
        second_factor=cast("SecondFactor", factor),
    )


def _issuer(value: str) -> str:
    parts = _split(value)
    if not parts.hostname or (parts.scheme != "https" and parts.hostname not in LOOPBACK):
        raise ValueError("must be an https address (http is accepted on localhost alone).")
    return value.rstrip("/")


def _read_database(reader: _Reader, process: str) -> Database | None:
    """The owner's URL belongs to migrations and bootstrap alone: another process is never given it by mistake."""
    name = "DATABASE_OWNER_URL" if process == "owner" and reader.text("DATABASE_OWNER_URL") else "DATABASE_URL"
    value = reader.text(name)
    if process in WITH_DATABASE:
        value = reader.wanted(name, f"the {process} process needs postgresql://role:password@host:port/database.")
    return reader.parsed(name, value, _database, None)


def _refuse_keys_in_web(reader: _Reader, process: str) -> None:
    found = [name for name in AWS_CREDENTIALS if reader.text(name)]
    if process in {"web", "authority", "beat"} and found:
        reader.problems.append(
            f"{', '.join(found)} must not be set for the {process} process: it has no business with AWS. Unset them."
        )


def read(environ: Mapping[str, str]) -> Environment:
    """Read and check `environ`. Raises WrongEnvironment, which lists every missing or wrong variable at once."""
    reader = _Reader(environ)
    process = reader.parsed("COUNTERSIGN_PROCESS", reader.text("COUNTERSIGN_PROCESS"), _one_of(PROCESSES), "web")
    origin = reader.text(
        "COUNTERSIGN_ORIGIN", "https://countersign.invalid" if process in WITHOUT_ORIGIN else ""
    ) or reader.wanted(
        "COUNTERSIGN_ORIGIN", "the address people type, like https://countersign.example.com; passkeys are bound to it."
    )
    origin = reader.parsed("COUNTERSIGN_ORIGIN", origin, _origin, "")
    secret_key = reader.text("COUNTERSIGN_SECRET_KEY")
    if process in WITH_SIGNED_VALUES:
        secret_key = reader.wanted("COUNTERSIGN_SECRET_KEY", "50 or more random characters; sessions and factors depend on it.")
    redis_url = reader.text("REDIS_URL")
    if process in WITH_BROKER:
        redis_url = reader.wanted("REDIS_URL", f"the {process} process needs redis://:password@host:port/0.")
    demo_keys = reader.text("COUNTERSIGN_DEMO_KEYS")
    log_level = reader.parsed("COUNTERSIGN_LOG_LEVEL", reader.text("COUNTERSIGN_LOG_LEVEL"), _one_of(get_args(LogLevel)), "INFO")
    _refuse_keys_in_web(reader, process)
    environment = Environment(
        process=cast("Process", process),
        secret_key=reader.parsed("COUNTERSIGN_SECRET_KEY", secret_key, _secret_key, ""),
        origin=origin,
        rp_id=urlsplit(origin).hostname or "",
        hosts=tuple(host.strip() for host in reader.text("COUNTERSIGN_HOSTS").split(",") if host.strip()),
        behind_proxy=reader.flag("COUNTERSIGN_BEHIND_PROXY"),
        database=_read_database(reader, process),
        redis_url=reader.parsed("REDIS_URL", redis_url, _redis, ""),
        queue_url=reader.text("COUNTERSIGN_QUEUE_URL"),
        topic_arn=reader.text("COUNTERSIGN_TOPIC_ARN"),
        mirror_table=reader.text("COUNTERSIGN_MIRROR_TABLE", "ApprovalRequests"),
        home_region=reader.text("COUNTERSIGN_HOME_REGION", "eu-west-1"),
        genesis=reader.parsed("COUNTERSIGN_GENESIS", reader.text("COUNTERSIGN_GENESIS"), _genesis, ""),
        demo=reader.flag("COUNTERSIGN_DEMO"),
        demo_keys=Path(demo_keys) if demo_keys else None,
        stop_at=reader.text("COUNTERSIGN_STOP_AT"),
        oidc=_read_oidc(reader),
        sealing_key=reader.parsed("COUNTERSIGN_SEALING_KEY", reader.text("COUNTERSIGN_SEALING_KEY"), _sealing_key, ""),
        opening_keys=reader.parsed("COUNTERSIGN_OPENING_KEY", reader.text("COUNTERSIGN_OPENING_KEY"), _opening_keys, ()),
        claims_bucket=reader.parsed("COUNTERSIGN_CLAIMS_BUCKET", reader.text("COUNTERSIGN_CLAIMS_BUCKET"), _bucket, ""),
        claims_days=reader.parsed("COUNTERSIGN_CLAIMS_DAYS", reader.text("COUNTERSIGN_CLAIMS_DAYS"), _days, 400),
        time_zone=reader.parsed("COUNTERSIGN_TIME_ZONE", reader.text("COUNTERSIGN_TIME_ZONE"), _time_zone, "UTC"),
        log_level=cast("LogLevel", log_level),
    )
    if not environment.demo and origin.startswith("http://"):
        reader.problems.append("COUNTERSIGN_ORIGIN must be https outside the demo (COUNTERSIGN_DEMO=1).")
    _wants(reader, environment)
    if reader.problems:
        listed = "\n".join(f"  - {problem}" for problem in reader.problems)
        raise WrongEnvironment(
            f"The environment of the {process} process is not complete. Set these variables, then start it again:\n{listed}\n"
            "For a command that needs no database (a linter, makemigrations), set COUNTERSIGN_PROCESS=tool."
        )
    return environment


def _wants(reader: _Reader, environment: Environment) -> None:
    """What single processes cannot work without."""
    if environment.process == "feed" and not environment.queue_url:
        reader.problems.append("COUNTERSIGN_QUEUE_URL is missing: the feed reads this SQS queue.")
    if environment.process == "delivery" and not environment.topic_arn:
        reader.problems.append("COUNTERSIGN_TOPIC_ARN is missing: delivery publishes notifications to this SNS topic.")
    if environment.process in ("execution", "authority") and not environment.genesis:
        reader.problems.append("COUNTERSIGN_GENESIS is missing: this process trusts only the authority that begins with it.")
    if environment.process == "execution" and not environment.claims_bucket and not environment.demo:
        reader.problems.append(
            "COUNTERSIGN_CLAIMS_BUCKET is missing: without claims outside the database a restored backup is executed again."
        )
    if environment.opening_keys and environment.process != "execution":
        reader.problems.append(
            "COUNTERSIGN_OPENING_KEY opens every sealed secret and is for the execution process alone: unset it here."
        )
    if environment.stop_at and not environment.demo:
        reader.problems.append("COUNTERSIGN_STOP_AT kills a worker for a test: unset it, or set COUNTERSIGN_DEMO=1.")
    if environment.demo_keys and not environment.demo:
        reader.problems.append("COUNTERSIGN_DEMO_KEYS is for the demo alone: unset it, or set COUNTERSIGN_DEMO=1.")
