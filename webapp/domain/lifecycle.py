"""The states of a delivery and the only ways between them.

``TRANSITIONS`` is the whole truth: SQL updates name the state they come from, and what is not in the
table raises. ``settle`` turns a handler's outcome into the next state. No clock and no dice in here.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from webapp.domain.errors import Conflict
from webapp.domain.outcomes import Discard, Done, Outcome, Retry, Skip, Snooze
from webapp.domain.retry import RetryPolicy, delay_for, format_duration

MAX_WAIT = timedelta(days=30)  # a handler cannot push a delivery out of sight


class State(StrEnum):
    """Where a delivery stands."""

    PENDING = "pending"  # due, never tried or released
    RUNNING = "running"  # a worker holds the lease
    WAITING = "waiting"  # tried or snoozed, due again at due_at
    HELD = "held"  # its subscription is paused
    SUCCEEDED = "succeeded"
    DEAD = "dead"  # given up, with a reason
    CANCELLED = "cancelled"
    SKIPPED = "skipped"


class Verb(StrEnum):
    """What may happen to a delivery."""

    CLAIM = "claim"  # a worker takes it
    SUCCEED = "succeed"
    RETRY = "retry"  # failed, tries are left
    SNOOZE = "snooze"  # the handler asked for later; no try is used up
    DISCARD = "discard"  # the handler gave up: dead, permanent
    SKIP = "skip"
    EXHAUST = "exhaust"  # failed, no tries left
    EXPIRE = "expire"  # it came too late to be run
    ORPHAN = "orphan"  # no worker has its handler
    RESCUE = "rescue"  # its worker vanished; try again
    LOSE = "lose"  # its workers vanished too often
    INTERRUPT = "interrupt"  # its worker is stopping and gives it back
    HOLD = "hold"  # the subscription was paused
    RELEASE = "release"  # the subscription was resumed
    CANCEL = "cancel"  # by a person, or the subscription was deleted; of a running one it is only asked for
    STOP = "stop"  # its cancellation was asked for, and it runs no more
    REVIVE = "revive"  # by a person: try a dead one again
    HASTEN = "hasten"  # by a person: do not wait
    WAIVE = "waive"  # by a person: a dead one is not needed; what it blocks goes on
    SUPERSEDE = "supersede"  # a debounce keeps a later one instead


S, V = State, Verb

TRANSITIONS: Mapping[tuple[State, Verb], State] = {
    (S.PENDING, V.CLAIM): S.RUNNING,
    (S.WAITING, V.CLAIM): S.RUNNING,
    (S.RUNNING, V.SUCCEED): S.SUCCEEDED,
    (S.RUNNING, V.RETRY): S.WAITING,
    (S.RUNNING, V.SNOOZE): S.WAITING,
    (S.RUNNING, V.DISCARD): S.DEAD,
    (S.RUNNING, V.SKIP): S.SKIPPED,
    (S.RUNNING, V.EXHAUST): S.DEAD,
    (S.RUNNING, V.ORPHAN): S.DEAD,
    (S.RUNNING, V.LOSE): S.DEAD,
    (S.RUNNING, V.RESCUE): S.WAITING,
    (S.RUNNING, V.INTERRUPT): S.PENDING,
    (S.PENDING, V.EXPIRE): S.DEAD,
    (S.WAITING, V.EXPIRE): S.DEAD,
    (S.HELD, V.EXPIRE): S.DEAD,
    (S.PENDING, V.HOLD): S.HELD,
    (S.WAITING, V.HOLD): S.HELD,
    (S.HELD, V.RELEASE): S.PENDING,
    (S.PENDING, V.CANCEL): S.CANCELLED,
    (S.WAITING, V.CANCEL): S.CANCELLED,
    (S.HELD, V.CANCEL): S.CANCELLED,
    (S.RUNNING, V.CANCEL): S.RUNNING,  # asked for; it may still succeed
    (S.RUNNING, V.STOP): S.CANCELLED,
    (S.DEAD, V.REVIVE): S.PENDING,
    (S.WAITING, V.HASTEN): S.PENDING,
    (S.DEAD, V.WAIVE): S.SKIPPED,
    (S.PENDING, V.SUPERSEDE): S.SKIPPED,
    (S.HELD, V.SUPERSEDE): S.SKIPPED,
}

FINAL = frozenset({S.SUCCEEDED, S.DEAD, S.CANCELLED, S.SKIPPED})
OPEN = frozenset(S) - FINAL


class CancelEnd(StrEnum):
    """How a cancellation came to its end: the reason of a cancelled delivery."""

    BEFORE_START = "before_start"  # it was not running
    COOPERATIVE = "cooperative"  # the handler ended within the grace
    KILLED = "killed"  # its process was killed, or it was left behind after the grace
    LOST = "lost"  # its worker fell silent before it could say


DEAD_REASONS = ("exhausted", "permanent", "expired", "lost", "no_handler")


class IllegalTransition(Conflict):
    """The delivery's state does not allow this."""

    def __init__(self, state: State, verb: Verb) -> None:
        super().__init__(f"A delivery that is {state} cannot {verb}.")
        self.state = state
        self.verb = verb


