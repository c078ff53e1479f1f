"""The Socket.IO side of live facts: who may listen, for how long, and how many. It only ever talks, never listens:
even the page that a socket belongs to (``webapp.web.viewing``) is named once, when it opens.

Facts come from Redis (``webapp.live``) and go out to everybody: they carry ids and states, and the GET that
follows checks permissions. Nobody without a living session may hold a socket, not even a silent one: a
socket holds a thread, and a session that ends takes its sockets with it within seconds.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import socketio
from engineio.async_drivers._websocket_wsgi import SimpleWebSocketWSGI  # type: ignore[import-untyped]
from flask import Flask, request, session
from flask_socketio import ConnectionRefusedError, SocketIO, join_room

from webapp.domain.errors import HubError
from webapp.live import CHANNEL, NAMESPACE, RedisPublisher
from webapp.runtime import Runtime
from webapp.services.accounts import fingerprint
from webapp.store import accounts
from webapp.web import auth, second_step
from webapp.web.context import hub_of
from webapp.web.viewing import Rooms, room_of

log = logging.getLogger(__name__)

PATH = "/socket.io"
MAX_FRAME = 4096  # bytes: browsers have nothing to say but hello and pong
CHECK_EVERY_S = 4.0
THREADS_KEPT = 16  # for requests, out of the threads of the web process
PER_SESSION = 12  # tabs
PING_EVERY_S, PONG_WITHIN_S = 15, 10  # a network that was cut is noticed

WSGI = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class SmallFrames(SimpleWebSocketWSGI):  # type: ignore[misc]
    """A WebSocket that is closed when a client sends a large frame."""

    def __init__(self, handler: Any, server: Any, **options: Any) -> None:
        super().__init__(handler, server, max_message_size=MAX_FRAME, **options)


class Listeners:
    """The sockets of this process, each with the session that it was opened with."""

    def __init__(self, rt: Runtime, disconnect: Callable[[str], None], rooms: Rooms) -> None:
        self._rt, self._disconnect, self.rooms = rt, disconnect, rooms
        self._lock = threading.Lock()
        self._of: dict[str, str] = {}  # socket id -> session id
        self._watch: threading.Thread | None = None

    def add(self, sid: str, session_id: str) -> bool:
        """Remember a socket; answers whether there was room for it."""
        with self._lock:
            if sum(1 for one in self._of.values() if one == session_id) >= PER_SESSION:
                return False
            self._of[sid] = session_id
            if self._watch is None:
                self._watch = threading.Thread(target=self._run, name="sockets", daemon=True)
                self._watch.start()
        return True

    def remove(self, sid: str) -> None:
        """Forget a socket."""
        with self._lock:
            self._of.pop(sid, None)
        self.rooms.leave(sid)

    def check(self) -> None:
        """Disconnect the sockets of sessions that have ended."""
        with self._lock:
            held = dict(self._of)
        living = self._living(set(held.values()))
        for sid, session_id in held.items():
            if session_id not in living:
                self.remove(sid)
                self._disconnect(sid)

    def _living(self, session_ids: set[str]) -> set[str]:
        now = self._rt.clock()
        idle_since = now - timedelta(hours=self._rt.settings.session_idle_h)
        with self._rt.db.read() as conn:
            found = (accounts.find_session(conn, one, now=now, idle_since=idle_since) for one in session_ids)
            return {row.id for row in found if row is not None}

    def _run(self) -> None:
        """Until no socket is left; the next one starts another watch."""
        while True:
            time.sleep(CHECK_EVERY_S)
            with self._lock:
                if not self._of:
                    self._watch = None
                    return
            try:
                self.rooms.refresh()
                self.check()
            except HubError as error:
                log.warning("sessions of sockets not checked: %s", error, extra={"action": "sockets_unchecked"})


def init_sockets(app: Flask, rt: Runtime) -> SocketIO:
    """Serve ``/socket.io``. Facts come through Redis when the runtime tells them there, else only from this process."""
    options: dict[str, Any] = {}
    if isinstance(rt.live, RedisPublisher):
        options["client_manager"] = socketio.RedisManager(rt.settings.redis_url, channel=CHANNEL)
    sockets = SocketIO(
        app,
        async_mode="threading",
        transports=["websocket"],
        cors_allowed_origins=lambda origin, environ: is_same_origin(origin, environ, rt.settings.public_url),
        manage_session=False,
        async_handlers=False,
        max_http_buffer_size=MAX_FRAME,
        ping_interval=PING_EVERY_S,
        ping_timeout=PONG_WITHIN_S,
        **options,
    )
    engine = sockets.server.eio
    engine._async = {**engine._async, "websocket": SmallFrames}
    rooms = Rooms(hub_of(app).viewers, lambda name, said, to: sockets.emit(name, said, namespace=NAMESPACE, to=to))
    listeners = Listeners(rt, lambda sid: sockets.server.disconnect(sid, namespace=NAMESPACE), rooms)
    app.extensions["signalbox.listeners"] = listeners
    _greet(sockets, listeners, rt)
    room = max(4, rt.settings.web_threads - THREADS_KEPT)
    app.wsgi_app = _Gate(app, app.wsgi_app, threading.BoundedSemaphore(room))  # type: ignore[method-assign]
    return sockets


def _greet(sockets: SocketIO, listeners: Listeners, rt: Runtime) -> None:
    @sockets.on("connect", namespace=NAMESPACE)  # type: ignore[untyped-decorator]
    def connect(hello: Any = None) -> None:
        sid, session_id = request.sid, _session_of_reader()  # type: ignore[attr-defined]
        if session_id is None or not listeners.add(sid, session_id):
            raise ConnectionRefusedError("refused")
        actor = auth.current_actor()
        if room := room_of(rt, actor, hello):
            join_room(room)
            listeners.rooms.enter(sid, room, actor.id)

    @sockets.on("disconnect", namespace=NAMESPACE)  # type: ignore[untyped-decorator]
    def disconnect(_reason: Any = None) -> None:
        listeners.remove(request.sid)  # type: ignore[attr-defined]


def _session_of_reader() -> str | None:
    """The session of the person behind this request, if they may read."""
    actor, token = auth.find_actor(), session.get(auth.TOKEN)
    may = actor is not None and actor.can("read") and not second_step.is_led()
    return fingerprint(token) if may and isinstance(token, str) else None


def is_same_origin(origin: str | None, environ: dict[str, Any], public_url: str) -> bool:
    """Whether the page was ours. Forwarded headers are not believed here; trusted proxies were applied before."""
    if not origin:
        return False
    if public_url and origin == public_url:
        return True
    parts = urlsplit(origin)
    return parts.scheme in ("http", "https") and parts.netloc == environ.get("HTTP_HOST", "")


class _Gate:
    """Stands before the engine: it would keep a socket, and its thread, for whoever merely opens one."""

    def __init__(self, app: Flask, inner: WSGI, room: threading.BoundedSemaphore) -> None:
        self._app, self._inner, self._room = app, inner, room

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path != PATH and not path.startswith(PATH + "/"):
            return self._inner(environ, start_response)
        if not self._may_listen(environ):
            return _refuse(start_response, "401 Unauthorized")
        if not self._room.acquire(blocking=False):
            return _refuse(start_response, "503 Service Unavailable")
        try:
            return self._inner(environ, start_response)
        finally:
            self._room.release()

    def _may_listen(self, environ: dict[str, Any]) -> bool:
        try:
            with self._app.request_context(environ):
                return _session_of_reader() is not None
        except HubError:
            return False


def _refuse(start_response: Callable[..., Any], status: str) -> Iterable[bytes]:
    start_response(status, [("Content-Type", "text/plain"), ("Content-Length", "0"), ("Cache-Control", "no-store")])
    return [b""]
