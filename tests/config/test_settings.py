"""What production starts with, tried in processes of their own as a deployment would start them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import sealing_keys

PROJECT = Path(__file__).resolve().parents[2]
PRODUCTION = {
    "PATH": os.environ["PATH"],
    "DJANGO_SETTINGS_MODULE": "config.settings",
    "COUNTERSIGN_ORIGIN": "https://countersign.example.com",
    "COUNTERSIGN_SECRET_KEY": "rV0b1m2Tn5Zk8Wc4Xy7Qp9Hs3Jd6Lf0Ga2Ne5Ui8Ot1Br4Kw7Mz",
    "DATABASE_URL": "postgresql://countersign_web:hunter2hunter2@127.0.0.1:9/countersign",
    "REDIS_URL": "redis://:hunter3hunter3@127.0.0.1:9/0",
}

# What the workers' environments want besides.
WORKER = {
    "COUNTERSIGN_QUEUE_URL": "https://sqs.eu-west-1.amazonaws.com/111122223333/countersign-events",
    "COUNTERSIGN_TOPIC_ARN": "arn:aws:sns:eu-west-1:111122223333:countersign-notifications",
    "COUNTERSIGN_CLAIMS_BUCKET": "countersign-claims",
}


def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", *arguments],
        env={**PRODUCTION, **environ},
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def settings(*names: str, **environ: str) -> dict:
    code = (
        "import json, sys; from django.conf import settings\n"
        "print(json.dumps({name: getattr(settings, name) for name in sys.argv[1:]}, default=str))"
    )
    done = run("-c", code, *names, **environ)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_production_passes_the_deployment_checks_without_a_warning():
    oidc = {"OIDC_ISSUER": "https://id.example.com", "OIDC_CLIENT_ID": "countersign", "OIDC_CLIENT_SECRET": "hush"}
    sealing = {"COUNTERSIGN_SEALING_KEY": sealing_keys.public_pem()}
    done = run("manage.py", "check", "--deploy", "--fail-level", "WARNING", **oidc, **sealing)
    assert done.returncode == 0, done.stderr


def test_the_demo_does_not_pass_the_deployment_checks():
    """Whoever switches the demo on in production is told by `check --deploy`."""
    done = run("manage.py", "check", "--deploy", "--fail-level", "WARNING", COUNTERSIGN_DEMO="1")
    assert done.returncode != 0


def test_cookies_transport_and_frames_are_closed_by_default():
    found = settings(
        "DEBUG",
        "SESSION_COOKIE_SECURE",
        "CSRF_COOKIE_SECURE",
        "SESSION_COOKIE_HTTPONLY",
        "SECURE_SSL_REDIRECT",
        "SECURE_HSTS_SECONDS",
        "SECURE_PROXY_SSL_HEADER",
        "X_FRAME_OPTIONS",
        "ALLOWED_HOSTS",
    )
    assert found == {
        "DEBUG": False,
        "SESSION_COOKIE_SECURE": True,
        "CSRF_COOKIE_SECURE": True,
        "SESSION_COOKIE_HTTPONLY": True,
        "SECURE_SSL_REDIRECT": True,
        "SECURE_HSTS_SECONDS": 31536000,
        "SECURE_PROXY_SSL_HEADER": None,
        "X_FRAME_OPTIONS": "DENY",
        "ALLOWED_HOSTS": ["countersign.example.com"],
    }


def test_a_proxys_header_is_believed_only_when_told_so():
    assert settings("SECURE_PROXY_SSL_HEADER", COUNTERSIGN_BEHIND_PROXY="1")["SECURE_PROXY_SSL_HEADER"] == [
        "HTTP_X_FORWARDED_PROTO",
        "https",
    ]


def test_nothing_is_pickled_through_the_broker():
    """No session and no cache in Redis; Celery speaks JSON in both directions."""
    found = settings("SESSION_ENGINE", "SESSION_SERIALIZER", "CACHES")
    assert found["SESSION_ENGINE"] == "django.contrib.sessions.backends.db"
    assert found["SESSION_SERIALIZER"] == "django.contrib.sessions.serializers.JSONSerializer"
    assert {cache["BACKEND"] for cache in found["CACHES"].values()} == {"django.core.cache.backends.locmem.LocMemCache"}


@pytest.mark.parametrize("directive", ["script-src", "style-src"])
def test_the_content_security_policy_allows_nothing_inline(directive):
    policy = settings("CONTENT_SECURITY_POLICY")["CONTENT_SECURITY_POLICY"]["DIRECTIVES"]
    assert policy[directive] == ["'self'"]
    assert policy["default-src"] == ["'none'"]
    assert policy["frame-ancestors"] == ["'none'"]


def test_single_sign_on_comes_from_the_environment():
    found = settings(
        "SOCIALACCOUNT_PROVIDERS",
        "CONTENT_SECURITY_POLICY",
        OIDC_ISSUER="https://id.example.com/realm",
        OIDC_CLIENT_ID="countersign",
        OIDC_CLIENT_SECRET="hush",
    )
    (app,) = found["SOCIALACCOUNT_PROVIDERS"]["openid_connect"]["APPS"]
    assert (app["client_id"], app["settings"]["server_url"]) == ("countersign", "https://id.example.com/realm")
    assert "https://id.example.com" in found["CONTENT_SECURITY_POLICY"]["DIRECTIVES"]["form-action"]


def test_the_web_process_refuses_aws_keys():
    done = run("manage.py", "check", AWS_SECRET_ACCESS_KEY="hunter4hunter4")
    assert done.returncode != 0
    assert "AWS_SECRET_ACCESS_KEY must not be set for the web process" in done.stderr
    assert "hunter4" not in done.stderr


@pytest.mark.parametrize("command", [["makemigrations", "--check", "--dry-run"], ["demo", "--help"]])
def test_tools_need_no_environment(command):
    """A fresh clone can run these before anything is configured."""
    done = subprocess.run(
        [sys.executable, "manage.py", *command], env={"PATH": os.environ["PATH"]}, cwd=PROJECT, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.usefixtures("django_db_setup")
@pytest.mark.parametrize(
    ("process", "expected"),
    [(name, ["1min", "30s"]) for name in ("web", "feed", "delivery", "execution", "authority")] + [("owner", ["0", "0"])],
)
def test_no_process_holds_a_lock_or_waits_for_one_for_ever(role_url, process, expected):
    """PostgreSQL ends a transaction that stands still and a wait for a lock, except for the owner, whose migrations take long."""
    code = (
        "import django, json; django.setup(); from django.db import connection as c\n"
        "with c.cursor() as cursor:\n"
        "    print(json.dumps([cursor.execute('SHOW ' + name).fetchone()[0]"
        " for name in ('idle_in_transaction_session_timeout', 'lock_timeout')]))\n"
        "c.close()"
    )
    environ = {"COUNTERSIGN_PROCESS": process, "COUNTERSIGN_GENESIS": "0" * 64, "AWS_REGION": "eu-west-1", **WORKER}
    done = run("-c", code, **environ, DATABASE_URL=role_url("web" if process == "owner" else process))
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == expected


def test_what_the_database_url_sets_is_kept_beside_our_own():
    """An operator's `options` in the URL come after ours, so both count and his win."""
    found = settings("DATABASES", DATABASE_URL=f"{PRODUCTION['DATABASE_URL']}?options=-c%20lock_timeout%3D5s")
    options = found["DATABASES"]["default"]["OPTIONS"]["options"]
    assert "idle_in_transaction_session_timeout=60s" in options
    assert options.endswith("-c lock_timeout=5s")
