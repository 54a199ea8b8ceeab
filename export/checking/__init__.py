"""Is an artifact right: parity, accuracy, the cases that are tried, used int8 ranges."""
