"""How long it takes to judge one event by a condition of five leaves, trace included: ``python -m bench conditions``."""

from __future__ import annotations

import time
import timeit

from tests.support.clock import NOON
from webapp.domain.conditions import event_view, parse_condition
from webapp.domain.events import Event

COUNT = 20_000
TREE = {
    "all": [
        {"field": "type", "op": "glob", "value": "order.*"},
        {"field": "data.amount", "op": "gt", "value": 100},
        {"field": "data.customer.country", "op": "in", "value": ["DE", "AT", "CH"]},
        {
            "any": [
                {"field": "data.items[*].sku", "op": "prefix", "value": "B-"},
                {"not": {"field": "label.team", "op": "eq", "value": "TEST", "ci": True}},
            ]
        },
    ]
}
EVENT = Event(
    id="o-1",
    type="order.paid",
    source="shop",
    version=1,
    timestamp=NOON,
    labels={"team": "pay"},
    payload={"amount": 129.5, "customer": {"country": "DE"}, "items": [{"sku": "A-1"}, {"sku": "B-2"}]},
)


def measure(rounds: int) -> list[float]:
    """Microseconds of processor time for one evaluation, by round."""
    condition, view = parse_condition(TREE), event_view(EVENT, NOON)
    timer = timeit.Timer(lambda: condition.evaluate(view), timer=time.process_time)
    return [seconds / COUNT * 1e6 for seconds in timer.repeat(rounds, COUNT)]
