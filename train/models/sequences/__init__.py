"""Networks for text and for series of measurements."""
