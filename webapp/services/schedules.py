"""Cron schedules: kept by people, ticked by the beat.

A tick publishes an event whose id names the schedule and the tick, so the unique ``(source, id)`` keeps two beats
from publishing it twice; only then does the schedule move on. A crash in between repeats the publishing, harmlessly.
"""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Connection

from webapp.domain.access import Actor
from webapp.domain.errors import Conflict, HubError
from webapp.domain.events import EventDraft
from webapp.domain.instants import iso
from webapp.domain.schedules import LATE, ScheduleDraft, due_ticks, next_ticks
from webapp.runtime import Runtime
from webapp.services import trail
from webapp.services.accept import Acceptor
from webapp.services.notify import notify
from webapp.store import schedules
from webapp.store.audit import Target

log = logging.getLogger(__name__)

DUE_LIMIT = 100


def create(rt: Runtime, actor: Actor, draft: ScheduleDraft) -> str:
    """Store a schedule; it ticks from now on. Answers its id."""
    actor.must("design")
    now, schedule_id = rt.clock(), rt.new_id("sch")
    row = {"id": schedule_id, "created_at": now, "updated_at": now, **_columns(draft, now)}
    with rt.db.write() as conn:
        schedules.add_schedule(conn, row)
        _write_audit(rt, conn, actor, "schedule.created", schedule_id, draft.name, _shown(draft))
    return schedule_id


def update(rt: Runtime, actor: Actor, schedule_id: str, draft: ScheduleDraft, revision: int | None = None) -> None:
    """Change a schedule. With ``revision``, only if nobody changed it meanwhile (``Conflict``)."""
    actor.must("design")
    now = rt.clock()
    with rt.db.write() as conn:
        paused = schedules.get_schedule(conn, schedule_id).paused_at is not None
        columns = _columns(draft, now) | ({"next_at": None} if paused else {})
        schedules.change_schedule(conn, schedule_id, revision=revision, at=now, **columns)
        _write_audit(rt, conn, actor, "schedule.updated", schedule_id, draft.name, _shown(draft))


def pause(rt: Runtime, actor: Actor, schedule_id: str) -> None:
    """No more ticks until it is resumed; those of the pause are not caught up on."""
    actor.must("operate")
    with rt.db.write() as conn:
        row = schedules.get_schedule(conn, schedule_id)
        if row.paused_at is not None:
            raise Conflict("This schedule is paused already.")
        now = rt.clock()
        schedules.change_schedule(conn, schedule_id, revision=row.revision, at=now, paused_at=now, next_at=None)
        _write_audit(rt, conn, actor, "schedule.paused", schedule_id, row.name, {})


def resume(rt: Runtime, actor: Actor, schedule_id: str) -> None:
    """Tick again, from now on."""
    actor.must("operate")
    with rt.db.write() as conn:
        row = schedules.get_schedule(conn, schedule_id)
        if row.paused_at is None:
            raise Conflict("This schedule is not paused.")
        now = rt.clock()
        next_at = _next(row.cron, row.time_zone, now)
        schedules.change_schedule(conn, schedule_id, revision=row.revision, at=now, paused_at=None, next_at=next_at)
        _write_audit(rt, conn, actor, "schedule.resumed", schedule_id, row.name, {})


def delete(rt: Runtime, actor: Actor, schedule_id: str) -> None:
    """No more ticks; the events that it published stay."""
    actor.must("design")
    with rt.db.write() as conn:
        row = schedules.get_schedule(conn, schedule_id)
        now = rt.clock()
        schedules.change_schedule(conn, schedule_id, revision=row.revision, at=now, deleted_at=now)
        _write_audit(rt, conn, actor, "schedule.deleted", schedule_id, row.name, {})


def run_now(rt: Runtime, acceptor: Acceptor, actor: Actor, schedule_id: str) -> str:
    """Publish its event at once, beside its ticks; answers the event's uid."""
    actor.must("operate")
    now = rt.clock()
    with rt.db.read() as conn:
        row = schedules.get_schedule(conn, schedule_id)
    uid = acceptor.accept(_event(row, now, f"{row.id}:run:{rt.new_id('run')}"), actor).uid
    with rt.db.write() as conn:
        schedules.note_run(conn, schedule_id, now, uid)
        _write_audit(rt, conn, actor, "schedule.run", schedule_id, row.name, {"event": uid})
    return uid


def tick(rt: Runtime, acceptor: Acceptor) -> int:
    """Publish what is due; answers how many events. One schedule that fails does not keep the others from ticking."""
    now = rt.clock()
    with rt.db.read() as conn:
        due = schedules.due_schedules(conn, now, DUE_LIMIT)
    published = 0
    for row in due:
        try:
            published += _tick_one(rt, acceptor, row, now)
        except HubError as error:
            log.warning("schedule %s could not tick: %s", row.id, error, extra={"action": "tick_failed"})
            _warn(rt, row, f"Its event was refused: {error}")
    return published


def _tick_one(rt: Runtime, acceptor: Acceptor, row: Any, now: datetime) -> int:
    moments = due_ticks(row.cron, row.time_zone, row.catch_up, row.next_at, now)
    actor = Actor("system", row.id, row.name, "publisher")
    answers = [acceptor.accept(_event(row, at, f"{row.id}:{iso(at)}"), actor) for at in moments]
    uid = answers[-1].uid if answers else None
    with rt.db.write() as conn:
        next_at = _next(row.cron, row.time_zone, now)
        schedules.move_on(conn, row, next_at=next_at, last_at=moments[-1] if moments else now, uid=uid)
    if now - row.next_at > LATE:
        _warn(rt, row, f"It was due at {iso(row.next_at)}; {len(moments)} of its ticks were caught up on.")
    return sum(not answer.duplicate for answer in answers)


def _warn(rt: Runtime, row: Any, body: str) -> None:
    title, link, key = f"{row.name} missed a tick", f"/schedules/{row.id}", f"missed:{row.id}"
    try:
        notify(rt, "warning", title, body, kind="schedule_missed", link=link, dedupe_key=key)
    except HubError as error:
        log.warning("nobody could be told of a missed tick: %s", error, extra={"action": "notice_lost"})


def _event(row: Any, at: datetime, id: str) -> EventDraft:
    return EventDraft(
        id=id,
        type=row.type,
        source=row.source,
        payload=orjson.loads(row.payload),
        payload_text=row.payload,
        timestamp=at,
        labels=row.labels | {"schedule": row.id},
    )


def _next(cron: str, time_zone: str, after: datetime) -> datetime | None:
    return next(iter(next_ticks(cron, time_zone, after, 1)), None)


def _columns(draft: ScheduleDraft, now: datetime) -> dict[str, Any]:
    return {
        "name": draft.name,
        "cron": draft.cron,
        "time_zone": draft.time_zone,
        "type": draft.type,
        "source": draft.source,
        "payload": draft.payload_text,
        "labels": draft.labels,
        "catch_up": draft.catch_up,
        "next_at": _next(draft.cron, draft.time_zone, now),
    }


def _shown(draft: ScheduleDraft) -> dict[str, Any]:
    return {"cron": draft.cron, "time_zone": draft.time_zone, "type": draft.type, "catch_up": draft.catch_up}


def _write_audit(
    rt: Runtime, conn: Connection, actor: Actor, action: str, target: str, name: str, details: dict[str, Any]
) -> None:
    trail.leave(rt, conn, actor, action, Target("schedule", target, name), details)
