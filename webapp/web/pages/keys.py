"""API keys, for administrators. A secret is in exactly one answer, the one to the form that made it; nothing keeps it."""

from __future__ import annotations

from datetime import datetime, timedelta

from flask import Blueprint, Response, url_for

from webapp.domain.errors import Conflict, Fault, HubError, Refused
from webapp.domain.key_limits import SCOPES, KeyLimits
from webapp.services import accounts
from webapp.services import keys as service
from webapp.web import render
from webapp.web.answers import done
from webapp.web.auth import current_actor, require
from webapp.web.checks import checked
from webapp.web.context import get_runtime
from webapp.web.requests import read_form

bp = Blueprint("keys", __name__, url_prefix="/settings/keys")

ROLES = {
    "publisher": "sends events, nothing else",
    "viewer": "reads everything",
    "operator": "also sends, retries, cancels and pauses",
    "developer": "also edits subscriptions, schedules, sources and types",
    "admin": "also manages users, keys and secrets",
}
LIVES = {"": None, "30": 30, "90": 90, "365": 365}
OVERLAPS = {"0": "at once", "1": "in an hour", "24": "in a day", "168": "in a week"}  # hours
FIELD_OF = {"scopes": "scope_only", "expires_at": "days"}  # where the form calls it otherwise
LIMIT_FIELDS = ("scope_only", "event_types", "sources", "days", "no_payloads")


@bp.get("")
@require("administer")
def index() -> Response:
    """Every API key, and the form for one more."""
    return _page()


@bp.post("")
@require("administer")
def create() -> Response:
    """One more key; this answer, and no other, has its secret."""
    sent = read_form("name", "role", "rate_limit", *LIMIT_FIELDS)
    rt = get_runtime()
    try:
        limits = _limits_of(sent, rt.clock())
        limit = _limit_of(sent["rate_limit"])
        key_id, secret = service.create_key(rt, current_actor(), sent["name"], sent["role"], limit, limits)
    except (Refused, Conflict) as refusal:
        return _page(sent, errors_of(refusal, "name"), status=422)
    return _shown_once((key_id, sent["name"].strip(), sent["role"], secret))


@bp.post("/-/check")
@require("administer")
def check() -> Response:
    """What is wrong so far with the fields that were touched."""
    sent = read_form("name", "role", "rate_limit", *LIMIT_FIELDS)
    rt = get_runtime()
    try:
        limits = _limits_of(sent, rt.clock())
        service.check_key(rt, sent["name"].strip(), sent["role"], _limit_of(sent["rate_limit"]), limits)
    except Refused as refusal:
        return checked(errors_of(refusal, "name"))
    return checked({})


@bp.post("/<key_id>/rotate")
@require("administer")
def rotate(key_id: str) -> Response:
    """Another secret, in this answer only; the old one serves as long as was chosen."""
    hours = read_form("overlap")["overlap"]
    if hours not in OVERLAPS:
        raise Refused("invalid-key", "Choose when the old secret ends.")
    rt = get_runtime()
    secret, _ = service.rotate_key(rt, current_actor(), key_id, timedelta(hours=int(hours)))
    row = service.get_key(rt, key_id)
    return _shown_once((key_id, row.name, row.role, secret))


@bp.post("/<key_id>/limit")
@require("administer")
def limit(key_id: str) -> Response:
    """Another limit of requests a minute; an empty field takes it away."""
    wanted = _limit_of(read_form("rate_limit")["rate_limit"])
    service.limit_key(get_runtime(), current_actor(), key_id, wanted)
    here = url_for("keys.index")
    words = "No limit of its own" if wanted is None else f"Limited to {wanted} requests a minute"
    return done(words, back=here, go=here)


@bp.post("/<key_id>/revoke")
@require("administer")
def revoke(key_id: str) -> Response:
    """The key is refused from now on."""
    service.revoke_key(get_runtime(), current_actor(), key_id)
    return done("Revoked", back=url_for("keys.index"), go=url_for("keys.index"))


def errors_of(refusal: HubError, fallback: str) -> dict[str, list[str]]:
    """What is wrong, by field of the form."""
    errors: dict[str, list[str]] = {}
    for fault in refusal.faults:
        name = fault.pointer.lstrip("/") or fallback
        errors.setdefault(FIELD_OF.get(name, name), []).append(fault.message)
    return errors or {fallback: [refusal.detail]}


def _shown_once(created: tuple[str, str, str, str]) -> Response:
    response = _page(created=created)
    response.headers["Cache-Control"] = "no-store"
    return response


def _page(
    form: dict[str, str] | None = None,
    errors: dict[str, list[str]] | None = None,
    *,
    created: tuple[str, str, str, str] | None = None,
    status: int = 200,
) -> Response:
    rt = get_runtime()
    return render.part(
        "settings/keys.html",
        status=status,
        keys=service.list_keys(rt),
        now=rt.clock(),
        creators={f"user:{user.id}": user.username for user in accounts.list_users(rt)},
        form=form or {"role": "publisher"},
        errors=errors or {},
        role_choices=[(role, f"{role.capitalize()} {words}") for role, words in ROLES.items()],
        scope_choices=[("", "All that its role may"), *((scope, f"Only {scope}") for scope in SCOPES)],
        life_choices=[("", "Until it is revoked"), ("30", "30 days"), ("90", "90 days"), ("365", "A year")],
        overlaps=OVERLAPS,
        created=created,
        example=_example(created) if created else "",
        default_limit=rt.settings.rate_limit,
    )


def _limits_of(sent: dict[str, str], now: datetime) -> KeyLimits:
    if sent["days"] not in LIVES:
        raise Refused("invalid-key", "Choose how long.", faults=[Fault("/days", "unknown", "Choose one of these.")])
    days = LIVES[sent["days"]]
    return KeyLimits(
        scopes=(sent["scope_only"],) if sent["scope_only"] else None,
        event_types=_patterns(sent["event_types"]),
        sources=_patterns(sent["sources"]),
        sees_payloads=not sent["no_payloads"],
        expires_at=now + timedelta(days=days) if days else None,
    )


def _patterns(text: str) -> tuple[str, ...] | None:
    return tuple(text.replace(",", " ").split()) or None


def _limit_of(text: str) -> int | None:
    """A limit as it was typed; what is no number is refused with the service's own words for one out of range."""
    text = text.strip()
    return (int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0) if text else None


def _example(created: tuple[str, str, str, str]) -> str:
    """A command that works as it stands."""
    _, _, role, secret = created
    base = get_runtime().settings.base_url
    head = f"curl {base}/api/v1/events \\\n  -H 'Authorization: Bearer {secret}'"
    if role == "viewer":
        return head
    event = '{"type": "order.created", "source": "shop", "payload": {"amount": 129.5}}'
    return f"{head} \\\n  -H 'Content-Type: application/json' \\\n  -d '{event}'"
