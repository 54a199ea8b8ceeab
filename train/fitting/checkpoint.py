"""Checkpoints: everything needed to resume a training, in one safetensors file that is written atomically."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import msgspec
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from edgekit.core.errors import Unreadable
from edgekit.core.system.documents import BROKEN_JSON
from edgekit.core.system.files import write_atomic
from edgekit.core.system.native.types import prepared

LAST: Final = "last.safetensors"
BEST: Final = "best.safetensors"
_STATE: Final = "edgekit"


class TrainingState(msgspec.Struct, forbid_unknown_fields=True):
    """The progress of a training. `best` is the validation score of the kept weights, `since` the epochs after it.

    `wall_s` are the seconds of all attempts together, `cpu_s` the CPU seconds of this process.
    """

    attempt: int = 0
    wall_s: float = 0.0
    cpu_s: float = 0.0
    epoch: int = 0
    best: float | None = None
    since: int = 0


def write_weights(path: Path, module: nn.Module) -> None:
    """Write the network's tensors as a safetensors file, completely or not at all."""
    write_atomic(path, save(_copied(module.state_dict())))


def write_checkpoint(
    path: Path, learner: nn.Module, optimizer: torch.optim.Optimizer, average: dict[str, Tensor], state: TrainingState
) -> None:
    """Write weights, optimizer state, averaged weights and progress to one file, so that they always match."""
    tensors = {f"learner/{name}": tensor for name, tensor in learner.state_dict().items()}
    tensors |= {f"average/{name}": tensor for name, tensor in average.items()}
    for index, values in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer/{index}/{key}": value for key, value in values.items() if value is not None}
    write_atomic(path, save(_copied(tensors), {_STATE: msgspec.json.encode(state).decode()}))


def read_checkpoint(
    path: Path, learner: nn.Module, optimizer: torch.optim.Optimizer, average: dict[str, Tensor]
) -> TrainingState:
    """Load a checkpoint, and return the progress of its training.

    Raises:
        Unreadable: The file is missing, damaged or from a different network.
    """
    tensors, state = _read(path)
    try:
        learner.load_state_dict(_part(tensors, "learner/"))
        optimizer.load_state_dict({**optimizer.state_dict(), "state": _optimizer_state(tensors)})
    except (RuntimeError, ValueError, KeyError) as err:
        raise Unreadable(f"'{path}' is a checkpoint of a different network: {err}.") from err
    average.update(_part(tensors, "average/"))
    return state


def read_state(path: Path) -> TrainingState:
    """The progress of the training in a checkpoint."""
    return _read(path)[1]


def _read(path: Path) -> tuple[dict[str, Tensor], TrainingState]:
    try:
        with safe_open(path, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
            state = msgspec.json.decode((file.metadata() or {})[_STATE], type=prepared(TrainingState))
    except (OSError, SafetensorError, KeyError, *BROKEN_JSON) as err:
        raise Unreadable(f"'{path}' is not a checkpoint: {err}.") from err
    return tensors, state


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _optimizer_state(tensors: dict[str, Tensor]) -> dict[int, dict[str, Tensor]]:
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in _part(tensors, "optimizer/").items():
        index, _, key = name.partition("/")
        state.setdefault(int(index), {})[key] = tensor
    return state


def _copied(tensors: dict[str, Any]) -> dict[str, Tensor]:
    # Tied weights share memory, which safetensors refuses to write.
    return {name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}
