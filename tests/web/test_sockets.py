"""Who may listen to live facts: nobody without a living session, nobody from elsewhere, nobody for longer than allowed."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from http.client import HTTPConnection
from typing import Any

import pytest
import simple_websocket
from flask import Flask
from sqlalchemy import delete
from werkzeug.serving import BaseWSGIServer, make_server

from tests.support.clock import Clock
from tests.support.factories import make_delivery, make_event, make_subscription
from tests.support.pages import soup
from tests.support.people import Person, add_person, add_program
from tests.support.servers import wait_until
from webapp.domain.access import Actor
from webapp.live import NAMESPACE
from webapp.runtime import Runtime
from webapp.services.viewers import Viewers
from webapp.store import tables
from webapp.web import sockets
from webapp.web.context import hub_of
from webapp.web.sockets import is_same_origin
from webapp.web.viewing import room_of

OPEN = "/socket.io/?EIO=4&transport=websocket"
PING = "2"  # of the engine, now and then
HELLO = f"40{NAMESPACE},"


@pytest.fixture
def server(app: Flask) -> Iterator[BaseWSGIServer]:
    """The app on a port of its own: the test client cannot upgrade."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def connect(server: BaseWSGIServer) -> Iterator[Callable[..., simple_websocket.Client]]:
    """Opens sockets as a browser of that person would."""
    opened = []

    def dial(person: Person) -> simple_websocket.Client:
        client = simple_websocket.Client(f"ws://127.0.0.1:{server.port}{OPEN}", headers=_headers(person))
        opened.append(client)
        return client

    yield dial
    for client in opened:
        if client.connected:
            client.close()
        client.sock.close()


def _headers(person: Person | None, port: str = "") -> dict[str, str]:
    cookie = person.client.get_cookie("signalbox") if person is not None else None
    given = {"Cookie": f"signalbox={cookie.value}"} if cookie else {}
    return {"Origin": f"http://127.0.0.1{port}"} | given  # this client says Host without its port


def _refusal(server: BaseWSGIServer, person: Person | None, **headers: str) -> int:
    """The status that an upgrade is answered with."""
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
    }
    with closing(HTTPConnection("127.0.0.1", server.port, timeout=30)) as http:
        http.request("GET", OPEN, headers=upgrade | _headers(person, f":{server.port}") | headers)
        return http.getresponse().status


def _join(client: simple_websocket.Client) -> str:
    assert str(client.receive(timeout=30)).startswith("0{")
    client.send(HELLO)
    while (said := client.receive(timeout=30)) == PING:
        pass
    return str(said)


def _listeners(app: Flask) -> sockets.Listeners:
    found: sockets.Listeners = app.extensions["signalbox.listeners"]
    return found


def test_signed_in_person_hears_facts(app: Flask, as_viewer: Person, connect: Any) -> None:
    client = connect(as_viewer)
    assert _join(client).startswith(HELLO)
    app.extensions["socketio"].emit("event.changed", {"items": [], "more": 3}, namespace=NAMESPACE)
    kind, body = json.loads(str(client.receive(timeout=30)).removeprefix(f"42{NAMESPACE},"))
    assert (kind, body) == ("event.changed", {"items": [], "more": 3})


@pytest.mark.parametrize(
    ("role", "status"), [("viewer", 101), ("operator", 101), ("developer", 101), ("admin", 101), ("publisher", 401)]
)
def test_who_may_read_may_listen(app: Flask, server: BaseWSGIServer, role: str, status: int) -> None:
    assert _refusal(server, add_person(app, "bob", role)) == status


def test_key_of_a_program_opens_no_socket(app: Flask, server: BaseWSGIServer) -> None:
    assert _refusal(server, None, Authorization=f"Bearer {add_program(app, 'admin').secret}") == 401


def test_stranger_is_refused_before_a_socket_is_made(stranger: Person, server: BaseWSGIServer) -> None:
    assert [_refusal(server, person) for person in (None, stranger)] == [401, 401]


@pytest.mark.parametrize("origin", ["https://evil.example", "http://127.0.0.1:1", "null"])
def test_page_from_elsewhere_is_refused(as_viewer: Person, server: BaseWSGIServer, origin: str) -> None:
    assert _refusal(server, as_viewer, Origin=origin) == 400


def test_polling_transport_is_refused(as_viewer: Person) -> None:
    assert as_viewer.get("/socket.io/?EIO=4&transport=polling").status_code == 400


def test_large_frame_ends_the_socket(as_viewer: Person, connect: Any) -> None:
    client = connect(as_viewer)
    _join(client)
    client.send("4" * (sockets.MAX_FRAME + 1))
    with pytest.raises(simple_websocket.ConnectionClosed):
        client.receive(timeout=30)


