"""What a user says of a source is used, or refused: nothing is passed over."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgekit.core.errors import UserError
from edgekit.core.system.settings import Settings
from edgekit.flows.build import build_order
from edgekit.flows.opening.source import RUN_FILE, SourceOptions, open_source


def opened_inputs(nets: Path, **arrays: np.ndarray) -> list[str]:
    np.savez(nets.parent / "s.npz", **arrays)  # type: ignore[arg-type]  # arrays by name
    source = open_source(f"{nets}:small", SourceOptions(samples=nets.parent / "s.npz"), Settings())
    return [str(tensor) for tensor in source.spec.inputs]


def test_inputs_are_read_from_the_samples_when_none_are_named(nets: Path) -> None:
    rng = np.random.default_rng(0)

    found = opened_inputs(nets, x=rng.normal(size=(9, 4)), ids=rng.integers(0, 5, (9, 3)), label=np.arange(9))

    # float64 is what numpy makes of numbers; networks compute in float32.
    assert found == ["x:float32[N,4]", "ids:int64[N,3]"]


def test_samples_of_text_are_refused(nets: Path) -> None:
    with pytest.raises(UserError, match="Samples 'x' have dtype <U3"):
        opened_inputs(nets, x=np.full((9, 4), "abc"))


def test_sizes_of_an_axis_that_is_not_free_are_refused(nets: Path) -> None:
    options = SourceOptions(inputs=("x:float32[N,T,4]",), sizes=("TT=8",))

    with pytest.raises(UserError, match=r"'small' has no dynamic axis 'TT'\. Did you mean 'T'"):
        open_source(f"{nets}:small", options, Settings())


@pytest.mark.parametrize(
    ("source", "options", "flag"),
    [
        ("digits", SourceOptions(samples=Path("mine.npz")), "--samples"),
        ("digits", SourceOptions(inputs=("x:float32[N,4]",)), "--input"),
        ("digits", SourceOptions(task="regression"), "--task"),
        ("run", SourceOptions(weights=Path("mine.pt")), "--weights"),
        ("net.py:Net", SourceOptions(data=Path("data")), "--data"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_option_that_the_source_would_pass_over_is_refused(
    source: str, options: SourceOptions, flag: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / RUN_FILE).write_text("{}")

    with pytest.raises(UserError, match=f"{flag} does not apply to"):
        open_source(source, options, Settings())


@pytest.mark.parametrize(
    ("options", "source", "message"),
    [
        (SourceOptions(weights=Path("mine.pt")), "digits", "--train and --weights cannot be combined"),
        (SourceOptions(), "net.py:Net", "is not a reference model"),
        (SourceOptions(samples=Path("mine.npz")), "digits", "--samples does not apply to"),
    ],
)
def test_a_training_that_would_be_in_vain_is_refused_before_it(
    options: SourceOptions, source: str, message: str, tmp_path: Path
) -> None:
    order = build_order(source, out=tmp_path / "out", options=options, train_first=True)

    with pytest.raises(UserError, match=message), order:
        pass


def test_a_target_that_opens_nothing_of_what_is_made_is_refused_before_any_work(tmp_path: Path) -> None:
    order = build_order("digits", out=tmp_path / "out", to="onnx-fp32", target="local/litert,local")

    with pytest.raises(UserError, match="'local/litert' cannot open any of onnx-fp32"), order:
        pass
