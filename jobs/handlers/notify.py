"""``notify``: turns an event into a notification for people. Texts may quote the event as ``{data.path}``."""

from __future__ import annotations

from typing import ClassVar

from jobs.handlers import Context, Done, Event, EventHandler, Invalid
from jobs.quoting import fill

SEVERITIES = ("info", "success", "warning", "error")
MAX_TITLE = 200
MAX_BODY = 2000


class NotifyHandler(EventHandler):
    """Notify people."""

    name = "notify"
    description = "Notifies people in their browsers."
    options_schema: ClassVar = {
        "type": "object",
        "properties": {
            "severity": {"type": "string", "enum": list(SEVERITIES), "default": "info"},
            "title": {"type": "string", "maxLength": MAX_TITLE, "default": "{type}"},
            "body": {"type": "string", "maxLength": MAX_BODY, "default": ""},
        },
        "additionalProperties": False,
    }

    async def validate(self, event: Event, ctx: Context) -> None:
        if self.options.get("severity", "info") not in SEVERITIES:
            raise Invalid(f"severity must be one of {', '.join(SEVERITIES)}")

    async def process(self, event: Event, ctx: Context) -> Done:
        title = fill(str(self.options.get("title") or "{type}"), event)[:MAX_TITLE]
        body = fill(str(self.options.get("body") or ""), event)[:MAX_BODY]
        severity = str(self.options.get("severity", "info"))
        key, about = f"delivery:{ctx.delivery_id}", ctx.subscription_id
        notification = await ctx.notify(severity, title, body, dedupe_key=key, subscription_id=about)
        return Done({"notification": notification})
