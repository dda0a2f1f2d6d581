"""`manage.py check --deploy` for what would make this portal weaker than it says. Each error says what to set."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

from django.apps.config import AppConfig
from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error, Tags, register

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@register(Tags.security, deploy=True)
def dangerous_settings(app_configs: Sequence[AppConfig] | None, **_: Any) -> Sequence[CheckMessage]:
    """Everything that may not be so in a deployment."""
    return [message for check in _CHECKS for message in check()]


def _demo() -> Iterator[CheckMessage]:
    if settings.DEMO:
        yield _error("E001", "The demo setting is on: everybody can sign in as anybody.", "Unset COUNTERSIGN_DEMO.")
    if settings.DEMO_KEYS is not None:
        yield _error("E002", "Private keys of people are configured; no portal may hold one.", "Unset COUNTERSIGN_DEMO_KEYS.")
    if settings.DEBUG:
        yield _error("E003", "DEBUG shows settings and data to whoever provokes an error.", "Leave DEBUG False.")


def _transport() -> Iterator[CheckMessage]:
    origin = urlsplit(settings.ORIGIN)
    if origin.scheme != "https":
        yield _error("E010", f"The origin {settings.ORIGIN!r} is not https.", "Set COUNTERSIGN_ORIGIN to an https address.")
    if origin.hostname in _LOOPBACK:
        yield _warning("W011", "The origin is this machine itself.", "Set COUNTERSIGN_ORIGIN to the address that people type.")
    for name in ("SESSION_COOKIE_SECURE", "CSRF_COOKIE_SECURE", "SESSION_COOKIE_HTTPONLY", "SECURE_SSL_REDIRECT"):
        if not getattr(settings, name):
            yield _error("E012", f"{name} is off, so a cookie can be read on the way.", f"Set {name} = True.")
    if "*" in settings.ALLOWED_HOSTS:
        yield _error("E013", "Any Host header is accepted.", "List the hosts in COUNTERSIGN_HOSTS.")


def _policy() -> Iterator[CheckMessage]:
    directives = getattr(settings, "CONTENT_SECURITY_POLICY", {}).get("DIRECTIVES", {})
    for name in ("script-src", "style-src"):
        if list(directives.get(name, [])) != ["'self'"]:
            yield _error("E020", f"The content security policy's {name} is not 'self' alone.", "Take back what was added.")
    if list(directives.get("frame-ancestors", [])) != ["'none'"]:
        yield _error("E021", "Another site may frame the decision pages.", "Set frame-ancestors to 'none'.")


def _serializers() -> Iterator[CheckMessage]:
    if settings.SESSION_SERIALIZER != "django.contrib.sessions.serializers.JSONSerializer":
        yield _error("E030", "Sessions are not JSON; unpickling one runs code.", "Use Django's JSONSerializer.")
    if settings.SESSION_ENGINE != "django.contrib.sessions.backends.db":
        yield _error("E031", "Sessions lie outside the database.", "Use django.contrib.sessions.backends.db.")
    for alias, cache in settings.CACHES.items():
        backend = str(cache.get("BACKEND", "")).lower()
        if "locmem" not in backend and "dummy" not in backend:
            yield _error(
                "E032",
                f"The cache {alias!r} is shared ({cache.get('BACKEND')}): Django unpickles what it finds there.",
                "Use the local memory cache.",
            )
    if getattr(settings, "MESSAGE_STORAGE", "").startswith("pickle"):
        yield _error("E033", "Messages are pickled.", "Leave MESSAGE_STORAGE alone.")


def _sign_in() -> Iterator[CheckMessage]:
    wanted = {
        "MFA_ADAPTER": "portal.mfa.EncryptingMFAAdapter",
        "ACCOUNT_ADAPTER": "portal.sso.AccountAdapter",
        "SOCIALACCOUNT_ADAPTER": "portal.sso.SocialAccountAdapter",
    }
    for name, value in wanted.items():
        if getattr(settings, name, None) != value:
            yield _error("E040", f"{name} is not {value}: sign-in is open wider than it may be.", f"Set {name} = {value!r}.")
    if settings.SECOND_FACTOR not in ("amr", "provider"):
        yield _error("E041", f"SECOND_FACTOR is {settings.SECOND_FACTOR!r}.", "Set OIDC_SECOND_FACTOR to amr or provider.")
    if not settings.SOCIALACCOUNT_PROVIDERS.get("openid_connect", {}).get("APPS"):
        yield _warning(
            "W042",
            "No single sign-on is configured: leavers keep their login until somebody removes it.",
            "Set OIDC_ISSUER, OIDC_CLIENT_ID and OIDC_CLIENT_SECRET.",
        )
    elif settings.SECOND_FACTOR == "provider":
        yield _warning(
            "W043",
            "The provider's policy is trusted for the second factor; nothing in its tokens is looked at.",
            "Set OIDC_SECOND_FACTOR=amr where the provider sends the claim.",
        )
    if getattr(settings, "SOCIALACCOUNT_EMAIL_AUTHENTICATION", False):
        yield _error("E044", "A mail address that a provider claims opens an account.", "Set it to False.")


def _executor() -> Iterator[CheckMessage]:
    if settings.PROCESS == "execution" and not settings.GENESIS:
        yield _error("E050", "The executor has no genesis hash to trust.", "Set COUNTERSIGN_GENESIS to what bootstrap printed.")
    if settings.PROCESS == "execution" and not settings.CLAIMS_BUCKET:
        yield _error(
            "E051",
            "The executor claims nothing outside the database, so a restored backup would be executed again.",
            "Set COUNTERSIGN_CLAIMS_BUCKET to a bucket with Object Lock (docs/operators.md).",
        )


def _sealing() -> Iterator[CheckMessage]:
    if settings.PROCESS != "web":
        return
    if settings.OPENING_KEYS or "PRIVATE KEY" in settings.SEALING_KEY:
        yield _error(
            "E060",
            "The web process holds a key that opens sealed secrets.",
            "Unset COUNTERSIGN_OPENING_KEY here; give COUNTERSIGN_SEALING_KEY the public key alone.",
        )
    if not settings.SEALING_KEY:
        yield _warning(
            "W061",
            "No sealing key is configured, so nobody can ask for a call with a password or another secret in it.",
            "Set COUNTERSIGN_SEALING_KEY to the public key whose private half the execution process has.",
        )


_CHECKS: tuple[Callable[[], Iterator[CheckMessage]], ...] = (
    _demo,
    _transport,
    _policy,
    _serializers,
    _sign_in,
    _executor,
    _sealing,
)


def _error(number: str, message: str, hint: str) -> Error:
    return Error(message, hint=hint, id=f"portal.{number}")


def _warning(number: str, message: str, hint: str) -> checks.Warning:
    return checks.Warning(message, hint=hint, id=f"portal.{number}")