def advance(state: State | str, verb: Verb | str) -> State:
    """The state after ``verb``; raises ``IllegalTransition`` when the table has no such way."""
    state, verb = State(state), Verb(verb)
    try:
        return TRANSITIONS[state, verb]
    except KeyError:
        raise IllegalTransition(state, verb) from None


def sources_of(verb: Verb | str) -> frozenset[State]:
    """The states that ``verb`` may start from: the guard of its SQL update."""
    return frozenset(state for state, known in TRANSITIONS if known == verb)


@dataclass(frozen=True, slots=True)
class Settlement:
    """What an attempt leads to. ``outcome`` is the word kept with the attempt."""

    state: State
    reason: str | None  # one of DEAD_REASONS when dead
    due_at: datetime | None  # when waiting
    counts: bool  # whether a try was used up
    outcome: str  # succeeded failed timed_out discarded snoozed skipped cancelled
    note: str = ""  # why there is no further try though some are left


def settle(
    outcome: Outcome,
    *,
    policy: RetryPolicy,
    tries_used: int,
    now: datetime,
    roll: float,
    timed_out: bool = False,
    missing: bool = False,
    error_names: Collection[str] = (),
    created_at: datetime | None = None,
) -> Settlement:
    """Where a running delivery goes with this outcome.

    ``tries_used`` is the number of counted tries BEFORE this one (0 on the first); snoozes, interruptions and
    crashes are not among them. ``roll`` lies in [0, 1). ``timed_out`` says that a ``Retry`` came from the
    deadline, ``missing`` that no handler of that name exists here (dead as ``no_handler`` once tries are used up).
    ``error_names`` are the names of the error's class and its bases, ``created_at`` is when the delivery was made.
    """
    match outcome:
        case Done():
            return Settlement(advance(S.RUNNING, V.SUCCEED), None, None, True, "succeeded")
        case Skip():
            return Settlement(advance(S.RUNNING, V.SKIP), None, None, True, "skipped")
        case Discard():
            return Settlement(advance(S.RUNNING, V.DISCARD), "permanent", None, True, "discarded")
        case Snooze(delay=delay):
            return Settlement(advance(S.RUNNING, V.SNOOZE), None, now + _bounded(delay), False, "snoozed")
        case Retry():
            word, used = "timed_out" if timed_out else "failed", tries_used + 1
            if barred := policy.barred_by(error_names, outcome.status):
                note = f"not tried again: the retry policy rules it out for {barred}"
                return Settlement(advance(S.RUNNING, V.DISCARD), "permanent", None, True, word, note)
            due_at, are_tries_left = now + _wait(outcome, used, policy, roll), used < policy.max_attempts
            note = too_late(due_at, created_at, policy) if are_tries_left else ""
            if are_tries_left and not note:
                return Settlement(advance(S.RUNNING, V.RETRY), None, due_at, True, word)
            verb, reason = (V.ORPHAN, "no_handler") if missing else (V.EXHAUST, "exhausted")
            return Settlement(advance(S.RUNNING, verb), reason, None, True, word, note)


def stopped(how: CancelEnd) -> Settlement:
    """Where a running delivery goes whose cancellation was asked for. No try is used up."""
    return Settlement(advance(S.RUNNING, V.STOP), str(how), None, False, "cancelled")


def cancel_end(state: str, reason: str | None, is_asked: bool) -> str | None:
    """How a cancellation ended: a ``CancelEnd``, "too_late" when the delivery ended otherwise, None while it is open."""
    if state == S.CANCELLED:
        return reason
    return "too_late" if is_asked and state in FINAL else None


def too_late(at: datetime, created_at: datetime | None, policy: RetryPolicy) -> str:
    """Why a delivery made at ``created_at`` must not be tried again at ``at``; empty when it may."""
    if created_at is None or policy.max_age_s is None or not policy.is_over_age(at - created_at):
        return ""
    age = format_duration(timedelta(seconds=policy.max_age_s))
    return f"not tried again: the retry policy starts no try later than {age} after the delivery was made"


def _wait(retry: Retry, used: int, policy: RetryPolicy, roll: float) -> timedelta:
    """What the handler says, else what the policy says, but never shorter than the other side asked for (to a cap)."""
    wait = delay_for(used, policy, roll) if retry.after is None else _bounded(retry.after)
    asked = retry.retry_after or timedelta()
    return max(wait, min(asked, timedelta(seconds=policy.retry_after_cap_s)))


def _bounded(wait: timedelta) -> timedelta:
    return min(max(wait, timedelta()), MAX_WAIT)
