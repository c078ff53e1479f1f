"""Workers write down what they offer; many of them start at the same moment."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from webapp.runtime import Runtime
from webapp.services.catalog import HandlerInfo, known_handlers, register_handlers

OFFERED = [HandlerInfo("shop.receipt", "Sends receipts"), HandlerInfo("shop.stock", isolated=True)]


def test_catalogue_is_written_once_when_many_workers_start_together(rt: Runtime) -> None:
    together = Barrier(6)

    def start(_: int) -> bool:
        together.wait()
        return register_handlers(rt, OFFERED)

    with ThreadPoolExecutor(6) as pool:
        changed = list(pool.map(start, range(6)))
    assert sum(changed) == 1
    assert set(known_handlers(rt)) == {"shop.receipt", "shop.stock"}
