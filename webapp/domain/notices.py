"""What a user wants to be told of, and how: per channel the severities, what is muted, a digest, quiet hours."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import time
from typing import Any

from webapp.domain.errors import Fault, Refused

SEVERITIES = ("error", "warning", "success", "info")
CHANNELS = ("inbox", "toast", "browser", "push", "email")
DIGESTS = ("off", "hourly", "daily")
KINDS: Mapping[str, str] = {
    "delivery_dead": "Deliveries that died",
    "breaker": "Breakers that opened or closed",
    "subscription_paused": "Subscriptions that a receiver paused",
    "source_rejecting": "Sources that reject requests",
    "schedule_missed": "Schedules that ticked late or not at all",
    "loop_held": "Loops that were held",
    "worker_lost": "Workers that fell silent",
    "bulk_ended": "Bulk operations that ended",
    "transfer_ended": "Your exports and imports that ended",
    "handler": "What handlers say",
    "digest": "Summaries",
}
MAX_NAMED = 100
_CLOCK = re.compile(r"([01]\d|2[0-3]):[0-5]\d")
_ID = re.compile(r"[A-Za-z0-9_]{1,32}")


@dataclass(frozen=True, slots=True)
class Preferences:
    """Of one user. ``subscriptions`` empty means all; clock times are of the user's time zone, as ``22:00``."""

    inbox: tuple[str, ...] = SEVERITIES
    toast: tuple[str, ...] = SEVERITIES
    browser: tuple[str, ...] = ("error",)
    push: tuple[str, ...] = ("error",)
    email: tuple[str, ...] = ("error",)  # once an address is confirmed
    muted_kinds: tuple[str, ...] = ()
    muted_subscriptions: tuple[str, ...] = ()
    subscriptions: tuple[str, ...] = ()
    digest: str = "off"
    digest_at: str = "08:00"
    quiet_from: str = ""
    quiet_until: str = ""

    def wants(self, channel: str, severity: str) -> bool:
        """Whether the channel is for that severity; nothing goes elsewhere that is not in the inbox."""
        return severity in self.inbox and severity in getattr(self, channel)

    def is_muted(self, kind: str, subscription_id: str | None) -> bool:
        """Whether the user wants to hear nothing of it. What is about no subscription is never filtered by one."""
        if kind in self.muted_kinds:
            return True
        if subscription_id is None:
            return False
        unasked = bool(self.subscriptions) and subscription_id not in self.subscriptions
        return unasked or subscription_id in self.muted_subscriptions

    def to_json(self) -> dict[str, Any]:
        """As it is stored."""
        return asdict(self)

    @classmethod
    def from_json(cls, document: Mapping[str, Any] | None) -> Preferences:
        """What was stored; what a newer or older hub wrote beside it is left out."""
        kept: dict[str, Any] = {name: value for name, value in (document or {}).items() if name in cls.__slots__}
        settled: dict[str, Any] = {n: tuple(value) if isinstance(value, list) else value for n, value in kept.items()}
        return cls(**settled)


def parse_preferences(document: Mapping[str, Any]) -> Preferences:
    """Checked; raises ``Refused`` with every fault."""
    wanted = Preferences.from_json(document)
    faults = [
        *_unknown(wanted, CHANNELS, SEVERITIES),
        *_unknown(wanted, ("muted_kinds",), KINDS),
        *(_fault(name, "Name at most 100 subscriptions, by id.") for name in _bad_ids(wanted)),
        *(_fault(name, "A time is written as 22:00.") for name in _bad_times(wanted)),
    ]
    if wanted.digest not in DIGESTS:
        faults.append(_fault("digest", "Choose off, hourly or daily."))
    if bool(wanted.quiet_from) != bool(wanted.quiet_until):
        missing = "quiet_until" if wanted.quiet_from else "quiet_from"
        faults.append(_fault(missing, "Quiet hours need a beginning and an end."))
    if faults:
        raise Refused("invalid-preferences", "These preferences cannot be saved.", faults=faults)
    return wanted


def clock_time(text: str) -> time:
    """``22:00`` as a time."""
    hour, minute = text.split(":")
    return time(int(hour), int(minute))


def _unknown(wanted: Preferences, names: tuple[str, ...], known: Any) -> list[Fault]:
    return [
        _fault(name, f"Unknown: {str(value)[:40]}.")
        for name in names
        for value in getattr(wanted, name)
        if value not in known
    ]


def _bad_ids(wanted: Preferences) -> list[str]:
    def bad(ids: tuple[str, ...]) -> bool:
        return len(ids) > MAX_NAMED or not all(_ID.fullmatch(one) for one in ids)

    return [name for name in ("muted_subscriptions", "subscriptions") if bad(getattr(wanted, name))]


def _bad_times(wanted: Preferences) -> list[str]:
    empty_is_fine = {"quiet_from", "quiet_until"}
    return [
        name
        for name in ("digest_at", "quiet_from", "quiet_until")
        if not _CLOCK.fullmatch(value := getattr(wanted, name)) and not (name in empty_is_fine and not value)
    ]


def _fault(name: str, message: str) -> Fault:
    return Fault(f"/{name}", "invalid", message)


def hub_path(link: str | None) -> str | None:
    """The link if it is a path of the hub, so that it leads nowhere else and runs nothing; else None."""
    return link if link and link.startswith("/") and not link.startswith(("//", "/\\")) else None
