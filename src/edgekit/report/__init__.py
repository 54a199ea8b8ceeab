"""Renders reports for people and for CI."""
