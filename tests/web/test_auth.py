"""Who gets in: default deny, sessions, keys, throttling, and where a sign-in leads."""

from __future__ import annotations

import functools
import re
from hashlib import sha256
from typing import Any

import pytest
from flask import Flask

from tests.support.clock import Clock
from tests.support.factories import rows_of
from tests.support.people import HTMX, Person, Program, add_person, add_program
from webapp.domain.access import SYSTEM, Actor
from webapp.runtime import Runtime
from webapp.services import accounts, sign_in
from webapp.services.sign_in import KeyRing, SignInFailed, TooManyFailures, Visit
from webapp.store import tables
from webapp.web.auth import PUBLIC, is_local_path, verb_of

PASSWORD = "correct horse battery"
PUBLIC_ENDPOINTS = {
    "people_links.show_invitation", "people_links.accept_invitation", "people_links.show_password",
    "people_links.set_password",
    "assets.show", "health.healthz", "health.readyz", "session.show", "session.begin", "session.end", "setup.show",
    "setup.create", "problems.show", "api_docs.moved", "inbound.receive", "inbound.agree", "inbound.publish",
    "notification_settings.worker", "session.ask_code", "session.check_code", "session.show_link", "session.use_link",
    "provider.begin", "provider.callback", "provider.end", "mail_address.about_to_stop", "mail_address.stop",
}  # fmt: skip


@pytest.fixture
def ada(sqlite_rt: Runtime) -> str:
    return accounts.create_user(sqlite_rt, SYSTEM, "ada", PASSWORD, "admin")


def sign_in_as(person: Person, username: str = "ada", password: str = PASSWORD, **form: Any) -> Any:
    return person.post("/sign-in", {"username": username, "password": password, **form})


def session_ids(rt: Runtime) -> list[str]:
    return [row.id for row in rows_of(rt, tables.sessions)]


def actions(rt: Runtime) -> list[str]:
    return [row.action for row in rows_of(rt, tables.audit)]


def path_of(rule: Any) -> str:
    """An address that the rule answers."""
    path = re.sub(r"<any\((\w+)[^>]*>", r"\1", rule.rule)
    for name in rule.arguments:
        path = path.replace(f"<{name}>", "x").replace(f"<path:{name}>", "x").replace(f"<int:{name}>", "1")
    return path


# Default deny


def test_every_route_declares_who_may_use_it(app: Flask) -> None:
    with app.app_context():
        silent = sorted(rule.endpoint for rule in app.url_map.iter_rules() if verb_of(rule.endpoint) is None)
    assert silent == []


def test_only_listed_routes_are_public(app: Flask) -> None:
    with app.app_context():
        found = {rule.endpoint for rule in app.url_map.iter_rules() if verb_of(rule.endpoint) == PUBLIC}
    assert found == PUBLIC_ENDPOINTS


def test_every_other_route_refuses_a_stranger(app: Flask, stranger: Person) -> None:
    with app.app_context():
        closed = [rule for rule in app.url_map.iter_rules() if rule.endpoint not in PUBLIC_ENDPOINTS]
    for rule in closed:
        path = path_of(rule)
        for method in sorted((rule.methods or set()) & {"GET", "POST", "PUT", "DELETE"}):
            answer = stranger.client.open(path, method=method)
            assert answer.status_code in (302, 401), f"{method} {path}: {answer.status_code}"


def test_route_without_a_verb_is_refused_even_to_an_administrator(app: Flask, signed_in: Person) -> None:
    app.view_functions["undeclared"] = lambda: "open"
    app.url_map.add(app.url_rule_class("/undeclared", endpoint="undeclared"))
    assert signed_in.get("/undeclared").status_code == 403


@pytest.mark.parametrize(
    ("role", "method", "path", "status"),
    [
        ("publisher", "GET", "/api/v1/events", 403),
        ("publisher", "POST", "/api/v1/subscriptions", 403),
        ("viewer", "GET", "/api/v1/events", 200),
        ("viewer", "POST", "/api/v1/events", 403),
        ("viewer", "POST", "/api/v1/deliveries/x/retry", 403),
        ("operator", "POST", "/api/v1/deliveries/x/retry", 404),
        ("operator", "GET", "/metrics", 200),
    ],
)
def test_key_may_do_what_its_role_grants(app: Flask, role: str, method: str, path: str, status: int) -> None:
    answer = add_program(app, role).send(method, path)
    assert answer.status_code == status


