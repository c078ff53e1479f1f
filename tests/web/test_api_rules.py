"""Rules as code, versions and what needs action, as programs see them; and the same rules from the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from flask import Flask

from tests.support import factories as make
from tests.support.people import Program, add_program
from webapp.runtime import Runtime
from webapp.services.catalog import HandlerInfo, register_handlers
from webapp.store import tables

RULES = "/api/v1/rules"
FILE = "rules:\n- name: One\n  pattern: order.*\n  handler: log\n"
DRAFT = {"name": "Orders", "pattern": "order.*", "handler": "log"}


@pytest.fixture(autouse=True)
def handlers(sqlite_rt: Runtime) -> None:
    schema = {"type": "object", "properties": {"pin": {"type": "string", "x-sensitive": True}}}
    register_handlers(sqlite_rt, [HandlerInfo("log"), HandlerInfo("hook", options_schema=schema)])


def _body(text: str = FILE, **more: Any) -> dict[str, Any]:
    return {"files": [{"path": "a.yaml", "content": text}], **more}


def test_plan_apply_export(api: Program, sqlite_rt: Runtime) -> None:
    planned = api.post(f"{RULES}/plan", _body()).json
    assert planned is not None
    assert (planned["drift"], planned["counts"]["create"], planned["steps"][0]["at"]) == (True, 1, "a.yaml#/rules/0")
    assert make.rows_of(sqlite_rt, tables.subscriptions) == []
    applied = api.post(f"{RULES}/apply", _body(digest=planned["digest"], note="commit 1"))
    assert (applied.status_code, applied.json["digest"]) == (200, planned["digest"])  # type: ignore[index]
    assert api.post(f"{RULES}/apply", _body(digest=planned["digest"])).status_code == 409
    assert api.post(f"{RULES}/plan", _body(prune=True)).json["drift"] is False  # type: ignore[index]
    (rule,) = api.get("/api/v1/subscriptions").json["data"]  # type: ignore[index]
    assert rule["code"] == {"set": "default", "key": "one"}
    exported = api.get(f"{RULES}/export?set=default")
    assert exported.content_type == "application/yaml; charset=utf-8"
    assert "key: one" in exported.text
    assert api.get(f"{RULES}/export?set=none").text == "version: 1\nrules: []\n"


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/files"),
        ({"files": []}, "/files"),
        ({"files": [{"path": "a"}]}, "/files/0"),
        ([], "/files"),
        (_body(colour=1), "/colour"),
        (_body(prune="yes"), "/prune"),
        (_body(set="UP"), "/set"),
        (_body("rules: ["), "a.yaml"),
        (_body(FILE.replace("log", "x")), "a.yaml#/rules/0/handler"),
    ],
)
def test_faults_are_pointed_at(api: Program, body: Any, pointer: str) -> None:
    answer = api.post(f"{RULES}/apply", body)
    assert (answer.status_code, answer.json["errors"][0]["pointer"]) == (422, pointer)  # type: ignore[index]


def test_rules_are_for_those_who_operate(app: Flask) -> None:
    for role in ("viewer", "publisher"):
        program = add_program(app, role)
        assert program.post(f"{RULES}/plan", _body()).status_code == 403
        assert program.get(f"{RULES}/export").status_code == 403


def test_versions_are_listed_shown_and_restored(api: Program, app: Flask, sqlite_rt: Runtime) -> None:
    path = api.post("/api/v1/subscriptions", DRAFT | {"handler": "hook", "options": {"pin": "1234"}}).headers[
        "Location"
    ]
    api.send("PUT", f"{path}?note=simpler", DRAFT, headers={"If-Match": '"1"'})
    listed = api.get(f"{path}/versions?limit=1").json
    assert listed is not None
    assert [(one["revision"], one["action"], one["note"]) for one in listed["data"]] == [(2, "updated", "simpler")]
    (first,) = api.get(f"{path}/versions?before={listed['next_before']}").json["data"]  # type: ignore[index]
    assert (first["revision"], first["document"]["options"]) == (1, {"pin": "•••"})
    assert api.get(f"{path}/versions/1").json == first
    viewer = add_program(app, "viewer")
    assert viewer.get(f"{path}/versions/1").json["document"]["options"] is None  # type: ignore[index]
    assert api.send("POST", f"{path}/versions/1/restore", headers={"If-Match": '"1"'}).status_code == 412
    restored = api.send("POST", f"{path}/versions/1/restore?note=again", headers={"If-Match": '"2"'})
    assert (restored.status_code, restored.headers["ETag"]) == (200, '"3"')
    row = make.row_of(sqlite_rt, tables.subscriptions, restored.json["id"])  # type: ignore[index]
    assert row.options == {"pin": "1234"}
    for missing in ("9", "0x1", "99999999999999999999"):
        assert api.get(f"{path}/versions/{missing}").status_code == 404
    assert viewer.send("POST", f"{path}/versions/1/restore").status_code == 403


def test_what_needs_action_is_listed_and_dismissed(api: Program, sqlite_rt: Runtime) -> None:
    rule = make.make_subscription(sqlite_rt, name="Orders")
    made = [
        make.make_delivery(sqlite_rt, subscription_id=rule, state="dead", reason="exhausted", error_type="E", error_message=f"no {n}")
        for n in range(3)
    ]  # fmt: skip
    alone = make.make_delivery(sqlite_rt, subscription_id=rule, state="dead", reason="permanent", error_type="F")
    groups = {one["error_type"]: one for one in api.get("/api/v1/needs").json["data"]}  # type: ignore[index]
    assert (groups["E"]["count"], groups["E"]["subscription"], groups["E"]["newest"]) == (3, "Orders", made[-1])
    path = f"/api/v1/needs/{groups['E']['id']}"
    assert api.post(f"{path}/dismiss", {}).json["errors"][0]["pointer"] == "/reason"  # type: ignore[index]
    assert api.post(f"{path}/dismiss", {"reason": 5}).status_code == 422
    assert api.post(f"{path}/dismiss", {"reason": "known"}).json == {"count": 3}
    assert api.post(f"{path}/retry").status_code == 409
    assert api.post(f"/api/v1/deliveries/{alone}/dismiss", {"reason": "old"}).json == {"count": 1}
    assert api.post(f"/api/v1/deliveries/{alone}/dismiss", {"reason": "old"}).status_code == 409
    assert api.get("/api/v1/needs").json["data"] == []  # type: ignore[index]
    assert api.post("/api/v1/needs/nonsense/dismiss", {"reason": "x"}).status_code == 404


def test_command_line_plans_applies_and_exports(app: Flask, sqlite_rt: Runtime, tmp_path: Path) -> None:
    def run(*arguments: str, stdin: str | None = None) -> Result:
        return app.test_cli_runner().invoke(args=("rules", *arguments), input=stdin)

    (tmp_path / "sub").mkdir()
    (tmp_path / "one.yaml").write_text(FILE)
    (tmp_path / "sub" / "two.yml").write_text(FILE.replace("One", "Two"))
    (tmp_path / "README").write_text("not a rule")
    planned = run("plan", str(tmp_path))
    assert planned.exit_code == 2
    assert "+ create one  One\n+ create two  Two\nplan " in planned.output
    assert run("apply", str(tmp_path), "--note", "x").output.endswith(
        "done: 2 created, 0 updated, 0 adopted, 0 deleted, 0 unchanged\n"
    )
    assert run("plan", str(tmp_path)).exit_code == 0
    less = run("plan", "-", "--prune", "--json", stdin=FILE.replace("log", "hook"))
    assert (less.exit_code, json.loads(less.output)["counts"]["delete"]) == (2, 1)
    assert "    handler\n      - log\n      + hook\n" in run("plan", "-", stdin=FILE.replace("log", "hook")).output
    assert run("export", str(tmp_path / "all.yaml")).exit_code == 0
    assert (tmp_path / "all.yaml").read_text() == run("export").output
    assert run("plan", str(tmp_path / "all.yaml")).exit_code == 0
    broken = run("plan", "-", stdin="rules: [")
    assert (broken.exit_code, broken.stderr.startswith("Error: stdin: line 1:")) == (1, True)
    assert run("plan", str(tmp_path / "none")).exit_code == 1  # 2 would be a difference
    assert run("apply", "-", stdin=FILE + "  colour: red").exit_code == 1


def test_command_line_pauses_with_an_end_and_resumes_at_a_pace(app: Flask, sqlite_rt: Runtime) -> None:
    rule = make.make_subscription(sqlite_rt)
    runner = app.test_cli_runner()
    assert runner.invoke(args=("subscriptions", "pause", rule, "--for", "2h", "--reason", "x")).exit_code == 0
    row = make.row_of(sqlite_rt, tables.subscriptions, rule)
    assert (row.resume_at - row.paused_at).total_seconds() == 7200
    assert runner.invoke(args=("subscriptions", "resume", rule, "--pace", "-1")).exit_code == 1
    assert runner.invoke(args=("subscriptions", "resume", rule, "--pace", "10")).exit_code == 0
    assert make.rows_of(sqlite_rt, tables.audit)[-1].details == {"released": 0, "pace": 10.0}
