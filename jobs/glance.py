"""A glance into a SQLite file before anything heavy is loaded: most starts find everything done and can be quick.

It only reads, and it may only say yes when it is sure; every doubt means the thorough way of ``jobs.prepare``.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from urllib.parse import quote

from webapp.settings import ROOT, Settings


def newest_revision() -> str:
    """The revision that the newest migration leads to: its file starts with it."""
    files = (ROOT / "webapp/store/migrations/versions").glob("[0-9]*_*.py")
    return max((file.name.partition("_")[0] for file in files), default="")


def is_migrated(settings: Settings) -> bool:
    """Whether the schema is the newest."""
    return _first(settings, "SELECT version_num FROM alembic_version") == newest_revision()


def has_users(settings: Settings) -> bool:
    """Whether somebody can sign in already."""
    return _first(settings, "SELECT 1 FROM users LIMIT 1") == 1


def _first(settings: Settings, query: str) -> object:
    path = settings.database_url.removeprefix("sqlite:///")
    if not settings.is_sqlite:
        return None
    try:
        with closing(sqlite3.connect(f"file:{quote(path)}?mode=ro", uri=True, timeout=1)) as connection:
            row = connection.execute(query).fetchone()
    except sqlite3.Error:
        return None
    return row[0] if row else None