@pytest.mark.parametrize("role", ["viewer", "operator", "developer", "admin"])
def test_every_page_asks_for_the_verb_that_it_declares(app: Flask, role: str, monkeypatch: pytest.MonkeyPatch) -> None:
    person = add_person(app, "somebody", role)
    actor = Actor("user", "id", "somebody", role)  # type: ignore[arg-type]
    with app.app_context():
        asked = {rule.endpoint: (rule, verb_of(rule.endpoint)) for rule in app.url_map.iter_rules()}
    reached: list[str] = []
    for endpoint, (_, verb) in asked.items():
        if verb not in (None, PUBLIC):
            view = app.view_functions[endpoint]
            reach = functools.wraps(view)(lambda endpoint=endpoint, **_: reached.append(endpoint) or "reached")
            monkeypatch.setitem(app.view_functions, endpoint, reach)
    for endpoint, (rule, verb) in asked.items():
        if verb in (None, PUBLIC) or rule.rule.startswith("/api/") or "GET" not in (rule.methods or set()):
            continue
        answer = person.get(path_of(rule))
        assert (answer.status_code != 403) == actor.can(str(verb)), f"{role} {rule.rule}: {answer.status_code}"
        assert (endpoint in reached) == actor.can(str(verb)), rule.rule


def test_operator_works_and_developer_designs(app: Flask) -> None:
    made = {"name": "x", "pattern": "*", "handler": "log"}
    for role, pause, create in (("operator", 404, 403), ("developer", 404, 422)):
        program = add_program(app, role)
        assert program.post("/api/v1/subscriptions/sub_x/pause", {}).status_code == pause
        assert program.post("/api/v1/subscriptions", made).status_code == create


# Sign-in


def test_page_sends_a_stranger_to_sign_in_and_back(stranger: Person, ada: str) -> None:
    answer = stranger.get("/events?type=order.*")
    assert answer.status_code == 302
    assert answer.location == "/sign-in?next=/events?type%3Dorder.*"
    page = stranger.get(answer.location)
    assert 'value="/events?type=order.*"' in page.text
    answer = sign_in_as(stranger, next="/events?type=order.*")
    assert (answer.status_code, answer.location) == (303, "/events?type=order.*")
    assert stranger.get("/events?type=order.*").status_code == 200


def test_htmx_part_tells_a_stranger_to_go_to_sign_in(stranger: Person) -> None:
    answer = stranger.part("/events", headers={"HX-Current-URL": "http://localhost/events?status=failed"})
    assert answer.status_code == 401
    assert answer.headers["HX-Redirect"] == "/sign-in?next=/events?status%3Dfailed"


@pytest.mark.parametrize(
    "target",
    ["//evil.example", "/\\evil.example", "https:evil.example", "https://evil.example", "javascript:alert(1)",
     "/\t/evil.example", "/\n/evil.example", "\\\\evil", "", "events", " //evil"],
)  # fmt: skip
def test_sign_in_never_leads_elsewhere(stranger: Person, ada: str, target: str) -> None:
    assert not is_local_path(target)
    assert sign_in_as(stranger, next=target).location == "/"


def test_sign_in_makes_a_new_session_and_drops_what_was_in_the_cookie(
    stranger: Person, ada: str, sqlite_rt: Runtime
) -> None:
    with stranger.client.session_transaction() as cookie:
        cookie["token"] = "chosen by an attacker"
        cookie["planted"] = "yes"
    answer = sign_in_as(stranger)
    with stranger.client.session_transaction() as cookie:
        assert "planted" not in cookie
        token = cookie["token"]
    assert session_ids(sqlite_rt) == [sha256(token.encode()).hexdigest()]
    header = answer.headers["Set-Cookie"]
    assert "HttpOnly" in header
    assert "SameSite=Lax" in header
    assert "Domain" not in header


def test_signing_in_again_ends_the_session_before(stranger: Person, ada: str, sqlite_rt: Runtime) -> None:
    sign_in_as(stranger)
    before = session_ids(sqlite_rt)
    with stranger.client.session_transaction() as cookie:
        cookie["csrf_token"] = "the-same-in-every-test"
    sign_in_as(stranger)
    after = session_ids(sqlite_rt)
    assert len(before) == len(after) == 1
    assert before != after


