"""``Prefer: wait=N`` (RFC 7240): the sender would rather wait N seconds and hear how it ended."""

from __future__ import annotations

import re
import time

from flask import Response, request

from webapp.store.status import status_json
from webapp.web.api.blueprint import answer
from webapp.web.context import get_hub
from webapp.web.edge import WAITED

MOST_S = 30
WAIT = re.compile(r'\s*wait\s*=\s*"?(\d{1,9})"?\s*(?:;.*)?', re.IGNORECASE)


def seconds_to_wait() -> int | None:
    """What the sender prefers, at most 30; None without a preference. One that cannot be read is ignored, says the RFC."""
    header = request.environ.get("HTTP_PREFER")
    if header is None:
        return None
    found = next((match for part in header.split(",") if (match := WAIT.fullmatch(part))), None)
    return None if found is None else min(int(found[1]), MOST_S)


def answer_when_ended(uid: str, seconds: int, accepted: Response) -> Response:
    """The status document when the event ends in time, else the answer that is given without waiting."""
    hub = get_hub()
    begun = time.perf_counter()
    ended = hub.patience.wait(uid, seconds)
    request.environ[WAITED] = time.perf_counter() - begun
    if ended is None:
        return accepted
    if ended:
        with hub.rt.db.read() as conn:
            accepted = answer(status_json(conn, uid, hub.rt.clock()), headers=dict(accepted.headers.items(lower=True)))
    accepted.headers["Preference-Applied"] = f"wait={seconds}"
    return accepted
