"""Routes: which exporter makes a file format from a source, and why there may be none."""

from __future__ import annotations

from edgekit.core.errors import UserError
from edgekit.core.recipe import DEFAULT_RECIPES, Recipe, parse_recipes
from edgekit.core.refusals import reason_of, refuse
from edgekit.core.system.environments import is_installed
from edgekit.export.formats import TORCH, Route, format_of, kind_of


def exporter_of(location: str, file_format: str) -> str:
    """The exporter, as `package.module:Class`, from the source at `location`."""
    kind = kind_of(location)
    row = format_of(file_format)
    return row.exporter if kind == TORCH else row.routes[kind].exporter


def default_recipes(source: str) -> tuple[str, ...]:
    """What to make from a source by default."""
    kind = kind_of(source)
    return (format_of(kind).recipes if kind != TORCH else ()) or DEFAULT_RECIPES


def makeable_recipes(source: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The default recipes that can be made from a source on this machine, and what the others need, in sentences."""
    kind = kind_of(source)
    if kind == TORCH:
        return DEFAULT_RECIPES, ()
    routes = {recipe: format_of(recipe.format).routes.get(kind, Route()) for recipe in parse_recipes(DEFAULT_RECIPES)}
    lacking = {one.name: route for one, route in routes.items() if route.tool and not is_installed(route.tool)}
    made = tuple(one.name for one, route in routes.items() if route.exporter and one.name not in lacking)
    needed = tuple(f"{', '.join(lacking)} not made: {reason_of(route.refusal)}" for route in [*lacking.values()][:1])
    return made or default_recipes(source), needed


def refuse_unreachable(source: str, recipes: tuple[Recipe, ...], *, is_quantized: bool) -> None:
    """Raise for a recipe that cannot be made from this source.

    Raises:
        Refused: With the code of the reason.
        UserError: There is no converter.
    """
    kind = kind_of(source)
    for recipe in recipes if kind != TORCH else ():
        what = f"Recipe '{recipe.name}' for '{source}'"
        route = format_of(recipe.format).routes.get(kind, Route())
        if not route.exporter:
            raise refuse(route.refusal, what) if route.refusal else _no_way(kind, recipe, what)
        if is_quantized and recipe.precision != "fp32":
            raise refuse("already-quantized", what)
        if route.tool and not is_installed(route.tool):
            raise refuse(route.refusal, what)


def refuse_unused_opset(opset: int, recipes: tuple[Recipe, ...]) -> None:
    """Raise for an opset that no recipe makes use of.

    Raises:
        UserError: None of their formats has opsets.
    """
    if opset and not any(format_of(recipe.format).has_opsets for recipe in recipes):
        names = ",".join(recipe.name for recipe in recipes)
        raise UserError(f"--opset does not apply to {names}: such files have no opset.", hint="Omit --opset.")


def _no_way(kind: str, recipe: Recipe, what: str) -> UserError:
    own = ",".join(format_of(kind).recipes)
    return UserError(
        f"{what}: there is no converter from {kind} to {recipe.format}.", hint=f"--to {own}" if own else ""
    )
