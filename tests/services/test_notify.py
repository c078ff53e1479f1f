"""Telling people: who is told, what is summed up, what is pushed; on both databases, with a push service that reads it."""

from __future__ import annotations

import asyncio
import base64
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import http_ece
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from py_vapid import Vapid02

from jobs.postman import Postman
from tests.support.clock import Clock
from tests.support.factories import rows_of
from tests.support.receivers import receiver
from webapp.domain.access import SYSTEM, Actor
from webapp.domain.errors import NotFound, Refused
from webapp.runtime import Runtime
from webapp.services import digests, inbox, pushes
from webapp.services.accounts import create_user
from webapp.services.notify import notify
from webapp.store import tables
from webapp.store.feed_notifications import list_notifications
from webapp.store.notifications import KEPT, drop_old_notifications

AUTH = b"sixteen bytes ok"


@pytest.fixture
def ada(rt: Runtime) -> Actor:
    return Actor("user", create_user(rt, SYSTEM, "ada", "correct horse battery", "admin"), "ada", "admin")


def _titles(rt: Runtime, actor: Actor, view: str = "") -> list[str]:
    with rt.db.read() as conn:
        return [row.title for row in list_notifications(conn, actor.id, rt.clock(), view=view).rows]


def _sends(rt: Runtime, channel: str) -> list[Any]:
    return [row for row in rows_of(rt, tables.notification_sends) if row.channel == channel]


class Browser:
    """The keys of a browser that takes pushes."""

    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())

    def document(self, endpoint: str) -> dict[str, Any]:
        point = self.key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        return {"endpoint": endpoint, "keys": {"p256dh": _text(point), "auth": _text(AUTH)}}

    def read(self, body: bytes) -> dict[str, Any]:
        opened = http_ece.decrypt(body, private_key=self.key, auth_secret=AUTH, version="aes128gcm")
        found: dict[str, Any] = json.loads(opened)
        return found


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _private(rt: Runtime) -> Runtime:
    """The same, allowed to call this machine."""
    rt.settings = replace(rt.settings, allow_private_addresses=True)
    return rt


async def _round(rt: Runtime) -> None:
    await asyncio.to_thread(Postman(rt).round)


def test_snoozed_ones_come_back(rt: Runtime, ada: Actor, clock: Clock) -> None:
    made = notify(rt, "error", "Refused")
    inbox.snooze(rt, ada, made, "1h")
    inbox.mark_all_read(rt, ada)
    assert (_titles(rt, ada), inbox.wake(rt)) == ([], 0)
    clock.advance(hours=1)
    assert inbox.wake(rt) == 1
    assert _titles(rt, ada, "unread") == ["Refused"]
    with pytest.raises(NotFound):
        inbox.snooze(rt, ada, "ntf_none", "1h")


def test_digest_is_one_notification_for_many(rt: Runtime, ada: Actor, clock: Clock) -> None:
    inbox.set_preferences(rt, ada, {"digest": "hourly"})
    for n in range(3):
        notify(rt, "warning" if n else "info", f"Notice {n}")
    notify(rt, "error", "At once")
    assert _titles(rt, ada, "unread") == ["At once"]
    assert digests.send_due(rt) == 0
    clock.advance(hours=1)
    assert digests.send_due(rt) == 1
    assert digests.send_due(rt) == 0
    assert _titles(rt, ada, "unread") == ["Summary: 2 warnings, 1 notice", "At once"]
    assert {row.state for row in _sends(rt, "digest")} == {"sent"}


def test_muted_is_logged_as_muted(rt: Runtime, ada: Actor) -> None:
    inbox.mute(rt, ada, subscription_id="sub_1")
    notify(rt, "error", "Loud", subscription_id="sub_2")
    notify(rt, "error", "Muted", subscription_id="sub_1")
    assert _titles(rt, ada) == ["Loud"]
    assert sorted(row.state for row in _sends(rt, "inbox")) == ["muted", "sent"]


