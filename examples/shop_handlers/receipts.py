"""Receipts by e-mail: validation, progress, log lines, an idempotency key, and cleaning up."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import ClassVar

from jobs.handlers import Context, Done, Event, EventHandler, Invalid, Retry


class SendReceipt(EventHandler):
    """Render a receipt and hand it to the mail server (here: a directory)."""

    name = "shop.receipt"
    description = "E-mails a receipt for a paid order."
    options_schema: ClassVar = {
        "type": "object",
        "properties": {
            "outbox": {"type": "string", "description": "Directory that stands in for the mail server"},
            "sender": {"type": "string", "default": "shop@example.com"},
        },
        "additionalProperties": False,
    }
    draft: Path | None = None

    async def validate(self, event: Event, ctx: Context) -> None:
        if "customer_email" not in event.payload:
            raise Invalid("an order without customer_email gets no receipt")

    async def process(self, event: Event, ctx: Context) -> Done | Retry:
        ctx.progress(0, 2, "rendering")
        self.draft = await asyncio.to_thread(self._render, event)
        ctx.progress(1, 2, "sending")
        outbox = Path(str(self.options.get("outbox") or tempfile.gettempdir()))
        if not outbox.is_dir():
            return Retry(reason=f"the mail server {outbox} is not there")
        # The delivery id is the same on every try: should this run twice, there is still one receipt.
        await asyncio.to_thread(self.draft.replace, outbox / f"{ctx.delivery_id}.txt")
        ctx.progress(2, 2, "sent")
        ctx.log(f"receipt for {event.payload['customer_email']} sent")
        return Done({"message_id": ctx.delivery_id})

    async def cleanup(self, event: Event, ctx: Context) -> None:
        if self.draft is not None:
            self.draft.unlink(missing_ok=True)

    def _render(self, event: Event) -> Path:
        order = event.payload
        text = (
            f"From: {self.options.get('sender', 'shop@example.com')}\nTo: {order['customer_email']}\n"
            f"Subject: Your order {order.get('order_id', event.id)}\n\nYou paid {order.get('amount', '?')} EUR.\n"
        )
        with tempfile.NamedTemporaryFile("w", suffix=".receipt", delete=False, encoding="utf-8") as file:
            file.write(text)
        return Path(file.name)
