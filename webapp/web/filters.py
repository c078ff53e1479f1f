"""Words for templates: durations, sizes, instants, states, and JSON as coloured tokens.

The only file of the web room that builds ``Markup``, and only ever from escaped pieces: whatever a payload
holds is text. ``js/times.js`` counts on with the same words as ``ago``, ``until`` and ``since``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from flask import Flask
from markupsafe import Markup, escape

from webapp.domain.preferences import Preferences
from webapp.domain.reasons import reason_in_words
from webapp.web.browsers import browser_in_words

SHOWN_CHARS = 100_000  # of a JSON text; the rest is left to the JSON link
INDENT = "  "
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*|true|false|null|[{}\[\],:]', re.DOTALL)
_TONES = {
    "success": "succeeded",
    "ok": "succeeded",
    "busy": "running",
    "idle": "idle",
    "stopping": "waiting",
    "lost": "dead",
    "timed_out": "dead",
    "crashed": "dead",
    "discarded": "dead",
    "snoozed": "waiting",
    "interrupted": "idle",
    "paused": "held",
    "active": "succeeded",
    "breaker_closed": "succeeded",
    "breaker_open": "dead",
    "breaker_half_open": "waiting",
    "releasing": "waiting",
}


def duration(seconds: float | None) -> str:
    """``0.4 ms``, ``412 ms``, ``1.1 s``, ``12 s``, ``3 min 12 s``, ``2 h 5 min``, ``3 d 4 h``."""
    if seconds is None:
        return "–"
    seconds = max(0.0, seconds)
    if seconds < 0.00995:
        return f"{seconds * 1000:.1f} ms" if seconds else "0 ms"
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    return _whole(round(seconds))


def _whole(seconds: int) -> str:
    """From ten seconds on: the two largest units."""
    for size, unit, smaller, lesser in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if seconds >= size:
            rest = seconds % size // smaller
            return f"{seconds // size} {unit} {rest} {lesser}" if rest else f"{seconds // size} {unit}"
    return f"{seconds} s"


def rough(seconds: float) -> str:
    """One unit only, rounded down: ``12 s``, ``3 min``, ``2 h``, ``5 d``."""
    whole = int(max(0.0, seconds))
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if whole >= size:
            return f"{whole // size} {unit}"
    return f"{whole} s"


def size(count: float | None) -> str:
    """``812 B``, ``1.4 KiB``, ``3.0 MiB``."""
    if count is None:
        return "–"
    amount = float(count)
    for unit in ("B", "KiB", "MiB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} GiB"


def number(value: float | None) -> str:
    """``18,204``; up to two digits after the point."""
    if value is None:
        return "–"
    if isinstance(value, int) or float(value).is_integer():
        return f"{int(value):,}"
    return f"{value:,.2f}".rstrip("0")


def capped(count: int, cap: int = 10_000) -> str:
    """A count that stopped at ``cap + 1`` is shown as ``10,000+``."""
    return f"{cap:,}+" if count > cap else f"{count:,}"


def axis(seconds: float) -> str:
    """A place on the axis of a timeline: ``0 s``, ``250 ms``, ``3 s``, ``2 min``."""
    if 0 < seconds < 1:
        return f"{seconds * 1000:g} ms"
    return _whole(round(seconds))


def sender(received_by: str, name: str = "") -> str:
    """``key:key_…`` and the name behind it in words."""
    kind, _, key = received_by.partition(":")
    shown = name or f"{key} (gone)"
    return {
        "user": shown,
        "key": f"API key {shown}",
        "system": "the demo" if key == "demo" else "Signalbox itself",
    }.get(kind, kind)


def iso(at: datetime) -> str:
    """RFC 3339 with milliseconds, UTC."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def exact(at: datetime | None, zone: str = "UTC") -> str:
    """``2026-11-23 14:02:08.412 UTC``, or as clocks in that time zone show it."""
    if at is None:
        return "–"
    there = at.astimezone(ZoneInfo(zone))
    return f"{there:%Y-%m-%d %H:%M:%S}.{at.microsecond // 1000:03d} {there:%Z}"


def wall(at: datetime, time_zone: str) -> str:
    """``Mon 23 Nov 2026, 14:02`` as clocks show it in that time zone."""
    return f"{at.astimezone(ZoneInfo(time_zone)):%a %d %b %Y, %H:%M}"


