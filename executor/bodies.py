"""Whether an answer is one: as long as its headers say, of the form that the service's protocol has, and final.

botocore believes a status below 300 whatever comes with it, and an error as far as it came. A page that a proxy put in the place
of AWS's answer, and an answer that was cut off, say nothing of what became of the call.
"""

from __future__ import annotations

import io
import json
from typing import Any, Final
from xml.etree import ElementTree as ET

_OK: Final = 200
_REDIRECTS: Final = range(300, 400)
_NO_CONTENT: Final = 204
# The headers in which services write it; these protocols may write it in the body alone.
REQUEST_ID: Final = ("x-amzn-requestid", "x-amz-request-id")
_IN_THE_BODY: Final = frozenset({"query", "ec2", "rest-xml"})
# What stands at the root of no answer that says yes: a page, and the errors that S3 sends with a 200.
_NO_YES: Final = frozenset({"html", "error", "errorresponse"})


class GarbledAnswer(Exception):
    """An answer that is not what its status, its headers or its protocol promise."""


def must_be_whole(http_response: Any, model: Any, **_: Any) -> None:
    """Refuse what botocore would take for an empty success, or for a no that AWS did not say to its end. Raises GarbledAnswer."""
    status, headers = http_response.status_code, http_response.headers
    if status < _OK:
        raise GarbledAnswer(f"{status} is followed by another answer, which was not read")
    if status in _REDIRECTS:
        return
    if status < _REDIRECTS.start and (model.has_streaming_output or model.has_event_stream_output):
        # What was stored or returned may be of any size and form, and is for nobody here to read.
        _must_have_an_id(b"", headers, model)
        return
    body = http_response.content
    # The answer to a HEAD says how long the thing is, and sends nothing of it.
    if model.http["method"] != "HEAD":
        _must_be_as_long_as_it_says(status, body, headers)
    if status >= _REDIRECTS.start:
        return
    _must_have_an_id(body, headers, model)
    if not body:
        if status != _NO_CONTENT and _promises_a_body(model):
            raise GarbledAnswer("the answer is empty")
    elif not (_is_raw(model) or model.has_event_stream_output):
        _FORMS[model.service_model.resolved_protocol](body, model)


def _must_have_an_id(body: bytes, headers: Any, model: Any) -> None:
    if any(name in headers for name in REQUEST_ID):
        return
    may_be_inside = model.service_model.resolved_protocol in _IN_THE_BODY
    if not may_be_inside or b"requestid>" not in (body[:1000] + body[-1000:]).lower():
        raise GarbledAnswer("the answer has no request id, which every answer of AWS's has")


def _must_be_as_long_as_it_says(status: int, body: bytes, headers: Any) -> None:
    promised = headers.get("content-length")
    if promised is None and status >= _REDIRECTS.start and "transfer-encoding" not in headers:
        # Its headers may be cut, and with them the code, which often stands there.
        raise GarbledAnswer("the answer does not say where it ends")
    if promised is not None and promised.isdecimal() and "content-encoding" not in headers and int(promised) != len(body):
        raise GarbledAnswer(f"the answer has {len(body)} of {promised} bytes")


def _must_be_json(body: bytes, model: Any) -> None:
    try:
        found = json.loads(body)
    except ValueError as error:
        raise GarbledAnswer("the answer is no JSON") from error
    if not (isinstance(found, dict) or found is None or _payload(model) is not None):
        raise GarbledAnswer("the answer is no object of JSON")


def _must_be_xml(body: bytes, model: Any) -> None:
    try:
        # S3 sends white space for as long as it works.
        _, root = next(ET.iterparse(io.BytesIO(body.lstrip()), events=("start",)))  # noqa: S314 - expat bounds expansion; AWS's
    except (ET.ParseError, StopIteration) as error:
        raise GarbledAnswer("the answer is no XML") from error
    name = root.tag.rpartition("}")[2]
    # Source: Smithy, "AWS query protocol" and "AWS EC2 query protocol": the root is the operation's name with "Response".
    is_answer = name == f"{model.name}Response" or model.service_model.resolved_protocol == "rest-xml"
    if name.lower() in _NO_YES or not is_answer:
        raise GarbledAnswer(f"the answer is <{name[:100]}>")


def _must_be_cbor(body: bytes, _: Any) -> None:
    # Source: RFC 8949, 3.1: the upper three bits of a map are 101.
    if body[0] >> 5 != 0b101:
        raise GarbledAnswer("the answer is no map of CBOR")


_FORMS: Final = {
    "ec2": _must_be_xml,
    "json": _must_be_json,
    "query": _must_be_xml,
    "rest-json": _must_be_json,
    "rest-xml": _must_be_xml,
    "smithy-rpc-v2-cbor": _must_be_cbor,
}


def _promises_a_body(model: Any) -> bool:
    """Whether an answer without a body says nothing at all. Of REST in JSON that is certain of what is read alone."""
    if model.http["method"] == "HEAD" or (model.service_model.resolved_protocol == "rest-json" and model.http["method"] != "GET"):
        return False
    shape = model.output_shape
    members = getattr(shape, "members", None) or {}
    if (payload := _payload(model)) is not None:
        return bool(payload.type_name == "structure")
    return any("location" not in member.serialization for member in members.values())


def _is_raw(model: Any) -> bool:
    """Whether an answer's body is what somebody stored or a function returned: bytes or a text of any form."""
    payload = _payload(model)
    return payload is not None and payload.type_name in {"blob", "string"}


def _payload(model: Any) -> Any:
    """The one member that the whole body is; None where there is none."""
    shape = model.output_shape
    name = getattr(shape, "serialization", {}).get("payload")
    return shape.members[name] if name is not None else None
