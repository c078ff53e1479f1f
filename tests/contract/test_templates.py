"""Templates hold what the content policy and the house demand: nothing inline, nothing unescaped, every address real."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest
from flask import Flask
from werkzeug.exceptions import HTTPException
from werkzeug.routing import RequestRedirect

from tests.support.sources import ROOT

TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))
SCRIPTS = sorted((ROOT / "static" / "js").glob("*.js"))
STYLES = sorted((ROOT / "static" / "css").glob("*.css"))
VENDORED = [ROOT / "static" / "vendor", ROOT / "tests" / "vendor"]

COMMENT = re.compile(r"\{#.*?#\}", re.DOTALL)
INLINE = {
    "a style attribute": re.compile(r"<[^>]*\sstyle\s*=", re.IGNORECASE),
    "a style element": re.compile(r"<style\b", re.IGNORECASE),
    "an inline script": re.compile(r"<script\b(?![^>]*\ssrc=)", re.IGNORECASE),
    "an event handler attribute": re.compile(r"<[^>]*\son[a-z]+\s*=", re.IGNORECASE),
    "hx-on": re.compile(r"\bhx-on\b"),
    "a javascript: address": re.compile(r"javascript:", re.IGNORECASE),
    "something from elsewhere": re.compile(
        r"<(?:script|link|img)\b[^>]*(?:src|href)=[\"'](?:https?:)?//", re.IGNORECASE
    ),
}
UNSAFE = {
    "|safe": re.compile(r"\|\s*safe\b"),
    "autoescape off": re.compile(r"\{%-?\s*autoescape\s+false"),
    "Markup": re.compile(r"\bMarkup\b"),
}
REQUEST = re.compile(r"\b(hx-(?:get|post|put|patch|delete)|href|action)=\"([^\"]*)\"")
EXPRESSION = re.compile(r"\{\{.*?\}\}|\{%.*?%\}")


def _source(path: Path) -> str:
    return COMMENT.sub("", path.read_text(encoding="utf-8"))


def _ids(paths: list[Path]) -> list[str]:
    return [str(path.relative_to(ROOT)) for path in paths]


@pytest.mark.parametrize("path", TEMPLATES, ids=_ids(TEMPLATES))
def test_template_holds_nothing_inline(path: Path) -> None:
    source = _source(path)
    assert [what for what, pattern in INLINE.items() if pattern.search(source)] == []


@pytest.mark.parametrize("path", TEMPLATES, ids=_ids(TEMPLATES))
def test_template_escapes_everything(path: Path) -> None:
    source = _source(path)
    assert [what for what, pattern in UNSAFE.items() if pattern.search(source)] == []


@pytest.mark.parametrize("path", TEMPLATES, ids=_ids(TEMPLATES))
def test_template_names_only_addresses_that_exist(path: Path, app: Flask) -> None:
    """Values are replaced by a word that any converter takes; an address built by a variable alone is not judged."""
    adapter = app.url_map.bind("localhost")
    unknown = []
    for kind, address in REQUEST.findall(_source(path)):
        plain = EXPRESSION.sub("1", address).partition("?")[0].partition("#")[0]
        if not plain.startswith("/"):
            continue
        method = kind.removeprefix("hx-").upper() if kind.startswith("hx-") else "POST" if kind == "action" else "GET"
        if not any(_is_routed(adapter, plain, one) for one in ({method, "GET"} if kind == "action" else {method})):
            unknown.append(f"{method} {address}")
    assert unknown == []


def _is_routed(adapter: object, path: str, method: str) -> bool:
    try:
        adapter.match(path, method=method)  # type: ignore[attr-defined]
    except RequestRedirect:
        return True
    except HTTPException:
        return False
    return True


@pytest.mark.parametrize(
    "path", [p for p in TEMPLATES if p.name.startswith("_") and p.parent.name != "_macros"], ids=str
)
def test_part_that_fetches_itself_has_an_id(path: Path) -> None:
    source = _source(path)
    for tag in re.findall(r"<[a-z]+\b[^>]*\bhx-trigger=\"[^\"]*live:[^>]*>", source):
        assert re.search(r"\sid=\"", tag), f"{path.name}: what is swapped needs an id, or focus is lost: {tag[:120]}"


@pytest.mark.parametrize("path", SCRIPTS, ids=_ids(SCRIPTS))
def test_script_needs_no_eval(path: Path) -> None:
    source = path.read_text(encoding="utf-8").replace(
        ".style.minHeight", ""
    )  # a height that was measured: no sheet knows it
    for forbidden in ("eval(", "new Function", "document.write", 'setAttribute("style"', ".style."):
        assert forbidden not in source


@pytest.mark.parametrize("path", STYLES, ids=_ids(STYLES))
def test_colours_are_named_in_one_place_only(path: Path) -> None:
    if path.name == "tokens.css":
        return
    colours = re.findall(r"#[0-9a-fA-F]{3,8}\b(?![^{]*\{)", path.read_text(encoding="utf-8"))
    lamps = {"#ff5d6c", "#3fcf8e"}  # of the mark
    assert set(colours) <= lamps


@pytest.mark.parametrize("vendor", VENDORED, ids=_ids(VENDORED))
def test_vendored_files_are_the_ones_that_were_read(vendor: Path) -> None:
    rows = re.findall(
        r"^\| (\S+) \| (\S+) \| (\S+) \| \S+ \| ([0-9a-f]{64}) \|$", (vendor / "README.md").read_text(), re.MULTILINE
    )
    listed = {name: digest for name, _, _, digest in rows}
    present = {
        str(p.relative_to(vendor)) for p in vendor.rglob("*") if p.is_file() and p.name not in ("LICENSE", "README.md")
    }
    assert set(listed) == present
    for name, digest in listed.items():
        assert hashlib.sha256((vendor / name).read_bytes()).hexdigest() == digest, name
        assert (vendor / name).parent.joinpath("LICENSE").is_file(), name


# Contrast of every pair that carries small text, in both themes (WCAG 2.2, 1.4.3: 4.5 to 1; 1.4.11: 3 to 1)

TOKEN = re.compile(r"--([a-z0-9-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)")
TONES = ("succeeded", "running", "waiting", "dead", "held", "idle")
TEXT_PAIRS = [
    *((ink, ground) for ink in ("ink", "ink-2", "muted", "accent") for ground in ("ground", "panel", "sunk")),
    *((f"{tone}-text", f"{tone}-ground") for tone in TONES),
    *((f"{tone}-text", "panel") for tone in TONES),
    ("accent", "accent-ground"),
    ("on-ink", "ink"),
]
SHAPE_PAIRS = [
    *((tone, f"{tone}-ground") for tone in TONES),
    *((tone, "panel") for tone in TONES),
    ("line-control", "panel"),
    ("accent", "panel"),
]


def _luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _contrast(one: str, other: str) -> float:
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(("pairs", "least"), [(TEXT_PAIRS, 4.5), (SHAPE_PAIRS, 3.0)], ids=["text", "shapes"])
def test_colours_can_be_read(theme: int, pairs: list[tuple[str, str]], least: float) -> None:
    css = (ROOT / "static" / "css" / "tokens.css").read_text()
    tokens = {name: both[theme] for name, *both in TOKEN.findall(css)}
    found = {f"{a} on {b}": round(_contrast(tokens[a], tokens[b]), 2) for a, b in pairs}
    assert {name: ratio for name, ratio in found.items() if ratio < least} == {}
