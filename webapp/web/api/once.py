"""``@once``: a POST that is sent again with the same ``Idempotency-Key`` is answered again, not done again.

The header of draft-ietf-httpapi-idempotency-key-header; a bare key without the quotes is taken as well.
"""

from __future__ import annotations

import functools
import logging
import re
from collections.abc import Callable
from typing import Any, TypeVar, cast

from flask import Request, Response, request

from webapp.domain.errors import HubError, Refused
from webapp.services import idempotency
from webapp.services.idempotency import Kept, Turn
from webapp.settings import Settings
from webapp.web import errors
from webapp.web.api.blueprint import TAKES_KEY
from webapp.web.auth import current_actor
from webapp.web.context import get_runtime
from webapp.web.requests import read_raw

log = logging.getLogger(__name__)

View = TypeVar("View", bound=Callable[..., Any])
QUOTED = re.compile(r'"((?:[\x20-\x21\x23-\x5b\x5d-\x7e]|\\["\\]){1,255})"')
BARE = re.compile(r"[\x21\x23-\x2b\x2d-\x7e]{1,255}")  # no quotes, and no comma: that would be two of them
KEPT_HEADERS = ("Content-Type", "Location", "ETag", "Link", "Deprecation", "Preference-Applied")


def once(limit_of: Callable[[Settings], int] = lambda settings: settings.max_body_bytes) -> Callable[[View], View]:
    """For views that create something. ``limit_of`` says how large their bodies may be."""

    def mark(view: View) -> View:
        @functools.wraps(view)
        def answered(*args: Any, **kwargs: Any) -> Response:
            header = request.environ.get("HTTP_IDEMPOTENCY_KEY")
            if header is None:
                return cast(Response, view(*args, **kwargs))
            turn = _begin(read_key(header), limit_of(get_runtime().settings))
            if isinstance(turn, Kept):
                return _replayed(turn)
            return _answer(turn, lambda: view(*args, **kwargs))

        setattr(answered, TAKES_KEY, True)
        return cast(View, answered)

    return mark


def read_key(header: str) -> str:
    """The key of a header. Raises ``Refused`` (400) for one of bad form, also for two of them."""
    quoted = QUOTED.fullmatch(header)
    if quoted is None and not BARE.fullmatch(header):
        detail = "Send one Idempotency-Key of 1 to 255 printable ASCII characters."
        raise Refused("invalid-idempotency-key", detail, status=400)
    return header if quoted is None else re.sub(r"\\(.)", r"\1", quoted[1])


def _begin(key: str, limit: int) -> Turn | Kept:
    asked: Request = request._get_current_object()  # type: ignore[attr-defined]
    kind = f"{asked.content_type or ''} {asked.headers.get('Content-Encoding', '')}"
    body = read_raw(asked, limit, cache=True)
    scope = idempotency.scope_of(current_actor(), asked.method, asked.path, key)
    return idempotency.begin(get_runtime(), scope, idempotency.fingerprint_of(asked.query_string, kind, body))


def _answer(turn: Turn, view: Callable[[], Response]) -> Response:
    rt = get_runtime()
    try:
        response = view()
    except HubError as error:
        if error.status >= 500:
            _give_back(turn)
            raise
        response = errors.answer_refusal(error)
    except BaseException:
        _give_back(turn)
        raise
    if response.status_code >= 500:
        _give_back(turn)
        return response
    headers = {name: response.headers[name] for name in KEPT_HEADERS if name in response.headers}
    try:
        idempotency.finish(rt, turn, Kept(response.status_code, headers, response.get_data(as_text=True)))
    except HubError as error:  # it was done, and the sender must hear so
        log.warning("an answer could not be kept: %s", error, extra={"action": "answer_not_kept"})
    return response


def _give_back(turn: Turn) -> None:
    try:
        idempotency.release(get_runtime(), turn)
    except HubError as error:
        log.warning("an idempotency key stays taken for a minute: %s", error, extra={"action": "key_not_released"})


def _replayed(kept: Kept) -> Response:
    return Response(kept.body, kept.status, {**kept.headers, "Idempotency-Replayed": "true"})
