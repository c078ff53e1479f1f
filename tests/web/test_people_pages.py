"""Inviting people and helping with forgotten passwords, by page and by command; what an unusable link says."""

from __future__ import annotations

import re
from typing import Any

import pytest
from flask import Flask

from tests.support.clock import Clock
from tests.support.factories import row_of, rows_of
from tests.support.markup import by_id, soup, words
from tests.support.people import Person, add_person
from webapp.domain.access import SYSTEM
from webapp.runtime import Runtime
from webapp.services import accounts
from webapp.store import tables

INVITE = {"invited_role": "developer", "life": "24", "note": "Bob <b>", "hide_payloads": "on"}
FORM = {"username": "Bob", "password": "a sentence is fine", "password_again": "a sentence is fine"}


def path_of(answer: Any) -> str:
    assert answer.status_code == 200, answer.text
    url = words(by_id(soup(answer), "link-url"))
    assert url.startswith("http://127.0.0.1:8000/")
    return url.removeprefix("http://127.0.0.1:8000")


def token_of(path: str) -> str:
    return path.partition("token=")[2]


def test_administrator_invites_and_the_person_comes_in_once(
    signed_in: Person, stranger: Person, app: Flask, sqlite_rt: Runtime
) -> None:
    answer = signed_in.post("/settings/users/invitations", INVITE)
    path = path_of(answer)
    assert answer.headers.get("Cache-Control", "no-store") == "no-store"
    page = signed_in.get("/settings/users")
    assert token_of(path) not in page.text, "shown once"
    assert "Bob &lt;b&gt;" in page.text
    form = stranger.get(path)
    assert "a developer of this hub" in form.text
    differ = stranger.post("/invitation", FORM | {"token": token_of(path), "password_again": "x"})
    assert differ.status_code == 422
    done = stranger.post("/invitation", FORM | {"token": token_of(path)})
    assert (done.status_code, done.location) == (303, "/")
    assert stranger.get("/events").status_code == 200
    bob = next(row for row in rows_of(sqlite_rt, tables.users) if row.username == "bob")
    assert (bob.role, bob.sees_payloads) == ("developer", False)
    again = Person(app)
    for answer in (again.get(path), again.post("/invitation", FORM | {"token": token_of(path), "username": "eve"})):
        assert answer.status_code == 410
        assert "used already" in answer.text
    assert "Open invitations" not in signed_in.get("/settings/users").text


@pytest.mark.parametrize(
    ("how", "said"), [("expired", "has expired"), ("withdrawn", "withdrew"), ("wrong", "not complete")]
)
def test_unusable_invitation_says_what_to_do(
    signed_in: Person, stranger: Person, sqlite_rt: Runtime, clock: Clock, how: str, said: str
) -> None:
    path = path_of(signed_in.post("/settings/users/invitations", INVITE))
    if how == "expired":
        clock.advance(hours=24)
    elif how == "withdrawn":
        (link,) = rows_of(sqlite_rt, tables.one_time_links)
        assert signed_in.post(f"/settings/users/invitations/{link.id}/withdraw").status_code == 303
    else:
        path = path[:-3]
    answer = stranger.get(path)
    assert answer.status_code == 410
    assert said in answer.text


def test_invitation_form_comes_back_marked(signed_in: Person) -> None:
    for change, field in (
        ({"note": "x" * 300}, "note"),
        ({"life": "9"}, "life"),
        ({"invited_role": "king"}, "invited_role"),
    ):
        page = soup(signed_in.post("/settings/users/invitations", INVITE | change), 422)
        assert by_id(page, f"f-{field}")["aria-invalid"] == "true"


def test_forgotten_password_is_set_by_a_link_and_not_signed_in_with_it(
    app: Flask, signed_in: Person, stranger: Person, sqlite_rt: Runtime
) -> None:
    bob = add_person(app, "bob", "viewer")
    path = path_of(signed_in.post(f"/settings/users/{bob.user_id}/password-link"))
    assert "bob" in stranger.get(path).text
    new = {"token": token_of(path), "password": "a new sentence", "password_again": "a new sentence"}
    assert stranger.post("/new-password", new | {"password_again": "x"}).status_code == 422
    assert stranger.post("/new-password", new | {"password": "x", "password_again": "x"}).status_code == 422
    answer = stranger.post("/new-password", new)
    assert (answer.status_code, answer.location) == (303, "/sign-in")
    assert bob.get("/events").status_code == 302, "signed out everywhere"
    assert stranger.get("/events").status_code == 302, "and nowhere in"
    assert stranger.get(path).status_code == 410
    assert row_of(sqlite_rt, tables.users, bob.user_id).password_hash != "!"


def test_command_line_invites_lists_withdraws_and_helps(app: Flask, sqlite_rt: Runtime, stranger: Person) -> None:
    runner = app.test_cli_runner()

    def run(*args: str) -> Any:
        return runner.invoke(args=["user", *args])

    invited = run("invite", "--role", "operator", "--no-payloads", "--note", "Bob", "--for", "2h").output
    (listed,) = run("invitations").output.splitlines()
    assert "operator" in listed
    assert "Bob" in listed
    found = re.search(r"/invitation\?token=\S+", invited)
    assert found is not None
    assert stranger.get(found[0]).status_code == 200
    assert run("withdraw", listed.split()[0]).output == "withdrawn\n"
    assert stranger.get(found[0]).status_code == 410
    assert run("invite", "--for", "soon").exit_code == 2
    assert run("invite", "--for", "1s").exit_code == 1
    accounts.create_user(sqlite_rt, SYSTEM, "ada", "a sentence is fine", "admin")
    link = re.search(r"/new-password\?token=\S+", run("password-link", "ada").output)
    assert link is not None
    assert stranger.get(link[0]).status_code == 200
    assert run("password-link", "nobody").exit_code == 1
