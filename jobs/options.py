"""The options that a handler is made with: ``{secret.NAME}`` replaced by its value, just before it starts."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from jobs.masking import NOTHING, Mask, mask_of
from webapp.domain.outcomes import Discard, Done, Retry, Skip, Snooze
from webapp.domain.secretrefs import references, resolved
from webapp.domain.sensitive import sensitive_texts

if TYPE_CHECKING:
    from jobs.handlers.base import EventHandler
    from jobs.runner import Ending

FRESH_S = 3.0  # a new value is in use this long after it was saved, at the latest

ReadSecrets = Callable[[Collection[str]], Awaitable[Mapping[str, str]]]


class SecretMissing(Exception):
    """A secret that the options name does not exist, or cannot be decrypted here."""


class SecretBook:
    """The secrets that this process has read, for a few seconds. For one event loop."""

    def __init__(self, read: ReadSecrets, now: Callable[[], float] = time.monotonic) -> None:
        self._read, self._now = read, now
        self._known: dict[str, tuple[float, str]] = {}

    async def values(self, names: Collection[str]) -> dict[str, str]:
        """Their values; raises ``SecretMissing`` with every name that has none."""
        oldest = self._now() - FRESH_S
        self._known = {name: held for name, held in self._known.items() if held[0] > oldest}
        if unread := [name for name in names if name not in self._known]:
            at = self._now()
            found = await self._read(unread)
            self._known |= {name: (at, value) for name, value in found.items()}
        if missing := sorted(name for name in names if name not in self._known):
            listed = ", ".join(name[:64] for name in missing)
            raise SecretMissing(f"no secret {listed}, or none that can be decrypted here; see Settings, Secrets")
        return {name: self._known[name][1] for name in names}


async def prepared(
    options: Mapping[str, Any], handler: type[EventHandler], read: ReadSecrets
) -> tuple[Mapping[str, Any], Mask]:
    """The options with their secrets in place, and what hides those in all that the attempt leaves behind."""
    if not options:
        return options, NOTHING
    typed = sensitive_texts(options, handler.options_schema)
    names = {name for _, name in references(options)}
    if not names:
        return options, mask_of(frozenset(typed)) if typed else NOTHING
    values = await read(names)
    return resolved(options, values), mask_of(frozenset({*typed, *values.values()}))


def masked_ending(ending: Ending, mask: Mask) -> Ending:
    """The same without secrets in its words and its result."""
    if mask is NOTHING:
        return ending
    return replace(
        ending,
        outcome=_masked_outcome(ending.outcome, mask),
        error_message=None if ending.error_message is None else mask.text(ending.error_message),
        stack=None if ending.stack is None else mask.text(ending.stack),
    )


def _masked_outcome(outcome: Any, mask: Mask) -> Any:
    match outcome:
        case Done():
            return replace(outcome, result=_masked_result(outcome.result, mask))
        case Retry() | Discard() | Skip() | Snooze() if isinstance(outcome.reason, str):
            return replace(outcome, reason=mask.text(outcome.reason))
    return outcome


def _masked_result(result: Any, mask: Mask) -> Any:
    try:
        return mask.value(result)
    except Exception:  # noqa: BLE001  a handler may return any object: the work is done all the same
        return {"note": "the result could not be searched for secrets and is left out"}
