"""The nouns of edgekit, its errors and its pure functions; imports the standard library, numpy and msgspec only."""
