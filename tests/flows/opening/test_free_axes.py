"""A bare file with free height and width is measured only at sizes that somebody named; every rendering has them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto as T
from onnx import helper as h
from tests.cli.conftest import Run, quiet_home
from tests.cli.conftest import edgekit as edgekit_run
from tests.flows.onnx_files import convolution

import edgekit
from edgekit.core.errors import Incomplete, UserError
from edgekit.core.system.settings import Settings
from edgekit.flows.export import export
from edgekit.flows.opening.artifacts import opened
from edgekit.flows.opening.source import SourceOptions, open_source

pytest_plugins = ["pytester"]
__all__ = ["edgekit_run", "quiet_home"]
SIZES = ["height=24", "width=32"]
AT = "batch=1, height=24, width=32"


@pytest.fixture
def net(tmp_path: Path) -> Path:
    return convolution(tmp_path / "net.onnx")


def configured(net: Path, line: str = "", table: str = "") -> Path:
    path = net.parent / "edgekit.toml"
    path.write_text(
        f'[check]\nlaunches = 5\ntime_limit_s = 0.01\n{table}\n[[check.models]]\npath = "net.onnx"\n{line}\n'
    )
    return path


@pytest.mark.parametrize(
    "words", [["profile", "--launches", "5"], ["tune"], ["run", "--input", "random:0"], ["build", "--to", "onnx-fp32"]]
)
def test_without_sizes_the_hint_is_the_command_with_them(net: Path, words: list[str], edgekit_run: Run) -> None:
    command, *options = words

    done = edgekit_run(command, str(net), *options)

    assert done.code == 2
    assert "the size of 'height' and 'width' is not known" in done.err
    whole = " ".join(["edgekit", command, str(net), *options, "--sizes height=224 --sizes width=224"])
    assert f"Hint: {whole}\n" in done.err


@pytest.mark.slow
def test_both_sides_of_a_comparison_run_at_the_sizes_that_are_named(net: Path) -> None:
    with pytest.raises(Incomplete, match="'height' and 'width'"):
        edgekit.compare(net, net)

    rough = Settings(minimum_effect=0.9)
    found = edgekit.compare(net, net, sizes=SIZES, launches=5, time_limit_s=0.001, settings=rough)

    assert found.pairs[0].sizes == {"batch": 1, "height": 24, "width": 32}


def test_a_check_asks_for_the_key_of_its_configuration(net: Path, edgekit_run: Run) -> None:
    done = edgekit_run("check", "--config", str(configured(net)), "--no-record")

    assert done.code == 2
    assert """Hint: In the [[check.models]] of 'net': sizes = ["height=224", "width=224"]\n""" in done.err


def test_an_input_of_the_users_own_has_its_size(net: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "image.npy", np.zeros((1, 3, 7, 9), np.float32))

    found = edgekit.run(net, input=[tmp_path / "image.npy"])

    assert np.shape(found.answers[0].outputs["y"]) == (1, 4)


def test_the_batch_is_given_by_its_own_option(net: Path) -> None:
    with pytest.raises(UserError, match="'batch' is the batch") as caught, opened(net, sizes=[*SIZES, "batch=8"]):
        pass

    assert caught.value.hint == "--batch 8"


def test_samples_say_the_sizes_of_a_source(net: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "s.npz", image=np.random.default_rng(0).normal(size=(8, 3, 5, 6)).astype(np.float32))

    source = open_source(str(net), SourceOptions(samples=tmp_path / "s.npz"), Settings())

    assert source.split.evaluation.inputs["image"].shape[1:] == (3, 5, 6)


@pytest.mark.parametrize(
    "metadata", [{"edgekit.sizes": '{"height":[24],"width":[32]}'}, {"imgsz": "[24, 32]", "task": "detect"}]
)
def test_sizes_in_the_metadata_of_the_file_are_taken(metadata: dict[str, str], tmp_path: Path) -> None:
    net = convolution(tmp_path / "net.onnx", metadata)

    with opened(net) as found, opened(net, sizes=["height=40", "width=40"]) as other:
        shapes = [one.samples.inputs["image"].shape for one in (found, other)]

    assert shapes == [(8, 3, 24, 32), (8, 3, 40, 40)]


@pytest.mark.parametrize("text", ["", "[24", "640", '{"height": 24}', "[0, 32]", '["a", 2]'])
def test_metadata_that_says_nothing_is_no_size(text: str, tmp_path: Path) -> None:
    net = convolution(tmp_path / "net.onnx", {"edgekit.sizes": text, "imgsz": text})

    with pytest.raises(UserError, match="'height'"), opened(net):
        pass


def test_an_exported_file_says_its_sizes(tmp_path: Path) -> None:
    from edgekit.core.spec.model_spec import ModelSpec
    from edgekit.core.spec.tensor_spec import TensorSpec
    from edgekit.export.onnx.exporter import save

    net = convolution(tmp_path / "net.onnx")
    shape = ("batch", 3, "height", "width")
    inputs, outputs = (TensorSpec("image", "float32", shape),), (TensorSpec("y", "float32", ("batch", 4)),)
    spec = ModelSpec("net", "other", inputs, outputs, sizes={"height": (24,), "width": (32,)})
    for _ in range(2):  # a file may be written twice on its way
        save(onnx.load(str(net)), net, spec)

    with opened(net) as found:
        assert found.spec.sizes == spec.sizes


@pytest.mark.slow
def test_every_rendering_of_a_profile_has_the_sizes(net: Path, tmp_path: Path, edgekit_run: Run) -> None:
    files = [tmp_path / f"report.{suffix}" for suffix in ("md", "html", "json")]
    options = [word for path in files for word in ("--report", str(path))]
    sizes = [word for text in SIZES for word in ("--sizes", text)]

    done = edgekit_run("profile", str(net), *sizes, "--launches", "5", "--time-limit", "10ms", *options)

    assert done.code == 0
    assert f"local at {AT}\n" in done.out
    markdown, html, document = (path.read_text() for path in files)
    assert AT in markdown
    assert AT in html
    assert json.loads(document)["latency"][0]["sizes"] == {"batch": 1, "height": 24, "width": 32}


@pytest.mark.slow
def test_every_line_of_a_check_has_the_sizes(net: Path, edgekit_run: Run) -> None:
    path = configured(net, f"sizes = {json.dumps(SIZES)}", 'budgets = ["latency.p50 <= 1 s"]\nnightly = true')
    path.write_text(path.read_text() + 'baseline = "net.onnx"\n')

    done = edgekit_run("check", "--config", str(path), "--report", str(net.parent / "check.md"))
    history = edgekit_run("history", "show", "--config", str(path))

    assert done.code == 0
    verdicts = re.split(r"\n(?=pass|INCONCLUSIVE)", done.out)
    timed = [text for text in verdicts if re.search("latency.p50|not slower than", text)]
    assert len(timed) == 3, done.out
    assert all(AT in " ".join(text.split()) for text in timed), done.out
    assert f"at {AT}".replace("_", r"\_") in (net.parent / "check.md").read_text()
    assert f"net/net@local at {AT}" in history.out


@pytest.mark.slow
def test_runs_at_other_sizes_are_another_series(net: Path, edgekit_run: Run) -> None:
    for size in (8, 8, 64):
        path = configured(net, f'sizes = ["height={size}", "width={size}"]')
        assert edgekit_run("check", "--config", str(path)).code == 0

    found = edgekit_run("history", "show", "--config", str(path), "--json").document

    assert [(one["runs"], one["last"]["sizes"]["height"]) for one in found["series"]] == [(1, 64)]


@pytest.mark.slow
def test_the_pytest_plugin_says_the_sizes(pytester: pytest.Pytester) -> None:
    pytester.syspathinsert()
    convolution(pytester.path / "net.onnx")
    pytester.makepyfile(
        "import pytest\n"
        '@pytest.mark.edgekit(budget="latency.p50 <= 1 ns")\n'
        "def test(edgekit_profile):\n"
        f'    edgekit_profile("net.onnx", time_limit_s=0.01, sizes={SIZES})\n'
    )

    done = pytester.runpytest_subprocess("-p", "no:cacheprovider", "-p", "no:anyio", "--edgekit-launches", "5")

    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines([f"*latency.p50 <= 1 ns, got *at {AT}*"])


@pytest.mark.slow
def test_a_batch_that_cannot_be_freed_says_why(tmp_path: Path) -> None:
    nodes = [h.make_node("Reshape", ["x", "shape"], ["y"], name="flatten")]
    tensors = [h.make_tensor_value_info("x", T.FLOAT, [1, 2, 3])], [h.make_tensor_value_info("y", T.FLOAT, [1, 6])]
    graph = h.make_graph(nodes, "g", *tensors, [h.make_tensor("shape", T.INT64, [2], [1, -1])])
    onnx.save(h.make_model(graph, opset_imports=[h.make_opsetid("", 18)], ir_version=8), str(tmp_path / "net.onnx"))

    with pytest.raises(UserError, match="Reshape 'flatten' to"):
        export(
            str(tmp_path / "net.onnx"),
            out=tmp_path / "out",
            to="onnx-fp32",
            options=SourceOptions(inputs=("x:float32[N,2,3]",)),
        )
