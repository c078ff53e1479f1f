"""Around the page: one list of places, icons that are there, breadcrumbs, error pages that say what to do, the style guide."""

from __future__ import annotations

import re

import pytest
from flask import Flask

from tests.support.markup import by_id, soup, unrouted, unsafe, words
from tests.support.people import Person
from tests.support.sources import ROOT
from webapp.web.navigation import PLACES

SPRITE = (ROOT / "static/vendor/lucide/sprite.svg").read_text()
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))


def test_icons_that_are_drawn_are_in_the_sprite_and_no_others() -> None:
    named = {name for path in TEMPLATES for name in re.findall(r'\bicon\("([a-z0-9-]+)"\)', path.read_text())}
    code = "".join(path.read_text() for path in (ROOT / "webapp/web").rglob("*.py"))
    symbols = set(re.findall(r'<symbol id="([^"]+)"', SPRITE))
    assert named | {place.icon for place in PLACES} <= symbols
    assert {name for name in symbols - named if f'"{name}"' not in code} == set()


def test_places_are_pages_and_their_keys_lead_to_one_each(app: Flask, signed_in: Person) -> None:
    keys = [place.key for place in PLACES if place.key]
    assert len(keys) == len(set(keys))
    for place in PLACES:
        assert signed_in.get(place.path).status_code == 200, place.path


def test_help_names_every_place_with_a_key(as_viewer: Person) -> None:
    told = {
        str(one["data-go"]): str(one["data-to"]) for one in soup(as_viewer.get("/events")).select("#help [data-go]")
    }
    assert told == {place.key: place.path for place in PLACES if place.key}


@pytest.mark.parametrize("path", ["/settings/users", "/settings/environment", "/preferences", "/styleguide"])
def test_inner_pages_say_where_they_are(signed_in: Person, path: str) -> None:
    page = soup(signed_in.get(path))
    assert len(page.select("nav[aria-label=Breadcrumb] a")) == 1
    assert words(page.select_one("nav[aria-label=Breadcrumb] [aria-current=page]"))


def test_error_page_has_the_id_of_the_request_and_what_to_do(as_viewer: Person) -> None:
    answer = as_viewer.get("/events/evt_gone", headers={"X-Request-Id": "req-told"})
    told = by_id(soup(answer, 404), "error-page")
    assert "req-told" in words(told)
    assert [str(link["href"]) for link in told.select("a[href]")] == ["/"]


@pytest.mark.parametrize("theme", ["", "light", "dark", '"><script>'])
def test_style_guide_shows_every_part(app: Flask, as_viewer: Person, theme: str) -> None:
    page = soup(as_viewer.get("/styleguide", query_string={"theme": theme}))
    assert (unrouted(app, page), unsafe(page)) == ([], [])
    assert page.html is not None
    assert page.html.get("data-theme", "") == (theme if theme in ("light", "dark") else "")
    ids = [str(one["id"]) for one in page.select("[id]")]
    assert [one for one in ids if ids.count(one) > 1] == []
    assert {"succeeded", "dead", "held", "breaker_open", "lost"} <= {
        str(p["data-state"]) for p in page.select("[data-state]")
    }
