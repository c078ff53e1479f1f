"""Explaining: what the subscriptions of today make of an event, stored or only imagined. Nothing is written."""

from __future__ import annotations

from dataclasses import dataclass, replace

from webapp.domain.errors import NotFound
from webapp.domain.events import Event, EventDraft
from webapp.domain.explain import Verdict, as_it_came, explain
from webapp.runtime import Runtime
from webapp.store import feed_explain as feed

CONSIDERED = 1_000  # subscriptions that are asked at most; that many conditions are judged in a blink


@dataclass(frozen=True, slots=True)
class Explained:
    """An event and the verdicts on it: first those that would run, then the others."""

    event: Event | EventDraft
    verdicts: tuple[Verdict, ...]
    total: int  # candidates, also those that were not asked

    @property
    def matched(self) -> int:
        """How many of the verdicts are not "skip"."""
        return sum(one.would != "skip" for one in self.verdicts)


def explain_draft(rt: Runtime, draft: EventDraft, only: str | None = None) -> Explained:
    """What would become of an event if it came now; with ``only``, at that subscription, pattern or not."""
    with rt.db.read() as conn:
        ids = feed.fitting_ids(conn, draft.type) if only is None else [only]
        known = feed.known_subscriptions(conn, ids[:CONSIDERED])
    _must_be_there(known, only)
    return Explained(draft, tuple(explain(draft, known, at=rt.clock())), len(ids))


def explain_event(rt: Runtime, event: Event, only: str | None = None, *, tells_values: bool = True) -> Explained:
    """Why a stored event did or did not run, and whether it would today; with ``only``, at that subscription.

    Who may not view payloads is not told what clauses found in it.
    """
    at = event.received_at or event.timestamp
    with rt.db.read() as conn:
        if only is None:
            delivered = feed.happened(conn, event.uid, CONSIDERED)
            ids = list(dict.fromkeys([*delivered, *feed.fitting_ids(conn, event.type, alive_at=at)]))
        else:
            delivered, ids = feed.happened_at(conn, event.uid, only), [only]
        known = feed.known_subscriptions(conn, ids[:CONSIDERED])
        earlier = feed.earlier_rules(conn, known, at)
    _must_be_there(known, only)
    told = [replace(one, earlier=earlier.get(one.rule.id)) for one in known]
    verdicts = explain(as_it_came(event), told, at=at, delivered=delivered, tells_values=tells_values)
    return Explained(event, tuple(verdicts), len(ids))


def _must_be_there(known: object, only: str | None) -> None:
    if only is not None and not known:
        raise NotFound(f"There is no subscription {only[:80]!r}.")
