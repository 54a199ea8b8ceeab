"""Networks that find objects in pictures."""
