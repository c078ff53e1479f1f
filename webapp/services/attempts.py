"""Failed tries at proving who one is, whatever the proof: counted per account and per address, then refused for a while.

They are counted in audit rows, so the limit holds across processes and restarts. Whoever checks a proof does so
inside ``in_turn``: tries of one process queue up, so that a burst cannot slip past the count.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection

from webapp.domain.access import Actor
from webapp.domain.errors import HubError
from webapp.domain.ids import first_id_at
from webapp.runtime import Runtime
from webapp.services import trail
from webapp.store import accounts
from webapp.store.audit import Target

FAILED = "user.sign_in_failed"
FAILURES = 10
FAILURE_WINDOW = timedelta(minutes=15)

in_turn = threading.Lock()


class SignInFailed(HubError):
    """The proof is wrong; which part of it is not told."""

    slug, status, title = "sign-in-failed", 401, "Sign-in failed"


class TooManyFailures(HubError):
    """The account or the address has failed too often; ``retry_after_s`` says how long to wait."""

    slug, status, title = "rate-limited", 429, "Too many attempts"

    def __init__(self, retry_after_s: int) -> None:
        super().__init__(f"Too many failed sign-ins. Wait {math.ceil(retry_after_s / 60)} minutes, then try again.")
        self.retry_after_s = retry_after_s


@dataclass(frozen=True, slots=True)
class Visit:
    """Where a request comes from."""

    ip: str
    user_agent: str
    request_id: str


def check(rt: Runtime, conn: Connection, username: str, ip: str) -> None:
    """Raise ``TooManyFailures`` while this account or this address may not try."""
    now = rt.clock()
    since_id = first_id_at("aud", int((now - FAILURE_WINDOW).timestamp() * 1000))
    failures = accounts.recent_failures(conn, action=FAILED, since_id=since_id, target_id=username, ip=ip)
    for all_times in failures:
        times = [at for at in all_times if at > now - FAILURE_WINDOW]
        if len(times) >= FAILURES:  # free again when the tenth newest leaves the window
            wait = times[FAILURES - 1] + FAILURE_WINDOW - now
            raise TooManyFailures(max(1, math.ceil(wait.total_seconds())))


def note(rt: Runtime, actor: Actor, username: str, details: Mapping[str, Any] | None = None) -> None:
    """One more failure."""
    with rt.db.write() as conn:
        trail.leave(rt, conn, actor, FAILED, Target("user", username, username), details)


def nobody(visit: Visit) -> Actor:
    """Somebody who has not proved anything yet."""
    return Actor("anonymous", "anonymous", "somebody", ip=visit.ip, request_id=visit.request_id)
