"""A chaos run in small, on both databases. ``make chaos`` is the long form."""

from __future__ import annotations

import pytest

from tests.chaos.run import Plan, run
from tests.chaos.table import lines
from tests.support.workers import BRISK

pytestmark = pytest.mark.slow
QUICK = {**BRISK, "shutdown_grace_s": 2.0, "isolated_workers": 2}
NO_FSYNC = {"fsync": "off"}  # processes die here, not machines; recovery is quicker
SEED = 4
OPENING = ("kill a busy worker", "freeze a busy worker past its lease")


@pytest.mark.parametrize("database", ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def test_promises_hold_under_random_faults(database: str) -> None:
    told: list[str] = []
    plan = Plan(
        database,
        seconds=12,
        seed=SEED,
        per_second=10,
        pauses_s=(0.2, 0.8),
        opening=OPENING,
        postgres=NO_FSYNC,
        settings=QUICK,
    )
    report = run(plan, told.append)
    shown = "\n".join([*told, *lines(report)])
    print(shown)
    assert report.violations == [], shown
    assert report.acknowledged, shown
    assert len({strike.fault.name for strike in report.strikes}) >= 5, shown
