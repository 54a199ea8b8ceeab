"""Recipes that cannot be made while others can: each is kept with its reason, and the others continue."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Sequence

from edgekit.core.errors import DiskFull, EdgekitError, was_interrupted
from edgekit.core.recipe import Recipe
from edgekit.core.reports.report import RecipeFailure

_log = logging.getLogger(__name__)


class Failures:
    """What could not be made of `recipes`; without `keep_going` the first error is raised.

    The first error is raised too once nothing is left that could still be made.
    """

    def __init__(self, recipes: Sequence[Recipe], *, keep_going: bool) -> None:
        self.keep_going = keep_going
        self._left = len(recipes)
        self._found: dict[str, RecipeFailure] = {}
        self._first: Exception | None = None

    @property
    def found(self) -> tuple[RecipeFailure, ...]:
        """The failures in the order in which they happened."""
        return tuple(self._found.values())

    def narrow(self, count: int) -> None:
        """`count` recipes are left: two aliases may name one recipe."""
        self._left = count

    @contextlib.contextmanager
    def of(self, recipe: Recipe) -> Iterator[None]:
        """A block that makes `recipe`, or prepares it; what it raises is the failure of this recipe alone.

        Raises:
            DiskFull: No other recipe would fare better; nor after Ctrl-C.
        """
        try:
            yield
        except Exception as err:
            self._left -= 1
            self._first = self._first or err
            if isinstance(err, DiskFull) or was_interrupted(err):
                raise
            if not self.keep_going or not self._left:
                raise self._first from self._first.__cause__
            _log.debug("'%s' could not be made", recipe.name, exc_info=err)
            self._found[recipe.name] = _failure(recipe, err)

    def without(self, refuse: Callable[[Recipe], None], recipes: Sequence[Recipe]) -> tuple[Recipe, ...]:
        """The recipes for which `refuse` raises nothing."""
        kept = []
        for recipe in recipes:
            with self.of(recipe):
                refuse(recipe)
                kept.append(recipe)
        return tuple(kept)


def _failure(recipe: Recipe, err: Exception) -> RecipeFailure:
    if isinstance(err, EdgekitError):
        return RecipeFailure(recipe.name, type(err).__name__, err.message, err.hint, err.code, err.exit_code)
    first = next(iter(str(err).strip().splitlines()), "")
    message = f"A bug in edgekit: {type(err).__name__}: {first}"
    return RecipeFailure(recipe.name, type(err).__name__, message, "--debug", exit_code=EdgekitError.exit_code)
