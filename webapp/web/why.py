"""Why did it, or didn't it, run: the context of the parts that say so, for a stored event and for an imagined one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from webapp.domain.errors import NotFound
from webapp.domain.events import EventDraft
from webapp.domain.explain import Verdict
from webapp.services.explain import Explained, explain_draft, explain_event
from webapp.store.events import get_event_row, to_event
from webapp.store.feed_subscriptions import list_names
from webapp.web.auth import may_view_payloads
from webapp.web.context import get_runtime

SHOWN = 25


@dataclass(frozen=True, slots=True)
class Why:
    """The verdicts on an event, and the one that was asked for by name."""

    type: str
    uid: str  # "" for an event that nobody has sent
    verdicts: tuple[Verdict, ...]
    left_out: int  # of the verdicts, for the page is long enough
    unasked: int  # candidates beyond those that are asked at most
    matched: int
    names: tuple[tuple[str, str], ...]  # subscriptions to choose from
    asked: str  # "why not this one?"
    answer: Verdict | None
    is_missing: bool  # there is no subscription of that id


def why_of_event(uid: str, asked: str = "", *, whole: bool = False) -> Why:
    """Of a stored event. ``asked`` is the id of a subscription."""
    rt = get_runtime()
    with rt.db.read() as conn:
        event = to_event(get_event_row(conn, uid))
    found = explain_event(rt, event, tells_values=may_view_payloads())
    answer = _found(found, asked)
    if asked and answer is None:
        answer = _only(lambda: explain_event(rt, event, asked, tells_values=may_view_payloads()))
    return _why(found, event.uid, asked, answer, shown=len(found.verdicts) if whole else SHOWN)


def why_of_draft(draft: EventDraft, asked: str = "") -> Why:
    """Of an event that nobody has sent."""
    rt = get_runtime()
    found = explain_draft(rt, draft)
    answer = _found(found, asked)
    if asked and answer is None:
        answer = _only(lambda: explain_draft(rt, draft, asked))
    return _why(found, "", asked, answer, shown=len(found.verdicts))


def _why(found: Explained, uid: str, asked: str, answer: Verdict | None, shown: int) -> Why:
    with get_runtime().db.read() as conn:
        names = list_names(conn)
    return Why(
        type=found.event.type,
        uid=uid,
        verdicts=found.verdicts[:shown],
        left_out=len(found.verdicts[shown:]),
        unasked=found.total - len(found.verdicts),
        matched=found.matched,
        names=names,
        asked=asked,
        answer=answer,
        is_missing=bool(asked) and answer is None,
    )


def _found(found: Explained, asked: str) -> Verdict | None:
    return next((one for one in found.verdicts if one.rule.id == asked), None)


def _only(explain: Callable[[], Explained]) -> Verdict | None:
    try:
        return explain().verdicts[0]
    except NotFound:
        return None
