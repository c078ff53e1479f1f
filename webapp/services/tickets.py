"""What goes through a group commit: the events of one call, and what became of each."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from webapp.domain.access import Actor
from webapp.domain.errors import Fault, HubError, Refused
from webapp.domain.events import EventDraft
from webapp.domain.verdicts import Deprecation
from webapp.services.plan import Plan


@dataclass(frozen=True, slots=True)
class AcceptedDelivery:
    """One delivery of an accepted event."""

    id: str
    subscription_id: str
    subscription_name: str
    state: str
    reason: str | None = None  # why it is held or was skipped


@dataclass(frozen=True, slots=True)
class Accepted:
    """The answer to a publisher. For a duplicate it describes the original, as it stands now."""

    uid: str
    id: str
    duplicate: bool
    status: str
    deliveries: tuple[AcceptedDelivery, ...]
    warnings: tuple[Fault, ...] = ()  # how it breaks the schema of its type, which only warns
    deprecation: Deprecation | None = None  # of its type


class RejectedEvent(Refused):
    """It breaks the schema of its type. It is kept under ``event_id``, but goes nowhere; mended, it may be sent again."""

    def __init__(self, plan: Plan, *, kept: bool = True) -> None:
        assert plan.verdict is not None
        name, version, total = plan.event["type"], plan.verdict.schema_version, plan.verdict.total
        detail = f"The event breaks version {version} of the schema of {name} in {total} place{'s'[: total != 1]}."
        super().__init__("schema-violation", detail, faults=plan.verdict.faults)
        self.event_id = plan.uid if kept else None

    @property
    def members(self) -> Mapping[str, Any]:
        """What the problem document says beside the faults."""
        return {} if self.event_id is None else {"event_id": self.event_id}


class BatchRefused(HubError):
    """Another event of the same atomic call was refused, so this one was not stored."""

    slug, status, title = "batch-refused", 424, "Batch refused"

    def __init__(self) -> None:
        super().__init__("It was not stored, because another event of the batch was refused.")


class Unstorable(HubError):
    """The database refused this one event, for a reason that nobody foresaw; the log has it."""

    slug, status, title = "internal-error", 500, "Internal error"


@dataclass(slots=True, eq=False)
class Item:
    """One event. At the end it has an answer or an error."""

    draft: EventDraft
    actor: Actor
    plan: Plan
    final: Plan  # as it is written: the plan with what the transaction found out
    answer: Accepted | None = None
    error: Exception | None = None

    @property
    def uid(self) -> str:
        return self.plan.uid

    @property
    def sender(self) -> tuple[str, str]:
        """Source and sender's id: what makes it a duplicate."""
        return self.draft.source, self.draft.id or self.plan.uid

    def result(self) -> Accepted:
        """The answer; raises the error."""
        if self.error is not None:
            raise self.error
        assert self.answer is not None
        return self.answer

    def settle(self) -> None:
        """It was written as planned."""
        self.answer = _accepted(self.final)
        if self.final.is_rejected:
            self.error = RejectedEvent(self.final)


@dataclass(slots=True, eq=False)
class Ticket:
    """The events of one call; most have one."""

    items: Sequence[Item]
    atomic: bool = False  # all of them or none
    gate: threading.Lock = field(default_factory=threading.Lock)  # held while the caller has to wait
    leads: bool = False

    def fail(self, error: Exception) -> None:
        for item in self.items:
            item.error = error

    def parts(self) -> list[Ticket]:
        """The same events in two tickets; none when it cannot be divided."""
        if self.atomic or len(self.items) == 1:
            return []
        middle = len(self.items) // 2
        return [Ticket(self.items[:middle]), Ticket(self.items[middle:])]


def _accepted(plan: Plan) -> Accepted:
    listed = tuple(
        AcceptedDelivery(row["id"], rule.id, rule.name, row["state"], row.get("reason"))
        for row, rule in zip(plan.deliveries, plan.matched, strict=True)
    )
    warnings = () if plan.verdict is None else plan.verdict.faults
    return Accepted(plan.uid, plan.event["id"], False, _status(plan), listed, warnings, plan.deprecation)


def _status(plan: Plan) -> str:
    """As the database works it out. An event whose deliveries were all skipped has nothing left to do: succeeded."""
    if plan.is_rejected:
        return "rejected"
    if plan.is_plain or any(row["state"] != "skipped" for row in plan.deliveries):
        return "processing" if plan.deliveries else "unrouted"
    return "succeeded"
