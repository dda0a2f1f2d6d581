"""The environment is read once, strictly, and says everything that is wrong at once."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from config import environment
from config.environment import WrongEnvironment, read
from tests import sealing_keys

WEB = {
    "COUNTERSIGN_ORIGIN": "https://countersign.example.com:8443",
    "COUNTERSIGN_SECRET_KEY": "k" * 50,
    "DATABASE_URL": "postgresql://web:p%40ss@db.example.com:6543/countersign?sslmode=verify-full",
    "REDIS_URL": "rediss://:secret@broker.example.com:6380/0",
}
OIDC = {"OIDC_ISSUER": "https://id.example.com/", "OIDC_CLIENT_ID": "countersign", "OIDC_CLIENT_SECRET": "hush"}


def test_production_is_the_default():
    """Without a word about it, a process is the web process of a deployment and no demo."""
    found = read(WEB)
    assert (found.process, found.demo, found.demo_keys, found.behind_proxy) == ("web", False, None, False)
    assert (found.time_zone, found.log_level, found.mirror_table, found.home_region) == (
        "UTC",
        "INFO",
        "ApprovalRequests",
        "eu-west-1",
    )


def test_a_database_url_is_taken_apart_and_decoded():
    assert read(WEB).database == environment.Database(
        "db.example.com", 6543, "countersign", "web", "p@ss", (("sslmode", "verify-full"),)
    )


def test_the_relying_party_is_the_origins_host():
    found = read(WEB)
    assert (found.origin, found.rp_id) == ("https://countersign.example.com:8443", "countersign.example.com")


def test_what_was_read_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        read(WEB).demo = True  # type: ignore[misc]


def test_every_missing_variable_is_named_at_once():
    with pytest.raises(WrongEnvironment) as wrong:
        read({})
    for name in WEB:
        assert f"- {name} is missing: " in str(wrong.value)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("COUNTERSIGN_PROCESS", "webb", "must be one of web, feed"),
        ("COUNTERSIGN_ORIGIN", "http://countersign.example.com", "must be https"),
        ("COUNTERSIGN_ORIGIN", "https://countersign.example.com/portal", "with nothing after it"),
        ("COUNTERSIGN_ORIGIN", "https://host:port", "is not a URL"),
        ("COUNTERSIGN_ORIGIN", "http://localhost:8000", "must be https outside the demo"),
        ("COUNTERSIGN_SECRET_KEY", "short", "at least 50"),
        ("COUNTERSIGN_DEMO", "yes", "must be 0 or 1"),
        ("COUNTERSIGN_DEMO_KEYS", "keys.json", "for the demo alone"),
        ("COUNTERSIGN_GENESIS", "ABC", "64 hexadecimal digits"),
        ("COUNTERSIGN_TIME_ZONE", "Mars/Olympus", "tz database"),
        ("COUNTERSIGN_TIME_ZONE", "../../etc/passwd", "tz database"),
        ("COUNTERSIGN_LOG_LEVEL", "LOUD", "must be one of DEBUG"),
        ("DATABASE_URL", "sqlite:///db", "PostgreSQL is the only engine"),
        ("DATABASE_URL", "postgresql://host/db", "role:password"),
        ("REDIS_URL", "memory://", "must read redis://"),
        ("OIDC_SECOND_FACTOR", "maybe", "must be one of amr, provider"),
        ("OIDC_ISSUER", "http://id.example.com", "must be an https address"),
        ("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE", "has no business with AWS"),
    ],
)
def test_a_wrong_value_is_named_with_what_to_do(name, value, says):
    with pytest.raises(WrongEnvironment) as wrong:
        read({**WEB, **OIDC, name: value})
    (line,) = [line for line in str(wrong.value).splitlines() if line.startswith("  - ")]
    assert name in line
    assert says in line


def test_a_password_never_stands_in_the_error():
    with pytest.raises(WrongEnvironment) as wrong:
        read({**WEB, "DATABASE_URL": "mysql://web:hunter2hunter2@db/x", "REDIS_URL": "amqp://u:hunter2hunter2@b"})
    assert "hunter2" not in str(wrong.value)


def test_half_a_provider_is_refused():
    """All of the single sign-on variables or none."""
    with pytest.raises(WrongEnvironment, match="OIDC_CLIENT_SECRET is missing"):
        read({**WEB, "OIDC_ISSUER": "https://id.example.com", "OIDC_CLIENT_ID": "countersign"})
    found = read({**WEB, **OIDC}).oidc
    assert found == environment.SingleSignOn("https://id.example.com", "countersign", "hush", "amr")


def test_the_owners_url_is_for_the_owner_alone():
    """Another process that is given the owner's URL by mistake does not use it."""
    both = {**WEB, "DATABASE_OWNER_URL": "postgresql://owner:x@db/countersign"}
    assert _user(read(both)) == "web"
    assert _user(read({**both, "COUNTERSIGN_PROCESS": "owner"})) == "owner"


@pytest.mark.parametrize(
    ("process", "name"),
    [
        ("feed", "COUNTERSIGN_QUEUE_URL"),
        ("delivery", "COUNTERSIGN_TOPIC_ARN"),
        ("execution", "COUNTERSIGN_GENESIS"),
        ("execution", "COUNTERSIGN_CLAIMS_BUCKET"),
        ("authority", "COUNTERSIGN_GENESIS"),
    ],
)
def test_each_worker_says_what_it_cannot_work_without(process, name):
    with pytest.raises(WrongEnvironment, match=f"{name} is missing"):
        read({**WEB, "COUNTERSIGN_PROCESS": process})


