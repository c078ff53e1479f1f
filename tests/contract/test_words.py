"""Nothing of one machine, and no word that the project has decided against, gets into its files."""

from __future__ import annotations

import re

import pytest

from tests.support.sources import name_of, tracked_files

TEXT = {".py", ".html", ".css", ".js", ".md", ".toml", ".in", ".txt", ".json", ".yml", ".cfg", ".ini", ".sh", ""}
NOT_OURS = ("static/vendor/", "tests/vendor/", "tests/contract/test_words.py")

BANNED = {
    "a path of one machine": re.compile(r"/(?:work|home/[a-z]+|Users/[A-Za-z]+|root)/"),
    "how it was made": re.compile(r"(?i)/tmp/spec|\bclaude\b|\banthropic\b|\bissue #\d"),
    "a note to oneself": re.compile(r"\b(TODO|FIXME|XXX)\b"),
    "autoescape switched off": re.compile(r"\|\s*safe\b|autoescape\s*=\s*False|Markup\(f"),
    "an inline script or style": re.compile(r"\bstyle=\"|\son(click|load|error|submit|change|input)=\"|hx-on[:=]"),
    "another name of a delivery's state": re.compile(r"\bstate\s*=\s*[\"']queued[\"']"),
}
ONLY_IN = {
    "autoescape switched off": (".py", ".html"),
    "an inline script or style": (".html",),
    "a note to oneself": (".py",),
}


def _text_files() -> list[str]:
    return [
        name_of(path)
        for path in tracked_files()
        if path.suffix in TEXT and not name_of(path).startswith(NOT_OURS) and path.stat().st_size < 1_000_000
    ]


@pytest.mark.parametrize("what", BANNED)
def test_files_hold_no(what: str) -> None:
    only = ONLY_IN.get(what, ("",))
    text, found = set(_text_files()), []
    for path in tracked_files():
        name = name_of(path)
        if name not in text or not name.endswith(only) or (name.startswith("tests/") and "path" not in what):
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
            if BANNED[what].search(line):
                found.append(f"{name}:{number}: {line.strip()[:100]}")
    assert found == []
