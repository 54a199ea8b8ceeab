"""Networks for plain rows of numbers."""
