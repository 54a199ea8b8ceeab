"""Opening what a user names: sources, artifacts, what was tuned for them."""
