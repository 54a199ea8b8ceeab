"""What a format with fixed shapes cannot be made from."""

from __future__ import annotations

from collections.abc import Mapping

from edgekit.core.errors import UserError
from edgekit.core.recipe import Recipe
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.export.formats import format_of
from edgekit.export.shapes.signatures import fits, signatures_of


def refuse_unfitting(recipe: Recipe, spec: ModelSpec, sizes: Mapping[str, int]) -> None:
    """Raise for samples of `sizes` that no signature takes: they cannot validate the file."""
    if not format_of(recipe.format).has_fixed_shapes:
        return
    for axis, size in sizes.items():
        if not fits(signatures_of(spec), {axis: size}, spec):
            offered = spec.sizes_of(axis)
            raise UserError(
                f"The samples have {axis}={size}; a TFLite file has only {axis}={','.join(map(str, offered))}.",
                hint=f"--sizes {axis}={','.join(map(str, sorted({*offered, size})))}",
            )


def refuse_varying(recipe: Recipe, varying: Mapping[str, str]) -> None:
    """Raise for an output whose shape depends on the values of the inputs; `varying` has their shapes by name."""
    if not varying or not format_of(recipe.format).has_fixed_shapes:
        return
    name, shapes = next(iter(varying.items()))
    raise UserError(
        f"Recipe '{recipe.name}' cannot be made: the shape of output '{name}' depends on the values of the inputs "
        f"(from {shapes}), and a {recipe.format} file has fixed shapes.",
        hint="Return a fixed number of rows and their scores, scores.topk(100), and select by score afterwards.",
    )
