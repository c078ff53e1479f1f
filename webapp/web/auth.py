"""Who asks, and may they. Everything is refused unless its view says ``@require(verb)`` or ``@public``.

Pages know people by their session cookie. The API knows programs by ``Authorization: Bearer``; a session
serves there for safe methods only, so no cookie can ever write through the API.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

from flask import Request, Response, after_this_request, current_app, g, redirect, request, session, url_for
from flask.typing import ResponseReturnValue

from webapp.domain.access import GRANTS, PAYLOADS, Actor
from webapp.domain.errors import Forbidden, Refused, Unauthenticated
from webapp.services import sign_in as sessions
from webapp.services.accounts import KEY_PREFIX
from webapp.services.rate_limits import Allowance, TooManyRequests
from webapp.services.sign_in import Key, KeyRing, Visit
from webapp.web.context import get_hub, get_runtime
from webapp.web.edge import ENDPOINT, ID, TRACE
from webapp.web.read_only import refuse_changes
from webapp.web.requests import check_request

View = TypeVar("View", bound=Callable[..., Any])
VERB = "required_verb"
PUBLIC = "public"
SHOWS_PAYLOADS = "shows_payloads"
MAY_NOT_VIEW = "You may not view payloads, and this shows what is in them. An administrator can allow it."
TOKEN = "token"  # noqa: S105  the name of the entry in the cookie
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
MACHINE_PATHS = ("/api/", "/metrics", "/in/", "/p/", "/u/")
KEY_IN_URL = re.compile(rb"(?:^|&)(?:api_?key|access_?token|authorization)=|=" + KEY_PREFIX.encode(), re.IGNORECASE)
ONLY_PRINTABLE = re.compile(r"[^\x00-\x20\x7f-\x9f\\]*")


def require(verb: str, *, payloads: bool = False) -> Callable[[View], View]:
    """Declare what the caller of a view must be allowed to do; with ``payloads``, to view those as well."""
    if verb not in GRANTS:
        raise ValueError(f"no such verb: {verb}")

    def mark(view: View) -> View:
        setattr(view, SHOWS_PAYLOADS, payloads)
        return _marked(verb)(view)

    return mark


def public(view: View) -> View:
    """Declare that a view is for everybody, signed in or not."""
    return _marked(PUBLIC)(view)


def _marked(verb: str) -> Callable[[View], View]:
    def mark(view: View) -> View:
        setattr(view, VERB, verb)
        return view

    return mark


def verb_of(endpoint: str) -> str | None:
    """What an endpoint demands; None when it says nothing, which means that nobody may."""
    return getattr(current_app.view_functions.get(endpoint), VERB, None)


def shows_payloads(endpoint: str) -> bool:
    """Whether a view is only for those who may view payloads."""
    return bool(getattr(current_app.view_functions.get(endpoint), SHOWS_PAYLOADS, False))


def may_view_payloads() -> bool:
    """Whether whoever asks may see what is inside of events."""
    return current_actor().can(PAYLOADS)


def must_view_payloads() -> None:
    """Raise ``Forbidden`` unless they may."""
    if not may_view_payloads():
        raise Forbidden(MAY_NOT_VIEW)


def guard() -> ResponseReturnValue | None:
    """The door of every request; runs before anything else."""
    asked: Request = request._get_current_object()  # type: ignore[attr-defined]
    if asked.endpoint is None:  # 404 and 405 are told to everybody
        return None
    asked.environ[ENDPOINT] = asked.endpoint
    verb = verb_of(asked.endpoint)
    if asked.query_string and KEY_IN_URL.search(asked.query_string):
        detail = "An API key does not belong in a URL, where logs keep it: send it as 'Authorization: Bearer …'."
        raise Refused("key-in-url", detail, status=400)
    if verb != PUBLIC:
        actor = find_actor()
        if actor is None:
            return _ask_to_sign_in()
        if "limit" in g:
            _spend(actor, g.limit)
        if verb is None or not actor.can(verb):
            raise Forbidden(f"Your role ({actor.role}) does not allow this.")
        if not actor.can(PAYLOADS) and shows_payloads(asked.endpoint):
            raise Forbidden(MAY_NOT_VIEW)
    check_request(is_machine_path())
    refuse_changes(asked)
    return None


def note_denial(why: str) -> None:
    """Write down that somebody was refused what they asked for; as often as the log bears. Strangers have no name."""
    actor: Actor | None = g.get("actor")
    if actor is not None and request.url_rule is not None:
        get_hub().denials.note(actor, f"{request.method} {request.url_rule.rule}", why)


def current_actor() -> Actor:
    """Who this request comes from; raises ``Unauthenticated`` when nobody is signed in."""
    actor = find_actor()
    if actor is None:
        raise Unauthenticated("Sign in first.")
    return actor


def find_actor() -> Actor | None:
    """Who this request comes from, or None. Looked up once per request."""
    if "actor" not in g:
        g.actor = _actor_of_machine() if is_machine_path() else _actor_of_session()
    return g.actor  # type: ignore[no-any-return]


def is_machine_path() -> bool:
    """Whether programs ask here: problem documents instead of pages, keys instead of cookies."""
    return request.path.startswith(MACHINE_PATHS)


def get_visit() -> Visit:
    """Where this request comes from."""
    return Visit(request.remote_addr or "", request.headers.get("User-Agent", ""), request_id())


def request_id() -> str:
    """Of this request."""
    return str(request.environ.get(ID, ""))


def trace_id() -> str:
    """Of the story that this request belongs to."""
    return str(request.environ.get(TRACE, ""))


def _actor_of_machine() -> Actor | None:
    asked: Request = request._get_current_object()  # type: ignore[attr-defined]
    header = asked.environ.get("HTTP_AUTHORIZATION")
    if header is None:
        return _actor_of_session() if asked.method in SAFE_METHODS else None
    scheme, _, secret = header.partition(" ")
    if scheme.lower() != "bearer" or not secret.startswith(KEY_PREFIX) or len(secret) > 200:
        return None
    hub = get_hub()
    keys = hub.keys
    key = keys.find(secret)
    if key is None:
        return None
    if limit := key.rate_limit or hub.rt.settings.rate_limit:
        g.limit = limit
    if keys.is_stale(key):
        _touch_later(keys, key)
    return key.acting(asked.remote_addr or "", asked.environ.get(ID, ""))


def _spend(actor: Actor, limit: int) -> None:
    """Count the request; the answer says what is left. Raises ``TooManyRequests``."""
    try:
        allowance = get_hub().limiter.spend(actor.id, limit)
    except TooManyRequests as error:
        _tell_later(error.allowance)
        raise
    if allowance is not None:
        _tell_later(allowance)


def _tell_later(allowance: Allowance) -> None:
    @after_this_request
    def tell(response: Response) -> Response:
        response.headers.update(allowance.headers)
        return response


def _touch_later(keys: KeyRing, key: Key) -> None:
    """Write the last use of a key down when the answer has been sent: the caller does not wait for it."""

    @after_this_request
    def touch(response: Response) -> Response:
        response.call_on_close(lambda: keys.touch(key))
        return response


# Sessions


def _actor_of_session() -> Actor | None:
    token = session.get(TOKEN)
    return sessions.find_actor(get_runtime(), token, get_visit()) if isinstance(token, str) else None


def begin_session(token: str) -> None:
    """Everything that was in the cookie goes, and the session it named: nothing from before signing in survives."""
    end_session()
    session[TOKEN] = token
    session.permanent = True
    g.pop("actor", None)


def end_session() -> None:
    """Sign out: the row goes, then the cookie."""
    actor, token = find_actor(), session.get(TOKEN)
    if actor is not None and isinstance(token, str):
        sessions.sign_out(get_runtime(), actor, token)
    session.clear()
    g.pop("actor", None)


def is_local_path(target: str) -> bool:
    """Whether a ``next`` leads to a page of ours and nowhere else."""
    return target.startswith("/") and not target.startswith("//") and bool(ONLY_PRINTABLE.fullmatch(target))


def _ask_to_sign_in() -> ResponseReturnValue:
    if is_machine_path():
        raise Unauthenticated("Send a valid API key: 'Authorization: Bearer sbx_…'.")
    target = request.full_path.rstrip("?") if request.method in SAFE_METHODS else "/"
    if request.headers.get("HX-Request") == "true":
        return Response(status=401, headers={"HX-Redirect": url_for("session.show", next=_page_behind_part())})
    return redirect(url_for("session.show", next=target if is_local_path(target) else "/"))


def _page_behind_part() -> str:
    """The page that an htmx request came from: a part alone is nothing to come back to."""
    current = request.headers.get("HX-Current-URL", "")
    path = current.removeprefix(request.host_url.rstrip("/"))
    return path if is_local_path(path) else "/"
