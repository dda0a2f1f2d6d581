"""Opening sealed values: right before the call, by the executor alone. What does not open is not sent, what opens is not told."""

from __future__ import annotations

import base64
import json
import logging
from io import StringIO
from typing import Any
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.serialization import load_der_public_key
from django.core.management import CommandError, call_command
from django.utils import timezone

from approvals import decisions, sealing
from approvals.canonical import Sealed
from approvals.models import Attempt, Execution, SealedKey
from approvals.operations import catalog, sensitive
from approvals.operations.resources import Where
from approvals.plan import Step
from approvals.unseen import unseen
from config.logs import JsonFormatter
from executor import opening
from executor.answers import Accepted, Rejected, Unknown
from executor.errors import AwsRefused
from executor.opening import CannotOpen, Opened
from executor.sandbox.world import DEMO
from tests import sealing_keys
from tests.cast import ACCOUNT, REGION, Cast, seal
from tests.executor.stage import Stage, attempts, fresh

PASSWORD = "correct horse battery staple"
# Of the demo's production, without deletion protection.
DATABASE = "prod-billing"
WHERE = Where(ACCOUNT, REGION)
MODIFY = "rds:ModifyDBInstance"


@pytest.fixture
def cast(request: pytest.FixtureRequest, tmp_path, settings) -> Cast:
    """The whole world, whose databases are protected."""
    request.getfixturevalue("cloned_database" if "cloned_database" in request.fixturenames else "db")
    return seal(tmp_path, settings, whole=True)


@pytest.fixture
def keys(settings, tmp_path):
    """The executor has its private key, the portal the public half."""
    settings.SEALING_KEY = sealing_keys.public_pem()
    settings.OPENING_KEYS = (sealing_keys.private_file(tmp_path),)
    opening._by_fingerprint.cache_clear()


def sealed_step(
    cast: Cast, value: Any = PASSWORD, *, operation: str = MODIFY, place=("MasterUserPassword",), key="one", **told: Any
):
    """A step with one sealed member, as the form would make it; and its row."""
    parameters = told or {"DBInstanceIdentifier": "prod-db"}
    known = catalog.get(operation)
    binding = sensitive.binding(known, parameters, WHERE, place)
    token, wrapped = sealing.seal(value, binding, sealing.sealing_key(sealing_keys.public_pem(key)))
    row = SealedKey.objects.create(
        id=UUID(wrapped.key_id),
        wrapped=base64.b64encode(wrapped.wrapped).decode(),
        fingerprint=wrapped.fingerprint,
        mark=sealing.mark(token, binding),
        sealed_by=cast.person("alice"),
        created_at=timezone.now(),
    )
    return Step(known.service, known.name, parameters | {place[0]: token}), row


