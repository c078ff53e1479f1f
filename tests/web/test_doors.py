"""Every door of the hub, whoever stands before it: none opens for a role that has no business there, none for a stale form."""

from __future__ import annotations

import functools
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import update

from tests.support.people import HTMX, Person, add_person, add_program
from tests.support.routes import addresses, rules
from webapp.domain.access import GRANTS
from webapp.runtime import Runtime
from webapp.services.denials import Denials
from webapp.store.columns import metadata
from webapp.store.tables import api_keys, users
from webapp.web.auth import MACHINE_PATHS, PUBLIC, shows_payloads, verb_of


def _counts(rt: Runtime) -> dict[str, int]:
    with rt.db.read() as conn:
        return {table.name: len(conn.execute(table.select()).all()) for table in metadata.sorted_tables}


@pytest.mark.parametrize("role", sorted(set().union(*GRANTS.values()) - {"admin"}))
def test_nobody_may_do_more_than_their_role_grants(app: Flask, role: str) -> None:
    person, program = add_person(app, "bob", role), add_program(app, role)
    answers: dict[str, Any] = {}
    for rule in app.url_map.iter_rules():
        with app.app_context():
            verb = str(verb_of(rule.endpoint))
        if verb == PUBLIC or role in GRANTS[verb]:
            continue
        (address,) = addresses(rule, {})
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            form = {"data": {"csrf_token": person.csrf_token}} if method == "POST" else {}
            by_person = not rule.rule.startswith(MACHINE_PATHS)
            answer = person.client.open(address, method=method, **form) if by_person else program.send(method, address)
            answers[f"{method} {address}"] = answer.status_code, "Your role" in answer.text
    assert {name: said for name, said in answers.items() if said != (403, True)} == {}
    assert answers


@pytest.mark.parametrize("headers", [{}, HTMX], ids=["page", "part"])
def test_who_may_not_view_payloads_is_kept_from_what_shows_them_and_from_nothing_else(
    app: Flask, sqlite_rt: Runtime, monkeypatch: pytest.MonkeyPatch, headers: dict[str, str]
) -> None:
    person, program = add_person(app, "bob", "admin"), add_program(app, "admin")
    with sqlite_rt.db.write() as conn:
        conn.execute(update(users).values(sees_payloads=False))
        conn.execute(update(api_keys).values(sees_payloads=False))
    monkeypatch.setattr(Denials, "note", lambda *_: None)
    wrong, kept = [], 0
    for rule in app.url_map.iter_rules():
        with app.app_context():
            is_kept, verb = shows_payloads(rule.endpoint), verb_of(rule.endpoint)
        if verb == PUBLIC:
            continue
        view = app.view_functions[rule.endpoint]
        reach = functools.wraps(view)(lambda **_: "reached")
        monkeypatch.setitem(app.view_functions, rule.endpoint, reach)
        (address,) = addresses(rule, {})
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            form = {"data": {"csrf_token": person.csrf_token}} if method == "POST" else {}
            by_person = not rule.rule.startswith(MACHINE_PATHS)
            if by_person:
                answer = person.client.open(address, method=method, headers=headers, **form)
            else:
                answer = program.send(method, address, headers=headers)
            kept += is_kept
            if (answer.status_code == 403) != is_kept or (answer.text == "reached") == is_kept:
                wrong.append(f"{method} {address}: {answer.status_code}")
    assert wrong == []
    assert kept >= 5


@pytest.mark.parametrize("role", ["viewer", "operator", "developer", "publisher"])
def test_parts_ask_for_the_same_roles_as_pages(app: Flask, role: str, monkeypatch: pytest.MonkeyPatch) -> None:
    person, program = add_person(app, "bob", role), add_program(app, role)
    monkeypatch.setattr(Denials, "note", lambda *_: None)
    answers: dict[str, Any] = {}
    for rule in rules(app, "GET"):
        with app.app_context():
            verb = str(verb_of(rule.endpoint))
        if verb != PUBLIC and role not in GRANTS[verb]:
            (address,) = addresses(rule, {})
            asked = program.get if rule.rule.startswith(MACHINE_PATHS) else person.part
            answers[address] = asked(address, headers=HTMX).status_code
    assert {address: status for address, status in answers.items() if status != 403} == {}
    assert answers


def test_every_form_needs_its_token_and_comes_from_a_page_of_ours(
    app: Flask, signed_in: Person, sqlite_rt: Runtime
) -> None:
    before, taken = _counts(sqlite_rt), []
    doors = [rule for rule in rules(app, "POST") if not rule.rule.startswith(MACHINE_PATHS)]
    for rule in doors:
        (address,) = addresses(rule, {})
        for headers, form in (
            ({}, {}),
            (HTMX, {"csrf_token": "x"}),
            ({"Sec-Fetch-Site": "cross-site"}, {"csrf_token": signed_in.csrf_token}),
        ):
            answer = signed_in.client.post(address, data={"name": "x", **form}, headers=headers)
            if (answer.status_code, "Form expired" in answer.text) != (403, True):
                taken.append(f"{address}: {answer.status_code}")
    assert taken == []
    assert _counts(sqlite_rt) == before
    assert len(doors) >= 50
