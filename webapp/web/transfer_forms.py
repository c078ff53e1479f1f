"""From the address of a list to an export of all that it would show."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from webapp.domain.exports import FILTERS, FORMATS, MOMENTS
from webapp.web.answers import SINCE

FIELD_CHARS = 2_000
EVERY_STATE = "all"  # in the address of the deliveries
EXACT = {"start": "since", "end": "until"}  # in that of the events


def document_of(fields: Mapping[str, str]) -> dict[str, Any]:
    """The document for ``parse_export``. The times and words of the lists' own filters are understood."""
    what = fields.get("what", "events") if fields.get("what") in FORMATS else "events"
    return {
        "what": what,
        "format": fields.get("format") or "csv",
        "payloads": what == "events" and (fields.get("payloads") == "yes" or fields.get("format") == "cloudevents"),
        "filter": _filter(what, fields),
    }


def _filter(what: str, fields: Mapping[str, str]) -> dict[str, str]:
    given = {EXACT.get(name, name): value[:FIELD_CHARS].strip() for name, value in fields.items() if value.strip()}
    if given.get("state") == EVERY_STATE:
        del given["state"]
    chosen = {name: given[name] for name in FILTERS[what] if name in given}
    return chosen | {name: _moment(chosen[name]) for name in MOMENTS if name in chosen}


def _moment(text: str) -> str:
    """``24h`` of a list, and the UTC times of its fields, as the API writes them; the rest is left to be judged."""
    if text in SINCE:
        return f"now-{text}"
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return text
    return at.isoformat() + "Z" if at.tzinfo is None else at.astimezone(UTC).isoformat()
