"""What samples contain, before they are matched with a model."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edgekit.core.errors import UserError
from edgekit.core.samples import LABEL, TARGET, Array, Feed
from edgekit.core.spec.input_kinds import Preprocessing
from edgekit.core.spec.model_spec import ModelSpec

# What people call the array of what is to be predicted.
LABEL_NAMES: Final = (LABEL, "labels", "y", "target", "targets")
UNNAMED: Final = ""
# The name that numpy.savez(FILE, array) gives the first array.
_NUMPY_NAME: Final = "arr_0"


@dataclass(frozen=True)
class Held:
    """Arrays of S samples, (S, ...), by name; `""` is one without a name, `target:OUTPUT` are values of an output.

    `class_names` are the names of the class indices in `label`, if the samples have names; `preprocessing` is how files
    were read, if they say so themselves; `warnings` say what was left out; `inputs` are names of the inputs of the
    model, where the module itself was read.
    """

    path: Path
    arrays: Feed
    class_names: tuple[str, ...] = ()
    preprocessing: Preprocessing | None = None
    warnings: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()


def label_name(held: Held, inputs: Collection[str] = ()) -> str | None:
    """The name of the array with the labels, one of `LABEL_NAMES` that is not an input of the model, or None.

    Raises:
        UserError: Several arrays could be the labels.
    """
    found = [name for name in LABEL_NAMES if name in held.arrays and name not in (*inputs, *held.inputs)]
    if len(found) > 1:
        names = " and ".join(f"'{name}'" for name in found)
        raise UserError(
            f"Samples '{held.path}' contain {names}: one of them must be the labels, and no other array may have such "
            f"a name.",
            hint=f"numpy.savez(FILE, ..., label={found[0]})",
        )
    return found[0] if found else None


def input_arrays(held: Held, inputs: Collection[str] = ()) -> Feed:
    """The arrays that are inputs, under the names they have; one that has no name is called `""`."""
    label = label_name(held, inputs)
    arrays = {name: one for name, one in held.arrays.items() if name != label and not name.startswith(TARGET)}
    if list(arrays) == [_NUMPY_NAME] and _NUMPY_NAME not in inputs:
        return {UNNAMED: arrays[_NUMPY_NAME]}
    return arrays


def named(held: Held, spec: ModelSpec) -> dict[str, Array]:
    """The arrays that are inputs, by the names of the inputs of the model.

    Raises:
        UserError: An array without a name for a model with several inputs.
    """
    names = [tensor.name for tensor in spec.inputs]
    arrays = input_arrays(held, names)
    if UNNAMED not in arrays:
        return arrays
    if len(names) != 1:
        raise UserError(
            f"Samples '{held.path}' contain one array, but the model has the inputs {', '.join(names)}.",
            hint=f"numpy.savez(FILE, {', '.join(f'{name}=...' for name in names)})",
        )
    return {names[0]: arrays[UNNAMED]}
