"""The request that moto sees: the call that was judged, and nothing else of the request that came.

moto finds the action in a query string or even in a JSON body before it looks at X-Amz-Target, the region in the host or
the user agent before the signature, and the account in a header of its own. Whatever could make it act otherwise than was
judged is therefore left behind, and what remains can be read in one way only.
"""

import io
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode

from executor.sandbox.recognise import Call
from executor.sandbox.signing import Signature

_JSON = "application/x-amz-json-1.0"
_FORM = "application/x-www-form-urlencoded; charset=utf-8"


def for_moto(environ: Mapping[str, Any], call: Call, signature: Signature, body: bytes) -> dict[str, Any]:
    """A WSGI environment with which moto makes exactly this call, on behalf of this access key."""
    content = _unambiguous(call, body)
    kept = {name: value for name, value in environ.items() if name.startswith(("wsgi.", "SERVER_", "REMOTE_"))}
    kept |= {
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/",
        "RAW_URI": "/",
        "REQUEST_URI": "/",
        "QUERY_STRING": "",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": _host(str(environ.get("HTTP_HOST", ""))),
        "HTTP_AUTHORIZATION": (
            f"AWS4-HMAC-SHA256 Credential={signature.access_key_id}/{signature.date}/{call.region}/{signature.service}"
            f"/aws4_request, SignedHeaders=host, Signature={signature.value}"
        ),
        "CONTENT_TYPE": _JSON if call.protocol == "json" else _FORM,
        "CONTENT_LENGTH": str(len(content)),
        "wsgi.input": io.BytesIO(content),
    }
    if call.protocol == "json":
        kept["HTTP_X_AMZ_TARGET"] = f"{call.model.service_model.metadata['targetPrefix']}.{call.operation}"
    return kept


def _unambiguous(call: Call, body: bytes) -> bytes:
    """The body in a spelling that moto reads as it was read here.

    moto takes a JSON body apart like a form. An ampersand can stand only inside a JSON string, where it has an escape.
    """
    if call.protocol == "json":
        return (body or b"{}").replace(b"&", b"\\u0026")
    return urlencode(parse_qsl(body.decode(), keep_blank_values=True)).encode()


def _host(host: str) -> str:
    """The host that the client named, since queue URLs repeat it; never one in which moto reads a region."""
    return "localhost" if "amazonaws" in host.lower() else host
