"""The timeline of an event as numbers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from webapp.store.feed_deliveries import AttemptRow, DeliveryRow
from webapp.store.feed_events import AttemptOf, EventDetail
from webapp.store.feed_story import Happening
from webapp.web import timescale, waterfall

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


def _at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def _event(**fields: Any) -> EventDetail:
    values: dict[str, Any] = dict.fromkeys(EventDetail.__dataclass_fields__)
    return EventDetail(**values | {"received_at": START, "total": 1, "status": "processing"} | fields)


def _delivery(state: str, **fields: Any) -> DeliveryRow:
    values: dict[str, Any] = dict.fromkeys(DeliveryRow.__dataclass_fields__)
    given = {"id": "dlv_1", "subscription_name": "Rule", "state": state, "created_at": START, "attempt": 0, "rerun": 0}
    given["due_at"] = START
    return DeliveryRow(**values | given | fields)


def _try(n: int, begin: float, end: float, outcome: str = "failed") -> AttemptOf:
    values: dict[str, Any] = dict.fromkeys(AttemptRow.__dataclass_fields__)
    row = AttemptRow(**values | {"n": n, "started_at": _at(begin), "finished_at": _at(end), "outcome": outcome})
    return AttemptOf("dlv_1", row)


def test_single_success_is_one_bar_from_start_to_end() -> None:
    delivery = _delivery("succeeded", finished_at=_at(10), attempt=1)
    drawn = waterfall.draw(_event(), [delivery], [_try(1, 2, 10, "succeeded")], _at(99))
    (step,) = drawn.steps
    assert step.bar == waterfall.Bar(20, 80)
    assert step.took == pytest.approx(8)


def test_waiting_delivery_shows_its_tries_and_when_the_next_is_due() -> None:
    delivery = _delivery("waiting", attempt=2, due_at=_at(60))
    drawn = waterfall.draw(_event(), [delivery], [_try(1, 0, 1), _try(2, 5, 10, "timed_out")], _at(20))
    assert [step.kind for step in drawn.steps] == ["delivery", "attempt", "attempt", "due"]
    assert drawn.steps[0].bar == waterfall.Bar(0, 33.33, pale=True)
    assert drawn.steps[2].bar == waterfall.Bar(8.33, 8.33)
    assert (drawn.steps[3].n, drawn.steps[3].due_at, drawn.steps[3].mark) == (3, _at(60), 100)
    assert drawn.steps[3].wait == waterfall.Bar(33.33, 66.67, pale=True)  # from now to then
    assert drawn.now == pytest.approx(33.33, abs=0.01)


def test_a_delivery_for_later_says_when_it_is_due_and_takes_no_time_until_then() -> None:
    later = _delivery("pending", due_at=_at(60))
    head, due = waterfall.draw(_event(), [later], [], _at(20)).steps
    assert (head.took, due.kind, due.n, due.due_at) == (None, "due", 1, _at(60))
    (head,) = waterfall.draw(_event(), [later], [], _at(61)).steps
    assert head.took == pytest.approx(61)


def test_running_retry_grows_to_now() -> None:
    delivery = _delivery("running", attempt=2, started_at=_at(5))
    drawn = waterfall.draw(_event(), [delivery], [_try(1, 0, 1)], _at(10))
    assert drawn.steps[-1].kind == "running"
    assert drawn.steps[-1].bar == waterfall.Bar(50, 50)


def test_many_tries_are_cut_to_the_newest() -> None:
    tries = [_try(n, n, n + 0.5) for n in range(1, 31)]
    drawn = waterfall.draw(_event(), [_delivery("dead", attempt=30, finished_at=_at(31))], tries, _at(40))
    assert drawn.steps[1].kind == "earlier"
    assert drawn.steps[1].name == str(30 - waterfall.TRIES_SHOWN)
    assert [step.n for step in drawn.steps[2:]] == list(range(31 - waterfall.TRIES_SHOWN, 31))


def test_many_deliveries_are_cut_and_counted() -> None:
    drawn = waterfall.draw(_event(total=500), [_delivery("pending")] * 100, [], _at(1))
    assert len(drawn.steps) == waterfall.ROWS_SHOWN
    assert drawn.more == 500 - waterfall.ROWS_SHOWN


@pytest.mark.parametrize("seconds", [0, 0.001, 0.3, 1, 7, 59, 600, 86_400, 86_400 * 400])
def test_bars_and_ticks_stay_inside_whatever_time_is_shown(seconds: float) -> None:
    delivery = _delivery("succeeded", finished_at=_at(seconds), attempt=1)
    drawn = waterfall.draw(_event(), [delivery], [_try(1, -5, seconds + 5, "succeeded")], _at(seconds))
    assert 1 <= len(drawn.ticks) <= 13
    assert all(0 <= tick.at < 96 for tick in drawn.ticks)
    for step in drawn.steps:
        assert step.bar is not None
        assert 0 <= step.bar.x <= step.bar.x + step.bar.width <= 100


def test_hours_of_idling_are_cut_and_shown_whole_on_demand() -> None:
    delivery = _delivery("succeeded", attempt=2, finished_at=_at(7212))
    tries = [_try(1, 0, 10), _try(2, 7200, 7212, "succeeded")]
    drawn = waterfall.draw(_event(), [delivery], tries, _at(9000))
    (idle,) = drawn.idle
    assert (idle.seconds, idle.width) == (7190, 5)
    assert drawn.steps[1].bar is not None
    assert drawn.steps[1].bar.width > 40
    assert any(tick.seconds == 7200 for tick in drawn.ticks)
    whole = waterfall.draw(_event(), [delivery], tries, _at(9000), whole=True)
    assert (whole.idle, whole.has_idle) == ((), True)
    assert whole.steps[1].bar is not None
    assert whole.steps[1].bar.width < 1


def test_many_long_waits_leave_room_for_what_was_done() -> None:
    tries = [_try(n, 10_000 * n, 10_000 * n + 5) for n in range(1, 31)]
    delivery = _delivery("dead", attempt=30, finished_at=_at(300_005))
    drawn = waterfall.draw(_event(), [delivery], tries, _at(400_000))
    assert len(drawn.idle) == 30
    assert sum(one.width for one in drawn.idle) == pytest.approx(timescale.IDLE_SHARE, abs=1)
    assert all(0 <= one.x <= one.x + one.width <= 100.1 for one in drawn.idle)


def test_what_people_did_and_what_came_of_it_are_told_in_the_order_of_time() -> None:
    told = [
        Happening("child", _at(8), "order.billed", "billing", "/events/evt_2", "succeeded"),
        Happening("action", _at(4), "delivery.retried", "ada", "/audit", "info"),
    ]
    delivery = _delivery("succeeded", finished_at=_at(10), attempt=1)
    drawn = waterfall.draw(_event(), [delivery], [_try(1, 5, 10, "succeeded")], _at(99), told)
    assert [(one.kind, one.mark) for one in drawn.happenings] == [("action", 40), ("child", 80)]
    assert [one.kind for one in drawn.told] == ["delivery", "action", "child"]


def test_many_happenings_are_cut_and_counted() -> None:
    told = [Happening("action", _at(n), "delivery.retried", "ada", "/audit", "info") for n in range(50)]
    drawn = waterfall.draw(_event(), [], [], _at(99), told)
    assert (len(drawn.happenings), drawn.unsaid) == (30, 20)