def test_sign_out_ends_the_session_for_good(stranger: Person, ada: str, sqlite_rt: Runtime) -> None:
    sign_in_as(stranger)
    with stranger.client.session_transaction() as cookie:
        token = cookie["token"]
    stranger.client.get("/")
    page = stranger.get("/sign-in")
    assert page.location == "/"
    with stranger.client.session_transaction() as cookie:
        cookie["csrf_token"] = "the-same-in-every-test"
    assert stranger.post("/sign-out").location == "/sign-in"
    assert session_ids(sqlite_rt) == []
    with stranger.client.session_transaction() as cookie:
        cookie["token"] = token  # a stolen copy is worth nothing now
    assert stranger.get("/").status_code == 302
    assert "user.signed_out" in actions(sqlite_rt)


@pytest.mark.parametrize("username", ["ada", "nobody", "ADA ", "", "x" * 500, "ada\u202e"])
def test_wrong_password_and_unknown_user_look_alike(stranger: Person, ada: str, username: str) -> None:
    answer = sign_in_as(stranger, username, "wrong password")
    assert answer.status_code == 401
    assert "The username or the password is wrong." in answer.text
    assert "wrong password" not in answer.text


def test_disabled_user_cannot_sign_in_and_is_signed_out(app: Flask, signed_in: Person, sqlite_rt: Runtime) -> None:
    bob = add_person(app, "bob", "operator")
    assert bob.get("/").status_code == 200
    accounts.disable_user(sqlite_rt, SYSTEM, bob.user_id)
    assert bob.get("/").status_code == 302
    accounts.enable_user(sqlite_rt, SYSTEM, bob.user_id)
    assert bob.get("/").status_code == 302, "the old session stays dead"


def test_failed_sign_ins_are_limited_per_account_and_free_again(sqlite_rt: Runtime, clock: Clock, ada: str) -> None:
    for n in range(sign_in.FAILURES):
        with pytest.raises(SignInFailed):
            sign_in.sign_in(sqlite_rt, "ada", "wrong", Visit(f"192.0.2.{n}", "", ""))
        clock.advance(seconds=1)
    with pytest.raises(TooManyFailures) as refused:
        sign_in.sign_in(sqlite_rt, "ada", PASSWORD, Visit("198.51.100.1", "", ""))
    assert refused.value.retry_after_s == 15 * 60 - sign_in.FAILURES
    assert actions(sqlite_rt).count(sign_in.FAILED) == sign_in.FAILURES
    clock.advance(seconds=refused.value.retry_after_s)
    assert sign_in.sign_in(sqlite_rt, "ada", PASSWORD, Visit("198.51.100.1", "", ""))


def test_failed_sign_ins_are_limited_per_address(stranger: Person, ada: str) -> None:
    for n in range(sign_in.FAILURES):
        assert sign_in_as(stranger, f"guess-{n}", "wrong").status_code == 401
    answer = sign_in_as(stranger)
    assert answer.status_code == 429
    assert 0 < int(answer.headers["Retry-After"]) <= 15 * 60


@pytest.mark.parametrize(("hours", "status"), [(7.9, 200), (8, 302)])
def test_session_ends_when_idle(signed_in: Person, clock: Clock, hours: float, status: int) -> None:
    clock.advance(hours=hours)
    assert signed_in.get("/").status_code == status


def test_session_ends_after_its_longest_life_however_busy(signed_in: Person, clock: Clock) -> None:
    for _ in range(23):
        clock.advance(hours=7)
        assert signed_in.get("/").status_code == 200
    clock.advance(hours=7)
    assert signed_in.get("/").status_code == 302


def test_session_use_is_written_down_once_a_minute(signed_in: Person, sqlite_rt: Runtime, clock: Clock) -> None:
    began = clock()
    clock.advance(seconds=59)
    signed_in.get("/sign-in")
    assert rows_of(sqlite_rt, tables.sessions)[0].seen_at == began
    clock.advance(seconds=1)
    signed_in.get("/sign-in")
    assert rows_of(sqlite_rt, tables.sessions)[0].seen_at == clock()


