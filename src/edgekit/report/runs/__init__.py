"""Runs of the store for people."""
