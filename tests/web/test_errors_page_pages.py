"""The errors page: failed tries newest first, grouped by what failed where, filtered by the address."""

from __future__ import annotations

from typing import Any

from tests.support.clock import Clock
from tests.support.factories import make_attempt, make_delivery, make_subscription
from tests.support.markup import by_id, soup, without_tokens, words
from tests.support.people import Person
from webapp.runtime import Runtime
from webapp.store.feed_errors import ErrorFilter, group_errors, list_errors


def _fail(rt: Runtime, clock: Clock, subscription_id: str, error_type: str, **delivery: Any) -> str:
    clock.advance(seconds=1)
    made = make_delivery(rt, subscription_id=subscription_id, **({"state": "waiting"} | delivery))
    return make_attempt(rt, made, error_type=error_type, error_message=f"{error_type} happened")


def _listed(page: object) -> list[str]:
    rows = page.select("tbody[id^=error-]")  # type: ignore[attr-defined]
    return [str(row["id"]).removeprefix("error-") for row in rows]


def test_failed_tries_are_listed_newest_first_with_stack_and_state(
    signed_in: Person, sqlite_rt: Runtime, clock: Clock
) -> None:
    subscription = make_subscription(sqlite_rt, name="Receipts")
    made = [_fail(sqlite_rt, clock, subscription, "KeyError") for _ in range(3)]
    page = soup(signed_in.get("/errors"))
    assert _listed(page) == made[::-1]
    row = by_id(page, f"error-{made[0]}")
    for expected in ("KeyError happened", "Receipts", "1 of 8", "Waiting", "Retry"):
        assert expected in words(row)
    assert "Traceback" in words(row.select_one("details pre"))


def test_succeeded_tries_are_no_errors(signed_in: Person, sqlite_rt: Runtime) -> None:
    made = make_delivery(sqlite_rt, state="succeeded")
    make_attempt(sqlite_rt, made, outcome="succeeded", error_type=None, error_message=None, stack=None)
    assert "No errors" in signed_in.get("/errors").text


def test_groups_count_tries_deliveries_and_the_dead(signed_in: Person, sqlite_rt: Runtime, clock: Clock) -> None:
    first, second = make_subscription(sqlite_rt, name="A"), make_subscription(sqlite_rt, name="B")
    for _ in range(3):
        _fail(sqlite_rt, clock, first, "KeyError")
    _fail(sqlite_rt, clock, first, "KeyError", state="dead")
    _fail(sqlite_rt, clock, second, "KeyError")
    with sqlite_rt.db.read() as conn:
        groups = group_errors(conn, None)
    assert [(g.subscription_name, g.tries, g.deliveries, g.dead) for g in groups] == [("A", 4, 4, 1), ("B", 1, 1, 0)]
    assert "KeyError KeyError happened A tries 4 4 1" in words(soup(signed_in.get("/errors")))


def test_filters_are_in_the_address(signed_in: Person, sqlite_rt: Runtime, clock: Clock) -> None:
    first, second = make_subscription(sqlite_rt), make_subscription(sqlite_rt)
    _fail(sqlite_rt, clock, first, "KeyError")
    clock.advance(hours=2)
    wanted = _fail(sqlite_rt, clock, first, "KeyError")
    _fail(sqlite_rt, clock, second, "KeyError")
    _fail(sqlite_rt, clock, first, "ValueError")
    page = soup(signed_in.get(f"/errors?error_type=KeyError&subscription={first}&since=1h"))
    assert _listed(page) == [wanted]


def test_list_pages_by_keyset(rt: Runtime, clock: Clock) -> None:
    subscription = make_subscription(rt)
    made = [_fail(rt, clock, subscription, "KeyError") for _ in range(5)]
    with rt.db.read() as conn:
        first = list_errors(conn, ErrorFilter(), limit=3)
        rest = list_errors(conn, ErrorFilter(), before=first.next or "", limit=3)
    assert [row.id for row in (*first.rows, *rest.rows)] == made[::-1]
    assert rest.next is None


def test_newer_counts_failures_since(signed_in: Person, sqlite_rt: Runtime, clock: Clock) -> None:
    subscription = make_subscription(sqlite_rt)
    made = [_fail(sqlite_rt, clock, subscription, "KeyError") for _ in range(3)]
    assert "2 newer" in words(soup(signed_in.part(f"/errors/newer?newest={made[0]}")))


def test_viewer_sees_no_retry(as_viewer: Person, sqlite_rt: Runtime, clock: Clock) -> None:
    _fail(sqlite_rt, clock, make_subscription(sqlite_rt), "KeyError")
    assert "Retry now" not in as_viewer.get("/errors").text


def test_part_is_contained_in_the_page(signed_in: Person, sqlite_rt: Runtime, clock: Clock) -> None:
    _fail(sqlite_rt, clock, make_subscription(sqlite_rt), "KeyError")
    part, page = signed_in.part("/errors"), signed_in.get("/errors")
    assert without_tokens(by_id(soup(part), "errors-table")) == without_tokens(by_id(soup(page), "errors-table"))
