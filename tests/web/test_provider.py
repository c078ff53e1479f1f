"""Signing in by an identity provider, a real one on a loopback port: the good way, and everything that may be wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from flask import Flask

from tests.support.clock import Clock
from tests.support.factories import rows_of
from tests.support.people import Person, add_person
from tests.support.provider import CLIENT_ID, CLIENT_SECRET, TestProvider, running_provider
from webapp.app import create_app
from webapp.domain.access import SYSTEM
from webapp.runtime import Runtime
from webapp.services import accounts
from webapp.store import tables

PASSWORD = "correct horse battery"


@pytest.fixture
def provider(clock: Clock) -> Iterator[TestProvider]:
    with running_provider(now=lambda: clock().timestamp()) as found:
        yield found


@pytest.fixture
def hub_of(
    make_runtime: Callable[..., Runtime], sqlite_url: str, provider: TestProvider
) -> Callable[..., tuple[Flask, Runtime]]:
    def build(**changes: Any) -> tuple[Flask, Runtime]:
        told = {"oidc_issuer": provider.url, "oidc_client_id": CLIENT_ID, "oidc_client_secret": CLIENT_SECRET}
        rt = make_runtime(sqlite_url, **told | {"oidc_create_users": True} | changes)
        return create_app(runtime=rt), rt

    return build


def there(person: Person, start: str = "/sign-in/provider") -> str:
    """Go to the provider, who says yes; answers where the browser is sent back to."""
    answer = person.get(start)
    assert answer.status_code == 302, answer.text
    back = httpx.get(answer.location).headers["Location"]
    assert back.startswith("http://127.0.0.1:8000/sign-in/provider/callback?")
    return back.removeprefix("http://127.0.0.1:8000")


def users(rt: Runtime) -> dict[str, Any]:
    return {row.username: row for row in rows_of(rt, tables.users)}


def actions(rt: Runtime) -> list[str]:
    return [row.action for row in rows_of(rt, tables.audit)]


def test_somebody_new_comes_in_and_goes_where_they_wanted(hub_of: Any, provider: TestProvider) -> None:
    app, rt = hub_of()
    person = Person(app)
    answer = person.get(there(person, "/sign-in/provider?next=/events?type=order.*"))
    assert (answer.status_code, answer.location) == (303, "/events?type=order.*")
    assert person.get("/settings/account").status_code == 200
    grace = users(rt)["grace"]
    assert (grace.role, grace.oidc_subject) == ("viewer", f"{provider.url} u-1")
    assert actions(rt) == ["user.created", "user.signed_in"]
    again = Person(app)
    provider.person["preferred_username"] = "hopper"
    again.get(there(again))
    assert list(users(rt)) == ["grace"], "known by the subject, whatever the name"
    assert provider.asked.count("/.well-known/openid-configuration") == provider.asked.count("/keys") == 1


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        ({"nonce": "another"}, "nonce"),
        ({"nonce": None}, "nonce"),
        ({"aud": "another"}, "aud"),
        ({"aud": ["hub", "another"], "azp": "another"}, "azp"),
        ({"iss": "https://elsewhere.example"}, "iss"),
        ({"exp": 1}, "expired"),
        ({"iat": 9_999_999_999}, "iat"),
        ({"sub": None}, "sub"),
    ],
)
def test_token_that_does_not_hold_lets_nobody_in(
    hub_of: Any, provider: TestProvider, wrong: dict[str, Any], word: str
) -> None:
    app, rt = hub_of()
    person, provider.wrong = Person(app), wrong
    answer = person.get(there(person))
    assert answer.status_code == 502
    assert word in answer.text
    assert (users(rt), rows_of(rt, tables.sessions)) == ({}, [])


def test_token_signed_by_somebody_else_is_refused(hub_of: Any, provider: TestProvider) -> None:
    app, rt = hub_of()
    person, provider.forged = Person(app), True
    answer = person.get(there(person))
    assert answer.status_code == 502
    assert "signature" in answer.text
    assert users(rt) == {}


@pytest.mark.parametrize("member", [{"state": "another"}, {"iss": "https://elsewhere.example"}, {"code": ""}])
def test_answer_that_belongs_elsewhere_is_refused(hub_of: Any, provider: TestProvider, member: dict[str, str]) -> None:
    app, rt = hub_of()
    person, provider.answer = Person(app), member
    assert person.get(there(person)).status_code == 400
    assert users(rt) == {}
    assert "/token" not in provider.asked


def test_answer_serves_once_and_only_in_the_browser_that_asked(hub_of: Any, provider: TestProvider) -> None:
    app, rt = hub_of()
    person, other = Person(app), Person(app)
    back = there(person)
    assert other.get(back).status_code == 400
    cookie = person.client.get_cookie("signalbox")
    assert person.get(back).status_code == 303
    assert person.get(back).status_code == 400
    assert cookie is not None
    person.client.set_cookie("signalbox", cookie.value)  # a copy of the cookie from before
    replayed = person.get(back)
    assert replayed.status_code == 502
    assert "used already" in replayed.text
    assert len(rows_of(rt, tables.sessions)) == 1


def test_answer_that_took_too_long_is_refused(hub_of: Any, clock: Clock) -> None:
    app, rt = hub_of()
    person = Person(app)
    back = there(person)
    clock.advance(minutes=11)
    assert person.get(back).status_code == 400
    assert users(rt) == {}


def test_refusal_of_the_provider_is_told(hub_of: Any, provider: TestProvider) -> None:
    app, _ = hub_of()
    person, provider.answer = Person(app), {"error": "<b>access_denied</b>"}
    answer = person.get(there(person))
    assert answer.status_code == 403
    assert "&lt;b&gt;access_denied" in answer.text


def test_provider_that_is_down_is_told_on_a_page(hub_of: Any, provider: TestProvider) -> None:
    app, _ = hub_of(oidc_issuer="http://127.0.0.1:9")
    for words in ("does not answer", "did not answer just now"):
        answer = Person(app).get("/sign-in/provider")
        assert answer.status_code == 502
        assert words in answer.text


def test_provider_that_is_somebody_else_is_refused(hub_of: Any, provider: TestProvider) -> None:
    app, _ = hub_of(oidc_issuer=provider.url + "/other")
    answer = Person(app).get("/sign-in/provider")
    assert answer.status_code == 502
    assert "calls itself something else" in answer.text


@pytest.mark.parametrize(
    ("changes", "said", "role"),
    [
        ({}, {}, "viewer"),
        ({"oidc_allowed_groups": "staff"}, {"groups": ["guests"]}, None),
        ({"oidc_allowed_groups": "staff"}, {"groups": ["staff"]}, "viewer"),
        ({"oidc_allowed_groups": "staff"}, {"groups": "staff"}, "viewer"),
        ({"oidc_allowed_domains": "example.com"}, {"email": "g@example.com", "email_verified": True}, "viewer"),
        ({"oidc_allowed_domains": "example.com"}, {"email": "g@example.com"}, None),
        ({"oidc_allowed_domains": "example.com"}, {"email": "g@evil-example.com", "email_verified": True}, None),
        ({"oidc_roles": "ops=operator,root=admin"}, {"groups": ["ops", "root"]}, "admin"),
        ({"oidc_roles": "ops=operator", "oidc_default_role": "none"}, {"groups": []}, None),
        ({"oidc_roles": "ops=operator", "oidc_groups_claim": "a.b"}, {"a": {"b": ["ops"]}}, "operator"),
        ({"oidc_create_users": False}, {}, None),
    ],
)
def test_who_is_let_in_and_as_what(
    hub_of: Any, provider: TestProvider, changes: dict[str, Any], said: dict[str, Any], role: str | None
) -> None:
    app, rt = hub_of(**changes)
    person = Person(app)
    provider.person |= said
    answer = person.get(there(person))
    assert answer.status_code == (403 if role is None else 303)
    assert [row.role for row in users(rt).values()] == ([] if role is None else [role])
    assert actions(rt)[0] == ("user.provider_refused" if role is None else "user.created")


def test_roles_follow_the_groups_at_each_sign_in_but_the_last_administrator_stays(
    hub_of: Any, provider: TestProvider
) -> None:
    app, rt = hub_of(oidc_roles="root=admin,ops=operator")
    provider.person["groups"] = ["root"]
    for groups, role in ((["root"], "admin"), (["ops"], "admin")):
        person, provider.person["groups"] = Person(app), groups
        person.get(there(person))
        assert users(rt)["grace"].role == role
    add_person(app, "ada", "admin")
    person.get("/sign-in")
    other = Person(app)
    other.get(there(other))
    assert users(rt)["grace"].role == "operator"
    assert "user.role_changed" in actions(rt)


def test_nobody_is_linked_by_name_and_a_link_takes_the_password(hub_of: Any, provider: TestProvider) -> None:
    app, rt = hub_of()
    user_id = accounts.create_user(rt, SYSTEM, "grace", PASSWORD, "developer")
    stranger = Person(app)
    refused = stranger.get(there(stranger))
    assert refused.status_code == 403
    assert "There is a user grace already" in refused.text
    grace = Person(app, user_id, "grace")
    assert grace.get("/settings/account/provider/go").location == "/settings/account/provider"
    assert grace.post("/settings/account/provider", {"password": "wrong"}).status_code == 422
    assert "Go on to" in grace.post("/settings/account/provider", {"password": PASSWORD}).text
    assert grace.get(there(grace, "/settings/account/provider/go")).location == "/settings/account"
    linked = Person(app)
    assert linked.get(there(linked)).status_code == 303
    assert users(rt)["grace"].oidc_subject == f"{provider.url} u-1"
    assert users(rt)["grace"].role == "developer"
    assert grace.post("/settings/account/provider/unlink", {"password": PASSWORD}).status_code == 303
    assert users(rt)["grace"].oidc_subject is None
    assert {"user.identity_linked", "user.identity_unlinked"} <= set(actions(rt))


def test_account_of_the_provider_belongs_to_one_user(hub_of: Any, provider: TestProvider) -> None:
    app, rt = hub_of()
    first = Person(app)
    first.get(there(first))
    second = Person(app, accounts.create_user(rt, SYSTEM, "bob", PASSWORD, "viewer"), "bob")
    second.post("/settings/account/provider", {"password": PASSWORD})
    answer = second.get(there(second, "/settings/account/provider/go"))
    assert answer.status_code == 409
    assert users(rt)["bob"].oidc_subject is None


def test_disabled_user_stays_out(hub_of: Any) -> None:
    app, rt = hub_of()
    person = Person(app)
    person.get(there(person))
    accounts.disable_user(rt, SYSTEM, users(rt)["grace"].id)
    again = Person(app)
    assert again.get(there(again)).status_code == 403


def test_without_passwords_the_form_is_gone_and_a_link_of_the_console_lets_in(hub_of: Any) -> None:
    from webapp.services import sign_in_links

    app, rt = hub_of(password_sign_in=False, second_factor="everybody")
    accounts.create_user(rt, SYSTEM, "ada", PASSWORD, "admin")
    person = Person(app)
    assert 'name="password"' not in person.get("/sign-in").text
    assert person.post("/sign-in", {"username": "ada", "password": PASSWORD}).status_code == 401
    link = sign_in_links.make(rt, SYSTEM, "ada")
    token = parse_qs(urlsplit(link).query)["token"][0]
    assert person.get(f"/sign-in/link?token={token}").status_code == 200
    assert person.post("/sign-in/link", {"token": token}).location == "/"
    assert person.get("/settings/secrets").status_code == 200, "no second factor is asked of who came by the console"
    assert Person(app).post("/sign-in/link", {"token": token}).status_code == 410


def test_signing_out_offers_to_sign_out_of_the_provider(hub_of: Any, provider: TestProvider) -> None:
    app, _ = hub_of(oidc_name="Acme")
    person = Person(app)
    person.get(there(person))
    with person.client.session_transaction() as cookie:
        cookie["csrf_token"] = "the-same-in-every-test"
    person.post("/sign-out")
    assert "maybe not of Acme" in person.get("/sign-in").text
    to = person.get("/sign-out/provider").location
    assert to.startswith(f"{provider.url}/end?client_id=hub&post_logout_redirect_uri=")
    assert person.get("/").status_code == 302


def test_hub_without_a_provider_has_no_such_pages(stranger: Person, signed_in: Person) -> None:
    for path in ("/sign-in/provider", "/sign-in/provider/callback?code=x&state=y", "/sign-out/provider"):
        assert stranger.get(path).status_code == 404
    assert signed_in.get("/settings/account/provider").status_code == 404
