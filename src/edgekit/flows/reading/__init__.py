"""Reads a user's own samples, from files and folders as people have them."""
