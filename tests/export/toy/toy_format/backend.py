"""The engine for .toy files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

from edgekit.core.samples import Feed
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.runtime.backends.feeds import check_feed
from edgekit.runtime.backends.tensors import completed

from .file import ToyFile


class ToyBackend:
    """Opens .toy files."""

    name = "toy-engine"

    def formats(self) -> tuple[str, ...]:
        """`toy`."""
        return ("toy",)

    def check(self) -> str:
        """Always there."""
        return "toy-engine 1"

    def open(self, path: Path, options: Mapping[str, str], spec: ModelSpec | None = None) -> ToySession:
        """A session for the file at `path`."""
        del options
        return ToySession(ToyFile.read(path), spec)


class ToySession:
    """A .toy file that was read."""

    backend = "toy-engine"
    provider = "cpu"

    def __init__(self, made: ToyFile, spec: ModelSpec | None) -> None:
        self._made = made
        self.inputs = tuple(completed(one, spec.inputs if spec else ()) for one in made.inputs)
        self.outputs = tuple(completed(one, spec.outputs if spec else ()) for one in made.outputs)

    def run(self, feed: Mapping[str, Any]) -> Feed:
        """The output by name."""
        check_feed(feed, self.inputs)
        return {self._made.output: self._made.run(feed[self._made.input])}

    def bind(self, feed: Mapping[str, Any]) -> Callable[[], Feed]:
        """A call that runs this feed again."""
        return lambda: self.run(feed)

    def close(self) -> None:
        """Nothing to free."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
