"""The store of runs: what was measured, when, on which device, in SQLite or PostgreSQL."""
