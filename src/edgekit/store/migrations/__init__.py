"""The steps from each released form of the store to the next; Alembic takes them when a store is opened."""
