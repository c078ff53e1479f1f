"""Mail as it is handed to a server over SMTP (RFC 5321), for the handler ``email`` and for notifications.

Whatever goes wrong comes out as one ``NotSent``, which says whether another try can help.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from functools import cache
from typing import Any
from urllib.parse import unquote, urlsplit

import aiosmtplib

from jobs.dialing import dial
from jobs.outbound import OutboundRefused

PORTS = {"smtp": 587, "smtps": 465, "smtp+plain": 25}
MAX_RECIPIENTS = 50
ANSWER_S = 30.0  # for each word of the server
WHOLE_S = 120.0  # for all of them


class BadServer(ValueError):
    """The address of a mail server that is none."""


class NotSent(Exception):
    """The server did not take it. ``for_good``: nor will it next time."""

    def __init__(self, words: str, *, code: int | None = None, for_good: bool = False) -> None:
        super().__init__(words)
        self.code, self.for_good = code, for_good


@dataclass(frozen=True, slots=True, repr=False)
class Server:
    """Where mail is handed in: ``smtp://`` asks for STARTTLS, ``smtps://`` is TLS from the start, ``smtp+plain://`` is neither."""

    scheme: str
    host: str
    port: int
    username: str
    password: str

    @classmethod
    def parse(cls, url: str) -> Server:
        """Of ``smtps://user:password@host:465``. Raises ``BadServer``."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise BadServer("server is no URL") from None
        if parts.scheme not in PORTS or not parts.hostname:
            raise BadServer("server must be smtp://host, smtps://host or smtp+plain://host")
        name, password = unquote(parts.username or ""), unquote(parts.password or "")
        if name and parts.scheme == "smtp+plain":
            raise BadServer("a password is not sent over smtp+plain; use smtp:// or smtps://")
        return cls(parts.scheme, parts.hostname, port or PORTS[parts.scheme], name, password)


async def hand_in(server: Server, message: EmailMessage, *, allow_private: bool) -> dict[str, Any]:
    """Send it; answers the recipients that were refused while others were not. Raises ``NotSent``."""
    host = server.host
    try:
        async with asyncio.timeout(WHOLE_S):
            return await _talk(server, message, allow_private)
    except OutboundRefused as error:
        raise NotSent(f"{host}: {error}", for_good=True) from None
    except aiosmtplib.SMTPRecipientsRefused as error:
        worst = max((one.code for one in error.recipients), default=0)
        raise _answered(worst, f"{host} refused every recipient") from None
    except aiosmtplib.SMTPResponseException as error:
        raise _answered(error.code, f"{host} answered {error.code} {error.message[:200]}") from None
    except (aiosmtplib.SMTPException, ssl.SSLError, OSError) as error:  # OSError: nobody there, or too slow
        raise NotSent(f"{host}: {str(error)[:300] or type(error).__name__}") from None


async def _talk(server: Server, message: EmailMessage, allow_private: bool) -> dict[str, Any]:
    tls = await asyncio.to_thread(ssl.create_default_context) if server.scheme != "smtp+plain" else None
    client = await _connected(server, tls, allow_private)
    transport = client.transport
    try:
        if server.scheme == "smtp":
            await client.starttls(server_hostname=server.host, tls_context=tls)
            transport = client.transport
        if server.username:
            await client.login(server.username, server.password)
        refused, _ = await client.send_message(message)
        with contextlib.suppress(aiosmtplib.SMTPException):  # it has the message
            await client.quit()
        return refused
    finally:
        if isinstance(transport, asyncio.WriteTransport):
            transport.abort()  # not close: that waits for the other side's farewell, maybe longer than this loop lives
        client.close()
        await asyncio.sleep(0)


async def _connected(server: Server, tls: ssl.SSLContext | None, allow_private: bool) -> aiosmtplib.SMTP:
    """All that takes time is found before there is a socket; from then on nothing is awaited until a transport owns it."""
    own_name, tls_at_once = await asyncio.to_thread(_own_name), server.scheme == "smtps"
    made = await dial(server.host, server.port, allow_private=allow_private)
    try:
        client = aiosmtplib.SMTP(
            hostname=server.host,
            port=None,
            sock=made,
            local_hostname=own_name,
            use_tls=tls_at_once,
            start_tls=False,  # done by hand
            tls_context=tls if tls_at_once else None,
            timeout=ANSWER_S,
        )
    except BaseException:
        made.close()
        raise
    await client.connect(timeout=None)  # the whole has a limit
    return client


@cache
def _own_name() -> str:
    """What the hub calls itself to a server; looked up once, for it may take seconds."""
    return socket.getfqdn()


def _answered(code: int, words: str) -> NotSent:
    """4yz may be better next time, 5yz will not (RFC 5321, section 4.2.1)."""
    return NotSent(words, code=code or None, for_good=code >= 500)


def addresses(given: Any) -> Sequence[Address]:
    """The addresses of a list, or of text with commas. Raises ``ValueError``."""
    message = EmailMessage(policy=SMTP_POLICY)
    text = ", ".join(str(one) for one in given) if isinstance(given, list | tuple) else str(given)
    message["To"] = one_line(text)
    found: Sequence[Address] = message["To"].addresses
    if not found or any("@" not in one.addr_spec or not one.domain for one in found) or message["To"].defects:
        raise ValueError(f"{text[:80]!r} is no mail address")
    if len(found) > MAX_RECIPIENTS:
        raise ValueError(f"at most {MAX_RECIPIENTS} recipients")
    return found


def one_line(text: str) -> str:
    """A header ends at a line break: there must be none in what somebody else wrote."""
    return sound(" ".join(text.split()))


def sound(text: str) -> str:
    """Without what no mail may hold: control characters and halves of letters."""
    return "".join(char for char in text if char in "\n\t" or ord(char) >= 32).encode("utf-8", "replace").decode()
