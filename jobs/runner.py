"""One attempt: run the handler, and fold whatever happens into something that can be recorded.

No database here, and nothing a handler does may get out as an exception: not a huge text, not a value
that is no JSON, not even ``SystemExit``.
"""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from types import FrameType, TracebackType
from typing import Any

from jobs.context import Context, clean_text
from jobs.handlers.base import OUTCOMES, EventHandler, Permanent
from webapp.domain.ids import made_at
from webapp.domain.lifecycle import CancelEnd, settle, stopped, too_late
from webapp.domain.outcomes import Discard, Done, Outcome, Retry, Snooze
from webapp.domain.retry import RetryPolicy
from webapp.domain.state import Change, Wish, settle_changed
from webapp.domain.transform import TransformFailed, transformed
from webapp.store.deliveries import Claimed, Finished

MAX_MESSAGE_BYTES = 2000
MAX_STACK_BYTES = 16 * 1024
MAX_RESULT_BYTES = 64 * 1024
MAX_FRAMES = 40
_OWN_FILES = frozenset({__file__, EventHandler.handle.__code__.co_filename})

# The same for every success, so it is worked out once: this is the hot path.
SUCCEEDED = settle(Done(), policy=RetryPolicy(), tries_used=0, now=datetime.min.replace(tzinfo=UTC), roll=0.0)

Find = Callable[[str], type[EventHandler] | None]


@dataclass(frozen=True, slots=True)
class Ending:
    """How an attempt ended, before the policy has its say."""

    outcome: Outcome
    error_type: str | None = None
    error_message: str | None = None
    stack: str | None = None
    timed_out: bool = False
    missing: bool = False
    error_names: frozenset[str] = frozenset()  # of the error's class and its bases, for the policy


STOPPED = Ending(Retry(reason="cancelled"))  # it was cancelled and said nothing


async def run_attempt(claimed: Claimed, ctx: Context, find: Find) -> Ending:
    """Run the handler of a claimed delivery. Nothing gets out of here but an ``Ending``."""
    handler = find(claimed.handler)
    if handler is None:
        return missing_ending(claimed.handler)
    try:
        event = transformed(claimed.event, claimed.transform)
        ctx.events = (event,)
        options = await ctx.prepare(claimed.options, handler)
        return ctx.masked(returned_ending(await handler(options).handle(event, ctx)))
    except BaseException as error:  # noqa: BLE001  SystemExit and friends must not stop the worker
        return ctx.masked(failed_ending(error))


def returned_ending(returned: Any) -> Ending:
    """A handler came back. ``Retry`` and ``Discard`` are errors that it chose itself."""
    _check_fields(returned)
    if isinstance(returned, Retry | Discard):
        reason = clean_text(returned.reason or f"the handler returned {type(returned).__name__}", MAX_MESSAGE_BYTES)
        return Ending(returned, error_type=type(returned).__name__, error_message=reason)
    return Ending(returned if isinstance(returned, OUTCOMES) else Done(returned))


def _check_fields(returned: Any) -> None:
    match returned:
        case Snooze():
            checks: list[tuple[object, Any]] = [(returned.delay, timedelta)]
        case Retry():
            checks = [(returned.after, timedelta | None), (returned.retry_after, timedelta | None)]
            checks += [(returned.status, int | None)]
        case _:
            return
    for value, wanted in checks:
        if not isinstance(value, wanted):
            raise TypeError(f"{type(returned).__name__} takes {wanted}, not {type(value).__name__}")


def failed_ending(error: BaseException) -> Ending:
    """A handler raised: ``Retry``, unless it said that no retry can help."""
    message = clean_text(error, MAX_MESSAGE_BYTES)
    outcome = Discard(message) if isinstance(error, Permanent | TransformFailed) else Retry(reason=message)
    return Ending(outcome, type(error).__name__[:200], message, stack_of(error), error_names=names_of(type(error)))


def names_of(error: type[BaseException]) -> frozenset[str]:
    """``ValueError`` and ``builtins.ValueError``, and the same of every base class."""
    classes = [kind for kind in error.__mro__ if kind is not object]
    return frozenset(name for kind in classes for name in (kind.__name__, f"{kind.__module__}.{kind.__qualname__}"))


def timed_out_ending(timeout: timedelta, note: str = "", stack: str | None = None) -> Ending:
    """The attempt was cut off at its deadline."""
    message = f"no result within {timeout.total_seconds():g} s{note}"
    return Ending(
        Retry(reason=message), "TimeoutError", message, stack, timed_out=True, error_names=names_of(TimeoutError)
    )


def missing_ending(name: str) -> Ending:
    """No handler of that name is installed here."""
    message = f"no worker here has a handler named {clean_text(name, 200)!r}; is its plug-in installed?"
    return Ending(Retry(reason=message), "HandlerMissing", message, missing=True)


def too_late_ending(claimed: Claimed, at: datetime) -> Ending | None:
    """A further try that would start too late (it was held, or no worker was free): it is not run."""
    if claimed.tries_used and too_late(at, made_at(claimed.id), claimed.policy):
        message = "the handler was not called"
        return Ending(Retry(reason=message), "TriedTooLate", message)
    return None


