"""How a notification reaches a user: at once, quietly, in a summary, later, or not at all. Pure: the time is passed in."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo

from webapp.domain.notices import Preferences, clock_time


@dataclass(frozen=True, slots=True)
class Reach:
    """What is to be done. ``push_at``, ``email_at`` and ``digest_at`` are ``None`` where nothing is to be sent that way."""

    muted: bool = False
    unread: bool = True
    toast: bool = False
    browser: bool = False
    push_at: datetime | None = None
    email_at: datetime | None = None
    digest_at: datetime | None = None


def reach_of(
    wanted: Preferences, zone: tzinfo, *, kind: str, severity: str, subscription_id: str | None, now: datetime
) -> Reach:
    """Errors come at once also to those who have a digest; in quiet hours nothing rings, pushes and mails wait for their end."""
    if severity not in wanted.inbox or wanted.is_muted(kind, subscription_id):
        return Reach(muted=True)
    if wanted.digest != "off" and severity != "error" and kind != "digest":
        return Reach(unread=False, digest_at=quiet_end(wanted, zone, digest_due(wanted, zone, now)))
    awake_at = quiet_end(wanted, zone, now)
    return Reach(
        toast=awake_at == now and wanted.wants("toast", severity),
        browser=awake_at == now and wanted.wants("browser", severity),
        push_at=awake_at if wanted.wants("push", severity) else None,
        email_at=awake_at if wanted.wants("email", severity) else None,
    )


def quiet_end(wanted: Preferences, zone: tzinfo, now: datetime) -> datetime:
    """The end of the quiet hours that ``now`` lies in, or ``now`` when it lies in none. They may go past midnight."""
    if not wanted.quiet_from or wanted.quiet_from == wanted.quiet_until:
        return now
    begin, end = clock_time(wanted.quiet_from), clock_time(wanted.quiet_until)
    local = now.astimezone(zone)
    at = local.time().replace(tzinfo=None)
    inside = begin <= at < end if begin < end else at >= begin or at < end
    return _next(local, end, zone) if inside else now


def digest_due(wanted: Preferences, zone: tzinfo, now: datetime) -> datetime:
    """When the summary that ``now`` belongs to is due: the next full hour, or the next ``digest_at``."""
    if wanted.digest == "hourly":
        local = now.astimezone(zone)
        past = timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
        return now - past + timedelta(hours=1)
    return _next(now.astimezone(zone), clock_time(wanted.digest_at), zone)


def _next(local: datetime, at: time, zone: tzinfo) -> datetime:
    """The next moment at which clocks there show that time; when they are put forward over it, what they show instead."""
    today = datetime.combine(local.date(), at, zone)
    found = (
        today
        if today.astimezone(UTC) > local.astimezone(UTC)
        else datetime.combine(local.date() + timedelta(days=1), at, zone)
    )
    return found.astimezone(UTC)
