"""What the schema of its type says of an event that does not fit it."""

from __future__ import annotations

from dataclasses import dataclass

from webapp.domain.errors import Fault

MAX_FAULTS = 20  # of one event are kept and told


@dataclass(frozen=True, slots=True)
class Verdict:
    """``faults`` point into the event's document (``/payload/amount``); ``total`` counts those beyond the kept ones too."""

    rejected: bool  # else it is accepted with a warning
    schema_version: int
    faults: tuple[Fault, ...]
    total: int
