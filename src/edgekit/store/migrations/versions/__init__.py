"""One step per file, oldest first."""
