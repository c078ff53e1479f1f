"""Telling people: a notification is stored, then browsers are told that there is one."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Literal

from webapp.domain.errors import HubError
from webapp.live import NotificationCreated
from webapp.runtime import Runtime
from webapp.store.notifications import add_notification

log = logging.getLogger(__name__)

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
            link=link,
            event_uid=event["uid"],
            dedupe_key=key,
        )
    except HubError as error:  # the event is stored and held; that counts
        log.warning("nobody could be told of the loop: %s", error)
