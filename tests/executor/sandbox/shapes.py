"""Parameters made from the input shapes of operations, and the requests that botocore makes of them."""

from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from botocore.awsrequest import create_request_object, prepare_request_dict
from botocore.model import ListShape, MapShape, OperationModel, Shape, StructureShape
from botocore.serialize import create_serializer
from hypothesis import strategies as st

from executor.sandbox.signing import Signature
from executor.sandbox.wire import HttpRequest

SIMPLE: dict[str, Any] = {
    "integer": 7,
    "long": 2**40,
    "float": 0.5,
    "double": 0.25,
    "boolean": True,
    "blob": b"\x00\xffblob",
    "timestamp": datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC),
    "string": 'a b&c=d+ü%/;?#:,"x',
}
# Whatever may stand in XML; names of headers and hosts are narrower and are made below.
_TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Cn")), min_size=1, max_size=12)
_HEADER_TEXT = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=12)


def example(model: OperationModel) -> dict[str, Any]:
    """Every member that has a value, two elements in each list and map."""
    shape = model.input_shape
    if shape is None:
        return {}
    made: dict[str, Any] = _one(shape) or {}
    return {name: _placed(shape.members[name], value) for name, value in made.items() if not _is_length(shape.members[name])}


def _one(shape: Shape, above: tuple[str, ...] = ()) -> Any:
    """A value of a shape; None where a shape contains nothing but itself."""
    if isinstance(shape, StructureShape):
        if shape.is_document_type:
            return {"any": [1, "x"]}
        members: dict[str, Any] = {}
        for name, member in shape.members.items() if shape.name not in above else ():
            value = _one(member, (*above, shape.name))
            if value is not None and not (shape.is_tagged_union and members):
                members[name] = value
        return members or None
    if isinstance(shape, ListShape):
        value = _one(shape.member, above)
        return None if value is None else [value, value]
    if isinstance(shape, MapShape):
        value = _one(shape.value, above)
        return None if value is None else {"one": value, "two": value}
    enum = getattr(shape, "enum", None)
    return enum[0] if enum else SIMPLE[shape.type_name]


def _is_length(member: Shape) -> bool:
    """The length of the body, which HTTP states anyway."""
    return bool(member.serialization.get("name") == "Content-Length")


def _placed(member: Shape, value: Any) -> Any:
    """What fits into the place of a member outside the body."""
    if member.serialization.get("hostLabel"):
        return "label"
    return dict.fromkeys(value, "plain") if member.serialization.get("location") == "headers" else value


def parameters(model: OperationModel) -> st.SearchStrategy[dict[str, Any]]:
    """Any parameters with the required members of an operation."""
    shape = model.input_shape
    return _structure(shape, 0) if shape is not None else st.just({})


def _structure(shape: StructureShape, depth: int) -> st.SearchStrategy[dict[str, Any]]:
    if shape.is_document_type:
        return st.just({"any": [1, "x"]})
    members = {name: _any(member, depth + 1) for name, member in shape.members.items()}
    required = {name: members[name] for name in shape.required_members if name in members}
    optional = {
        name: value
        for name, value in members.items()
        if name not in required and depth < 3 and not _is_length(shape.members[name])
    }
    if shape.is_tagged_union:
        return st.one_of([st.fixed_dictionaries({name: value}) for name, value in members.items()])
    chosen = st.lists(st.sampled_from(sorted(optional)), max_size=4, unique=True) if optional else st.just([])
    return chosen.flatmap(lambda names: st.fixed_dictionaries({**required, **{name: optional[name] for name in names}}))


def _any(shape: Shape, depth: int) -> st.SearchStrategy[Any]:
    if isinstance(shape, StructureShape):
        # An empty structure is no difference on the wire of Query and EC2, so nothing empty is made.
        return st.deferred(lambda: _structure(shape, depth)).filter(bool)
    if isinstance(shape, ListShape):
        return st.lists(_any(shape.member, depth), min_size=1, max_size=2)
    if isinstance(shape, MapShape):
        keys = _HEADER_TEXT.map(str.lower) if shape.serialization.get("location") == "headers" else _TEXT
        return st.dictionaries(keys.map(lambda key: "k" + key.replace(":", "")), _any(shape.value, depth), min_size=1, max_size=2)
    if getattr(shape, "enum", None):
        return st.sampled_from(shape.enum)  # type: ignore[attr-defined]  # of a string shape
    if shape.type_name == "string":
        if shape.serialization.get("hostLabel"):
            return st.just("label")
        return _HEADER_TEXT if shape.serialization.get("location") == "header" else _TEXT
    return {
        "integer": st.integers(-(2**31), 2**31 - 1),
        "long": st.integers(-(2**63), 2**63 - 1),
        "float": st.floats(allow_nan=False, allow_infinity=False, width=32),
        "double": st.floats(allow_nan=False, allow_infinity=False),
        "boolean": st.booleans(),
        "blob": st.binary(min_size=1, max_size=12),
        "timestamp": st.integers(0, 4_000_000_000).map(lambda seconds: datetime.fromtimestamp(seconds, UTC)),
    }[shape.type_name]


def on_the_wire(model: OperationModel, given: dict[str, Any], endpoint: str = "http://127.0.0.1:4566") -> HttpRequest:
    """The request that botocore makes of these parameters, unsigned."""
    serializer = create_serializer(str(model.service_model.resolved_protocol), include_validation=False)
    written = serializer.serialize_to_request(given, model)
    written["headers"] = {name: str(value) for name, value in written["headers"].items()}
    prepare_request_dict(written, endpoint_url=endpoint, user_agent="test")
    prepared = create_request_object(written).prepare()
    url = urlsplit(prepared.url)
    body = prepared.body or b""
    headers = {name.lower(): value.decode() if isinstance(value, bytes) else value for name, value in prepared.headers.items()}
    target = prepared.url.removeprefix(f"{url.scheme}://{url.netloc}")
    content = body.encode() if isinstance(body, str) else bytes(body) if isinstance(body, bytes | bytearray) else body.read()
    return HttpRequest(prepared.method, target, {**headers, "host": url.netloc}, content, "127.0.0.1")


def signed(service: str) -> Signature:
    return Signature("AKIAEXAMPLE", "20260101", "eu-west-1", service, ("host",), "0" * 64)
