"""Telling people: a notification is stored, then browsers are told that there is one."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any, Literal
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from webapp.domain.errors import HubError
from webapp.domain.notices import Preferences, hub_path
from webapp.domain.preferences import read_preferences
from webapp.domain.reach import Reach, reach_of
from webapp.live import Fact, NotificationCreated
from webapp.runtime import Runtime
from webapp.store.mails import addresses_of
from webapp.store.notifications import add_notification, add_sends, browsers_of, list_listeners, put_into_inboxes

log = logging.getLogger(__name__)

Severity = Literal["info", "success", "warning", "error"]


@dataclass(frozen=True, slots=True)
class Places:
    """Where users are reached outside of the hub, by user: their browsers, and their mail address."""

    browsers: Mapping[str, Sequence[str]]
    addresses: Mapping[str, str]


def notify(
    rt: Runtime,
    severity: Severity,
    title: str,
    body: str = "",
    *,
    kind: str = "handler",
    link: str | None = None,
    event_uid: str | None = None,
    subscription_id: str | None = None,
    delivery_id: str | None = None,
    dedupe_key: str | None = None,
) -> str:
    """Store a notification, put it into the inboxes of whoever wants it, and tell browsers; answers its id.

    ``kind`` is one of ``domain.notices.KINDS``, ``link`` a path of the hub. Within an hour, notifications with
    the same ``dedupe_key`` are counted on the first one instead of piling up.
    """
    row = _row(rt, severity, title, body, kind, link, dedupe_key) | {
        "event_uid": event_uid,
        "subscription_id": subscription_id,
        "delivery_id": delivery_id,
    }
    with rt.db.write() as conn:
        added = add_notification(conn, row)
        if added.fresh:
            put_out(rt, conn, row, list_listeners(conn))
    if added.changed:
        rt.live.tell(NotificationCreated(added.id, severity))
    return added.id


def notify_one(
    rt: Runtime,
    conn: Connection,
    user_id: str,
    severity: Severity,
    title: str,
    body: str = "",
    *,
    kind: str,
    link: str,
    dedupe_key: str,
) -> list[Fact]:
    """The same for one user alone, in the transaction of what it tells of; answers what to tell browsers after it."""
    row = _row(rt, severity, title, body, kind, link, dedupe_key)
    added = add_notification(conn, row)
    if added.fresh:
        put_out(rt, conn, row, [one for one in list_listeners(conn) if one.id == user_id])
    return [NotificationCreated(added.id, severity)] if added.changed else []


def _row(
    rt: Runtime, severity: Severity, title: str, body: str, kind: str, link: str | None, dedupe_key: str | None
) -> dict[str, Any]:
    if link is not None and hub_path(link) is None:
        raise ValueError("a notification links to a path of the hub")
    return {
        "id": rt.new_id("ntf"),
        "at": rt.clock(),
        "severity": severity,
        "kind": kind,
        "title": title[:200],
        "body": body[:2000],
        "link": link,
        "dedupe_key": dedupe_key,
    }


def put_out(rt: Runtime, conn: Connection, row: Mapping[str, Any], listeners: Iterable[Any]) -> None:
    """Into the inboxes of those who want it, and into the log what becomes of it for each."""
    places = Places(browsers_of(conn), addresses_of(conn) if rt.settings.smtp_url else {})
    entries, sends = [], []
    for user in listeners:
        reach = _reach(user, row)
        if not reach.muted:
            state = "unread" if reach.unread else "read"
            entries.append(
                {
                    "user_id": user.id,
                    "notification_id": row["id"],
                    "state": state,
                    "toast": reach.toast,
                    "browser": reach.browser,
                }
            )
        sends += _sends(rt, user.id, row, reach, places)
    put_into_inboxes(conn, entries)
    add_sends(conn, sends)


def _reach(user: Any, row: Mapping[str, Any]) -> Reach:
    return reach_of(
        Preferences.from_json(user.document),
        _zone(user.preferences),
        kind=row["kind"],
        severity=row["severity"],
        subscription_id=row.get("subscription_id"),
        now=row["at"],
    )


def _zone(chosen: Mapping[str, Any] | None) -> tzinfo:
    """Of the user's account."""
    return ZoneInfo(read_preferences(chosen or {}).zone)


def _sends(rt: Runtime, user_id: str, row: Mapping[str, Any], reach: Reach, places: Places) -> list[dict[str, Any]]:
    """For the log: the inbox at once; pushes, mail and the summary when they are due."""
    same = {"at": row["at"], "user_id": user_id, "notification_id": row["id"], "target": None, "due_at": None}
    kept = {"channel": "inbox", "state": "muted" if reach.muted else "sent", "sent_at": row["at"]}
    found: list[dict[str, Any]] = [same | kept]
    if reach.digest_at is not None:
        found.append(same | {"channel": "digest", "state": "due", "due_at": reach.digest_at, "sent_at": None})
    if reach.push_at is not None:
        due = {"channel": "push", "state": "due", "due_at": reach.push_at, "sent_at": None}
        found += [same | due | {"target": target} for target in places.browsers.get(user_id, ())]
    if reach.email_at is not None and user_id in places.addresses:
        due = {"channel": "email", "state": "due", "due_at": reach.email_at, "sent_at": None}
        found.append(same | due | {"target": places.addresses[user_id]})
    return [{"id": rt.new_id("snd"), **send} for send in found]


def warn_of_loop(rt: Runtime, event: Mapping[str, Any]) -> None:
    """Events that cause one another without end: this one was stored, its deliveries are held for a person to judge."""
    log.warning(
        "%s was held: %d events caused one another", event["uid"], event["depth"],
        extra={"action": "loop_held", "event_uid": event["uid"]},
    )  # fmt: skip
    body = f"{event['depth']} events caused one another, one after the other. Release or cancel the deliveries of the last."
    link, key = f"/events/{event['uid']}", f"loop:{event['type']}"[:200]
    try:
        notify(
            rt,
            "warning",
            f"A loop of {event['type']} was stopped",
            body,
            kind="loop_held",
            link=link,
            event_uid=event["uid"],
            dedupe_key=key,
        )
    except HubError as error:  # the event is stored and held; that counts
        log.warning("nobody could be told of the loop: %s", error)
