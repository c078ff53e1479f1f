"""What keeps the deliveries of a subscription from running, and which of several causes comes first.

A pause by a person (or by the system) comes before an open breaker, and that before a release: a breaker that
closes lets nothing go while the subscription is paused, and a release stands still while the breaker is open.
"""

from __future__ import annotations

from enum import StrEnum


class Hold(StrEnum):
    """Why a delivery is held: its reason."""

    PAUSED = "paused"
    BREAKER = "breaker"
    RELEASING = "releasing"  # its turn comes when those before it were let go
    LOOP = "loop"  # not by the subscription's doing: neither pause, breaker nor release touch it


def hold_of(*, is_paused: bool, breaker_holds: bool) -> Hold | None:
    """Why nothing of a subscription runs; None when it does."""
    if is_paused:
        return Hold.PAUSED
    return Hold.BREAKER if breaker_holds else None


def hold_of_new(*, is_paused: bool, breaker_holds: bool, is_releasing: bool, is_ordered: bool) -> Hold | None:
    """Why a delivery that is made now is held. While held ones are released, new ones run at once, unless order counts."""
    hold = hold_of(is_paused=is_paused, breaker_holds=breaker_holds)
    return hold or (Hold.RELEASING if is_releasing and is_ordered else None)
