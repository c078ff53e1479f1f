"""Samples on both databases: unique while they are there, found by all their words, listed by key, changed once."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.clock import Clock
from webapp.domain.errors import Conflict, NotFound
from webapp.runtime import Runtime
from webapp.store import samples


def _add(rt: Runtime, name: str, type: str = "order.paid") -> str:
    rt.clock.advance(milliseconds=2)  # type: ignore[attr-defined]  # ids of one millisecond have no order
    row = {"id": rt.new_id("smp"), "type": type, "name": name, "event": {"type": type, "payload": {"ä": 1.0}}}
    with rt.db.write() as conn:
        samples.add_sample(conn, row | {"created_at": rt.clock(), "created_by": "ada"})
    return str(row["id"])


def _names(rt: Runtime, **wanted: Any) -> list[str]:
    with rt.db.read() as conn:
        return [row.name for row in samples.list_samples(conn, **wanted)[0]]


def test_document_comes_back_as_it_was(rt: Runtime) -> None:
    made = _add(rt, "Paid")
    with rt.db.read() as conn:
        assert samples.get_sample(conn, made).event == {"type": "order.paid", "payload": {"ä": 1.0}}
        with pytest.raises(NotFound):
            samples.get_sample(conn, "smp_none")


def test_words_are_all_looked_for_in_name_and_type_and_are_no_wildcards(rt: Runtime) -> None:
    _add(rt, "Large ORDER"), _add(rt, "100 % sure"), _add(rt, "Refund", "money.back")
    assert _names(rt, words="order large") == ["Large ORDER"]
    assert _names(rt, words="PAID sure") == ["100 % sure"]
    assert _names(rt, words="%") == ["100 % sure"]
    assert _names(rt, words="_") == []
    assert _names(rt, type="money.back") == ["Refund"]


@pytest.mark.parametrize("listing", ["by name", "newest first"])
def test_pages_show_every_sample_once(rt: Runtime, listing: str) -> None:
    made = {_add(rt, name) for name in ("b", "a", "b", "c", "B")}
    seen, cursor, pages = list[str](), "", 0
    while True:
        with rt.db.read() as conn:
            if listing == "by name":
                rows, following = samples.list_samples(conn, after=cursor, limit=2)
            else:
                rows, following = samples.newest_samples(conn, before=cursor, limit=2)
        seen += [row.id for row in rows]
        pages += 1
        if following is None:
            break
        cursor = following
    assert (len(seen), set(seen), pages) == (5, made, 3)
    if listing == "newest first":
        assert seen == sorted(seen, reverse=True)


def test_rename_names_what_it_comes_from(rt: Runtime, clock: Clock) -> None:
    made = _add(rt, "Paid")
    with rt.db.write() as conn:
        assert samples.is_taken(conn, "order.paid", "Paid")
        samples.rename_sample(conn, made, before="Paid", name="Paid twice")
    with pytest.raises(Conflict), rt.db.write() as conn:
        samples.rename_sample(conn, made, before="Paid", name="Lost")
    assert _names(rt) == ["Paid twice"]


def test_deleted_sample_is_in_no_list_and_frees_its_name(rt: Runtime, clock: Clock) -> None:
    made = _add(rt, "Paid")
    with rt.db.write() as conn:
        samples.delete_sample(conn, made, before="Paid", at=clock())
    with rt.db.read() as conn:
        assert (samples.count_samples(conn), samples.is_taken(conn, "order.paid", "Paid")) == (0, False)
        with pytest.raises(NotFound):
            samples.get_sample(conn, made)
    with pytest.raises(Conflict), rt.db.write() as conn:
        samples.delete_sample(conn, made, before="Paid", at=clock())
    assert _names(rt) == []