def clock(at: datetime, zone: str = "UTC") -> str:
    """``14:02:08``, in UTC or that time zone."""
    return f"{at.astimezone(ZoneInfo(zone)):%H:%M:%S}"


def stamp(at: datetime, now: datetime, zone: str) -> str:
    """``14:02:08`` today, ``23 Nov, 14:02:08`` this year, else ``23 Nov 2025, 14:02:08``."""
    there, today = at.astimezone(ZoneInfo(zone)), now.astimezone(ZoneInfo(zone))
    if there.date() == today.date():
        return f"{there:%H:%M:%S}"
    year = "" if there.year == today.year else f" {there.year}"
    return f"{there.day} {there:%b}{year}, {there:%H:%M:%S}"


def clock_and_day(at: datetime) -> str:
    """``14:02:08, 24 Nov``, in UTC."""
    at = at.astimezone(UTC)
    return f"{at:%H:%M:%S}, {at.day} {at:%b}"


def json_tokens(text: str | None) -> Markup:
    """JSON text, indented, as escaped spans. What is not JSON is shown as it is, escaped."""
    if not text:
        return Markup("")
    shown = Markup("").join(_spans(text[:SHOWN_CHARS]))
    if len(text) > SHOWN_CHARS:
        return shown + Markup('\n<span class="json-mark">… {} more characters</span>').format(len(text) - SHOWN_CHARS)
    return shown


def _spans(text: str) -> Iterator[Markup]:
    """Walks the raw tokens, so that numbers and keys are shown exactly as they were sent."""
    depth, end, fresh = 0, 0, False  # fresh: a bracket was just opened
    for match in _TOKEN.finditer(text):
        piece = match.group()
        if gap := text[end : match.start()].strip():
            yield escape(gap)  # never in valid JSON
        end = match.end()
        closing = piece in ("}", "]")
        if closing:
            depth = max(0, depth - 1)
        if fresh != closing:
            yield escape("\n" + INDENT * depth)
        fresh = piece in ("{", "[")
        depth += fresh
        yield _token(piece, text, end)
        if piece == ",":
            yield escape("\n" + INDENT * depth)
    yield escape(text[end:].strip())


def _token(piece: str, text: str, end: int) -> Markup:
    if piece[0] == '"':
        is_key = text[end : end + 20].lstrip().startswith(":")
        return Markup('<span class="{}">{}</span>').format("json-key" if is_key else "json-string", piece)
    if piece in ("true", "false", "null"):
        return Markup('<span class="json-word">{}</span>').format(piece)
    if piece == ":":
        return Markup(": ")
    if len(piece) == 1 and piece in "{}[],":
        return escape(piece)
    return Markup('<span class="json-number">{}</span>').format(piece)


def state_tone(state: str) -> str:
    """The name of the colour of a state: most states are their own."""
    return _TONES.get(state, state)


def install(app: Flask, clock_of: Callable[[], datetime], chosen: Callable[[], Preferences]) -> None:
    """Register everything; ``clock_of`` gives now, ``chosen`` how whoever asks wants to be told times."""

    def ago(at: datetime) -> str:
        if chosen().times != "relative":
            return stamp(at, clock_of(), chosen().shown_zone)
        seconds = (clock_of() - at).total_seconds()
        return "just now" if seconds < 1 else f"{rough(seconds)} ago"

    def until(at: datetime, late: str = "now") -> str:
        seconds = (at - clock_of()).total_seconds()
        return late if seconds <= 0 else f"in {duration(max(1, round(seconds)))}"

    def since(at: datetime) -> str:
        return rough((clock_of() - at).total_seconds())

    filters: dict[str, Callable[..., Any]] = {
        "duration": duration, "rough": rough, "bytes": size, "number": number, "capped": capped, "iso": iso,
        "exact": lambda at: exact(at, chosen().shown_zone), "here": lambda at: clock(at, chosen().shown_zone), "axis": axis, "sender": sender, "clock": clock, "wall": wall, "clock_and_day": clock_and_day, "json_tokens": json_tokens, "ago": ago, "until": until, "since": since,
        "reason": reason_in_words, "browser": browser_in_words,
    }  # fmt: skip
    app.jinja_env.filters.update(filters)
    app.jinja_env.globals.update(state_tone=state_tone, preferences=chosen)
