from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
import torch

from edgekit.core.errors import Interrupted, UserError
from edgekit.core.spec.metric import Metric
from edgekit.core.system.durable.claims import claimed
from edgekit.core.system.files import sha256_file
from edgekit.core.system.progress import Silent
from edgekit.train.fitting.checkpoint import BEST, LAST
from edgekit.train.fitting.epochs import freeze, start_from
from edgekit.train.fitting.loop import train
from edgekit.train.model import ReferenceModel
from edgekit.train.options import TrainOptions, with_overrides
from edgekit.train.training_run import RUN_FILE, RUN_SCHEMA, read_history, read_run
from edgekit.train.weights import read_tensors


class StopAfter(Silent):
    """Presses Ctrl-C when so many epochs are done."""

    def __init__(self, epochs: int) -> None:
        self.epochs = epochs

    def step(self, done: int, total: int, note: str = "") -> None:
        if done == self.epochs:
            raise KeyboardInterrupt


def test_training_reaches_the_floor_and_records_it(tiny: ReferenceModel, tmp_path: Path) -> None:
    run = train(tiny, tmp_path / "run", msgspec.structs.replace(tiny.options, epochs=20))

    assert read_run(tmp_path / "run") == run
    assert run.finished
    assert run.metric == "accuracy"
    assert run.quality.value is not None
    assert run.quality.value > 0.9
    assert run.quality.n == 64


@pytest.mark.slow
def test_same_seed_gives_the_same_weights_and_another_seed_does_not(tiny: ReferenceModel, tmp_path: Path) -> None:
    digests = [
        train(tiny, tmp_path / name, tiny.options, seed=seed).weights_sha256
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    ]

    assert digests[0] == digests[1] != digests[2]


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "rmsprop", "adam", "adamw"])
@pytest.mark.parametrize("average", ["0", "0.9"])
def test_an_interrupted_training_ends_in_the_same_weights(
    tiny: ReferenceModel, tmp_path: Path, optimizer: str, average: str
) -> None:
    options = with_overrides(tiny.options, {"optimizer": optimizer, "average": average})
    whole = train(tiny, tmp_path / "whole", options)

    with pytest.raises(Interrupted) as stopped:
        train(tiny, tmp_path / "parts", options, progress=StopAfter(2))
    resumed = train(tiny, tmp_path / "parts", options, resume=True)

    assert "--resume" in stopped.value.hint
    assert resumed.weights_sha256 == whole.weights_sha256
    assert sha256_file(tmp_path / "parts" / LAST) != sha256_file(tmp_path / "parts" / BEST)


