"""The form of any operation: parameters become fields and come back the same; errors lie beside their field."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.model import ListShape, MapShape, Shape, StructureShape
from django.template.loader import render_to_string
from django.test import RequestFactory
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from approvals.models import ApprovalRequest
from approvals.operations import catalog, inputs, sensitive
from approvals.operations.catalog import Operation
from portal import form_data, operation_form

UPDATE_TABLE = catalog.get("dynamodb:UpdateTable")
POLICY = "networkmanager:PutCoreNetworkPolicy"


def of_service(service: str, name: str) -> Operation:
    """An operation that has no row of ours."""
    return catalog.get(f"{service}:{name}")


def shape_of(operation: Operation) -> Shape:
    shape = operation.model.input_shape
    assert shape is not None
    return shape


def values(shape: Shape, depth: int = 0) -> st.SearchStrategy[Any]:
    """Values of a shape, of the types that it names; deeper than six levels only leaves and empty things."""
    if isinstance(shape, StructureShape):
        if depth > 6:
            return st.just({})
        required = {name: values(shape.members[name], depth + 1) for name in shape.required_members}
        optional = {name: values(member, depth + 1) for name, member in shape.members.items() if name not in required}
        return st.fixed_dictionaries(required, optional=optional)
    if isinstance(shape, ListShape):
        return st.just([]) if depth > 6 else st.lists(values(shape.member, depth + 1), max_size=3)
    if isinstance(shape, MapShape):
        keys = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=5)
        return st.just({}) if depth > 6 else st.dictionaries(keys, values(shape.value, depth + 1), max_size=2)
    texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), max_size=8)
    return {
        "string": st.sampled_from(list(getattr(shape, "enum", ()))) if getattr(shape, "enum", None) else texts,
        "integer": st.integers(-(2**31), 2**31),
        "long": st.integers(-(2**53), 2**53),
        "boolean": st.booleans(),
        "float": st.floats(allow_nan=False, allow_infinity=False),
        "double": st.floats(allow_nan=False, allow_infinity=False),
        "timestamp": st.datetimes(timezones=st.just(UTC)),
        "blob": st.binary(max_size=8),
    }[shape.type_name]


class TestThereAndBack:
    @given(values(shape_of(UPDATE_TABLE)))
    @settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much], deadline=None)
    def test_update_table_comes_back_as_it_went(self, parameters):
        """Parameters -> form fields -> parameters, for whatever UpdateTable can be asked."""
        data = form_data.written(UPDATE_TABLE.model.input_shape, parameters)
        reading = form_data.read(UPDATE_TABLE.model.input_shape, data)
        assert (reading.problems, reading.parameters) == ({}, parameters)

    @pytest.mark.parametrize(
        "operation",
        [
            of_service("dynamodb", "PutItem"),
            of_service("ec2", "RunInstances"),
            of_service("kms", "CreateKey"),
            of_service("lambda", "UpdateFunctionConfiguration"),
            of_service("s3", "PutBucketLifecycleConfiguration"),
        ],
        ids=lambda operation: operation.full_name,
    )
    def test_operations_that_nobody_thought_of_come_back_too(self, operation):
        """Recursive shapes, maps, blobs, timestamps: nothing here knows the operation."""
        shape = shape_of(operation)

        @given(values(shape))
        @settings(max_examples=15, suppress_health_check=list(HealthCheck), deadline=None, database=None)
        def there_and_back(parameters):
            data = form_data.written(shape, parameters)
            reading = form_data.read(shape, data)
            assert (reading.problems, reading.parameters) == ({}, parameters)

        there_and_back()

    @pytest.mark.parametrize("value", [{"any": [1, "thing", None], "of": {"it": 1.5}}, [1], "text", None, True, {}])
    def test_a_member_that_takes_any_json_comes_back(self, value):
        """A document has no members to make fields of: it is one text, and neither lost nor taken for a string."""
        for name, member in (("marketplace-catalog:StartChangeSet", "ChangeSet.0.DetailsDocument"), (POLICY, "PolicyDocument")):
            operation = catalog.get(name)
            parameters = {"ChangeSet": [{"ChangeType": "x", "DetailsDocument": value}]} if "." in member else {member: value}
            data = form_data.written(operation.model.input_shape, parameters)
            assert form_data.read(operation.model.input_shape, data).parameters == parameters
            field = find(operation_form.fields_of(operation, data), f"p.{member}")
            assert (field.kind, field.text) == ("area", data[field.name])

    def test_what_is_no_json_is_said_beside_its_field(self):
        """A slip in a document is the person's to mend, not the executor's to find."""
        shape = catalog.get(POLICY).model.input_shape
        reading = form_data.read(shape, {"p.PolicyDocument": "{'a': 1}"})
        assert reading.problems == {"p.PolicyDocument": ['Enter a JSON value, such as {"a": 1}.']}

    def test_a_secret_document_is_never_in_clear(self):
        """What a model calls secret is sealed or left out: of a document it is left out, of a record too."""
        operation = catalog.get("bedrock-agentcore-control:CreateDataset")
        secret = {"source": {"inlineExamples": {"examples": [{"a": "hush"}]}}}
        assert sensitive.has_secrets(operation)
        assert sensitive.in_clear(operation, secret) == ["source.inlineExamples.examples.0"]
        data = form_data.written(operation.model.input_shape, secret)
        sealer: Any = SimpleNamespace(rule=sensitive.rule(operation))
        reading = form_data.read(operation.model.input_shape, data, sealer)
        assert "hush" not in f"{reading.parameters} {reading.data}"
        assert "cannot be sealed" in str(reading.problems)

    def test_line_ends_are_what_they_were(self):
        """A browser sends CR LF for every line's end: a script that was drafted with line feeds is sent with them."""
        operation = catalog.get("ssm:CreateDocument")
        text = "#!/bin/sh\necho a\n"
        data = form_data.written(operation.model.input_shape, {"Content": text, "Name": "x"})
        sent = {name: value.replace("\n", "\r\n") for name, value in data.items()}
        assert form_data.read(operation.model.input_shape, sent).parameters["Content"] == text

    def test_base64_may_be_broken_into_lines(self):
        """Bytes are pasted as programs print them, in lines."""
        shape = catalog.get("kms:ImportKeyMaterial").model.input_shape
        assert form_data.read(shape, {"p.ImportToken": "aGVs\r\nbG8=\r\n"}).parameters == {"ImportToken": b"hello"}

    def test_what_nobody_touched_is_not_sent(self):
        """An untouched form means no parameters at all, not a set of empty ones."""
        fields = operation_form.fields_of(UPDATE_TABLE, {})
        data = dict.fromkeys(names(fields), "")
        assert form_data.read(UPDATE_TABLE.model.input_shape, data).parameters == {}


