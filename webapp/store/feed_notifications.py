"""Notifications as one user sees them: newest first, by state, severity and kind; an unread count that is capped."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, func, or_, select

from webapp.domain.ids import first_id_at, made_at
from webapp.domain.notices import hub_path
from webapp.store import tables as t
from webapp.store.paging import LIMIT, Page, page_of

UNREAD_CAP = 99
OVERLAP_MS = 10_000
MAX_TOASTS = 3
VIEWS = ("", "unread", "snoozed", "archived")  # "": all that is neither snoozed nor archived


@dataclass(frozen=True, slots=True)
class NotificationRow:
    """One notification; ``count`` says how often it was raised since ``at``."""

    id: str
    at: datetime
    severity: str
    kind: str
    title: str
    body: str
    link: str | None
    event_uid: str | None
    subscription_id: str | None
    delivery_id: str | None  # that can be retried now
    count: int
    last_at: datetime
    state: str
    browser: bool
    snoozed_until: datetime | None
    acknowledged_at: datetime | None
    acknowledged_by: str | None

    @property
    def unread(self) -> bool:
        """Whether the user has not read it."""
        return self.state == "unread"


def list_notifications(
    conn: Connection,
    user_id: str,
    now: datetime,
    *,
    view: str = "",
    severity: str = "",
    kind: str = "",
    before: str = "",
    limit: int = LIMIT,
) -> Page[NotificationRow]:
    """Notifications older than the cursor, newest first."""
    n, i = t.notifications.c, t.inbox.c
    query = _of(user_id).where(*_in_view(view, now))
    if severity:
        query = query.where(n.severity == severity)
    if kind:
        query = query.where(n.kind == kind)
    if before:
        query = query.where(i.notification_id < before)
    rows = conn.execute(query.order_by(i.notification_id.desc()).limit(limit + 1)).all()
    return page_of(rows, limit, _notification)


def find_notification(conn: Connection, user_id: str, notification_id: str) -> NotificationRow | None:
    """One notification of that user, or ``None``."""
    row = conn.execute(_of(user_id).where(t.inbox.c.notification_id == notification_id)).first()
    return None if row is None else _notification(row)


def new_toasts(
    conn: Connection, user_id: str, after: str, now: datetime
) -> tuple[tuple[NotificationRow, ...], tuple[str, ...]]:
    """The newest unread ones above that id that are to be shown at once, the oldest of them first; and the ids of others."""
    i = t.inbox.c
    fresh = (i.notification_id > after, i.toast.is_(True) | i.browser.is_(True), *_in_view("unread", now))
    rows = conn.execute(_of(user_id).where(*fresh).order_by(i.notification_id.desc()).limit(MAX_TOASTS)).all()
    ids = select(i.notification_id).where(i.user_id == user_id, *fresh).order_by(i.notification_id.desc())
    others = conn.execute(ids.limit(UNREAD_CAP + MAX_TOASTS)).scalars().all()[len(rows) :]
    return tuple(_notification(row) for row in reversed(rows)), tuple(others)


def count_unread(conn: Connection, user_id: str, now: datetime) -> int:
    """How many are unread and not snoozed; stops at ``UNREAD_CAP + 1``."""
    unread = unread_of(user_id, now).limit(UNREAD_CAP + 1).subquery()
    return conn.execute(select(func.count()).select_from(unread)).scalar_one()


def unread_of(user_id: str, now: datetime) -> Select[Any]:
    """The ids of what is unread."""
    return select(t.inbox.c.notification_id).where(t.inbox.c.user_id == user_id, *_in_view("unread", now))


def newest_id(conn: Connection, user_id: str) -> str:
    """The newest notification that the user was told of, or "" when there is none."""
    newest: str | None = conn.execute(
        select(func.max(t.inbox.c.notification_id)).where(t.inbox.c.user_id == user_id)
    ).scalar_one()
    return newest or ""


def newest_ids(conn: Connection, user_id: str) -> tuple[str, ...]:
    """The newest one and those of just before it, which a page that is drawn now need not tell of."""
    newest = newest_id(conn, user_id)
    i = t.inbox.c
    near = select(i.notification_id).where(i.user_id == user_id, i.notification_id > overlapping(newest))
    return tuple(conn.execute(near.order_by(i.notification_id.desc()).limit(UNREAD_CAP)).scalars())


def overlapping(after: str) -> str:
    """A little before that id: several processes may write ids in another order than they made them."""
    made = made_at(after)
    return after if made is None else first_id_at("ntf", int(made.timestamp() * 1000) - OVERLAP_MS)


def _of(user_id: str) -> Select[Any]:
    """Joined with its delivery, as far as that one is dead and nobody judged it: there is something to retry."""
    n, i, d = t.notifications.c, t.inbox.c, t.deliveries.c
    retriable = (d.id == n.delivery_id) & (d.state == "dead") & d.dismissed_at.is_(None)
    return (
        select(t.notifications, i.state, i.browser, i.snoozed_until, d.id.label("retriable"))
        .select_from(t.inbox)
        .join(t.notifications, n.id == i.notification_id)
        .outerjoin(t.deliveries, retriable)
        .where(i.user_id == user_id)
    )


def _in_view(view: str, now: datetime) -> list[ColumnElement[bool]]:
    i = t.inbox.c
    if view == "archived":
        return [i.state == "archived"]
    if view == "snoozed":
        return [i.state != "archived", i.snoozed_until > now]
    shown = or_(i.snoozed_until.is_(None), i.snoozed_until <= now)
    return [i.state == "unread" if view == "unread" else i.state != "archived", shown]


def _notification(row: Row[Any]) -> NotificationRow:
    return NotificationRow(
        id=row.id,
        at=row.at,
        severity=row.severity,
        kind=row.kind,
        title=row.title,
        body=row.body,
        link=hub_path(row.link),
        event_uid=row.event_uid,
        subscription_id=row.subscription_id,
        delivery_id=row.retriable,
        count=row._mapping["count"],  # ``row.count`` is a method of tuples
        last_at=row.last_at,
        state=row.state,
        browser=row.browser,
        snoozed_until=row.snoozed_until,
        acknowledged_at=row.acknowledged_at,
        acknowledged_by=row.acknowledged_by,
    )