def test_session_serves_the_api_for_reading_only(signed_in: Person) -> None:
    assert signed_in.get("/api/v1/events").status_code == 200
    answer = signed_in.client.post("/api/v1/events", json={"type": "order.paid"})
    assert answer.status_code == 401
    assert answer.json is not None
    assert answer.json["type"] == "/problems/unauthenticated"


def test_role_change_holds_from_the_next_request_on(app: Flask, signed_in: Person, sqlite_rt: Runtime) -> None:
    bob = add_person(app, "bob", "viewer")
    assert bob.post("/sign-in").status_code in (401, 429)  # the form is open to all
    assert bob.client.get("/settings/users").status_code == 403
    accounts.set_role(sqlite_rt, SYSTEM, bob.user_id, "admin")
    assert bob.client.get("/settings/users").status_code == 200


# CSRF


def test_form_without_a_token_is_refused_as_a_page_and_as_a_part(stranger: Person, ada: str) -> None:
    for headers in ({}, HTMX):
        answer = stranger.client.post("/sign-in", data={"username": "ada", "password": PASSWORD}, headers=headers)
        assert answer.status_code == 403
        assert "Form expired" in answer.text


def test_form_from_another_site_is_refused(stranger: Person, ada: str) -> None:
    form = {"username": "ada", "password": PASSWORD}
    answer = stranger.post("/sign-in", form, headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 403


# API keys


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Bearer ", "Bearer wrong", "Bearer sbx_wrong", "Basic YWRhOmFkYQ==", "bearer  sbx_x",
     "Bearer sbx_" + "x" * 43, "Bearer sbx_" + "x" * 5000, "Bearer sbx_\x80\xff"],
)  # fmt: skip
def test_api_answers_every_bad_key_alike(app: Flask, header: str) -> None:
    answer = app.test_client().get("/api/v1/events", headers={"Authorization": header})
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="Signalbox"'
    assert answer.json is not None
    assert answer.json["detail"] == "Send a valid API key: 'Authorization: Bearer sbx_…'."


def test_key_is_kept_as_a_hash_and_shown_once(sqlite_rt: Runtime) -> None:
    key_id, secret = accounts.create_key(sqlite_rt, SYSTEM, "shop", "publisher")
    assert secret.startswith("sbx_")
    assert len(secret) == 47
    (row,) = accounts.list_keys(sqlite_rt)
    assert (row.id, row.hint) == (key_id, secret[:8])
    assert row.secret_hash == sha256(secret.encode()).hexdigest()
    assert secret not in str(rows_of(sqlite_rt, tables.audit))


def test_revoked_key_is_refused_at_once_by_a_new_process_and_within_a_second_by_others(
    sqlite_rt: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(sign_in.time, "monotonic", lambda: now[0])
    key_id, secret = accounts.create_key(sqlite_rt, SYSTEM, "shop", "publisher")
    ring = KeyRing(sqlite_rt)
    assert ring.find(secret) is not None
    accounts.revoke_key(sqlite_rt, SYSTEM, key_id)
    assert KeyRing(sqlite_rt).find(secret) is None
    now[0] += sign_in.KEY_CACHE_S
    assert ring.find(secret) is None


def test_key_use_is_written_down_once_a_minute_after_the_answer(
    as_publisher: Program, sqlite_rt: Runtime, clock: Clock
) -> None:
    for seconds, seen in ((0, 0), (59, 0), (1, 60)):
        clock.advance(seconds=seconds)
        as_publisher.post("/api/v1/events", {"type": "order.paid"}).close()
        (row,) = rows_of(sqlite_rt, tables.api_keys)
        assert (clock() - row.last_used_at).total_seconds() == (59 if seconds == 59 else 0), seen


@pytest.mark.parametrize("query", ["api_key=sbx_secret", "key=sbx_secret", "access_token=abc", "x=sbx_secret"])
def test_key_in_the_url_is_refused(app: Flask, query: str) -> None:
    answer = app.test_client().get(f"/api/v1/events?{query}")
    assert answer.status_code == 400
    assert answer.json is not None
    assert answer.json["type"] == "/problems/key-in-url"
    assert "sbx_secret" not in answer.text
