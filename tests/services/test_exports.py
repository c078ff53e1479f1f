"""Exports: all that matches and nothing else, once, whatever dies; for whoever asked and may see it."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from datetime import timedelta
from typing import Any

import orjson
import pytest
from sqlalchemy import func, select

from tests.services.test_bulk import make_many
from tests.support.clock import Clock
from tests.support.factories import make_event, row_of, rows_of
from webapp.domain.access import Actor
from webapp.domain.errors import Conflict, Forbidden
from webapp.domain.exports import parse_export
from webapp.live import RecordingPublisher, TransferChanged
from webapp.runtime import Runtime
from webapp.services import export_work, exports, upkeep
from webapp.store import tables, transfers


def start(rt: Runtime, actor: Actor, what: str = "events", format: str = "ndjson", **more: Any) -> str:
    return exports.start(rt, actor, parse_export({"what": what, "format": format, **more}, rt.clock()))


def finish(rt: Runtime, clock: Clock, owner: str = "beat-1") -> None:
    """Let a beat work until there is nothing to do."""
    while export_work.advance(rt, owner, 0.0):
        clock.advance(milliseconds=500)


def text_of(rt: Runtime, actor: Actor, export_id: str) -> str:
    row, stream = exports.fetch(rt, actor, export_id)
    text = b"".join(stream)
    assert len(text) == row.bytes
    return text.decode()


def pieces(rt: Runtime) -> int:
    with rt.db.read() as conn:
        return conn.execute(select(func.count()).select_from(tables.transfer_pieces)).scalar_one()


def test_all_that_matches_and_was_there_is_written_newest_first(rt: Runtime, clock: Clock, operator: Actor) -> None:
    mine = [make_event(rt, type="order.paid", payload={"n": n}) for n in range(230)]
    make_event(rt, type="other.thing")
    made = start(rt, operator, payloads=True, filter={"type": "order.*"})
    clock.advance(seconds=1)
    make_event(rt, type="order.paid")  # after it was asked for
    finish(rt, clock)
    row = row_of(rt, tables.transfers, made)
    assert (row.state, row.total, row.done, row.pieces) == ("done", 230, 230, 3)
    documents = [orjson.loads(line) for line in text_of(rt, operator, made).splitlines()]
    assert [one["hub"]["uid"] for one in documents] == sorted(mine, reverse=True)
    assert documents[0]["payload"] == {"n": 229}
    assert row.options["speed"]["rate"] > 0


def test_deliveries_and_audit_are_written_as_tables(rt: Runtime, clock: Clock, operator: Actor) -> None:
    dead = make_many(rt, clock, 3, state="dead", error_type="ValueError", error_message="=cmd()")
    make_many(rt, clock, 2, state="succeeded")
    made = start(rt, operator, "deliveries", "csv", filter={"state": "dead"})
    log = start(rt, operator, "audit", "csv", filter={"action": "export."})
    clock.advance(seconds=1)
    finish(rt, clock)
    rows = list(csv.DictReader(io.StringIO(text_of(rt, operator, made))))
    assert [row["id"] for row in rows] == dead[::-1]
    assert {row["error_message"] for row in rows} == {"'=cmd()"}
    entries = list(csv.DictReader(io.StringIO(text_of(rt, operator, log))))
    assert [entry["action"] for entry in entries] == ["export.started", "export.started"]


def test_nothing_found_is_a_file_with_a_head_only(rt: Runtime, clock: Clock, operator: Actor) -> None:
    made = start(rt, operator, format="csv")
    finish(rt, clock)
    assert text_of(rt, operator, made).splitlines()[0].startswith("uid,id,type")
    assert row_of(rt, tables.transfers, made).done == 0


def test_a_beat_that_dies_leaves_nothing_out_and_nothing_twice(rt: Runtime, clock: Clock, operator: Actor) -> None:
    uids = {make_event(rt) for _ in range(250)}
    made = start(rt, operator)
    for owner in ("beat-1", "beat-2", "beat-3"):  # each dies after a step
        export_work.advance(rt, owner, 0.0)
        clock.advance(seconds=11)
    finish(rt, clock, "beat-4")
    found = [orjson.loads(line)["hub"]["uid"] for line in text_of(rt, operator, made).splitlines()]
    assert (len(found), set(found)) == (250, uids)


def test_a_step_made_from_an_old_look_is_dropped(rt: Runtime, clock: Clock, operator: Actor) -> None:
    make_event(rt)
    made = start(rt, operator)
    old = row_of(rt, tables.transfers, made)
    export_work.advance(rt, "beat-1", 0.0)
    with rt.db.write() as conn:
        assert not transfers.step(conn, old, rt.clock(), done=99)
    assert row_of(rt, tables.transfers, made).done == 0


def test_another_beat_keeps_away_while_the_lease_lasts(rt: Runtime, clock: Clock, operator: Actor) -> None:
    start(rt, operator)
    export_work.advance(rt, "beat-1", 0.0)
    assert not export_work.advance(rt, "beat-2", 0.0)


def test_pause_holds_and_abort_leaves_no_file(rt: Runtime, clock: Clock, operator: Actor) -> None:
    for _ in range(150):
        make_event(rt)
    made = start(rt, operator)
    for _ in range(2):
        export_work.advance(rt, "beat-1", 0.0)
    exports.step(rt, operator, made, "pause")
    assert not export_work.advance(rt, "beat-1", 0.0)
    exports.step(rt, operator, made, "resume")
    exports.step(rt, operator, made, "abort")
    row = row_of(rt, tables.transfers, made)
    assert (row.state, row.state_reason, row.done, pieces(rt)) == ("aborted", f"aborted by {operator.name}", 100, 0)
    with pytest.raises(Conflict):
        exports.fetch(rt, operator, made)
    with pytest.raises(Conflict):
        exports.step(rt, operator, made, "resume")


def test_the_file_is_for_whoever_asked_and_may_still_see_it(rt: Runtime, clock: Clock, operator: Actor) -> None:
    make_event(rt)
    made = start(rt, operator, payloads=True)
    finish(rt, clock)
    blind = replace(operator, sees_payloads=False)
    other = replace(operator, id="usr_other")
    for actor in (blind, other, replace(other, role="admin")):
        with pytest.raises(Forbidden):
            exports.fetch(rt, actor, made)
    with pytest.raises(Forbidden):
        start(rt, blind, payloads=True)
    with pytest.raises(Forbidden):
        start(rt, blind, filter={"q": "data.amount>1"})
    with pytest.raises(Forbidden):
        exports.step(rt, other, start(rt, operator), "abort")
    text_of(rt, operator, made)
    actions = [row.action for row in rows_of(rt, tables.audit)]
    assert actions.count("export.downloaded") == 1
    assert {"export.started", "export.finished"} <= set(actions)


def test_a_full_file_ends_and_says_so(
    rt: Runtime, clock: Clock, operator: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(150):
        make_event(rt)
    monkeypatch.setattr(export_work, "MAX_BYTES", 27_000)
    made = start(rt, operator)
    finish(rt, clock)
    row = row_of(rt, tables.transfers, made)
    assert (row.state, row.done, row.skipped) == ("done", 100, 50)
    assert "the newest 100" in row.state_reason
    assert len(text_of(rt, operator, made).splitlines()) == 100


def test_files_go_when_their_time_is_over_and_rows_later(rt: Runtime, clock: Clock, operator: Actor) -> None:
    make_event(rt)
    made = start(rt, operator)
    finish(rt, clock)
    clock.advance(hours=25)
    upkeep.prune(rt)
    assert (row_of(rt, tables.transfers, made).file_until, pieces(rt)) == (None, 0)
    with pytest.raises(Conflict):
        exports.fetch(rt, operator, made)
    clock.advance(days=91)
    upkeep.prune(rt)
    assert rows_of(rt, tables.transfers) == []


def test_nobody_has_too_many(rt: Runtime, clock: Clock, operator: Actor) -> None:
    for _ in range(exports.OPEN_EACH):
        start(rt, operator)
    with pytest.raises(Conflict):
        start(rt, operator)
    start(rt, replace(operator, id="usr_other"))


def test_a_file_can_be_deleted_early(rt: Runtime, clock: Clock, operator: Actor) -> None:
    make_event(rt)
    made = start(rt, operator)
    finish(rt, clock)
    exports.discard(rt, operator, made)
    assert pieces(rt) == 0
    with pytest.raises(Conflict):
        exports.discard(rt, operator, made)


def test_browsers_are_told(rt: Runtime, clock: Clock, operator: Actor) -> None:
    make_event(rt)
    made = start(rt, operator)
    finish(rt, clock)
    assert isinstance(rt.live, RecordingPublisher)
    told = [fact.state for fact in rt.live.facts if isinstance(fact, TransferChanged) and fact.id == made]
    assert (told[0], told[-1]) == ("running", "done")
    assert row_of(rt, tables.transfers, made).file_until - rt.clock() <= timedelta(hours=24)