class TestOpening:
    @pytest.mark.parametrize(
        ("operation", "place", "value", "told"),
        [
            (MODIFY, ("MasterUserPassword",), PASSWORD, {"DBInstanceIdentifier": "prod-db"}),
            ("secretsmanager:PutSecretValue", ("SecretBinary",), b"\x00\xff key", {"SecretId": "prod/db"}),
            (
                "secretsmanager:PutSecretValue",
                ("SecretString",),
                "-----BEGIN-----\nline\n-----END-----\n",
                {"SecretId": "prod/db"},
            ),
        ],
    )
    def test_a_step_opens_to_what_was_entered(self, cast, keys, operation, place, value, told):
        """Text, lines and bytes arrive as they were sealed; the plan's own step still holds the token."""
        step, _ = sealed_step(cast, value, operation=operation, place=place, **told)
        assert opening.opened(step, WHERE).parameters == told | {place[0]: value}
        assert isinstance(step.parameters[place[0]], Sealed)

    def test_a_step_without_secrets_needs_no_key(self, cast, settings):
        """A deployment that never seals executes as before."""
        settings.OPENING_KEYS = ()
        step = Step("dynamodb", "DeleteTable", {"TableName": "prod-orders"})
        assert opening.opened(step, WHERE).parameters == step.parameters

    def test_a_process_without_the_key_opens_nothing(self, cast, settings):
        """The web process, or a worker that lacks its setting: there is nothing in the database or the code that opens."""
        settings.OPENING_KEYS = ()
        step, _ = sealed_step(cast)
        with pytest.raises(CannotOpen, match="no key that opens"):
            opening.opened(step, WHERE)

    @pytest.mark.parametrize(
        ("told", "where", "operation"),
        [
            ({"DBInstanceIdentifier": "mallorys-db"}, WHERE, MODIFY),
            ({"DBInstanceIdentifier": "prod-db"}, Where("222222222222", REGION), MODIFY),
            ({"DBInstanceIdentifier": "prod-db"}, Where(ACCOUNT, "us-east-1"), MODIFY),
            ({"DBInstanceIdentifier": "prod-db"}, WHERE, "rds:CreateDBInstance"),
        ],
    )
    def test_a_token_that_was_put_elsewhere_does_not_open(self, cast, keys, told, where, operation):
        """Whoever writes alice's token into a plan of his own gets nothing for it, even with two signatures."""
        step, _ = sealed_step(cast)
        service, _, name = operation.partition(":")
        moved = Step(service, name, told | {"MasterUserPassword": step.parameters["MasterUserPassword"]})
        with pytest.raises(CannotOpen, match="not for this place"):
            opening.opened(moved, where)

    def test_a_replaced_data_key_is_found_by_the_commitment(self, cast, keys):
        """Whoever can write the row wraps a key of his own with the public key: the token does not open under it."""
        step, row = sealed_step(cast)
        _, other = sealed_step(cast)
        SealedKey.objects.filter(pk=row.pk).update(wrapped=other.wrapped)
        with pytest.raises(CannotOpen, match="its key was replaced"):
            opening.opened(step, WHERE)

    @pytest.mark.parametrize("wrapped", ["", "AAAA", "not base64!", base64.b64encode(b"x" * 384).decode()])
    def test_a_damaged_row_is_said_and_nothing_else_happens(self, cast, keys, wrapped):
        """Whatever stands in the row, the answer is that the value cannot be opened."""
        step, row = sealed_step(cast)
        SealedKey.objects.filter(pk=row.pk).update(wrapped=wrapped)
        with pytest.raises(CannotOpen, match="MasterUserPassword cannot be opened"):
            opening.opened(step, WHERE)

    def test_a_row_that_is_not_there_is_said(self, cast, keys):
        """A token of another database."""
        step, _ = sealed_step(cast)
        foreign = Sealed("1." + "0" * 32 + step.parameters["MasterUserPassword"].token[34:])
        with pytest.raises(CannotOpen, match="not in the database"):
            opening.opened(Step("rds", "ModifyDBInstance", step.parameters | {"MasterUserPassword": foreign}), WHERE)

    def test_what_comes_out_has_to_fit(self, cast, keys):
        """A sealed value of another kind than the member wants is not sent, and not quoted."""
        step, _ = sealed_step(cast, 4711_4711)
        with pytest.raises(CannotOpen, match="does not fit: MasterUserPassword") as refused:
            opening.opened(step, WHERE)
        assert "4711" not in str(refused.value)

    def test_nothing_is_opened_while_the_error_tells_why(self, cast, keys, settings):
        """An error's text and its causes hold no plaintext."""
        step, _ = sealed_step(cast, key="two")
        with pytest.raises(CannotOpen, match="None of the keys") as refused:
            opening.opened(step, WHERE)
        assert refused.value.__cause__ is None


class TestHiding:
    @pytest.mark.parametrize(
        ("secret", "said"),
        [
            (PASSWORD, f"Value '{PASSWORD}' at 'masterUserPassword' failed to satisfy constraint"),
            ('a"b\\c<&>d', 'Value a\\"b\\\\c<&>d is not valid'),
            ('a"b\\c<&>d', "<Message>a&quot;b\\c&lt;&amp;&gt;d</Message>"),
            ("p@ss word/1", "https://example.invalid/?q=p%40ss+word%2F1"),
            ("first line\nsecond line", "bad: 'second line'"),
            (b"\x00\x01binary", "bad: AAFiaW5hcnk="),
            ("abc", "the value abc is too short"),
        ],
    )
    def test_aws_may_quote_a_secret_and_nobody_reads_it(self, secret, said):
        """Answers are cleared of every spelling before anybody stores them: refusals, unknown outcomes, answers."""
        open_ = Opened({}, (secret,))
        raw = secret if isinstance(secret, str) else "AAFiaW5hcnk="
        for answer in (Rejected("ValidationError", said), Unknown(said), Accepted({"a": [{"b": raw}]}, "id")):
            hidden = open_.hidden(answer)
            text = getattr(hidden, "message", "") or getattr(hidden, "what", "") or json.dumps(hidden.answer)
            assert opening.HIDDEN in text
            for part in (raw, "second line", "c<&>d", "word%2F1", "c&lt;&amp;"):
                assert part not in text

    def test_an_answer_without_it_is_left_alone(self):
        """What AWS says otherwise stays as it said it."""
        answer = Accepted({"DBInstance": {"DBInstanceStatus": "available", "Number": 3}}, "id")
        assert Opened({}, (PASSWORD, "a", 7, True)).hidden(answer) == answer

    def test_a_log_line_inside_the_call_does_not_hold_it(self):
        """Whoever logs, at whatever level, while a secret is open: our formatter takes it out."""
        open_ = Opened({}, (PASSWORD,))
        record = logging.makeLogRecord(
            {"msg": "params: %s", "args": (f"MasterUserPassword={PASSWORD}",), "body": {"x": PASSWORD}}
        )
        with unseen(open_.forms()):
            assert PASSWORD not in JsonFormatter().format(record)
        assert PASSWORD in JsonFormatter().format(record)

    def test_what_is_open_has_no_text(self):
        """repr, as a traceback or a debugger would print it, shows nothing."""
        assert PASSWORD not in repr(Opened({"MasterUserPassword": PASSWORD}, (PASSWORD,)))


