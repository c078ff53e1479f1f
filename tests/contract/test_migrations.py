"""Migrations lead from an empty database to exactly the tables of the code, on both databases."""

from __future__ import annotations

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect

from tests.support.servers import Postgres
from tests.support.sources import ROOT
from webapp.store.engine import Database
from webapp.store.migrate import upgrade
from webapp.store.tables import metadata


def _scripts() -> ScriptDirectory:
    config = Config()
    config.set_main_option("script_location", str(ROOT / "webapp/store/migrations"))
    return ScriptDirectory.from_config(config)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database with nothing in it."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/empty.db"
    cluster: Postgres = request.getfixturevalue("postgres_server")
    cluster.drop("empty")
    return cluster.create("empty")


def test_migrations_have_a_single_head() -> None:
    assert len(_scripts().get_heads()) == 1


def test_migrations_make_the_tables_of_the_code_when_the_database_is_empty(empty_url: str) -> None:
    upgrade(empty_url)
    db = Database(empty_url)
    try:
        with db.engine.connect() as conn:
            context = MigrationContext.configure(conn, opts={"compare_type": True, "compare_server_default": True})
            assert compare_metadata(context, metadata) == []
    finally:
        db.dispose()


def test_migrations_make_the_same_indexes_and_constraints_as_the_code(empty_url: str, tmp_path: Path) -> None:
    upgrade(empty_url)
    migrated = Database(empty_url)
    try:
        found = inspect(migrated.engine)
        for table in metadata.sorted_tables:
            names = {index["name"] for index in found.get_indexes(table.name)}
            unique = {constraint["name"] for constraint in found.get_unique_constraints(table.name)}
            assert {index.name for index in table.indexes} <= names
            assert {c.name for c in table.constraints if type(c).__name__ == "UniqueConstraint"} <= names | unique
    finally:
        migrated.dispose()


def test_migrations_change_nothing_when_run_again(empty_url: str) -> None:
    upgrade(empty_url)
    upgrade(empty_url)
    db = Database(empty_url)
    try:
        assert set(metadata.tables) <= set(inspect(db.engine).get_table_names())
    finally:
        db.dispose()
