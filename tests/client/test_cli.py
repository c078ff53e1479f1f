"""``python -m signalbox`` as a person types it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from signalbox.cli import main
from tests.support.hub import free_port
from tests.support.people import Program

Run = Callable[..., Result]


@pytest.fixture
def run(url: str, api: Program) -> Run:
    """A command with the hub's address and a key in the environment."""

    def run(*words: str, stdin: str = "", **env: str) -> Result:
        return CliRunner().invoke(main, words, input=stdin, env={"SBX_URL": url, "SBX_KEY": api.secret, **env})

    return run


def test_event_is_published_and_found_again(run: Run, tmp_path: Path) -> None:
    (tmp_path / "order.json").write_text('{"amount": 5}')
    published = run("publish", "order.paid", f"@{tmp_path}/order.json", "--id", "o-1", "--label", "region=eu")
    assert published.exit_code == 0, published.output
    uid, status = published.output.split()
    assert status == "unrouted"
    assert "known already" in run("publish", "order.paid", "-", "--id", "o-1", stdin="{}").output
    assert uid in run("events", "--type", "order.*").output
    assert json.loads(run("events", "--json").output)["labels"] == {"region": "eu"}
    assert json.loads(run("status", uid).output)["status"] == "unrouted"
    assert json.loads(run("publish", "order.paid", "--wait", "2").output)["status"] == "unrouted"


def test_lines_are_sent_and_the_bad_ones_named(run: Run) -> None:
    lines = '{"type": "order.paid"}\n\n{"type": "No Type"}\n{"type": "order.paid"}\n'
    sent = run("send", stdin=lines)
    assert sent.exit_code == 1
    assert "2 accepted, 1 refused" in sent.output
    assert "event 2: 422 invalid-event-type" in sent.output
    assert run("send", "--atomic", stdin='{"type": "a.b"}\n').exit_code == 0


@pytest.mark.parametrize(
    ("words", "stdin", "code", "says"),
    [
        (("publish", "order.paid", "{"), "", 2, "no JSON"),
        (("publish", "order.paid", "[]"), "", 2, "JSON object"),
        (("publish", "order.paid", "@/nowhere"), "", 2, "cannot read"),
        (("publish", "order.paid", "--label", "x"), "", 2, "name=value"),
        (("publish", "No Type"), "", 1, "/type"),
        (("send",), "{}\n5\n", 2, "line 2"),
        (("status", "evt_none"), "", 1, "404 not-found"),
        (("retry", "dlv_none"), "", 1, "404 not-found"),
        (("outbox", "list"), "", 2, "SBX_OUTBOX"),
    ],
)
def test_what_goes_wrong_is_one_line(run: Run, words: tuple[str, ...], stdin: str, code: int, says: str) -> None:
    result = run(*words, stdin=stdin)
    assert result.exit_code == code, result.output
    assert says in result.output
    assert "Traceback" not in result.output


def test_outbox_waits_for_the_hub(run: Run, tmp_path: Path) -> None:
    box = str(tmp_path / "outbox.db")
    away = f"http://127.0.0.1:{free_port()}"
    assert "offline" in run("publish", "order.paid", SBX_OUTBOX=box, SBX_URL=away).output
    failed = run("outbox", "flush", SBX_OUTBOX=box, SBX_URL=away)
    assert failed.exit_code == 1
    assert "0 sent, 0 refused, 1 waiting" in failed.output
    assert "1 waiting" in run("outbox", "list", SBX_OUTBOX=box).output
    assert run("outbox", "flush", SBX_OUTBOX=box).output == "1 sent, 0 refused, 0 waiting\n"
    assert run("outbox", "drop", "7", SBX_OUTBOX=box).exit_code == 1


def test_key_is_needed(url: str) -> Any:
    result = CliRunner().invoke(main, ["--url", url, "events"], env={"SBX_KEY": ""})
    assert result.exit_code == 2
