"""The command line: the same services, one line for what went wrong, exit codes that scripts can read."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from flask import Flask

from tests.support import factories as make
from webapp import cli
from webapp.runtime import Runtime
from webapp.services.catalog import HandlerInfo, register_handlers
from webapp.services.sign_in import KeyRing, Visit, sign_in
from webapp.store import tables


@pytest.fixture
def run(app: Flask) -> Any:
    def invoke(*arguments: str, stdin: str | bytes | None = None) -> Result:
        return app.test_cli_runner().invoke(args=arguments, input=stdin)

    return invoke


def test_publish_and_status(run: Any, sqlite_rt: Runtime, tmp_path: Path) -> None:
    make.make_subscription(sqlite_rt, name="Orders")
    (tmp_path / "payload.json").write_text('{"amount": 7}')
    for payload, stdin in (('{"amount": 7}', None), (f"@{tmp_path}/payload.json", None), ("-", '{"amount": 7}')):
        published = run(
            "publish", "order.paid", "--source", "shop", "--payload", payload, "--label", "a=b=c", stdin=stdin
        )
        assert published.exit_code == 0, published.output
        uid = published.output.split()[0]
        row = make.row_of(sqlite_rt, tables.events, uid)
        assert (row.payload, row.source, row.labels) == ('{"amount":7}', "shop", {"a": "b=c"})
        document = json.loads(run("status", uid).output)
        assert (document["event_id"], document["status"]) == (uid, "processing")
    (audit, *_) = (row for row in make.rows_of(sqlite_rt, tables.audit) if row.action == "event.published")
    assert (audit.actor_kind, audit.actor_id) == ("system", "cli")


def test_publish_for_later(run: Any, sqlite_rt: Runtime) -> None:
    uid = run("publish", "order.paid", "--delay", "10m").output.split()[0]
    then = sqlite_rt.clock() + timedelta(minutes=10)
    assert make.row_of(sqlite_rt, tables.events, uid).deliver_at == then
    again = run("publish", "order.paid", "--deliver-at", "2020-01-01T00:00:00Z")
    assert (again.exit_code, "/deliver_at" in again.output) == (1, True)


def test_publish_tells_of_a_duplicate(run: Any) -> None:
    first = run("publish", "order.paid", "--id", "o-1")
    again = run("publish", "order.paid", "--id", "o-1")
    assert again.output.split()[0] == first.output.split()[0]
    assert "known already" in again.output


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("publish", "Order Paid"), 1, "/type"),
        (("publish", "a", "--payload", "{"), 1, ""),
        (("publish", "a", "--payload", "[]"), 1, "/payload"),
        (("publish", "a", "--payload", "@/nothing/here"), 2, "cannot read /nothing/here"),
        (("publish", "a", "--label", "x"), 2, "name=value"),
        (("publish",), 2, "TYPE"),
        (("status", "nothing"), 1, "There is no event"),
        (("subscriptions", "add", "A", "*", "nobody"), 1, "/handler"),
        (("subscriptions", "remove", "sub_x"), 1, "no subscription"),
        (("subscriptions", "pause", "sub_x"), 1, "no subscription"),
        (("user", "create", "a b", "--password-stdin"), 1, "/username"),
        (("user", "create", "ada", "--role", "king"), 2, "king"),
        (("user", "set-password", "nobody", "--password-stdin"), 1, "no user"),
        (("key", "revoke", "key_x"), 1, "no such API key"),
        (("key", "create", ""), 1, "/name"),
    ],
)
def test_mistake_is_one_line_and_an_exit_code(run: Any, arguments: tuple[str, ...], code: int, said: str) -> None:
    result = run(*arguments, stdin="a sentence is fine\n")
    assert result.exit_code == code
    assert said in result.stderr
    assert "Traceback" not in result.output
    if code == 1:
        assert result.stderr.count("\n") == 1
        assert result.stderr.startswith("Error: ")


def test_subscriptions_are_added_listed_paused_resumed_and_removed(run: Any, sqlite_rt: Runtime) -> None:
    register_handlers(sqlite_rt, [HandlerInfo("log")])
    added = run("subscriptions", "add", "Orders", "order.*", "log", "--timeout", "5s", "--condition",
                '{"field": "type", "op": "eq", "value": "order.paid"}', "--retry", '{"max_attempts": 2}')  # fmt: skip
    assert added.exit_code == 0, added.output
    subscription = added.output.strip()
    row = make.row_of(sqlite_rt, tables.subscriptions, subscription)
    assert (row.pattern, row.timeout_ms, row.retry["max_attempts"]) == ("order.*", 5000, 2)
    assert run("publish", "order.paid").exit_code == 0
    assert run("subscriptions", "pause", subscription, "--reason", "tests").output == "paused, 1 deliveries held\n"
    assert "paused" in run("subscriptions", "list").output
    assert run("subscriptions", "resume", subscription).output == "resumed, 1 deliveries released\n"
    assert run("subscriptions", "remove", subscription).output == "deleted, 1 deliveries cancelled\n"
    assert run("subscriptions", "list").output == ""


def test_user_and_key_are_created_and_work(run: Any, sqlite_rt: Runtime) -> None:
    password = "a sentence is fine"
    assert run("user", "create", "Ada", "--role", "admin", "--password-stdin", stdin=f"{password}\n").exit_code == 0
    assert sign_in(sqlite_rt, "ada", password, Visit("", "", ""))
    assert run("user", "list").output == "ada  admin  active\n"
    assert run("user", "set-password", "ada", "--password-stdin", stdin="another sentence\n").exit_code == 0
    assert make.rows_of(sqlite_rt, tables.sessions) == []
    created = run("key", "create", "shop", "--role", "viewer")
    secret = created.stdout.strip()
    key = KeyRing(sqlite_rt).find(secret)
    assert key is not None
    assert (key.name, key.role) == ("shop", "viewer")
    listed = run("key", "list").output
    assert secret not in listed
    assert secret[:8] in listed
    assert run("key", "revoke", key.id).output == "revoked\n"
    assert "revoked" in run("key", "list").output


def test_setup_link_is_given_until_there_is_a_user(run: Any) -> None:
    assert "/setup?token=" in run("setup-link").output
    run("user", "create", "ada", "--role", "admin", "--password-stdin", stdin="a sentence is fine\n")
    late = run("setup-link")
    assert late.exit_code == 1
    assert "users already" in late.stderr


def test_config_is_shown_without_secrets(run: Any, sqlite_rt: Runtime) -> None:
    shown = run("config", "show").output
    assert "SIGNALBOX_MAX_BODY_BYTES=1048576" in shown
    assert sqlite_rt.settings.secret_key not in shown


def test_migrate_brings_an_empty_database_to_the_newest_schema(make_runtime: Any, tmp_path: Path) -> None:
    from webapp.app import create_app

    runner = create_app(runtime=make_runtime(f"sqlite:///{tmp_path}/new.db")).test_cli_runner()
    before = runner.invoke(args=["user", "list"])
    assert (before.exit_code, before.stderr) == (
        1,
        "Error: the database is not at the newest schema; run: flask --app wsgi migrate\n",
    )
    assert runner.invoke(args=["migrate"]).output == "migrated\n"
    assert runner.invoke(args=["migrate"]).output == "up to date\n"


@pytest.mark.parametrize(
    ("command", "module"), [("run-web", "gunicorn"), ("run-worker", "jobs.worker"), ("run-beat", "jobs.beat")]
)
def test_run_commands_become_the_process(run: Any, monkeypatch: pytest.MonkeyPatch, command: str, module: str) -> None:
    became: list[list[str]] = []
    monkeypatch.setattr(cli.os, "execv", lambda path, arguments: became.append(arguments))
    monkeypatch.setattr(cli.os, "chdir", lambda path: None)
    run(command)
    assert became[0][1:3] == ["-m", module]
