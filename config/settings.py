"""Django's settings, translated from the environment. Production is the default; the demo is overrides at the end.

`config.environment` reads and checks the variables; nothing else in the project reads `os.environ`.
"""

import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.core.management.utils import get_random_secret_key

from config import environment, logs

BASE_DIR = Path(__file__).resolve().parent.parent
ENVIRONMENT = environment.read(os.environ)

# --- what the house itself asks for ---
PROCESS = ENVIRONMENT.process
DEMO = ENVIRONMENT.demo
DEMO_KEYS: Path | None = ENVIRONMENT.demo_keys
ORIGIN = ENVIRONMENT.origin
RP_ID = ENVIRONMENT.rp_id
GENESIS = ENVIRONMENT.genesis
QUEUE_URL = ENVIRONMENT.queue_url
TOPIC_ARN = ENVIRONMENT.topic_arn
MIRROR_TABLE = ENVIRONMENT.mirror_table
# Seconds: how long a call of the executor's role may wait for its attempt, and a success for CloudTrail's record of it.
PROOF_GRACE = 60
UNPROVEN_AFTER = 20 * 60
# Executions under way at a time in an account, and of one service there; those of one requester that begin within an hour.
EXECUTIONS_PER_ACCOUNT = ENVIRONMENT.executions_per_account
EXECUTIONS_PER_SERVICE = ENVIRONMENT.executions_per_service
EXECUTIONS_PER_REQUESTER = ENVIRONMENT.executions_per_requester
# Where a test kills or freezes a worker (executor.points); the environment refuses it outside the demo.
STOP_AT = ENVIRONMENT.stop_at
HOME_REGION = ENVIRONMENT.home_region
BROKER_URL = ENVIRONMENT.redis_url
BEHIND_PROXY = ENVIRONMENT.behind_proxy
# The public key that secrets are sealed for (PEM text; "" where none can be entered), and what opens them: files or KMS ARNs.
SEALING_KEY = ENVIRONMENT.sealing_key
OPENING_KEYS = ENVIRONMENT.opening_keys
# The bucket of the claims outside the database ("": none are kept), and the days for which each is locked.
# CloudTrail's log files ("": they are not read), what precedes the account in their keys, and the bucket's region ("": the home).
TRAIL_BUCKET = ENVIRONMENT.trail_bucket
TRAIL_PREFIX = ENVIRONMENT.trail_prefix
TRAIL_REGION = ENVIRONMENT.trail_region
CLAIMS_BUCKET = ENVIRONMENT.claims_bucket
CLAIMS_DAYS = ENVIRONMENT.claims_days
# approvals calls what this names after a commit; so it knows no Celery and portal imports no task.
OUTBOX_NUDGE = "config.celery.nudge"
# Whether single sign-on's second factor is read from the id token's `amr`, or the provider's policy is trusted.
SECOND_FACTOR = ENVIRONMENT.oidc.second_factor if ENVIRONMENT.oidc else "amr"

# --- Django ---
DEBUG = False
# Workers and tools sign nothing that outlives them.
SECRET_KEY = ENVIRONMENT.secret_key or get_random_secret_key()
ALLOWED_HOSTS = [RP_ID, *ENVIRONMENT.hosts]
ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
AUTH_USER_MODEL = "portal.User"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
LANGUAGE_CODE = "en"
TIME_ZONE = ENVIRONMENT.time_zone
USE_TZ = True
# Bounds on what one request may make the web process hold.
DATA_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024
DATA_UPLOAD_MAX_NUMBER_FIELDS = 1000
DATA_UPLOAD_MAX_NUMBER_FILES = 0

INSTALLED_APPS = [
    "portal",
    "executor",
    "approvals",
    # Simple: portal.site decides what the admin shows; an autodiscovered admin would add tables nobody chose.
    "django.contrib.admin.apps.SimpleAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.humanize",
    "django.contrib.messages",
    "django.contrib.postgres",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.openid_connect",
    "csp",
    "guardian",
]

MIDDLEWARE = [
    "config.middleware.RequestIdMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "config.middleware.NoNulMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

# --- database: PostgreSQL, as the role of this process ---
# A worker that stands still must not hold its locks for ever, nor whoever waits for them wait as long. A migration may.
_NOT_FOR_EVER = "" if PROCESS == "owner" else "-c idle_in_transaction_session_timeout=60s -c lock_timeout=30s"
# A policy that hides rows from a role is an error to it, not another truth.
_NOTHING_HIDDEN = "-c row_security=off"
DATABASES: dict[str, dict[str, Any]] = {}
if ENVIRONMENT.database:
    _GIVEN = dict(ENVIRONMENT.database.options)
    DATABASES["default"] = {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": ENVIRONMENT.database.host,
        "PORT": ENVIRONMENT.database.port,
        "NAME": ENVIRONMENT.database.name,
        "USER": ENVIRONMENT.database.user,
        "PASSWORD": ENVIRONMENT.database.password,
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {
            "application_name": f"countersign-{PROCESS}",
            "connect_timeout": 5,
            "server_side_binding": True,
            "prepare_threshold": 3,
            **_GIVEN,
            # What the URL says comes last and wins, setting by setting.
            "options": f"{_NOT_FOR_EVER} {_NOTHING_HIDDEN} {_GIVEN.get('options', '')}".strip(),
        },
    }

# Sessions in the database, as JSON. No cache or session lives in Redis: Django's Redis cache unpickles what it finds
# there, so whoever can write to the broker could run code. The local cache serves sign-in rate limits only.
SESSION_ENGINE = "django.contrib.sessions.backends.db"
SESSION_SERIALIZER = "django.contrib.sessions.serializers.JSONSerializer"
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}

