"""Tensors from weights files as training scripts write them, read without running code of the file. Runs in the worker.

A pickle names classes and functions. Here those of numpy's arrays are real, torch's own are what `weights_only` allows,
and all others are stand-ins that hold values and do nothing.
"""

from __future__ import annotations

import pickle
import re
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from edgekit.core.errors import ModelUnreadable
from edgekit.core.system.optional import need

if TYPE_CHECKING:
    from edgekit.export.graphs.torch_types import Tensor

Tensors = dict[str, "Tensor"]


_GLOBAL: Final = re.compile(r"GLOBAL (?P<name>[\w.]+)")
# Of the standard library, what settings and paths consist of; anything else in a weights file is suspicious.
_HARMLESS: Final = frozenset(
    {
        "argparse.Namespace",
        "builtins.dict",
        "builtins.float",
        "builtins.frozenset",
        "builtins.int",
        "builtins.list",
        "builtins.object",
        "builtins.range",
        "builtins.slice",
        "builtins.str",
        "builtins.tuple",
        "collections.deque",
        "datetime.date",
        "datetime.datetime",
        "datetime.timedelta",
        "datetime.timezone",
        "decimal.Decimal",
        "fractions.Fraction",
        "types.SimpleNamespace",
        "uuid.UUID",
    }
)
_PATHS: Final = ("pathlib", "pathlib._local")
# The format of old files names each foreign object only when its turn comes.
_MAX_FOREIGN: Final = 200
_DEEPEST: Final = 3
_LFS: Final = b"version https://git-lfs"
_SAVE: Final = "safetensors.torch.save_file(module.state_dict(), 'weights.safetensors')"
_UNREADABLE: Final = (
    pickle.UnpicklingError,
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)


class StandIn:
    """Takes the place of an object of a foreign class: it keeps the values, and none of the behaviour."""

    def __init__(self, *_: object) -> None:
        self.values: object = {}

    def __setstate__(self, values: object) -> None:
        self.values = values

    @property
    def is_module(self) -> bool:
        """Whether it replaces a torch module."""
        # What a class creates without calling `__init__` has no values yet.
        values = getattr(self, "values", None)
        return isinstance(values, Mapping) and "_parameters" in values


def read_tensors(path: Path) -> dict[str, Tensors]:
    """Every dictionary of tensors in a weights file, by its place: `''` is the file itself, else `state_dict` or so.

    Raises:
        ModelUnreadable: No such file, damaged, without tensors, or a pickle of a whole module; the hint then contains
            the lines that convert it.
    """
    if not path.is_file():
        raise ModelUnreadable(f"There is no weights file '{path}'.", hint=_SAVE)
    if path.suffix == ".safetensors":
        return {"": _read_safetensors(path)}
    content = _read_pickle(path)
    found = dict(_dictionaries(content))
    if not found:
        raise _whole_module(path, content) or ModelUnreadable(
            f"Weights '{path}' are not a dictionary of tensors.", hint=_SAVE
        )
    return found


def _read_safetensors(path: Path) -> Tensors:
    safetensors = need("safetensors", extra="export")
    try:
        return dict(need("safetensors.torch", extra="export").load_file(path))
    except (safetensors.SafetensorError, OSError, ValueError) as err:
        raise ModelUnreadable(f"Weights '{path}' are not a safetensors file: {err}.") from err


def _read_pickle(path: Path) -> object:
    """The content of the file; it is read again with a stand-in for every foreign name that it is refused for."""
    torch = need("torch", extra="export")
    allowed = dict[str, object](_numpy_names())
    for _ in range(_MAX_FOREIGN):
        try:
            with warnings.catch_warnings(action="ignore"), _allowing(allowed):
                content: object = torch.load(path, map_location="cpu", weights_only=True)
                return content
        except _UNREADABLE as err:
            found = _GLOBAL.search(str(err))
            name = _full_name(found["name"]) if found else ""
            if not name or name in allowed or not _is_harmless(name):
                raise _unreadable(path, err, name) from err
            allowed |= {one: _stand_in(one) for one in {name, *_foreign(path)} if _is_harmless(one)}
    raise ModelUnreadable(f"Weights '{path}' contain objects of more than {_MAX_FOREIGN} classes.", hint=_SAVE)


def _allowing(allowed: Mapping[str, object]) -> AbstractContextManager[None]:
    found: AbstractContextManager[None] = need("torch", extra="export").serialization.safe_globals(
        [(kind, name) for name, kind in allowed.items()]
    )
    return found


