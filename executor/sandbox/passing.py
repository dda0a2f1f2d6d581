"""The request that moto sees: the call that was judged, and nothing else of the request that came.

moto finds the action in a query string or even in a JSON body before it looks at X-Amz-Target, the region in the host or
the user agent before the signature, the account in a header of its own, and a member of a REST body where it expects one of
the path. So moto gets no part of the request: botocore's serializer writes it anew from the parameters that were judged.
"""

import io
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, cast
from urllib.parse import parse_qsl, unquote_to_bytes, urlencode

from botocore.model import OperationModel
from botocore.serialize import Serializer, create_serializer
from botocore.utils import percent_encode_sequence
from moto.core.request import PRESERVED_HEADER_NAMES_ENVIRON_KEY, environ_key_for_header

from executor.sandbox.recognise import Call
from executor.sandbox.signing import Signature

_FORM = "application/x-www-form-urlencoded; charset=utf-8"
# About the bytes of the body, which are written anew.
_OF_THE_BYTES = ("content-md5", "x-amz-checksum-", "x-amz-sdk-checksum-algorithm")
_TEXTUAL = ("blob", "string")


def for_moto(environ: Mapping[str, Any], call: Call, signature: Signature, body: bytes) -> dict[str, Any]:
    """A WSGI environment with which moto makes exactly this call, on behalf of this access key."""
    method, target, headers, content = _written(call, body)
    path, _, query = target.partition("?")
    kept = {name: value for name, value in environ.items() if name.startswith(("wsgi.", "SERVER_", "REMOTE_"))}
    kept.pop("wsgi.input_terminated", None)
    kept |= {environ_key_for_header(name): str(value) for name, value in headers.items()}
    return kept | {
        PRESERVED_HEADER_NAMES_ENVIRON_KEY: {environ_key_for_header(name): name for name in headers if "_" in name},
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "RAW_URI": target,
        "REQUEST_URI": target,
        "QUERY_STRING": query,
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": _host(call, str(environ.get("HTTP_HOST", ""))),
        "HTTP_AUTHORIZATION": (
            f"AWS4-HMAC-SHA256 Credential={signature.access_key_id}/{signature.date}/{call.region}/{signature.service}"
            f"/aws4_request, SignedHeaders=host, Signature={signature.value}"
        ),
        "CONTENT_LENGTH": str(len(content)),
        "wsgi.input": io.BytesIO(content),
    }


def _written(call: Call, body: bytes) -> tuple[str, str, Mapping[str, str], bytes]:
    """Method, target, headers and body of the call, in a spelling that moto reads in one way only."""
    if call.protocol == "query" and call.model.service_model.resolved_protocol != "query":
        # SQS and CloudWatch lost the traits with which botocore could write their old protocol.
        return "POST", "/", {"Content-Type": _FORM}, urlencode(parse_qsl(body.decode(), keep_blank_values=True)).encode()
    request = _serializer(call.protocol).serialize_to_request(_without_sums(call.model, call.parameters), call.model)
    content = request["body"]
    if isinstance(content, dict):
        content = urlencode(content).encode()
    elif call.protocol in ("json", "rest-json") and not _is_raw(call.model):
        # moto takes a JSON body apart like a form. An ampersand can stand only inside a string, where it has an escape.
        content = content.replace(b"&", b"\\u0026")
    headers = {name: value for name, value in request["headers"].items() if name.lower() != "content-length"}
    return request["method"], _target(call, request), headers, content


def _target(call: Call, request: Mapping[str, Any]) -> str:
    path, _, literal = request["url_path"].partition("?")
    queries = [literal, percent_encode_sequence(request["query_string"]) if request["query_string"] else ""]
    if _is_raw(call.model) and not any(queries):
        # Where there is no query moto looks for an action in the body, which here may be anything.
        queries.append(f"x-id={call.operation}")
    query = "&".join(filter(None, queries))
    return f"{path}?{query}" if query else path


def _is_raw(model: OperationModel) -> bool:
    """Whether the body is a member as it is, not a structure that was written."""
    shape = model.input_shape
    payload = shape.serialization.get("payload") if shape else None
    return bool(shape and payload and shape.members[payload].type_name in _TEXTUAL)


def _without_sums(model: OperationModel, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """The parameters without checksums of a body that is written anew; they were for the bytes that came."""
    if model.service_model.resolved_protocol != "rest-xml" or _is_raw(model) or model.input_shape is None:
        return parameters
    members = model.input_shape.members
    wire = {name: str(members[name].serialization.get("name", "")).lower() for name in parameters}
    return {name: value for name, value in parameters.items() if not wire[name].startswith(_OF_THE_BYTES)}


@lru_cache(maxsize=8)
def _serializer(protocol: str) -> Serializer:
    serializer: Any = create_serializer(protocol, include_validation=False)  # typed as the one that validates
    return cast("Serializer", serializer)


def _host(call: Call, host: str) -> str:
    """The host that the client named where queue URLs repeat it; never one in which moto reads a region or a bucket."""
    return host if call.service == "sqs" and "amazonaws" not in host.lower() else "localhost"
