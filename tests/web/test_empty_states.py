"""Lists with nothing in them say what they are for and what to do next; those that a filter emptied say something else."""

from __future__ import annotations

import pytest
from bs4 import Tag
from flask import Flask

from tests.support.factories import make_event, make_subscription
from tests.support.markup import soup, unrouted, words
from tests.support.people import Person, add_person
from webapp.domain.access import SYSTEM
from webapp.domain.event_types import parse_type
from webapp.runtime import Runtime
from webapp.services import event_types

LISTS = (
    "/events", "/deliveries", "/deliveries?state=all", "/errors", "/subscriptions", "/sources", "/schedules", "/event-types",
    "/bulk", "/workers", "/tail", "/samples", "/settings/keys", "/settings/secrets", "/performance",
)  # fmt: skip
FILTERED = (
    ("/events?type=nothing.like.it", "/events"),
    ("/deliveries?state=dead&subscription=sub_none", "/deliveries"),
    ("/errors?error_type=Nothing", "/errors"),
    ("/subscriptions?q=nothing", "/subscriptions"),
    ("/event-types?q=nothing", "/event-types"),
    ("/samples?q=nothing", "/samples"),
    ("/audit?words=nothing-like-it", "/audit"),
)


def _empty(person: Person, path: str) -> Tag:
    found = soup(person.get(path)).select_one("main .empty")
    assert found is not None, path
    return found


@pytest.mark.parametrize("path", LISTS)
def test_list_of_a_new_hub_says_what_it_is_for_and_what_is_next(app: Flask, signed_in: Person, path: str) -> None:
    found = _empty(signed_in, path)
    assert len(words(found)) > 60
    assert found.select("a[href], pre.code"), path
    assert unrouted(app, soup(signed_in.get(path))) == []


@pytest.mark.parametrize(("path", "whole"), FILTERED)
def test_list_that_a_filter_emptied_offers_to_clear_it(
    signed_in: Person, sqlite_rt: Runtime, path: str, whole: str
) -> None:
    new = words(_empty(signed_in, whole)) if whole != "/audit" else ""
    make_event(sqlite_rt)
    make_subscription(sqlite_rt)
    event_types.put(sqlite_rt, SYSTEM, "order.paid", parse_type({}))
    found = _empty(signed_in, path)
    assert words(found) != new
    assert [link for link in found.select("a[href]") if str(link["href"]).split("?")[0] == whole]


def test_viewer_is_offered_nothing_that_is_refused(app: Flask) -> None:
    viewer = add_person(app, "vera", "viewer")
    for path in LISTS:
        if not path.startswith("/settings"):
            for link in _empty(viewer, path).select("a[href]"):
                assert viewer.get(str(link["href"])).status_code in (200, 308), f"{path}: {link['href']}"
