"""Transactions on both databases."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import insert, select, text, update

from tests.support.factories import make_event, row_of
from webapp.runtime import Runtime
from webapp.store import engine, tables
from webapp.store.engine import is_alive, within

meta = tables.meta


def test_write_commits_when_its_block_ends(rt: Runtime) -> None:
    with rt.db.write() as conn:
        conn.execute(insert(meta), {"name": "answer", "value": 42})
    assert row_of(rt, meta, "answer").value == 42


def test_write_keeps_nothing_when_its_block_raises(rt: Runtime) -> None:
    def half() -> None:
        with rt.db.write() as conn:
            conn.execute(insert(meta), {"name": "half", "value": 1})
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        half()
    with rt.db.read() as conn:
        assert conn.execute(select(meta).where(meta.c.name == "half")).all() == []


def test_writers_in_parallel_lose_no_increment(rt: Runtime) -> None:
    with rt.db.write() as conn:
        conn.execute(insert(meta), {"name": "n", "value": 0})

    def grow(_: int) -> None:
        with rt.db.write() as conn:
            conn.execute(update(meta).where(meta.c.name == "n").values(value=meta.c.value + 1))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(grow, range(80)))
    assert row_of(rt, meta, "n").value == 80


def test_within_selects_the_listed_rows_when_asked_for_many_few_or_none(rt: Runtime) -> None:
    uids = [make_event(rt) for _ in range(5)]
    with rt.db.read() as conn:
        for wanted in (uids, uids[1:3], ["evt_unknown"], []):
            found = conn.execute(select(tables.events.c.uid).where(within(conn, tables.events.c.uid, wanted)))
            assert sorted(found.scalars()) == sorted(set(wanted) & set(uids))


def test_instants_come_back_aware_and_to_the_microsecond(rt: Runtime) -> None:
    at = rt.clock().replace(microsecond=123_456)
    uid = make_event(rt, timestamp=at)
    stored = row_of(rt, tables.events, uid).timestamp
    assert stored == at
    assert stored.utcoffset() is not None


def test_database_is_alive_when_it_answers(rt: Runtime) -> None:
    assert is_alive(rt.db)


@pytest.mark.postgres
def test_connection_that_the_server_closed_is_replaced_before_it_is_used(
    make_runtime: Callable[..., Runtime], postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    db, stranger = make_runtime(postgres_url).db, make_runtime(postgres_url).db
    with db.read() as conn:
        pid = conn.execute(text("SELECT pg_backend_pid()")).scalar_one()
    with stranger.read() as conn:
        conn.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})
    monkeypatch.setattr(engine, "RESTED_S", -1.0)  # as if it had rested
    with db.read() as conn:
        assert conn.execute(text("SELECT pg_backend_pid()")).scalar_one() != pid


@pytest.mark.postgres
@pytest.mark.parametrize(("setting", "used"), [("off", "on"), ("on", "on"), ("remote_apply", "remote_apply")])
def test_commit_waits_for_the_log_whatever_the_database_says(
    make_runtime: Callable[..., Runtime], postgres_url: str, setting: str, used: str
) -> None:
    with make_runtime(postgres_url).db.write() as conn:
        name = conn.execute(text("SELECT current_database()")).scalar_one()
        conn.execute(text(f'ALTER DATABASE "{name}" SET synchronous_commit = {setting}'))
    with make_runtime(postgres_url).db.write() as conn:
        assert conn.execute(text("SHOW synchronous_commit")).scalar_one() == used
