"""What every registered backend promises, on its own tiny artifact of one linear model."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edgekit.core.errors import ModelUnreadable, ProviderRefused, UserError
from edgekit.runtime.backend import BACKENDS, DEFAULT_BACKENDS, Backend, Session

Rows = NDArray[np.float32]
DATA = Path(__file__).parents[1] / "runtime" / "data"
# One artifact for each backend; all compute y = x @ WEIGHTS.T + OFFSET.
ARTIFACTS = {
    "onnxruntime": "linear.onnx",
    "litert": "linear.tflite",
    "openvino": "linear.onnx",
    "fake": "linear.fake.json",
}
# Its environment is one of its own, in which tests/runtime/backends/test_openvino.py runs this file.
ELSEWHERE = {"openvino"}
WEIGHTS = np.array([[1.0, -2.0, 0.5], [0.25, 0.0, -1.0]], dtype=np.float32)
OFFSET = np.array([0.5, -0.5], dtype=np.float32)

X = (np.arange(12).reshape(4, 3) / 4 - 1).astype(np.float32)
Y = (X @ WEIGHTS.T + OFFSET).astype(np.float32)


@pytest.fixture(params=[name for name in ARTIFACTS if name not in ELSEWHERE or find_spec(name)])
def name(request: pytest.FixtureRequest) -> str:
    """The name of a backend."""
    return str(request.param)


@pytest.fixture
def backend(name: str) -> Backend:
    """A backend."""
    made: Backend = BACKENDS.get(name)()
    return made


@pytest.fixture
def artifact(name: str) -> Path:
    """Its artifact."""
    return DATA / ARTIFACTS[name]


@pytest.fixture
def session(backend: Backend, artifact: Path) -> Iterator[Session]:
    """An open session."""
    with backend.open(artifact, {}) as opened:
        yield opened


def test_every_registered_backend_is_tested_here() -> None:
    assert set(ARTIFACTS) == set(BACKENDS.table)


def test_every_format_has_a_backend_that_opens_it() -> None:
    for kind, chosen in DEFAULT_BACKENDS.items():
        assert kind in BACKENDS.get(chosen)().formats()


def test_it_is_called_as_it_is_registered(name: str, backend: Backend) -> None:
    assert backend.name == name
    assert backend.check().split() == [name, backend.check().split()[1]]


def test_the_session_says_what_it_is(name: str, session: Session) -> None:
    assert session.backend == name
    assert session.provider
    assert [tensor.name for tensor in session.inputs] == ["x"]
    assert [tensor.dtype for tensor in (*session.inputs, *session.outputs)] == ["float32", "float32"]
    assert len(session.inputs[0].free_axes) == 1
    assert session.inputs[0].shape[1:] == (3,)


def test_it_answers(session: Session) -> None:
    outputs = session.run({"x": X})

    assert list(outputs) == [tensor.name for tensor in session.outputs] == ["y"]
    np.testing.assert_array_equal(outputs["y"], Y)
    assert outputs["y"].dtype == np.float32


def test_run_and_bind_agree(session: Session) -> None:
    call = session.bind({"x": X})

    for _ in range(3):
        np.testing.assert_array_equal(call()["y"], session.run({"x": X})["y"])


def test_outputs_of_run_belong_to_the_caller(session: Session) -> None:
    first = session.run({"x": X[:1]})["y"]
    kept = first.copy()

    session.run({"x": X[1:2]})
    np.testing.assert_array_equal(first, kept)

    first[...] = 77
    np.testing.assert_array_equal(session.run({"x": X[:1]})["y"], kept)


def test_inputs_are_left_as_they_were(session: Session) -> None:
    x = X.copy()

    session.run({"x": x})
    session.bind({"x": x})()

    np.testing.assert_array_equal(x, X)


def test_a_view_is_read_as_it_looks(session: Session) -> None:
    wide = np.repeat(X, 2, axis=1)

    np.testing.assert_array_equal(session.run({"x": wide[:, ::2]})["y"], Y)


@pytest.mark.parametrize(
    "feed",
    [
        {},
        {"z": X},
        {"x": X, "z": X},
        {"x": X[:, :2]},
        {"x": X[0]},
        {"x": X.astype(np.float64)},
        {"x": X.astype(np.int32)},
        {"x": X.astype(">f4")},
        {"x": X.tolist()},
        {"x": None},
    ],
    ids=["nothing", "other name", "one more", "size", "rank", "float64", "int32", "byte order", "list", "none"],
)
def test_a_wrong_feed_is_the_callers_error_and_harms_nothing(session: Session, feed: dict[str, object]) -> None:
    with pytest.raises(UserError) as caught:
        session.run(feed)
    with pytest.raises(UserError):
        session.bind(feed)

    assert caught.value.exit_code == 2
    assert "The feed does not fit the model:" in caught.value.message
    np.testing.assert_array_equal(session.run({"x": X})["y"], Y)


def test_closing_twice_is_harmless_and_a_closed_session_says_so(session: Session) -> None:
    session.close()
    session.close()

    with pytest.raises(UserError, match="closed"):
        session.run({"x": X})
    with pytest.raises(UserError, match="closed"):
        session.bind({"x": X})


@pytest.mark.parametrize("content", [b"", b"import torch\n", b"PK\x03\x04" + bytes(60), bytes(range(256))])
def test_a_file_that_is_no_model_is_unreadable(name: str, backend: Backend, tmp_path: Path, content: bytes) -> None:
    file = tmp_path / f"net{Path(ARTIFACTS[name]).suffix}"
    file.write_bytes(content)

    with pytest.raises(ModelUnreadable) as caught:
        backend.open(file, {})

    assert str(file) in caught.value.message
    assert caught.value.exit_code == 5


def test_a_missing_file_and_a_folder_are_unreadable(backend: Backend, tmp_path: Path) -> None:
    for path in (tmp_path / "nothing", tmp_path):
        with pytest.raises(ModelUnreadable, match=str(path)):
            backend.open(path, {})


def test_threads_are_an_option(backend: Backend, artifact: Path) -> None:
    with backend.open(artifact, {"threads": "2"}) as session:
        np.testing.assert_array_equal(session.run({"x": X})["y"], Y)
    with pytest.raises(UserError, match="threads"):
        backend.open(artifact, {"threads": "many"})


def test_an_unknown_option_is_the_callers_error(backend: Backend, artifact: Path) -> None:
    with pytest.raises(UserError, match="Did you mean 'threads'"):
        backend.open(artifact, {"thread": "2"})


def test_a_provider_that_is_not_there_refuses(backend: Backend, artifact: Path) -> None:
    with pytest.raises(ProviderRefused) as caught:
        backend.open(artifact, {"provider": "openvino"})

    assert "'openvino'" in caught.value.message
    assert caught.value.hint
    assert caught.value.exit_code == 3


def test_several_threads_run_each_on_a_session_of_its_own(backend: Backend, artifact: Path) -> None:
    wrong: list[str] = []

    def work() -> None:
        with backend.open(artifact, {}) as session:
            for row in range(200):
                place = row % len(X)
                if not np.array_equal(session.run({"x": X[place : place + 1]})["y"], Y[place : place + 1]):
                    wrong.append(f"row {row}")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert wrong == []
