"""Launching artifacts on devices, and summing up what the launches say."""
