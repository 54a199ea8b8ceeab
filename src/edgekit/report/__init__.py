"""Renders a Report for people and for CI."""
