"""Handlers of a small shop: a plug-in. Name it in ``SIGNALBOX_HANDLERS=examples.shop_handlers`` and restart."""

from __future__ import annotations

from examples.shop_handlers.receipts import SendReceipt
from examples.shop_handlers.reports import DailyReport
from examples.shop_handlers.stock import ReserveStock

__all__ = ["DailyReport", "ReserveStock", "SendReceipt"]
