"""The processes in which converters run, and the cache of finished conversions."""
