"""Order: one command with its arguments checked and the files they name opened."""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import ParamSpec, Protocol, TypeVar, cast

from edgekit.core.system.progress import Progress, Silent

Asked = ParamSpec("Asked")
Result = TypeVar("Result")
Result_co = TypeVar("Result_co", covariant=True)


class Order(Protocol[Result_co]):
    """One command, ready to run: a frozen value with the checked arguments and everything opened to check them.

    Nothing has been written or measured yet. `run` uses what the order opened: nothing is opened twice.
    """

    @property
    def command(self) -> str:
        """The words that name the command: `profile`, `history accept`."""

    def steps(self) -> tuple[str, ...]:
        """What `run` would do, one sentence per step, for `--dry-run`."""

    def run(self, progress: Progress) -> Result_co:
        """Do the work and return its report."""


def door(ordered: Callable[Asked, AbstractContextManager[Order[Result]]]) -> Callable[Asked, Result]:
    """The function of the Python API that runs the order of `ordered`, with the same arguments and errors."""

    @functools.wraps(ordered)
    def function(*args: Asked.args, **kwargs: Asked.kwargs) -> Result:
        with ordered(*args, **kwargs) as order:
            return order.run(cast(Progress, kwargs.get("progress", Silent())))

    return function
