"""Weights files as training scripts write them: read without running their code, or refused with what converts them."""

from __future__ import annotations

import argparse
import pickle
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from edgekit.core.errors import ModelUnreadable, UserError
from edgekit.export.stored_tensors import read_tensors
from edgekit.export.torch.given_weights import load_weights


class Evil:
    """Runs a command when it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        import os

        return os.system, ("touch harmed",)


class Eval:
    """Runs an expression when it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return eval, ("open('harmed', 'w')",)


class Settings:
    """Settings of a training script, whose class is not known where the weights are read."""

    def __init__(self) -> None:
        self.rate = 0.1


def net() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(72, 3))


def trained() -> nn.Module:
    torch.manual_seed(7)
    return net()


State = dict[str, torch.Tensor]


def with_prefix(state: State, prefix: str) -> State:
    return {prefix + name: tensor for name, tensor in state.items()}


def of_dtype(state: State, dtype: torch.dtype) -> State:
    return {name: one.to(dtype) if one.is_floating_point() else one for name, one in state.items()}


def optimizer() -> dict[str, Any]:
    one = trained()
    adam = torch.optim.Adam(one.parameters())
    one(torch.zeros(2, 1, 8, 8)).sum().backward()
    adam.step()
    return dict(adam.state_dict())


def arguments() -> argparse.Namespace:
    return argparse.Namespace(out=Path("runs"), rate=0.1, seeds=[1, 2])


def counted() -> defaultdict[str, int]:
    found: defaultdict[str, int] = defaultdict(int)
    found["steps"] = 3
    return found


def split_parallel(state: State) -> State:
    """As `model.features = DataParallel(model.features)` saves it, wrapped once more."""
    return with_prefix({name.replace("0.", "0.module.", 1): one for name, one in state.items()}, "_orig_mod.")


def data_parallel(state: State) -> State:
    parallel = nn.DataParallel(net())
    parallel.module.load_state_dict(state)
    return dict(parallel.state_dict())


AVERAGED = {"n_averaged": torch.tensor(3)}

# What a training script saves, and what a reader is told.
ACCEPTED: dict[str, tuple[Callable[[State], Any], str]] = {
    "plain": (lambda state: state, ""),
    "parallel": (data_parallel, "with 'module.' removed"),
    "parallel in a checkpoint": (
        lambda state: {"epoch": 7, "state_dict": data_parallel(state), "optimizer": optimizer()},
        "'state_dict' of 'w.pt', with 'module.' removed",
    ),
    "tutorial": (lambda state: {"epoch": 7, "model_state_dict": state, "loss": torch.tensor(0.1)}, "model_state_dict"),
    "model": (lambda state: {"model": state, "iter": 3}, "'model' of"),
    "state_dict": (lambda state: {"state_dict": state}, "'state_dict' of"),
    "lightning": (
        lambda state: {
            "state_dict": with_prefix(state, "model."),
            "hyper_parameters": {"lr": 1e-3, "out": Path("runs"), "net": Settings()},
            "pytorch-lightning_version": "2.1.0",
        },
        "'state_dict' of 'w.pt', with 'model.' removed",
    ),
    "lightning with a loss": (
        lambda state: {"state_dict": with_prefix(state, "net.") | {"loss.weight": torch.ones(3)}},
        "1 tensors not used: loss.weight",
    ),
    "compiled": (lambda state: with_prefix(state, "_orig_mod."), "with '_orig_mod.' removed"),
    "compiled and parallel": (lambda state: with_prefix(state, "module._orig_mod."), "'module._orig_mod.' removed"),
    "a part is parallel": (split_parallel, "'_orig_mod.' and 'module.' removed"),
    "average": (
        lambda state: {
            "model": {name: one + 1 for name, one in state.items()},
            "model_ema": with_prefix(state, "module.") | AVERAGED,
        },
        "'model_ema' of 'w.pt', with 'module.' removed",
    ),
    "ema": (lambda state: {"ema": state, "updates": 10}, "'ema' of"),
    "half": (lambda state: of_dtype(state, torch.float16), ""),
    "bfloat16": (lambda state: of_dtype(state, torch.bfloat16), ""),
    "double": (lambda state: of_dtype(state, torch.float64), ""),
    "no counters": (lambda state: {name: one for name, one in state.items() if "num_batches" not in name}, ""),
    "numpy scalars": (
        lambda state: {"state_dict": state, "acc": np.float64(0.5), "curve": np.arange(3), "best": np.float32(1)},
        "'state_dict' of",
    ),
    "numpy arrays": (lambda state: {name: one.numpy() for name, one in state.items()}, ""),
    "arguments": (lambda state: {"model": state, "args": arguments(), "counts": counted()}, "'model' of"),
    "foreign settings": (lambda state: {"model": state, "config": Settings()}, "'model' of"),
}


@pytest.mark.parametrize("kind", list(ACCEPTED))
@pytest.mark.parametrize("is_zip", [True, False], ids=["zip", "legacy"])
def test_every_kind_of_checkpoint_gives_the_weights(kind: str, is_zip: bool, tmp_path: Path) -> None:
    make, told = ACCEPTED[kind]
    wanted, module = trained().state_dict(), net()
    torch.save(make(wanted), tmp_path / "w.pt", _use_new_zipfile_serialization=is_zip)

    notes = load_weights(module, tmp_path / "w.pt")

    for name, tensor in module.state_dict().items():
        # bfloat16 keeps 8 bits of the values.
        torch.testing.assert_close(tensor, wanted[name], rtol=2**-8, atol=0)
    assert told in " ".join(notes)
    assert bool(told) == bool(notes)


