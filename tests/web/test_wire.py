"""What no client library would send, byte by byte to a real gunicorn: it is refused, and the next request is served."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.hub import free_port
from tests.support.servers import dies_with_us, wait_until
from tests.support.sources import ROOT
from webapp.domain.access import SYSTEM
from webapp.runtime import Runtime, build_runtime
from webapp.services.accounts import create_key
from webapp.settings import Settings
from webapp.store import tables

pytestmark = pytest.mark.slow
BODY = b'{"type":"order.paid"}'
LONG_S = 20


class Wire:
    """The web part of a hub, and a socket to it for each request."""

    def __init__(self, rt: Runtime, key: str) -> None:
        self.rt, self.key, self.port = rt, key, rt.settings.port

    def send(self, request: bytes, *, ends: bool = True) -> bytes:
        """The raw answer; ``ends`` says that nothing more will come. Nothing at all: the connection was closed."""
        with closing(socket.create_connection(("127.0.0.1", self.port), timeout=LONG_S)) as wire:
            answer = b""
            try:
                wire.sendall(request)
                if ends:
                    wire.shutdown(socket.SHUT_WR)
                while chunk := wire.recv(65_536):
                    answer += chunk
            except ConnectionError:  # closed while we were still sending
                pass
            return answer

    def post(
        self, *headers: bytes, body: bytes = BODY, path: bytes = b"/api/v1/events", host: bytes = b"localhost"
    ) -> bytes:
        """Publish, with these headers and these bytes behind them."""
        lines = [b"POST %s HTTP/1.1" % path, b"Host: " + host, b"Authorization: Bearer " + self.key.encode()]
        lines += [b"Content-Type: application/json", b"Connection: close", *headers]
        return self.send(b"\r\n".join(lines) + b"\r\n\r\n" + body)

    def events(self) -> int:
        """How many events are stored."""
        with self.rt.db.read() as conn:
            return len(conn.execute(tables.events.select()).all())


def status_of(answer: bytes) -> int | None:
    """Of the first answer; None when the connection was closed without one."""
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/") else None


@pytest.fixture(scope="module")
def wire(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path, redis_server: str) -> Iterator[Wire]:
    home = tmp_path_factory.mktemp("wire")
    shutil.copyfile(sqlite_template, home / "signalbox.db")
    fields = {"database_url": f"sqlite:///{home}/signalbox.db", "redis_url": redis_server, "port": free_port()}
    settings = Settings(var_dir=home, secret_key="a-secret-that-only-the-tests-know", **fields).resolved()  # type: ignore[arg-type]
    rt = build_runtime(settings)
    env = {name: value for name, value in os.environ.items() if not name.startswith("SIGNALBOX_")}
    command = [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", "wsgi:app"]
    with (home / "web.log").open("wb") as log:
        web = subprocess.Popen(
            command,
            cwd=ROOT,
            env=env | settings.to_env(),
            stdout=log,
            stderr=log,
            preexec_fn=dies_with_us(signal.SIGTERM),
        )
    found = Wire(rt, create_key(rt, SYSTEM, "tests", "publisher")[1])
    try:
        wait_until(lambda: _answers(found), 40, "gunicorn answers")
        yield found
    finally:
        web.terminate()
        web.wait(LONG_S)
        rt.close()


def _answers(wire: Wire) -> bool:
    try:
        return status_of(wire.send(b"GET /healthz HTTP/1.0\r\nHost: localhost\r\n\r\n")) == 200
    except OSError:
        return False


LENGTH = b"Content-Length: %d" % len(BODY)
CHUNKED = b"Transfer-Encoding: chunked"
REFUSED = [
    ("28 less than announced", (b"Content-Length: 500",), BODY, {400}),
    ("28 more than announced", (b"Content-Length: 10",), BODY, {400}),
    ("29 length and chunks", (LENGTH, CHUNKED), b"15\r\n" + BODY + b"\r\n0\r\n\r\n", {400}),
    ("29 two lengths", (LENGTH, b"Content-Length: 5"), BODY, {400}),
    ("29 length that is no number", (b"Content-Length: +21",), BODY, {400}),
    ("29 negative length", (b"Content-Length: -1",), BODY, {400}),
    ("29 bad chunk", (CHUNKED,), b"zz\r\n" + BODY + b"\r\n0\r\n\r\n", {400}),
    ("29 chunks that end too early", (CHUNKED,), b"15\r\n" + BODY[:5], {400}),
    ("29 another transfer coding", (b"Transfer-Encoding: chunked, identity",), BODY, {400, 501}),
    ("29 hidden transfer coding", (b"Transfer-Encoding : chunked", LENGTH), BODY, {400}),
    ("29 folded header", (LENGTH, b"X-Note: a\r\n b"), BODY, {400}),
    ("63 header of 16 KB", (LENGTH, b"X-Long: " + b"x" * 16_384), BODY, {400, 431}),
    ("63 200 headers", (LENGTH, *[b"X-%d: 1" % n for n in range(200)]), BODY, {400, 431}),
    ("63 header without a name", (LENGTH, b": x"), BODY, {400}),
    ("63 NUL in a header", (LENGTH, b"X-Note: a\x00b"), BODY, {400}),
    ("64 two hosts", (LENGTH, b"Host: evil.example"), BODY, {400}),
]  # fmt: skip


@pytest.mark.parametrize(("headers", "body", "allowed"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_request_that_lies_is_refused_and_stores_nothing(
    wire: Wire, headers: tuple[bytes, ...], body: bytes, allowed: set[int | None]
) -> None:
    before = wire.events()
    answer = wire.post(*headers, body=body)
    assert status_of(answer) in allowed, answer[:300]
    assert b"HTTP/1.1 2" not in answer
    assert b"Traceback" not in answer
    assert wire.events() == before
    assert status_of(wire.post(LENGTH)) == 202, "the next one is served"


@pytest.mark.parametrize(
    ("line", "allowed"),
    [
        (b"TRACE /api/v1/events HTTP/1.1", {405, 501}),
        (b"CONNECT evil.example:443 HTTP/1.1", {400, 404, 405, 501}),
        (b"BREW /api/v1/events HTTP/1.1", {400, 405, 501}),
        (b"GET /" + b"x" * 9_000 + b" HTTP/1.1", {400, 414}),
        (b"GET /static/../wsgi.py HTTP/1.1", {404}),
        (b"GET /static/%2e%2e/wsgi.py HTTP/1.1", {404}),
        (b"GET /static/..%2fwsgi.py HTTP/1.1", {404}),
        (b"GET /api/v1/events/a%00b HTTP/1.1", {400, 401, 404}),
        (b"GET /api/v1/events HTTP/9.9", {400, 505}),
        (b"GET http://evil.example/sign-in HTTP/1.1", {200, 400}),
        (b"nonsense", {400}),
    ],
    ids=["61 TRACE", "61 CONNECT", "61 BREW", "62 long path", "62 dots", "62 escaped dots", "62 escaped slash", "62 NUL",
         "29 version", "64 absolute form", "29 no request line"],
)  # fmt: skip
def test_request_line_that_leads_elsewhere_leads_nowhere(wire: Wire, line: bytes, allowed: set[int]) -> None:
    answer = wire.send(line + b"\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert status_of(answer) in allowed, answer[:300]
    assert b"create_app" not in answer
    assert b"evil" not in answer
    assert b"TRACE /" not in answer, "nothing is sent back"


@pytest.mark.parametrize("path", [b"/api/v1/events/batch", b"/api/v1/cloudevents", b"/sign-in", b"/in/nothing"])
@pytest.mark.parametrize("headers", [(b"Content-Length: 500",), (CHUNKED,)], ids=["28 too short", "29 bad chunk"])
def test_body_that_breaks_off_is_no_fault_of_the_hub_at_any_door(
    wire: Wire, headers: tuple[bytes, ...], path: bytes
) -> None:
    assert status_of(wire.post(*headers, path=path)) in {400, 404}
    assert status_of(wire.post(*headers, b"Idempotency-Key: k", path=path)) in {400, 404}


@pytest.mark.parametrize("host", [b"evil.example", b"", b"a b", b"localhost@evil.example"])
def test_foreign_host_is_refused(wire: Wire, host: bytes) -> None:
    answer = wire.post(LENGTH, host=host)
    assert status_of(answer) == 400
    assert b"evil" not in answer


def test_missing_host_is_refused(wire: Wire) -> None:
    assert status_of(wire.send(b"GET /sign-in HTTP/1.1\r\nConnection: close\r\n\r\n")) == 400


def test_headers_of_nobody_are_believed_by_nobody(wire: Wire) -> None:
    """Nobody said that there is a proxy, and an underscore does not stand for a dash."""
    forged = [b"X-Forwarded-For: 203.0.113.9", b"X-Forwarded-Host: evil.example", b"X-Forwarded-Proto: https"]
    forged += [b"X_Request_Id: forged", b"Forwarded: for=203.0.113.9", b"X-Real-Ip: 203.0.113.9"]
    answer = wire.post(LENGTH, *forged)
    assert status_of(answer) == 202
    assert b"evil" not in answer
    assert b"forged" not in answer
    assert b"strict-transport-security" not in answer.lower()
    with wire.rt.db.read() as conn:
        rows = conn.execute(tables.audit.select().where(tables.audit.c.action == "event.published")).all()
    assert {row.ip for row in rows} == {"127.0.0.1"}
