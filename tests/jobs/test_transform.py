"""A handler sees the transformed event; the stored one stays; what cannot be transformed is dead at once."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from jobs.handlers import Context, Event, EventHandler
from jobs.runner import Ending, conclude, run_attempt
from tests.support import factories as make
from tests.support.attempts import Notes, claimed
from tests.support.clock import NOON
from webapp.domain.outcomes import Done
from webapp.runtime import Runtime
from webapp.store import deliveries


class Shows(EventHandler):
    """Gives back what it was given."""

    name = "t.shows"

    async def validate(self, event: Event, ctx: Context) -> None:
        if "name" not in event.payload:
            raise ValueError("no name")

    async def process(self, event: Event, ctx: Context) -> Any:
        return [event.type, event.payload]


def _run(**fields: Any) -> Ending:
    return asyncio.run(run_attempt(claimed(**fields), Notes().context(), lambda _: Shows))


def test_handler_validates_and_processes_what_the_transform_makes() -> None:
    shape = {"type": "crm.order", "payload": {"name": "{data.customer.name}", "tea": {"$jmespath": "items[0]"}}}
    assert _run(transform=shape).outcome == Done(["crm.order", {"name": "Ada", "tea": "tea"}])
    assert _run(transform=None).error_type == "Invalid"


def test_a_transform_that_fails_is_permanent_and_says_where() -> None:
    ending = _run(transform={"payload": {"name": "{data.nobody}"}})
    finished = conclude(claimed(), ending, NOON, NOON, 0.5)
    assert (finished.settlement.state, finished.settlement.reason) == ("dead", "permanent")
    assert (finished.error_type, finished.error_message) == ("TransformFailed", "/payload/name: data.nobody is missing")


def test_claim_brings_the_transform_along(rt: Runtime) -> None:
    rule = make.make_subscription(rt, transform={"payload": {"x": 1}})
    make.make_delivery(rt, subscription_id=rule)
    make.make_delivery(rt)
    with rt.db.write() as conn:
        found = deliveries.claim(conn, lane="default", owner="w", limit=9, now=rt.clock(), lease=timedelta(seconds=9))
    assert [one.transform for one in found] == [{"payload": {"x": 1}}, None]
