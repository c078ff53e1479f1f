"""The audit log: found by words, actor, action, target and time, all in the address; entries open in place."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.clock import Clock
from tests.support.markup import by_id, soup, words
from tests.support.people import Person
from webapp.domain.access import Actor
from webapp.runtime import Runtime
from webapp.store import audit, feed_audit
from webapp.store.feed_audit import AuditFilter, search

OLGA = Actor("user", "usr_olga", "olga", "operator", "192.0.2.1", "req-7")
KEY = Actor("key", "key_shop", "shop-api", "publisher")


def _note(rt: Runtime, clock: Clock, action: str = "subscription.paused", actor: Actor = OLGA, **fields: Any) -> str:
    clock.advance(seconds=1)
    made = rt.new_id("aud")
    entry = {"target_kind": "subscription", "target_id": "sub_1", "target_name": "Receipts", "details": {}} | fields
    with rt.db.write() as conn:
        audit.add(conn, id=made, at=clock(), actor=actor, action=action, **entry)
    return made


def _ids(rt: Runtime, **wanted: Any) -> list[str]:
    with rt.db.read() as conn:
        return [row.id for row in search(conn, AuditFilter(**wanted)).rows]


def test_every_word_must_occur_and_wildcards_are_letters(rt: Runtime, clock: Clock) -> None:
    made = _note(rt, clock, details={"reason": "CRM is 100% moving_house"})
    _note(rt, clock, details={"reason": "CRM stays"})
    assert _ids(rt, words="moving crm") == [made]
    assert _ids(rt, words="100%") == [made]
    assert _ids(rt, words="moving_h") == [made]
    assert _ids(rt, words="m_ving") == []
    assert _ids(rt, words="crm missing") == []


def test_actor_action_and_target_narrow_it_down(rt: Runtime, clock: Clock) -> None:
    paused = _note(rt, clock)
    created = _note(rt, clock, "subscription.created")
    sent = _note(rt, clock, "event.accepted", KEY, target_kind="event", target_id="evt_1", target_name="order.paid")
    assert _ids(rt, actor="usr_olga") == _ids(rt, actor="Olga") == [created, paused]
    assert _ids(rt, action="subscription.paused") == [paused]
    assert _ids(rt, action="subscription.") == [created, paused]
    assert _ids(rt, target="evt_1") == _ids(rt, target="ORDER.PAID") == [sent]


def test_time_bounds_are_kept(rt: Runtime, clock: Clock) -> None:
    early = _note(rt, clock)
    clock.advance(hours=1)
    between = clock()
    late = _note(rt, clock)
    assert _ids(rt, since=between) == [late]
    assert _ids(rt, until=between) == [early]


def test_pages_go_on_where_the_search_stopped(rt: Runtime, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed_audit, "SCAN", 4)
    first = _note(rt, clock, details={"reason": "needle"})
    for _ in range(5):
        _note(rt, clock)
    with rt.db.read() as conn:
        page = search(conn, AuditFilter(words="needle"))
        assert (page.rows, page.scanned_out) == ((), True)
        rest = search(conn, AuditFilter(words="needle"), before=page.next or "")
    assert [row.id for row in rest.rows] == [first]
    assert rest.next is None


def test_page_shows_who_did_what_and_opens_details(signed_in: Person, sqlite_rt: Runtime, clock: Clock) -> None:
    made = _note(sqlite_rt, clock, details={"reason": "<b>moving</b>", "held": 3})
    row = by_id(soup(signed_in.get("/audit?words=moving")), f"audit-{made}")
    text = words(row)
    for expected in ("olga", "subscription.paused", "Receipts", "reason <b>moving</b> held 3", "192.0.2.1", "req-7"):
        assert expected in text
    assert row.select("a[href='/subscriptions/sub_1']")


def test_search_stays_in_the_form_and_the_address(signed_in: Person, sqlite_rt: Runtime, clock: Clock) -> None:
    for _ in range(60):
        _note(sqlite_rt, clock)
    page = soup(signed_in.get("/audit?words=receipts&actor=olga&since=2026-03-01"))
    assert (by_id(page, "f-words")["value"], by_id(page, "f-actor")["value"]) == ("receipts", "olga")
    older = str(page.select_one("a[rel=next]")["href"])  # type: ignore[index]
    assert "words=receipts" in older
    assert "actor=olga" in older
    assert len(soup(signed_in.get(older)).select("tr[id^=audit-]")) == 10
    assert "subscription.paused" in [str(one["value"]) for one in page.select("datalist option")]


def test_unreadable_time_is_marked(signed_in: Person) -> None:
    page = soup(signed_in.get("/audit?since=last+week&until=99999-01-01"))
    assert by_id(page, "f-since")["aria-invalid"] == "true"
    assert by_id(page, "f-until")["aria-invalid"] == "true"


def test_a_day_as_the_end_means_the_whole_day(signed_in: Person, sqlite_rt: Runtime, clock: Clock) -> None:
    made = _note(sqlite_rt, clock)
    by_id(soup(signed_in.get("/audit?until=2026-03-02")), f"audit-{made}")
    assert "Nothing found" in signed_in.get("/audit?until=2026-03-01").text
