"""Every door of the hub, whoever stands before it: none opens for a role that has no business there, none for a stale form."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask

from tests.support.people import HTMX, Person, add_person, add_program
from tests.support.routes import addresses, rules
from webapp.domain.access import GRANTS
from webapp.runtime import Runtime
from webapp.store.columns import metadata
from webapp.web.auth import MACHINE_PATHS, PUBLIC, verb_of


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
