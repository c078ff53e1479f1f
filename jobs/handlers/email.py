"""``email``: sends the event as a message over SMTP (RFC 5321), as text and, if wished, as HTML beside it.

The message id is made of the delivery id, the same on every try, so that a receiver may drop what it has seen.
Addresses come from the options alone: an event can fill the texts, never say who gets them.
"""

from __future__ import annotations

import html
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import format_datetime
from typing import Any, ClassVar
from urllib.parse import unquote, urlsplit

import aiosmtplib

from jobs.dialing import dial
from jobs.handlers import Context, Discard, Done, Event, EventHandler, Invalid, Outcome, Retry
from jobs.outbound import OutboundRefused
from jobs.quoting import fill

MAX_RECIPIENTS = 50
MAX_SUBJECT = 300
MAX_TEXT = 100_000
PORTS = {"smtp": 587, "smtps": 465, "smtp+plain": 25}
SUBJECT = "{type}"
TEXT = "{type} from {source} at {timestamp}\n\n{data}\n"


@dataclass(frozen=True, slots=True)
class Server:
    """Where mail is handed in: ``smtp://`` asks for STARTTLS, ``smtps://`` is TLS from the start, ``smtp+plain://`` is neither."""

    scheme: str
    host: str
    port: int
    username: str
    password: str

    @classmethod
    def parse(cls, url: str) -> Server:
        """Of ``smtps://user:password@host:465``. Raises ``Invalid``."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise Invalid("server is no URL") from None
        if parts.scheme not in PORTS or not parts.hostname:
            raise Invalid("server must be smtp://host, smtps://host or smtp+plain://host")
        name, password = unquote(parts.username or ""), unquote(parts.password or "")
        if name and parts.scheme == "smtp+plain":
            raise Invalid("a password is not sent over smtp+plain; use smtp:// or smtps://")
        return cls(parts.scheme, parts.hostname, port or PORTS[parts.scheme], name, password)


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
        Server.parse(str(self.options["server"]))
        self._message(event, ctx)

    async def process(self, event: Event, ctx: Context) -> Outcome:
        server, message = Server.parse(str(self.options["server"])), self._message(event, ctx)
        try:
            refused = await _send(server, message, ctx)
        except OutboundRefused as error:
            return Discard(f"{server.host}: {error}")
        except aiosmtplib.SMTPRecipientsRefused as error:
            codes = [one.code for one in error.recipients]
            return _judge(max(codes, default=0), f"{server.host} refused every recipient")
        except aiosmtplib.SMTPResponseException as error:
            return _judge(error.code, f"{server.host} answered {error.code} {error.message[:200]}")
        except (aiosmtplib.SMTPException, ssl.SSLError) as error:
            return Retry(reason=f"{server.host}: {str(error)[:300]}")
        for recipient, (code, words) in refused.items():
            ctx.log(f"{recipient} was refused: {code} {words[:200]}", "warning")
        sent = len(_addresses(self.options["to"])) - len(refused)
        ctx.log(f"handed to {server.host} for {sent} of {sent + len(refused)} recipients")
        return Done({"message_id": message["Message-ID"], "accepted": sent, "refused": sorted(refused)})

    def _message(self, event: Event, ctx: Context) -> EmailMessage:
        options = self.options
        message = EmailMessage(policy=SMTP_POLICY)
        try:
            sender = _addresses(options["from"])
            message["From"] = sender[:1]
            message["To"] = _addresses(options["to"])
            if options.get("reply_to"):
                message["Reply-To"] = _addresses(options["reply_to"])
            message["Subject"] = _one_line(fill(str(options.get("subject") or SUBJECT), event))[:MAX_SUBJECT]
            message["Message-ID"] = f"<{ctx.delivery_id}@{sender[0].domain}>"
        except (MessageError, ValueError, IndexError) as error:
            raise Invalid(f"the message cannot be addressed: {error}") from None
        message["Date"] = format_datetime(datetime.now(UTC))  # noqa: TID251  people read it beside their wall clock
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody's out-of-office answers it
        message.set_content(_sound(fill(str(options.get("text") or TEXT), event))[:MAX_TEXT])
        if options.get("html"):
            message.add_alternative(_sound(fill(str(options["html"]), event, html.escape))[:MAX_TEXT], subtype="html")
        return message


async def _send(server: Server, message: EmailMessage, ctx: Context) -> dict[str, Any]:
    """Hand it in; answers the recipients that were refused while others were not."""
    made = await dial(server.host, server.port, allow_private=ctx.http.allow_private)
    client = aiosmtplib.SMTP(
        hostname=server.host,
        port=None,
        sock=made,
        use_tls=server.scheme == "smtps",
        start_tls=server.scheme == "smtp",
        username=server.username or None,
        password=server.password or None,
        timeout=30,
    )
    async with client:
        refused, _ = await client.send_message(message)
    return refused


def _judge(code: int, words: str) -> Outcome:
    """4yz may be better next time, 5yz will not (RFC 5321, section 4.2.1)."""
    return Discard(words) if code >= 500 else Retry(reason=words, status=code or None)


def _addresses(given: Any) -> Sequence[Address]:
    """The addresses of a list, or of text with commas. Raises ``ValueError``."""
    message = EmailMessage(policy=SMTP_POLICY)
    text = ", ".join(str(one) for one in given) if isinstance(given, list | tuple) else str(given)
    message["To"] = _one_line(text)
    found: Sequence[Address] = message["To"].addresses
    if not found or any("@" not in one.addr_spec or not one.domain for one in found) or message["To"].defects:
        raise ValueError(f"{text[:80]!r} is no mail address")
    if len(found) > MAX_RECIPIENTS:
        raise ValueError(f"at most {MAX_RECIPIENTS} recipients")
    return found


def _one_line(text: str) -> str:
    """A header ends at a line break: there must be none in what an event fills in."""
    return _sound(" ".join(text.split()))


def _sound(text: str) -> str:
    return "".join(char for char in text if char in "\n\t" or ord(char) >= 32).encode("utf-8", "replace").decode()
