"""Calls from a file to a prediction: what they begin with, and where they can be timed."""
