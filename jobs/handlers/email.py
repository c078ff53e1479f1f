"""``email``: sends the event as a message over SMTP (RFC 5321), as text and, if wished, as HTML beside it.

The message id is made of the delivery id, the same on every try, so that a receiver may drop what it has seen.
Addresses come from the options alone: an event can fill the texts, never say who gets them.
"""

from __future__ import annotations

import html
from datetime import UTC, datetime
from email.errors import MessageError
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import format_datetime
from typing import ClassVar

from jobs.handlers import Context, Discard, Done, Event, EventHandler, Invalid, Outcome, Retry
from jobs.quoting import fill
from jobs.smtp import BadServer, NotSent, Server, addresses, hand_in, one_line, sound

MAX_SUBJECT = 300
MAX_TEXT = 100_000
SUBJECT = "{type}"
TEXT = "{type} from {source} at {timestamp}\n\n{data}\n"


class EmailHandler(EventHandler):
    """Send a mail."""

    name = "email"
    description = "Sends a mail (SMTP), as text and as HTML."
    options_schema: ClassVar = {
        "type": "object",
        "properties": {
            "server": {
                "type": "string",
                "maxLength": 500,
                "x-sensitive": True,
                "description": "smtp://user:{secret.smtp}@mail.example.com (STARTTLS), smtps:// or smtp+plain://",
            },
            "from": {"type": "string", "maxLength": 320, "description": "Signalbox <signalbox@example.com>"},
            "to": {"type": ["string", "array"], "items": {"type": "string", "maxLength": 320}, "maxLength": 2000},
            "reply_to": {"type": "string", "maxLength": 320},
            "subject": {"type": "string", "maxLength": MAX_SUBJECT, "default": SUBJECT},
            "text": {"type": "string", "maxLength": 20_000, "default": TEXT},
            "html": {"type": "string", "maxLength": 20_000, "description": "What is quoted in it is escaped"},
        },
        "required": ["server", "from", "to"],
        "additionalProperties": False,
    }

    async def validate(self, event: Event, ctx: Context) -> None:
        try:
            self._server = Server.parse(str(self.options["server"]))
            self._letter = self._message(event, ctx)
        except BadServer as error:
            raise Invalid(str(error)) from None
        except (MessageError, ValueError, IndexError) as error:
            raise Invalid(f"the message cannot be addressed: {error}") from None

    async def process(self, event: Event, ctx: Context) -> Outcome:
        server, message = self._server, self._letter
        try:
            refused = await hand_in(server, message, allow_private=ctx.http.allow_private)
        except NotSent as error:
            return Discard(str(error)) if error.for_good else Retry(reason=str(error), status=error.code)
        for recipient, (code, words) in refused.items():
            ctx.log(f"{recipient} was refused: {code} {words[:200]}", "warning")
        sent = len(addresses(self.options["to"])) - len(refused)
        ctx.log(f"handed to {server.host} for {sent} of {sent + len(refused)} recipients")
        return Done({"message_id": message["Message-ID"], "accepted": sent, "refused": sorted(refused)})

    def _message(self, event: Event, ctx: Context) -> EmailMessage:
        options, message = self.options, EmailMessage(policy=SMTP_POLICY)
        sender = addresses(options["from"])
        message["From"] = sender[:1]
        message["To"] = addresses(options["to"])
        if options.get("reply_to"):
            message["Reply-To"] = addresses(options["reply_to"])
        message["Subject"] = one_line(fill(str(options.get("subject") or SUBJECT), event))[:MAX_SUBJECT]
        message["Message-ID"] = f"<{ctx.delivery_id}@{sender[0].domain}>"
        message["Date"] = format_datetime(datetime.now(UTC))  # noqa: TID251  people read it beside their wall clock
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody's out-of-office answers it
        message.set_content(sound(fill(str(options.get("text") or TEXT), event))[:MAX_TEXT])
        if options.get("html"):
            message.add_alternative(sound(fill(str(options["html"]), event, html.escape))[:MAX_TEXT], subtype="html")
        return message
