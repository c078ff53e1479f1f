"""Static files: from memory, compressed once, under addresses that change whenever any of the files does.

The mark of the version stands in front (``/static/v-1a2b3c4d5e6f/css/base.css``), so what a sheet or a module points
to is of the same version without being told. Without the mark, files are there as well and are asked for again.
"""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
import re
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

from flask import Blueprint, Flask, Response, abort, request

from webapp.settings import ROOT
from webapp.web import packs
from webapp.web.auth import public

FOLDER = ROOT / "static"
MARKED = re.compile(r"v-([0-9a-f]{12})/(.+)")
PACKED = re.compile(r"(css|js)/((?:\+\w+){1,16})\.\1")
FOR_GOOD = "public, max-age=31536000, immutable"
ASK_AGAIN = "no-cache"
TEXT = ("text/", "image/svg", "application/json")
TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".woff2": "font/woff2"}

bp = Blueprint("assets", __name__)


@dataclass(frozen=True)
class Asset:
    """One file, or several as one."""

    body: bytes
    kind: str

    @cached_property
    def zipped(self) -> bytes | None:
        """Compressed, unless it is that already."""
        return gzip.compress(self.body, 9, mtime=0) if self.kind.startswith(TEXT) else None

    @cached_property
    def etag(self) -> str:
        return hashlib.sha256(self.body).hexdigest()[:16]


@lru_cache(maxsize=1)
def _files() -> dict[str, Path]:
    """What there is; nothing else can be asked for, so no path leads out."""
    return {path.relative_to(FOLDER).as_posix(): path for path in sorted(FOLDER.rglob("*")) if path.is_file()}


@lru_cache(maxsize=1)
def mark() -> str:
    """Of what the files hold. A hub that runs keeps what it started with."""
    known = hashlib.sha256()
    for name, path in _files().items():
        known.update(name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return known.hexdigest()[:12]


@lru_cache(maxsize=256)
def find(name: str) -> Asset | None:
    """The file of that name, or the pack."""
    kind = TYPES.get(Path(name).suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
    if packed := PACKED.fullmatch(name):
        names = packed[2][1:].split("+")
        if len(set(names)) < len(names) or not all(_source(packed[1], one) in _files() for one in names):
            return None
        join = packs.pack_styles if packed[1] == "css" else packs.pack_scripts
        return Asset(join(names, lambda one: _files()[one].read_text(encoding="utf-8")).encode(), kind)
    path = _files().get(name)
    return Asset(path.read_bytes(), kind) if path else None


def _source(folder: str, name: str) -> str:
    return packs.sheet(name) if folder == "css" else f"js/{name}.js"


@bp.get("/static/<path:filename>")
@public
def show(filename: str) -> Response:
    """A file, for good if the address says which version of it."""
    marked = MARKED.fullmatch(filename)
    asset = find(marked[2] if marked else filename)
    if asset is None:
        abort(404)
    is_zipped = asset.zipped is not None and request.accept_encodings["gzip"] > 0
    answer = Response(asset.zipped if is_zipped else asset.body, mimetype=asset.kind)
    answer.headers["Cache-Control"] = FOR_GOOD if marked and marked[1] == mark() else ASK_AGAIN
    answer.set_etag(f"{asset.etag}-gzip" if is_zipped else asset.etag)
    if asset.zipped is not None:
        answer.vary.add("Accept-Encoding")
    if is_zipped:
        answer.headers["Content-Encoding"] = "gzip"
    answer.make_conditional(request)
    return answer


def asset(name: str) -> str:
    """The address of a file below ``static/``, for templates."""
    return f"/static/v-{mark()}/{name}"


def styles(*names: str) -> str:
    """The address of these sheets as one; of the shell's without names."""
    return asset(f"css/{packs.name_of(names or packs.STYLES)}.css")


def scripts(*names: str) -> str:
    """The address of these modules as one; of the shell's without names."""
    return asset(f"js/{packs.name_of(names or packs.SCRIPTS)}.js")


def install(app: Flask) -> None:
    """The addresses, for every template."""
    app.register_blueprint(bp)
    app.jinja_env.globals.update(asset=asset, styles=styles, scripts=scripts)
