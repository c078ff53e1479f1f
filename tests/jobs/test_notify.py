"""Texts of notifications may quote the event, and nothing but the event."""

from __future__ import annotations

import asyncio

import pytest

from jobs.handlers import Invalid
from jobs.handlers.notify import NotifyHandler
from jobs.quoting import fill
from tests.support.attempts import EVENT, Notes


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{type} from {source}", "order.paid from shop"),
        ("{data.amount} by {data.customer.name}", "12 by Ada"),
        ("{data.items.0} {data.items.7}", "tea {data.items.7}"),
        ("{data.customer}", '{"name": "Ada"}'),
        ("{label.channel} {label.none}", "web {label.none}"),
        (
            "{data.__class__} {payload.__class__} {source.__class__}",
            "{data.__class__} {payload.__class__} {source.__class__}",
        ),
        ("{0} {} {{type}} {type!r} {type:>9}", "{0} {} {order.paid} {type!r} {type:>9}"),
        ("{data}", '{"amount": 12, "customer": {"name": "Ada"}, "items": ["tea"]}'),
    ],
)
def test_template_is_filled_from_the_event(template: str, text: str) -> None:
    assert fill(template, EVENT) == text


def test_notification_is_created_once_per_delivery() -> None:
    notes = Notes()
    handler = NotifyHandler({"severity": "success", "title": "Paid: {data.amount}", "body": "by {data.customer.name}"})
    asyncio.run(handler.handle(EVENT, notes.context()))
    [(severity, title, body, more)] = notes.notified
    assert (severity, title, body) == ("success", "Paid: 12", "by Ada")
    assert (more["dedupe_key"], more["event_uid"], more["link"]) == ("delivery:dlv_1", "evt_1", "/events/evt_1")


def test_unknown_severity_is_permanent() -> None:
    with pytest.raises(Invalid):
        asyncio.run(NotifyHandler({"severity": "panic"}).handle(EVENT, Notes().context()))
