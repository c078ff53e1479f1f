"""Headers of every response, ids of every request, and cookies: what holds for the whole surface."""

from __future__ import annotations

import re
import secrets
from datetime import timedelta
from functools import lru_cache

from flask import Flask, Response, g, request

from webapp.logs import bind_log_context
from webapp.settings import Settings

HOST = re.compile(r"[A-Za-z0-9.\-]{1,253}(?::\d{1,5})?|\[[0-9a-fA-F:.]{2,45}\](?::\d{1,5})?")
REQUEST_ID = re.compile(r"[A-Za-z0-9._:\-]{1,64}")
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; connect-src 'self'{sockets}; "
    "img-src 'self' data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
FIXED = (
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "same-origin"),
    ("X-Frame-Options", "DENY"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Permissions-Policy", "camera=(), geolocation=(), microphone=()"),
)


def protect(app: Flask, settings: Settings) -> None:
    """Cookies, limits and headers."""
    secure = settings.secure_cookies
    app.config.update(
        SECRET_KEY=settings.resolved().secret_key,
        SESSION_COOKIE_NAME="__Host-signalbox" if secure else "signalbox",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=secure,
        SESSION_REFRESH_EACH_REQUEST=False,
        PERMANENT_SESSION_LIFETIME=timedelta(days=settings.session_days),
        MAX_CONTENT_LENGTH=settings.max_body_bytes + 1,  # one more, so that webapp.web.requests can see it
        MAX_FORM_MEMORY_SIZE=settings.max_body_bytes,
        MAX_FORM_PARTS=100,
        WTF_CSRF_TIME_LIMIT=None,  # the token lives as long as the session
        WTF_CSRF_HEADERS=["X-CSRFToken"],
    )
    headers = (*FIXED, ("Strict-Transport-Security", "max-age=31536000")) if secure else FIXED
    app.before_request(name_request)
    app.teardown_request(forget_request)

    @app.after_request
    def add_headers(response: Response) -> Response:
        for name, value in headers:
            response.headers.setdefault(name, value)
        response.headers.setdefault("Content-Security-Policy", policy_for(request.host))
        response.headers.setdefault("X-Request-Id", g.get("request_id", ""))
        if request.endpoint != "static" or response.status_code >= 400:
            response.headers.setdefault("Cache-Control", "no-store")
        return response


def name_request() -> None:
    """Keep the id that the caller gave, if it is a sane one, else make one."""
    given = request.environ.get("HTTP_X_REQUEST_ID")
    g.request_id = given if given and REQUEST_ID.fullmatch(given) else f"req_{secrets.token_hex(10)}"
    g.log_context = bind_log_context(request_id=g.request_id)
    g.log_context.__enter__()


def forget_request(error: BaseException | None) -> None:
    """What this thread logs next belongs to another request."""
    del error
    context = g.pop("log_context", None)
    if context is not None:
        context.__exit__(None, None, None)


@lru_cache(maxsize=64)
def policy_for(host: str) -> str:
    """The content policy; sockets are allowed to this host only, which some browsers do not take ``'self'`` for."""
    return POLICY.format(sockets=f" ws://{host} wss://{host}" if HOST.fullmatch(host) else "")
