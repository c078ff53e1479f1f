"""Modules keep to the grammar that lets them be sent as one, and templates name sheets and modules that exist."""

from __future__ import annotations

import re

import pytest

from tests.support.sources import ROOT
from webapp.web import packs
from webapp.web.packs import SCRIPTS, STYLES

STATIC = ROOT / "static"
MODULES = sorted(path.stem for path in (STATIC / "js").glob("*.js"))
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))
CALL = re.compile(r"\b(styles|scripts|asset)\(([^)]*)\)")


def _read(name: str) -> str:
    return (STATIC / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", MODULES)
def test_module_can_be_packed(name: str) -> None:
    assert f"const ${name} = " in packs.pack_scripts([name], _read)


def test_shell_is_one_script_whose_only_import_is_vendored() -> None:
    packed = packs.pack_scripts(SCRIPTS, _read)
    assert re.findall(r'^import .* from "(.*)";$', packed, re.MULTILINE) == ["../vendor/socketio/socket.io.esm.min.js"]
    assert packed.count("setInterval(tick") == 1


def test_module_of_a_page_shares_what_the_shell_has() -> None:
    files = {
        "js/page.js": 'import { now } from "./times.js";\nimport { twice } from "./sum.js";\nexport const at = twice(now());\n',
        "js/sum.js": "export const twice = (n) => n * 2;\n",
    }
    packed = packs.pack_scripts(["page"], files.__getitem__)
    assert packed.startswith(f'import {{ $times }} from "./{packs.name_of(SCRIPTS)}.js";')
    assert packed.index("const $sum = ") < packed.index("const $page = ")
    assert "const { now } = $times;" in packed
    assert "return { at };" in packed


@pytest.mark.parametrize(
    "source",
    ['import x from "./y.js";', 'import "./y.js";', "export default 1;", "export { a };", "export * from './y';"],
)
def test_module_that_says_it_otherwise_is_refused(source: str) -> None:
    with pytest.raises(ValueError, match="grammar"):
        packs.pack_scripts(["x"], {"js/x.js": source}.__getitem__)


def test_modules_that_import_each_other_are_refused() -> None:
    files = {"js/a.js": 'import { b } from "./b.js";', "js/b.js": 'import { a } from "./a.js";'}
    with pytest.raises(ValueError, match="each other"):
        packs.pack_scripts(["a"], files.__getitem__)


def test_templates_name_what_exists_and_by_its_version() -> None:
    wrong = []
    for path in TEMPLATES:
        source = path.read_text(encoding="utf-8")
        if '"/static/' in source:
            wrong.append(f"{path.name}: say asset(...), styles(...) or scripts(...) in place of /static/")
        for kind, said in CALL.findall(source):
            folder, suffix = {"styles": ("css/", ".css"), "scripts": ("js/", ".js"), "asset": ("", "")}[kind]
            for name in re.findall(r'"([^"]+)"', said):
                file = packs.sheet(name) if kind == "styles" else f"{folder}{name}{suffix}"
                if not (STATIC / file).is_file():
                    wrong.append(f"{path.name}: {kind} {name}")
    assert wrong == []
    assert all((STATIC / f"css/{name}.css").is_file() for name in STYLES)
