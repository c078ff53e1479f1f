"""The live tail: what it is sent, how much of it, and what it is told while it stands still."""

from __future__ import annotations

from bs4 import BeautifulSoup

from tests.support.clock import Clock
from tests.support.factories import make_delivery, make_event
from tests.support.markup import by_id, soup, unsafe, words
from tests.support.people import Person
from webapp.domain.ids import made_at
from webapp.runtime import Runtime
from webapp.web.pages.tail import SHOWN


def _uids(page: BeautifulSoup) -> list[str]:
    return [str(row["data-uid"]) for row in by_id(page, "tail-rows").select("tr")]


def test_tail_shows_the_newest_and_where_the_rest_comes_from(
    signed_in: Person, sqlite_rt: Runtime, clock: Clock
) -> None:
    made = []
    for n in range(3):
        made.append(make_event(sqlite_rt, type=f"order.<b>{n}", subject="<img src=x>"))
        clock.advance(seconds=1)
    page = soup(signed_in.get("/tail"))
    assert _uids(page) == made[::-1]
    assert unsafe(page) == []
    assert by_id(page, "tail")["data-rows"] == "/tail/rows"
    assert 'href="/tail"' in signed_in.get("/events").text


def test_look_reaches_back_a_moment_and_no_further(signed_in: Person, sqlite_rt: Runtime, clock: Clock) -> None:
    old = make_event(sqlite_rt)
    clock.advance(seconds=60)
    late, seen = make_event(sqlite_rt), make_event(sqlite_rt)
    clock.advance(seconds=1)
    new = make_event(sqlite_rt)
    answer = soup(signed_in.part(f"/tail/rows?after={seen}"))
    assert _uids(answer) == [new, seen, late]
    assert old not in str(answer)


def test_flood_is_cut_to_the_newest_and_says_so(signed_in: Person, sqlite_rt: Runtime, clock: Clock) -> None:
    first = make_event(sqlite_rt)
    clock.advance(seconds=10)
    made = [make_event(sqlite_rt) for _ in range(SHOWN + 20)]
    answer = soup(signed_in.part(f"/tail/rows?after={first}"))
    assert _uids(answer) == made[::-1][:SHOWN]
    assert by_id(answer, "tail-rows").has_attr("data-more")
    answer = soup(signed_in.part(f"/tail/rows?after={made[30]}"))
    assert not by_id(answer, "tail-rows").has_attr("data-more")


def test_rows_that_were_open_are_looked_at_again(signed_in: Person, sqlite_rt: Runtime, clock: Clock) -> None:
    done, other = make_event(sqlite_rt), make_event(sqlite_rt)
    make_delivery(sqlite_rt, other, state="running")
    clock.advance(seconds=60)
    last = make_event(sqlite_rt)
    answer = soup(signed_in.part(f"/tail/rows?after={last}&open={done},nonsense,%27,evt_x"))
    assert _uids(answer) == [last, done]


def test_tail_is_filtered_by_the_text_of_a_condition(signed_in: Person, sqlite_rt: Runtime, clock: Clock) -> None:
    paid = make_event(sqlite_rt, type="order.paid")
    sent = make_event(sqlite_rt, type="order.sent")
    assert _uids(soup(signed_in.get("/tail?q=type:order.paid"))) == [paid]
    clock.advance(seconds=1)
    again = make_event(sqlite_rt, type="order.paid")
    make_event(sqlite_rt, type="order.sent")
    assert _uids(soup(signed_in.part(f"/tail/rows?q=type:order.paid&after={sent}"))) == [again, paid]
    assert words(soup(signed_in.part(f"/tail/newer?q=type:order.paid&after={sent}"))) == "1 new"
    assert words(soup(signed_in.part(f"/tail/newer?after={sent}"))) == "2 new"


def test_query_that_cannot_be_read_is_named_and_nothing_follows(signed_in: Person, sqlite_rt: Runtime) -> None:
    make_event(sqlite_rt)
    page = soup(signed_in.get("/tail?q=%22open"))
    assert words(by_id(page, "t-q-error"))
    assert _uids(page) == []
    assert not by_id(page, "tail").has_attr("data-rows")
    assert _uids(soup(signed_in.part("/tail/rows?q=%22open"))) == []


def test_nonsense_after_is_no_harm(signed_in: Person, sqlite_rt: Runtime) -> None:
    uid = make_event(sqlite_rt)
    assert made_at(uid) is not None
    for after in ("", "x", "evt_" + "z" * 60):
        assert _uids(soup(signed_in.part(f"/tail/rows?after={after}"))) == [uid]