def test_what_a_client_sends_changes_nothing(sqlite_rt: Runtime, as_viewer: Person, connect: Any) -> None:
    client = connect(as_viewer)
    _join(client)
    client.send(f'42{NAMESPACE},["event.changed",{{"items":[]}}]')
    client.send("2")  # a ping of the engine: something to wait for
    assert client.receive(timeout=0.3) is None
    assert client.connected


# Both threads of the server's engine may close the socket: the second one is told so by an error in its thread.
@pytest.mark.filterwarnings("ignore:(?s).*LocalProtocolError:pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize(
    "frame",
    [f"42{NAMESPACE},[", "42[]", "9", "", "4", f"42{NAMESPACE}," + "[" * 20_000, f"42{NAMESPACE},[{{}}]", b"\x00\xff" * 500,
     f'42{NAMESPACE},["join","*"]', f'42{NAMESPACE},["join","{"r" * 9_000}"]', "45-9999999-", "40/admin,"],
    ids=["cut off", "other namespace", "unknown kind", "empty", "no packet", "nested", "no name", "binary", "room *",
         "long room", "attachments", "admin"],
)  # fmt: skip
def test_frames_of_nonsense_reach_nobody(
    app: Flask, as_viewer: Person, as_operator: Person, connect: Any, frame: Any
) -> None:
    client, other = connect(as_viewer), connect(as_operator)
    _join(client), _join(other)
    client.send(frame)
    app.extensions["socketio"].emit("event.changed", {"items": [], "more": 1}, namespace=NAMESPACE)
    heard = iter(lambda: str(other.receive(timeout=30)), "None")
    assert "event.changed" in next(word for word in heard if word != PING), "others are served"


def test_old_protocol_is_refused(as_viewer: Person, server: BaseWSGIServer) -> None:
    with closing(HTTPConnection("127.0.0.1", server.port, timeout=30)) as http:
        http.request("GET", OPEN.replace("EIO=4", "EIO=3"), headers=_headers(as_viewer, f":{server.port}"))
        assert http.getresponse().status == 400


@pytest.mark.parametrize("how", ["signed out", "idle", "disabled"])
def test_ended_session_takes_its_sockets_along(
    app: Flask, sqlite_rt: Runtime, clock: Clock, as_viewer: Person, as_operator: Person, connect: Any, how: str
) -> None:
    client, other = connect(as_viewer), connect(as_operator)
    _join(client), _join(other)
    with sqlite_rt.db.write() as conn:
        mine = tables.sessions.c.user_id == as_viewer.user_id
        if how == "signed out":
            conn.execute(delete(tables.sessions).where(mine))
        elif how == "disabled":
            users = tables.users
            conn.execute(users.update().where(users.c.id == as_viewer.user_id).values(disabled_at=clock()))
        else:
            conn.execute(tables.sessions.update().where(mine).values(seen_at=clock() - timedelta(days=2)))
    _listeners(app).check()
    said = iter(lambda: str(client.receive(timeout=30)), "None")
    assert next(word for word in said if word != PING).startswith(f"41{NAMESPACE}")
    assert other.receive(timeout=0.3) is None
    assert other.connected


def test_one_session_cannot_take_every_socket(as_viewer: Person, connect: Any) -> None:
    answers = [_join(connect(as_viewer)) for _ in range(sockets.PER_SESSION + 1)]
    assert [answer.startswith(HELLO) for answer in answers] == [True] * sockets.PER_SESSION + [False]


@pytest.mark.parametrize(
    ("origin", "public_url", "ours"),
    [
        ("http://hub.example:8000", "", True),
        ("https://hub.example:8000", "", True),
        ("https://hub.example", "https://hub.example", True),
        ("https://hub.example", "", False),
        ("http://hub.example:8000.evil.example", "", False),
        ("http://evil.example", "https://hub.example", False),
        ("file://hub.example:8000", "", False),
        (None, "", False),
        ("null", "", False),
    ],
)
def test_origin_is_ours(origin: str | None, public_url: str, ours: bool) -> None:
    environ = {"HTTP_HOST": "hub.example:8000", "HTTP_X_FORWARDED_HOST": "evil.example"}
    assert is_same_origin(origin, environ, public_url) is ours


# Who looks at the same page


def _open(client: simple_websocket.Client, page: str) -> None:
    assert str(client.receive(timeout=30)).startswith("0{")
    client.send(HELLO + json.dumps({"page": page}))
    while (said := str(client.receive(timeout=30))) == PING or said.startswith("42"):
        pass
    assert said.startswith(HELLO)


def _heard(client: simple_websocket.Client, name: str) -> Any:
    """The next message of that name."""
    said = iter(lambda: str(client.receive(timeout=30)), "None")
    return json.loads(next(one for one in said if name in one).removeprefix(f"42{NAMESPACE},"))[1]


@pytest.fixture
def sqlite_rt(sqlite_rt: Runtime, redis_url: str) -> Runtime:
    """With a Redis, which knows who is where."""
    sqlite_rt.settings = replace(sqlite_rt.settings, redis_url=redis_url)
    return sqlite_rt


