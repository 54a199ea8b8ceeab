"""Adding a format is one folder and one row: a toy format of a third party goes all the way through edgekit."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekit.core.errors import UserError
from edgekit.core.recipe import ALIASES, RECIPES
from edgekit.export.formats import (
    FORMATS,
    TORCH,
    ContentsReader,
    Format,
    Tracer,
    contents_reader_of,
    format_of,
    kind_of,
    load,
    tracer_of,
)
from edgekit.export.onnx import contents as onnx_contents
from edgekit.export.onnx import tracer as onnx_tracer
from edgekit.export.tflite import contents as tflite_contents
from edgekit.export.tflite import tracer as tflite_tracer
from edgekit.runtime.backend import DEFAULT_BACKENDS, default_backend

TOY = Path(__file__).parent / "toy"
ROW = "[edgekit.formats]\ntoy = toy_format:TOY\n"
ENGINE = "[edgekit.backends]\ntoy-engine = toy_format.backend:ToyBackend\n"
# mypy holds our own tracers and readers against what is asked of them.
TRACERS: tuple[Tracer, ...] = (onnx_tracer, tflite_tracer)
READERS: tuple[ContentsReader, ...] = (onnx_contents.read_contents, tflite_contents.read_contents)

Run = Callable[..., Any]


@pytest.fixture
def edgekit(tmp_path: Path) -> Run:
    """Runs a command where the toy format is installed; gives its JSON document."""
    install(tmp_path / "site", ROW + ENGINE)
    shutil.copy(TOY / "toy_net.py", tmp_path)
    np.savez(tmp_path / "samples.npz", x=np.random.default_rng(0).normal(size=(64, 4)).astype(np.float32))
    paths = [str(tmp_path / "site"), str(TOY), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}

    def run(*words: str) -> Any:
        done = subprocess.run(
            [sys.executable, "-m", "edgekit", *words, "--json"],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)

    return run


def install(site: Path, entry_points: str) -> None:
    """A distribution with these entry points."""
    info = site / "toy_format-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toy-format\nVersion: 1.0\n", encoding="utf-8")
    (info / "entry_points.txt").write_text(entry_points, encoding="utf-8")


@pytest.mark.slow
def test_a_format_is_one_folder_and_one_row_from_export_to_bisect(edgekit: Run) -> None:
    source = ("toy_net.py:Net", "--input", "x:float32[N,4]", "--samples", "samples.npz")

    made = edgekit("export", *source, "--to", "toy-fp32,toy-int8-dynamic", "--out", "bundle")
    checked = edgekit("validate", "bundle")
    exact = edgekit("bisect", "bundle", "torch", "toy-fp32")
    rounded = edgekit("bisect", "bundle", "toy-fp32", "toy-int8-dynamic")
    inspected = edgekit("bundle", "inspect", "bundle")

    assert made["verdict"] == checked["verdict"] == "pass"
    assert {one["artifact"] for one in checked["parity"]} == {"toy-fp32", "toy-int8-dynamic"}
    assert [one["b"] for one in exact["aligned"]] == ["x", "dense", "scores"]
    assert exact["first"] is None
    assert max(one["added"] for one in rounded["aligned"]) > 0
    facts = {one["artifact"]: one for one in inspected["graphs"]}
    assert facts["toy-fp32"]["operators"] == {"TOY_DENSE": 1, "TOY_RELU": 1}
    assert facts["toy-int8-dynamic"]["quantized_share"] == 1


@pytest.mark.slow
def test_a_file_of_the_format_is_a_source(edgekit: Run, tmp_path: Path) -> None:
    source = ("toy_net.py:Net", "--input", "x:float32[N,4]", "--samples", "samples.npz")
    edgekit("export", *source, "--to", "toy-fp32", "--out", "first")

    kept = edgekit("export", "first/toy-fp32.toy", "--samples", "samples.npz", "--out", "second")

    assert [one["recipe"] for one in kept["artifacts"]] == ["toy-fp32"]
    assert (tmp_path / "second" / "toy-fp32.toy").read_bytes() == (tmp_path / "first" / "toy-fp32.toy").read_bytes()


def seen_with(site: Path, entry_points: str, code: str) -> str:
    """What `code` prints where a distribution has these entry points."""
    install(site, entry_points)
    paths = [str(site), str(TOY), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_an_exporter_of_a_third_party_is_a_format_by_itself(tmp_path: Path) -> None:
    code = (
        "from edgekit.core.recipe import Recipe\nfrom edgekit.export.formats import format_of\n"
        "row = format_of('mine')\nprint(Recipe.parse('mine-fp32').format, row.suffix, row.exporter, row.quantizer)"
    )

    seen = seen_with(tmp_path, "[edgekit.exporters]\nmine = other:Exporter\n", code)

    assert seen == "mine .mine other:Exporter other:Exporter"


def test_our_own_formats_win_over_plug_ins_and_a_broken_row_breaks_no_other(tmp_path: Path) -> None:
    rows = "[edgekit.formats]\nonnx = toy_format:TOY\nbad = no_such_module:ROW\ntoy = toy_format:TOY\n"
    code = "from edgekit.export.formats import known_formats\nfor row in known_formats().values(): print(row.exporter)"

    seen = seen_with(tmp_path, rows, code).splitlines()

    assert sorted(seen) == sorted([*(row.exporter for row in FORMATS.values()), "toy_format.exporter:ToyExporter"])


def test_a_plug_in_gives_recipes_of_its_own_format_alone(tmp_path: Path) -> None:
    code = (
        "from edgekit.core.errors import UserError\nfrom edgekit.core.recipe import Recipe\n"
        "for name in ('toy-fp32', 'toy-int8-dynamic', 'toy-int3', 'tflite-int8-static-u8s8', 'other-fp32'):\n"
        "    try: print(Recipe.parse(name).name)\n    except UserError as err: print(err.message.partition('.')[0])"
    )

    seen = seen_with(tmp_path, ROW, code).splitlines()

    assert seen[:2] == ["toy-fp32", "toy-int8-dynamic"]
    assert all(line.startswith("Unknown recipe") for line in seen[2:])


@pytest.mark.parametrize("row", FORMATS.values(), ids=lambda row: row.name)
def test_everything_that_a_row_names_is_there(row: Format) -> None:
    routes = [route.exporter for route in row.routes.values() if route.exporter]

    for location in filter(None, [row.exporter, row.quantizer, row.reader, row.tracer, row.contents, *routes]):
        assert load(location)
    assert FORMATS[kind_of(f"net{row.suffix}")] == format_of(row.name) == row


def test_recipes_backends_and_formats_name_the_same_formats() -> None:
    assert {name.partition("-")[0] for name in (*RECIPES, *ALIASES)} == set(FORMATS)
    assert set(FORMATS) <= set(DEFAULT_BACKENDS)


@pytest.mark.parametrize(
    ("location", "kind"),
    [
        ("net.onnx", "onnx"),
        ("a/Net.TFLITE", "tflite"),
        ("net.pt2", TORCH),
        ("net.py:Net", TORCH),
        ("package.module:net", TORCH),
        ("odd:name.onnx", "onnx"),
        ("digits", TORCH),
    ],
)
def test_the_suffix_tells_files_from_modules(location: str, kind: str) -> None:
    assert kind_of(location) == kind


def test_a_format_that_nobody_converts_to_has_no_row_tracer_or_backend() -> None:
    assert tracer_of("fake") is None
    assert contents_reader_of("fake") is None
    with pytest.raises(UserError, match=r"Unknown format 'onx'\. Did you mean 'onnx'\?"):
        format_of("onx")
    with pytest.raises(UserError, match="No backend opens files of format 'onx'"):
        default_backend("onx")


def test_formats_are_listed_without_importing_what_makes_them() -> None:
    code = (
        "import sys\nfrom edgekit.export import formats, routes\nformats.known_formats()\n"
        "print([name for name in sys.modules if name.split('.')[0] in ('torch', 'onnx', 'onnxruntime', 'jax')"
        " or name.startswith(('edgekit.export.onnx', 'edgekit.export.tflite', 'edgekit.export.torch'))])"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
