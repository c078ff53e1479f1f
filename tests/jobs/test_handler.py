"""``EventHandler.handle``: validate, process, cleanup; and what becomes of what they return and raise."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from jobs.handlers import Context, Done, Event, EventHandler, Invalid, Outcome, Skip
from tests.support.attempts import EVENT, Notes


class Steps(EventHandler):
    """Notes the order of its steps; fails where it is told to."""

    name = "t.steps"
    returns: Any = None
    fails: str = ""
    error: type[BaseException] = RuntimeError

    def __init__(self, options: Any = None) -> None:
        super().__init__(options)
        self.steps: list[str] = []

    def _step(self, name: str) -> None:
        self.steps.append(name)
        if name in self.fails.split():
            raise self.error(f"{name} failed")

    async def validate(self, event: Event, ctx: Context) -> None:
        self._step("validate")

    async def process(self, event: Event, ctx: Context) -> Any:
        self._step("process")
        return self.returns

    async def cleanup(self, event: Event, ctx: Context) -> None:
        self._step("cleanup")


def handle(handler: EventHandler, notes: Notes | None = None) -> Outcome:
    return asyncio.run(handler.handle(EVENT, (notes or Notes()).context()))


def test_handle_runs_validate_then_process_then_cleanup() -> None:
    handler = Steps()
    assert handle(handler) == Done(None)
    assert handler.steps == ["validate", "process", "cleanup"]


@pytest.mark.parametrize(
    ("returned", "outcome"), [({"n": 1}, Done({"n": 1})), (Skip("no"), Skip("no")), (False, Done(False))]
)
def test_handle_makes_an_outcome_of_what_process_returns(returned: Any, outcome: Outcome) -> None:
    handler = Steps()
    handler.returns = returned
    assert handle(handler) == outcome


@pytest.mark.parametrize("step", ["validate", "process"])
@pytest.mark.parametrize("error", [RuntimeError, SystemExit, asyncio.CancelledError])
def test_cleanup_runs_when_a_step_fails(step: str, error: type[BaseException]) -> None:
    handler = Steps()
    handler.fails, handler.error = step, error
    with pytest.raises(error):
        handle(handler)
    assert handler.steps[-1] == "cleanup"


def test_value_error_of_validate_is_permanent() -> None:
    handler = Steps()
    handler.fails, handler.error = "validate", ValueError
    with pytest.raises(Invalid, match="validate failed"):
        handle(handler)


def test_failure_of_cleanup_is_told_but_hides_nothing(caplog: pytest.LogCaptureFixture) -> None:
    notes, handler = Notes(), Steps()
    handler.fails = "cleanup"
    context = notes.context()
    with caplog.at_level(logging.ERROR):
        assert asyncio.run(handler.handle(EVENT, context)) == Done(None)
    assert "cleanup failed" in context.take()[0][0][2]
    assert "cleanup of t.steps failed" in caplog.text


def test_failure_of_process_is_not_masked_by_cleanup() -> None:
    handler = Steps()
    handler.fails = "process cleanup"
    with pytest.raises(RuntimeError, match="process failed"):
        handle(handler)


def test_options_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        Steps({"a": 1}).options["a"] = 2  # type: ignore[index]
