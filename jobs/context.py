"""What a handler is given beside its event: progress, log lines, the outgoing HTTP client, notifications.

Everything here is cheap and safe from any thread, and nothing here touches the database: words and numbers
are kept in memory and taken by the recorder. A context that was closed (the attempt is over) keeps nothing.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from jobs.masking import NOTHING
from jobs.options import ReadSecrets, masked_ending, prepared
from jobs.resources import Factory, Resources
from jobs.state import HandlerState, ReadState
from webapp.domain.state import Change
from webapp.services.accept import Accepted

if TYPE_CHECKING:
    from jobs.handlers.base import EventHandler
    from jobs.outbound import Outbound
    from jobs.runner import Ending
    from webapp.domain.events import Event

HEAD_LINES = 500  # of an attempt are kept as they come
TAIL_LINES = 500  # of what follows are kept when the attempt is over
MAX_TEXT_BYTES = 8 * 1024
LEVELS = frozenset({"debug", "info", "warning", "error"})

Line = tuple[datetime, str, str]  # at, level, text
Progress = tuple[float, float | None, str | None]  # done, total, message
Notify = Callable[..., Awaitable[str]]
Publish = Callable[[Mapping[str, Any]], Awaitable[Accepted]]
Pause = Callable[[str, str], Awaitable[bool]]  # subscription, reason
Prolong = Callable[[float], float]  # seconds asked for to seconds granted


class TimeIsUp(RuntimeError):
    """The attempt is over: its deadline cannot be moved any more."""


@dataclass(frozen=True, slots=True)
class Tools:
    """What the process lends to every attempt."""

    http: Outbound
    notify: Notify
    clock: Callable[[], datetime]
    touched: Callable[[Context], None]  # the context has something to be written down
    read_state: ReadState
    read_secrets: ReadSecrets
    publish: Publish
    pause: Pause
    resources: Resources = field(default_factory=Resources)
    commands: Mapping[str, str] = field(default_factory=dict)  # programs that may be run, by name


class Context:
    """One attempt's view of the hub."""

    __slots__ = (
        "_closed",
        "_dropped",
        "_head",
        "_lock",
        "_mask",
        "_progress",
        "_prolong",
        "_published",
        "_state",
        "_tail",
        "_taken",
        "_tools",
        "attempt",
        "cancelled",
        "carrier_id",
        "deadline",
        "delivery_id",
        "event_uid",
        "events",
        "subscription_id",
    )

    def __init__(
        self,
        *,
        delivery_id: str,
        event_uid: str,
        subscription_id: str,
        attempt: int,
        deadline: datetime,
        tools: Tools,
        prolong: Prolong = float,
        carrier_id: str | None = None,
    ) -> None:
        self.delivery_id = delivery_id  # the same on every try: use it as idempotency key; of a batch, its name
        self.carrier_id = carrier_id or delivery_id  # the delivery whose page has progress and log lines
        self.event_uid = event_uid
        self.events: Sequence[Event] = ()  # of this call
        self.subscription_id = subscription_id
        self.attempt = attempt  # from 1
        self.deadline = deadline  # the attempt is cut off here
        self.cancelled = False  # a person asked for its end: code in threads looks here, awaiting code is interrupted
        self._tools = tools
        self._prolong = prolong
        self._state: HandlerState | None = None
        self._mask = NOTHING  # of the secrets that this attempt was given
        self._lock = threading.Lock()
        self._head: list[Line] = []
        self._tail: deque[Line] | None = None
        self._taken = 0
        self._dropped = 0
        self._progress: Progress | None = None
        self._published = 0
        self._closed = False

    @property
    def http(self) -> Outbound:
        """The outgoing HTTP client: time limits, a size cap, no private addresses."""
        return self._tools.http

    async def resource(self, factory: Factory, key: Hashable = None) -> Any:
        """What the factory makes: a client that all attempts of this worker share, one per ``key``. See ``jobs.resources``."""
        return await self._tools.resources.get(factory, key)

    def forget(self, key: Hashable, resource: Any) -> None:
        """That client is broken: whoever asks for ``key`` next gets another."""
        self._tools.resources.forget(key, resource)

    @property
    def commands(self) -> Mapping[str, str]:
        """Paths of the programs that may be run here, by name."""
        return self._tools.commands

    @property
    def state(self) -> HandlerState:
        """What the handler remembers for this subscription: ``await ctx.state.get(key)``, ``set``, ``increment``, ``delete``."""
        if self._state is None:
            self._state = HandlerState(self.subscription_id, self._tools.read_state)
        return self._state

    @property
    def changes(self) -> Sequence[Change]:
        """What the handler changed in its state. For the record of the attempt."""
        return () if self._state is None else self._state.changes()

    def log(self, text: object, level: str = "info") -> None:
        """Keep a line for the event's page, at once. Long text is cut, of many lines the middle is left out."""
        line = (self._tools.clock(), level if level in LEVELS else "info", self._words(text, MAX_TEXT_BYTES))
        with self._lock:
            if self._closed:
                return
            if self._tail is None and self._taken + len(self._head) < HEAD_LINES:
                self._head.append(line)
            else:
                self._keep_in_tail(line)
                return
        self._tools.touched(self)

    def progress(self, done: float, total: float | None = None, message: object = None) -> None:
        """Say how far the work is. Only the latest is kept."""
        numbers = (float(done), None if total is None else float(total))
        if not all(number is None or math.isfinite(number) for number in numbers):
            raise ValueError("progress takes finite numbers")
        with self._lock:
            if self._closed:
                return
            self._progress = (*numbers, None if message is None else self._words(message, 500))
        self._tools.touched(self)

    def extend(self, seconds: float) -> datetime:
        """Move this attempt's own deadline by that much, to an hour after its start at most; answers the new deadline.

        From any thread. Raises ``TimeIsUp`` when the deadline has passed: what was cut off is not brought back.
        """
        asked = float(seconds)
        if not 0 <= asked < math.inf:
            raise ValueError("extend takes a number of seconds from 0 up")
        with self._lock:
            if self._closed:
                raise TimeIsUp("the attempt is over")
            self.deadline += timedelta(seconds=self._prolong(asked))
            return self.deadline

    async def notify(self, severity: str, title: str, body: str = "", **more: Any) -> str:
        """Notify people, once per delivery and title however often it is tried; answers the notification's id."""
        title, body = self._mask.text(title), self._mask.text(body)
        more.setdefault("event_uid", self.event_uid)
        more.setdefault("link", f"/events/{self.event_uid}")
        more.setdefault("dedupe_key", f"{self.delivery_id}:{title}"[:200])
        return await self._tools.notify(severity, title, body, **more)

    async def publish(self, document: Mapping[str, Any]) -> Accepted:
        """Publish an event, as the JSON API would take it; the event that is handled is its cause.

        Unless ``document`` has an id, it gets one of the delivery and of its place among what this attempt publishes:
        the next try of a handler that publishes the same again stores nothing twice. Raises ``Refused``.
        """
        self._published += 1
        return await self._tools.publish({"id": f"{self.delivery_id}.{self._published}", **document})

    async def pause_subscription(self, reason: str) -> None:
        """Stop what this handler runs for: what comes is held, people are told why. For a receiver that wants no more."""
        await self._tools.pause(self.subscription_id, self._mask.text(reason))

    async def prepare(self, options: Mapping[str, Any], handler: type[EventHandler]) -> Mapping[str, Any]:
        """The options with their secrets in place, which from here on are hidden in whatever is kept. For the runner."""
        given, self._mask = await prepared(options, handler, self._tools.read_secrets)
        return given

    def masked(self, ending: Ending) -> Ending:
        """How it ended, without the secrets. For the runner."""
        return masked_ending(ending, self._mask)

    def take(self) -> tuple[list[Line], Progress | None]:
        """What came since the last take. For the recorder."""
        with self._lock:
            lines, self._head = self._head, []
            progress, self._progress = self._progress, None
            self._taken += len(lines)
        return lines, progress

    def close(self) -> tuple[list[Line], Progress | None]:
        """The last take: from here on nothing is kept, for the attempt is over."""
        lines, progress = self.take()
        with self._lock:
            self._closed = True
            if self._dropped:
                note = f"… {self._dropped} lines left out …"
                lines.append((self._tools.clock(), "warning", note))
            lines.extend(self._tail or ())
        return lines, progress

    def _words(self, text: object, max_bytes: int) -> str:
        return self._mask.text(clean_text(text, max_bytes))

    def _keep_in_tail(self, line: Line) -> None:
        if self._tail is None:
            self._tail = deque(maxlen=TAIL_LINES)
        self._dropped += len(self._tail) == TAIL_LINES
        self._tail.append(line)


def clean_text(value: object, max_bytes: int) -> str:
    """Text that both databases take: no NUL, no lone surrogate, at most ``max_bytes`` in UTF-8."""
    try:
        text = value if isinstance(value, str) else str(value)
    except Exception:  # noqa: BLE001  a broken __str__ must not break the attempt's record
        text = f"<{type(value).__name__} that cannot be shown>"
    data = text[:max_bytes].replace("\x00", "\ufffd").encode("utf-8", "replace")
    if len(data) <= max_bytes and len(text) <= max_bytes:
        return data.decode()
    return data[: max_bytes - 4].decode("utf-8", "ignore") + " …"
