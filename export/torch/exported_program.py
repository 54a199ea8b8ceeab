"""A saved torch.export program (`.pt2`), checked before it is loaded: loading may run code. Runs in the worker."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from edgekit.core.errors import EdgekitError, ModelUnreadable
from edgekit.core.spec.tensor_spec import DTYPES, Axis, TensorSpec
from edgekit.core.system.durable.owners import temporary_folder
from edgekit.core.system.optional import need
from edgekit.export.messages import Described
from edgekit.export.programs.archive import copy_program
from edgekit.export.torch.untraceable import first_line

if TYPE_CHECKING:
    from edgekit.export.graphs.torch_types import ExportedProgram, FxNode, Module, Tensor


def load_program(path: Path) -> Module:
    """The torch module of the program; errors as in `read_program`."""
    torch = need("torch", extra="export")
    program = read_program(path)
    trees, shape = need("torch.utils._pytree", extra="export"), program.call_spec.in_spec
    inner = program.module()
    # A program is fixed in the mode it was exported in, and torch raises if one tries to change it.
    for name in ("train", "eval"):
        object.__setattr__(inner, name, lambda *_, **__: inner)

    class ProgramModule(torch.nn.Module):  # type: ignore[misc,name-defined]  # the type check runs without torch
        """Takes the inputs by position, and passes them as the program was exported."""

        def __init__(self) -> None:
            super().__init__()
            self.program = inner

        def forward(self, *feed: Tensor) -> object:
            arguments, keywords = trees.tree_unflatten(list(feed), shape)
            return self.program(*arguments, **keywords)

    module: Module = ProgramModule()
    return module.eval()


def describe_program(path: Path) -> Described:
    """Inputs with the axes that are dynamic in the program; running it shows the outputs."""
    program = read_program(path)
    wanted = set(program.graph_signature.user_inputs)
    found = [node for node in program.graph.nodes if node.op == "placeholder" and node.name in wanted]
    symbols: dict[str, str] = {}
    return Described(tuple(_tensor(node, symbols, path) for node in found))


def read_program(path: Path) -> ExportedProgram:
    """The program, read without pickled objects.

    Raises:
        ModelUnreadable: It is damaged, was not written by torch.export.save, or contains objects, foreign operators
            or expressions that would run code.
    """
    torch = need("torch", extra="export")
    with temporary_folder() as folder:
        checked = Path(folder) / "program.pt2"
        try:
            copy_program(path, checked)
            with _plain_tensors_only():
                program: ExportedProgram = torch.export.load(str(checked))
        except (EdgekitError, OSError):
            raise
        except Exception as err:
            raise ModelUnreadable(f"'{path}' is not a torch.export program: {first_line(err)}.") from err
    return program


@contextlib.contextmanager
def _plain_tensors_only() -> Iterator[None]:
    """torch.export.load falls back to pickles: here it may not."""
    torch, package = need("torch", extra="export"), need("torch.export.pt2_archive._package", extra="export")
    load: Callable[..., object] = torch.load
    pickles = package.pickle

    def safe(*arguments: object, **options: object) -> object:
        return load(*arguments, **{**options, "weights_only": True})

    torch.load, package.pickle = safe, _NoPickle
    try:
        yield
    finally:
        torch.load, package.pickle = load, pickles


class _NoPickle:
    """Replaces the module `pickle` for torch."""

    DEFAULT_PROTOCOL = 2

    @staticmethod
    def loads(data: bytes) -> NoReturn:
        """Refuse."""
        raise ValueError(f"{len(data)} bytes of pickled objects")


def _tensor(node: FxNode, symbols: dict[str, str], path: Path) -> TensorSpec:
    value = node.meta["val"]
    dtype = str(getattr(value, "dtype", type(value).__name__)).removeprefix("torch.")
    if dtype not in DTYPES:
        raise ModelUnreadable(f"Input '{node.name}' of '{path}' is not a tensor of numbers but {dtype}.")
    return TensorSpec(node.name, dtype, tuple(_axis(size, symbols) for size in value.shape))


def _axis(size: object, symbols: dict[str, str]) -> Axis:
    """A size, or a name for a symbol: the same symbol has the same name everywhere; the first is the batch."""
    if isinstance(size, int):
        return size
    return symbols.setdefault(str(size), f"axis_{len(symbols)}" if symbols else "N")
