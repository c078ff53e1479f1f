"""Summaries: what came since the last one is told in one notification, when the user's hour or day is over."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection

from webapp.live import NotificationCreated
from webapp.runtime import Runtime
from webapp.services.notify import put_out
from webapp.store import pushes
from webapp.store.notifications import add_notification, list_listeners

LEASE = timedelta(seconds=60)
AT_ONCE = 1000
WORST_FIRST = ("warning", "success", "info")
WORDS = {"warning": ("warning", "warnings"), "success": ("success", "successes"), "info": ("notice", "notices")}


def send_due(rt: Runtime) -> int:
    """Write the summaries that are due; answers how many. One transaction: a crash leaves all of them due."""
    now = rt.clock()
    with rt.db.read() as conn:
        if not pushes.any_due(conn, now, "digest"):
            return 0
    with rt.db.write() as conn:
        taken = pushes.take_due(conn, now, now + LEASE, "digest", AT_ONCE)
        listeners = {user.id: user for user in list_listeners(conn)}
        of_users = defaultdict(list)
        for send in taken:
            of_users[send.user_id].append(send)
        made = [_sum_up(rt, conn, listeners.get(user_id), sends) for user_id, sends in of_users.items()]
    told = [one for one in made if one]
    rt.live.tell(*(NotificationCreated(one, "") for one in told))
    return len(told)


def _sum_up(rt: Runtime, conn: Connection, user: Any, sends: Sequence[Any]) -> str:
    """The id of the summary, or "" when the user is gone."""
    pushes.end_sends(conn, [send.id for send in sends], "sent" if user is not None else "gone", rt.clock())
    if user is None:
        return ""
    found = pushes.with_texts(conn, [send.notification_id for send in sends])
    counts = Counter(row.severity for row in found.values())
    worst = next((one for one in WORST_FIRST if counts[one]), "info")
    titles = list(dict.fromkeys(row.title for row in found.values()))
    row = {
        "id": rt.new_id("ntf"),
        "at": rt.clock(),
        "severity": worst,
        "kind": "digest",
        "title": f"Summary: {_told(counts)}",
        "body": "; ".join(titles[:5]) + (f"; and {len(titles) - 5} more" if len(titles) > 5 else ""),
        "link": "/notifications",
    }
    added = add_notification(conn, row)
    put_out(rt, conn, row, [user])
    return added.id


def _told(counts: Counter[str]) -> str:
    return ", ".join(f"{counts[one]} {WORDS[one][counts[one] != 1]}" for one in WORST_FIRST if counts[one]) or "nothing"
