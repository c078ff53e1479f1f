"""Between the first proof and the session: who is half in stands in the signed cookie, for five minutes.

And the gate for those who must have a second factor and have none: they are led to set one up before anything else.
Who came by the identity provider or by a link from the console is not: their second factor, if any, is there.
"""

from __future__ import annotations

from datetime import timedelta

from flask import Response, flash, g, redirect, request, session, url_for
from flask.typing import ResponseReturnValue

from webapp.domain.errors import Forbidden
from webapp.services import second_factor
from webapp.services.sign_in import Admitted, Pending
from webapp.web import auth
from webapp.web.context import get_runtime

HALF_IN, BY = "half_in", "by"
PATIENCE = timedelta(minutes=5)
PASSWORD, PROVIDER, LINK = "password", "provider", "link"
OPEN = frozenset({"second_factor.show", "second_factor.begin", "second_factor.confirm", "second_factor.codes"})


def go_on(outcome: Admitted | Pending, target: str, by: str = PASSWORD) -> ResponseReturnValue:
    """To where they wanted to go, signed in; or to the page that asks for a code."""
    if isinstance(outcome, Admitted):
        let_in(outcome.token, by)
        return redirect(target, 303)
    auth.end_session()
    since = get_runtime().clock().timestamp()
    session[HALF_IN] = {"user": outcome.user_id, "proof": outcome.proof, "by": by, "since": since, "next": target}
    return redirect(url_for("session.ask_code"), 303)


def let_in(token: str, by: str) -> None:
    """Begin the session, and keep how they came in."""
    auth.begin_session(token)
    session[BY] = by


def half_in() -> tuple[Pending, str] | None:
    """Who is half in, and where they wanted to go; None when nobody is, or not any more."""
    kept = session.get(HALF_IN)
    if not isinstance(kept, dict):
        return None
    if get_runtime().clock().timestamp() - kept["since"] > PATIENCE.total_seconds():
        session.pop(HALF_IN)
        return None
    return Pending(kept["user"], kept["proof"], kept["by"]), kept["next"]


def warn(text: str) -> None:
    """Say it on the next page."""
    flash(text, "waiting")


def came_by() -> str:
    """How whoever asks came in."""
    return str(session.get(BY, PASSWORD))


def must_set_up() -> bool:
    """Whether whoever asks has to set a second factor up before anything else. Looked up once per request."""
    if "must_set_up" not in g:
        actor = auth.find_actor()
        is_person = actor is not None and actor.kind == "user" and came_by() == PASSWORD
        g.must_set_up = is_person and second_factor.must_set_up(get_runtime(), actor)  # type: ignore[arg-type]
    return bool(g.must_set_up)


def is_led() -> bool:
    """Whether they must set one up, or have just done so: nothing else is around the page then."""
    return get_runtime().settings.second_factor != "off" and must_set_up()


def gate() -> ResponseReturnValue | None:
    """Runs after ``auth.guard``: leads who must to the page that sets a second factor up."""
    endpoint = request.endpoint
    if endpoint is None or endpoint in OPEN or auth.verb_of(endpoint) == auth.PUBLIC:
        return None
    if not is_led():
        return None
    if auth.is_machine_path():
        raise Forbidden("Set up a second factor first: open the hub in a browser.")
    to = url_for("second_factor.show")
    if request.headers.get("HX-Request") == "true":
        return Response(status=401, headers={"HX-Redirect": to})
    return redirect(to)
