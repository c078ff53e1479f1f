from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from webapp.domain.progress import FURTHEST_S, Pace, Progress, calm, paced, rested

START = datetime(2026, 11, 23, 14, 0, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def test_steady_work_has_its_own_pace_from_the_first_look_on() -> None:
    pace = Pace(0, START)
    for second in range(1, 200):
        pace = pace.seen(second * 5, at(second))
        assert pace.rate == pytest.approx(5)
    assert pace.active_s == pytest.approx(199)


def test_one_hiccup_moves_the_pace_little_and_a_lasting_change_wins() -> None:
    pace = Pace(0, START)
    for second in range(1, 121):
        pace = pace.seen(second * 10, at(second))
    stalled = pace.seen(1200, at(121))
    assert 9 < (stalled.rate or 0) < 10
    for second in range(122, 300):
        stalled = stalled.seen(1200 + (second - 121) * 2, at(second))
    assert stalled.rate == pytest.approx(2, abs=0.1)


def test_going_back_and_a_clock_that_was_set_back_never_make_it_negative() -> None:
    pace = Pace(0, START).seen(100, at(10))
    assert pace.seen(40, at(11)).rate == pytest.approx(10, rel=0.1)
    assert pace.seen(40, at(11)).done == 40
    back = pace.seen(110, at(-60))
    assert back.rate == 10
    assert back.seen(120, at(-59)).rate is not None


def test_a_pause_says_nothing_about_the_speed() -> None:
    kept = paced(paced(None, 0, START), 100, at(10))
    went_on = paced(rested(kept, at(3600)), 110, at(3601))
    assert went_on["rate"] == pytest.approx(10)
    assert rested(None, START) is None


def test_what_is_kept_comes_back() -> None:
    kept = paced(paced(None, 0, START), 7, at(3))
    assert Pace.from_json(kept).to_json() == kept


@pytest.mark.parametrize(
    ("done", "total", "percent"),
    [
        (0, 10, 0),
        (999, 1000, 99),
        (1000, 1000, 100),
        (12, 10, 100),
        (-3, 10, 0),
        (0, 0, 100),
        (5, None, None),
        (29, 100, 29),
    ],
)
def test_percent_is_never_beyond_what_was_done(done: float, total: float | None, percent: int | None) -> None:
    assert Progress("running", done, total, 1).percent == percent


@pytest.mark.parametrize(
    ("given", "left"),
    [
        ({}, 40),
        ({"rate": None}, None),
        ({"rate": 0.0}, None),
        ({"active_s": 1.0}, None),
        ({"total": None}, None),
        ({"is_running": False}, None),
        ({"done": 100.0}, None),
        ({"done": 130.0}, None),
        ({"rate": 10 / FURTHEST_S}, None),
    ],
)  # fmt: skip
def test_what_is_left_is_told_only_when_it_is_known(given: dict[str, object], left: float | None) -> None:
    view = {"state": "running", "done": 20.0, "total": 100.0, "elapsed_s": 10.0, "rate": 2.0, "active_s": 10.0} | given
    assert Progress(**view).left_s == left  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.2, 10), (10, 10), (11, 20), (61, 120), (590, 600), (601, 900), (3601, 5400), (90_000, 90_000)],
)
def test_what_is_left_is_rounded_up_in_calm_steps(seconds: float, said: float) -> None:
    assert calm(seconds) == said
