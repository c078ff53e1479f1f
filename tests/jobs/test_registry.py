"""Built-in handlers, plug-ins and entry points; what is broken is told of and stops nothing."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from jobs.handlers import EventHandler
from jobs.registry import Registry, load_registry

GOOD = "from jobs.handlers import EventHandler\nclass A(EventHandler):\n    name = {name!r}\n    async def process(self, event, ctx): ...\n"


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith("plug_")]:
        del sys.modules[name]


def write(folder: Path, name: str, text: str) -> str:
    (folder / f"{name}.py").write_text(text)
    return name


def test_built_in_handlers_are_there() -> None:
    registry = load_registry([])
    assert {"log", "notify", "webhook"} <= registry.entries.keys()
    assert registry.problems == []
    assert all(entry.origin == "built-in" for entry in registry.entries.values())


def test_plugin_module_adds_its_handlers(plugin: Path) -> None:
    registry = load_registry([write(plugin, "plug_good", GOOD.format(name="mine.a"))])
    assert registry.entries["mine.a"].origin == "plug_good"


def test_example_package_adds_its_handlers() -> None:
    registry = load_registry(["examples.shop_handlers"])
    assert {"shop.receipt", "shop.stock", "shop.report"} <= registry.entries.keys()
    assert registry.problems == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("import nothing_of_that_name", "ModuleNotFoundError"),
        ("raise SystemExit(1)", "SystemExit"),
        ("1/0", "ZeroDivisionError"),
        ("def broken(:", "SyntaxError"),
        ("x = 1", "has no EventHandler"),
        (GOOD.format(name="Bad Name!"), "needs a name of lower-case"),
        (GOOD.format(name="mine.b").replace("async def", "def"), "'async def'"),
        (GOOD.format(name="log"), "is named 'log', which LogHandler of built-in is already"),
        (GOOD.format(name="mine.c") + "    options_schema = {'pattern': 'x'}", "cannot check: pattern"),
        ("from jobs.handlers import EventHandler\nclass A(EventHandler):\n    name = 'mine.d'", "has no process()"),
    ],
)
def test_broken_plugin_is_told_of_and_stops_nothing(
    plugin: Path, text: str, problem: str, caplog: pytest.LogCaptureFixture
) -> None:
    registry = load_registry(
        [write(plugin, "plug_broken", text), write(plugin, "plug_good", GOOD.format(name="mine.a"))]
    )
    [told] = registry.problems
    assert problem in told
    assert told in caplog.text
    assert "mine.a" in registry.entries


def test_module_that_does_not_exist_is_told_of() -> None:
    assert "no_such_plugin" in load_registry(["no_such_plugin"]).problems[0]


def test_same_handler_may_be_named_twice() -> None:
    class A(EventHandler):
        name = "mine.a"

        async def process(self, event: object, ctx: object) -> None: ...  # type: ignore[override]

    registry = Registry()
    registry.add(A, "one")
    registry.add(A, "two")
    assert registry.problems == []
    assert registry.get("mine.a") is A
    assert registry.get("mine.b") is None