def names(fields: list[operation_form.FormField]) -> list[str]:
    return [
        name
        for field in fields
        for name in [
            *([field.name] if field.kind not in ("group", "rows", "map", "folded") else []),
            *names(field.members),
            *names([row.value for row in field.rows]),
        ]
    ]


def find(fields: list[operation_form.FormField], name: str) -> operation_form.FormField:
    for field in fields:
        inside = [*field.members, *(row.value for row in field.rows)]
        if field.name == name:
            return field
        if name.startswith(f"{field.name}."):
            return find(inside, name)
    raise AssertionError(name)


class TestTheTree:
    def test_each_kind_of_member_has_its_widget(self):
        """Enums are choices, booleans have three states, groups nest, lists have rows."""
        kinds = {field.label: field.kind for field in operation_form.fields_of(UPDATE_TABLE, {})}
        assert kinds["BillingMode"] == "choice"
        assert kinds["DeletionProtectionEnabled"] == "flag"
        assert kinds["ProvisionedThroughput"] == "group"
        assert kinds["GlobalSecondaryIndexUpdates"] == "rows"

    def test_the_target_is_first_and_dangerous_members_say_why(self):
        """What identifies the target leads, the risk table's members carry their danger."""
        fields = operation_form.fields_of(UPDATE_TABLE, {})
        assert (fields[0].label, fields[0].required) == ("TableName", True)
        dangerous = [field.label for field in fields if field.danger]
        assert dangerous == [field.label for field in fields[1 : 1 + len(dangerous)]]
        assert "DeletionProtectionEnabled" in dangerous

    def test_documentation_is_text(self):
        """botocore's HTML is stripped from the help."""
        for field in operation_form.fields_of(UPDATE_TABLE, {}):
            assert "<" not in field.help

    def test_a_recursive_shape_unfolds_on_demand(self):
        """A value within a value within a value: one level at a time, never for ever."""
        put = of_service("dynamodb", "PutItem")
        data = {"p.Item:n": "1", "p.Item.0:key": "a"}
        value = find(operation_form.fields_of(put, data), "p.Item.0")
        assert {member.label: member.kind for member in value.members}["M"] == "map"
        data = form_data.with_row(data, "p.Item.0.M")
        inner = find(operation_form.fields_of(put, data), "p.Item.0.M.0")
        assert [member.label for member in inner.members if member.kind == "map"] == ["M"]

    @pytest.mark.parametrize(
        ("service", "name"),
        [("ec2", "RunInstances"), ("quicksight", "CreateDashboard"), ("dynamodb", "PutItem"), ("iam", "CreateRole")],
    )
    def test_a_huge_shape_is_a_form_of_bounded_size(self, service, name):
        """A form that nobody touched stays small, whatever the shape holds."""
        fields = operation_form.fields_of(of_service(service, name), {})
        about = {"fields": fields, "operation": of_service(service, name), "request": RequestFactory().get("/")}
        html = render_to_string("portal/operation.html", about)
        assert html.count("<input") + html.count("<select") < 600

    def test_depth_is_bounded(self):
        """Nobody makes the server recurse by naming a field deep enough."""
        put = of_service("dynamodb", "PutItem")
        name = "p.Item.0" + ".L.0" * 60
        data: dict[str, str] = {"p.Item.0:key": "a", "p.Item:n": "1", f"{name}.S": "x"}
        for level in range(60):
            data["p.Item.0" + ".L.0" * level + ".L:n"] = "1"
        reading = form_data.read(put.model.input_shape, data)
        assert any("Deeper than" in said for messages in reading.problems.values() for said in messages)
        assert operation_form.fields_of(put, data)


