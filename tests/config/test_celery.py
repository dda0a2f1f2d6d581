"""The broker carries names, never trust; a nudge never gets in the way."""

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import redis
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from django.conf import settings

from config import celery

PROJECT = Path(__file__).resolve().parents[2]


def test_messages_are_json_and_acknowledged_late():
    found = celery.app.conf
    assert found.accept_content == ["json"]
    assert found.result_accept_content == ["json"]
    assert (found.task_serializer, found.result_serializer, found.event_serializer) == ("json", "json", "json")
    assert (found.task_acks_late, found.task_reject_on_worker_lost, found.worker_prefetch_multiplier) == (True, True, 1)
    assert found.worker_enable_remote_control is False


def test_every_sweep_has_a_queue_of_its_worker_and_expires():
    """What piled up while a worker was away is dropped; clocks that differ by a few seconds drop nothing."""
    for entry in celery.app.conf.beat_schedule.values():
        assert entry["task"] in celery.ROUTES
        assert 10 <= entry["options"]["expires"] <= 15
    assert {route["queue"] for route in celery.ROUTES.values()} == {"feed", "delivery", "execution", "authority"}
    assert set(celery.DRAINS.values()) <= set(celery.SWEEPS)


def test_the_outbox_names_the_nudge():
    assert settings.OUTBOX_NUDGE == "config.celery.nudge"


def nudge_in_a_process(redis_url: str, kind: str, repeat: int = 1) -> tuple[float, str]:
    """Nudge as the web process does; returns the longest one in seconds and what was logged."""
    code = (
        "import sys, time, django; django.setup(); from config.celery import nudge\n"
        "longest = 0\n"
        "for _ in range(int(sys.argv[2])):\n"
        "    began = time.monotonic(); nudge(sys.argv[1]); longest = max(longest, time.monotonic() - began)\n"
        "print(longest, file=sys.stderr)"
    )
    environ = {**os.environ, "DJANGO_SETTINGS_MODULE": "config.settings", "REDIS_URL": redis_url}
    done = subprocess.run(
        [sys.executable, "-c", code, kind, str(repeat)],
        env=environ,
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    return float(done.stderr.splitlines()[-1]), done.stdout


@pytest.mark.parametrize(("kind", "queue"), [("notify", "delivery"), ("mirror", "delivery"), ("execute", "execution")])
def test_a_nudge_wakes_the_worker_of_its_kind_and_carries_nothing(valkey_url, kind, queue):
    with redis.Redis.from_url(valkey_url) as broker:
        broker.delete(queue)
        _, logged = nudge_in_a_process(valkey_url, kind)
        assert logged == ""
        (message,) = broker.lrange(queue, 0, -1)
        broker.delete(queue)
    found = json.loads(message)
    assert found["headers"]["task"] == celery.DRAINS[kind]
    assert found["headers"]["argsrepr"] == "()"
    assert found["headers"]["expires"]
    assert found["content-type"] == "application/json"


def test_a_worker_is_woken_once_for_several_kinds(valkey_url):
    """What one worker drains is one message, and each worker has its own."""
    with redis.Redis.from_url(valkey_url) as broker:
        broker.delete("delivery", "execution")
        code = "import django; django.setup(); from config.celery import nudge; nudge('execute', 'notify', 'mirror', 'inspect')"
        environ = {**os.environ, "DJANGO_SETTINGS_MODULE": "config.settings", "REDIS_URL": valkey_url}
        subprocess.run([sys.executable, "-c", code], env=environ, cwd=PROJECT, timeout=30, check=True)
        assert [broker.llen(queue) for queue in ("execution", "delivery")] == [1, 1]
        broker.delete("delivery", "execution")


def test_a_nudge_without_a_broker_is_quick_and_silent_to_its_caller():
    took, logged = nudge_in_a_process("redis://127.0.0.1:9/0", "execute", repeat=3)
    assert took < 1.2
    assert "the next sweep does the work" in logged


def test_a_nudge_to_a_broker_that_hangs_gives_up_within_a_second():
    """A broker that accepts and never answers is worse than none."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        took, logged = nudge_in_a_process(f"redis://127.0.0.1:{server.getsockname()[1]}/0", "execute", repeat=2)
    assert took < 1.2
    assert "the next sweep does the work" in logged


def test_a_broker_whose_certificate_nobody_vouches_for_is_told_nothing(tmp_path):
    """rediss:// is TLS, and the other side must show a certificate that the machine trusts; kombu alone would take any."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = tmp_path / "pair.pem"
    pem.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + made.public_bytes(Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    said: list[object] = []

    def answer(server):
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            try:
                with context.wrap_socket(connection, server_side=True) as secured:
                    said.append(secured.recv(10))
            except OSError as error:
                said.append(str(error))

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=answer, args=(server,), daemon=True).start()
        _, logged = nudge_in_a_process(f"rediss://localhost:{server.getsockname()[1]}/0", "execute")
    assert "certificate verify failed" in logged
    assert said
    assert all("ALERT" in str(one) for one in said), said


def test_an_unknown_kind_is_an_error_in_the_log():
    _, logged = nudge_in_a_process("redis://127.0.0.1:9/0", "nonsense")
    assert json.loads(logged)["level"] == "ERROR"


def test_a_worker_starts_and_stops_quickly(valkey_url, cloned_database):
    """The worker of a queue comes up with the settings of production, logs JSON, and ends on SIGTERM."""
    environ = {
        **os.environ,
        "COUNTERSIGN_PROCESS": "feed",
        "COUNTERSIGN_QUEUE_URL": "http://127.0.0.1:9/1/q",
        "COUNTERSIGN_LOG_LEVEL": "INFO",
        "REDIS_URL": valkey_url,
        "DATABASE_URL": cloned_database,
    }
    argv = [
        sys.executable,
        "-m",
        "celery",
        "--quiet",
        "--app",
        "config.celery",
        "worker",
        "--queues",
        "feed",
        "--concurrency",
        "1",
    ]
    with subprocess.Popen(argv, env=environ, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as worker:
        assert worker.stdout
        for text in worker.stdout:
            if "ready" in json.loads(text)["message"]:
                break
        began = time.monotonic()
        worker.send_signal(signal.SIGTERM)
        worker.communicate(timeout=15)
    assert worker.returncode == 0
    assert time.monotonic() - began < 5
