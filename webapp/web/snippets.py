"""An event as a program would send it: a command for a shell, and Python. Safe to paste, whatever the event holds."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from pprint import pformat
from typing import Any

WIDTH = 48  # of the column that it stands in
KEY = "sbx_…"


def curl(base: str, document: Mapping[str, Any]) -> str:
    """One command of a POSIX shell."""
    body = shlex.quote(_visible(json.dumps(document, ensure_ascii=False, indent=2)))
    return (
        f"curl {shlex.quote(base + '/api/v1/events')} \\\n"
        f"  -H 'Authorization: Bearer {KEY}' \\\n"
        "  -H 'Content-Type: application/json' \\\n"
        f"  -d {body}"
    )


def python(base: str, document: Mapping[str, Any]) -> str:
    """The same with the client package."""
    rest = {name: value for name, value in document.items() if name not in ("type", "payload")}
    arguments = [_literal(document["type"]), _literal(document["payload"])]
    arguments += [f"{name}={_literal(value)}" for name, value in rest.items()]
    lines = ",\n".join(_indented(one, 8) for one in arguments)
    return (
        "from signalbox import Client\n\n"
        f'with Client({_literal(base)}, key="{KEY}") as hub:\n'
        f"    receipt = hub.publish(\n{lines},\n    )\n"
        "    print(receipt.uid, receipt.status)"
    )


def _literal(value: Any) -> str:
    """As Python is written; ``repr`` escapes what cannot be seen."""
    return pformat(value, width=WIDTH, sort_dicts=False)


def _indented(text: str, by: int) -> str:
    return "\n".join(" " * by + line for line in text.splitlines())


def _visible(text: str) -> str:
    """JSON text whose strings hide nothing: what is not printable (marks that turn text around) is escaped."""
    return "".join(char if char.isprintable() or char == "\n" else json.dumps(char)[1:-1] for char in text)
