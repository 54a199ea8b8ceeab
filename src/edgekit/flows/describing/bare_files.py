"""A bare file with what its user knows of it: the task, names of classes, and how a file becomes its input."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from edgekit.core.errors import UserError
from edgekit.core.samples import Feed
from edgekit.core.spec.input_kinds import ImageInput
from edgekit.flows.describing.description import Description
from edgekit.flows.opening.artifacts import Opened
from edgekit.runtime.preprocessing import IMAGE_SUFFIXES


def described_by_user(found: Opened, said: Description) -> Opened:
    """A bare file with what its user knows of it, which is at least one option.

    How its outputs contain boxes or masks is not known before it ran: see `with_reading`.

    Raises:
        UserError: It is a bundle, or the names, the task or the preprocessing do not fit the file.
    """
    if found.bundle is not None:
        given = said.options[0]
        raise UserError(f"{given} does not apply to '{found.path}': a bundle has its own.", hint=f"Omit {given}.")
    # Readers of samples and metrics of tasks, which few commands need.
    from edgekit.flows.describing.tasks import with_task
    from edgekit.flows.reading.preprocess_option import with_preprocessing

    spec = with_preprocessing(found.spec, said.preprocess)
    return replace(found, spec=with_task(spec, said, found.path))


def with_reading(found: Opened, outputs: Sequence[Feed], said: Description) -> tuple[Opened, tuple[str, ...]]:
    """A bare file with the form of its outputs, as its task, its shapes and its values leave one; and a note of it.

    Args:
        outputs: Those of each feed.

    Raises:
        UserError: They leave none or several, or contain another number of classes than the user named.
    """
    from edgekit.flows.describing.tasks import with_form_of

    spec, notes = with_form_of(found.spec, outputs, said, found.path)
    return replace(found, spec=spec), notes


def refuse_undescribed(found: Opened, inputs: Iterable[str]) -> None:
    """Raise for an image that is given to a bare file without a word on how an image becomes its input.

    Raises:
        UserError: The hint is the plainest preprocessing that fits.
    """
    image = next((text for text in inputs if Path(text).suffix.lower() in IMAGE_SUFFIXES), None)
    if image is None or not found.is_described_by_file or isinstance(found.spec.preprocessing, ImageInput):
        return
    from edgekit.flows.reading.preprocess_option import EXAMPLE_IMAGE, example_of

    steps = example_of(found.spec.inputs[0]) or EXAMPLE_IMAGE
    message = f"'{image}' is an image: --preprocess says how it becomes the input of '{found.path}'."
    raise UserError(message, hint=f"--preprocess '{steps}'")