def test_a_worker_needs_no_key_that_signs_values():
    """Feed reads hostile input: taken over, it must not be able to forge what the web process signs."""
    worker = {name: value for name, value in WEB.items() if name != "COUNTERSIGN_SECRET_KEY"}
    assert read({**worker, "COUNTERSIGN_PROCESS": "feed", "COUNTERSIGN_QUEUE_URL": "http://q"}).secret_key == ""


def test_beat_needs_the_broker_alone():
    found = read({name: WEB[name] for name in ("COUNTERSIGN_ORIGIN", "REDIS_URL")} | {"COUNTERSIGN_PROCESS": "beat"})
    assert found.database is None


def test_a_tool_needs_nothing():
    found = read({"COUNTERSIGN_PROCESS": "tool"})
    assert (found.database, found.redis_url, found.secret_key) == (None, "", "")


def _user(found: Any) -> str:
    return found.database.user


class TestKeysForSecrets:
    """The web process seals, the execution process opens, and no other arrangement starts."""

    EXECUTION = {
        "COUNTERSIGN_PROCESS": "execution",
        "COUNTERSIGN_ORIGIN": WEB["COUNTERSIGN_ORIGIN"],
        "DATABASE_URL": WEB["DATABASE_URL"],
        "REDIS_URL": WEB["REDIS_URL"],
        "COUNTERSIGN_GENESIS": "0" * 64,
        "COUNTERSIGN_CLAIMS_BUCKET": "claims",
    }

    def test_the_public_key_is_text_or_a_file(self, tmp_path):
        """PEM as it is, with its line breaks written out, or where it lies."""
        pem = sealing_keys.public_pem()
        path = tmp_path / "sealing.pem"
        path.write_text(pem)
        for value in (pem, pem.replace("\n", "\\n"), str(path)):
            assert read(WEB | {"COUNTERSIGN_SEALING_KEY": value}).sealing_key.strip() == pem.strip()

    def test_the_web_process_refuses_what_opens(self, tmp_path):
        """A private key in either setting stops it, and the message does not quote the key."""
        private = sealing_keys.private_file(tmp_path)
        text = Path(private).read_text()
        for name, value in (
            ("COUNTERSIGN_OPENING_KEY", private),
            ("COUNTERSIGN_OPENING_KEY", "arn:aws:kms:eu-west-1:111122223333:key/1"),
            ("COUNTERSIGN_SEALING_KEY", private),
            ("COUNTERSIGN_SEALING_KEY", text),
        ):
            with pytest.raises(WrongEnvironment, match=name) as wrong:
                read(WEB | {name: value})
            assert text.splitlines()[1] not in str(wrong.value)

    @pytest.mark.parametrize("value", ["nowhere.pem", "-----BEGIN PUBLIC KEY-----\nx\n-----END PUBLIC KEY-----", "12"])
    def test_a_public_key_that_is_none_is_said(self, value):
        with pytest.raises(WrongEnvironment, match="COUNTERSIGN_SEALING_KEY"):
            read(WEB | {"COUNTERSIGN_SEALING_KEY": value})

    def test_the_executor_takes_several_keys(self, tmp_path):
        """While one key follows another both open; an alias could be pointed elsewhere, so it is no key."""
        arn = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
        path = sealing_keys.private_file(tmp_path)
        assert read(self.EXECUTION | {"COUNTERSIGN_OPENING_KEY": f"{arn}, {path}"}).opening_keys == (arn, path)
        for wrong in ("nowhere.pem", "arn:aws:kms:eu-west-1:111122223333:alias/opening"):
            with pytest.raises(WrongEnvironment, match="COUNTERSIGN_OPENING_KEY"):
                read(self.EXECUTION | {"COUNTERSIGN_OPENING_KEY": wrong})


class TestClaimsOutside:
    """Where the execution process claims each attempt, and for how long."""

    EXECUTION = TestKeysForSecrets.EXECUTION

    def test_the_bucket_and_the_days(self):
        """A bucket by its name; four hundred days unless another number is said."""
        found = read(self.EXECUTION)
        assert (found.claims_bucket, found.claims_days) == ("claims", 400)
        assert read(self.EXECUTION | {"COUNTERSIGN_CLAIMS_DAYS": "90"}).claims_days == 90

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("COUNTERSIGN_CLAIMS_BUCKET", "arn:aws:s3:::claims"),
            ("COUNTERSIGN_CLAIMS_BUCKET", "Claims"),
            ("COUNTERSIGN_CLAIMS_DAYS", "29"),
            ("COUNTERSIGN_CLAIMS_DAYS", "a year"),
        ],
    )
    def test_what_is_no_bucket_and_no_number_of_days_is_refused(self, name, value):
        """With a lock shorter than backups are kept the claim would be gone before they are."""
        with pytest.raises(WrongEnvironment, match=name):
            read(self.EXECUTION | {name: value})

    def test_the_demo_may_go_without(self):
        """There the claim is an option; everywhere else the process does not start without a bucket."""
        without = {name: value for name, value in self.EXECUTION.items() if name != "COUNTERSIGN_CLAIMS_BUCKET"}
        assert read(without | {"COUNTERSIGN_DEMO": "1"}).claims_bucket == ""
