"""What the beat does for pauses, breakers and releases: everything whose time has come, and what others left undone.

Every step locks, looks again and compares, so any number of beats may run it at the same time.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial

from webapp.domain.access import SYSTEM
from webapp.domain.breaker import BreakerState, has_failed_too_long
from webapp.domain.errors import Conflict, NotFound, Unavailable
from webapp.runtime import Runtime
from webapp.services import breakers, subscriptions
from webapp.services import flow as flow_of
from webapp.store import flow as flows
from webapp.store.flow import Flow

log = logging.getLogger(__name__)

MANY = 1000  # subscriptions that one pulse looks at


def tend(rt: Runtime) -> None:
    """Resume what is due, move breakers on, let go what the pace of each release allows."""
    with rt.db.read() as conn:  # a look without a write lock: nearly always there is nothing
        due = flows.due_to_resume(conn, rt.clock(), MANY)
        restless = flows.restless(conn, MANY)
    for subscription_id in due:
        _attempt(subscription_id, partial(_resume, rt, subscription_id))
    for flow in restless:
        _attempt(flow.subscription_id, partial(_move_on, rt, flow))


def gather(rt: Runtime) -> None:
    """What slipped through: due deliveries under a pause or an open breaker, held ones under neither.

    A worker may record a retry in the moment of a pause, and whoever was holding or releasing may have died.
    """
    with rt.db.read() as conn:
        due = [one for one in flows.blocked(conn, MANY) if flows.count_due(conn, one)]
        orphaned = flows.orphaned(conn, MANY)
    for subscription_id in due:
        _attempt(subscription_id, partial(flow_of.hold, rt, subscription_id))
    for subscription_id in orphaned:
        _attempt(subscription_id, partial(flow_of.release_orphans, rt, subscription_id))


def _resume(rt: Runtime, subscription_id: str) -> None:
    try:
        subscriptions.resume(rt, SYSTEM, subscription_id)
    except (Conflict, NotFound):
        return  # another beat, or a person, was faster


def _move_on(rt: Runtime, flow: Flow) -> None:
    policy, standing, subscription_id = flow.policies.breaker, flow.standing, flow.subscription_id
    if not standing.holds:
        flow_of.release(rt, subscription_id)
    elif policy is None:
        breakers.close_unwatched(rt, subscription_id)
    elif standing.state is BreakerState.HALF_OPEN:
        breakers.judge_probe(rt, subscription_id)
    elif flow.paused_at is None and has_failed_too_long(standing, policy, rt.clock()):
        breakers.disable(rt, subscription_id)
    else:
        breakers.let_probe_through(rt, subscription_id)


def _attempt(subscription_id: str, act: Callable[[], object]) -> None:
    """One that fails does not keep the others from being looked at."""
    try:
        act()
    except Unavailable:
        raise
    except Exception:
        log.exception("subscription %s was not tended", subscription_id, extra={"action": "tend_failed"})
