"""Rooms: the sockets of those who look at the same event, delivery or subscription. A socket enters one, when it opens.

A page names itself in what the socket says hello with; the room is as open as the page is. That the people in a room
changed is told to the room as a hint, and who they are is a GET.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Any

from webapp.domain.access import Actor
from webapp.live import ViewersChanged
from webapp.runtime import Runtime
from webapp.services.viewers import Viewers
from webapp.store.feed_viewers import is_there
from webapp.web.auth import verb_of

ENDPOINTS = {"event": "events.show", "delivery": "deliveries.show", "subscription": "subscriptions.show"}
PAGE = re.compile(r"(event|delivery|subscription):([0-9A-Za-z_]{1,64})")

Tell = Callable[[str, dict[str, Any], str], None]  # name, message, room


@dataclass(frozen=True, slots=True)
class Seat:
    """A socket in a room."""

    room: str
    person: str


def room_of(rt: Runtime, actor: Actor, hello: object) -> str | None:
    """The room of the page that a socket is opened from, if this person may open that page and there is one."""
    page = hello.get("page") if isinstance(hello, dict) else None
    found = PAGE.fullmatch(page) if isinstance(page, str) else None
    if found is None:
        return None
    noun, key = found.groups()
    verb = verb_of(ENDPOINTS[noun])
    if verb is None or not actor.can(verb):
        return None
    with rt.db.read() as conn:
        return found.group() if is_there(conn, noun, key) else None


class Rooms:
    """The rooms of this process. Redis knows the people in the others."""

    def __init__(self, viewers: Viewers, tell: Tell) -> None:
        self._viewers, self._tell = viewers, tell
        self._lock = threading.Lock()
        self._seats: dict[str, Seat] = {}  # by socket id
        self._people: dict[str, frozenset[str]] = {}  # by room, as this process saw them last
        self._told = count(1)

    def enter(self, sid: str, room: str, person: str) -> None:
        """A socket opens."""
        with self._lock:
            self._seats[sid] = Seat(room, person)
        self._viewers.stay([(room, person, sid)])
        self._look(room)

    def leave(self, sid: str) -> None:
        """It is closed."""
        with self._lock:
            seat = self._seats.pop(sid, None)
        if seat is not None:
            self._viewers.leave(seat.room, seat.person, sid)
            self._look(seat.room)

    def refresh(self) -> None:
        """Say that all of these are still there, and see who of the others is not."""
        with self._lock:
            seats = dict(self._seats)
        self._viewers.stay((seat.room, seat.person, sid) for sid, seat in seats.items())
        for room in {seat.room for seat in seats.values()}:
            self._look(room)

    def _look(self, room: str) -> None:
        people = self._viewers.of(room)
        with self._lock:
            before = self._people.get(room, frozenset())
            if any(seat.room == room for seat in self._seats.values()):
                self._people[room] = people
            else:
                self._people.pop(room, None)
        if people != before:
            item = {"id": room, "state": "", "v": next(self._told)}
            self._tell(ViewersChanged.name, {"items": [item], "more": 0}, room)