def test_history_has_one_line_an_epoch_after_a_resume(tiny: ReferenceModel, tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        train(tiny, tmp_path, tiny.options, progress=StopAfter(3))

    train(tiny, tmp_path, tiny.options, resume=True)

    assert [line.epoch for line in read_history(tmp_path)] == [1, 2, 3, 4]


def test_an_unfinished_run_names_the_command_that_goes_on(tiny: ReferenceModel, tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        train(tiny, tmp_path, tiny.options, progress=StopAfter(1))

    with pytest.raises(UserError, match="interrupted") as problem:
        read_run(tmp_path)

    assert problem.value.hint == f"edgekit train tiny --out {tmp_path} --resume"


def test_a_second_training_into_the_same_folder_is_refused(tiny: ReferenceModel, tmp_path: Path) -> None:
    train(tiny, tmp_path, tiny.options)

    with pytest.raises(UserError, match="already contains a training"):
        train(tiny, tmp_path, tiny.options)


@pytest.mark.parametrize("resume", [False, True])
def test_two_trainings_do_not_write_one_folder_at_the_same_time(
    resume: bool, tiny: ReferenceModel, tmp_path: Path
) -> None:
    with claimed(tmp_path / "run"), pytest.raises(UserError, match="Another edgekit is writing"):
        train(tiny, tmp_path / "run", tiny.options, resume=resume)

    train(tiny, tmp_path / "run", tiny.options)
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_resuming_with_other_options_is_refused(tiny: ReferenceModel, tmp_path: Path) -> None:
    train(tiny, tmp_path, tiny.options)

    with pytest.raises(UserError, match="different settings: its 'options' is"):
        train(tiny, tmp_path, msgspec.structs.replace(tiny.options, epochs=9), resume=True)


@pytest.mark.slow
def test_the_best_epoch_is_kept_and_patience_ends_the_training(tiny: ReferenceModel, tmp_path: Path) -> None:
    options = with_overrides(tiny.options, {"epochs": "60", "patience": "3", "learning_rate": "0.3"})

    run = train(tiny, tmp_path, options)

    metrics = [line.metric or 0.0 for line in read_history(tmp_path)]
    assert run.epochs == len(metrics) < 60
    assert metrics.index(max(metrics)) == len(metrics) - 4


@pytest.mark.slow
def test_a_frozen_part_keeps_the_weights_it_started_from(tiny: ReferenceModel, tmp_path: Path) -> None:
    train(tiny, tmp_path / "first", tiny.options)

    train(tiny, tmp_path / "second", tiny.options, seed=5, init_from=tmp_path / "first" / BEST, freeze=("body.0",))

    before, after = read_tensors(tmp_path / "first" / BEST), read_tensors(tmp_path / "second" / BEST)
    assert torch.equal(before["body.0.weight"], after["body.0.weight"])
    assert not torch.equal(before["head.weight"], after["head.weight"])


def test_freezing_what_does_not_exist_is_refused(tiny: ReferenceModel) -> None:
    with pytest.raises(UserError, match="No parameter starts with 'tail'"):
        freeze(tiny.build(), ("tail",))


def test_a_head_of_another_size_is_left_fresh(tiny: ReferenceModel, tmp_path: Path) -> None:
    train(tiny, tmp_path, tiny.options)
    other = tiny.build()
    other.head = torch.nn.Linear(8, 5)

    fresh = start_from(other, tmp_path / BEST)

    assert fresh == ("head.weight", "head.bias")


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["cross-entropy", "kl"])
def test_mixup_trains(tiny: ReferenceModel, tmp_path: Path, loss: str) -> None:
    options = with_overrides(tiny.options, {"mixup": "0.2", "loss": loss, "epochs": "8"})

    train(tiny, tmp_path, options)

    losses = [line.loss for line in read_history(tmp_path)]
    assert losses[-1] < losses[0]


@pytest.mark.slow
def test_l1_shrinks_the_weights(tiny: ReferenceModel, tmp_path: Path) -> None:
    sizes = []
    for l1 in ("0", "0.02"):
        train(tiny, tmp_path / l1, with_overrides(tiny.options, {"l1": l1, "epochs": "10"}))
        found = read_tensors(tmp_path / l1 / BEST)
        sizes.append(float(found["body.0.weight"].abs().sum() + found["head.weight"].abs().sum()))

    assert sizes[1] < 0.8 * sizes[0]


@pytest.mark.slow
def test_fresh_attempts_follow_when_the_floor_is_missed(tiny: ReferenceModel, tmp_path: Path) -> None:
    hopeless = replace(tiny, spec=msgspec.structs.replace(tiny.spec, metric=Metric("accuracy", floor=1.1)))

    run = train(hopeless, tmp_path, with_overrides(tiny.options, {"restarts": "2"}))

    assert run.attempts == 3
    assert len(read_history(tmp_path)) == 12


_KILLED = """
import sys, os, signal
sys.path.insert(0, {folder!r})
import edgekit.core.system.files as files
from edgekit.train.fitting import checkpoint, epochs, loop
import conftest
from pathlib import Path
real, calls = checkpoint.write_atomic, [0]
def write(path, data):
    calls[0] += 1
    if calls[0] == {call}:
        path.parent.joinpath("." + path.name + ".half").write_bytes(data[: len(data) // 2])
        os.kill(os.getpid(), signal.SIGKILL)
    real(path, data)
checkpoint.write_atomic = epochs.write_atomic = write
tiny = conftest.make()
loop.train(tiny, Path({out!r}), tiny.options)
"""


@pytest.mark.slow
@pytest.mark.parametrize("call", [1, 2, 3, 5, 6])
def test_kill_in_the_middle_of_a_write_resumes_to_the_same_weights(
    tiny: ReferenceModel, tmp_path: Path, call: int
) -> None:
    whole = train(tiny, tmp_path / "whole", tiny.options)
    code = _KILLED.format(folder=str(Path(__file__).parents[1]), call=call, out=str(tmp_path / "killed"))

    process = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    resumed = train(tiny, tmp_path / "killed", tiny.options, resume=True)

    assert process.returncode == -signal.SIGKILL, process.stderr
    assert [line.epoch for line in read_history(tmp_path / "killed")] == [1, 2, 3, 4]
    assert resumed.weights_sha256 == whole.weights_sha256


def test_the_record_is_json_without_paths_of_the_machine(tiny: ReferenceModel, tmp_path: Path) -> None:
    train(tiny, tmp_path, tiny.options)

    record = json.loads((tmp_path / RUN_FILE).read_text())

    assert record["schema_version"] == RUN_SCHEMA
    assert str(tmp_path) not in json.dumps(record)
    assert os.getcwd() not in json.dumps(record)


def test_default_options_are_all_within_their_limits() -> None:
    assert with_overrides(TrainOptions(), {}) == TrainOptions()


def test_a_training_leaves_the_number_of_threads_as_it_was(tiny: ReferenceModel, tmp_path: Path) -> None:
    before = torch.get_num_threads()
    other = before + 1

    train(tiny, tmp_path, msgspec.structs.replace(tiny.options, epochs=1, threads=other))

    assert torch.get_num_threads() == before
