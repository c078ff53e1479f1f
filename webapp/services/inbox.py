"""What a user does with notifications: read, archive, snooze, take care of one, say which are wanted.

What concerns nobody else is not audited; that somebody takes care of one is seen by all, so it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from webapp.domain.access import Actor
from webapp.domain.errors import Conflict, Fault, NotFound, Refused
from webapp.domain.notices import KINDS, Preferences, parse_preferences
from webapp.live import NotificationCreated
from webapp.runtime import Runtime
from webapp.services import trail
from webapp.store import inbox
from webapp.store.audit import Target
from webapp.store.feed_notifications import NotificationRow, find_notification, newest_id
from webapp.store.notifications import acknowledge as note_acknowledged

SNOOZES = {"1h": timedelta(hours=1), "4h": timedelta(hours=4), "1d": timedelta(days=1), "7d": timedelta(days=7)}


def mark_all_read(rt: Runtime, actor: Actor) -> int:
    """Every notification that is shown now is read; answers how many were not."""
    with rt.db.write() as conn:
        return inbox.read_all(conn, actor.id, newest_id(conn, actor.id), rt.clock())


def move(rt: Runtime, actor: Actor, notification_id: str, state: str) -> None:
    """To ``read``, ``unread`` or ``archived``; nothing happens to one that is there already."""
    _get(rt, actor, notification_id)
    with rt.db.write() as conn:
        inbox.move(conn, actor.id, notification_id, state)


def snooze(rt: Runtime, actor: Actor, notification_id: str, stretch: str) -> None:
    """Out of sight for 1h, 4h, 1d or 7d."""
    if stretch not in SNOOZES:
        raise Refused("invalid-snooze", "Snooze for 1h, 4h, 1d or 7d.", faults=[Fault("/for", "unknown", "Unknown.")])
    _get(rt, actor, notification_id)
    with rt.db.write() as conn:
        if not inbox.snooze(conn, actor.id, notification_id, rt.clock() + SNOOZES[stretch]):
            raise Conflict("It is archived.")


def acknowledge(rt: Runtime, actor: Actor, notification_id: str) -> None:
    """Say to everybody that one takes care of it."""
    actor.must("operate")
    found = _get(rt, actor, notification_id)
    with rt.db.write() as conn:
        if not note_acknowledged(conn, notification_id, by=actor.name, at=rt.clock()):
            raise Conflict("Somebody takes care of it already.")
        inbox.move(conn, actor.id, notification_id, "read")
        target = Target("notification", notification_id, found.title)
        trail.leave(rt, conn, actor, "notification.acknowledged", target)
    rt.live.tell(NotificationCreated(notification_id, found.severity))


def mute(rt: Runtime, actor: Actor, *, kind: str = "", subscription_id: str = "", off: bool = False) -> Preferences:
    """Hear no more of that kind, or of that subscription; or again with ``off``."""
    wanted = get_preferences(rt, actor)
    if kind in KINDS:
        changed = replace(wanted, muted_kinds=_without(wanted.muted_kinds, kind, off))
    else:
        changed = replace(wanted, muted_subscriptions=_without(wanted.muted_subscriptions, subscription_id, off))
    return set_preferences(rt, actor, changed.to_json())


def get_preferences(rt: Runtime, actor: Actor) -> Preferences:
    """Of that user."""
    with rt.db.read() as conn:
        return Preferences.from_json(inbox.read_preferences(conn, actor.id))


def set_preferences(rt: Runtime, actor: Actor, document: Mapping[str, Any]) -> Preferences:
    """Raises ``Refused`` with every fault."""
    wanted = parse_preferences(document)
    with rt.db.write() as conn:
        inbox.write_preferences(conn, actor.id, wanted.to_json(), rt.clock())
    return wanted


def wake(rt: Runtime) -> int:
    """Show again what was snoozed until now; answers how many."""
    with rt.db.read() as conn:
        if not inbox.any_snoozed_until(conn, rt.clock()):
            return 0
    with rt.db.write() as conn:
        woken = inbox.wake(conn, rt.clock())
    rt.live.tell(*(NotificationCreated(one, "") for one in woken))
    return len(woken)


def _get(rt: Runtime, actor: Actor, notification_id: str) -> NotificationRow:
    with rt.db.read() as conn:
        found = find_notification(conn, actor.id, notification_id)
    if found is None:
        raise NotFound("There is no such notification.")
    return found


def _without(names: tuple[str, ...], name: str, off: bool) -> tuple[str, ...]:
    rest = tuple(one for one in names if one != name)
    return rest if off else (*rest, name)