# --- transport and cookies ---
SECURE_SSL_REDIRECT = True
# A probe inside the network speaks plain http to the process itself.
SECURE_REDIRECT_EXEMPT = [r"^healthz$"]
# Only a proxy that always sets this header may be believed; otherwise anybody could claim to have come by TLS.
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if BEHIND_PROXY else None
SECURE_HSTS_SECONDS = 365 * 24 * 3600
SECURE_HSTS_INCLUDE_SUBDOMAINS = True
SECURE_HSTS_PRELOAD = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
# `__Host-`: the browser itself then refuses the cookie from a subdomain, without TLS or for a narrower path.
SESSION_COOKIE_NAME = "__Host-session"
SESSION_COOKIE_SECURE = True
SESSION_COOKIE_HTTPONLY = True
# Lax, not Strict: the identity provider's redirect back to us must carry the session that began the sign-in.
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = 12 * 3600
CSRF_COOKIE_NAME = "__Host-csrf"
CSRF_COOKIE_SECURE = True
CSRF_COOKIE_HTTPONLY = True
CSRF_COOKIE_SAMESITE = "Strict"
CSRF_TRUSTED_ORIGINS = [ORIGIN] if ORIGIN else []

_SINGLE_SIGN_ON_ORIGIN = ["{0.scheme}://{0.netloc}".format(urlsplit(ENVIRONMENT.oidc.issuer))] if ENVIRONMENT.oidc else []
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        # data: for the QR code of a one-time-password enrolment, which allauth draws into the page.
        "img-src": ["'self'", "data:"],
        "font-src": ["'self'"],
        "connect-src": ["'self'"],
        # Chromium applies form-action to redirects too, and sign-in posts a form that redirects to the provider.
        "form-action": ["'self'", *_SINGLE_SIGN_ON_ORIGIN],
        "base-uri": ["'none'"],
        "object-src": ["'none'"],
        "frame-ancestors": ["'none'"],
    },
}

# --- static files ---
STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}

# --- sign-in ---
# One way in (allauth, which knows the second factor), and guardian for object permissions; no ModelBackend, whose
# model-wide answer would be a second way to the same right.
AUTHENTICATION_BACKENDS = [
    "allauth.account.auth_backends.AuthenticationBackend",
    "guardian.backends.ObjectPermissionBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
ANONYMOUS_USER_NAME = None
GUARDIAN_MONKEY_PATCH_USER = False
GUARDIAN_MONKEY_PATCH_GROUP = False
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "email", "password1*", "password2*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_DEFAULT_HTTP_PROTOCOL = "https"
ACCOUNT_LOGOUT_ON_GET = False
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_ADAPTER = "portal.mfa.EncryptingMFAAdapter"
ACCOUNT_ADAPTER = "portal.sso.AccountAdapter"
SOCIALACCOUNT_ADAPTER = "portal.sso.SocialAccountAdapter"
# A provider's mail address is a claim, not an identity: accounts are keyed on issuer and subject alone.
SOCIALACCOUNT_EMAIL_AUTHENTICATION = False
SOCIALACCOUNT_LOGIN_ON_GET = False
SOCIALACCOUNT_STORE_TOKENS = False
SOCIALACCOUNT_PROVIDERS: dict[str, dict[str, Any]] = {}
if ENVIRONMENT.oidc:
    SOCIALACCOUNT_PROVIDERS["openid_connect"] = {
        "APPS": [
            {
                "provider_id": "oidc",
                "name": "Single sign-on",
                "client_id": ENVIRONMENT.oidc.client_id,
                "secret": ENVIRONMENT.oidc.client_secret,
                # Who somebody is stands in the id token; userinfo would be a second answer to the same question.
                "settings": {"server_url": ENVIRONMENT.oidc.issuer, "oauth_pkce_enabled": True, "fetch_userinfo": False},
            }
        ]
    }

# --- logs ---
_SECRETS = [
    SECRET_KEY,
    ENVIRONMENT.database.password if ENVIRONMENT.database else "",
    urlsplit(BROKER_URL).password or "",
    ENVIRONMENT.oidc.client_secret if ENVIRONMENT.oidc else "",
    *(os.environ.get(name, "") for name in ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")),
]
LOGGING = logs.configuration(ENVIRONMENT.log_level, _SECRETS, PROCESS)
if PROCESS in {"owner", "tool"}:
    # A person runs commands and reads warnings as text; their output proper goes through the command itself.
    LOGGING["handlers"]["stdout"]["stream"] = "ext://sys.stderr"

# --- the demo: http on localhost, files as they lie. `check --deploy` refuses every line of it ---
if DEMO:
    SECURE_SSL_REDIRECT = False
    SECURE_HSTS_SECONDS = 0
    SECURE_HSTS_INCLUDE_SUBDOMAINS = False
    SECURE_HSTS_PRELOAD = False
    SESSION_COOKIE_NAME = "countersign_demo_session"
    SESSION_COOKIE_SECURE = False
    CSRF_COOKIE_NAME = "countersign_demo_csrf"
    CSRF_COOKIE_SECURE = False
    ACCOUNT_DEFAULT_HTTP_PROTOCOL = "http"
    MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = True
    STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    WHITENOISE_USE_FINDERS = True
    WHITENOISE_AUTOREFRESH = True