class TestRows:
    def test_a_row_is_added_and_removed_by_the_server(self):
        """No script is needed: the button's POST changes the form's own data."""
        data = form_data.with_row({}, "p.GlobalSecondaryIndexUpdates")
        data = form_data.with_row(data, "p.GlobalSecondaryIndexUpdates")
        data |= {
            "p.GlobalSecondaryIndexUpdates.0.Delete.IndexName": "one",
            "p.GlobalSecondaryIndexUpdates.1.Delete.IndexName": "two",
        }
        left = form_data.without_row(data, "p.GlobalSecondaryIndexUpdates.0")
        parameters = form_data.read(UPDATE_TABLE.model.input_shape, left).parameters
        assert parameters == {"GlobalSecondaryIndexUpdates": [{"Delete": {"IndexName": "two"}}]}

    @pytest.mark.parametrize(
        "row", ["p.X.0", "p.GlobalSecondaryIndexUpdates.7", "p.GlobalSecondaryIndexUpdates.-1", "p", "", "."]
    )
    def test_a_row_that_is_not_there_is_not_removed(self, row):
        """A button with another value than ours changes nothing."""
        data = {"p.GlobalSecondaryIndexUpdates:n": "1", "p.GlobalSecondaryIndexUpdates.0.Delete.IndexName": "one"}
        assert form_data.without_row(data, row) == data

    def test_rows_are_bounded(self):
        """A count that no person typed is refused in words."""
        for count in ("100000", "9" * 9000, "-1", "x"):
            data = {"p.ReplicaUpdates:n": count}
            assert form_data.read(UPDATE_TABLE.model.input_shape, data).problems["p.ReplicaUpdates"], count
            assert len(find(operation_form.fields_of(UPDATE_TABLE, data), "p.ReplicaUpdates").rows) <= form_data.MOST_ROWS

    def test_rows_within_rows_are_bounded_in_all(self):
        """A few hundred fields that each ask for a hundred rows do not make a page of a million."""
        updates = "p.GlobalSecondaryIndexUpdates"
        data = {f"{updates}:n": "100"} | {f"{updates}.{i}.Create.KeySchema:n": "100" for i in range(100)}
        assert form_data.read(UPDATE_TABLE.model.input_shape, data).problems
        fields = operation_form.fields_of(UPDATE_TABLE, data)
        assert len(names(fields)) < 5_000


