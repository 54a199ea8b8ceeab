"""What `edgekit build` opens, it opens once: the source, and the bundle that it wrote itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgekit.core import bundle
from edgekit.core.bundle import MANIFEST, Bundle
from edgekit.flows.build import build, build_order
from edgekit.flows.opening import source as sources
from edgekit.flows.opening.source import SourceOptions

OPTIONS = SourceOptions(inputs=("x:float32[N,1,8,8]",))
LINEAR = Path(__file__).parents[1] / "runtime" / "data" / "linear.onnx"


def counted(monkeypatch: pytest.MonkeyPatch, place: Any, name: str, key: Callable[[Any], Any]) -> Counter[Any]:
    """How often `place.name` is called, by `key` of its first argument."""
    calls, real = Counter[Any](), getattr(place, name)

    def count(first: Any, *args: Any, **options: Any) -> Any:
        calls[key(first)] += 1
        return real(first, *args, **options)

    monkeypatch.setattr(place, name, count)
    return calls


@pytest.mark.slow
def test_the_source_is_opened_once_and_the_new_bundle_is_hashed_once(
    nets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = counted(monkeypatch, sources, "_opened", str)
    bundles = counted(monkeypatch, Bundle, "open", str)
    hashed = counted(monkeypatch, bundle, "sha256_file", lambda path: path.name)

    build(f"{nets}:small", out=tmp_path / "out", to="onnx-fp32", options=OPTIONS, launches=1, time_limit_s=0.01)

    assert opened == {f"{nets}:small": 1}
    assert not bundles
    written = {path.name for path in (tmp_path / "out" / "bundle").iterdir()} - {MANIFEST}
    assert hashed == dict.fromkeys(written, 1)


@pytest.mark.slow
def test_a_file_is_described_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = counted(monkeypatch, sources, "describe_file", lambda path: path.name)

    with build_order(str(LINEAR), out=tmp_path / "out", to="onnx-fp32") as order:
        assert order.steps()
        assert order.source is not None

    assert asked == {LINEAR.name: 1}


def test_a_training_comes_first_where_there_are_no_weights(tmp_path: Path) -> None:
    with build_order("digits", out=tmp_path / "out", to="onnx-fp32", train_first=True, launches=3) as order:
        steps = order.steps()

    assert order.source is None
    assert steps == (
        "train 'digits'",
        "make 'onnx-fp32' and check its parity",
        "measure every artifact on local: 3 fresh processes",
        f"write '{tmp_path / 'out'}'",
    )
