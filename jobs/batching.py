"""One call of a handler for a whole batch. What holds for one attempt (``runner``) holds for it: nothing gets out.

Every event is looked at by itself first: one that can never be processed ends alone and is not in the call.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from jobs.context import Context
from jobs.handlers.base import EventHandler
from jobs.runner import Ending, Find, failed_ending, missing_ending, returned_ending
from webapp.domain.events import Event
from webapp.domain.outcomes import Done, Retry
from webapp.domain.transform import transformed
from webapp.store.deliveries import Claimed, Finished


async def run_batch(claimed: Claimed, ctx: Context, find: Find, apart: dict[str, Ending]) -> Ending:
    """Run the handler for ``claimed.members``; ``apart`` is given the endings of those that were not in the call."""
    handler = find(claimed.handler)
    if handler is None:
        return missing_ending(claimed.handler)
    if not handler.batches:
        return takes_no_lists(handler)
    try:
        made = handler(await ctx.prepare(claimed.options, handler))
        ctx.events = await _sound(made, claimed.members, ctx, apart)
        if not ctx.events:
            return Ending(Done())
        return ctx.masked(returned_ending(await made.handle_batch(ctx.events, ctx)))
    except BaseException as error:  # noqa: BLE001  SystemExit and friends must not stop the worker
        return ctx.masked(failed_ending(error))


async def _sound(
    handler: EventHandler, members: Sequence[Claimed], ctx: Context, apart: dict[str, Ending]
) -> list[Event]:
    events = []
    for one in members:
        try:
            event = transformed(one.event, one.transform)
            await handler.check(event, ctx)
        except Exception as error:  # noqa: BLE001  it ends its own delivery, whatever it is
            apart[one.id] = ctx.masked(failed_ending(error))
        else:
            events.append(event)
    return events


def takes_no_lists(handler: type[EventHandler]) -> Ending:
    """The plug-in was changed after the subscription was made."""
    message = f"the handler {handler.name!r} takes no lists: it has no process_batch here"
    return Ending(Retry(reason=message), "HandlerMissing", message, missing=True)


def without_details(ending: Ending) -> Ending:
    """The ending for the others of a batch: result and stack are kept once."""
    return replace(ending, outcome=Done() if isinstance(ending.outcome, Done) else ending.outcome, stack=None)


def due_together(rows: Sequence[Finished]) -> tuple[Finished, ...]:
    """Those that are tried again are due at the same time, so that they are tried together."""
    latest = max((row.settlement.due_at for row in rows if row.settlement.due_at is not None), default=None)
    if latest is None:
        return tuple(rows)
    return tuple(
        row if row.settlement.due_at is None else replace(row, settlement=replace(row.settlement, due_at=latest))
        for row in rows
    )
