"""The JSON documents that commands print and keep, one module each."""
