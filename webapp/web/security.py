"""Cookies, limits and the forgery lock: what Flask is told before anything else. Headers are ``webapp.web.edge``."""

from __future__ import annotations

from datetime import timedelta

from flask import Flask
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface
from flask.wrappers import Request
from flask_wtf.csrf import CSRFProtect

from webapp.settings import Settings

csrf = CSRFProtect()


class Cookies(SecureCookieSessionInterface):
    """Flask's signed cookie, without the cost of its keys for programs, which send none."""

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        if "HTTP_COOKIE" not in request.environ:
            return self.session_class()
        return super().open_session(app, request)


def protect(app: Flask, settings: Settings) -> None:
    """Cookies, limits, and a token in every form; ``auth.guard`` asks for it."""
    secure = settings.secure_cookies
    app.session_interface = Cookies()
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
        WTF_CSRF_CHECK_DEFAULT=False,
    )
    csrf.init_app(app)
