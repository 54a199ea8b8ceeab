"""Counts the files that a value enters on its way through a command, by running the commands and tracing them.

python benchmarks/walks.py            one row per command: files entered, the goal, how often each bundle was opened
python benchmarks/walks.py --verbose  and the files, in the order in which the value enters them

A file counts when one of its functions is handed the value itself or one of the nouns that the value becomes, or a
list, tuple or dictionary of nothing else:

    build     the source, as it was typed      Source, ModuleRef
    profile   the target, as it was typed      Target
    run       the path of the bundle           Bundle, Opened
    check     the path of the configuration    CheckFile, CheckedModel, Gated (formerly Order)

`keys` are further files that only see its text in a result, where it says which row is meant. `all` are the files that
the command enters with anything. Only this process counts, without the workers of converters and without launches.
Nouns are found by the names of their classes, so that the script measures older code as well:
PYTHONPATH=OLD/src python benchmarks/walks.py
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, Final

import edgekit
from edgekit.cli.main import run
from edgekit.core.system.durable.owners import temporary_folder

PACKAGE: Final = f"{Path(edgekit.__file__).parent}{os.sep}"
NET: Final = """
import torch
from torch import nn

def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.ReLU(), nn.Linear(8, 3))
"""
CONFIG: Final = """
[check]
target = ["local"]
launches = 5
budgets = ["latency.p50 <= 1 s"]
[[check.models]]
path = "made/bundle"
"""


@dataclass(frozen=True)
class Walk:
    """A command, the value whose walk is counted, the names of the nouns it becomes, and the most files of the goal."""

    value: str
    nouns: frozenset[str]
    arguments: tuple[str, ...]
    goal: int

    @property
    def command(self) -> str:
        return self.arguments[0]


# In this order: the later commands use the bundle that the first one makes.
WALKS: Final = (
    Walk(
        "net.py:net",
        frozenset({"Source", "ModuleRef"}),
        ("build", "net.py:net", "--input", "x:float32[N,1,8,8]", "--to", "onnx-fp32", "--out", "made"),
        10,
    ),
    Walk(
        "local/onnxruntime@threads=1",
        frozenset({"Target"}),
        ("profile", "made/bundle", "--target", "local/onnxruntime@threads=1", "--launches", "1"),
        8,
    ),
    Walk("made/bundle", frozenset({"Bundle", "Opened"}), ("run", "made/bundle", "--input", "sample:0"), 6),
    Walk(
        "edgekit.toml",
        frozenset({"CheckFile", "CheckedModel", "Gated", "Order"}),
        ("check", "--config", "edgekit.toml"),
        14,
    ),
)


# What is handed every text of a result, before it is printed: the value is a key there, whatever object it is.
EVERY_TEXT: Final = ("with_texts", "clean")


@dataclass
class Trace:
    """The files that were entered with the value, in order, with the first function of each; bundles by their opens."""

    walk: Walk
    files: dict[str, str] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    entered: set[str] = field(default_factory=set)
    opens: Counter[str] = field(default_factory=Counter)

    def __call__(self, frame: FrameType, event: str, _: Any) -> None:
        """For `sys.setprofile`: looks at the arguments of each call within the package."""
        code = frame.f_code
        if event != "call" or code.co_name == "<module>" or not code.co_filename.startswith(PACKAGE):
            return
        name = code.co_filename.removeprefix(PACKAGE)
        self.entered.add(name)
        handed = [frame.f_locals[argument] for argument in _arguments(code) if argument in frame.f_locals]
        if code.co_qualname == "Bundle.open":
            self.opens[str(handed[1])] += 1
        if code.co_qualname not in EVERY_TEXT and any(map(self.counts, handed)):
            self.files.setdefault(name, code.co_qualname)
        elif any(_holds(one, self._is_key) for one in handed):
            self.keys.setdefault(name, code.co_qualname)

    def only_keys(self) -> dict[str, str]:
        """The files that see nothing but the text in a result."""
        return {name: function for name, function in self.keys.items() if name not in self.files}

    def counts(self, handed: object) -> bool:
        """True for the value, one of its nouns, or a container that holds nothing else."""
        return _holds(handed, self._is_it)

    def _is_it(self, one: object) -> bool:
        # By identity: a text that is equal was written from a noun again.
        if one is self.walk.value or (isinstance(one, Path) and str(one) == self.walk.value):
            return True
        kind = type(one)
        return kind.__name__ in self.walk.nouns and kind.__module__.startswith("edgekit.")

    def _is_key(self, one: object) -> bool:
        return isinstance(one, str) and one == self.walk.value


def traced(walk: Walk) -> Trace:
    """The trace of one command, which is run in the current folder."""
    trace, said = Trace(walk), io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said), _profiling(trace):
        code = run([walk.value if word == walk.value else word for word in walk.arguments])
    if code:
        sys.exit(f"edgekit {' '.join(walk.arguments)} ended with {code}:\n{said.getvalue()}")
    return trace


def traces() -> list[Trace]:
    """The traces of all four commands, in a folder of their own."""
    with temporary_folder() as folder, contextlib.chdir(folder):
        Path("net.py").write_text(NET, encoding="utf-8")
        Path("edgekit.toml").write_text(CONFIG, encoding="utf-8")
        return [traced(walk) for walk in WALKS]


def table(found: Sequence[Trace], *, verbose: bool) -> Iterator[str]:
    """The lines that are printed."""
    yield f"{'command':<9}{'files':>6}{'goal':>6}{'keys':>6}{'all':>6}{'opens of a bundle':>19}"
    for trace in found:
        keys, most = trace.only_keys(), max(trace.opens.values(), default=0)
        counts = len(trace.files), trace.walk.goal, len(keys), len(trace.entered)
        yield f"{trace.walk.command:<9}{''.join(f'{count:>6}' for count in counts)}{most:>19}"
        if verbose:
            yield from (f"    {name:<38}{function}" for name, function in trace.files.items())
            yield from (f"    {name:<38}{function} (key)" for name, function in keys.items())


def _holds(handed: object, is_it: Callable[[object], bool]) -> bool:
    if isinstance(handed, dict):
        handed = tuple(handed.values())
    if isinstance(handed, tuple | list):
        return bool(handed) and all(map(is_it, handed))
    return is_it(handed)


def _arguments(code: CodeType) -> tuple[str, ...]:
    return code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]


@contextlib.contextmanager
def _profiling(trace: Trace) -> Iterator[None]:
    threading.setprofile(trace)
    sys.setprofile(trace)
    try:
        yield
    finally:
        sys.setprofile(None)
        threading.setprofile(None)


if __name__ == "__main__":
    for line in table(traces(), verbose="--verbose" in sys.argv[1:]):
        print(line)
