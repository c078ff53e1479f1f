"""Cron schedules that publish an event: what they may look like, and when they tick.

An expression has the five fields of crontab(5), or is one of the names @hourly @daily @weekly @monthly @yearly.
It is read in the time zone of the schedule. In the hour that a change of clocks repeats, a fixed hour ticks once;
in the hour that it leaves out, a tick comes at the first moment after it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from croniter import CroniterError, croniter

from webapp.domain.errors import Fault, Refused
from webapp.domain.events import EventDraft, parse_event
from webapp.domain.faults import refusal, shown, unknown_fields
from webapp.domain.names import read_name

CRON_CHARS = 200
CATCH_UP = ("skip", "latest", "all")
NAMES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
}
FIELDS = ("name", "cron", "time_zone", "type", "source", "payload", "labels", "catch_up")
LATE = timedelta(minutes=1)  # a tick older than this was missed
MAX_CATCH_UP = 100  # ticks that are published late at once
SOURCE = "schedules"


@dataclass(frozen=True, slots=True)
class ScheduleDraft:
    """A valid schedule. ``payload_text`` is JSON."""

    name: str
    cron: str
    time_zone: str
    type: str
    source: str
    payload_text: str
    labels: dict[str, str] = field(default_factory=dict)
    catch_up: str = "latest"  # what becomes of ticks that were missed: skip, latest or all


def parse_schedule(document: Any, now: datetime) -> ScheduleDraft:
    """The schedule that ``document`` (parsed JSON) describes. Raises ``Refused`` (422) with every fault."""
    if not isinstance(document, dict):
        fault = Fault("", "wrong-type", "A schedule is a JSON object with a name, a cron expression and a type.")
        raise refusal("invalid-schedule", "schedule", [fault])
    faults = unknown_fields("A schedule", document, FIELDS)
    name = read_name(document.get("name"), faults)
    cron = _cron(document.get("cron"), now, faults)
    zone = _zone(document.get("time_zone"), faults)
    catch_up = document.get("catch_up") or "latest"
    if catch_up not in CATCH_UP:
        faults.append(Fault("/catch_up", "unknown-choice", f"Choose one of {', '.join(CATCH_UP)}."))
    event = _event(document, now, faults)
    if faults or event is None:
        raise refusal("invalid-schedule", "schedule", faults)
    return ScheduleDraft(name, cron, zone, event.type, event.source, event.payload_text, dict(event.labels), catch_up)


def ticks(cron: str, time_zone: str, after: datetime) -> Iterator[datetime]:
    """The moments (UTC) after ``after`` at which the schedule ticks; ends when there is none within some years."""
    expression = NAMES.get(cron, cron)
    fixed_hour = "*" not in expression.split()[1]
    found = croniter(expression, after.astimezone(ZoneInfo(time_zone)), ret_type=datetime)
    try:
        while True:
            at = found.get_next(datetime)
            if not (at.fold and fixed_hour):
                yield at.astimezone(UTC)
    except CroniterError:
        return


def next_ticks(cron: str, time_zone: str, after: datetime, count: int) -> list[datetime]:
    """The next ``count`` moments, fewer when there are no more."""
    return list(islice(ticks(cron, time_zone, after), count))


def due_ticks(cron: str, time_zone: str, catch_up: str, next_at: datetime, now: datetime) -> list[datetime]:
    """Which ticks from ``next_at`` to ``now`` are to be published, oldest first."""
    missed = [next_at] if next_at <= now else []
    for at in ticks(cron, time_zone, next_at):
        if at > now or not missed:
            break
        missed = [*missed[-MAX_CATCH_UP + 1 :], at]
    if catch_up == "all":
        return missed
    newest = missed[-1:]
    return newest if catch_up == "latest" or (newest and now - newest[0] <= LATE) else []


def _cron(value: Any, now: datetime, faults: list[Fault]) -> str:
    text = " ".join(value.split()) if isinstance(value, str) and len(value) <= CRON_CHARS else ""
    expression = NAMES.get(text, text)
    if len(expression.split()) != 5 or "@" in expression:
        message = f"Write five fields as in 30 8 * * mon-fri, or one of {', '.join(NAMES)}."
        faults.append(Fault("/cron", "invalid-cron", message))
        return ""
    try:
        never = not next_ticks(text, "UTC", now, 1)
    except (CroniterError, ValueError, KeyError, OverflowError) as error:
        faults.append(Fault("/cron", "invalid-cron", f"This is no cron expression: {shown(str(error))}"))
        return ""
    if never:
        faults.append(Fault("/cron", "invalid-cron", "There is no such day: this would never tick."))
    return text


def _zone(value: Any, faults: list[Fault]) -> str:
    zone = value or "UTC"
    if not isinstance(zone, str) or zone not in available_timezones():
        faults.append(Fault("/time_zone", "unknown-time-zone", "Name a time zone as in Europe/Berlin or UTC."))
        return "UTC"
    return zone


def _event(document: dict[str, Any], now: datetime, faults: list[Fault]) -> EventDraft | None:
    wanted = {
        name: document[name] for name in ("type", "source", "payload", "labels") if document.get(name) is not None
    }
    try:
        return parse_event(wanted, default_source=SOURCE, now=now)
    except Refused as refused:
        faults += refused.faults
        return None
