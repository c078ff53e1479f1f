"""What handlers publish: an event goes through the same door as from outside, and is on disk when they go on."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from webapp.domain.access import SYSTEM
from webapp.domain.events import parse_event, through_json
from webapp.runtime import Runtime
from webapp.services.accept import Accepted, Acceptor
from webapp.services.cause import caused

SOURCE = "signalbox"  # of an event that names none


class Publisher:
    """Accepts events for the handlers of one process."""

    def __init__(self, rt: Runtime) -> None:
        self._rt = rt

    @cached_property
    def _acceptor(self) -> Acceptor:
        return Acceptor(self._rt)

    async def publish(self, document: Mapping[str, Any]) -> Accepted:
        """Accept what ``document`` describes; what is handled here is its cause unless it names one. Raises ``Refused``."""
        draft = parse_event(through_json(document), default_source=SOURCE, now=self._rt.clock())
        return await asyncio.to_thread(self._acceptor.accept, caused(draft), SYSTEM)
