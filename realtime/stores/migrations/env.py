"""Alembic's environment: migrates over the connection that `realtime.stores.migrate` hands it."""

from alembic import context

from realtime.stores.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
