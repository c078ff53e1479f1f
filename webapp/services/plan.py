"""What is to be written for one event: its row, its deliveries, its audit entries. Laid out before the transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from webapp.domain.access import SYSTEM, Actor
from webapp.domain.conditions import event_view
from webapp.domain.events import EventDraft
from webapp.domain.intake import PLAIN, Ask, ask_of, columns_of
from webapp.domain.routing import RouteTable, Rule
from webapp.domain.verdicts import Deprecation, Verdict
from webapp.runtime import Runtime
from webapp.services.schemas import SchemaBook
from webapp.store import audit

PLAIN_EVENT: Mapping[str, Any] = {"deliver_at": None, "depth": 0, "problem": None}
PROBLEM_CHARS = 500
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Rules:
    """What an event is judged and routed by: the subscriptions and schemas of one revision."""

    revision: int = -1
    routes: RouteTable = RouteTable([])  # noqa: RUF009  never changed
    book: SchemaBook | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """The rows of one event, under the rules of one revision."""

    revision: int
    matched: tuple[Rule, ...]
    event: Row
    deliveries: Sequence[Row]
    entries: tuple[Row, ...]  # of the audit log
    asks: Sequence[Ask] = ()  # what quotas have a say in
    is_plain: bool = True  # no policy has a say in it
    verdict: Verdict | None = None  # how it breaks the schema of its type
    faults: Sequence[Row] = ()  # what is kept of the verdict
    deprecation: Deprecation | None = None  # of its type

    @property
    def uid(self) -> str:
        return str(self.event["uid"])

    @property
    def is_looping(self) -> bool:
        """Whether the loop guard holds it."""
        return len(self.entries) > 1

    @property
    def is_rejected(self) -> bool:
        """Whether it is kept, but goes nowhere."""
        return self.verdict is not None and self.verdict.rejected


def plan_event(rt: Runtime, rules: Rules, draft: EventDraft, actor: Actor) -> Plan:
    """Judge and route an event, and lay out its rows."""
    book, verdict, deprecation = rules.book, None, None
    if book is not None:
        verdict, deprecation = book.judge(draft), book.deprecation(draft.type)
        if verdict is not None and verdict.rejected:
            return _plan_rejected(rt, rules.revision, draft, actor, verdict)
    now, uid = rt.clock(), rt.new_id("evt")
    matched = tuple([one.rule for one in rules.routes.route(draft, now) if one.matched])
    due_at = draft.deliver_at or now
    rows = [_delivery_row(uid, rule, rt.new_id("dlv"), now, due_at) for rule in matched]
    is_plain = all(rule.is_plain for rule in matched)
    asks = () if is_plain else _steer(draft, matched, rows, now)
    details = {"source": draft.source, "id": draft.id or uid, "deliveries": len(rows)}
    entry = _entry(rt, actor, "event.published", uid, draft.type, now, details)
    event = _event_row(uid, draft, actor, len(rows), now)
    if verdict is None and deprecation is None:
        return Plan(rules.revision, matched, event, rows, (entry,), asks, is_plain)
    faults = () if verdict is None else (_fault_row(uid, None, verdict),)
    return Plan(rules.revision, matched, event, rows, (entry,), asks, is_plain, verdict, faults, deprecation)


def _plan_rejected(rt: Runtime, revision: int, draft: EventDraft, actor: Actor, verdict: Verdict) -> Plan:
    """It is kept under an id of the hub's, so that the sender may send the mended event under its own."""
    now, uid = rt.clock(), rt.new_id("evt")
    told = "; ".join(f"{fault.pointer or '/'}: {fault.message}" for fault in verdict.faults)
    event = _event_row(uid, draft, actor, 0, now)
    event = {**PLAIN_EVENT, **event, "id": uid, "problem": f"Schema {verdict.schema_version}: {told}"[:PROBLEM_CHARS]}
    details = {"source": draft.source, "id": draft.id or uid, "problem": "schema-violation", "faults": verdict.total}
    entry = _entry(rt, actor, "event.rejected", uid, draft.type, now, details)
    faults = (_fault_row(uid, draft.id, verdict),)
    return Plan(revision, (), event, (), (entry,), verdict=verdict, faults=faults)