def approved(stage: Stage, *steps: Step) -> Execution:
    """Alice asks for these steps, bob approves."""
    asked = [(step.name, step.parameters) for step in steps]
    request = decisions.file(stage.cast.person("alice"), account_id=ACCOUNT, region=REGION, steps=asked)
    stage.cast.sign_review(stage.cast.sign_confirm(request))
    return Execution.objects.get(revision__request=request)


def password_of(database: str) -> str:
    """What the local AWS has as the database's password: its answers never tell it."""
    from moto.rds.models import rds_backends

    return str(rds_backends[ACCOUNT][REGION].databases[database]._master_user_password)


class TestExecution:
    def test_the_value_arrives(self, stage: Stage, keys) -> None:
        """Sealed in the plan, open on the wire, and nowhere else in the database."""
        step, _ = sealed_step(stage.cast, DBInstanceIdentifier=DATABASE)
        execution = approved(stage, step)
        stage.execute()
        assert (fresh(execution).state, attempts(execution)) == ("succeeded", ["succeeded"]), fresh(execution).outcome
        assert password_of(DATABASE) == PASSWORD

    def test_what_does_not_open_is_not_sent(self, stage: Stage, keys, settings) -> None:
        """A definite end: no attempt, no call, and the requester reads why."""
        settings.OPENING_KEYS = ()
        step, _ = sealed_step(stage.cast, DBInstanceIdentifier=DATABASE)
        execution = approved(stage, step)
        stage.execute()
        found = fresh(execution)
        assert (found.state, attempts(execution), stage.calls("ModifyDBInstance")) == ("failed", [], [])
        assert "so no call was made" in found.outcome
        assert "COUNTERSIGN_OPENING_KEY" in found.outcome

    def test_a_plan_is_not_begun_of_which_a_later_step_does_not_open(self, stage: Stage, keys) -> None:
        """The first step needs no secret; it is not made when the second one could not follow."""
        first = Step("dynamodb", "UpdateTable", {"TableName": "prod-orders", "TableClass": "STANDARD_INFREQUENT_ACCESS"})
        second, row = sealed_step(stage.cast, DBInstanceIdentifier=DATABASE)
        execution = approved(stage, first, second)
        SealedKey.objects.filter(pk=row.pk).update(fingerprint="0" * 64)
        stage.execute()
        assert (fresh(execution).state, attempts(execution), stage.calls("UpdateTable")) == ("failed", [], [])

    def test_a_secret_that_aws_quotes_is_not_kept(self, stage: Stage, keys) -> None:
        """AWS refuses the value and repeats it in its message: the attempt, the outcome and the page say that it is hidden."""
        step, _ = sealed_step(stage.cast, "short", DBInstanceIdentifier="prod-none", place=("MasterUserPassword",))
        execution = approved(stage, step)
        stage.execute()
        (attempt,) = Attempt.objects.filter(execution=execution)
        assert attempt.state == "rejected"
        assert "short" not in attempt.error_message + fresh(execution).outcome


@pytest.fixture
def kms_key(stage: Stage) -> str:
    """An RSA key of the local AWS that the execution worker may decrypt with: its ARN."""
    from moto.iam.models import iam_backends
    from moto.kms.models import kms_backends

    key = kms_backends[ACCOUNT][REGION].create_key(None, "ENCRYPT_DECRYPT", "RSA_3072", "opens what is sealed", None)
    policy = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": ["kms:Decrypt", "kms:GetPublicKey"], "Resource": key.arn}],
    }
    iam_backends[ACCOUNT]["aws"].put_user_policy(DEMO.execution_user, "opens", json.dumps(policy))
    return str(key.arn)


