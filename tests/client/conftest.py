"""A hub that listens, and a server that misbehaves as told."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from flask import Flask
from werkzeug.serving import make_server

from signalbox import Client, Retries
from tests.support.people import Program

SWIFT = Retries(tries=3, first_s=0.01, most_s=0.02, patience_s=1)


@pytest.fixture
def url(app: Flask) -> Iterator[str]:
    """The app on a port of its own."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def client(url: str, api: Program) -> Iterator[Client]:
    """With the key of an administrator."""
    with Client(url, api.secret, retries=SWIFT) as made:
        yield made


@dataclass
class Sulky:
    """A server that answers by a list, the last answer for ever; ``seen`` are the requests."""

    answers: list[tuple[int, dict[str, str], bytes]]
    seen: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)
    url: str = ""


@pytest.fixture
def sulky() -> Iterator[Any]:
    """Starts such servers."""
    started: list[ThreadingHTTPServer] = []

    def start(*answers: tuple[int, dict[str, str], bytes]) -> Sulky:
        made = Sulky(list(answers))

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                made.seen.append((self.command, self.path, dict(self.headers), body))
                status, headers, answer = made.answers.pop(0) if len(made.answers) > 1 else made.answers[0]
                if status == 0:  # hangs up without a word
                    self.close_connection = True
                    return
                self.send_response(status)
                for name, value in {"Content-Length": str(len(answer)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(answer)

            do_GET = do_POST

            def log_message(self, *args: Any) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        started.append(server)
        made.url = f"http://127.0.0.1:{server.server_address[1]}"
        return made

    yield start
    for server in started:
        server.shutdown()
        server.server_close()
