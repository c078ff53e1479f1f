"""``/api/v1/subscriptions/backtest``: what a rule would have matched, before it is saved."""

from __future__ import annotations

from typing import Any

from flask import Response

from webapp.domain.backtest import Sample, Tally
from webapp.domain.backtest_draft import parse_backtest
from webapp.domain.instants import iso, iso_or_none
from webapp.services.backtest import EVENTS, Backtest, backtest
from webapp.web.api.blueprint import answer, bp, operation
from webapp.web.api.events import links_of_event
from webapp.web.auth import require
from webapp.web.context import get_runtime
from webapp.web.requests import read_json, read_query


@bp.post("/subscriptions/backtest")
@require("read", payloads=True)
@operation(
    "Backtest a rule",
    "subscriptions",
    {200: "Backtest"},
    body="BacktestDraft",
    problems=(400, 404, 413, 415, 422),
    description=f"Looks at the newest {EVENTS:,} events (older than `before`), as long as the time for it lasts. "
    "Send `next` as `before` to go on from there. Nothing is stored, nothing runs.",
)
def run_backtest() -> Response:
    """What a draft would have matched."""
    read_query()
    draft = parse_backtest(read_json())
    return answer(backtest_json(backtest(get_runtime(), draft.rule, draft.subscription_id, draft.before)))


def backtest_json(found: Backtest) -> dict[str, Any]:
    """What was found, as programs see it."""
    tally = found.tally
    compared = {
        "matched": tally.matched_before,
        "added": _changed(tally, "added"),
        "removed": _changed(tally, "removed"),
    }
    return {
        "looked": tally.looked,
        "matched": tally.matched,
        "newest": iso_or_none(tally.newest),
        "oldest": iso_or_none(tally.oldest),
        "is_cut": found.is_cut,
        "next": found.next,
        "slots": [
            {"at": iso(slot.at), "matched": slot.kept + slot.added, "added": slot.added, "removed": slot.removed}
            for slot in tally.slots()
        ],
        "samples": [_sample(one) for one in tally.newest_matches],
        "compared": compared if tally.compares else None,
    }


def _changed(tally: Tally, change: Any) -> dict[str, Any]:
    return {"count": tally.counts[change], "samples": [_sample(one) for one in tally.samples[change]]}


def _sample(one: Sample) -> dict[str, Any]:
    links = links_of_event(one.uid)
    return {"uid": one.uid, "type": one.type, "source": one.source, "received_at": iso(one.received_at), "links": links}


_INSTANT: dict[str, Any] = {"type": "string", "format": "date-time"}
_SAMPLES: dict[str, Any] = {
    "type": "array",
    "description": "The newest few.",
    "items": {
        "type": "object",
        "required": ["uid", "type", "source", "received_at", "links"],
        "properties": {
            "uid": {"type": "string"},
            "type": {"type": "string"},
            "source": {"type": "string"},
            "received_at": _INSTANT,
            "links": {"$ref": "#/components/schemas/Links"},
        },
    },
}
_CHANGED: dict[str, Any] = {
    "type": "object",
    "required": ["count", "samples"],
    "properties": {"count": {"type": "integer"}, "samples": _SAMPLES},
}
SCHEMAS: dict[str, Any] = {
    "BacktestDraft": {
        "type": "object",
        "required": ["pattern"],
        "additionalProperties": False,
        "properties": {
            "pattern": {"type": "string", "description": "A type, or with * for any run of characters: order.*"},
            "condition": {"type": ["object", "null"], "description": "As in a subscription."},
            "subscription_id": {"type": ["string", "null"], "description": "Compare with this one as it is saved."},
            "before": {"type": ["string", "null"], "description": "Only events older than this uid: `next` of an answer."},
        },
        "examples": [{"pattern": "order.*", "condition": {"field": "data.amount", "op": "gte", "value": 100}}],
    },
    "Backtest": {
        "type": "object",
        "required": ["looked", "matched", "newest", "oldest", "is_cut", "next", "slots", "samples", "compared"],
        "additionalProperties": False,
        "properties": {
            "looked": {"type": "integer", "description": "Events that were looked at."},
            "matched": {"type": "integer", "description": "Those that the draft matches."},
            "newest": {"type": ["string", "null"], "format": "date-time"},
            "oldest": {"type": ["string", "null"], "format": "date-time"},
            "is_cut": {"type": "boolean", "description": "The time was up before all were looked at."},
            "next": {"type": ["string", "null"], "description": "Send it as `before` to look further; null: that was all."},
            "slots": {
                "type": "array",
                "description": "The whole stretch in equal steps, oldest first.",
                "items": {
                    "type": "object",
                    "required": ["at", "matched", "added", "removed"],
                    "properties": {"at": _INSTANT}
                    | {name: {"type": "integer"} for name in ("matched", "added", "removed")},
                },
            },
            "samples": _SAMPLES,
            "compared": {
                "type": ["object", "null"],
                "description": "Against the saved subscription.",
                "required": ["matched", "added", "removed"],
                "properties": {
                    "matched": {"type": "integer", "description": "Those that the saved one matches."},
                    "added": _CHANGED,
                    "removed": _CHANGED,
                },
            },
        },
    },
}  # fmt: skip
