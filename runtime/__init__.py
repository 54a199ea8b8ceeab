"""Backends and sessions, timing, facts and memory: the part that ships to a device."""