class TestLeftEmpty:
    def test_an_added_row_that_is_left_empty_is_said(self):
        """A row that somebody added is something he means; it becomes no empty change."""
        data = form_data.with_row({}, "p.GlobalSecondaryIndexUpdates")
        reading = form_data.read(UPDATE_TABLE.model.input_shape, data)
        said = {"p.GlobalSecondaryIndexUpdates.0": ["Fill this in, or remove the row."]}
        assert (reading.problems, reading.parameters) == (said, {})

    def test_an_opened_group_that_is_left_empty_is_said(self):
        """A group that was unfolded does not vanish in silence; closing it takes the question back."""
        data = form_data.unfolded({"p.TableName": "t"}, "p.SSESpecification")
        reading = form_data.read(UPDATE_TABLE.model.input_shape, data)
        assert reading.problems == {"p.SSESpecification": ["Nothing is filled in here. Fill it in, or close it."]}
        closed = form_data.closed(data, "p.SSESpecification")
        assert form_data.read(UPDATE_TABLE.model.input_shape, closed).problems == {}
        assert form_data.read(UPDATE_TABLE.model.input_shape, {**data, "p.SSESpecification:empty": "on"}).parameters == {
            "TableName": "t",
            "SSESpecification": {},
        }

    def test_a_problem_inside_a_row_is_said_once(self):
        """Where a field of the row has an error of its own, the row adds none."""
        data = form_data.unfolded(form_data.with_row({}, "p.ReplicaUpdates"), "p.ReplicaUpdates.0.Create")
        problems = form_data.read(UPDATE_TABLE.model.input_shape, data).problems
        assert list(problems) == ["p.ReplicaUpdates.0.Create"]

    def test_what_an_unused_group_requires_is_required_only_with_it(self):
        """ "Required" alone means required to file; in a group that may be left out it depends."""
        name = "p.ProvisionedThroughput.ReadCapacityUnits"
        assert find(operation_form.fields_of(UPDATE_TABLE, {}), name).needed == "required if this group is used"
        posted = {"p.ProvisionedThroughput.WriteCapacityUnits": "1"}
        assert find(operation_form.fields_of(UPDATE_TABLE, posted), name).needed == "required"
        assert find(operation_form.fields_of(UPDATE_TABLE, {}), "p.TableName").needed == "required"

    def test_the_close_button_calls_no_verb(self, cast, browser):
        """Closing answers with the form, without the group's fields."""
        request = cast.denied_event("UpdateTable")
        alice = browser("alice")
        opened = {
            "revision": "1",
            "p.TableName": "prod-orders",
            "p.ReplicaUpdates:n": "1",
            "p.ReplicaUpdates.0.Create:open": "on",
        }
        answer = alice.post(alice.page("complete", request), {**opened, "close": "p.ReplicaUpdates.0.Create"})
        assert answer.status_code == 200
        assert find(answer.context["fields"], "p.ReplicaUpdates.0.Create").kind == "folded"

    def test_what_concerns_no_field_is_said_above_the_form(self, cast, browser):
        """A change that changes nothing is refused at the top, with every field kept."""
        url = "/admin/approvals/approvalrequest/file/"
        fields = {"place": "111122223333/eu-west-1", "operation": "dynamodb:UpdateTable", "p.TableName": "prod-orders"}
        answer = browser("alice").post(url, fields)
        assert answer.status_code == 400
        assert answer.context["general"] == ["Nothing would change. Set at least one thing that is to become different."]
        assert find(answer.context["fields"], "p.TableName").text == "prod-orders"