def _seen(person: Person, page: str) -> str:
    return " ".join(soup(person.part(f"/viewers/{page.replace(':', '/')}")).text.split())


def test_people_on_a_page_are_told_of_each_other_and_of_those_who_leave(
    sqlite_rt: Runtime, as_viewer: Person, as_operator: Person, connect: Any
) -> None:
    page = f"event:{make_event(sqlite_rt)}"
    mine, theirs, second = connect(as_viewer), connect(as_operator), connect(as_operator)
    _open(mine, page)
    assert _seen(as_viewer, page) == "", "quiet when alone"
    _open(theirs, page)
    assert _heard(mine, "viewers.changed")["items"][0]["id"] == page
    assert "2 people are viewing" in _seen(as_viewer, page)
    assert "olga" in _seen(as_viewer, page)
    _open(second, page)  # one person in two tabs
    assert "2 people are viewing" in _seen(as_viewer, page)
    second.close()
    theirs.close()
    wait_until(lambda: _seen(as_viewer, page) == "", 30, "the other one has left")
    assert _heard(mine, "viewers.changed")["more"] == 0


@pytest.mark.parametrize(
    "page", ["event:evt_none", "user:usr_1", "event:", "", "event:" + "x" * 200, "*", {"a": 1}, None]
)
def test_room_of_a_page_that_there_is_not_is_not_entered(app: Flask, as_viewer: Person, page: Any) -> None:
    actor = Actor("user", as_viewer.user_id, "vera", "viewer")
    with app.app_context():
        assert room_of(hub_of(app).rt, actor, {"page": page}) is None
        assert room_of(hub_of(app).rt, actor, page) is None


def test_room_is_as_open_as_its_page(app: Flask, sqlite_rt: Runtime) -> None:
    uid = make_event(sqlite_rt)
    pages = [
        f"event:{uid}",
        f"delivery:{make_delivery(sqlite_rt, uid)}",
        f"subscription:{make_subscription(sqlite_rt)}",
    ]
    with app.app_context():
        for role, may in (("viewer", True), ("publisher", False)):
            actor = Actor("user", "usr_1", "vera", role)  # type: ignore[arg-type]
            assert [room_of(sqlite_rt, actor, {"page": page}) == page for page in pages] == [may] * 3


def test_who_says_nothing_any_more_is_gone_and_the_others_are_told(
    app: Flask, sqlite_rt: Runtime, redis_url: str, as_viewer: Person, as_operator: Person, connect: Any
) -> None:
    page = f"event:{make_event(sqlite_rt)}"
    mine = connect(as_viewer)
    _open(mine, page)
    Viewers(redis_url, believed_s=60).stay([(page, as_operator.user_id, "of a process that dies")])
    _listeners(app).rooms.refresh()
    _heard(mine, "viewers.changed")
    assert "2 people" in _seen(as_viewer, page)
    Viewers(redis_url, believed_s=0).stay([(page, as_operator.user_id, "of a process that dies")])  # its time is over
    _listeners(app).rooms.refresh()
    _heard(mine, "viewers.changed")
    assert _seen(as_viewer, page) == ""


def test_network_that_was_cut_is_noticed(app: Flask, sqlite_rt: Runtime, as_viewer: Person, connect: Any) -> None:
    engine = app.extensions["socketio"].server.eio
    assert engine.ping_interval + engine.ping_timeout <= 30
    engine.ping_interval, engine.ping_timeout = 0.1, 0.1
    page = f"event:{make_event(sqlite_rt)}"
    _open(connect(as_viewer), page)  # and never answers a ping
    wait_until(lambda: not hub_of(app).viewers.of(page), 30, "the socket is given up")


def test_session_that_ends_leaves_the_room(
    app: Flask, sqlite_rt: Runtime, as_viewer: Person, as_operator: Person, connect: Any
) -> None:
    page = f"event:{make_event(sqlite_rt)}"
    _open(connect(as_viewer), page)
    assert hub_of(app).viewers.of(page) == {as_viewer.user_id}
    assert as_viewer.post("/sign-out").status_code == 303
    _listeners(app).check()
    assert hub_of(app).viewers.of(page) == frozenset()


def test_without_redis_nobody_is_seen_and_sockets_are_served(
    app: Flask, sqlite_rt: Runtime, as_viewer: Person, connect: Any
) -> None:
    hub_of(app).viewers._url = "redis://127.0.0.1:1/0"  # nobody listens there
    page = f"event:{make_event(sqlite_rt)}"
    client = connect(as_viewer)
    _open(client, page)
    assert _seen(as_viewer, page) == ""
    assert client.connected


def test_names_are_of_pages_that_there_are(as_viewer: Person, stranger: Person) -> None:
    assert as_viewer.part("/viewers/event/evt_none").status_code == 404
    assert as_viewer.part("/viewers/user/usr_1").status_code == 404
    assert stranger.part("/viewers/event/evt_none").status_code == 401
