"""A lively half minute: orders, sign-ups and deploys, some failing, some slow. For people who meet the hub.

It goes through the same door as everybody else. Its subscriptions stay; what people changed in them is kept.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from webapp.domain.access import Actor
from webapp.domain.events import parse_event
from webapp.domain.retry import RetryPolicy
from webapp.domain.subscriptions import SubscriptionDraft
from webapp.runtime import Runtime
from webapp.services import subscriptions
from webapp.services.accept import Acceptor
from webapp.store.subscriptions import list_subscriptions

LENGTH_S = 30.0
PLAYER = Actor(kind="system", id="demo", name="demo", role="operator")
QUICK = RetryPolicy(max_attempts=4, base_s=2, factor=2, cap_s=10)
PEOPLE = ("ada", "grace", "alan", "edsger", "barbara", "donald", "radia", "ken")
SERVICES = ("checkout", "search", "billing", "mail")


def _rule(name: str, pattern: str, handler: str, **more: Any) -> SubscriptionDraft:
    return SubscriptionDraft(**{"name": name, "pattern": pattern, "handler": handler, "condition": None, **more})


RULES = (
    _rule("Demo: receipts", "order.paid", "demo.receipt", retry=QUICK),
    _rule(
        "Demo: tell of big orders",
        "order.paid",
        "notify",
        condition={"field": "data.amount", "op": "gt", "value": 500},
        options={"severity": "success", "title": "Big order: {data.amount} EUR", "body": "{data.customer} ordered"},
    ),
    _rule(
        "Demo: tell of deploys",
        "deploy.finished",
        "notify",
        options={"severity": "info", "title": "{data.service} {data.version} is live", "body": "In {data.environment}"},
    ),
    _rule(
        "Demo: tell of leavers",
        "user.deleted",
        "notify",
        options={"severity": "warning", "title": "{data.name} left", "body": "The reason: {data.reason}"},
    ),
    _rule("Demo: monthly invoices", "invoice.requested", "demo.render", options={"steps": 24}),
    _rule("Demo: welcome mail", "user.*", "demo.flaky", retry=QUICK),
    _rule("Demo: watch deploys", "deploy.started", "demo.deploy", retry=QUICK),
    _rule("Demo: journal", "deploy.*", "log"),
)


@dataclass(frozen=True, slots=True)
class Cue:
    """An event of the play and when it comes, in seconds."""

    at: float
    type: str
    source: str
    payload: dict[str, Any]
    labels: dict[str, str]


def play(rt: Runtime, *, pace: float = 1.0, sleep: Callable[[float], None] = time.sleep) -> int:
    """Make what subscriptions are missing, then send the events, each in its time; answers how many."""
    prepare(rt)
    acceptor = Acceptor(rt)
    run = rt.new_id("run")
    passed = 0.0
    cues = sorted(_cues(), key=lambda cue: cue.at)
    for cue in cues:
        sleep(max(0.0, cue.at - passed) * pace)
        passed = cue.at
        document = {
            "type": cue.type,
            "payload": cue.payload,
            "labels": cue.labels | {"demo": "true"},
            "correlation_id": run,
        }
        acceptor.accept(parse_event(document, default_source=cue.source, now=rt.clock()), PLAYER)
    return len(cues)


def prepare(rt: Runtime) -> list[str]:
    """Create the demo's subscriptions that are not there; answers the names of the new ones."""
    with rt.db.read() as conn:
        known = {row.name for row in list_subscriptions(conn)}
    missing = [rule for rule in RULES if rule.name not in known]
    for rule in missing:
        subscriptions.create(rt, PLAYER, rule)
    return [rule.name for rule in missing]


def _cues() -> Iterator[Cue]:
    yield from _orders()
    yield from _sign_ups()
    yield from _deploys()
    yield Cue(1.0, "invoice.requested", "accounting", {"month": "2026-10", "customers": 24}, {"team": "finance"})
    yield Cue(12.0, "invoice.requested", "accounting", {"month": "2026-11", "customers": 31}, {"team": "finance"})
    yield Cue(9.0, "sensor.reading", "warehouse", {"temperature": 21.5}, {})  # nobody subscribed to this one


def _orders() -> Iterator[Cue]:
    for n in range(24):
        amount = round(12.5 + (n * 37) % 240 + n * 0.35, 2)
        if n in (7, 16):
            amount += 600  # somebody furnishes an office
        payload: dict[str, Any] = {"order_id": f"{88200 + n}", "amount": amount, "currency": "EUR",
                                   "customer": PEOPLE[n % len(PEOPLE)], "items": 1 + n % 4}  # fmt: skip
        if n == 10:
            del payload["amount"]  # a broken checkout: refused for good by the receipts
        yield Cue(0.3 + n * 1.15, "order.paid", "shop", payload, {"channel": "web" if n % 3 else "app"})


def _sign_ups() -> Iterator[Cue]:
    for n, person in enumerate(PEOPLE):
        payload = {"name": person, "email": f"{person}@example.com", "plan": "team" if n % 3 == 0 else "free"}
        yield Cue(0.8 + n * 3.3, "user.created", "accounts", payload, {})
    yield Cue(LENGTH_S - 2, "user.deleted", "accounts", {"name": "mallory", "reason": "asked to"}, {})


def _deploys() -> Iterator[Cue]:
    for n, service in enumerate(SERVICES):
        at = 3.0 + n * 6.5
        payload = {
            "service": service,
            "version": f"2.{n}.1",
            "environment": "production",
            "broken": service == "billing",
        }
        yield Cue(at, "deploy.started", "ci", payload, {"team": "platform"})
        if service != "billing":
            yield Cue(at + 3.0, "deploy.finished", "ci", payload, {"team": "platform"})
