"""docker-compose.yml, read as an engine would read it: who gets which variables, and whether each process would start."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from config.environment import AWS_CREDENTIALS, read

PROJECT = Path(__file__).resolve().parents[1]
COMPOSE = yaml.safe_load((PROJECT / "docker-compose.yml").read_text())
PROCESSES = {
    "migrate": "owner",
    "web": "web",
    "feed": "feed",
    "delivery": "delivery",
    "execution": "execution",
    "authority": "authority",
    "beat": "beat",
}
_VARIABLE = re.compile(r"\$\$|\$\{(\w+)(:\?[^}]*|:-[^}]*)?\}")
SET = {
    "COUNTERSIGN_ORIGIN": "https://countersign.example.com",
    "COUNTERSIGN_SECRET_KEY": "k" * 60,
    "COUNTERSIGN_QUEUE_URL": "https://queue.example.com/1/q",
    "COUNTERSIGN_TOPIC_ARN": "arn:aws:sns:eu-west-1:111122223333:t",
    "COUNTERSIGN_GENESIS": "0" * 64,
    "COUNTERSIGN_CLAIMS_BUCKET": "countersign-claims",
}


def interpolated(text: str) -> str:
    """What compose makes of ${NAME:?why} and ${NAME:-default}; passwords and keys are their own names here."""

    def value(match: re.Match[str]) -> str:
        name, rule = match[1], match[2] or ""
        if name is None:
            return "$"
        return SET.get(name) or (rule[2:] if rule.startswith(":-") else name.lower())

    return _VARIABLE.sub(value, text)


def environ(service: str) -> dict[str, str]:
    """The environment of a service; a name without a value is not set, as where the operator's shell lacks it."""
    found: dict[str, Any] = COMPOSE["services"][service].get("environment", {})
    return {name: interpolated(value) for name, value in found.items() if value is not None}


@pytest.mark.parametrize(("service", "process"), PROCESSES.items())
def test_each_process_would_start_with_what_it_is_given(service, process):
    """The very reader that a container would run accepts the environment."""
    found = read(environ(service))
    assert found.process == process
    assert not found.demo
    if found.database:
        assert found.database.user == f"countersign_{process}"


def test_the_web_container_has_no_aws_variable():
    assert not [name for name in COMPOSE["services"]["web"]["environment"] if name.startswith("AWS_")]
    assert "aws" not in COMPOSE["services"]["web"]["networks"]


def test_no_two_workers_share_a_key_or_a_password():
    keys = [environ(service)["AWS_ACCESS_KEY_ID"] for service in ("feed", "delivery", "execution")]
    passwords = [
        read(environ(service)).database.password for service in ("migrate", "web", "feed", "delivery", "execution", "authority")
    ]
    assert len(set(keys)) == 3
    assert len(set(passwords)) == 6


def test_every_secret_must_be_given():
    """No default stands in for a password, a key or the secret key: compose stops and names what is missing."""
    text = (PROJECT / "docker-compose.yml").read_text()
    secrets = re.findall(r"\$\{(\w*(?:PASSWORD|SECRET|ACCESS_KEY_ID)\w*)([^}]*)\}", text)
    assert len(secrets) > 15
    assert all(rule.startswith(":?") for _, rule in secrets)


def test_everything_that_runs_on_has_a_healthcheck_and_only_what_must_be_is_reachable():
    services = COMPOSE["services"]
    assert {name for name, service in services.items() if "healthcheck" not in service} == {"migrate"}
    assert {name for name, service in services.items() if "ports" in service} == {"web", "local-aws"}
    assert services["local-aws"]["profiles"] == ["local-aws"]
    assert COMPOSE["networks"]["data"]["internal"] is True


def test_the_image_holds_the_pinned_requirements_of_production():
    build = COMPOSE["services"]["web"]["build"]["dockerfile_inline"]
    assert "--require-hashes -r requirements.txt" in build
    assert "\nUSER countersign" in build


def test_the_script_of_the_roles_is_a_shell_script_that_makes_each_role():
    script = interpolated(COMPOSE["configs"]["database-roles"]["content"])
    subprocess.run(["sh", "-n"], input=script, text=True, check=True)
    for process in ("owner", "web", "feed", "delivery", "execution", "authority"):
        assert f"CREATE ROLE countersign_{process} LOGIN" in script
    assert "SUPERUSER" not in script


def test_no_credential_that_the_reader_knows_is_given_to_another_process():
    for service in ("migrate", "web", "authority", "beat"):
        assert not set(AWS_CREDENTIALS) & COMPOSE["services"][service]["environment"].keys()
