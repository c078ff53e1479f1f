"""Runs migrations on the connection that ``webapp.store.migrate`` opened."""

from alembic import context

from webapp.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=False,  # the caller's transaction holds everything
    compare_server_default=False,
)
context.run_migrations()
