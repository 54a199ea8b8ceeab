"""Bad input ends in one clear message, its exit code, and nothing half-written."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from edgekit.cli.main import run

FAULTY = Path(__file__).parent / "nets" / "faulty.py"


@dataclass(frozen=True)
class Case:
    """A command line, the exit code it must end in, and words that the message must hold."""

    name: str
    arguments: str
    exit_code: int
    words: tuple[str, ...]
    slow: bool = False


CASES = [
    Case("factory raises", "export faulty.py:raises --samples good.npz", 2, ("elsewhere", "faulty.py:"), slow=True),
    Case("factory returns no module", "export faulty.py:no_module --samples good.npz", 2, ("int", "Hint:"), slow=True),
    Case(
        "data-dependent control flow",
        "export faulty.py:branching --samples good.npz",
        2,
        ("control flow", "faulty.py:"),
        slow=True,
    ),
    Case("no such factory", "export faulty.py:linaer --samples good.npz", 2, ("'linear'",), slow=True),
    Case("no factory named", "export faulty.py --samples good.npz", 2, ("Hint:", "faulty.py:Net")),
    Case("no such file", "export gone.py:Net --samples good.npz", 2, ("gone.py",)),
    Case("weights without their network", "export other.pt", 2, ("contains weights", "--weights other.pt")),
    Case(
        "no such package", "export no_such_package:Net --samples good.npz", 3, ("'no_such_package' is not installed",)
    ),
    Case("arguments that are code", "export faulty.py:linear(open) --samples good.npz", 2, ("literals", "net.py:make")),
    Case("unknown source", "build digts", 2, ("'digits'", "edgekit list models")),
    Case(
        "weights that run code",
        "export faulty.py:linear --samples good.npz --weights evil.pt",
        5,
        ("plain tensors",),
        slow=True,
    ),
    Case(
        "weights of another net",
        "export faulty.py:linear --samples good.npz --weights other.pt",
        2,
        ("missing", "linear.bias"),
        slow=True,
    ),
    Case(
        "weights of another shape",
        "export faulty.py:linear --samples good.npz --weights shape.pt",
        2,
        ("(2, 5)", "(2, 4)"),
        slow=True,
    ),
    Case("no weights file", "export faulty.py:linear --samples good.npz --weights gone.pt", 5, ("gone.pt",), slow=True),
    Case(
        "samples of another name",
        "export faulty.py:linear --input x:float32[N,4] --samples name.npz",
        2,
        ("'x' is missing", "'y' is not an input"),
    ),
    Case(
        "samples of another shape",
        "export faulty.py:linear --input x:float32[N,5] --samples good.npz",
        2,
        ("(4)", "(5)"),
    ),
    Case(
        "samples of another dtype",
        "export faulty.py:linear --input x:int64[N,4] --samples good.npz",
        2,
        ("float32", "int64"),
    ),
    Case(
        "samples with NaN", "export faulty.py:linear --samples nan.npz --input x:float32[N,4]", 2, ("NaN", "sample 3")
    ),
    Case(
        "no samples in the file",
        "export faulty.py:linear --samples none.npz --input x:float32[N,4]",
        2,
        ("no samples",),
    ),
    Case("samples that are no npz", "export faulty.py:linear --samples faulty.py", 2, ("faulty.py", ".npz")),
    Case("samples with a pickle", "export faulty.py:linear --samples pickle.npz", 2, ("plain arrays",)),
    Case("a model without weights", "export cifar-resnet8", 3, ("CIFAR-10", "edgekit train cifar-resnet8")),
    Case("unknown recipe", "export digits --to onnx-int9", 2, ("'onnx-int8'", "edgekit list recipes")),
    Case("refused recipe", "export digits --to tflite-int2", 2, ("refused", "--to tflite-int8")),
    Case("unknown target", "build digits --target lokal", 2, ("'local'",)),
    Case("unknown metric", "build digits --budget 'latncy.p90 <= 1 ms'", 2, ("'latency.p90'",)),
    Case("unknown unit", "build digits --budget 'latency.p90 <= 1 parsec'", 2, ("parsec",)),
    Case("no budget", "build digits --budget fast", 2, ("fast", "--budget")),
    Case("budget for an absent target", "build digits --budget 'onnx-fp32@pi5: size <= 1 MB'", 2, ("pi5",)),
    Case("output exists", "export digits --out taken", 2, ("taken", "--force")),
    Case("no bundle", "validate gone", 5, ("gone",)),
    Case("a folder that is no bundle", "profile taken", 5, ("manifest.json",)),
    Case("an ONNX file that is not one", "profile fake.onnx", 5, ("fake.onnx",)),
    Case("a TFLite file that is not one", "profile fake.tflite", 5, ("fake.tflite",)),
    Case("a bundle that is no zip", "validate fake.edgekit", 5, ("fake.edgekit",)),
]


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with every faulty file; commands run in it."""
    import torch

    shutil.copy(FAULTY, tmp_path / "faulty.py")
    x = np.random.default_rng(0).normal(size=(40, 4)).astype(np.float32)
    broken = x.copy()
    broken[3, 1] = np.nan
    np.savez(tmp_path / "good.npz", x=x, label=(x[:, 0] > 0).astype(np.int64))
    np.savez(tmp_path / "name.npz", y=x)
    np.savez(tmp_path / "nan.npz", x=broken)
    np.savez(tmp_path / "none.npz", x=x[:0])
    np.savez(tmp_path / "pickle.npz", x=np.array([{"a": 1}], dtype=object))
    torch.save({"linear.weight": print}, tmp_path / "evil.pt")
    torch.save({"other": torch.zeros(2)}, tmp_path / "other.pt")
    torch.save({"linear.weight": torch.zeros(2, 5), "linear.bias": torch.zeros(2)}, tmp_path / "shape.pt")
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "mine.txt").write_text("mine")
    for name in ("fake.onnx", "fake.tflite", "fake.edgekit"):
        (tmp_path / name).write_text("not what my name says")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def parameters() -> list[object]:
    return [pytest.param(case, id=case.name, marks=[pytest.mark.slow] if case.slow else []) for case in CASES]


@pytest.mark.parametrize("case", parameters())
def test_bad_input_names_the_fault_and_leaves_nothing(
    case: Case, workplace: Path, capsys: pytest.CaptureFixture[str], split: Callable[[str], list[str]]
) -> None:
    before = listing(workplace)

    exit_code = run(split(case.arguments))

    message = capsys.readouterr().err
    assert "Error: " in message, message
    assert "Hint: " in message, message
    assert [word for word in case.words if word not in message] == [], message
    assert exit_code == case.exit_code, message
    assert listing(workplace) == before


@pytest.fixture
def split() -> Callable[[str], list[str]]:
    """Splits a command line as a shell does."""
    import shlex

    return shlex.split


def listing(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if "__pycache__" not in path.parts}
