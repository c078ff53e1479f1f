"""The example package does what its README says."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from examples.shop_handlers import DailyReport, ReserveStock, SendReceipt
from jobs.handlers import Discard, Done, Event, EventHandler, Invalid, Outcome, Retry, Skip, Snooze
from tests.support.attempts import Notes
from tests.support.clock import NOON


def handle(handler: EventHandler, **payload: Any) -> Outcome:
    event = Event(id="o-1", type="order.paid", payload=payload, timestamp=NOON, source="shop", uid="evt_1")
    return asyncio.run(handler.handle(event, Notes().context()))


def test_receipt_is_sent_once_however_often_it_is_tried(tmp_path: Path) -> None:
    handler = SendReceipt({"outbox": str(tmp_path)})
    for _ in range(2):
        assert handle(handler, customer_email="ada@example.com", amount=12) == Done({"message_id": "dlv_1"})
    [mail] = tmp_path.iterdir()
    assert "To: ada@example.com" in mail.read_text()


def test_receipt_waits_for_a_mail_server_that_is_away(tmp_path: Path) -> None:
    handler = SendReceipt({"outbox": str(tmp_path / "away")})
    assert isinstance(handle(handler, customer_email="ada@example.com"), Retry)
    assert handler.draft is not None
    assert not handler.draft.exists(), "cleanup took the draft away"


def test_order_without_address_gets_no_receipt() -> None:
    with pytest.raises(Invalid):
        handle(SendReceipt())


@pytest.mark.parametrize(
    ("payload", "outcome"),
    [
        ({}, Skip), ({"item": "sofa"}, Discard), ({"item": "mug"}, Retry), ({"item": "tea"}, Done),
        ({"item": "tea", "inventory_running": True}, Snooze),
    ],
)  # fmt: skip
def test_stock_chooses_its_outcome(payload: dict[str, Any], outcome: type) -> None:
    assert isinstance(handle(ReserveStock(), **payload), outcome)


def test_report_computes() -> None:
    assert DailyReport.isolated
    assert isinstance(handle(DailyReport()), Done)
