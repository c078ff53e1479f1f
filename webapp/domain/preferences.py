"""How pages look to one person: theme, density, and how times are told. A choice that is not known falls back to the first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from functools import cache
from zoneinfo import available_timezones

from webapp.domain.errors import Fault, Refused

CHOICES: Mapping[str, tuple[str, ...]] = {
    "theme": ("system", "light", "dark"),
    "density": ("comfortable", "compact"),
    "times": ("relative", "local", "utc"),
}
UTC_ZONE = "UTC"


@dataclass(frozen=True, slots=True)
class Preferences:
    """One person's choices."""

    theme: str = "system"
    density: str = "comfortable"
    times: str = "relative"
    zone: str = UTC_ZONE  # of exact times, unless they are told in UTC

    @property
    def shown_zone(self) -> str:
        """The time zone that exact times are told in."""
        return UTC_ZONE if self.times == "utc" else self.zone

    def to_json(self) -> dict[str, str]:
        """As they are kept: only what differs from the defaults."""
        plain = asdict(Preferences())
        return {name: value for name, value in asdict(self).items() if value != plain[name]}


NAMES = tuple(field.name for field in fields(Preferences))


@cache
def zones() -> tuple[str, ...]:
    """Every time zone that people live in, and UTC first."""
    places = ("Africa/", "America/", "Antarctica/", "Arctic/", "Asia/", "Atlantic/", "Australia/", "Europe/", "Indian/", "Pacific/")  # fmt: skip
    return UTC_ZONE, *sorted(zone for zone in available_timezones() if zone.startswith(places))


def read_preferences(kept: Mapping[str, object]) -> Preferences:
    """From what was kept, by whatever version of the hub: what is not known is left out."""
    return Preferences(**{name: str(kept[name]) for name in NAMES if _is_known(name, kept.get(name))})


def change_preferences(present: Preferences, sent: Mapping[str, str]) -> Preferences:
    """With what was sent in place of the old; raises ``Refused`` for what is no choice."""
    faults = [
        Fault(f"/{name}", "unknown", f"Choose one of {', '.join(CHOICES[name])}." if name in CHOICES else "There is no such time zone.")
        for name, value in sent.items()
        if not _is_known(name, value)
    ]  # fmt: skip
    if faults:
        raise Refused("invalid-preferences", "This cannot be chosen.", faults=faults)
    return Preferences(**{**asdict(present), **sent})


def _is_known(name: str, value: object) -> bool:
    if not isinstance(value, str):
        return False
    return value in CHOICES[name] if name in CHOICES else name == "zone" and value in zones()
