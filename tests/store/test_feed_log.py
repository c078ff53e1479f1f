"""The log of deliveries, on both databases: its end, and what came behind a line."""

from __future__ import annotations

from tests.support.factories import make_delivery
from webapp.runtime import Runtime
from webapp.store.feed_log import LINE_CHARS, last_lines, lines_after
from webapp.store.outcomes import add_log_lines


def _write(rt: Runtime, delivery_id: str, *texts: str) -> None:
    rows = [{"delivery_id": delivery_id, "attempt": 1, "at": rt.clock(), "level": "info", "text": one} for one in texts]
    with rt.db.write() as conn:
        add_log_lines(conn, rows)


def test_lines_come_in_order_bounded_and_of_these_deliveries_only(rt: Runtime) -> None:
    one, two, other = make_delivery(rt), make_delivery(rt), make_delivery(rt)
    _write(rt, one, "a", "b"), _write(rt, other, "x"), _write(rt, two, "c", "d" * 5_000)
    with rt.db.read() as conn:
        lines = last_lines(conn, [one, two])
        assert [line.text for line in lines] == ["a", "b", "c", "d" * LINE_CHARS]
        assert [line.text for line in last_lines(conn, [one, two], limit=2)] == ["c", "d" * LINE_CHARS]
        behind = lines_after(conn, [one, two], lines[0].seq, limit=2)
        assert [(line.text, line.delivery_id) for line in behind] == [("b", one), ("c", two)]
        assert lines_after(conn, [one, two], lines[-1].seq) == last_lines(conn, []) == ()
