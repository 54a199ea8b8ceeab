"""Arrays that are called like labels and are inputs: the module itself decides."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection

from edgekit.core.errors import UserError
from edgekit.export.messages import ModuleRef
from edgekit.export.workers.describe import parameters_of
from edgekit.flows.reading.class_labels import LabelProblem, labelled
from edgekit.flows.reading.held import Held, label_name


def with_parameters(held: Held | None, inputs: Collection[str], module: ModuleRef, *, timeout_s: float) -> Held | None:
    """`held` with the names of the module's parameters, if an array called `target`, for example, cannot be the labels.

    The module is loaded in that case only, and not if the user named the `inputs`. Errors as in `parameters_of`.
    """
    if held is None or inputs or not _is_doubtful(held):
        return held
    return dataclasses.replace(held, inputs=parameters_of(module, timeout_s=timeout_s))


def _is_doubtful(held: Held) -> bool:
    try:
        name = label_name(held)
        if name is not None:
            labelled(held.arrays[name], name)
    except (LabelProblem, UserError):
        return True
    return False
