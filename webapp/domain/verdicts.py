"""What the catalog says of an event: how it breaks the schema of its type, and that its type is deprecated."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from webapp.domain.errors import Fault

MAX_FAULTS = 20  # of one event are kept and told


@dataclass(frozen=True, slots=True)
class Verdict:
    """``faults`` point into the event's document (``/payload/amount``); ``total`` counts those beyond the kept ones too."""

    rejected: bool  # else it is accepted with a warning
    schema_version: int
    faults: tuple[Fault, ...]
    total: int


@dataclass(frozen=True, slots=True)
class Deprecation:
    """The type is still accepted, but has been on its way out since that time; ``instead`` is in words, and may be empty."""

    since: datetime
    instead: str