def deepened(plan: Plan, depth: int, most: int, entry_id: str) -> Plan:
    """The plan of an event that others caused, ``depth`` of them one after the other; beyond ``most`` it is held."""
    event = {**PLAIN_EVENT, **plan.event, "depth": depth}
    runs = [row["state"] in ("pending", "held") for row in plan.deliveries]
    if depth <= most or not any(runs):
        return replace(plan, event=event)
    rows = [
        {**PLAIN, **row, "state": "held", "reason": "loop"} if would_run else row
        for row, would_run in zip(plan.deliveries, runs, strict=True)
    ]
    details = {"reason": "loop", "depth": depth, "most": most, "deliveries": sum(runs)}
    entry = audit.entry(
        id=entry_id, at=event["received_at"], actor=SYSTEM, action="event.held",
        target_kind="event", target_id=plan.uid, target_name=event["type"], details=details,
    )  # fmt: skip
    return replace(plan, event=event, deliveries=rows, entries=(*plan.entries, entry), asks=())


def decided(plan: Plan, changes: Mapping[str, Mapping[str, Any]]) -> Plan:
    """The plan after the quotas had their say; ``changes`` are columns by delivery id."""
    return replace(plan, deliveries=[{**row, **changes.get(row["id"], {})} for row in plan.deliveries])


def alike(rows: Sequence[Row], plain: Mapping[str, Any]) -> Sequence[Row]:
    """The same rows, all with the same keys: ``plain`` are those that only some of them have."""
    if len({len(row) for row in rows}) <= 1:
        return rows
    return [{**plain, **row} for row in rows]


def _steer(draft: EventDraft, matched: Sequence[Rule], rows: list[Row], now: datetime) -> list[Ask]:
    """Give the rows of rules with policies their columns; answers what quotas are to be asked."""
    view, asks = event_view(draft, now), []
    for rule, row in zip(matched, rows, strict=True):
        if not rule.is_plain:
            row.update(columns_of(rule, view, row["due_at"], now))
            ask = ask_of(rule, view, row, is_scheduled=draft.deliver_at is not None)
            asks += [] if ask is None else [ask]
    return asks


def _entry(
    rt: Runtime, actor: Actor, action: str, uid: str, type_name: str, now: datetime, details: Mapping[str, Any]
) -> Row:
    return audit.entry(
        id=rt.new_id("aud"), at=now, actor=actor, action=action, target_kind="event", target_id=uid,
        target_name=type_name, details=details,
    )  # fmt: skip


def _event_row(uid: str, draft: EventDraft, actor: Actor, total: int, now: datetime) -> Row:
    row = {
        "uid": uid,
        "id": draft.id or uid,
        "source": draft.source,
        "type": draft.type,
        "version": draft.version,
        "subject": draft.subject,
        "timestamp": draft.timestamp,
        "received_at": now,
        "payload": draft.payload_text,
        "labels": dict(draft.labels),
        "received_by": f"{actor.kind}:{actor.id}"[:64],
        "correlation_id": draft.correlation_id,
        "causation_id": draft.causation_id,
        "trace_id": draft.trace_id,
        "total": total,
        "open": total,
    }
    return row if draft.deliver_at is None else {**row, **PLAIN_EVENT, "deliver_at": draft.deliver_at}


def _fault_row(uid: str, sent_id: str | None, verdict: Verdict) -> Row:
    return {
        "event_uid": uid,
        "verdict": "rejected" if verdict.rejected else "warned",
        "sent_id": sent_id,
        "schema_version": verdict.schema_version,
        "faults": [{"pointer": one.pointer, "code": one.code, "message": one.message} for one in verdict.faults],
        "total": verdict.total,
    }


def _delivery_row(event_uid: str, rule: Rule, id: str, now: datetime, due_at: datetime) -> Row:
    row = {
        "id": id,
        "event_uid": event_uid,
        "subscription_id": rule.id,
        "handler": rule.handler,
        "lane": rule.lane,
        "state": "held" if rule.held else "pending",
        "due_at": due_at,
        "created_at": now,
    }
    return row | {"reason": rule.why_held} if rule.held else row
