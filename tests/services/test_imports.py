"""Imports: every good line once, whatever dies and however often; what is wrong is told by line."""

from __future__ import annotations

import orjson
import pytest

from tests.services import test_exports
from tests.support.clock import Clock
from tests.support.factories import make_event, row_of, rows_of
from webapp.domain.access import SYSTEM, Actor
from webapp.domain.errors import Forbidden, Refused
from webapp.runtime import Runtime
from webapp.services import exports, imports
from webapp.services.accept import Acceptor
from webapp.services.keys import create_key
from webapp.store import accounts, tables, transfers


def asker(rt: Runtime, role: str = "operator") -> Actor:
    key_id, _ = create_key(rt, SYSTEM, "importer", role)
    return Actor("key", key_id, "importer", role)  # type: ignore[arg-type]


def finish(rt: Runtime, clock: Clock) -> None:
    acceptor = Acceptor(rt)
    while imports.advance(rt, acceptor, "beat-1", 0.0):
        clock.advance(milliseconds=500)


def lines(count: int) -> bytes:
    return b"\n".join(orjson.dumps({"type": "order.paid", "payload": {"n": n}}) for n in range(count))


def counts(rt: Runtime, import_id: str) -> tuple[str, int, int, int]:
    row = row_of(rt, tables.transfers, import_id)
    return row.state, row.done, row.skipped, row.failed


def test_every_line_comes_in_once_however_often_the_file_is_imported(rt: Runtime, clock: Clock) -> None:
    actor = asker(rt)
    first = imports.start(rt, actor, lines(250) + b"\n\n", "shop")
    finish(rt, clock)
    assert counts(rt, first) == ("done", 250, 0, 0)
    again = imports.start(rt, actor, lines(250) + b"\n\n", "shop")
    finish(rt, clock)
    assert counts(rt, again) == ("done", 0, 250, 0)
    stored = rows_of(rt, tables.events)
    assert (len(stored), {row.source for row in stored}, {row.received_by for row in stored}) == (
        250,
        {"shop"},
        {f"key:{actor.id}"},
    )


@pytest.mark.parametrize("format", ["ndjson", "cloudevents"])
def test_what_was_exported_comes_in_elsewhere_and_is_known_here(
    format: str, rt: Runtime, clock: Clock, operator: Actor
) -> None:
    make_event(rt, id="order-1", labels={"a": "b"})
    made = test_exports.start(rt, operator, format=format, payloads=True)
    test_exports.finish(rt, clock)
    text = test_exports.text_of(rt, operator, made).encode()
    for content, brought in ((text, (0, 1)), (text.replace(b"order-1", b"order-2"), (1, 0))):
        there = imports.start(rt, asker(rt), content, "shop")
        finish(rt, clock)
        assert counts(rt, there) == ("done", *brought, 0)
    event = next(row for row in rows_of(rt, tables.events) if row.id == "order-2")
    assert (orjson.loads(event.payload), event.labels["a"]) == ({"amount": 12}, "b")


def test_what_is_wrong_is_told_by_line(rt: Runtime, clock: Clock) -> None:
    body = b'{"type": "order.paid"}\n\nnot json\n{"type": "NO", "payload": 1}\n[1]\n{"type": "order.paid"}'
    made = imports.start(rt, asker(rt), body, "shop")
    finish(rt, clock)
    assert counts(rt, made) == ("done", 2, 0, 3)
    with rt.db.read() as conn:
        faults = transfers.faults_of(conn, made).rows
    assert [fault.line for fault in faults] == [3, 4, 5]
    assert "/payload" in faults[1].message


def test_a_beat_that_dies_between_accepting_and_writing_down_brings_nothing_twice(
    rt: Runtime, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = imports.start(rt, asker(rt), lines(150), "shop")
    with monkeypatch.context() as broken:
        broken.setattr(transfers, "step", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            imports.advance(rt, Acceptor(rt), "beat-1", 0.0)
    finish(rt, clock)
    assert counts(rt, made) == ("done", 50, 100, 0)
    assert len(rows_of(rt, tables.events)) == 150


def test_pause_abort_and_whoever_lost_the_right(rt: Runtime, clock: Clock) -> None:
    actor = asker(rt)
    made = imports.start(rt, actor, lines(150), "shop")
    imports.advance(rt, Acceptor(rt), "beat-1", 0.0)
    exports.step(rt, actor, made, "pause")
    finish(rt, clock)
    assert counts(rt, made)[:2] == ("paused", 100)
    exports.step(rt, actor, made, "resume")
    with rt.db.write() as conn:
        accounts.revoke_key(conn, actor.id, clock())
    finish(rt, clock)
    assert counts(rt, made)[:2] == ("aborted", 100)
    assert test_exports.pieces(rt) == 0


def test_nothing_and_nobody(rt: Runtime, viewer: Actor) -> None:
    with pytest.raises(Refused):
        imports.start(rt, asker(rt), b"\n \n", "shop")
    with pytest.raises(Forbidden):
        imports.start(rt, viewer, lines(1), "shop")
