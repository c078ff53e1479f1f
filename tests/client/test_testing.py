"""The handler kit: functions as handlers, clients that are lent, payload models, and running all that without a hub."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar

import pytest
from pydantic import BaseModel, Field

from examples.shop_handlers import SendReceipt
from jobs.handlers import Context, Depends, Discard, Done, Event, EventHandler, Retry, Skip, handler
from jobs.registry import Registry
from jobs.resources import Resources
from signalbox.testing import event, load, run


class Line(BaseModel):
    sku: str
    count: int = Field(ge=1)


class Order(BaseModel):
    order: int
    lines: list[Line] = []


class Options(BaseModel):
    currency: str = "EUR"
    limit: int | None = Field(default=None, ge=0)


class Mailer:
    def __init__(self) -> None:
        self.sent: list[str] = []
        self.closed = False


MADE: list[Mailer] = []


async def mailer() -> AsyncIterator[Mailer]:
    MADE.append(Mailer())
    yield MADE[-1]
    MADE[-1].closed = True


@handler("t.receipt")
async def receipt(order: Order, options: Options, ctx: Context, mail: Annotated[Mailer, Depends(mailer)]) -> str:
    """Sends a receipt."""
    mail.sent.append(f"{order.order} {options.currency}")
    ctx.log(f"{len(order.lines)} lines")
    ctx.progress(1, 1)
    return f"R-{order.order}"


class Count(EventHandler):
    """The class form of the same."""

    name = "t.count"
    payload_model = Order
    requires: ClassVar = {"mail": mailer}
    mail: Mailer

    async def process(self, event: Event, ctx: Context) -> int:
        order: Order = self.payload(event)
        self.mail.sent.append("x")
        await ctx.state.increment("orders")
        await ctx.notify("info", f"Order {order.order}")
        await ctx.publish({"type": "order.counted"})
        return len(order.lines)


GOOD = {"order": 7, "lines": [{"sku": "a", "count": 2}]}


def test_function_is_given_what_it_asks_for() -> None:
    mail = Mailer()
    result = run(receipt, event("order.paid", GOOD), options={"currency": "USD"}, resources={mailer: mail})
    assert result.succeeded, result.error
    assert (result.returned, mail.sent) == ("R-7", ["7 USD"])
    assert (result.logs, result.progress) == ([("info", "1 lines")], (1.0, 1.0, None))


def test_function_is_a_handler_that_the_registry_takes() -> None:
    registry = Registry()
    registry.add(receipt, "tests")
    assert registry.problems == []
    assert receipt.description == "Sends a receipt."
    assert receipt.options_schema["properties"]["limit"]["type"] == ["integer", "null"]
    assert receipt.options_schema["properties"]["currency"] == {"default": "EUR", "type": "string"}


def test_class_is_given_the_same() -> None:
    result = run(Count, event("order.paid", GOOD), resources={mailer: Mailer()}, state={"orders": 4})
    assert (result.returned, result.state) == (1, {"orders": 5})
    assert result.notifications[0]["title"] == "Order 7"
    assert result.published == [{"id": "dlv_1.1", "type": "order.counted"}]


@pytest.mark.parametrize("kind", [receipt, Count])
def test_payload_that_does_not_fit_is_invalid_with_pointers_and_without_its_values(kind: type[EventHandler]) -> None:
    bad = {"order": "hunter2", "lines": [{"sku": "a", "count": 0}]}
    result = run(kind, event("order.paid", bad), resources={mailer: Mailer()})
    assert isinstance(result.outcome, Discard)
    assert result.error is not None
    assert "/payload/order: " in result.error
    assert "/payload/lines/0/count: " in result.error
    assert "hunter2" not in result.error


def test_plain_function_runs_in_a_thread() -> None:
    @handler("t.plain")
    def plain(event: Event, options: Any) -> Any:
        with pytest.raises(RuntimeError):
            asyncio.get_running_loop()
        return {"type": event.type, "options": dict(options)}

    assert run(plain, event("a.b"), options={"x": 1}).returned == {"type": "a.b", "options": {"x": 1}}


def test_function_of_a_list_is_a_handler_of_batches() -> None:
    @handler("t.list")
    async def many(events: Sequence[Event]) -> int:
        return len(events)

    assert many.batches
    assert run(many, event("a.b")).returned == 1


@pytest.mark.parametrize("bad", ["unknown", "both"])
def test_function_that_asks_for_what_nobody_has_is_an_error_at_once(bad: str) -> None:
    async def unknown(database: str) -> None: ...

    async def both(event: Event, events: Sequence[Event]) -> None: ...

    with pytest.raises(TypeError):
        handler("t.bad")({"unknown": unknown, "both": both}[bad])


@pytest.mark.parametrize(
    ("raised", "outcome", "name"),
    [(KeyError("x"), Retry, "KeyError"), (Skip("no"), Skip, None)],
    ids=["raises", "skips"],
)
def test_ending_is_that_of_a_worker(raised: Any, outcome: type, name: str | None) -> None:
    @handler("t.ends")
    async def ends(event: Event) -> Any:
        if isinstance(raised, Exception):
            raise raised
        return raised

    result = run(ends, event())
    assert isinstance(result.outcome, outcome)
    assert result.error_type == name


def test_time_limit_holds_and_secrets_are_hidden() -> None:
    @handler("t.slow")
    async def slow(ctx: Context, options: Any) -> None:
        ctx.log(f"with {options['token']}")
        await asyncio.sleep(60)

    result = run(
        slow, event(), options={"token": "Bearer {secret.api}"}, secrets={"api": "s3cr3t-value"}, timeout_s=0.1
    )
    assert result.error_type == "TimeoutError"
    assert "s3cr3t-value" not in result.logs[0][1]
    assert run(slow, event(), options={"token": "{secret.none}"}).error_type == "SecretMissing"


def test_handler_of_a_plug_in_is_tried_with_a_transform() -> None:
    result = run(
        SendReceipt,
        event("order.paid", {"to": "ada@example.com"}),
        transform={"payload": {"customer_email": "{data.to}"}},
        options={"outbox": "/tmp"},
    )
    assert result.succeeded, result.error


def test_event_is_loaded_as_the_api_gives_it() -> None:
    loaded = load(
        '{"id": "o-1", "type": "order.paid", "payload": {"a": 1}, "timestamp": "2026-03-02T12:00:00.000Z", "source": "shop", "version": 2, "status": "failed"}'
    )
    assert (loaded.id, loaded.payload, loaded.version) == ("o-1", {"a": 1}, 2)
    assert loaded.timestamp == datetime(2026, 3, 2, 12, tzinfo=UTC)


# Clients that are lent


def test_client_is_made_once_lent_to_all_and_closed_with_the_worker() -> None:
    async def lend() -> None:
        MADE.clear()
        resources = Resources()
        first, second = await asyncio.gather(resources.get(mailer), resources.get(mailer))
        assert first is second
        assert len(MADE) == 1
        await resources.close()
        assert MADE[0].closed

    asyncio.run(lend())


def test_client_that_could_not_be_made_is_tried_anew() -> None:
    tries = 0

    @asynccontextmanager
    async def moody() -> AsyncIterator[int]:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise ConnectionRefusedError("not yet")
        yield tries

    async def lend() -> None:
        resources = Resources()
        with pytest.raises(ConnectionRefusedError):
            await resources.get(moody)
        assert await resources.get(moody) == 2
        await resources.close()

    asyncio.run(lend())


def test_attempt_that_is_cut_off_while_it_waits_spoils_the_client_for_nobody() -> None:
    opened = asyncio.Event()

    async def slow() -> AsyncIterator[str]:
        await opened.wait()
        yield "client"

    async def lend() -> None:
        resources = Resources()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await resources.get(slow)
        opened.set()
        assert await resources.get(slow) == "client"
        await resources.close()

    asyncio.run(lend())


def test_done_keeps_the_value() -> None:
    @handler("t.done")
    async def done() -> Done:
        return Done({"n": 1})

    assert run(done, event()).returned == {"n": 1}
