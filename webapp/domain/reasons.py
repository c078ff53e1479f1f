"""Why a delivery is held, dead or skipped: the word that is stored, and the same for people."""

from __future__ import annotations

REASONS = {
    # dead
    "exhausted": "all tries failed",
    "permanent": "the handler gave up",
    "expired": "it came too late",
    "lost": "its worker died each time",
    "no_handler": "no worker has this handler",
    # skipped
    "shadow": "its subscription is in shadow mode: nothing runs",
    "rate_limited": "over the rate limit of its subscription",
    "duplicate": "an event with the same key came shortly before",
    "superseded": "a later event took its place",
    "handler": "its handler skipped it",
    "person": "a person skipped it",
    # held
    "paused": "its subscription is paused",
    "breaker": "the circuit breaker of its subscription is open",
    "releasing": "its subscription lets go what it held bit by bit",
    "loop": "too many events caused one another: a loop, as it seems",
}


def reason_in_words(reason: str | None) -> str:
    """The words for people; an unknown reason is shown as it is, none is empty."""
    return "" if reason is None else REASONS.get(reason, reason.replace("_", " "))
