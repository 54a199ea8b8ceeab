"""Every mutant of a module that mutmut makes, as whole sources.

mutmut itself cannot run here: it copies one folder of sources, and edgekit is put together from links. It leaves out
what is decorated, and what is executed by the import; here both are mutated. Texts with a space are left out: they are
for people, and `tests/english` reads them. Of the three ways to change another text the first is taken.
"""

from __future__ import annotations

import difflib
import random
from collections.abc import Iterator, Set
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

NEEDS = "the mutants are made by mutmut: python -m pip install mutmut==3.8.1"


class Mutant(NamedTuple):
    """One changed module: the lines that the change touches, as they were and as they are, and the whole source."""

    line: int
    last_line: int
    was: str
    now: str
    source: str

    @property
    def key(self) -> tuple[str, str]:
        """What stays the same when other lines are added or removed."""
        return self.was, self.now


def mutants_of(path: Path, sample: int | None = None, lines: Set[str] | None = None) -> tuple[list[Mutant], int]:
    """The mutants of the module in the order of their lines, and how many there are in all.

    Args:
        sample: Only so many, drawn with a fixed seed.
        lines: Only those that touch a line with one of these texts.

    Raises:
        SystemExit: mutmut is not installed.
    """
    try:
        libcst = import_module("libcst")
        file_mutation = import_module("mutmut.mutation.file_mutation")
    except ImportError as error:
        raise SystemExit(NEEDS) from error
    source = path.read_text()
    wrapper = libcst.MetadataWrapper(libcst.parse_module(source))
    visitor = _visitor(file_mutation, str(path), source, wrapper)
    module = wrapper.visit(visitor)
    found: dict[str, Mutant] = {}
    texts = [line.strip() for line in source.splitlines()]
    chosen = list(_chosen(visitor.mutations, libcst))
    drawn = chosen if sample is None else random.Random(0).sample(chosen, min(sample, len(chosen)))
    spans = wrapper.resolve(libcst.metadata.PositionProvider)
    for mutation in drawn:
        span = spans.get(mutation.original_node)
        if lines is not None and span and lines.isdisjoint(texts[span.start.line - 1 : span.end.line]):
            continue
        changed = file_mutation.deep_replace(module, mutation.original_node, mutation.mutated_node).code
        if changed != source and _compiles(changed):
            found.setdefault(changed, _mutant(source, changed))
    mutants = sorted(found.values(), key=lambda mutant: mutant.line)
    return mutants, len(chosen)


def _visitor(file_mutation: Any, name: str, source: str, wrapper: Any) -> Any:
    class Visitor(file_mutation.MutationVisitor):  # type: ignore[misc] # the package is not typed
        """Goes into decorated functions as well: mutmut cannot wrap them, which here nothing has to."""

        def _skip_node_and_children(self, node: Any) -> bool:
            kind = type(node).__name__
            if kind == "FunctionDef" and node.decorators:
                return False
            return kind == "Decorator" or bool(super()._skip_node_and_children(node))

    ignored = file_mutation.get_ignored_lines(name, source, wrapper, None)
    return Visitor(file_mutation.mutation_operators, ignored, None)


def _chosen(mutations: list[Any], libcst: Any) -> Iterator[Any]:
    seen: set[int] = set()
    for mutation in mutations:
        node = mutation.original_node
        if isinstance(node, libcst.SimpleString):
            if " " in node.value or id(node) in seen:
                continue
            seen.add(id(node))
        yield mutation


def _compiles(source: str) -> bool:
    try:
        compile(source, "mutant", "exec", dont_inherit=True)
    except SyntaxError:
        return False
    return True


def _mutant(source: str, changed: str) -> Mutant:
    before, after = source.splitlines(), changed.splitlines()
    matcher = difflib.SequenceMatcher(None, before, after, autojunk=False)
    steps = [step for step in matcher.get_opcodes() if step[0] != "equal"]
    first, last = steps[0][1], max(steps[-1][2], steps[0][1] + 1)
    was = "\n".join(line.strip() for step in steps for line in before[step[1] : step[2]])
    now = "\n".join(line.strip() for step in steps for line in after[step[3] : step[4]])
    return Mutant(first + 1, last, was, now, changed)
