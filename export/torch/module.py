"""Where a module comes from: `file.py:factory` or `package.module:function`, and its weights. Runs in the worker."""

from __future__ import annotations

import difflib
import hashlib
import importlib
import importlib.util
import os
import random
import re
import sys
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Final, TypeVar

import numpy as np

from edgekit.core.errors import EdgekitError, UserError, nearest
from edgekit.core.system.optional import need
from edgekit.export.factory_call import FactoryCall, parse_factory
from edgekit.export.messages import ModuleRef
from edgekit.export.raw_inputs import wrapped
from edgekit.export.torch.exported_program import load_program
from edgekit.export.torch.given_weights import load_weights
from edgekit.export.torch.untraceable import code_place

if TYPE_CHECKING:
    from edgekit.export.graphs.torch_types import Module

T = TypeVar("T")

_STANDARD_LIBRARY: Final = Path(os.__file__).resolve().parent
# Where an object is in memory, which some modules print.
_ADDRESS: Final = re.compile(r" at 0x[0-9a-f]+")


def load_module(
    ref: ModuleRef, *, seed: int = 0, again: bool = False, note: Callable[[str], object] = lambda _: None
) -> Module:
    """The torch module of `ref` in eval mode, on the CPU, with gradients off.

    Args:
        again: Call the factory a second time in this process; its file is not executed again.
        note: Receives what a reader should know of the weights, such as a prefix that was removed.

    Raises:
        UserError: No such file or factory, a factory that raises or returns something else, weights that do not match.
        ModelUnreadable: The weights file cannot be read as plain tensors.
    """
    torch = need("torch", extra="export")
    _set_seeds(seed)
    if ref.location.endswith(".pt2"):
        return load_program(Path(ref.location))
    made = _run(load_factory(ref.location, again=again), f"The factory '{ref.location}'")
    if not isinstance(made, torch.nn.Module):
        raise UserError(
            f"'{ref.location}' returned {type(made).__name__}, not a torch.nn.Module.",
            hint="Let the factory return the network itself: def net(): return Net()",
        )
    module: Module = made
    if ref.weights:
        for text in load_weights(module, Path(ref.weights)):
            note(text)
    module = module.to("cpu").eval().requires_grad_(False)
    return wrapped(module, ref.raw) if ref.raw else module


def _set_seeds(seed: int) -> None:
    """Networks draw their weights from any of these."""
    need("torch", extra="export").manual_seed(seed)
    np.random.seed(seed)  # factories use the generator that this one is
    random.seed(seed)


def load_factory(location: str, *, again: bool = False) -> Callable[[], object]:
    """The function at `location` with its arguments; `again` as in `load_module`.

    Raises:
        UserError: No such file, a module that does not import, no such name in it, or arguments other than literals.
    """
    call = parse_factory(location)
    _find_own_modules(call)
    known = sys.modules.get(_name_of(Path(call.place))) if again else None
    module = known or (_from_file(Path(call.place)) if call.is_file else _from_package(call.place))
    return partial(_named(call, module), *call.arguments, **call.keywords)


def _named(call: FactoryCall, module: ModuleType) -> Callable[..., object]:
    """The function that `call` names in `module`."""
    owner: object = module
    for part in call.function.split("."):
        found = getattr(owner, part, None)
        if found is None:
            break
        owner = found
    else:
        if callable(owner):
            factory: Callable[..., object] = owner
            return factory
    functions = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
    close = difflib.get_close_matches(call.function, functions, n=1) or functions[:1]
    raise UserError(
        f"'{call.place}' has no function or class '{call.function}'.{nearest(call.function, functions)}",
        hint=f"edgekit build {call.place}:{close[0] if close else 'FACTORY'}",
    )


def sources_digest() -> str:
    """sha256 over the source of every imported module that is not part of an installed package or of Python itself."""
    whole = hashlib.sha256()
    for name, path in sorted(_own_files()):
        whole.update(f"{name}:{path.stat().st_size}:".encode())
        whole.update(path.read_bytes())
    return whole.hexdigest()


def state_digest(module: Module) -> str:
    """sha256 over the structure of a module and every parameter and buffer."""
    whole = hashlib.sha256(_ADDRESS.sub("", repr(module)).encode())
    for name, tensor in sorted(module.state_dict().items()):
        array = tensor.detach().cpu().contiguous()
        whole.update(f"{name}:{array.dtype}:{tuple(array.shape)}".encode())
        whole.update(array.flatten().view(need("torch", extra="export").uint8).numpy().tobytes())
    return whole.hexdigest()


def _find_own_modules(call: FactoryCall) -> None:
    """Let code of the user import from the current folder, after Python and every installed package.

    A worker starts without that folder: a source that is no code, or that of an installed package, runs none from it.
    """
    if call.is_file or importlib.util.find_spec(call.place.partition(".")[0]) is None:
        here = os.getcwd()
        sys.path[:] = [*(folder for folder in sys.path if folder != here), here]


def _from_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise UserError(f"There is no file '{path}'.", hint="edgekit build path/to/net.py:Net")
    # At the end, where a neighbour called `onnx.py` cannot take the place of a package.
    sys.path.append(str(path.resolve().parent))
    name = _name_of(path)
    spec = importlib.util.spec_from_file_location(name, path.resolve())
    if spec is None or spec.loader is None:
        raise UserError(f"'{path}' is not a Python file.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    _run(lambda: spec.loader.exec_module(module), f"Importing '{path}'")  # type: ignore[union-attr]  # checked above
    return module


def _name_of(path: Path) -> str:
    """Under which name the file of a factory is imported."""
    return f"_edgekit_source_{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:12]}"


def _from_package(name: str) -> ModuleType:
    return _run(lambda: importlib.import_module(name), f"Importing '{name}'")


def _run(call: Callable[[], T], what: str) -> T:
    """What `call` returns; whatever foreign code raises, SystemExit included, becomes a UserError."""
    try:
        return call()
    except EdgekitError:
        raise
    except (Exception, SystemExit) as err:
        place = code_place(err)
        if isinstance(err, SyntaxError) and err.filename:
            place = f"{err.filename}:{err.lineno}"
        raise UserError(
            f"{what} failed: {type(err).__name__}: {err}{f' ({place})' if place else ''}.",
            hint="Call the factory from Python first. Arguments that it needs are given as in net.py:make(width=2).",
        ) from err


def _own_files() -> Iterable[tuple[str, Path]]:
    """Names and files of imported modules that neither pip nor Python brought."""
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if not file or not file.endswith(".py"):
            continue
        path = Path(file).resolve()
        if path.is_file() and "site-packages" not in path.parts and not path.is_relative_to(_STANDARD_LIBRARY):
            yield name, path
