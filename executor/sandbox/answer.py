"""What AWS answered, read as a client reads it: botocore's parser on the response."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from botocore.model import Shape
from botocore.parsers import ResponseParserError, create_parser

from executor.sandbox.recognise import Call
from executor.sandbox.wire import HttpResponse


@dataclass(frozen=True)
class Answer:
    """The output of a call as boto3 would return it, or its error code and message."""

    output: Mapping[str, Any]
    error_code: str | None = None
    error_message: str | None = None


def read_answer(call: Call, response: HttpResponse) -> Answer:
    """The answer in a response. One that cannot be read is an error without a message, not an exception.

    A stream of events, and the body of an object, are no part of what is recorded and are not read.
    """
    if call.model.has_event_stream_output and response.status < 300:
        return Answer({})
    # An operation without output has no shape; the parser takes None, its types do not say so.
    parser = create_parser(call.protocol)
    content = {"status_code": response.status, "headers": dict(response.headers), "body": response.body}
    try:
        parsed = parser.parse(content, cast("Shape", call.model.output_shape))
    except (ResponseParserError, ValueError):
        return Answer({}, "InternalFailure", None)
    error = parsed.get("Error")
    if response.status >= 300 or error:
        error = error or {}
        return Answer({}, error.get("Code") or str(response.status), error.get("Message"))
    parsed.pop("ResponseMetadata", None)
    return Answer(parsed)
