"""Many small files as one answer: a page asks for one sheet and one script of the shell, and one each of its own.

Nothing is built: files are joined as they are, when they are first asked for. A module keeps a scope of its own;
what it exports is one constant that the others read. ``IMPORT`` and ``EXPORT`` are all the grammar there is, and a
module that says it otherwise is refused (``tests/contract/test_packs.py`` packs every one).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

STYLES = ("tokens", "base", "layout", "components", "table", "form", "code", "chart", "events", "shell")
SCRIPTS = (
    "live",
    "feed",
    "times",
    "toasts",
    "editor",
    "keys",
    "clipboard",
    "palette",
    "log",
    "theme",
    "progress",
    "guard",
    "checks",
    "failures",
    "stale",
    "skeleton",
)
VENDORED = {"uplot": "vendor/uplot/uPlot.min.css"}  # sheets of others that may be joined: they point to nothing
IMPORT = re.compile(r'^import \{ ([\w, ]+) \} from "(\./(\w+)\.js|\.\./vendor/[\w./-]+\.js)";$', re.MULTILINE)
EXPORT = re.compile(r"^export ((?:const|let|class|function|async function) (\w+))", re.MULTILINE)
STRAY = re.compile(r"^(?:import|export)\b(?! *\().*", re.MULTILINE)

Read = Callable[[str], str]  # the text of a file below ``static/``


def name_of(names: Iterable[str]) -> str:
    """The file name of a pack, without its suffix."""
    return "".join(f"+{name}" for name in names)


def sheet(name: str) -> str:
    """The file of a sheet, below ``static/``."""
    return VENDORED.get(name, f"css/{name}.css")


def pack_styles(names: Iterable[str], read: Read) -> str:
    """The sheets in this order. They lie in one folder, so what they point to is found from here as well."""
    return "\n".join(read(sheet(name)) for name in names)


def pack_scripts(names: Iterable[str], read: Read) -> str:
    """The modules in this order, each after what it imports; those of the shell are imported where they are."""
    names = tuple(names)
    pack = _Pack(read, () if set(names) <= set(SCRIPTS) else SCRIPTS)
    for name in names:
        pack.add(name)
    return pack.text(names)


class _Pack:
    """What was joined so far."""

    def __init__(self, read: Read, elsewhere: tuple[str, ...]) -> None:
        self._read, self._elsewhere = read, elsewhere
        self._scopes: dict[str, str] = {}
        self._outside: dict[str, set[str]] = {}  # names by the address that they are imported from
        self._under_way: list[str] = []

    def add(self, name: str) -> None:
        if name in self._scopes:
            return
        if name in self._under_way:
            raise ValueError(f"modules import each other: {' '.join([*self._under_way, name])}")
        self._under_way.append(name)
        source = IMPORT.sub(self._import, self._read(f"js/{name}.js"))
        exported = ", ".join(found[1] for found in EXPORT.findall(source))
        source = EXPORT.sub(r"\1", source)
        if stray := STRAY.search(source):
            raise ValueError(f"js/{name}.js: not in the grammar of packs: {stray.group()}")
        self._scopes[name] = f"const ${name} = (() => {{\n{source}\nreturn {{ {exported} }};\n}})();"
        self._under_way.pop()

    def _import(self, found: re.Match[str]) -> str:
        names, address, name = found.groups()
        if name is None:  # a vendored module, which stays a file of its own
            self._outside.setdefault(address, set()).update(names.split(", "))
            return ""
        if name in self._elsewhere:
            self._outside.setdefault(f"./{name_of(SCRIPTS)}.js", set()).add(f"${name}")
        else:
            self.add(name)
        return f"const {{ {names} }} = ${name};"

    def text(self, names: tuple[str, ...]) -> str:
        imports = [f'import {{ {", ".join(sorted(them))} }} from "{where}";' for where, them in self._outside.items()]
        return "\n".join(
            [*imports, *self._scopes.values(), f"export {{ {', '.join(f'${name}' for name in names)} }};", ""]
        )
