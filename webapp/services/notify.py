"""Telling people: a notification is stored, then browsers are told that there is one."""

from __future__ import annotations

from typing import Literal

from webapp.live import NotificationCreated
from webapp.runtime import Runtime
from webapp.store.notifications import add_notification

Severity = Literal["info", "success", "warning", "error"]


def notify(
    rt: Runtime,
    severity: Severity,
    title: str,
    body: str = "",
    *,
    link: str | None = None,
    event_uid: str | None = None,
    dedupe_key: str | None = None,
) -> str:
    """Store a notification and tell browsers; answers its id.

    ``link`` is a path of the hub. Within an hour, notifications with the same ``dedupe_key`` are counted
    on the first one instead of piling up.
    """
    if link is not None and (not link.startswith("/") or link.startswith("//")):
        raise ValueError("a notification links to a path of the hub")
    fresh = rt.new_id("ntf")
    row = {
        "id": fresh,
        "at": rt.clock(),
        "severity": severity,
        "title": title[:200],
        "body": body[:2000],
        "link": link,
        "event_uid": event_uid,
        "dedupe_key": dedupe_key,
    }
    with rt.db.write() as conn:
        shown = add_notification(conn, row)
    if shown == fresh:
        rt.live.tell(NotificationCreated(fresh, severity))
    return shown
