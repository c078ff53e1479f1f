"""Many events a second into a running hub, over the batch API."""

from __future__ import annotations

import time

from tests.support.hub import Hub

BATCHES = 10  # a second


def flood(hub: Hub, event_type: str, *, seconds: float, per_second: int) -> str:
    """Publish at that pace, or as fast as the hub takes it if that is slower; answers the uid of the last event."""
    batch = [{"type": event_type, "payload": {"n": n}} for n in range(per_second // BATCHES)]
    begun, last = time.monotonic(), ""
    for n in range(round(seconds * BATCHES)):
        answer = hub.request("POST", "/api/v1/events/batch", batch)
        assert answer.status == 202, answer.text
        last = answer.json["items"][-1]["uid"]
        time.sleep(max(0.0, begun + (n + 1) / BATCHES - time.monotonic()))
    return last
