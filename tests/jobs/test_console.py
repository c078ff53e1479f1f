"""The console: prefixed lines for people, JSON lines for machines, and nothing that a child prints drives the terminal."""

from __future__ import annotations

import json
from io import StringIO

import pytest

from jobs.console import Console


class Terminal(StringIO):
    """A stream that says it is one."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    monkeypatch.delenv("NO_COLOR", raising=False)
    return Terminal()


def test_console_puts_the_padded_name_in_front_when_the_output_is_a_file() -> None:
    stream = StringIO()
    console = Console(stream, as_json=False, width=8)
    console.relay("web", "hello")
    console.say("ready")
    assert stream.getvalue() == "web      | hello\nhub      | ready\n"


def test_console_gives_each_child_its_colour_when_the_output_is_a_terminal(terminal: Terminal) -> None:
    console = Console(terminal, as_json=False, width=8)
    for name in ("web", "worker-1", "worker-2"):
        console.relay(name, "hello")
    assert len({line.split("m")[0] for line in terminal.getvalue().splitlines()}) == 3


def test_console_uses_no_colour_when_no_color_is_set(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    Console(terminal, as_json=False, width=8).relay("web", "hello")
    assert "\x1b" not in terminal.getvalue()


def test_console_shows_control_characters_of_a_child_as_text(terminal: Terminal) -> None:
    Console(terminal, as_json=False, width=3).relay("web", "\x1b[2Jgone\r\x07")
    assert "\\u001b[2Jgone\\r\\u0007" in terminal.getvalue()


def test_console_makes_every_line_json_when_asked() -> None:
    stream = StringIO()
    console = Console(stream, as_json=True, width=8)
    console.relay("web", '{"message": "from a logger"}')
    console.relay("worker-1", "printed by a handler\x1b")
    console.box("Welcome", "http://127.0.0.1:8000/setup")
    logged, printed, boxed = (json.loads(line) for line in stream.getvalue().splitlines())
    assert logged == {"message": "from a logger"}
    assert (printed["process"], printed["message"]) == ("worker-1", "printed by a handler\x1b")
    assert boxed["link"] == "http://127.0.0.1:8000/setup"


def test_console_draws_a_box_around_a_link() -> None:
    stream = StringIO()
    Console(stream, as_json=False, width=8).box("Welcome", "http://127.0.0.1:8000/setup?token=abc")
    lines = stream.getvalue().splitlines()
    assert len({len(line) for line in lines}) == 1
    assert any(" http://127.0.0.1:8000/setup?token=abc " in line for line in lines)
