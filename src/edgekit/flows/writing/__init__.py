"""Files that are written beside a result."""
