"""``/in/<token>`` and ``/p/<token>/<type>``: doors for senders that speak their own dialect, or none.

Whoever knows the address is let in as far as the kind of its source says; there is no session, and no token in forms.
"""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request

from webapp.domain.errors import HubError
from webapp.services import inbound as service
from webapp.services.inbound import Arrival
from webapp.services.notes import Refusals
from webapp.web.api.blueprint import answer
from webapp.web.api.events import deprecation_header, links_of_event
from webapp.web.auth import public, request_id
from webapp.web.bodies import read_bytes
from webapp.web.context import get_acceptor, get_runtime
from webapp.web.read_only import must_be_writable

bp = Blueprint("inbound", __name__)
refusals = Refusals()

LINE = "text/plain; charset=utf-8"
LOOKING = ("prefetch", "preview", "prerender")


@bp.route("/in/<token>", methods=["POST"], provide_automatic_options=False)
@public
def receive(token: str) -> Response:
    """Take what the sender of a source sends."""
    rt = get_runtime()
    row = service.find_source(rt, token, publish=False)
    taken = service.receive(rt, get_acceptor(), row, _arrival(row), refusals.may_note)
    if taken.challenge is not None:
        return Response(taken.challenge, content_type=LINE)
    if taken.kind == "slack":  # what a command is answered is shown to people: nothing
        return Response(status=200)
    accepted = taken.accepted
    assert accepted is not None
    document = {"id": accepted.id, "uid": accepted.uid, "duplicate": accepted.duplicate}
    return answer({**document, "links": links_of_event(accepted.uid)}, 202, deprecation_header([accepted]))


@bp.route("/in/<token>", methods=["OPTIONS"])
@public
def agree(token: str) -> Response:
    """The handshake of CloudEvents: may that origin deliver here? Whoever knows the address may."""
    service.find_source(get_runtime(), token, publish=False)
    headers = {"Allow": "POST, OPTIONS"}
    if origin := request.headers.get("WebHook-Request-Origin", "")[:253]:
        headers |= {"WebHook-Allowed-Origin": origin, "WebHook-Allowed-Rate": "*"}
    return Response(status=200, headers=headers)


@bp.route("/p/<token>/<event_type>", methods=["GET", "POST"])
@public
def publish(token: str, event_type: str) -> Response:
    """Publish from a shell or a crontab: one line in, one line out."""
    rt = get_runtime()
    try:
        row = service.find_source(rt, token, publish=True)
        if _is_only_looking():
            return _line(f"nothing published: this is how to publish {event_type}", 200)
        must_be_writable()
        taken = service.publish(rt, get_acceptor(), row, event_type, _arrival(row), refusals.may_note)
    except HubError as refused:
        first = refused.faults[0].message if refused.faults else refused.detail
        return _line(f"refused: {first}", refused.status)
    accepted = taken.accepted
    assert accepted is not None
    return _line(f"{'duplicate' if accepted.duplicate else 'accepted'} {accepted.uid}", 202)


def _arrival(row: Any) -> Arrival:
    """The present request. One whose body cannot be read is written down all the same."""
    rt = get_runtime()
    headers = {name.lower(): value for name, value in request.headers}
    query = list(request.args.items(multi=True))
    arrival = Arrival(headers, b"", query, request.remote_addr or "", request_id())
    try:
        body = read_bytes(rt.settings.max_body_bytes)
    except HubError as refused:
        service.refuse_body(rt, row, arrival, refused, refusals.may_note)
        raise
    return Arrival(headers, body, query, arrival.ip, arrival.request_id)


def _is_only_looking() -> bool:
    """Whether nobody asked for it yet: a HEAD, or a browser that fetches ahead of a click."""
    purpose = " ".join(request.headers.get(name, "") for name in ("Sec-Purpose", "Purpose", "X-Purpose", "X-Moz"))
    return request.method == "HEAD" or any(word in purpose.lower() for word in LOOKING)


def _line(text: str, status: int) -> Response:
    clean = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
    return Response(clean[:300] + "\n", status, content_type=LINE)
