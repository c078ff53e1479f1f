"""The audit log: searched by words, actor, action, target and time; the search is the URL."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta

from flask import Blueprint, Response, request

from webapp.store import feed_audit as feed
from webapp.web.answers import list_or_part, url_with
from webapp.web.auth import require
from webapp.web.context import get_runtime

bp = Blueprint("audit", __name__, url_prefix="/audit")

WORDS_CHARS = 200
TARGETS = {"subscription": "/subscriptions", "delivery": "/deliveries", "event": "/events"}


@dataclass(frozen=True, slots=True)
class Wanted:
    """The search as it stands in the URL. Times are UTC, as the fields of the form give them."""

    words: str = ""
    actor: str = ""
    action: str = ""
    target: str = ""
    since: str = ""
    until: str = ""

    @classmethod
    def from_request(cls) -> Wanted:
        """Everything is text; what is no time is kept, so that it can be marked."""
        return cls(**{name: request.args.get(name, "").strip()[:WORDS_CHARS] for name in cls.__dataclass_fields__})

    def errors(self) -> dict[str, str]:
        """Fields that cannot be read."""
        broken = {name: getattr(self, name) for name in ("since", "until") if getattr(self, name)}
        return {name: "Write a date or a date and time." for name, text in broken.items() if _instant(text) is None}

    def to_store(self) -> feed.AuditFilter:
        """The same for the read model; a day as the end means the whole day."""
        until = _instant(self.until)
        if until is not None and len(self.until) <= len("2026-01-01"):
            until += timedelta(days=1)
        return feed.AuditFilter(self.words, self.actor, self.action, self.target, _instant(self.since), until)


@bp.get("")
@require("read")
def index() -> Response:
    """The form and what was found; the part is what was found."""
    wanted, before = Wanted.from_request(), request.args.get("before", "")[:64]
    with get_runtime().db.read() as conn:
        page = feed.search(conn, wanted.to_store(), before=before)
        actions = feed.known_actions(conn)
    return list_or_part(
        "audit/index.html",
        "audit/_table.html",
        found=page,
        actions=actions,
        wanted=wanted,
        errors=wanted.errors(),
        before=before,
        is_filtered=wanted != Wanted(),
        url_with=url_with,
        targets=TARGETS,
        here=url_with(request.path, **asdict(wanted), before=before),
        older=url_with(request.path, **asdict(wanted), before=page.next) if page.next else None,
        newest_url=url_with(request.path, **asdict(wanted)) if before else None,
    )


def _instant(text: str) -> datetime | None:
    """The time that the text names, in UTC unless it says otherwise; ``None`` when it names none."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    at = at.replace(tzinfo=UTC) if at.tzinfo is None else at
    return at if datetime(1970, 1, 2, tzinfo=UTC) < at < datetime(9000, 1, 1, tzinfo=UTC) else None
