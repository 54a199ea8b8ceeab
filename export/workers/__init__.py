"""The processes that converters run in, and the cache of what they made."""