def conclude(claimed: Claimed, ending: Ending, started_at: datetime, finished_at: datetime, roll: float) -> Finished:
    """The attempt as it is to be recorded: the outcome settled by the subscription's policy."""
    settlement = (
        SUCCEEDED
        if isinstance(ending.outcome, Done)
        else settle(
            ending.outcome,
            policy=claimed.policy,
            tries_used=claimed.tries_used,
            now=finished_at,
            roll=roll,
            timed_out=ending.timed_out,
            missing=ending.missing,
            error_names=ending.error_names,
            created_at=made_at(claimed.id),
        )
    )
    return Finished(
        claimed=claimed,
        settlement=settlement,
        started_at=started_at,
        finished_at=finished_at,
        error_type=ending.error_type,
        error_message=_with_note(ending.error_message, settlement.note),
        stack=ending.stack,
        result=_result_json(ending.outcome),
    )


def conclude_stopped(
    claimed: Claimed, ending: Ending, how: CancelEnd, started_at: datetime, finished_at: datetime
) -> Finished:
    """The same for an attempt whose cancellation was asked for. An error of its own is kept, the interruption is none."""
    failed = ending.error_type not in (None, "CancelledError")
    error = (ending.error_type, ending.error_message, ending.stack) if failed else (None, None, None)
    return Finished(claimed, stopped(how), started_at, finished_at, *error)


def with_state(finished: Finished, changes: Sequence[Change], roll: float) -> Finished:
    """The same, with what the handler wants to remember. One that failed remembers nothing."""
    if finished.error_type is not None:
        return finished
    claimed, at = finished.claimed, finished.finished_at
    refused = settle(
        Retry(), policy=claimed.policy, tries_used=claimed.tries_used, now=at, roll=roll, created_at=made_at(claimed.id)
    )
    return replace(finished, state=Wish(changes, settle_changed(at, roll), refused))


def _with_note(message: str | None, note: str) -> str | None:
    if not note:
        return message
    return f"{clean_text(message or '', MAX_MESSAGE_BYTES - len(note) - 3)} ({note})".lstrip()


def _result_json(outcome: Outcome) -> str | None:
    """The handler's result as JSON text. What cannot be kept is replaced by a note: the work itself is done."""
    if not isinstance(outcome, Done) or outcome.result is None:
        return None
    try:
        text = json.dumps(outcome.result, ensure_ascii=False, allow_nan=False, default=_plain, separators=(",", ":"))
    except Exception as error:  # noqa: BLE001  any object may be returned, with any __str__
        return _note(f"the result is not JSON: {clean_text(error, 200)}")
    if len(text) > MAX_RESULT_BYTES or len(text.encode("utf-8", "replace")) > MAX_RESULT_BYTES:
        return json.dumps(
            {"note": f"the result had {len(text)} characters; this is its beginning", "beginning": _head(text)},
            ensure_ascii=False,
        )
    return text.encode("utf-8", "replace").decode()


def _head(text: str) -> str:
    return clean_text(text, MAX_RESULT_BYTES // 4)


def _note(text: str) -> str:
    return json.dumps({"note": text}, ensure_ascii=False)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, set | frozenset | tuple):
        return list(value)
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    raise TypeError(f"{type(value).__name__} is no JSON")


def stack_of(error: BaseException) -> str | None:
    """The frames of an error and of what caused it: places only, no messages, the handler's own code first."""
    parts = []
    for depth, link in enumerate(_chain(error)):
        if depth:
            parts.append(f"caused by {type(link).__name__[:200]}:\n")
        parts.extend(_frames(link.__traceback__))
    return clean_text("".join(parts), MAX_STACK_BYTES) or None


def _chain(error: BaseException) -> Iterator[BaseException]:
    link: BaseException | None = error
    for _ in range(5):
        if link is None:
            return
        yield link
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)


def _frames(tb: TracebackType | None) -> list[str]:
    walked = list(traceback.walk_tb(tb))
    if len(walked) > MAX_FRAMES:  # a deep recursion: its beginning and its end
        walked = walked[: MAX_FRAMES // 2] + walked[-MAX_FRAMES // 2 :]
    return _formatted(traceback.StackSummary.extract(iter(walked)))


def frames_of_thread(frame: FrameType) -> str:
    """Where a thread is right now: for a handler that blocks the loop."""
    walked = list(traceback.walk_stack(frame))[:MAX_FRAMES]
    return clean_text("".join(_formatted(traceback.StackSummary.extract(reversed(walked)))), MAX_STACK_BYTES)


def _formatted(summary: traceback.StackSummary) -> list[str]:
    """Without the frames of the hub itself, unless there are no others."""
    shown = [frame for frame in summary if frame.filename not in _OWN_FILES and "/asyncio/" not in frame.filename]
    return traceback.StackSummary.from_list(shown or list(summary)).format()
