"""The storage fails: full, locked, read-only, closed, cut off. Nothing is acknowledged, nothing is half there, and it heals."""

from __future__ import annotations

import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import text

from tests.support.factories import make_delivery, make_subscription, row_of, rows_of
from tests.support.work import claim_all, finish_all
from webapp.domain.access import SYSTEM
from webapp.domain.errors import Unavailable
from webapp.domain.events import EventDraft
from webapp.domain.outcomes import Done
from webapp.runtime import Runtime
from webapp.services import upkeep
from webapp.services.accept import Accepted, Acceptor
from webapp.store import tables as t

TABLES = (t.events, t.deliveries, t.audit)


def publish(rt: Runtime, id: str, acceptor: Acceptor | None = None) -> Accepted:
    draft = EventDraft(id, "order.created", "tests", {"text": "x" * 5000}, '{"text": "' + "x" * 5000 + '"}', rt.clock())
    return (acceptor or Acceptor(rt)).accept(draft, SYSTEM)


def pragma(rt: Runtime, words: str) -> None:
    """Said on the one connection that writes."""
    with rt.db.write() as conn:
        conn.exec_driver_sql(f"PRAGMA {words}")


def db_file(rt: Runtime) -> Path:
    return Path(rt.db.url.removeprefix("sqlite:///"))


@contextmanager
def full_disk(rt: Runtime) -> Iterator[None]:
    """SQLite gets the very error of a full disk: not one page more than there are."""
    with rt.db.write() as conn:
        pages = conn.exec_driver_sql("PRAGMA page_count").scalar_one()
        conn.exec_driver_sql(f"PRAGMA max_page_count={pages}")
    yield
    pragma(rt, "max_page_count=1073741823")


def until_refused(publish_one: Callable[[int], object]) -> int:
    """How many went in before the storage said no."""
    for n in range(200):
        try:
            publish_one(n)
        except Unavailable:
            return n
    raise AssertionError("the disk was never full")


def test_full_disk_acknowledges_nothing_keeps_everything_and_heals(sqlite_rt: Runtime) -> None:
    rt = sqlite_rt
    make_subscription(rt)
    acceptor = Acceptor(rt)
    with full_disk(rt):
        stored = until_refused(lambda n: publish(rt, f"e-{n}", acceptor))
        assert [len(rows_of(rt, table)) for table in TABLES] == [stored] * 3, "reads go on, and nothing is half there"
    assert not publish(rt, f"e-{stored}", acceptor).duplicate, "what was refused can be sent again"
    with rt.db.read() as conn:
        assert conn.execute(text("PRAGMA integrity_check")).scalar_one() == "ok"


def test_outcome_that_could_not_be_written_can_be_recorded_later(sqlite_rt: Runtime) -> None:
    rt = sqlite_rt
    ids = [make_delivery(rt) for _ in range(3)]
    claimed = claim_all(rt)
    pragma(rt, "query_only=ON")
    with pytest.raises(Unavailable):
        finish_all(rt, claimed, Done())
    rt.db.dispose()  # the next connection may write again
    assert rows_of(rt, t.attempts) == []
    assert finish_all(rt, claimed, Done()) == set(ids)


def test_database_that_may_only_be_read_is_unavailable_for_writing(sqlite_rt: Runtime) -> None:
    pragma(sqlite_rt, "query_only=ON")
    with pytest.raises(Unavailable):
        publish(sqlite_rt, "e-1")
    assert rows_of(sqlite_rt, t.events) == []


def test_writer_waits_for_a_lock_of_another_process(sqlite_rt: Runtime) -> None:
    with closing(sqlite3.connect(db_file(sqlite_rt), isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        threading.Timer(0.2, other.execute, ("ROLLBACK",)).start()
        assert not publish(sqlite_rt, "e-1").duplicate


def test_writer_gives_up_a_lock_that_is_not_let_go(sqlite_rt: Runtime) -> None:
    pragma(sqlite_rt, "busy_timeout=50")
    with closing(sqlite3.connect(db_file(sqlite_rt), isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unavailable):
            publish(sqlite_rt, "e-1")
        assert rows_of(sqlite_rt, t.events) == [], "readers do not wait for writers"
        other.execute("ROLLBACK")
    assert not publish(sqlite_rt, "e-1").duplicate


def test_every_commit_of_sqlite_is_synced(sqlite_rt: Runtime) -> None:
    with sqlite_rt.db.write() as conn:
        assert conn.exec_driver_sql("PRAGMA synchronous").scalar_one() == 2
        assert conn.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "wal"


def test_files_as_they_are_at_any_moment_hold_everything_acknowledged(sqlite_rt: Runtime, tmp_path: Path) -> None:
    """Every process dies at once: what is in the file and its log is all there is."""
    acceptor = Acceptor(sqlite_rt)
    sent = {publish(sqlite_rt, f"e-{n}", acceptor).uid for n in range(20)}
    image = tmp_path / "image"
    image.mkdir()
    for suffix in ("", "-wal"):
        shutil.copy(f"{db_file(sqlite_rt)}{suffix}", image / f"hub.db{suffix}")
    with closing(sqlite3.connect(image / "hub.db")) as copy:
        assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert {uid for (uid,) in copy.execute("SELECT uid FROM events")} == sent


# PostgreSQL


@pytest.fixture
def pg_rt(make_runtime: Callable[..., Runtime], postgres_url: str) -> Runtime:
    return make_runtime(postgres_url)


@pytest.mark.postgres
def test_accept_recovers_when_every_connection_was_ended(pg_rt: Runtime, make_runtime: Callable[..., Runtime]) -> None:
    acceptor = Acceptor(pg_rt)
    publish(pg_rt, "e-1", acceptor)
    other = make_runtime(pg_rt.db.url)
    with other.db.write() as conn:
        conn.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )
    with pytest.raises(Unavailable):
        publish(pg_rt, "e-2", acceptor)
    assert not publish(pg_rt, "e-2", acceptor).duplicate


@pytest.mark.postgres
def test_accept_gives_up_a_lock_that_is_not_let_go(pg_rt: Runtime, make_runtime: Callable[..., Runtime]) -> None:
    other = make_runtime(pg_rt.db.url)
    with other.db.write() as conn:
        conn.execute(text("LOCK TABLE events IN ACCESS EXCLUSIVE MODE"))
        with pytest.raises(Unavailable):
            publish(pg_rt, "e-1")
    assert not publish(pg_rt, "e-1").duplicate


@pytest.mark.postgres
def test_rescue_passes_by_what_a_frozen_worker_is_writing(
    pg_rt: Runtime, make_runtime: Callable[..., Runtime], clock: object
) -> None:
    held, free = make_delivery(pg_rt), make_delivery(pg_rt)
    claim_all(pg_rt)
    clock.advance(seconds=11)  # type: ignore[attr-defined]
    frozen = make_runtime(pg_rt.db.url)
    with frozen.db.write() as conn:
        conn.execute(t.deliveries.update().where(t.deliveries.c.id == held).values(v=99))
        assert upkeep.rescue(pg_rt) == 1
        assert row_of(pg_rt, t.deliveries, free).state == "waiting"
        conn.rollback()
    assert upkeep.rescue(pg_rt) == 1
