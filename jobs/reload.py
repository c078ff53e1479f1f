"""Notices that code of handlers was saved, for development: the files of plug-in packages, by size and time of change."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

EVERY_S = 0.5
MOST_FILES = 5_000
State = dict[Path, tuple[int, int]]  # file -> (nanoseconds, bytes)


class Watch:
    """The Python files of these modules. ``changed`` is cheap to ask often."""

    def __init__(self, modules: Iterable[str]) -> None:
        self._roots = [root for module in modules for root in roots_of(module)]
        self._seen = self._look()
        self._at = time.monotonic()

    def changed(self) -> list[Path]:
        """The files that were saved, added or removed since the last time."""
        if time.monotonic() - self._at < EVERY_S:
            return []
        before, self._seen = self._seen, self._look()
        self._at = time.monotonic()
        return sorted(path for path in before.keys() | self._seen.keys() if before.get(path) != self._seen.get(path))

    def _look(self) -> State:
        found: State = {}
        for path in self._files():
            try:
                stat = path.stat()
            except OSError:  # an editor is just replacing it
                continue
            found[path] = (stat.st_mtime_ns, stat.st_size)
            if len(found) == MOST_FILES:
                break
        return found

    def _files(self) -> Iterator[Path]:
        for root in self._roots:
            if root.is_dir():
                yield from root.rglob("*.py")
            else:
                yield root


def roots_of(module: str) -> list[Path]:
    """Where a module's code lies: its folder if it is a package, else its file. Nothing for what cannot be found."""
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        return []
    if spec is None:
        return []
    if spec.submodule_search_locations:
        return [Path(one) for one in spec.submodule_search_locations]
    return [Path(spec.origin)] if spec.origin and spec.has_location else []
