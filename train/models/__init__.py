"""Reference models, one file each, read top to bottom; a room for each kind of data."""
