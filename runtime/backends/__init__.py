"""The backends, one module each, and what they share."""
