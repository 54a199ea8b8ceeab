"""What Alembic runs for each upgrade: the steps, in the transaction of the connection that it is given."""

from __future__ import annotations

from alembic import context

from edgekit.store.database import FORM_TABLE

context.configure(connection=context.config.attributes["connection"], transactional_ddl=True, version_table=FORM_TABLE)
context.run_migrations()
