"""Checks of an artifact: parity, accuracy, the cases that are tried, the int8 ranges in use."""
