"""Limits that a command hands to the processes that it starts, in their environment."""

from __future__ import annotations

import os


def number_of(variable: str) -> float:
    """The number that the parent of this process has set; 0 without one."""
    try:
        return float(os.environ.get(variable) or 0)
    except ValueError:
        return 0.0


def hand_on(variable: str, number: float) -> None:
    """Set the variable for the processes that this one starts; 0 removes it."""
    if number:
        os.environ[variable] = f"{number:g}"
    else:
        os.environ.pop(variable, None)
