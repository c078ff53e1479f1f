"""Pages go out compressed. What programs ask for does not: theirs are small answers, and many.

An answer that holds a secret beside words of the address could tell it by its length, to one who listens and makes a
browser ask again and again. Here the token of forms, the only secret of a page, is signed anew every second, and the
cookie does not come along with what other sites ask for (``SameSite=Lax``).
"""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

from flask import Flask, Response

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed.wsgi import WSGIEnvironment

LEAST_BYTES = 1000
LEVEL = 5  # 60 KB in about a millisecond; more would cost time and gain little


class PageResponse(Response):
    """An answer that shrinks on its way out if it is a page and the browser can read it so."""

    def get_wsgi_response(self, environ: WSGIEnvironment) -> tuple[Iterable[bytes], str, list[tuple[str, str]]]:
        if self.mimetype == "text/html":
            self._shrink(environ)
        return super().get_wsgi_response(environ)

    def _shrink(self, environ: WSGIEnvironment) -> None:
        self.vary.add("Accept-Encoding")
        if self.is_streamed or self.content_encoding or "gzip" not in environ.get("HTTP_ACCEPT_ENCODING", ""):
            return
        body = self.get_data()
        if len(body) >= LEAST_BYTES:
            self.set_data(gzip.compress(body, LEVEL, mtime=0))
            self.content_encoding = "gzip"


def install(app: Flask) -> None:
    """Every answer of the app is one of these."""
    app.response_class = PageResponse