class TestErrors:
    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("p.ProvisionedThroughput.ReadCapacityUnits", "many"),
            ("p.ProvisionedThroughput.ReadCapacityUnits", "1.5"),
            ("p.DeletionProtectionEnabled", "yes"),
        ],
    )
    def test_what_cannot_be_read_is_named(self, name, value):
        """A number that is no number is said at its field."""
        assert list(form_data.read(UPDATE_TABLE.model.input_shape, {name: value}).problems) == [name]

    def test_a_field_that_was_not_on_the_form_is_refused(self):
        """Unknown members are not dropped in silence."""
        reading = form_data.read(UPDATE_TABLE.model.input_shape, {"p.TableName": "t", "p.Smuggled": "1", "p.TableName.x": "2"})
        assert len(reading.problems["p"]) == 2

    def test_timestamps_need_a_zone_and_bytes_need_base64(self):
        """Values that would mean two things are refused."""
        moment = of_service("cloudtrail", "LookupEvents").model.input_shape
        assert form_data.read(moment, {"p.StartTime": "2026-01-01T00:00:00"}).problems
        read = form_data.read(moment, {"p.StartTime": "2026-01-01T00:00:00+00:00"}).parameters
        assert read == {"StartTime": datetime(2026, 1, 1, tzinfo=UTC)}
        assert form_data.read(of_service("kms", "Encrypt").model.input_shape, {"p.Plaintext": "not base64!"}).problems

    def test_errors_of_the_check_lie_beside_their_field(self, cast, browser):
        """What the shape refuses is shown where it was typed, with everything else still there."""
        request = cast.denied_event("UpdateTable")
        alice = browser("alice")
        fields = {
            "revision": "1",
            "p.TableName": "prod-orders",
            "p.TableClass": "STANDARD",
            "p.ProvisionedThroughput.ReadCapacityUnits": "0",
            "p.GlobalSecondaryIndexUpdates:n": "1",
            "p.GlobalSecondaryIndexUpdates.0.Delete.IndexName": "x",
        }
        answer = alice.post(alice.page("complete", request), fields)
        assert answer.status_code == 400
        shown = answer.context["fields"]
        assert find(shown, "p.ProvisionedThroughput.ReadCapacityUnits").errors == ["At least 1."]
        assert find(shown, "p.ProvisionedThroughput.WriteCapacityUnits").errors == ["This field is required."]
        assert find(shown, "p.GlobalSecondaryIndexUpdates.0.Delete.IndexName").errors
        assert find(shown, "p.TableClass").text == "STANDARD"
        assert ApprovalRequest.objects.get(pk=request.pk).revision_number == 1

    def test_an_arn_of_another_account_is_refused_beside_the_field(self, cast, browser):
        """A name field that reaches elsewhere says so."""
        alice = browser("alice")
        place = {"place": "111122223333/eu-west-1", "operation": "dynamodb:DeleteTable"}
        url = "/admin/approvals/approvalrequest/file/"
        answer = alice.post(url, {**place, "p.TableName": "arn:aws:dynamodb:eu-west-1:999999999999:table/prod-orders"})
        assert answer.status_code == 400
        assert "of account 999999999999" in find(answer.context["fields"], "p.TableName").errors[0]

    @pytest.mark.parametrize(
        ("place", "operation", "said"),
        [
            ("222222222222/eu-west-1", "dynamodb:DeleteTable", "does not know the account"),
            ("111122223333/mars-1", "dynamodb:DeleteTable", "is used in eu-west-1"),
            ("111122223333/eu-west-1", "dynamodb:DropEverything", "has no operation"),
            ("111122223333/eu-west-1", "nonesuch:DeleteBucket", "has no service"),
        ],
    )
    def test_an_unknown_account_region_or_operation_says_so_beside_the_field(self, cast, browser, place, operation, said):
        """A request for what Countersign does not know is not filed."""
        url = "/admin/approvals/approvalrequest/file/"
        answer = browser("alice").post(url, {"place": place, "operation": operation, "p.TableName": "prod-orders"})
        assert (answer.status_code, said in answer.content.decode()) == (400, True)
        assert not ApprovalRequest.objects.exists()

    def test_what_no_guardrail_protects_needs_no_approval(self, cast, browser):
        """Staging is nobody's business here; the page says so beside the name, where a slip would be, and what to do instead."""
        url = "/admin/approvals/approvalrequest/file/"
        fields = {"place": "111122223333/eu-west-1", "operation": "dynamodb:DeleteTable", "p.TableName": "staging-orders"}
        answer = browser("alice").post(url, fields)
        assert answer.status_code in (400, 409)
        assert any("your own AWS access" in said for said in find(answer.context["fields"], "p.TableName").errors)

    def test_a_field_that_came_twice_is_refused(self, cast, browser):
        """Which of two values was shown could not be said."""
        request = cast.denied_event("UpdateTable")
        alice = browser("alice")
        body = "revision=1&p.TableName=prod-orders&p.TableClass=STANDARD&p.TableClass=STANDARD_INFREQUENT_ACCESS"
        answer = alice.post(alice.page("complete", request), body, content_type="application/x-www-form-urlencoded")
        assert answer.status_code == 400
        assert find(answer.context["fields"], "p.TableClass").errors

    def test_the_buttons_of_the_form_call_no_verb(self, cast, browser):
        """Adding a row answers with the form, and nothing is stored."""
        request = cast.denied_event("UpdateTable")
        alice = browser("alice")
        answer = alice.post(
            alice.page("complete", request), {"revision": "1", "p.TableName": "prod-orders", "add": "p.ReplicaUpdates"}
        )
        assert answer.status_code == 200
        assert len(find(answer.context["fields"], "p.ReplicaUpdates").rows) == 1
        unfolded = alice.post(
            alice.page("complete", request),
            {"revision": "1", "p.ReplicaUpdates:n": "1", "unfold": "p.ReplicaUpdates.0.Create"},
        )
        assert find(unfolded.context["fields"], "p.ReplicaUpdates.0.Create").kind == "group"
        assert ApprovalRequest.objects.get(pk=request.pk).revision_number == 1


def test_the_draft_fills_the_form(cast, browser):
    """What the denied call told is in the fields already."""
    request = cast.denied_event("UpdateTable", "prod-customers")
    alice = browser("alice")
    assert find(alice.get(alice.page("complete", request)).context["fields"], "p.TableName").text == "prod-customers"


def test_checked_parameters_are_what_the_form_means():
    """What passes the check is what the reading made, not something repaired."""
    data = {"p.TableName": "prod-orders", "p.BillingMode": "PAY_PER_REQUEST"}
    parameters = form_data.read(UPDATE_TABLE.model.input_shape, data).parameters
    inputs.check(UPDATE_TABLE, parameters)
    assert parameters == {"TableName": "prod-orders", "BillingMode": "PAY_PER_REQUEST"}
