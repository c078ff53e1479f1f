"""Settings: users and API keys by administrators only, the secret in one answer, and every page that nothing breaks."""

from __future__ import annotations

import pytest
from flask import Flask

from tests.support.factories import make_attempt, make_delivery, make_event, make_subscription, row_of, rows_of
from tests.support.markup import by_id, soup, unrouted, unsafe, words
from tests.support.people import HTMX, Person
from webapp.domain.access import SYSTEM
from webapp.runtime import Runtime
from webapp.services.accounts import create_user
from webapp.services.notify import notify
from webapp.store import tables

EVIL = '"><img src=x onerror=alert(1)><script>alert(1)</script>{{ 7*7 }}'
LOOKED_AT = (
    "/deliveries", "/deliveries/{delivery}", "/errors", "/subscriptions", "/subscriptions/{subscription}",
    "/subscriptions/{subscription}/edit", "/subscriptions/new", "/notifications", "/workers", "/performance?table=1",
    "/audit", "/settings/users", "/settings/keys", "/settings/environment", "/settings/account", "/api",
)  # fmt: skip


@pytest.fixture
def evil(sqlite_rt: Runtime) -> dict[str, str]:
    """A hub in which every text that others write is hostile."""
    subscription = make_subscription(
        sqlite_rt, name=EVIL, options={"x": EVIL}, pause_reason=EVIL, paused_at=sqlite_rt.clock()
    )
    event = make_event(sqlite_rt, subject=EVIL, source=EVIL, payload={"x": EVIL})
    delivery = make_delivery(
        sqlite_rt, event, subscription, state="dead", reason="exhausted", error_type=EVIL, error_message=EVIL
    )
    make_attempt(
        sqlite_rt,
        delivery,
        error_type=EVIL,
        error_message=EVIL,
        stack=EVIL,
        worker="<b>w</b>",
        result=f'["{EVIL[2:]}"]',
    )
    notify(sqlite_rt, "error", EVIL, EVIL)
    line = {"delivery_id": delivery, "attempt": 1, "at": sqlite_rt.clock(), "level": "info", "text": EVIL}
    with sqlite_rt.db.write() as conn:
        conn.execute(tables.log_lines.insert(), line)
    return {"subscription": subscription, "delivery": delivery}


@pytest.mark.parametrize("path", LOOKED_AT)
def test_hostile_text_stays_text(signed_in: Person, evil: dict[str, str], path: str) -> None:
    answer = signed_in.get(path.format(**evil))
    assert "<img src=x" not in answer.text
    assert "<script>alert" not in answer.text
    assert unsafe(soup(answer)) == []


@pytest.mark.parametrize("path", LOOKED_AT)
def test_every_address_on_the_page_is_routed(signed_in: Person, app: Flask, evil: dict[str, str], path: str) -> None:
    assert unrouted(app, soup(signed_in.get(path.format(**evil)))) == []


@pytest.mark.parametrize("path", ["/settings/users", "/settings/keys", "/settings/environment"])
def test_only_administrators_come_in(as_operator: Person, stranger: Person, path: str) -> None:
    assert as_operator.get(path).status_code == 403
    assert stranger.get(path).status_code == 302


def test_user_is_created_disabled_and_enabled(signed_in: Person, sqlite_rt: Runtime) -> None:
    form = {"username": "Vera", "password": "a rather long passphrase", "role": "viewer"}
    assert signed_in.post("/settings/users", form).status_code == 303
    vera = next(row for row in rows_of(sqlite_rt, tables.users) if row.username == "vera")
    assert "vera can sign in now" in signed_in.get("/settings/users").text.lower()
    signed_in.post(f"/settings/users/{vera.id}/disable", headers=HTMX)
    assert row_of(sqlite_rt, tables.users, vera.id).disabled_at is not None
    assert "Enable" in words(by_id(soup(signed_in.get("/settings/users")), f"user-{vera.id}"))
    signed_in.post(f"/settings/users/{vera.id}/enable")
    signed_in.post(f"/settings/users/{vera.id}/role", {"role": "operator"})
    row = row_of(sqlite_rt, tables.users, vera.id)
    assert (row.disabled_at, row.role) == (None, "operator")


def test_user_form_comes_back_marked(signed_in: Person, sqlite_rt: Runtime) -> None:
    page = soup(signed_in.post("/settings/users", {"username": "x y", "password": "short", "role": "viewer"}), 422)
    assert by_id(page, "f-username")["aria-invalid"] == by_id(page, "f-password")["aria-invalid"] == "true"
    assert by_id(page, "f-password")["value"] == ""
    taken = {"username": "ada", "password": "a rather long passphrase", "role": "viewer"}
    assert "taken" in words(by_id(soup(signed_in.post("/settings/users", taken), 422), "f-username-error"))
    assert len(rows_of(sqlite_rt, tables.users)) == 1


