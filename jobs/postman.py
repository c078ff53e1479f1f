"""What the beat sends to people beside its pulse: pushes and summaries, and what they snoozed comes back.

A thread, so that a slow push service delays nothing else. Every message goes through the guarded outgoing HTTP.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from urllib.parse import urlsplit

import aiohttp

from jobs.outbound import Answer, Outbound, OutboundRefused
from webapp.domain.errors import Unavailable
from webapp.runtime import Runtime
from webapp.services import digests, inbox, pushes
from webapp.services.pushes import Parcel

log = logging.getLogger(__name__)

ROUND_S = 1.0
TIMEOUT_S = 15.0
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
        self._thread = threading.Thread(target=self._run, name="postman", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End after the round that is under way."""
        self._stop.set()
        self._thread.join(timeout=5)

    def round(self) -> None:
        """Everything that is due. What fails does not keep the rest from being done."""
        self._attempt("snoozes", lambda: inbox.wake(self._rt))
        self._attempt("summaries", lambda: digests.send_due(self._rt))
        self._attempt("pushes", self._push)

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

    def _run(self) -> None:
        while not self._stop.is_set():
            self.round()
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