def _numpy_names() -> Iterator[tuple[str, object]]:
    """What arrays and scalars consist of, under the names that numpy 1 and 2 write."""
    kinds = {type(np.dtype(one)) for one in (*np.typecodes["All"].replace("O", ""), "S1", "U1")}
    yield from ((f"numpy.dtypes.{kind.__name__}", kind) for kind in kinds)
    yield from (("numpy.ndarray", np.ndarray), ("numpy.dtype", np.dtype))
    multiarray = need("numpy._core.multiarray", extra="export")
    for module in ("numpy.core.multiarray", "numpy._core.multiarray"):
        yield f"{module}.scalar", multiarray.scalar
        yield f"{module}._reconstruct", multiarray._reconstruct
    # Its values are set as those of a plain dictionary.
    yield "collections.defaultdict", lambda *_: {}


def _foreign(path: Path) -> list[str]:
    """All names at once that torch would refuse; only the format of today can be asked."""
    try:
        return list(need("torch", extra="export").serialization.get_unsafe_globals_in_checkpoint(path))
    except _UNREADABLE:
        return []


def _is_harmless(name: str) -> bool:
    """Whether a stand-in may take the place of `name`: it names a class of settings, or foreign code."""
    module = name.rpartition(".")[0]
    return name in _HARMLESS or module in _PATHS or name.partition(".")[0] not in sys.stdlib_module_names


def _full_name(name: str) -> str:
    """Torch shortens the names of builtins."""
    return name if "." in name else f"builtins.{name}"


def _stand_in(name: str) -> type[StandIn]:
    return type(name, (StandIn,), {})


def _dictionaries(content: object, place: str = "", depth: int = 0) -> Iterator[tuple[str, Tensors]]:
    """Every dictionary with tensors, with the keys that lead to it."""
    if not isinstance(content, Mapping) or depth > _DEEPEST:
        return
    tensors = {str(name): one for name, value in content.items() if (one := _tensor(value)) is not None}
    if tensors:
        yield place, tensors
    for name, value in content.items():
        yield from _dictionaries(value, f"{place}.{name}" if place else str(name), depth + 1)


def _tensor(value: object) -> Tensor | None:
    """The value as a tensor, if it is one, or an array of numbers."""
    torch = need("torch", extra="export")
    is_array = isinstance(value, np.ndarray) and value.dtype.kind in "fiub"
    found: Tensor | None = torch.from_numpy(value) if is_array else value if isinstance(value, torch.Tensor) else None
    return found


def _whole_module(path: Path, content: object) -> ModelUnreadable | None:
    """The refusal of a file that contains a module itself; None if it contains none."""
    parts = content.items() if isinstance(content, Mapping) else ()
    for place, value in (("", content), *((f"[{key!r}]", value) for key, value in parts)):
        if isinstance(value, StandIn) and value.is_module:
            return ModelUnreadable(
                f"Weights '{path}' are a pickle of a whole module: loading it would run '{type(value).__name__}'.",
                hint=_lines(path, f"torch.load('{path}', map_location='cpu', weights_only=False){place}"),
            )
    return None


def _lines(path: Path, load: str) -> str:
    """The three lines of Python that save the weights of a file alone."""
    out = f"{path.with_suffix('')}-weights.pt"
    lines = ("import torch", f"module = {load}", f"torch.save(module.state_dict(), '{out}')")
    trust = "" if "jit" in load else " This runs code of the file: only for a file that you trust."
    return f"Convert it in Python, and give --weights '{out}'.{trust}" + "".join(f"\n  {line}" for line in lines)


def _unreadable(path: Path, err: Exception, name: str) -> ModelUnreadable:
    """Why torch refused a file; its own text is a page of advice, the first of which is to load it unsafely."""
    if "TorchScript" in str(err):
        load = f"torch.jit.load('{path}', map_location='cpu')"
        return ModelUnreadable(f"Weights '{path}' are a TorchScript archive.", hint=_lines(path, load))
    return ModelUnreadable(f"Weights '{path}' are not plain tensors: {_reason(path, name)}.", hint=_SAVE)


def _reason(path: Path, name: str) -> str:
    if name:
        return f"loading them would run '{name}'"
    with path.open("rb") as file:
        head = file.read(64).lstrip()
    if head.startswith(_LFS):
        return "this is a pointer of Git LFS, and 'git lfs pull' gets the file"
    if head.lower().startswith((b"<!doctype", b"<html")):
        return "this is a web page, saved instead of the file"
    return "their pickle is damaged or contains objects"
