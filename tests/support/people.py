"""People and programs in front of the app, without a network: each with a cookie or a key of its own."""

from __future__ import annotations

from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from itsdangerous import URLSafeTimedSerializer
from werkzeug.test import TestResponse

from webapp.domain.access import SYSTEM
from webapp.runtime import Runtime
from webapp.services.accounts import create_key
from webapp.services.sign_in import Visit, open_session
from webapp.store import accounts
from webapp.web.auth import TOKEN

HTMX = {"HX-Request": "true"}
CSRF_SEED = "the-same-in-every-test"


class Person:
    """A browser with a session: reads pages and parts, sends forms with their CSRF token."""

    def __init__(self, app: Flask, user_id: str = "", name: str = "") -> None:
        self.client: FlaskClient = app.test_client()
        self.user_id, self.name = user_id, name
        self._app = app
        with self.client.session_transaction() as session:
            session["csrf_token"] = CSRF_SEED
            if user_id:
                session[TOKEN] = open_session(_rt(app), user_id, Visit("192.0.2.9", "tests", "req-tests"))

    @property
    def csrf_token(self) -> str:
        """A token that belongs to this session."""
        return str(URLSafeTimedSerializer(self._app.secret_key, salt="wtf-csrf-token").dumps(CSRF_SEED))  # type: ignore[arg-type]

    def get(self, path: str, **options: Any) -> TestResponse:
        """A page."""
        return self.client.get(path, **options)

    def part(self, path: str, **options: Any) -> TestResponse:
        """What htmx would fetch."""
        return self.client.get(path, headers=HTMX | options.pop("headers", {}), **options)

    def post(self, path: str, form: dict[str, Any] | None = None, **options: Any) -> TestResponse:
        """A form, as the page would send it."""
        return self.client.post(path, data={"csrf_token": self.csrf_token} | (form or {}), **options)


class Program:
    """A client of the JSON API with a key."""

    def __init__(self, app: Flask, secret: str) -> None:
        self.client: FlaskClient = app.test_client()
        self.secret = secret
        self.headers = {"Authorization": f"Bearer {secret}"} if secret else {}

    def get(self, path: str, **options: Any) -> TestResponse:
        return self.client.get(path, headers=self.headers | options.pop("headers", {}), **options)

    def post(self, path: str, document: Any = None, **options: Any) -> TestResponse:
        return self.send("POST", path, document, **options)

    def send(self, method: str, path: str, document: Any = None, **options: Any) -> TestResponse:
        """A request with a JSON body, or with ``data=`` of any bytes."""
        if document is not None:
            options["json"] = document
        elif "data" in options:
            options.setdefault("content_type", "application/json")
        return self.client.open(path, method=method, headers=self.headers | options.pop("headers", {}), **options)


def _rt(app: Flask) -> Runtime:
    runtime: Runtime = app.extensions["signalbox"]
    return runtime


def add_person(app: Flask, name: str, role: str) -> Person:
    """A user of that role, signed in. No password is hashed: that is slow on purpose."""
    rt = _rt(app)
    row = {"id": rt.new_id("usr"), "username": name, "password_hash": "!", "role": role, "created_at": rt.clock()}
    with rt.db.write() as conn:
        accounts.add_user(conn, row)
    return Person(app, str(row["id"]), name)


def add_program(app: Flask, role: str) -> Program:
    """A program with a key of that role."""
    return Program(app, create_key(_rt(app), SYSTEM, f"tests {role}", role)[1])
