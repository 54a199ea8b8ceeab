"""Threads that share a session: what belongs to one of them and refuses every other."""

from __future__ import annotations

import threading
from threading import get_ident
from typing import Final

from edgekit.core.errors import UserError

_FIRST: Final = "first"


class OneThread:
    """Belongs to the first thread that claims it, until that thread ends or it is given back.

    Args:
        what: The subject of the error, e.g. `This session`.
        hint: What another thread can do instead.
    """

    def __init__(self, what: str, *, hint: str) -> None:
        self._what = what
        self._hint = hint
        self._owners: dict[str, int] = {}

    def claim(self) -> int:
        """Take it for this thread, whose identity is returned.

        Raises:
            UserError: It belongs to another thread that is still running.
        """
        own = get_ident()
        # One operation of a dict, so that of two threads that come at once only one is the first.
        if self._owners.setdefault(_FIRST, own) == own:
            return own
        if self._owners.get(_FIRST) in {thread.ident for thread in threading.enumerate()}:
            raise UserError(f"{self._what} belongs to the thread that ran it first.", hint=self._hint)
        self._owners[_FIRST] = own
        return own

    def give_back(self) -> None:
        """Leave it to the next thread that claims it."""
        self._owners.clear()


def bound_to_one_thread() -> OneThread:
    """For a call that `bind` returned: the next call overwrites the outputs that another thread may still read."""
    return OneThread("A call that `bind` returned", hint="Call session.bind(feed) in each thread.")
