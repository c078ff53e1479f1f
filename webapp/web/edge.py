"""The outermost layer of every request: its id, its headers, its time. Also of what never reaches Flask (sockets).

It is plain WSGI on purpose: the same as Flask hooks would cost a publisher a third of the time of a request.
"""

from __future__ import annotations

import json
import logging
import random
import re
import time
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from webapp.logs import bind_log_context
from webapp.settings import Settings
from webapp.web.hosts import HOST, allowed_by

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

log = logging.getLogger(__name__)

SLOW_S = 1.0
REQUEST_ID = re.compile(r"[A-Za-z0-9._:\-]{1,64}")
TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?")  # W3C Trace Context
ID = "signalbox.request_id"  # in the environ, for everybody behind
TRACE = "signalbox.trace_id"  # the same: what several requests of one story share, if the caller says so
ENDPOINT = "signalbox.endpoint"  # written by Flask's side: what was asked for, never a raw path
WAITED = "signalbox.waited"  # seconds that the caller asked to wait: no fault of ours
NOWHERE = "none"  # the endpoint of what was not found
SOCKETS = "/socket.io"
CACHED = "/static/"
DOORS = ("/in/", "/p/", "/u/")  # behind them a path holds a token
FOR_PROBES = ("/healthz", "/readyz")  # answer to whatever name an orchestrator has for us
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; connect-src 'self'{sockets}; "
    "img-src 'self' data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
FOR_ALL = [("X-Content-Type-Options", "nosniff"), ("Cross-Origin-Resource-Policy", "same-origin")]
FOR_PAGES = [
    *FOR_ALL,
    ("Referrer-Policy", "same-origin"),
    ("X-Frame-Options", "DENY"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Permissions-Policy", "camera=(), geolocation=(), microphone=()"),
]
# JSON is not a document: a browser that opens it anyway may load, run and frame nothing.
FOR_JSON = [*FOR_ALL, ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")]
JSON_TYPES = ("application/json", "application/problem+json")
HSTS = ("Strict-Transport-Security", "max-age=31536000")
NO_STORE = ("Cache-Control", "no-store")

Observe = Callable[[str, str, str, float], None]  # method, endpoint, status, seconds


class Edge:
    """Wraps the pages and the sockets; whoever does not ask for a socket does not pass their middleware."""

    def __init__(self, pages: WSGIApplication, sockets: WSGIApplication, settings: Settings, observe: Observe) -> None:
        self._pages, self._sockets = pages, sockets
        self._observe = observe
        self._is_allowed = allowed_by(settings)
        always = [HSTS] if settings.secure_cookies else []
        self._for_pages, self._for_json = FOR_PAGES + always, FOR_JSON + always

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        started = time.perf_counter()
        environ[ID] = name = _request_id(environ)
        environ[TRACE] = trace = _trace_id(environ)
        path = environ.get("PATH_INFO", "")
        seen = "500"

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            nonlocal seen
            seen = status
            told = dict(headers)
            if told.get("Content-Type") in JSON_TYPES:
                added = [*self._for_json, ("X-Request-Id", name), ("X-Trace-Id", trace)]
            else:
                added = [
                    *self._for_pages,
                    ("X-Request-Id", name),
                    ("X-Trace-Id", trace),
                    policy_for(environ.get("HTTP_HOST", "")),
                ]
            if "Cache-Control" not in told and not (path.startswith(CACHED) and status < "4"):
                added.append(NO_STORE)
            return start_response(status, headers + added, exc_info)

        with bind_log_context(request_id=name, trace_id=trace):
            if not self._is_allowed(environ.get("HTTP_HOST", "")) and path not in FOR_PROBES:
                return _refuse_host(environ, start, name, trace)
            if path.startswith(SOCKETS):
                return self._sockets(environ, start)
            answer = self._pages(environ, start)
            elapsed_s = time.perf_counter() - started - environ.get(WAITED, 0.0)
            _log(environ["REQUEST_METHOD"], path, seen, elapsed_s)
        endpoint = environ.get(ENDPOINT) or NOWHERE
        self._observe(environ["REQUEST_METHOD"], endpoint, f"{seen[0]}xx", elapsed_s)
        return answer


def _log(method: str, path: str, status: str, elapsed_s: float) -> None:
    """Trouble always; what people and programs changed or read only when asked for: the audit log has the former."""
    level = logging.WARNING if status >= "5" or elapsed_s > SLOW_S else logging.DEBUG
    if log.isEnabledFor(level):
        path = loggable(path)
        words = {"action": "request", "method": method, "path": path, "status": int(status[:3])}
        log.log(level, "%s %s %s", method, path, status[:3], extra={**words, "ms": round(elapsed_s * 1000, 1)})


def loggable(path: str) -> str:
    """A path as logs may keep it: without the token of an inbound source, which lets in whoever knows it."""
    for door in DOORS:
        if path.startswith(door):
            return f"{door}…"
    return path[:200]


def _request_id(environ: WSGIEnvironment) -> str:
    """The id that the caller gave, if it is a sane one, else a new one."""
    given = environ.get("HTTP_X_REQUEST_ID")
    return given if given and REQUEST_ID.fullmatch(given) else f"req_{random.getrandbits(80):020x}"  # no secret


def _trace_id(environ: WSGIEnvironment) -> str:
    """That of the caller's ``traceparent``, if it is a valid one, else a new one of the same form."""
    given = TRACEPARENT.fullmatch(environ.get("HTTP_TRACEPARENT", "").strip())
    if given and not given[0].startswith("ff") and given[1].strip("0"):
        return given[1]
    return f"{random.getrandbits(128):032x}"  # no secret


def _refuse_host(environ: WSGIEnvironment, start: StartResponse, request_id: str, trace_id: str) -> list[bytes]:
    """400: this request was meant for somebody else. Nothing of the name is repeated, nothing behind is asked."""
    detail = "The hub does not answer to this host name; see SIGNALBOX_PUBLIC_URL and SIGNALBOX_ALLOWED_HOSTS."
    problem = {
        "type": "/problems/invalid-host", "title": "Invalid host", "status": 400, "detail": detail,
        "instance": environ.get("PATH_INFO", "")[:200], "request_id": request_id,
        "trace_id": trace_id,
    }  # fmt: skip
    body = json.dumps(problem).encode()
    start("400 Bad Request", [("Content-Type", "application/problem+json"), ("Content-Length", str(len(body)))])
    return [body]


@lru_cache(maxsize=64)
def policy_for(host: str) -> tuple[str, str]:
    """The content policy; sockets are allowed to this host only, which some browsers do not take ``'self'`` for."""
    sockets = f" ws://{host} wss://{host}" if HOST.fullmatch(host) else ""
    return "Content-Security-Policy", POLICY.format(sockets=sockets)
