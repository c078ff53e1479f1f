"""The one table from what went wrong to its answer: a problem document (RFC 9457), a part for htmx, or a page.

A stack trace, an SQL text or a path never leaves from here; the log has them under the ids of trace and request.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from flask import Flask, Response, render_template, request
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException

from webapp.domain.errors import Fault, Forbidden, HubError, Unauthenticated, Unavailable
from webapp.services.idempotency import StillRunning
from webapp.services.rate_limits import TooManyRequests
from webapp.services.read_only import IsReadOnly
from webapp.services.sign_in import TooManyFailures
from webapp.web import render
from webapp.web.auth import is_machine_path, note_denial, request_id, trace_id
from webapp.web.problems import PROBLEMS

log = logging.getLogger(__name__)

HEALTH_PATHS = ("/healthz", "/readyz")
RETRY_AFTER_S = 2
SLUG_OF_STATUS = {
    400: "bad-request",
    401: "unauthenticated",
    403: "forbidden",
    404: "not-found",
    405: "method-not-allowed",
    409: "conflict",
    413: "payload-too-large",
    414: "uri-too-long",
    415: "unsupported-media-type",
    429: "rate-limited",
    500: "internal-error",
    503: "storage-unavailable",
}
HEADERS_OF_SLUG = {"unsupported-content-encoding": {"Accept-Encoding": "gzip"}}


@dataclass(frozen=True, slots=True)
class Trouble:
    """One answer to be, whatever its form."""

    slug: str
    status: int
    title: str
    detail: str
    faults: tuple[Fault, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    members: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The problem document."""
        document: dict[str, Any] = {
            "type": f"/problems/{self.slug}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "instance": request.path[:200],
            "request_id": request_id(),
            "trace_id": trace_id(),
            **self.members,
        }
        if self.faults:
            document["errors"] = faults_json(self.faults)
        return document


def install(app: Flask) -> None:
    """From here on every refusal and every crash is answered by this file."""
    app.register_error_handler(HubError, answer_refusal)
    app.register_error_handler(CSRFError, answer_bad_form)
    app.register_error_handler(HTTPException, answer_http)
    app.register_error_handler(Exception, answer_crash)


def answer_refusal(error: HubError) -> Response:
    """What the hub refuses on purpose."""
    headers: dict[str, str] = dict(HEADERS_OF_SLUG.get(error.slug, {}))
    if isinstance(error, Unauthenticated):
        headers["WWW-Authenticate"] = 'Bearer realm="Signalbox"'
    if isinstance(error, TooManyFailures | TooManyRequests | StillRunning | IsReadOnly):
        headers["Retry-After"] = str(math.ceil(error.retry_after_s))
    if isinstance(error, Unavailable):
        headers["Retry-After"] = str(RETRY_AFTER_S)
        log.error("storage unavailable: %s", error.__cause__ or error, extra={"request_id": request_id()})
    if isinstance(error, Forbidden):
        log.info("refused: %s", error.detail, extra={"action": "forbidden", "request_id": request_id()})
        note_denial(error.detail)
    return answer(
        Trouble(error.slug, error.status, _title_of(error), error.detail, error.faults, headers, error.members)
    )


def item_problem(error: HubError) -> dict[str, Any]:
    """The problem document of one item of a request: without what belongs to the request."""
    document = {"type": f"/problems/{error.slug}", "title": _title_of(error), "status": error.status}
    document |= {"detail": error.detail, **error.members}
    return document | ({"errors": faults_json(error.faults)} if error.faults else {})


def faults_json(faults: Sequence[Fault]) -> list[dict[str, str]]:
    """As every problem document lists them."""
    return [{"pointer": one.pointer, "code": one.code, "message": one.message} for one in faults]


def _title_of(error: HubError) -> str:
    return PROBLEMS[error.slug].title if error.slug in PROBLEMS else error.title


def answer_bad_form(error: CSRFError) -> Response:
    """A form without our token: stale, or not ours."""
    del error
    known = PROBLEMS["csrf-failed"]
    return answer(Trouble("csrf-failed", known.status, known.title, known.help))


def answer_http(error: HTTPException) -> Response | HTTPException:
    """What Flask and Werkzeug refuse by themselves."""
    status = error.code or 500
    if status < 400 or error.response is not None:
        return error
    slug = SLUG_OF_STATUS.get(status, "bad-request" if status < 500 else "internal-error")
    known = PROBLEMS[slug]
    headers = {name: value for name, value in error.get_headers() if name in ("Allow", "Retry-After")}
    return answer(Trouble(slug, status, known.title, known.help, headers=headers))


def answer_crash(error: Exception) -> Response:
    """What nobody expected: the log has everything, the client the id to find it by."""
    log.error(
        "unexpected %s", type(error).__name__, exc_info=error,
        extra={"action": "request_crashed", "request_id": request_id()},
    )  # fmt: skip
    known = PROBLEMS["internal-error"]
    return answer(Trouble("internal-error", 500, known.title, known.help))


def answer(trouble: Trouble) -> Response:
    """In the form that the asker reads."""
    if is_machine_path() or request.path in HEALTH_PATHS:
        body = json.dumps(trouble.to_json())  # ASCII: whatever a pointer holds can be sent
        response = Response(body, trouble.status, content_type="application/problem+json")
    else:
        response = _page(trouble)
    response.headers.update(trouble.headers)
    return response


def _page(trouble: Trouble) -> Response:
    known = PROBLEMS.get(trouble.slug)
    context = {"trouble": trouble, "help": known.help if known else "", "request_id": request_id()}
    context["trace_id"] = trace_id()
    part = render.wants_part()
    try:
        html = render_template(f"errors_pages/{'_error' if part else 'error'}.html", **context)
    except Exception:
        log.exception("the error page failed", extra={"action": "error_page_failed", "request_id": request_id()})
        return Response(
            f"{trouble.title}. {trace_id()} {request_id()}\n", trouble.status, content_type="text/plain; charset=utf-8"
        )
    response = Response(html, trouble.status)
    response.vary.add("HX-Request")
    return response
