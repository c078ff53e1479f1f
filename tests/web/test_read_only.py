"""Read-only mode: every door that changes something is shut, by default; the named ones, and the switch, are open."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click
import pytest
from flask import Flask

from tests.support.factories import make_subscription, rows_of
from tests.support.people import Person, Program, add_program
from tests.support.routes import addresses, rules
from webapp.cli_words import OPEN as OPEN_COMMANDS
from webapp.domain.access import SYSTEM, Actor
from webapp.domain.errors import Conflict, Forbidden, Refused
from webapp.runtime import Runtime
from webapp.services import read_only
from webapp.store import tables
from webapp.web.auth import MACHINE_PATHS
from webapp.web.context import get_hub
from webapp.web.read_only import OPEN

REASON = "The database moves until <14:00>"


@pytest.fixture
def shut(app: Flask, sqlite_rt: Runtime) -> Runtime:
    """A hub that is read-only."""
    read_only.switch_on(sqlite_rt, SYSTEM, REASON)
    return sqlite_rt


def test_every_door_that_changes_something_is_refused(
    app: Flask, signed_in: Person, api: Program, sqlite_rt: Runtime
) -> None:
    read_only.switch_on(sqlite_rt, SYSTEM, REASON)
    with app.app_context():
        get_hub().read_only.forget()
    before, answers = len(rows_of(sqlite_rt, tables.audit)), {}
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        for rule in rules(app, method):
            if rule.endpoint in OPEN:
                continue
            for address in addresses(rule, {})[:1]:
                if rule.rule.startswith(MACHINE_PATHS):
                    answer = api.send(method, address, {})
                else:
                    form = {"data": {"csrf_token": signed_in.csrf_token}}
                    answer = signed_in.client.open(address, method=method, **form)
                answers[f"{method} {rule.rule}"] = answer.status_code
    answers.pop("POST /p/<token>/<event_type>")  # refused behind its token: below
    assert {door: status for door, status in answers.items() if status != 503} == {}
    assert len(answers) >= 100
    assert len(rows_of(sqlite_rt, tables.audit)) == before


def test_named_doors_are_doors(app: Flask) -> None:
    known = {rule.endpoint for rule in app.url_map.iter_rules() if (rule.methods or set()) - {"GET", "HEAD", "OPTIONS"}}
    assert OPEN - known == set()


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_publishing_by_an_address_is_refused_in_one_line(
    app: Flask, api: Program, sqlite_rt: Runtime, method: str
) -> None:
    made: Any = api.post("/api/v1/sources", {"name": "Shell", "kind": "publish"}).json
    read_only.switch_on(sqlite_rt, SYSTEM, REASON)
    with app.app_context():
        get_hub().read_only.forget()
    answer = app.test_client().open(f"{made['url']}/order.paid", method=method)
    assert (answer.status_code, answer.text) == (503, f"refused: The hub is read-only for now: {REASON}\n")
    assert rows_of(sqlite_rt, tables.events) == []


def test_program_is_told_when_to_come_back(shut: Runtime, app: Flask) -> None:
    answer = add_program(app, "publisher").post("/api/v1/events", {"type": "order.paid"})
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "60"
    document: Any = answer.json
    assert document["type"] == "/problems/read-only"
    assert REASON in document["detail"]
    assert app.test_client().get("/healthz").status_code == 200


def test_people_see_it_on_every_page_and_still_come_and_go(shut: Runtime, app: Flask, as_viewer: Person) -> None:
    for path in ("/", "/events", "/subscriptions", "/settings/account"):
        page = as_viewer.get(path)
        assert page.status_code == 200
        assert "The database moves until &lt;14:00&gt;" in page.text
    assert as_viewer.post("/sign-out").status_code == 303
    answer = as_viewer.client.get("/sign-in")
    assert "Read-only." in answer.text
    assert as_viewer.post("/sign-out").status_code in (303, 403)


def test_administrator_switches_it_on_and_off_by_page(app: Flask, signed_in: Person, sqlite_rt: Runtime) -> None:
    here = "/settings/read-only"
    assert signed_in.post(here, {"reason": " "}).status_code == 422
    assert signed_in.post(here, {"reason": REASON}).status_code == 303
    assert signed_in.post("/preferences", {"theme": "dark"}).status_code == 503, "at once where it was switched"
    assert signed_in.post(here, {"reason": REASON}).status_code == 409
    assert signed_in.post(f"{here}/off").status_code == 303
    assert "Read-only." not in signed_in.get("/events").text
    found = [row.action for row in rows_of(sqlite_rt, tables.audit) if row.target_kind == "hub"]
    assert found == ["hub.made_read_only", "hub.made_writable"]


def test_program_switches_it_and_says_so_again_in_vain(api: Program, sqlite_rt: Runtime) -> None:
    path = "/api/v1/read-only"
    off = {"read_only": False, "reason": None, "since": None, "by": None}
    assert api.get(path).json == off
    for _ in range(2):
        on: Any = api.send("PUT", path, {"read_only": True, "reason": REASON}).json
        assert (on["read_only"], on["reason"], on["by"]) == (True, REASON, "tests admin")
    assert api.post("/api/v1/events", {"type": "order.paid"}).status_code == 503
    assert api.send("PUT", path, {"read_only": False}).json == off
    assert api.post("/api/v1/events", {"type": "order.paid"}).status_code == 202
    for wrong in ([], {}, {"read_only": 1}, {"read_only": True}, {"read_only": True, "reason": 1}, {"on": True}):
        assert api.send("PUT", path, wrong).status_code == 422, wrong


def test_switch_turns_once_on_both_databases(rt: Runtime, operator: Actor) -> None:
    with pytest.raises(Conflict):
        read_only.switch_off(rt, SYSTEM)
    with pytest.raises(Forbidden):
        read_only.switch_on(rt, operator, REASON)
    for reason in ("", " ", "x" * 301, "two\nlines"):
        with pytest.raises(Refused):
            read_only.switch_on(rt, SYSTEM, reason)
    for _ in range(2):
        read_only.switch_on(rt, SYSTEM, REASON)
        with pytest.raises(Conflict):
            read_only.switch_on(rt, SYSTEM, "another")
        mode = read_only.find_mode(rt)
        assert mode is not None
        assert (mode.reason, mode.by) == (REASON, SYSTEM.name)
        assert abs((mode.since - rt.clock()).total_seconds()) < 0.01
        read_only.switch_off(rt, SYSTEM)
        assert read_only.find_mode(rt) is None


def test_other_processes_notice_within_a_second(sqlite_rt: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(read_only.time, "monotonic", lambda: now[0])
    elsewhere = read_only.ReadOnly(sqlite_rt)
    elsewhere.check()
    read_only.switch_on(sqlite_rt, SYSTEM, REASON)
    elsewhere.check()
    now[0] += read_only.KNOWN_FOR_S
    with pytest.raises(read_only.IsReadOnly):
        elsewhere.check()
    monkeypatch.setattr(sqlite_rt.db, "read", _no_database)
    now[0] += read_only.KNOWN_FOR_S
    with pytest.raises(read_only.IsReadOnly):  # what was known last holds
        elsewhere.check()


def _no_database() -> None:
    raise read_only.Unavailable("no database")


def test_every_command_that_changes_something_is_refused(app: Flask, shut: Runtime) -> None:
    from flask.cli import ScriptInfo

    runner, refused = app.test_cli_runner(), []
    for name, command in _commands(app.cli):
        if name.split()[0] in ("routes", "run", "shell", "run-web", "run-worker", "run-beat", "read-only"):
            continue
        needed = ["x" for one in command.params if isinstance(one, click.Argument) and one.required]
        answer = runner.invoke(args=[*name.split(), *needed], obj=ScriptInfo(create_app=lambda: app), input="")
        if "read-only for now" in answer.output:
            refused.append(name)
        else:
            assert name in OPEN_COMMANDS, f"{name}: {answer.output}"
    assert set(refused) & OPEN_COMMANDS == set()
    assert len(refused) >= 15


def _commands(group: Any, before: str = "") -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from _commands(command, f"{before}{name} ")
        else:
            yield f"{before}{name}", command


def test_command_line_switches_it(app: Flask, sqlite_rt: Runtime) -> None:
    make_subscription(sqlite_rt)
    runner = app.test_cli_runner()
    assert runner.invoke(args=["read-only", "status"]).output == "writable\n"
    assert runner.invoke(args=["read-only", "on", "moving"]).output == "read-only\n"
    assert runner.invoke(args=["publish", "order.paid"]).exit_code == 1
    assert "moving" in runner.invoke(args=["read-only", "status"]).output
    assert runner.invoke(args=["read-only", "off"]).output == "writable\n"
    assert runner.invoke(args=["publish", "order.paid"]).exit_code == 0
