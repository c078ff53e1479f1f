"""The hub's pages, inhabited, over HTTP from this process: for browsers that look at every one of them."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from flask import Flask
from werkzeug.serving import WSGIRequestHandler, make_server

from tests.support.clock import Clock
from tests.support.inhabited import inhabit, readable
from tests.support.people import Person, add_person
from webapp.app import create_app
from webapp.live import RecordingPublisher
from webapp.queue import RecordingDoorbell
from webapp.runtime import Runtime
from webapp.settings import Settings
from webapp.store.engine import Database

WORDS = "The till of the shop in Antwerp did not answer"


class _Quiet(WSGIRequestHandler):
    def log_request(self, *_: Any) -> None:
        """Nobody reads it."""


@dataclass
class House:
    """A hub of one process: its app, where it listens, and somebody who is signed in. Use ``open_house``."""

    app: Flask
    url: str
    person: Person
    ids: dict[str, str] = field(default_factory=dict)

    @property
    def cookies(self) -> Any:
        """What the person's browser holds, in the form that Playwright takes."""
        name = self.app.config["SESSION_COOKIE_NAME"]
        cookie = self.person.client.get_cookie(name)
        assert cookie is not None
        return {"cookies": [{"name": name, "value": cookie.value, "url": self.url}], "origins": []}

    @cached_property
    def pages(self) -> list[str]:
        """The addresses that answer a whole page, whatever its status."""
        answers = {address: self.person.get(address) for address in readable(self.app, self.ids)}
        return [address for address, answer in answers.items() if "<body" in answer.text]


@contextlib.contextmanager
def open_house(template: Path, home: Path, *, words: str = WORDS, name: str = "ada") -> Iterator[House]:
    """Serve a copy of a migrated database with one of everything in it (``words=""``: nothing; ``name=""``: nobody)."""
    path = home / "signalbox.db"
    path.write_bytes(template.read_bytes())
    settings = Settings(var_dir=home, database_url=f"sqlite:///{path}", secret_key="k" * 40, log_format="json")
    rt = Runtime(
        settings=settings, db=Database(settings.database_url or ""), queue=RecordingDoorbell(), live=RecordingPublisher(),
        clock=Clock(), roll=lambda: 0.5,
    )  # fmt: skip
    app = create_app(runtime=rt)
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Quiet)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        ids = inhabit(app, words) if words else {}
        yield House(
            app, f"http://127.0.0.1:{server.port}", add_person(app, name, "admin") if name else Person(app), ids
        )
    finally:
        server.shutdown()
        thread.join()
        rt.close()
