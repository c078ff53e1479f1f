"""What the beat sends to people beside its pulse: pushes, mails and summaries; and what they snoozed comes back.

Threads, so that a slow push service or mail server delays nothing else. Pushes go through the guarded outgoing HTTP;
the mail server is the one of the settings, wherever it stands.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from urllib.parse import urlsplit

import aiohttp

from jobs.letters import written
from jobs.outbound import Answer, Outbound, OutboundRefused
from jobs.smtp import NotSent, Server, hand_in
from webapp.domain.errors import Unavailable
from webapp.runtime import Runtime
from webapp.services import digests, inbox, mails, pushes
from webapp.services.mails import Letter
from webapp.services.pushes import Parcel

log = logging.getLogger(__name__)

ROUND_S = 1.0
TIMEOUT_S = 15.0
MAILS_AT_ONCE = 4
KEPT_BYTES = 16 * 1024
LIVES_S = 24 * 3600  # a push service keeps it that long for a browser that is off
TOKEN_S = 12 * 3600
GONE = (404, 410)
TRY_AGAIN = (408, 425, 429)


class Postman:
    """Runs from ``start`` to ``stop``."""

    def __init__(self, rt: Runtime) -> None:
        self._rt = rt
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(act,), name=name, daemon=True)
            for name, act in (("postman", self.round), ("mail", self.mail_round))
        ]
        self._is_ready = False

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End after the round that is under way."""
        self._stop.set()
        until = time.monotonic() + 5
        for thread in self._threads:
            thread.join(timeout=max(0.0, until - time.monotonic()))

    def round(self) -> None:
        """Everything that is due but for mails. What fails does not keep the rest from being done."""
        if not self._is_ready:
            self._attempt("key of pushes", self._get_ready)
        self._attempt("snoozes", lambda: inbox.wake(self._rt))
        self._attempt("summaries", lambda: digests.send_due(self._rt))
        self._attempt("pushes", self._push)

    def mail_round(self) -> None:
        """Every mail that is due."""
        self._attempt("mails", self._mail)

    def _get_ready(self) -> None:
        pushes.ensure_key(self._rt)
        self._is_ready = True

    def _mail(self) -> None:
        letters = mails.take_due(self._rt)
        if letters:
            asyncio.run(self._mail_all(letters))

    async def _mail_all(self, letters: list[Letter]) -> None:
        slots, down = asyncio.Semaphore(MAILS_AT_ONCE), asyncio.Event()
        await asyncio.gather(*(self._mail_one(slots, down, letter) for letter in letters))

    async def _mail_one(self, slots: asyncio.Semaphore, down: asyncio.Event, letter: Letter) -> None:
        """When nobody answered one, nobody is asked to take the others: they wait for their next time."""
        rt = self._rt
        try:
            message = written(letter, rt.settings, rt.clock())
            async with slots:
                if down.is_set():
                    raise NotSent("The mail server did not answer.")
                await hand_in(Server.parse(rt.settings.smtp_url), message, allow_private=True)
        except NotSent as error:
            if error.code is None and not error.for_good:
                down.set()
            mails.note_failed(rt, letter, str(error), for_good=error.for_good)
        except ValueError as error:
            mails.note_failed(rt, letter, f"The mail could not be made: {error}", for_good=True)
        else:
            mails.note_sent(rt, letter)

    def _push(self) -> None:
        parcels = pushes.take_due(self._rt)
        if parcels:
            asyncio.run(self._send_all(parcels))

    async def _send_all(self, parcels: list[Parcel]) -> None:
        http = Outbound(
            timeout_s=TIMEOUT_S, max_bytes=KEPT_BYTES, allow_private=self._rt.settings.allow_private_addresses
        )
        try:
            await asyncio.gather(*(self._send(http, parcel) for parcel in parcels))
        finally:
            await http.close()

    async def _send(self, http: Outbound, parcel: Parcel) -> None:
        try:
            body, headers = sealed_letter(self._rt, parcel)
            answer = await http.post(parcel.subscription["endpoint"], body, headers=headers)
        except OutboundRefused as error:
            pushes.note_failed(self._rt, parcel, str(error), for_good=True)
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            pushes.note_failed(self._rt, parcel, str(error) or type(error).__name__)
        except Unavailable:
            raise
        except Exception as error:
            log.exception("a push could not be made", extra={"action": "push_failed"})
            pushes.note_failed(self._rt, parcel, type(error).__name__, for_good=True)
        else:
            self._note(parcel, answer)

    def _note(self, parcel: Parcel, answer: Answer) -> None:
        said = f"{answer.status}: {answer.text(200)}".strip()
        if 200 <= answer.status < 300:
            pushes.note_sent(self._rt, parcel)
        elif answer.status in GONE:
            pushes.note_gone(self._rt, parcel, said)
        else:
            final = answer.status < 500 and answer.status not in TRY_AGAIN
            pushes.note_failed(self._rt, parcel, said, for_good=final)

    def _attempt(self, what: str, act: Callable[[], object]) -> None:
        try:
            act()
        except Unavailable:
            log.warning("%s: the database does not answer", what, extra={"action": "postman_missed"})
        except Exception:
            log.exception("%s failed", what, extra={"action": "postman_failed"})

    def _run(self, act: Callable[[], None]) -> None:
        while not self._stop.is_set():
            act()
            self._stop.wait(ROUND_S)


def sealed_letter(rt: Runtime, parcel: Parcel) -> tuple[bytes, dict[str, str]]:
    """The message as only that browser can read it (RFC 8291), and who sends it (RFC 8292)."""
    from py_vapid import Vapid02  # here: a beat whose users take no pushes need not load them
    from pywebpush import WebPusher

    body: bytes = WebPusher(parcel.subscription).encode(parcel.text.encode(), "aes128gcm")["body"]
    parts = urlsplit(parcel.subscription["endpoint"])
    claims = {
        "aud": f"{parts.scheme}://{parts.netloc}",
        "exp": int(time.time()) + TOKEN_S,
        "sub": rt.settings.base_url if rt.settings.base_url.startswith("https://") else "mailto:signalbox@localhost",
    }
    signed: dict[str, str] = Vapid02(pushes.private_key(rt)).sign(claims)
    return body, {
        **signed,
        "Content-Encoding": "aes128gcm",
        "Content-Type": "application/octet-stream",
        "TTL": str(LIVES_S),
        "Urgency": "normal",
    }
