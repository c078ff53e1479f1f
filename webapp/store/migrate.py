"""Bringing a database to the newest schema. The fast path asks one question and loads nothing of Alembic."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import exc, text

from webapp.domain.errors import Unavailable
from webapp.store.engine import Database

HEAD = "0006"  # the newest revision; a test holds it to the files
MIGRATIONS = Path(__file__).parent / "migrations"


def current_revision(db: Database) -> str | None:
    """The revision that the database stands at; None when it is empty."""
    try:
        with db.read() as conn:
            return conn.execute(text("SELECT version_num FROM alembic_version")).scalar()
    except (exc.ProgrammingError, Unavailable):
        with db.read() as conn:  # raises Unavailable when it is really the database that does not answer
            conn.execute(text("SELECT 1"))
        return None


def upgrade(database_url: str) -> bool:
    """Apply what is missing; answers whether anything was. Safe to call from several processes at once."""
    db = Database(database_url)
    try:
        if current_revision(db) == HEAD:
            return False
        _run_alembic(db)
        return True
    finally:
        db.dispose()


def _run_alembic(db: Database) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with db.write() as conn:
        if not db.is_sqlite:  # one upgrader at a time; SQLite has its write lock
            conn.execute(text("SELECT pg_advisory_xact_lock(7316420001)"))
        config.attributes["connection"] = conn
        command.upgrade(config, "head")
