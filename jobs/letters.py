"""What notifications say by mail: plain text, a subject, and links that lead to the hub and out of these mails."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import format_datetime
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from jobs.smtp import addresses, one_line, sound
from webapp.domain.notices import KINDS, hub_path
from webapp.services.mails import Letter
from webapp.settings import Settings

TOLD = 50  # notifications in one mail
WORDS = {"error": "Error", "warning": "Warning", "success": "Success", "info": "Information"}


def written(letter: Letter, settings: Settings, now: datetime) -> EmailMessage:
    """The mail. Raises ``ValueError`` when the sender in the settings is no address."""
    message, sender = EmailMessage(policy=SMTP_POLICY), addresses(settings.mail_from)[0]
    message["From"] = [sender]
    message["To"] = addresses(letter.address)
    message["Subject"] = _subject(letter)
    message["Message-ID"] = f"<{letter.sends[0]}@{sender.domain}>"  # the same on every try
    message["Date"] = format_datetime(now)
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody's out-of-office answers it
    if letter.rows:
        message["List-Id"] = f"Signalbox notifications <notifications.{urlsplit(settings.base_url).hostname}>"
        message["List-Unsubscribe"] = f"<{letter.link}>"  # RFC 8058: mail programs offer to press it
        message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    message.set_content(sound(_text(letter, settings)))
    return message


def _subject(letter: Letter) -> str:
    if not letter.rows:
        return "Confirm this address for notifications"
    if len(letter.rows) == 1:
        return one_line(letter.rows[0].title)
    counts = Counter(row.severity for row in letter.rows)
    errors = f", {counts['error']} of them errors" if counts["error"] else ""
    return f"{len(letter.rows)} notifications{errors}"


def _text(letter: Letter, settings: Settings) -> str:
    base = settings.base_url
    if not letter.rows:
        return (
            f"{letter.username} wants notifications of the hub at {base} at this address.\n\n"
            f"Confirm it within 24 hours, signed in as {letter.username}:\n{letter.link}\n\n"
            "If you know nothing of it, do nothing: without that, no more mail comes.\n"
        )
    zone = ZoneInfo(letter.zone)
    parts = [_told(row, base, zone) for row in letter.rows[:TOLD]]
    if len(letter.rows) > TOLD:
        parts.append(f"and {len(letter.rows) - TOLD} more: {base}/notifications?view=unread")
    foot = f"Choose what comes by mail: {base}/notifications/preferences\nNo more of these mails: {letter.link}\n"
    return "\n\n\n".join(parts) + f"\n\n-- \n{foot}"


def _told(row: Any, base: str, zone: ZoneInfo) -> str:
    often = f", {row._mapping['count']} times" if row._mapping["count"] > 1 else ""
    kind = KINDS.get(row.kind, row.kind)
    facts = f"{WORDS[row.severity]}{often} · {kind} · {row.last_at.astimezone(zone):%-d %b %Y %H:%M %Z}"
    link = base + (hub_path(row.link) or "/notifications")
    return "\n\n".join(one for one in (one_line(row.title), row.body.strip(), f"{facts}\n{link}") if one)
