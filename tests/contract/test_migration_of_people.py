"""Who was there before the newest schema keeps what they could do, and what they had read stays read; on both databases."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import text

from tests.support.servers import Postgres
from tests.support.sources import ROOT
from webapp.store.engine import Database
from webapp.store.migrate import upgrade

USERS = (("usr_a", "ada", "admin", "ntf_2"), ("usr_o", "olga", "operator", None), ("usr_v", "vera", "viewer", "ntf_9"))
KEYS = (("key_o", "operator"), ("key_p", "publisher"), ("key_v", "viewer"))


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def old_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database as the release before left it, with people and keys in it."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/old.db"
    else:
        cluster: Postgres = request.getfixturevalue("postgres_server")
        cluster.drop("old_people")
        url = cluster.create("old_people")
    config = Config()
    config.set_main_option("script_location", str(ROOT / "webapp/store/migrations"))
    db = Database(url)
    with db.write() as conn:
        config.attributes["connection"] = conn
        command.upgrade(config, "0005")
        _people(conn)
    db.dispose()
    return url


def _people(conn: Any) -> None:
    user = "INSERT INTO users (id, username, password_hash, role, created_at, read_through) VALUES (:a, :b, '!', :c, 1, :d)"
    key = (
        "INSERT INTO api_keys (id, name, hint, secret_hash, role, created_at, created_by) "
        "VALUES (:a, 'shop', 'sbx', :c, :b, 1, 'usr_a')"
    )
    told = "INSERT INTO notifications (id, at, severity, title, body, count, last_at) VALUES (:a, 1, 'info', 't', 'b', 1, 1)"
    for a, b, c, d in USERS:
        conn.execute(text(user), {"a": a, "b": b, "c": c, "d": d})
    for a, b in KEYS:
        conn.execute(text(key), {"a": a, "b": b, "c": f"hash of {a}"})
    for n in (1, 2, 3):
        conn.execute(text(told), {"a": f"ntf_{n}"})


def _rows(url: str, sql: str) -> list[tuple[Any, ...]]:
    db = Database(url)
    try:
        with db.read() as conn:
            return [tuple(row) for row in conn.execute(text(sql))]
    finally:
        db.dispose()


def test_people_keep_what_they_could_do_and_what_they_had_read(old_url: str) -> None:
    upgrade(old_url)
    users = _rows(old_url, "SELECT username, role, sees_payloads, totp_since FROM users ORDER BY id")
    assert users == [("ada", "admin", 1, None), ("olga", "developer", 1, None), ("vera", "viewer", 1, None)]
    keys = _rows(old_url, "SELECT id, role, sees_payloads, scopes, expires_at FROM api_keys ORDER BY id")
    assert keys == [
        ("key_o", "developer", 1, None, None),
        ("key_p", "publisher", 1, None, None),
        ("key_v", "viewer", 1, None, None),
    ]
    inbox = _rows(old_url, "SELECT user_id, notification_id, state FROM inbox ORDER BY user_id, notification_id")
    read = {"usr_a": {"ntf_1", "ntf_2"}, "usr_o": set(), "usr_v": {"ntf_1", "ntf_2", "ntf_3"}}
    assert inbox == [
        (user, f"ntf_{n}", "read" if f"ntf_{n}" in read[user] else "unread") for user in sorted(read) for n in (1, 2, 3)
    ]
    assert _rows(old_url, "SELECT count(*) FROM inbox WHERE toast OR browser") == [(0,)], "nobody is told again"
