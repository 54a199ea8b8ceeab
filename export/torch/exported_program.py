"""A saved torch.export program (`.pt2`), checked before it is loaded: loading may run code. Runs in the worker."""

from __future__ import annotations

import contextlib
import json
import re
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

from edgekit.core.errors import ModelUnreadable
from edgekit.core.spec import DTYPES, Axis, TensorSpec
from edgekit.core.system.optional import need
from edgekit.export.messages import Described
from edgekit.export.torch.untraceable import first_line

if TYPE_CHECKING:
    from edgekit.export.graphs.torch_types import ExportedProgram, FxNode, Module, Tensor

MAX_GRAPH_BYTES: Final = 256 << 20
# Operators that torch's own exporter writes; any other name would be looked up in Python.
_OPERATOR: Final = re.compile(r"(torch\.ops\.(aten|prims|higher_order)|_operator|math|torch)\.\w+(\.\w+)?")
_SAFE_TORCH: Final = re.compile(r"torch\.(ops\..*|sym_\w+)")
# Sizes are expressions that sympy evaluates as Python: symbols, numbers and these functions are let through.
_DECLARED: Final = re.compile(r"Symbol\('[a-z]+\d+'(, [a-z]+=(True|False))*\)")
_WORD: Final = re.compile(r"[A-Za-z_][\w.]*")
_SYMBOL: Final = re.compile(
    r"[suf]\d+|int_oo|oo|Integer|Rational|Add|Mul|Pow|Max|Min|Mod|PythonMod|FloorDiv|CeilDiv|CleanDiv|Eq|Ne|Lt|Le|Gt|Ge|And|Or|Not|true|false|True|False"
)
_EXPRESSION: Final = re.compile(r"[\w\s()+\-*/%,<>=!&|]*")


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
    _inspect(path)
    torch = need("torch", extra="export")
    try:
        with _plain_tensors_only():
            program: ExportedProgram = torch.export.load(str(path))
    except Exception as err:
        raise ModelUnreadable(f"'{path}' is not a torch.export program: {first_line(err)}.") from err
    return program


def _inspect(path: Path) -> None:
    """Raise for anything in the archive that torch would look up or evaluate."""
    try:
        with zipfile.ZipFile(path) as archive:
            documents = [_document(archive, one) for one in archive.infolist() if one.filename.endswith(".json")]
            graphs = sum("/models/" in one.filename for one in archive.infolist())
    except (OSError, zipfile.BadZipFile, ValueError, RecursionError) as err:
        raise ModelUnreadable(f"'{path}' is not a torch.export program: {first_line(err)}.") from err
    if graphs != 1:
        raise ModelUnreadable(f"'{path}' contains {graphs} torch.export programs in the current format, not 1.")
    for key, text in (pair for document in documents for pair in _texts(document)):
        if key == "target" and not _is_known(text):
            raise ModelUnreadable(f"'{path}' calls '{text[:80]}', which is not a torch.export operator.")
        if key == "expr_str" and not _is_plain(text):
            raise ModelUnreadable(f"'{path}' has the size '{text[:80]}', which is not a plain expression.")
        if key == "path_name" and text.startswith(("custom_obj_", "opaque_")):
            raise ModelUnreadable(f"'{path}' contains the pickled object '{text[:80]}'.")


def _document(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> object:
    if entry.file_size > MAX_GRAPH_BYTES:
        raise ValueError(f"{entry.filename} unpacks to {entry.file_size} bytes")
    content: object = json.loads(archive.read(entry))
    return content


def _texts(value: object, key: str = "") -> Iterator[tuple[str, str]]:
    """Every text in a JSON document with its key."""
    if isinstance(value, dict):
        for name, part in value.items():
            yield from _texts(part, name)
    elif isinstance(value, list):
        for part in value:
            yield from _texts(part, key)
    elif isinstance(value, str):
        yield key, value


def _is_known(target: str) -> bool:
    is_own = not target.startswith("torch.") or _SAFE_TORCH.fullmatch(target)
    return bool(is_own and (_OPERATOR.fullmatch(target) or "." not in target))


def _is_plain(expression: str) -> bool:
    rest = _DECLARED.sub("s0", expression)
    words = _WORD.findall(rest)
    return bool(_EXPRESSION.fullmatch(rest)) and all(_SYMBOL.fullmatch(word) for word in words)


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
