"""The form of a subscription and what it answers while somebody types: matching types, the handler, the plan of
tries. The condition has its own modules: ``condition_edit`` and ``condition_check``.

The checks store nothing; only the last two views of this file save.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask import Blueprint, Response, request, url_for

from webapp.domain.errors import Conflict, NotFound, Refused
from webapp.domain.routing import parse_pattern, pattern_matches
from webapp.domain.subscriptions import Offer
from webapp.services import subscriptions as service
from webapp.services.catalog import HandlerInfo, known_handlers, list_handlers
from webapp.store import feed_subscriptions as feed
from webapp.store.audit import Target
from webapp.web import render
from webapp.web.answers import done
from webapp.web.auth import current_actor, require
from webapp.web.checks import checked
from webapp.web.conflicts import GONE, Clash, clash_of, opened_for, resolved, revision_of
from webapp.web.context import get_runtime
from webapp.web.pages import condition_edit, policy_form, retry_form
from webapp.web.pages.condition_check import Wanted, check_of
from webapp.web.pages.subscription_form import LABELS, Errors, SubscriptionForm, by_field
from webapp.web.pages.subscription_transform import try_transform
from webapp.web.pages.subscriptions import find
from webapp.web.tries import schedule

bp = Blueprint("subscription_edit", __name__, url_prefix="/subscriptions")

TYPES_NAMED = 6


@dataclass(frozen=True, slots=True)
class Matching:
    """Which of the known types a pattern meets."""

    pattern: str
    fault: str
    types: tuple[str, ...]
    known: int

    @property
    def named(self) -> tuple[str, ...]:
        """The first few."""
        return self.types[:TYPES_NAMED]


@bp.get("/new")
@require("design")
def new() -> Response:
    """An empty form; the URL may fill it in, so that other pages can offer a start."""
    given: dict[str, Any] = {
        name: request.args[name] for name in ("name", "pattern", "handler") if name in request.args
    }
    return _page(SubscriptionForm(**given))


@bp.get("/<subscription_id>/edit")
@require("design")
def edit(subscription_id: str) -> Response:
    """The form of a stored subscription."""
    with get_runtime().db.read() as conn:
        row = find(conn, subscription_id)
    if row.deleted_at is not None:
        raise NotFound("This subscription was deleted.")
    return _page(_stored(row), row=row)


@bp.get("/types")
@require("read")
def types() -> Response:
    """Which known types the pattern meets."""
    return render.part("subscriptions/_types.html", matching=_matching(request.args.get("pattern", "")))


@bp.get("/handler")
@require("read")
def handler() -> Response:
    """What the chosen handler does and which options it takes."""
    chosen = _handler_named(request.args.get("handler", ""))
    return render.part("subscriptions/_handler.html", handler=chosen)


@bp.get("/tries")
@require("read")
def tries() -> Response:
    """The plan of tries of the policy in the form."""
    policy, errors = SubscriptionForm.from_fields(request.args).policy()
    plan = None if policy is None else schedule(policy, get_runtime().clock())
    return render.part("subscriptions/_tries.html", tries=plan, errors=errors)


@bp.post("")
@require("design")
def create() -> Response:
    """Store a new subscription, or show the form again with what is wrong."""
    rt, form = get_runtime(), SubscriptionForm.from_fields(request.form)
    draft, errors = form.to_draft(_known())
    if draft is None:
        return _page(form, errors=errors, status=422)
    try:
        subscription_id = service.create(rt, current_actor(), draft, form.note.strip())
    except Refused as refused:
        return _page(form, errors=by_field(refused.faults), status=422)
    return done(f"Subscription {draft.name} is active", back="/", go=_url(subscription_id))


@bp.post("/-/check")
@require("design")
def check() -> Response:
    """What is wrong so far with the fields that were touched."""
    return checked(SubscriptionForm.from_fields(request.form).to_draft(_known())[1])


@bp.post("/<subscription_id>")
@require("design")
def save(subscription_id: str) -> Response:
    """Change a subscription, unless somebody else did meanwhile: then show what differs."""
    rt, form = get_runtime(), resolved(SubscriptionForm.from_fields(request.form), request.form)
    with rt.db.read() as conn:
        row = find(conn, subscription_id)
    if row.deleted_at is not None:
        return _page(form, errors={"": [GONE]}, status=409)
    draft, errors = form.to_draft(_known())
    if draft is None:
        return _page(form, row=row, errors=errors, status=422)
    try:
        service.update(rt, current_actor(), subscription_id, draft, revision_of(form.revision), form.note.strip())
    except Conflict:
        return _clashed(form, subscription_id)
    except Refused as refused:
        return _page(form, row=row, errors=by_field(refused.faults), status=422)
    return done(f"Subscription {draft.name} is saved", back="/", go=_url(subscription_id))


def _clashed(form: SubscriptionForm, subscription_id: str) -> Response:
    with get_runtime().db.read() as conn:
        row = find(conn, subscription_id)
        target = Target("subscription", subscription_id)
        clash = clash_of(conn, form, _stored(row), request.form, target=target, labels=LABELS)
    return _page(form, row=row, clash=clash, status=409)


def _stored(row: feed.SubscriptionRow) -> SubscriptionForm:
    chosen = _handler_named(row.handler)
    return SubscriptionForm.from_row(row, chosen.options_schema if chosen else None)


def _page(
    form: SubscriptionForm,
    *,
    row: feed.SubscriptionRow | None = None,
    errors: Errors | None = None,
    clash: Clash | None = None,
    status: int = 200,
) -> Response:
    handlers = list_handlers(get_runtime())
    policy, policy_errors = form.policy()
    with get_runtime().db.read() as conn:
        target = Target("subscription", row.id if row else "")
        opened = opened_for(conn, _stored(row) if row else None, target, is_refused=bool(errors))
    return render.part(
        "subscriptions/form.html",
        status=status,
        form=form,
        row=row,
        errors=errors or {},
        clash=clash,
        opened=opened,
        handler_choices=[(one.name, one.name) for one in handlers],
        handler=next((one for one in handlers if one.name == form.handler), None),
        matching=_matching(form.pattern),
        tries=None if policy is None else schedule(policy, get_runtime().clock()),
        policy_errors=policy_errors,
        policy_plain=policy_form.PLAIN,
        policy_groups=policy_form.GROUPS,
        retry_modes=retry_form.MODES,
        check=check_of(form, Wanted()),
        shaped=try_transform(form, ""),
        **condition_edit.context(form.rule, show_faults=bool(errors)),
    )


def _matching(pattern: str) -> Matching:
    pattern = pattern.strip()
    with get_runtime().db.read() as conn:
        known = feed.known_types(conn)
    if not pattern:
        return Matching("", "", (), len(known))
    try:
        parsed = parse_pattern(pattern)
    except Refused as refused:
        return Matching(pattern, refused.faults[0].message, (), len(known))
    return Matching(parsed, "", tuple(one for one in known if pattern_matches(parsed, one)), len(known))


def _known() -> Offer:
    return known_handlers(get_runtime())


def _handler_named(name: str) -> HandlerInfo | None:
    return next((one for one in list_handlers(get_runtime()) if one.name == name), None)


def _url(subscription_id: str) -> str:
    return url_for("subscriptions.show", subscription_id=subscription_id)