def test_old_notifications_are_dropped_with_their_inbox_rows(rt: Runtime, ada: Actor, clock: Clock) -> None:
    notify(rt, "error", "Old")
    clock.advance(seconds=(KEPT + timedelta(days=1)).total_seconds())
    notify(rt, "error", "New")
    with rt.db.write() as conn:
        drop_old_notifications(conn, rt.clock())
    assert _titles(rt, ada) == ["New"]
    assert len(rows_of(rt, tables.notifications)) == len(rows_of(rt, tables.inbox)) == 1


def test_push_is_read_by_its_browser_alone_and_signed(rt: Runtime, ada: Actor, clock: Clock) -> None:
    async def scenario() -> tuple[list[Any], str]:
        async with receiver(status=201) as service:
            pushes.subscribe(_private(rt), ada, browser.document(service.url), "Chromium")
            notify(rt, "error", "Paid <b>", "a body that stays here", link="/events/evt_1")
            notify(rt, "info", "Not by push")
            await _round(rt)
            await _round(rt)
            return service.seen, service.url

    browser = Browser()
    seen, url = asyncio.run(scenario())
    [(method, headers, body)] = seen
    told = browser.read(body)
    assert (method, told["title"], told["link"]) == ("POST", "Paid <b>", "/events/evt_1")
    assert set(told) == {"id", "title", "link"}
    assert Vapid02.verify(headers["Authorization"])
    assert pushes.public_key(rt) in headers["Authorization"]
    assert [row.state for row in _sends(rt, "push")] == ["sent"]
    [kept] = rows_of(rt, tables.push_subscriptions)
    assert url.encode() not in kept.sealed


@pytest.mark.parametrize(
    ("status", "state", "left"), [(410, "gone", 0), (404, "gone", 0), (400, "failed", 1), (503, "due", 1)]
)
def test_push_service_that_refuses(rt: Runtime, ada: Actor, status: int, state: str, left: int) -> None:
    async def scenario() -> None:
        async with receiver(status=status) as service:
            pushes.subscribe(_private(rt), ada, Browser().document(service.url), "Chromium")
            notify(rt, "error", "Refused")
            await _round(rt)

    asyncio.run(scenario())
    [sent] = _sends(rt, "push")
    assert sent.state == state
    assert str(status) in sent.error
    assert len(rows_of(rt, tables.push_subscriptions)) == left


def test_push_goes_to_public_addresses_only(rt: Runtime, ada: Actor) -> None:
    with pytest.raises(Refused):
        pushes.subscribe(rt, ada, Browser().document("http://127.0.0.1:9/hook"), "Chromium")
    pushes.subscribe(rt, ada, Browser().document("https://127.0.0.1:9/hook"), "Chromium")
    notify(rt, "error", "Refused")
    Postman(rt).round()
    [sent] = _sends(rt, "push")
    assert sent.state == "failed"
    assert "not a public address" in sent.error


def test_pushes_of_quiet_hours_are_told_together_when_they_end(rt: Runtime, ada: Actor, clock: Clock) -> None:
    begin, end = clock.now - timedelta(hours=1), clock.now + timedelta(hours=1)
    inbox.set_preferences(rt, ada, {"quiet_from": f"{begin:%H:%M}", "quiet_until": f"{end:%H:%M}"})
    pushes.subscribe(_private(rt), ada, Browser().document("https://push.example/1"), "Chromium")
    notify(rt, "error", "First")
    notify(rt, "error", "Second")
    assert pushes.take_due(rt) == []
    clock.advance(hours=1)
    [parcel] = pushes.take_due(rt)
    assert json.loads(parcel.text)["title"] == "2 notifications, 2 of them errors"
    assert pushes.take_due(rt) == []  # leased


def test_key_of_pushes_is_made_at_the_start_and_of_many_starts_one_wins(rt: Runtime) -> None:
    with pytest.raises(Refused):
        pushes.public_key(rt)
    with ThreadPoolExecutor(4) as starts:
        list(starts.map(lambda _: Postman(rt).round(), range(4)))
    first = pushes.public_key(rt)
    pushes.ensure_key(rt)
    assert pushes.public_key(rt) == first
    [row] = rows_of(rt, tables.push_keys)
    assert b"PRIVATE KEY" not in row.sealed
    point = pushes.private_key(rt).public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    assert _text(point) == first
