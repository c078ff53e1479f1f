"""The loop is given more to do only as fast as it comes round."""

from __future__ import annotations

from jobs.pace import LEAST, MOST, ROUND_S, Pace


def test_loop_that_is_behind_is_given_less_and_less_but_always_some() -> None:
    pace = Pace()
    given = []
    for _ in range(10):
        pace.came_round(2 * ROUND_S)
        given.append(pace.starts)
    assert given[0] == MOST // 2
    assert given == sorted(given, reverse=True)
    assert given[-1] == LEAST > 0


def test_loop_that_has_caught_up_is_given_as_much_as_at_first() -> None:
    pace = Pace()
    for took_s in [2 * ROUND_S] * 10 + [ROUND_S / 2] * 10:
        pace.came_round(took_s)
    assert pace.starts == MOST
