"""How pages look to whoever asks. A cookie says it, so that the first byte of a page has the right theme.

The account has the truth: it fills the cookie of a browser that has none of this person, and every change goes to
both. The cookie is not signed, for all it can do is choose among known choices.
"""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import parse_qsl, urlencode

from flask import Response, after_this_request, current_app, g, has_request_context, request

from webapp.domain.access import Actor
from webapp.domain.errors import HubError
from webapp.domain.preferences import Preferences, read_preferences
from webapp.services.preferences import get_preferences
from webapp.web.auth import find_actor
from webapp.web.context import get_runtime

COOKIE = "signalbox-view"
OWNER = "of"  # the person whose choices the cookie has
LONGEST = 300
LIFE = timedelta(days=400)  # browsers keep none longer


def present_preferences() -> Preferences:
    """Of this request, read once."""
    if not has_request_context():
        return Preferences()
    if "preferences" not in g:
        g.preferences = _read()
    return g.preferences  # type: ignore[no-any-return]


def keep_preferences(response: Response, actor: Actor, preferences: Preferences) -> Response:
    """From the next page on."""
    response.set_cookie(
        COOKIE,
        urlencode({OWNER: actor.id, **preferences.to_json()}),
        max_age=LIFE,
        httponly=False,  # js/theme.js changes it at once
        samesite="Lax",
        secure=bool(current_app.config["SESSION_COOKIE_SECURE"]),
    )
    return response


def _read() -> Preferences:
    kept = dict(parse_qsl(request.cookies.get(COOKIE, "")[:LONGEST]))
    try:
        actor = find_actor()
        if actor is None or actor.kind != "user" or kept.get(OWNER) == actor.id:
            return read_preferences(kept)
        found = get_preferences(get_runtime(), actor)
    except HubError:
        return read_preferences(kept)

    @after_this_request
    def keep(response: Response) -> Response:
        return keep_preferences(response, actor, found)

    return found
