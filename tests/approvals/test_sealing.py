"""Sealed values: what is secret, that only the right key in the right place opens it, and that nothing else accepts it."""

from __future__ import annotations

import base64
import dataclasses
from typing import Any

import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st

from approvals import canonical, decisions, sealing
from approvals.canonical import Sealed
from approvals.errors import BadCanonicalForm, BadParameters, BadSeal, BadSealingKey
from approvals.models import Revision, SealedKey
from approvals.operations import catalog, inputs, sensitive, words
from approvals.operations.conversion import Conversion
from approvals.operations.resources import Where
from approvals.plan import Plan, Step, parse
from approvals.sealing import Binding
from approvals.states import Completeness
from tests import sealing_keys
from tests.cast import ACCOUNT, REGION

MODIFY = catalog.get("rds:ModifyDBInstance")
WHERE = Where(ACCOUNT, REGION)
HERE = Binding(ACCOUNT, REGION, "rds:ModifyDBInstance", '{"DBInstanceIdentifier":"prod-db"}', ("MasterUserPassword",))
KEY = sealing.sealing_key(sealing_keys.public_pem())


def sealed(value="hunter2-hunter2", binding=HERE):
    """A token and the data key that opens it."""
    token, wrapped = sealing.seal(value, binding, KEY)
    return token, sealing_keys.private().decrypt(wrapped.wrapped, sealing.OAEP)


class TestTokens:
    @given(
        st.text(st.characters(exclude_categories=["Cs"]), max_size=200) | st.binary(max_size=200) | st.integers() | st.booleans()
    )
    @settings(max_examples=40)
    def test_what_was_sealed_comes_out_with_its_type(self, value):
        """Text stays text, bytes stay bytes: a secret binary is not a secret string."""
        token, data_key = sealed(value)
        found = sealing.opened(token, HERE, data_key)
        assert (type(found), found) == (type(value), value)

    @pytest.mark.parametrize(
        "change",
        [
            {"account": "222222222222"},
            {"region": "us-east-1"},
            {"operation": "rds:CreateDBInstance"},
            {"target": '{"DBInstanceIdentifier":"mallorys-db"}'},
            {"place": ("TdeCredentialPassword",)},
            {"place": ("MasterUserPassword", 0)},
            {"place": ()},
        ],
    )
    def test_a_moved_token_does_not_open(self, change):
        """Another account, region, operation, target or member: the right key is of no use there."""
        token, data_key = sealed()
        with pytest.raises(BadSeal, match="not for this place"):
            sealing.opened(token, dataclasses.replace(HERE, **change), data_key)

    def test_indices_and_keys_are_not_confused(self):
        """The first element of a list is another place than the entry "0" of a map."""
        token, data_key = sealed(binding=dataclasses.replace(HERE, place=("A", 0)))
        with pytest.raises(BadSeal):
            sealing.opened(token, dataclasses.replace(HERE, place=("A", "0")), data_key)

    @given(st.integers(min_value=0), st.integers(0, 7))
    @settings(max_examples=60)
    def test_a_flipped_bit_is_found(self, position, bit):
        """Nonce, commitment, ciphertext, tag and key id: each bit counts."""
        token, data_key = SEALED_ONCE
        raw = bytearray(bytes.fromhex(token.key_id) + token.body)
        raw[position % len(raw)] ^= 1 << bit
        changed = Sealed(f"1.{bytes(raw[:16]).hex()}.{canonical.base64url(bytes(raw[16:]))}")
        with pytest.raises(BadSeal):
            sealing.opened(changed, HERE, data_key)

    def test_another_data_key_fails_by_the_commitment(self):
        """A wrapped key that was replaced is found before anything is decrypted, whatever the ciphertext would become."""
        token, _ = sealed()
        _, other = sealed()
        with pytest.raises(BadSeal, match="its key was replaced"):
            sealing.opened(token, HERE, other)

    def test_the_length_is_hidden(self):
        """Passwords of one and of forty characters have tokens of one length; a longer text falls into the next bucket."""
        lengths = {len(sealed("x" * n)[0].token) for n in range(41)}
        assert len(lengths) == 1
        assert len(sealed("x" * 100)[0].token) not in lengths

    def test_the_same_value_never_looks_the_same(self):
        """Two tokens of one password have no part in common by which they could be known as equal."""
        one, other = sealed()[0], sealed()[0]
        assert one.key_id != other.key_id
        assert not set(_windows(one.body)) & set(_windows(other.body))

    def test_a_value_beyond_the_bound_is_refused(self):
        """Nobody fills the database with one secret, and the message does not quote it."""
        with pytest.raises(BadSeal, match="at most 256 KiB") as refused:
            sealed("y" * (sealing.LONGEST + 1))
        assert "yyyy" not in str(refused.value)


