"""Limits of API keys as people set them: in the form and at the terminal, and that they hold."""

from __future__ import annotations

from datetime import timedelta

import pytest
from click.testing import Result
from flask import Flask

from tests.support.clock import Clock
from tests.support.markup import by_id, soup
from tests.support.people import Person, Program
from webapp.domain.key_limits import KeyLimits
from webapp.runtime import Runtime
from webapp.services.sign_in import KeyRing

FORM = {
    "name": "shop", "role": "publisher", "rate_limit": "", "scope_only": "publish", "event_types": "order.*, invoice.paid",
    "sources": "shop web", "days": "30", "no_payloads": "on",
}  # fmt: skip


def test_form_sets_every_limit_and_they_hold(app: Flask, signed_in: Person, sqlite_rt: Runtime, clock: Clock) -> None:
    page = soup(signed_in.post("/settings/keys", FORM))
    secret = by_id(page, "key-secret").get_text().strip()
    key = KeyRing(sqlite_rt).find(secret)
    assert key is not None
    assert key.limits == KeyLimits(
        ("publish",), ("order.*", "invoice.paid"), ("shop", "web"), False, clock() + timedelta(days=30)
    )
    program = Program(app, secret)
    event = {"type": "order.paid", "source": "shop", "payload": {}}
    assert program.post("/api/v1/events", event).status_code == 202
    assert program.post("/api/v1/events", event | {"type": "user.made"}).status_code == 403
    assert program.post("/api/v1/events", event | {"source": "elsewhere"}).status_code == 403
    clock.advance(days=31)
    assert KeyRing(sqlite_rt).find(secret) is None


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"scope_only": "administer"}, "scope_only"),
        ({"role": "viewer"}, "scope_only"),
        ({"event_types": "x" * 500}, "event_types"),
        ({"days": "7000"}, "days"),
        ({"rate_limit": "-1"}, "rate_limit"),
        ({"role": "emperor"}, "role"),
    ],
)
def test_limit_that_cannot_be_is_told_at_its_field(signed_in: Person, change: dict[str, str], field: str) -> None:
    page = soup(signed_in.post("/settings/keys", FORM | change), 422)
    assert by_id(page, f"f-{field}")["aria-invalid"] == "true"
    assert by_id(page, "f-sources")["value"] == FORM["sources"]
    assert page.select_one("#key-secret") is None


def test_terminal_sets_every_limit(app: Flask, sqlite_rt: Runtime, clock: Clock) -> None:
    command = ["key", "create", "ci", "--scope", "publish", "--type", "order.*", "--type", "a.b", "--source", "ci"]
    made: Result = app.test_cli_runner().invoke(args=[*command, "--days", "2", "--no-payloads"])
    assert made.exit_code == 0, made.output
    key = KeyRing(sqlite_rt).find(made.output.split()[-1])
    assert key is not None
    assert key.limits == KeyLimits(("publish",), ("order.*", "a.b"), ("ci",), False, clock() + timedelta(days=2))
    refused = app.test_cli_runner().invoke(args=["key", "create", "x", "--role", "viewer", "--scope", "publish"])
    assert refused.exit_code != 0
    assert "/scopes" in refused.output
