"""Saved code of a plug-in is run by the next attempt, without anybody restarting anything."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from jobs import reload
from jobs.reload import Watch, roots_of
from tests.support.hub import running_hub
from tests.support.servers import wait_until

HANDLER = """
from jobs.handlers import handler

@handler("t.version")
async def version():
    return {number}
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An importable package of one module."""
    folder = tmp_path / "reloaded_plugin"
    folder.mkdir()
    (folder / "__init__.py").write_text(HANDLER.format(number=1))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(reload, "EVERY_S", 0)
    return folder


def test_saved_added_and_removed_files_are_noticed_once(package: Path) -> None:
    watch = Watch(["reloaded_plugin"])
    assert watch.changed() == []
    (package / "__init__.py").write_text("x = 1\n")
    (package / "more.py").write_text("")
    (package / "notes.txt").write_text("")
    assert watch.changed() == [package / "__init__.py", package / "more.py"]
    assert watch.changed() == []
    (package / "more.py").unlink()
    assert watch.changed() == [package / "more.py"]


def test_module_that_is_not_there_has_no_files() -> None:
    assert roots_of("no_such_module_at_all") == []
    assert roots_of("no_such_package.module") == []
    assert Watch(["no_such_module_at_all", "sys"]).changed() == []


@pytest.mark.slow
def test_workers_run_the_code_that_was_saved(package: Path) -> None:
    env = {"PYTHONPATH": str(package.parent)}
    with running_hub(env=env, handlers="reloaded_plugin", reload=True, log_format="console") as hub:
        wait_until(lambda: _offers(hub), 20, "the handler is offered")
        document = {"name": "v", "pattern": "*", "handler": "t.version"}
        assert hub.request("POST", "/api/v1/subscriptions", document).status == 201
        assert _result(hub) == 1
        before = hub.pids("worker")
        (package / "__init__.py").write_text(HANDLER.format(number=2))
        wait_until(lambda: (now := hub.pids("worker")) and not set(now) & set(before), 20, "new workers")
        wait_until(lambda: _result(hub) == 2, 20, "the new code runs")
        assert "__init__.py changed: the workers start anew" in hub.output()


def _offers(hub: Any) -> bool:
    return "t.version" in hub.request("GET", "/api/v1/handlers").text


def _result(hub: Any) -> Any:
    """What the handler returns for a fresh event."""
    uid = hub.request("POST", "/api/v1/events", {"type": "a.b"}).json["uid"]
    wait_until(lambda: hub.request("GET", f"/api/v1/events/{uid}/status").json["status"] == "succeeded", 20, "it ended")
    [delivery] = hub.request("GET", f"/api/v1/events/{uid}/status").json["handlers"]
    found = hub.request("GET", f"/api/v1/deliveries/{delivery['delivery_id']}").json
    return found["attempts"][-1]["result"]