SEALED_ONCE = sealed()


def _windows(data: bytes):
    return [data[index : index + 8] for index in range(len(data) - 8)]


def _pem(key) -> str:
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode("ascii")


@pytest.mark.parametrize(
    ("pem", "says"),
    [
        ("", "no public key"),
        ("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "no public key"),
        (_pem(rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key()), "no RSA key of 3072"),
        (_pem(ec.generate_private_key(ec.SECP256R1()).public_key()), "no RSA key of 3072"),
        (
            sealing_keys.private().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode("ascii"),
            "holds a private key",
        ),
    ],
)
def test_only_a_public_rsa_key_of_kms_sizes_seals(pem, says):
    """A private key where the public one belongs is refused, and so is what KMS could not unwrap."""
    with pytest.raises(BadSealingKey, match=says):
        sealing.sealing_key(pem)


class TestCanonicalForm:
    def test_there_and_back_in_a_plan_whose_digest_covers_it(self):
        """The plan carries the token; another token is another digest."""
        one, other = sealed()[0], sealed()[0]
        texts = [_plan(token).text() for token in (one, other)]
        assert [parse(text).steps[0].parameters["MasterUserPassword"] for text in texts] == [one, other]
        assert canonical.digest(texts[0]) != canonical.digest(texts[1])

    @pytest.mark.parametrize(
        "item",
        ["", "x", "1.abc.AAAA", "2.ID.AAAA", "1.ID.", "1.ID.AAB", "1.ID.AA==", "1.ID.AA\n", "1.ID.A+/A", "1.ID.AAAAA", "1.ID.A A",
         "1." + "A" * 32 + ".AAAA", 7, None, ["a"]],
    )  # fmt: skip
    def test_a_malformed_token_is_refused_and_not_quoted(self, item):
        """One value has one spelling; what stands there by mistake may be the secret itself."""
        item = item.replace("ID", "0" * 32) if isinstance(item, str) else item
        with pytest.raises(BadCanonicalForm) as refused:
            canonical.decode({"$sealed": item})
        assert not isinstance(item, str) or len(item) < 2 or item not in str(refused.value)

    def test_nothing_shows_the_token_by_accident(self):
        """Text, JSON of other people's making and the CLI command say that it is sealed, and nothing of what."""
        token = sealed()[0]
        assert str(token) == f"{token}" == "(sealed)"
        assert token.body.hex() not in repr(token)
        assert token.token not in repr(token)
        step = Step("rds", "ModifyDBInstance", {"DBInstanceIdentifier": "prod-db", "MasterUserPassword": token})
        for said in (words.cli(step, REGION), words.sentence(step, "Production")):
            assert token.token not in said
        assert "(sealed)" in words.cli(step, REGION)


def _plan(token: Sealed) -> Plan:
    step = Step("rds", "ModifyDBInstance", {"DBInstanceIdentifier": "prod-db", "MasterUserPassword": token})
    return Plan("r", 1, ACCOUNT, "aws", REGION, "role", (step,), (), 60)


class TestWhatIsSecret:
    @pytest.mark.parametrize(
        ("operation", "parameters", "secret"),
        [
            ("rds:ModifyDBInstance", {"DBInstanceIdentifier": "d", "MasterUserPassword": "x"}, ["MasterUserPassword"]),
            ("neptune:ModifyDBCluster", {"DBClusterIdentifier": "d", "MasterUserPassword": "x"}, ["MasterUserPassword"]),
            ("elasticache:ModifyReplicationGroup", {"ReplicationGroupId": "g", "AuthToken": "x"}, ["AuthToken"]),
            ("elasticache:CreateUser", {"UserId": "u", "Passwords": ["x", "y"]}, ["Passwords.0", "Passwords.1"]),
            ("secretsmanager:PutSecretValue", {"SecretId": "s", "SecretString": "x", "SecretBinary": b"y"},
             ["SecretString", "SecretBinary"]),
            ("lambda:UpdateFunctionConfiguration", {"FunctionName": "f", "Environment": {"Variables": {"A.B": "x"}}},
             ["Environment.Variables.A.B"]),
            ("ecs:RegisterTaskDefinition", {"family": "f", "containerDefinitions": [
                {"name": "n", "environment": [{"name": "A", "value": "x"}]}]},
             ["containerDefinitions.0.environment.0.name", "containerDefinitions.0.environment.0.value"]),
            ("ssm:PutParameter", {"Name": "n", "Value": "x"}, ["Value"]),
            ("mq:CreateBroker", {"BrokerName": "b", "Users": [{"Username": "u", "Password": "x"}]}, ["Users.0.Password"]),
            ("dynamodb:PutItem", {"TableName": "t", "Item": {"a": {"B": b"x"}, "b": {"S": "y"}}}, ["Item.a.B"]),
            ("cloudformation:CreateStack", {"StackName": "s", "TemplateBody": "x"}, []),
            # What names the target is shown, whatever the model says; a path of a file is no key.
            ("cognito-idp:AdminDeleteUser", {"UserPoolId": "p", "Username": "u"}, []),
            ("dynamodb:DeleteTable", {"TableName": "t"}, []),
            ("appmesh:CreateVirtualNode",
             {"spec": {"listeners": [{"tls": {"certificate": {"file": {"privateKey": "/k"}}}}]}}, []),
        ],
    )  # fmt: skip
    def test_by_the_model_by_blobs_by_rows_and_by_our_list(self, operation, parameters, secret):
        """The trait, blobs, names and listed members, through lists, maps and structures; and what is not secret."""
        known = catalog.get(operation)
        assert sensitive.in_clear(known, parameters) == secret
        assert sensitive.has_secrets(known) or not secret

    def test_replacing_them_leaves_all_the_rest_alone(self):
        """Opening touches the secrets and nothing else."""
        parameters: dict[str, Any] = {
            "BrokerName": "b",
            "Users": [{"Username": "u", "Password": "x"}, {"Username": "v", "Password": "y"}],
        }
        found = sensitive.replaced(catalog.get("mq:CreateBroker"), parameters, lambda place, value: f"{place[1]}{value}")
        assert found == {"BrokerName": "b", "Users": [{"Username": "u", "Password": "0x"}, {"Username": "v", "Password": "1y"}]}
        assert parameters["Users"][0]["Password"] == "x"

    def test_the_list_names_members_that_there_are(self):
        """A slip in our own list would leave a secret in clear: each of its members exists and is a secret by it."""
        for full_name, paths in sensitive._listed()["members"].items():
            operation = catalog.get(full_name)
            for path in paths:
                shape: Any = operation.model.input_shape
                for name in path.split("."):
                    while shape.type_name == "list":
                        shape = shape.member
                    shape = shape.members[name]
                assert sensitive.rule(operation).holds(shape, tuple(path.split(".")), around=False)

    @pytest.mark.parametrize(
        ("name", "parameters", "path"),
        [
            ("workmail:ResetPassword", {"OrganizationId": f"m-{'a' * 32}", "UserId": "u" * 12, "Password": "hu\nsh"}, "Password"),
            ("iam:UpdateLoginProfile", {"UserName": "bob", "Password": "hu\0sh"}, "Password"),
        ],
    )
    def test_what_is_wrong_with_a_secret_does_not_quote_it(self, name, parameters, path):
        """A record may carry a secret in clear; what is wrong with it is kept in the draft and read by reviewers."""
        with pytest.raises(BadParameters) as refused:
            inputs.check(catalog.get(name), parameters)
        assert refused.value.fields[path][0].startswith("This value does not fit")
        assert "hu" not in str(refused.value)

    def test_rows_never_judge_by_a_secret(self):
        """Whether a call took effect is never read from a member that nobody can compare."""
        for operation in catalog.curated():
            untouched = operation.facts.untouched
            for name in untouched.unless if untouched else ():
                assert not sensitive.in_clear(operation, {name: "x"}), operation.full_name


class TestParameters:
    def test_a_sealed_value_stands_where_a_secret_is_wanted(self):
        """The shape's own rules (a text, at least so long) were checked before it was sealed."""
        inputs.check(MODIFY, {"DBInstanceIdentifier": "prod-db", "MasterUserPassword": sealed()[0]})
        put = catalog.get("secretsmanager:PutSecretValue")
        inputs.check(put, {"SecretId": "s", "SecretBinary": sealed()[0]})

    @pytest.mark.parametrize(
        ("operation", "parameters", "path"),
        [
            ("rds:ModifyDBInstance", {"DBInstanceIdentifier": "d", "DBParameterGroupName": ...}, "DBParameterGroupName"),
            ("rds:ModifyDBInstance", {"DBInstanceIdentifier": ...}, "DBInstanceIdentifier"),
            ("rds:ModifyDBInstance", {"DBInstanceIdentifier": "d", "VpcSecurityGroupIds": ...}, "VpcSecurityGroupIds"),
            ("rds:ModifyDBInstance", {"DBInstanceIdentifier": "d", "AllocatedStorage": ...}, "AllocatedStorage"),
            (
                "lambda:UpdateFunctionConfiguration",
                {"FunctionName": "f", "Environment": {"Variables": ...}},
                "Environment.Variables",
            ),
            ("lambda:UpdateFunctionConfiguration", {"FunctionName": "f", "Environment": ...}, "Environment"),
        ],
    )
    def test_nothing_else_may_be_sealed(self, operation, parameters, path):
        """Who could seal what is no secret could hide from reviewers what a call does; so could who seals a group as a whole."""

        def filled(value):
            return sealed()[0] if value is ... else {k: filled(v) for k, v in value.items()} if isinstance(value, dict) else value

        with pytest.raises(BadParameters) as refused:
            inputs.check(catalog.get(operation), filled(parameters))
        assert "may not be sealed" in " ".join(refused.value.fields[path])

    def test_what_is_wrong_with_a_secret_is_said_without_it(self):
        """A password that is too short or does not fit is not quoted on the page."""
        shape = catalog.get("lambda:AddPermission").members["FunctionName"]
        said = inputs.of_secret(shape, "no such name!")
        assert said
        assert "no such name" not in " ".join(said)
        assert inputs.of_secret(catalog.get("secretsmanager:PutSecretValue").members["SecretString"], "") == ["At least 1."]

    def test_no_plan_carries_a_secret_in_clear(self, cast):
        """Filing refuses it by name, and says nothing of the value."""
        with pytest.raises(BadParameters) as refused:
            decisions.file(
                cast.person("alice"),
                account_id=ACCOUNT,
                region=REGION,
                steps=[("rds:ModifyDBInstance", {"DBInstanceIdentifier": "prod-db", "MasterUserPassword": "hunter2"})],
            )
        assert list(refused.value.fields) == ["MasterUserPassword"]
        assert "hunter2" not in str(refused.value)
        assert not Revision.objects.exists()


def test_a_record_hands_no_secret_to_a_draft():
    """What CloudTrail shows in clear is entered by a person like what it hides, and the draft is not called complete."""
    told = Conversion({"DBInstanceIdentifier": "d", "MasterUserPassword": "****"}, Completeness.EXACT, "all there")
    found = sensitive.without_secrets(MODIFY, told)
    assert found.parameters == {"DBInstanceIdentifier": "d"}
    assert (found.completeness, found.redacted) == (Completeness.REDACTED, ("MasterUserPassword",))
    assert "****" not in found.told()
    plain = Conversion({"DBInstanceIdentifier": "d"}, Completeness.EXACT, "all there")
    assert sensitive.without_secrets(MODIFY, plain) is plain


class TestTheTable:
    @pytest.fixture
    def row(self, cloned_database, cast):
        return SealedKey.objects.create(
            wrapped=base64.b64encode(b"wrapped").decode(),
            fingerprint="0" * 64,
            mark="1" * 64,
            sealed_by=cast.person("alice"),
            created_at=timezone.now(),
        )

    @pytest.mark.parametrize(
        "statement",
        [
            "UPDATE approvals_sealedkey SET mark = repeat('2', 64)",
            "UPDATE approvals_sealedkey SET id = gen_random_uuid()",
            "UPDATE approvals_sealedkey SET sealed_by_id = (SELECT id FROM approvals_person WHERE handle = 'mallory')",
            "UPDATE approvals_sealedkey SET created_at = now() + interval '1 day'",
            "DELETE FROM approvals_sealedkey",
            "TRUNCATE approvals_sealedkey CASCADE",
        ],
    )
    def test_nothing_but_the_wrapping_ever_changes(self, row, cloned_database, statement):
        """Not even for the owner of the table."""
        with psycopg.connect(cloned_database, autocommit=True) as session, pytest.raises(psycopg.errors.CheckViolation):
            session.execute(statement)

    @pytest.mark.parametrize(
        ("process", "statement", "allowed"),
        [
            ("web", "SELECT id, mark, sealed_by_id FROM approvals_sealedkey", True),
            ("web", "SELECT wrapped FROM approvals_sealedkey", False),
            ("web", "UPDATE approvals_sealedkey SET wrapped = 'x'", False),
            ("feed", "SELECT id FROM approvals_sealedkey", False),
            ("delivery", "SELECT wrapped FROM approvals_sealedkey", False),
            ("execution", "SELECT wrapped FROM approvals_sealedkey", True),
            (
                "execution",
                "UPDATE approvals_sealedkey SET wrapped = 'x', fingerprint = repeat('3', 64), rewrapped_at = now()",
                True,
            ),
            ("execution", "UPDATE approvals_sealedkey SET mark = repeat('2', 64)", False),
        ],
    )
    def test_each_role_sees_no_more_than_it_needs(self, row, role_url, process, statement, allowed):
        """The web process adds rows and knows its own by their mark; only the execution process reads what opens."""
        with psycopg.connect(role_url(process), autocommit=True) as session:
            if allowed:
                session.execute(statement)
            else:
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    session.execute(statement)
