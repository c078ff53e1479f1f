"""Events on disk until the hub has them: a SQLite file beside the program.

Every event has its id before it is written, and the hub stores an id once. So an event may be sent any number of
times, by several processes at once, and it does not matter whether an answer got lost: it is taken out of the file only
when the hub has said that it has it. What the hub refuses is kept apart, with the reason.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from signalbox.errors import UnavailableError
from signalbox.wire import BATCH_EVENTS, Refusal, to_json, with_id

if TYPE_CHECKING:
    from signalbox.client import Client

SCHEMA = """
CREATE TABLE IF NOT EXISTS outbox (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    event TEXT NOT NULL,
    at REAL NOT NULL,
    problem TEXT
);
CREATE INDEX IF NOT EXISTS ix_outbox_waiting ON outbox (seq) WHERE problem IS NULL;
"""
BUSY_S = 30.0


@dataclass(frozen=True, slots=True)
class Kept:
    """An event in the outbox; ``problem`` says why the hub refused it, None while it waits."""

    seq: int
    event: dict[str, Any]
    at: float  # Unix time
    problem: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Flushed:
    """What came of a flush. ``trouble`` is why it ended early, None when everything was sent."""

    sent: int
    refused: int
    waiting: int
    trouble: str | None = None


class Outbox:
    """The file. Safe to share between threads and processes; a connection is opened for each step."""

    def __init__(self, path: str | PathLike[str], *, most: int = 1_000_000) -> None:
        self.path = Path(path)
        self._most = most
        with self._opened() as db:
            db.execute("PRAGMA journal_mode = WAL")
            db.executescript(SCHEMA)

    def add(self, event: Mapping[str, Any]) -> str:
        """Keep an event; it is on disk when this returns. Answers its id. Raises ``UnavailableError`` when it is full."""
        kept = with_id(event)
        text = to_json(kept).decode()
        with self._opened() as db, db:
            if self._count(db) >= self._most:
                raise UnavailableError(f"the outbox {self.path} is full: {self._most:,} events wait in it")
            db.execute("INSERT INTO outbox (event, at) VALUES (?, ?)", (text, time.time()))
        return str(kept["id"])

    def flush(self, client: Client) -> Flushed:
        """Send what waits, oldest first, until all is sent or the hub cannot be reached."""
        sent = refused = last = 0
        while batch := self._next(last):
            try:
                results = client.publish_many([one.event for one in batch])
            except UnavailableError as error:
                return Flushed(sent, refused, self.waiting, str(error))
            bad = {result.index: result.error.members for result in results if isinstance(result, Refusal)}
            self._settle(batch, bad)
            sent, refused, last = sent + len(batch) - len(bad), refused + len(bad), batch[-1].seq
        return Flushed(sent, refused, self.waiting)

    @property
    def waiting(self) -> int:
        """How many wait to be sent."""
        with self._opened() as db:
            return self._count(db)

    def refused(self, limit: int = 100) -> list[Kept]:
        """What the hub refused, newest first."""
        with self._opened() as db:
            rows = db.execute("SELECT * FROM outbox WHERE problem IS NOT NULL ORDER BY seq DESC LIMIT ?", (limit,))
            return [_kept(row) for row in rows]

    def drop(self, seq: int) -> bool:
        """Forget one; answers whether it was there."""
        with self._opened() as db, db:
            return db.execute("DELETE FROM outbox WHERE seq = ?", (seq,)).rowcount > 0

    def retry_refused(self) -> int:
        """Let the refused ones wait again, for instance after a schema was mended; answers how many."""
        with self._opened() as db, db:
            return db.execute("UPDATE outbox SET problem = NULL WHERE problem IS NOT NULL").rowcount

    def _next(self, after: int) -> list[Kept]:
        query = "SELECT * FROM outbox WHERE problem IS NULL AND seq > ? ORDER BY seq LIMIT ?"
        with self._opened() as db:
            return [_kept(row) for row in db.execute(query, (after, BATCH_EVENTS))]

    def _settle(self, batch: list[Kept], bad: Mapping[int, Mapping[str, Any]]) -> None:
        with self._opened() as db, db:
            gone = [(one.seq,) for index, one in enumerate(batch) if index not in bad]
            db.executemany("DELETE FROM outbox WHERE seq = ?", gone)
            kept = [(json.dumps(problem), batch[index].seq) for index, problem in bad.items()]
            db.executemany("UPDATE outbox SET problem = ? WHERE seq = ?", kept)

    @staticmethod
    def _count(db: sqlite3.Connection) -> int:
        return int(db.execute("SELECT count(*) FROM outbox WHERE problem IS NULL").fetchone()[0])

    @contextlib.contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        db = sqlite3.connect(self.path, timeout=BUSY_S)
        try:
            db.execute("PRAGMA synchronous = FULL")  # "kept" means: also after a power cut
            yield db
        finally:
            db.close()


def _kept(row: tuple[int, str, float, str | None]) -> Kept:
    seq, event, at, problem = row
    return Kept(seq, json.loads(event), at, None if problem is None else json.loads(problem))
