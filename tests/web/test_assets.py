"""Static files and pages on the wire: compressed, kept for good under the address of a version, and nothing else served."""

from __future__ import annotations

import gzip
import re

import pytest
from flask import Flask

from tests.support.people import Person
from webapp.web import assets

ZIPPED = {"Accept-Encoding": "gzip, br"}


@pytest.mark.parametrize(
    "address", ["css/base.css", "js/live.js", "vendor/htmx/htmx.min.js", "vendor/lucide/sprite.svg"]
)
def test_file_of_this_version_is_kept_for_good_and_sent_compressed(app: Flask, address: str) -> None:
    answer = app.test_client().get(assets.asset(address), headers=ZIPPED)
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert answer.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(answer.data) == (assets.FOLDER / address).read_bytes()


def test_font_is_sent_as_it_is(app: Flask) -> None:
    answer = app.test_client().get(assets.asset("vendor/inter/inter-latin-wght-normal.woff2"), headers=ZIPPED)
    assert (answer.content_type, "Content-Encoding" in answer.headers) == ("font/woff2", False)


@pytest.mark.parametrize("prefix", ["", "v-000000000000/"])
def test_file_of_no_or_another_version_is_asked_for_again(app: Flask, prefix: str) -> None:
    client = app.test_client()
    first = client.get(f"/static/{prefix}css/base.css", headers=ZIPPED)
    assert (first.status_code, first.headers["Cache-Control"]) == (200, "no-cache")
    again = client.get(f"/static/{prefix}css/base.css", headers=ZIPPED | {"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    plain = client.get(f"/static/{prefix}css/base.css")
    assert plain.headers["ETag"] != first.headers["ETag"]


@pytest.mark.parametrize(
    "name",
    ["css/+base+nothing.css", "css/+base+base.css", "js/+base.js", "css/+live.js", "v-1/css/base.css", "css",
     "../wsgi.py", "%2e%2e/wsgi.py", "css/+" + "+".join("a" * 200) + ".css"],
)  # fmt: skip
def test_nothing_else_is_served(app: Flask, name: str) -> None:
    assert app.test_client().get(f"/static/{name}").status_code == 404


def test_page_is_compressed_for_those_who_can_read_it_so(signed_in: Person) -> None:
    plain = signed_in.get("/settings/account")
    zipped = signed_in.get("/settings/account", headers=ZIPPED)
    assert "Content-Encoding" not in plain.headers
    assert zipped.headers["Content-Encoding"] == "gzip"
    assert "Accept-Encoding" in plain.headers["Vary"]
    assert "Accept-Encoding" in zipped.headers["Vary"]
    title = re.compile(rb"<title>.*</title>")
    assert title.findall(gzip.decompress(zipped.data)) == title.findall(plain.data) != []
    assert len(zipped.data) < len(plain.data) / 2
