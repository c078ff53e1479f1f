"""What the beat does beside its pulse."""

from __future__ import annotations

import pytest

from jobs.errands import Errands
from tests.services.test_bulk import make_many, operation, start
from tests.support.clock import Clock
from tests.support.servers import wait_until
from webapp.domain.access import Actor
from webapp.domain.errors import Unavailable
from webapp.runtime import Runtime
from webapp.services import bulk_work


def test_bulk_operations_are_worked_on_until_they_are_done(sqlite_rt: Runtime, clock: Clock, operator: Actor) -> None:
    make_many(sqlite_rt, clock, 3, state="dead")
    made = start(sqlite_rt, operator, "retry")
    errands = Errands(sqlite_rt, "beat-1")
    errands.start()
    wait_until(lambda: operation(sqlite_rt, made).state == "done", 10, "the operation is done")
    errands.stop()
    assert operation(sqlite_rt, made).done == 3


@pytest.mark.parametrize("error", [Unavailable("down"), RuntimeError("no such luck")])
def test_a_round_that_fails_is_not_the_last(
    sqlite_rt: Runtime, clock: Clock, operator: Actor, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    make_many(sqlite_rt, clock, 1, state="dead")
    made, errands = start(sqlite_rt, operator, "retry"), Errands(sqlite_rt, "beat-1")

    def fails(*_: object) -> bool:
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(bulk_work, "advance", fails)
        assert not errands.round()
    while errands.round():
        pass
    assert operation(sqlite_rt, made).state == "done"