def test_safetensors_with_a_prefix_are_the_same(tmp_path: Path) -> None:
    wanted, module = trained().state_dict(), net()
    save_file(with_prefix(wanted, "model."), tmp_path / "w.safetensors")

    (note,) = load_weights(module, tmp_path / "w.safetensors")

    assert note == "the weights are 'w.safetensors', with 'model.' removed from their names"
    assert all(torch.equal(one, wanted[name]) for name, one in module.state_dict().items())


def test_tied_tensors_may_be_in_the_file_once(tmp_path: Path) -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head, self.table = nn.Linear(4, 5, bias=False), nn.Embedding(5, 4)
            self.head.weight = self.table.weight

    save_file({"table.weight": torch.ones(5, 4)}, tmp_path / "w.safetensors")
    module = Tied()

    load_weights(module, tmp_path / "w.safetensors")

    assert torch.equal(module.head.weight, torch.ones(5, 4))


def scripted(path: Path) -> None:
    torch.jit.script(trained().eval()).save(str(path))


REFUSED: dict[str, tuple[Callable[[Path], object], str]] = {
    "a whole module": (lambda path: torch.save(trained(), path), "a pickle of a whole module"),
    "a whole module in a checkpoint": (lambda path: torch.save({"model": trained(), "epoch": 1}, path), "whole module"),
    "TorchScript": (scripted, "are a TorchScript archive"),
}


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
@pytest.mark.parametrize("kind", list(REFUSED))
def test_what_is_refused_comes_with_three_lines_that_convert_it(kind: str, tmp_path: Path) -> None:
    save, message = REFUSED[kind]
    save(tmp_path / "w.pt")

    with pytest.raises(ModelUnreadable, match=message) as caught:
        load_weights(net(), tmp_path / "w.pt")
    *_, first, second, third = caught.value.hint.splitlines()
    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", "\n".join(map(str.strip, (first, second, third)))], check=True
    )
    module = net()
    load_weights(module, tmp_path / "w-weights.pt")

    assert caught.value.message.isprintable()
    assert all(torch.equal(one, trained().state_dict()[name]) for name, one in module.state_dict().items())


def test_two_sets_that_fit_are_named_with_the_lines_that_save_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    state = trained().state_dict()
    torch.save({"state_dict": with_prefix(state, "student.") | with_prefix(state, "teacher.")}, "w.pt")

    with pytest.raises(UserError, match="several sets") as caught:
        load_weights(net(), Path("w.pt"))
    exec("\n".join(map(str.strip, caught.value.hint.splitlines()[1:])), {})

    assert load_weights(net(), Path("weights.pt")) == ()


def test_what_does_not_fit_is_listed_for_the_set_that_comes_nearest(tmp_path: Path) -> None:
    state = with_prefix(trained().state_dict(), "model.")
    state["model.4.weight"] = torch.zeros(4, 72)
    torch.save({"state_dict": state, "optimizer": optimizer()}, tmp_path / "w.pt")

    with pytest.raises(UserError) as caught:
        load_weights(net(), tmp_path / "w.pt")

    assert caught.value.message.splitlines() == [
        f"Weights '{tmp_path / 'w.pt'}' 'state_dict' without the prefix 'model.' do not match the module:",
        "  1 with a different shape: 4.weight (4, 72) instead of (3, 72)",
    ]


@pytest.mark.parametrize("name", ["weights.pt", "weights.safetensors"])
@pytest.mark.parametrize("content", [b"", b"not weights at all" * 20, b"PK\x03\x04 half a zip"])
def test_damaged_weights_are_unreadable(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)

    with pytest.raises(ModelUnreadable) as caught:
        read_tensors(tmp_path / name)

    assert caught.value.exit_code == 5


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"), (b"<!DOCTYPE html>", "a web page")],
)
def test_what_a_download_left_is_recognized(content: bytes, reason: str, tmp_path: Path) -> None:
    (tmp_path / "w.pt").write_bytes(content)

    with pytest.raises(ModelUnreadable, match=reason):
        read_tensors(tmp_path / "w.pt")


@pytest.mark.parametrize(("evil", "name"), [(Evil(), ""), (Eval(), "'builtins.eval'")], ids=["os", "eval"])
def test_a_pickle_that_runs_code_is_refused_and_not_run(
    evil: object, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "evil.pt").write_bytes(pickle.dumps(evil))
    torch.save(evil, tmp_path / "zipped.pt")
    torch.save({"model": trained().state_dict(), "args": evil}, tmp_path / "beside.pt")
    torch.save({"model": trained().state_dict(), "args": evil}, "legacy.pt", _use_new_zipfile_serialization=False)

    for file in ("evil.pt", "zipped.pt", "beside.pt", "legacy.pt"):
        with pytest.raises(ModelUnreadable) as caught:
            read_tensors(tmp_path / file)
        assert name in caught.value.message or file == "evil.pt"
        assert "weights_only=False" not in caught.value.hint
    assert not (tmp_path / "harmed").exists()


def test_a_list_is_no_weights(tmp_path: Path) -> None:
    torch.save([1, 2], tmp_path / "w.pt")

    with pytest.raises(ModelUnreadable, match="a dictionary"):
        read_tensors(tmp_path / "w.pt")
