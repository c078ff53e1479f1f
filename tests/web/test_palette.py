"""The command palette: finds by id and by name on both databases, shows a person what they may open, and nothing else."""

from __future__ import annotations

import pytest

from tests.support.factories import make_delivery, make_event, make_subscription
from tests.support.markup import by_id, soup, unsafe, words
from tests.support.people import Person, Program
from webapp.runtime import Runtime
from webapp.store import feed_palette

EVIL = '<img src=x onerror=alert(1)>"%_'


def _found(person: Person, text: str) -> dict[str, str]:
    """Addresses of what was found and the words on them."""
    page = soup(person.part("/palette", query_string={"q": text}))
    assert unsafe(page) == []
    return {str(option["href"]): words(option) for option in page.select("[role=option]")}


def _hits(rt: Runtime, text: str) -> set[tuple[str, str]]:
    with rt.db.read() as conn:
        return {(hit.kind, hit.id) for hit in feed_palette.find(conn, text)}


def test_rows_are_found_by_ids_of_the_hub_and_of_the_sender(rt: Runtime) -> None:
    uid = make_event(rt, id="order-4711")
    subscription = make_subscription(rt, name="Large orders")
    delivery = make_delivery(rt, uid, subscription)
    assert _hits(rt, uid) == _hits(rt, uid[:-1]) == {("event", uid)}
    assert _hits(rt, "order-4711") == {("event", uid)}
    assert _hits(rt, delivery) == {("delivery", delivery)}
    assert _hits(rt, subscription) == _hits(rt, "ARGE ord") == {("subscription", subscription)}
    assert _hits(rt, "evt_") == _hits(rt, "order-471") == set()


def test_wildcards_in_names_are_letters(rt: Runtime) -> None:
    odd = make_subscription(rt, name="100 %_sure")
    make_subscription(rt, name="unsure")
    assert _hits(rt, "%_") == {("subscription", odd)}


def test_each_kind_is_bounded(rt: Runtime) -> None:
    for number in range(feed_palette.EACH + 2):
        make_subscription(rt, name=f"Many {number}")
    assert len(_hits(rt, "many")) == feed_palette.EACH


def test_hostile_names_stay_text(app: object, sqlite_rt: Runtime, as_viewer: Person) -> None:
    subscription = make_subscription(sqlite_rt, name=EVIL)
    assert EVIL in _found(as_viewer, EVIL)[f"/subscriptions/{subscription}"]


@pytest.mark.parametrize("text", ["%", "'; --", "a" * 5000, "evt_" + "\uffff" * 30, "\ud7ff"])
def test_anything_may_be_typed(as_viewer: Person, text: str) -> None:
    assert as_viewer.part("/palette", query_string={"q": text}).status_code == 200


def test_people_see_pages_that_they_may_open(signed_in: Person, as_viewer: Person) -> None:
    everything, little = _found(signed_in, ""), _found(as_viewer, "")
    assert {"/settings/users", "/subscriptions/new", "/events/new", "/events"} <= set(everything)
    assert {"/settings/users", "/settings/keys", "/subscriptions/new", "/events/new"} & set(little) == set()
    for path in little:
        assert as_viewer.get(path, follow_redirects=True).status_code == 200, path


def test_strangers_and_programs_find_nothing(stranger: Person, as_publisher: Program) -> None:
    assert stranger.part("/palette?q=a").status_code == 401
    assert as_publisher.get("/palette?q=a").status_code in (302, 401)


def test_options_can_be_pointed_at(as_viewer: Person) -> None:
    page = soup(as_viewer.get("/events"))
    field, found = by_id(page, "palette-words"), soup(as_viewer.part("/palette?q="))
    ids = [str(option["id"]) for option in found.select("[role=option]")]
    assert len(ids) == len(set(ids)) > 10
    assert by_id(page, str(field["aria-controls"]))["role"] == "listbox"
    for group in found.select("[role=group]"):
        assert words(by_id(found, str(group["aria-labelledby"])))
