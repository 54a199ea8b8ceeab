"""Quantized files in which some operators keep another form: which ones, and how few."""