class TestKms:
    @pytest.fixture
    def kms_public(self, stage: Stage, kms_key: str, settings, tmp_path) -> str:
        """The portal's half of the KMS key, as an operator gets it; the executor is told the ARN."""
        with stage.acting("execution"):
            from executor import errands

            public = load_der_public_key(errands.public_key(kms_key))
        pem = sealing.SealingKey(public).pem()  # type: ignore[arg-type]
        settings.SEALING_KEY, settings.OPENING_KEYS = pem, (kms_key,)
        opening._by_fingerprint.cache_clear()
        return str(pem)

    def sealed(self, cast: Cast, pem: str) -> Step:
        parameters = {"DBInstanceIdentifier": DATABASE}
        binding = sensitive.binding(catalog.get(MODIFY), parameters, WHERE, ("MasterUserPassword",))
        token, wrapped = sealing.seal(PASSWORD, binding, sealing.sealing_key(pem))
        SealedKey.objects.create(
            id=UUID(wrapped.key_id),
            wrapped=base64.b64encode(wrapped.wrapped).decode(),
            fingerprint=wrapped.fingerprint,
            mark=sealing.mark(token, binding),
            sealed_by=cast.person("alice"),
            created_at=timezone.now(),
        )
        return Step("rds", "ModifyDBInstance", parameters | {"MasterUserPassword": token})

    def test_kms_opens_what_was_sealed_for_its_key(self, stage: Stage, kms_public: str) -> None:
        """The private key never leaves KMS; the executor's own user asks it once for each value."""
        execution = approved(stage, self.sealed(stage.cast, kms_public))
        stage.execute()
        assert fresh(execution).state == "succeeded", fresh(execution).outcome
        assert password_of(DATABASE) == PASSWORD

    def test_no_other_process_may_ask_kms(self, stage: Stage, kms_key: str, kms_public: str) -> None:
        """The delivery worker's user has no right to the key."""
        with stage.acting("delivery", keys_of=DEMO.delivery_user), pytest.raises(AwsRefused, match="AccessDenied"):
            opening.KmsKey(kms_key).unwrap(b"x" * 384)

    def test_kms_refuses_what_was_wrapped_for_another_key(self, stage: Stage, kms_public: str) -> None:
        """A data key under another public key is an error of that value, not of KMS."""
        step, row = sealed_step(stage.cast, DBInstanceIdentifier=DATABASE)
        SealedKey.objects.filter(pk=row.pk).update(fingerprint=sealing.sealing_key(kms_public).fingerprint)
        with stage.acting("execution"), pytest.raises(CannotOpen, match="wrapped for another key"):
            opening.opened(step, WHERE)


class TestRewrapping:
    @pytest.fixture
    def new(self, tmp_path) -> str:
        path = tmp_path / "new.pub"
        path.write_text(sealing_keys.public_pem("two"))
        return str(path)

    def run(self, *arguments: str) -> dict[str, Any]:
        out = StringIO()
        call_command("sealed_rewrap", *arguments, "--json", stdout=out)
        return dict(json.loads(out.getvalue()))

    def test_the_key_changes_and_no_token_does(self, cast, keys, settings, tmp_path, new):
        """After it the new key opens, the old one is not needed, and whoever signed the plan signed the same bytes."""
        step, row = sealed_step(cast)
        before = step.parameters["MasterUserPassword"].token
        assert self.run("--to", new) == {
            "fingerprint": sealing.sealing_key(sealing_keys.public_pem("two")).fingerprint,
            "rewrapped": 1,
            "failed": {},
        }
        row.refresh_from_db()
        assert row.rewrapped_at is not None
        assert step.parameters["MasterUserPassword"].token == before
        settings.OPENING_KEYS = (sealing_keys.private_file(tmp_path, "two"),)
        opening._by_fingerprint.cache_clear()
        assert opening.opened(step, WHERE).parameters["MasterUserPassword"] == PASSWORD

    def test_it_may_be_repeated(self, cast, keys, new):
        """What is done is passed over."""
        sealed_step(cast)
        assert [self.run("--to", new)["rewrapped"] for _ in range(2)] == [1, 0]

    def test_what_cannot_be_opened_is_named_and_stays(self, cast, keys, new, capsys):
        """One damaged row does not keep the others from the new key; the exit status says that one is left."""
        sealed_step(cast)
        _, damaged = sealed_step(cast)
        SealedKey.objects.filter(pk=damaged.pk).update(wrapped="AAAA")
        out = StringIO()
        with pytest.raises(SystemExit) as ended:
            call_command("sealed_rewrap", "--to", new, "--json", stdout=out)
        found = json.loads(out.getvalue())
        assert (ended.value.code, found["rewrapped"], list(found["failed"])) == (1, 1, [str(damaged.pk)])

    def test_the_new_key_must_be_a_public_one(self, cast, keys, tmp_path):
        """A private key on the command line of a rewrap is a mistake that is refused, without a row touched."""
        with pytest.raises(CommandError, match="holds a private key"):
            call_command("sealed_rewrap", "--to", sealing_keys.private_file(tmp_path, "two"))
