"""The backtest of the form of a subscription: what the rule as it is typed would have matched."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from flask import Blueprint, Response, request

from webapp.domain.backtest import Slot, step_in_words
from webapp.domain.backtest_draft import FIELDS, parse_backtest
from webapp.domain.errors import Fault, Refused
from webapp.services.backtest import EVENTS, Backtest, backtest
from webapp.web import render
from webapp.web.auth import require
from webapp.web.charts import Bar
from webapp.web.context import get_runtime
from webapp.web.pages.subscription_form import FIELD_CHARS, SubscriptionForm
from webapp.web.preferences import present_preferences

bp = Blueprint("backtest", __name__, url_prefix="/subscriptions")

SLOT, HEIGHT = 8, 56  # units of the drawing


@dataclass(frozen=True, slots=True)
class Column:
    """One slot of the chart: its bars from the ground up, and the words for who points at it."""

    x: int
    bars: tuple[Bar, ...]
    words: str


@bp.post("/backtest")
@require("read", payloads=True)
def run() -> Response:
    """Judge the newest events by the rule in the form; with ``before``, those older than that, as one more stretch."""
    form = SubscriptionForm.from_fields(request.form)
    tree, faults = form.condition_tree()
    asked = {name: request.form.get(name, "")[:FIELD_CHARS] for name in FIELDS}
    asked["condition"] = "" if tree is None else json.dumps(tree, ensure_ascii=False)  # in whichever form it is typed
    document: dict[str, Any] = {name: asked[name] or None for name in ("subscription_id", "before")}
    document |= {"pattern": form.pattern.strip(), "condition": tree}
    try:
        draft = parse_backtest(document)
    except Refused as refused:
        return _refused(asked, (*faults, *refused.faults))
    if faults:
        return _refused(asked, tuple(faults))
    found = backtest(get_runtime(), draft.rule, draft.subscription_id, draft.before)
    part = "subscriptions/_backtest_stretch.html" if draft.before else "subscriptions/_backtest.html"
    return render.part(part, backtest=found, asked=asked, events=EVENTS, **_drawn(found))


def _refused(asked: dict[str, str], faults: tuple[Fault, ...]) -> Response:
    return render.part("subscriptions/_backtest.html", status=422, asked=asked, backtest_faults=faults)


def _drawn(found: Backtest) -> dict[str, Any]:
    slots = found.tally.slots()
    zone = present_preferences().shown_zone
    return {"columns": draw(slots, zone), "width": len(slots) * SLOT, "height": HEIGHT, "step": step_in_words(slots)}


def draw(slots: tuple[Slot, ...], zone: str = "UTC") -> tuple[Column, ...]:
    """One column per slot; the highest fills the height, and what is there at all can be seen."""
    there = ZoneInfo(zone)
    top = max((slot.kept + slot.added + slot.removed for slot in slots), default=0)
    return tuple(Column(i * SLOT, _bars(i * SLOT, slot, top), _words(slot, there)) for i, slot in enumerate(slots))


def _bars(x: int, slot: Slot, top: int) -> tuple[Bar, ...]:
    bars, y = [], float(HEIGHT)
    for kind, count in (("kept", slot.kept), ("added", slot.added), ("removed", slot.removed)):
        if count:
            height = max(round(count / top * (HEIGHT - 6), 1), 2.0)
            y = round(y - height, 1)
            bars.append(Bar(x + 0.5, y, SLOT - 1, height, kind))
    return tuple(bars)


def _words(slot: Slot, there: ZoneInfo) -> str:
    changes = "".join(
        f", {count:,} {kind}" for kind, count in (("added", slot.added), ("removed", slot.removed)) if count
    )
    return f"{slot.at.astimezone(there):%Y-%m-%d %H:%M %Z}: {slot.kept + slot.added:,} matched{changes}"
