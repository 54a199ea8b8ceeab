"""Nouns, errors and pure functions; imports only the standard library, numpy and msgspec."""
