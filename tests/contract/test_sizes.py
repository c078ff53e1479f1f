"""Files and functions stay small enough to be read in one go."""

from __future__ import annotations

import ast
import gzip
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.sources import ROOT, files, name_of

MODULE_LINES, FUNCTION_LINES, TEMPLATE_LINES, STYLE_LINES, SCRIPT_LINES = 400, 60, 150, 300, 250
OWN_ASSETS_GZIPPED = (
    80_000  # bytes of all css and js of ours, as sent; what one page may cost: tests/browser/test_weight.py
)

PYTHON = [path for path in files(".py", under=("webapp", "jobs", "tests", "bench")) if "versions" not in path.parts]


def _too_long(paths: list[Path], most: int) -> list[str]:
    counted = {name_of(path): len(path.read_text(encoding="utf-8").splitlines()) for path in paths}
    return [f"{name}: {lines} lines" for name, lines in counted.items() if lines > most]


def _functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def test_modules_fit_their_limit() -> None:
    assert _too_long(PYTHON, MODULE_LINES) == []


def test_functions_fit_their_limit() -> None:
    long = [
        f"{name_of(path)}: {function.name} has {function.end_lineno - function.lineno + 1} lines"
        for path in PYTHON
        for function in _functions(ast.parse(path.read_text(encoding="utf-8")))
        if function.end_lineno and function.end_lineno - function.lineno >= FUNCTION_LINES
    ]
    assert long == []


@pytest.mark.parametrize(
    ("suffix", "folder", "most"),
    [(".html", "templates", TEMPLATE_LINES), (".css", "static", STYLE_LINES), (".js", "static", SCRIPT_LINES)],
)
def test_files_for_the_browser_fit_their_limit(suffix: str, folder: str, most: int) -> None:
    ours = [path for path in files(suffix, under=(folder,)) if "vendor" not in path.parts]
    assert _too_long(ours, most) == []


def test_own_styles_and_scripts_fit_their_weight_when_compressed() -> None:
    ours = [path for path in files(".css", ".js", under=("static",)) if "vendor" not in path.parts]
    assert sum(len(gzip.compress(path.read_bytes())) for path in ours) < OWN_ASSETS_GZIPPED


def test_every_module_says_what_it_is_for() -> None:
    silent = [
        name_of(path)
        for path in files(".py", under=("webapp", "jobs", "bench"))
        if (text := path.read_text(encoding="utf-8")).strip() and not ast.get_docstring(ast.parse(text))
    ]
    assert silent == []


def test_no_module_is_named_after_nothing() -> None:
    vague = {"utils.py", "util.py", "helpers.py", "helper.py", "common.py", "misc.py"}
    assert [name_of(path) for path in files(".py") if path.name in vague] == []


def test_tree_has_its_top_level_folders() -> None:
    for folder in ("webapp", "jobs", "templates", "static", "tests"):
        assert (ROOT / folder).is_dir()