def test_own_password_is_changed_and_other_browsers_end(app: Flask, sqlite_rt: Runtime) -> None:
    old, new = "a rather long passphrase", "another long passphrase"
    user_id = create_user(sqlite_rt, SYSTEM, "vera", old, "viewer")
    here, elsewhere = Person(app, user_id), Person(app, user_id)
    page = soup(here.post("/settings/account", {"old_password": "wrong", "password": new}), 422)
    assert by_id(page, "f-old_password")["aria-invalid"] == "true"
    assert here.post("/settings/account", {"old_password": old, "password": new}).status_code == 303
    assert "Your password is changed" in here.get("/settings/account").text
    assert elsewhere.get("/settings/account").status_code == 302


def test_payloads_are_hidden_from_a_user_and_shown_again(app: Flask, signed_in: Person, sqlite_rt: Runtime) -> None:
    vera = create_user(sqlite_rt, SYSTEM, "vera", "a rather long passphrase", "viewer")
    for sees, action in (("no", "user.payloads_hidden"), ("yes", "user.payloads_shown")):
        signed_in.post(f"/settings/users/{vera}/payloads", {"sees": sees})
        assert row_of(sqlite_rt, tables.users, vera).sees_payloads is (sees == "yes")
        assert action in [row.action for row in rows_of(sqlite_rt, tables.audit)]
    assert Person(app, vera).post(f"/settings/users/{vera}/payloads", {"sees": "yes"}).status_code == 403


def test_other_browsers_are_listed_and_signed_out(app: Flask, sqlite_rt: Runtime) -> None:
    user_id = create_user(sqlite_rt, SYSTEM, "vera", "a rather long passphrase", "viewer")
    here, elsewhere = Person(app, user_id), Person(app, user_id)
    assert words(by_id(soup(here.get("/settings/account")), "account-sessions")) == "Where you are signed in"
    assert here.get("/settings/account").text.count("192.0.2.9") == 2
    assert here.post("/settings/account/sign-out-others").status_code == 303
    assert elsewhere.get("/settings/account").status_code == 302
    assert here.get("/settings/account").text.count("192.0.2.9") == 1
    assert row_of(sqlite_rt, tables.users, user_id).signed_in_at is not None


def test_key_is_shown_once(signed_in: Person, sqlite_rt: Runtime, app: Flask) -> None:
    answer = signed_in.post("/settings/keys", {"name": "shop-api", "role": "publisher"})
    page = soup(answer)
    secret = words(by_id(page, "key-secret"))
    assert secret.startswith("sbx_")
    assert answer.headers["Cache-Control"] == "no-store"
    assert secret in words(by_id(page, "key-example"))
    assert secret not in signed_in.get("/settings/keys").text
    assert secret not in str(rows_of(sqlite_rt, tables.api_keys)) + str(rows_of(sqlite_rt, tables.audit))
    event = {"type": "order.created", "source": "shop", "payload": {}}
    sent = app.test_client().post("/api/v1/events", json=event, headers={"Authorization": f"Bearer {secret}"})
    assert sent.status_code == 202


def test_key_is_revoked(signed_in: Person, sqlite_rt: Runtime) -> None:
    signed_in.post("/settings/keys", {"name": "old", "role": "viewer"})
    (key,) = rows_of(sqlite_rt, tables.api_keys)
    answer = signed_in.post(f"/settings/keys/{key.id}/revoke", headers=HTMX)
    assert answer.headers["HX-Redirect"] == "/settings/keys"
    assert "Revoked" in words(by_id(soup(signed_in.get("/settings/keys")), f"key-{key.id}"))


def test_key_form_comes_back_marked(signed_in: Person, sqlite_rt: Runtime) -> None:
    page = soup(signed_in.post("/settings/keys", {"name": " ", "role": "emperor"}), 422)
    assert by_id(page, "f-name")["aria-invalid"] == "true"
    assert rows_of(sqlite_rt, tables.api_keys) == []


def test_environment_masks_secrets(signed_in: Person, sqlite_rt: Runtime) -> None:
    answer = signed_in.get("/settings/environment")
    assert sqlite_rt.settings.secret_key not in answer.text
    assert "SIGNALBOX_PORT" in answer.text


def test_api_page_describes_every_operation(signed_in: Person, app: Flask) -> None:
    page, document = soup(signed_in.get("/api")), signed_in.get("/api/openapi.json").get_json()
    operations = [one["operationId"] for methods in document["paths"].values() for one in methods.values()]
    for operation in operations:
        assert "curl" in words(by_id(page, operation))
    text = words(page)
    assert "/problems/invalid-event" in text
    for name in document["components"]["schemas"]:
        by_id(page, f"schema-{name}")
    assert signed_in.get("/api/docs").headers["Location"] == "/api"
