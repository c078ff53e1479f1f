"""The first administrator: one link, one use, one winner."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.support.clock import Clock
from tests.support.factories import rows_of
from tests.support.people import Person
from webapp.domain.errors import NotFound
from webapp.runtime import Runtime
from webapp.services import accounts
from webapp.store import tables

FORM = {"username": "Ada", "password": "a sentence is fine", "password_again": "a sentence is fine"}


def token_of(rt: Runtime) -> str:
    link = accounts.first_admin_link(rt)
    assert link is not None
    assert link.startswith("http://127.0.0.1:8000/setup?token=")
    return parse_qs(urlsplit(link).query)["token"][0]


def test_setup_creates_the_administrator_and_signs_in(stranger: Person, sqlite_rt: Runtime) -> None:
    token = token_of(sqlite_rt)
    page = stranger.get(f"/setup?token={token}")
    assert page.status_code == 200
    answer = stranger.post("/setup", FORM | {"token": token})
    assert (answer.status_code, answer.location) == (303, "/")
    (user,) = rows_of(sqlite_rt, tables.users)
    assert (user.username, user.role) == ("ada", "admin")
    assert user.password_hash.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert stranger.get("/").status_code == 200
    assert {row.action for row in rows_of(sqlite_rt, tables.audit)} == {
        "setup_link.created", "user.created", "user.signed_in",
    }  # fmt: skip
    assert token not in str(rows_of(sqlite_rt, tables.audit) + rows_of(sqlite_rt, tables.one_time_links))


def test_setup_link_is_gone_once_there_is_a_user(stranger: Person, sqlite_rt: Runtime) -> None:
    token = token_of(sqlite_rt)
    stranger.post("/setup", FORM | {"token": token})
    assert accounts.first_admin_link(sqlite_rt) is None
    again = Person(stranger._app)
    for answer in (
        again.get(f"/setup?token={token}"),
        again.post("/setup", FORM | {"token": token, "username": "eve"}),
    ):
        assert answer.status_code == 410
        assert "works once" in answer.text
    assert len(rows_of(sqlite_rt, tables.users)) == 1


def test_setup_tells_how_to_get_a_new_link_when_it_expired(stranger: Person, sqlite_rt: Runtime, clock: Clock) -> None:
    token = token_of(sqlite_rt)
    clock.advance(hours=24)
    for bad in (token, "wrong", "", "x" * 5000):
        answer = stranger.get(f"/setup?token={bad}")
        assert answer.status_code == 410
        assert "flask --app wsgi setup-link" in answer.text
    assert stranger.post("/setup", FORM | {"token": token}).status_code == 410


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"password_again": "something else"}, "The two passwords differ."),
        ({"password": "short", "password_again": "short"}, "Use 8 to 128 characters."),
        ({"password": "x" * 129, "password_again": "x" * 129}, "Use 8 to 128 characters."),
        ({"password": "password123", "password_again": "password123"}, "too easy to guess"),
        ({"username": "a b"}, "beginning with a letter or digit"),
        ({"username": ""}, "beginning with a letter or digit"),
        ({"username": "x" * 65}, "beginning with a letter or digit"),
        ({"username": "<script>"}, "beginning with a letter or digit"),
    ],
)
def test_setup_shows_what_is_wrong_and_keeps_the_link(
    stranger: Person, sqlite_rt: Runtime, change: dict[str, str], said: str
) -> None:
    token = token_of(sqlite_rt)
    answer = stranger.post("/setup", FORM | {"token": token} | change)
    assert answer.status_code == 422
    assert said in answer.text
    assert "<script>" not in answer.text.replace('<script src="', "").replace('<script type="', "")
    assert rows_of(sqlite_rt, tables.users) == []
    assert accounts.is_setup_open(sqlite_rt, token)


@pytest.mark.parametrize("password", ["äöü päßwörd", "emoji 🎉🎉🎉", "x" * 128, "        eight spaces", "12345678901"])
def test_setup_takes_any_long_enough_password(sqlite_rt: Runtime, password: str) -> None:
    from webapp.services.sign_in import Visit, sign_in

    accounts.create_first_admin(sqlite_rt, token_of(sqlite_rt), "ada", password, ip="", request_id="")
    assert sign_in(sqlite_rt, "ada", password, Visit("", "", ""))


def test_setup_makes_one_administrator_when_two_race(rt: Runtime) -> None:
    tokens = [token_of(rt), token_of(rt)] * 4

    def create(n: int) -> bool:
        try:
            accounts.create_first_admin(rt, tokens[n], f"admin-{n}", "a sentence is fine", ip="", request_id="")
        except NotFound:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(create, range(8))) == 1
    assert len(rows_of(rt, tables.users)) == 1
