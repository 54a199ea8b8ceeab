"""Transports to the machines that jobs run on: local, and whatever else is registered."""
