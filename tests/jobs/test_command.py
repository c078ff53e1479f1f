"""The command handler with real programs: allowed ones only, no shell, nothing left running."""

from __future__ import annotations

import asyncio
import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from jobs.handlers import Discard, Done, Outcome, Retry
from jobs.handlers.base import Invalid
from jobs.handlers.command import KEPT_BYTES, CommandHandler
from tests.support.attempts import EVENT, Notes
from webapp.domain.events import Event
from webapp.settings import Settings, SettingsError


def run(
    script: Path | str, *arguments: str, event: Event = EVENT, notes: Notes | None = None, limit_s: float | None = None
) -> Outcome:
    notes = notes or Notes()
    notes.commands = {"tool": str(script)}
    options = {"command": "tool", "arguments": list(arguments)}

    async def within() -> Outcome:
        async with asyncio.timeout(limit_s):
            return await CommandHandler(options).handle(event, notes.context())

    return asyncio.run(within())


@pytest.fixture
def script(tmp_path: Path) -> Any:
    """Makes a program of a shell script's lines."""

    def make(lines: str) -> Path:
        path = tmp_path / "tool"
        path.write_text(f"#!/bin/sh\n{lines}\n")
        path.chmod(0o755)
        return path

    return make


def test_program_gets_the_event_on_standard_input(script: Any) -> None:
    outcome = run(script("cat"))
    assert isinstance(outcome, Done)
    assert json.loads(outcome.result["output"]) == EVENT.to_json()


def test_arguments_quote_the_event_and_stay_one_argument(script: Any, tmp_path: Path) -> None:
    evil = f"x; touch {tmp_path}/pwned $(touch {tmp_path}/pwned) `id` \x00 'a"
    event = Event(id="1", type="t", payload={"x": evil}, timestamp=EVENT.timestamp, source="s", uid="evt_1")
    outcome = run(script('echo "$#"; printf %s "$1"'), "{data.x}", event=event)
    assert isinstance(outcome, Done)
    assert outcome.result["output"] == "1\n" + evil.replace("\x00", "\ufffd")
    assert not (tmp_path / "pwned").exists()


def test_environment_holds_the_ids_and_nothing_of_the_worker(script: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_OF_THE_WORKER", "hunter2")
    outcome = run(script("env"))
    assert isinstance(outcome, Done)
    assert "hunter2" not in outcome.result["output"]
    assert "SIGNALBOX_DELIVERY_ID=dlv_1" in outcome.result["output"]
    assert "SIGNALBOX_EVENT_TYPE=order.paid" in outcome.result["output"]


@pytest.mark.parametrize(
    ("lines", "kind", "words"),
    [
        ("echo no such order >&2; exit 3", Retry, "exit code 3: no such order"),
        ("exit 78", Discard, "exit code 78"),
        ("kill -9 $$", Retry, "ended by signal 9"),
    ],
)
def test_how_it_ends_decides_about_another_try(script: Any, lines: str, kind: type, words: str) -> None:
    outcome = run(script(lines))
    assert isinstance(outcome, kind)
    assert outcome.reason == words


def test_large_output_is_drained_and_its_end_kept(script: Any) -> None:
    outcome = run(script("head -c 3000000 /dev/zero | tr '\\0' x; echo end"))
    assert isinstance(outcome, Done)
    assert len(outcome.result["output"]) == KEPT_BYTES
    assert outcome.result["output"].endswith("end\n")


def test_time_limit_ends_it_and_its_children(script: Any, tmp_path: Path) -> None:
    note = tmp_path / "child"
    with pytest.raises(TimeoutError):
        run(script(f"sleep 600 & echo $! > {note}; wait"), limit_s=0.5)
    child = int(note.read_text())
    for _ in range(100):
        if not _lives(child):
            break
        time.sleep(0.05)
    assert not _lives(child)


def _lives(pid: int) -> bool:
    """Whether it runs; what was killed and not yet reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_command_that_is_not_allowed_is_refused() -> None:
    with pytest.raises(Invalid, match="allows no command"):
        asyncio.run(CommandHandler({"command": "/bin/sh"}).handle(EVENT, Notes().context()))


def test_settings_name_programs_by_absolute_path(tmp_path: Path) -> None:
    settings = Settings(var_dir=tmp_path, secret_key="x" * 20, commands="a=/bin/true, b=/usr/bin/env")
    assert settings.allowed_commands == {"a": "/bin/true", "b": "/usr/bin/env"}
    with pytest.raises(SettingsError, match="SIGNALBOX_COMMANDS"):
        Settings(var_dir=tmp_path, secret_key="x" * 20, commands="a=true")
    assert os.path.exists("/bin/true")
