"""One request, one id, one line in the log; and nothing that no column could hold."""

import logging
import re
import time
import uuid
from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest

from approvals import correlation

logger = logging.getLogger("config.requests")

_PROXY_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")


class RequestIdMiddleware:
    """Gives each request an id (a proxy's `X-Request-ID` where one is trusted) and logs how it ended.

    The id goes out as `X-Request-ID`. The query string is never logged: sign-in codes travel in it.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request_id = _request_id(request)
        started = time.monotonic()
        with correlation.bound(request_id=request_id):
            response = self.get_response(request)
            # Probes come every few seconds and would bury the rest.
            level = logging.DEBUG if request.path == "/healthz" and response.status_code == 200 else logging.INFO
            logger.log(
                level,
                "%s %s %s",
                request.method,
                request.path,
                response.status_code,
                extra={"status": response.status_code, "milliseconds": round((time.monotonic() - started) * 1000, 1)},
            )
        response["X-Request-ID"] = request_id
        return response


class NoNulMiddleware:
    """Refuses a NUL in the address, the query or a form with 400: PostgreSQL stores none, so it would end in an error of ours."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        try:
            texts = [
                request.path,
                *(text for data in (request.GET, request.POST) for pair in data.lists() for text in (pair[0], *pair[1])),
            ]
            # Other encodings can carry what UTF-8 and so PostgreSQL cannot.
            "".join(texts).encode()
        except (UnicodeError, LookupError):
            message = "What was sent cannot be read as text. Nothing was changed. Send it as UTF-8."
            return HttpResponseBadRequest(message, content_type="text/plain")
        if any("\0" in text for text in texts):
            message = (
                "What was sent holds a NUL character, which cannot be stored. Nothing was changed. Remove it and send it again."
            )
            return HttpResponseBadRequest(message, content_type="text/plain")
        return self.get_response(request)


def _request_id(request: HttpRequest) -> str:
    given = request.headers.get("X-Request-ID", "") if settings.BEHIND_PROXY else ""
    return given if _PROXY_ID.fullmatch(given) else uuid.uuid4().hex
