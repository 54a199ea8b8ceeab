"""The JSON documents that commands print and write, one module each."""
