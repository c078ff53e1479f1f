"""Connections to SQLite or PostgreSQL, one ``Database`` per process. An engine must never cross a fork."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Connection, bindparam, create_engine, event, func, select, text
from sqlalchemy import exc as sa_exc
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.engine import Engine
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.types import Text

from webapp.domain.errors import Unavailable
from webapp.domain.operators import fold

BUSY_TIMEOUT_MS = 5000
RESTED_S = 1.0  # a connection of the pool that was not used for longer is asked whether it is alive
USED = "used"
INSIST = "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"


class Database:
    """``read()`` and ``write()`` give a connection inside a transaction; leaving the block commits or rolls back.

    On SQLite a writer begins with ``BEGIN IMMEDIATE`` (a deferred transaction that turns writer fails at
    once with SQLITE_BUSY_SNAPSHOT) and one writer at a time per process waits on a lock instead of in
    SQLite's unfair busy handler.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.is_sqlite = url.startswith("sqlite")
        self.engine = _sqlite_engine(url, "BEGIN") if self.is_sqlite else _postgres_engine(url)
        # One connection writes: SQLite drops its page cache when another connection has written.
        self._write_engine = _sqlite_engine(url, "BEGIN IMMEDIATE", pool_size=1) if self.is_sqlite else self.engine
        self._writer: AbstractContextManager[Any] = threading.Lock() if self.is_sqlite else nullcontext()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A read transaction: one snapshot on SQLite, read committed on PostgreSQL."""
        with _translated(), self.engine.connect() as conn, conn.begin():
            yield conn

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A write transaction; commits on leaving the block. Raises ``Unavailable`` when the database is not there."""
        with self._writer, _translated(), self._write_engine.begin() as conn:
            yield conn

    def dispose(self) -> None:
        """Close every pooled connection."""
        self.engine.dispose()
        self._write_engine.dispose()


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (sa_exc.OperationalError, sa_exc.TimeoutError) as error:
        raise Unavailable("The database does not answer; nothing was stored. Try again.") from error


def _sqlite_engine(url: str, begin: str, pool_size: int = 80) -> Engine:
    path = url.removeprefix("sqlite:///")
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    options = {"timeout": BUSY_TIMEOUT_MS / 1000, "cached_statements": 512}
    engine = create_engine(url, pool_size=pool_size, max_overflow=0, pool_timeout=5, connect_args=options)

    @event.listens_for(engine, "connect")
    def _pragmas(dbapi: Any, _record: Any) -> None:
        dbapi.isolation_level = None  # we say BEGIN ourselves
        cursor = dbapi.cursor()
        for pragma in (
            f"busy_timeout={BUSY_TIMEOUT_MS}",
            "journal_mode=WAL",
            "synchronous=FULL",  # fsync before the sender hears 202
            "foreign_keys=ON",
            "journal_size_limit=67108864",
            "wal_autocheckpoint=4000",  # pages: one that changes often is copied once for many commits
            "cache_size=-16384",
            "temp_store=MEMORY",
            "trusted_schema=OFF",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()
        for name, ci in (("nfc", False), ("folded", True)):  # for conditions: texts are compared as the evaluator does
            dbapi.create_function(name, 1, partial(_folded, ci=ci), deterministic=True)

    @event.listens_for(engine, "begin")
    def _begin(conn: Connection) -> None:
        conn.exec_driver_sql(begin)

    return engine


def _folded(value: Any, *, ci: bool) -> str | None:
    return fold(value, ci) if isinstance(value, str) else None


def _postgres_engine(url: str) -> Engine:
    url = url.replace("postgres://", "postgresql://", 1).replace("postgresql://", "postgresql+psycopg://", 1)
    timeouts = "-c lock_timeout=5000 -c statement_timeout=15000 -c idle_in_transaction_session_timeout=30000"
    engine = create_engine(
        url,
        pool_size=10,
        max_overflow=20,
        pool_timeout=5,
        connect_args={"connect_timeout": 5, "options": timeouts, "tcp_user_timeout": 10000},
    )

    @event.listens_for(engine, "connect")
    def _wait_for_the_log(dbapi: Any, _record: Any) -> None:
        """202 means on disk: a server, database or role that switched waiting off is overruled, stricter is left."""
        dbapi.execute(INSIST)
        dbapi.commit()

    @event.listens_for(engine, "checkin")
    def _note(_dbapi: Any, record: ConnectionPoolEntry) -> None:
        record.info[USED] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def _ping(dbapi: Any, record: ConnectionPoolEntry, _proxy: Any) -> None:
        """As ``pool_pre_ping``, but not for a connection that answered a moment ago: it costs a trip to the server."""
        if time.monotonic() - record.info.get(USED, 0.0) > RESTED_S:
            try:
                engine.dialect.do_ping(dbapi)
            except engine.dialect.loaded_dbapi.Error as error:
                raise sa_exc.DisconnectionError from error

    return engine


def within(conn: Connection, column: ColumnElement[Any], values: Sequence[str]) -> ColumnElement[bool]:
    """``column IN values`` as one bind parameter, so that the statement text stays the same for any count."""
    if conn.dialect.name == "sqlite":
        listed = func.json_each(bindparam(None, json.dumps(list(values)), Text)).table_valued("value")
        return column.in_(select(listed.c.value))
    return column == func.any(bindparam(None, list(values), ARRAY(Text)))


def is_alive(db: Database) -> bool:
    """Whether the database answers a trivial query."""
    try:
        with db.read() as conn:
            conn.execute(text("SELECT 1"))
    except Unavailable:
        return False
    return True
