"""``republish``: makes a new event of the one it handles. Chains of them name their cause, and a loop is stopped.

Texts quote the event (``{data.path}``); the payload is what the subscription's transform made, or the event's own.
"""

from __future__ import annotations

from typing import Any, ClassVar

from jobs.handlers import Context, Done, Event, EventHandler, Invalid
from jobs.quoting import fill
from webapp.domain.errors import Refused

_TEXT: dict[str, Any] = {"type": "string", "maxLength": 500}


class RepublishHandler(EventHandler):
    """Publish another event."""

    name = "republish"
    description = "Publishes a new event made of this one, with this one as its cause."
    options_schema: ClassVar = {
        "type": "object",
        "properties": {
            "type": {**_TEXT, "description": "Of the new event; may quote: copy.{type}"},
            "source": {**_TEXT, "description": "Its source; that of this event when left out"},
            "subject": _TEXT,
            "labels": {"type": "object", "description": "Further labels, name to text; those of this event are kept"},
            "delay": {**_TEXT, "description": "Deliver it after this: 10m"},
        },
        "required": ["type"],
        "additionalProperties": False,
    }

    async def process(self, event: Event, ctx: Context) -> Done:
        try:
            accepted = await ctx.publish(self._document(event))
        except Refused as refused:
            faults = "; ".join(f"{fault.pointer}: {fault.message}" for fault in refused.faults[:5])
            raise Invalid(f"the new event was refused: {faults or refused.detail}") from None
        ctx.log(f"published {accepted.uid}{' again' if accepted.duplicate else ''}: {accepted.status}")
        return Done({"event": accepted.uid, "duplicate": accepted.duplicate})

    def _document(self, event: Event) -> dict[str, Any]:
        options = self.options
        labels = {key: fill(str(text), event) for key, text in (options.get("labels") or {}).items()}
        document: dict[str, Any] = {
            "type": fill(str(options["type"]), event),
            "source": fill(str(options.get("source") or event.source), event),
            "payload": event.payload,
            "version": event.version,
            "labels": {**event.labels, **labels},
            "correlation_id": event.correlation_id or event.uid,
            "trace_id": event.trace_id,
        }
        subject = fill(str(options["subject"]), event) if options.get("subject") else event.subject
        return {**document, "subject": subject} | ({"delay": options["delay"]} if options.get("delay") else {})
