"""A new event made of the one that is handled."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from jobs.handlers import Done
from jobs.handlers.base import Invalid
from jobs.handlers.republish import RepublishHandler
from jobs.publishing import Publisher
from tests.support.attempts import EVENT, Notes
from tests.support.factories import rows_of
from webapp.domain.errors import Fault, Refused
from webapp.runtime import Runtime
from webapp.services.cause import CAUSE
from webapp.store import tables


def republish(notes: Notes, options: dict[str, Any]) -> Any:
    return asyncio.run(RepublishHandler(options).handle(EVENT, notes.context()))


def test_event_is_published_under_another_type_with_what_it_held() -> None:
    notes = Notes()
    outcome = republish(
        notes, {"type": "copy.{type}", "subject": "{data.customer.name}", "labels": {"by": "{label.channel}"}}
    )
    assert outcome == Done({"event": "evt_2", "duplicate": False})
    assert notes.published == [
        {
            "id": "dlv_1.1", "type": "copy.order.paid", "source": "shop", "subject": "Ada", "payload": EVENT.payload,
            "version": 1, "labels": {"channel": "web", "by": "web"}, "correlation_id": "evt_1", "trace_id": None,
        }
    ]  # fmt: skip


def test_refused_event_is_a_failure_for_good() -> None:
    class Refusing(Notes):
        async def publish(self, document: Any) -> Any:
            raise Refused("invalid-event", "no", faults=[Fault("/type", "invalid-event-type", "A type is lower-case.")])

    with pytest.raises(Invalid, match="/type: A type is lower-case"):
        republish(Refusing(), {"type": "X Y"})


def test_published_twice_is_stored_once_and_names_its_cause(rt: Runtime) -> None:
    async def twice() -> tuple[Any, Any]:
        publisher, token = Publisher(rt), CAUSE.set("evt_cause")
        try:
            document = {"type": "copy.made", "id": "dlv_9.1"}
            return await publisher.publish(document), await publisher.publish(document)
        finally:
            CAUSE.reset(token)

    first, second = asyncio.run(twice())
    assert (first.duplicate, second.duplicate) == (False, True)
    [row] = rows_of(rt, tables.events)
    assert (row.uid, row.source, row.causation_id) == (first.uid, "signalbox", "evt_cause")
