"""Description: what a user says of a bare file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Description:
    """What a user says of a bare file, as texts of options.

    Args:
        labels: A file of class names, one per line, or a list of objects in COCO's form, whose categories they are.
        preprocess: Steps as in `parse_preprocessing`; if empty, the file takes arrays.
        task: One of `TASKS`; if empty, a file with `labels` is a classifier.
        boxes: Of a detector, what the values of its outputs leave open: some of `BOX_WORDS`, comma-separated.
    """

    labels: Path | None = None
    preprocess: str = ""
    task: str = ""
    boxes: str = ""

    @property
    def options(self) -> tuple[str, ...]:
        """The options that were given."""
        return tuple(f"--{name}" for name, value in vars(self).items() if value)
