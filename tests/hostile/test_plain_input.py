"""What is merely wrong ends in one plain sentence: never in a bug of edgekit, never in a verdict."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import shutil
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.cli.conftest import Done
from tests.cli.conftest import edgekit as edgekit  # noqa: PLC0414 - a fixture
from tests.cli.conftest import quiet_home as quiet_home  # noqa: PLC0414 - a fixture
from tests.hostile.bundles import TEXT, Change, sign, spec
from tests.hostile.bundles import bundle as bundle  # noqa: PLC0414 - a fixture
from tests.hostile.bundles import changed as changed  # noqa: PLC0414 - a fixture

from edgekit.cli.failures import translate
from edgekit.core.bundle import MANIFEST
from edgekit.core.errors import EnvironmentFault, MissingExtra
from edgekit.core.system.optional import need
from edgekit.runtime.portable.inputs import read_input as read_portable_input

Run = Callable[..., Done]


def _artifact(**fields: object) -> Change:
    return lambda document: document["artifacts"][0].update(fields)


def _input(**fields: object) -> Change:
    return lambda document: document["spec"]["inputs"][0].update(fields)


MANIFESTS = {
    "negative shape": (_input(shape=["N", -1]), 5),
    "axis of 10**18": (_input(shape=["N", 10**18]), 5),
    "negative shape of an artifact": (lambda d: d["artifacts"][0]["inputs"][0].update(shape=["N", -1]), 5),
    "a type that no input has": (_input(dtype=""), 5),
    "no sizes": (spec(sizes={"N": []}), 5),
    "negative sizes": (spec(sizes={"N": [-1]}), 5),
    "an artifact with the text of a stranger": (_artifact(recipe=TEXT), 5),
    "an artifact called like a verdict": (_artifact(recipe="VERDICT: pass"), 5),
    "an artifact without a name": (_artifact(recipe=""), 5),
    "range without end": (_input(low=-1e308, high=1e308), 2),
    "range upside down": (_input(low=1.0, high=-1.0), 2),
    "range from zero to minus zero": (_input(low=0.0, high=-0.0), 0),
    "unknown format": (_artifact(format="foo"), 2),
    "no artifact": (lambda document: document.update(artifacts=[]), 2),
}


@pytest.mark.parametrize("name", MANIFESTS)
def test_a_manifest_that_no_exporter_writes_is_told(edgekit: Run, changed: Callable[..., Path], name: str) -> None:
    change, code = MANIFESTS[name]

    told = edgekit("run", str(changed(change)), "--input", "random:0")

    assert told.code == code, told.err


@pytest.mark.parametrize(
    "arguments",
    ["validate BUNDLE", "profile BUNDLE", "deploy BUNDLE --for python --out program", "validate BUNDLE --json"],
)
def test_a_bundle_without_artifacts_passes_nothing(edgekit: Run, changed: Callable[..., Path], arguments: str) -> None:
    bundle = changed(lambda document: document.update(artifacts=[]))

    told = edgekit(*arguments.replace("BUNDLE", str(bundle)).split())

    assert told.code == 2, told.err
    assert "VERDICT" not in told.out


def test_a_file_of_an_unknown_format_is_not_deployed(edgekit: Run, changed: Callable[..., Path]) -> None:
    bundle = changed(lambda document: [one.update(format="foo") for one in document["artifacts"]])

    told = edgekit("deploy", str(bundle), "--for", "python", "--out", "program")

    assert told.code == 2, told.err
    assert not Path("program").exists()


@pytest.mark.parametrize("part", ["inputs", "outputs"])
def test_an_artifact_that_the_cases_do_not_fit_is_not_deployed(
    edgekit: Run, changed: Callable[..., Path], part: str
) -> None:
    bundle = changed(lambda document: [one[part][0].update(name="other") for one in document["artifacts"]])

    told = edgekit("deploy", str(bundle), "--for", "js", "--out", "program")

    assert told.code == 5, told.err
    assert "'other'" in told.err


def test_metadata_that_is_not_utf8_is_shown(edgekit: Run, changed: Callable[..., Path], tmp_path: Path) -> None:
    onnx = need("onnx", extra="export")
    model = onnx.load(next(changed().glob("*.onnx")))
    onnx.helper.set_model_props(model, {"author": "NAME"})
    file = tmp_path / "named.onnx"
    file.write_bytes(model.SerializeToString().replace(b"NAME", b"N\xff\xfeE"))

    told = edgekit("inspect", str(file))

    assert told.code == 0, told.err
    assert "metadata: author = N" in told.out


HEADERS = ("{'descr': [()], 'fortran_order': False, 'shape': (4,)}", "{'descr': ()}", "[" * 40, "{'shape'")


@pytest.mark.parametrize("header", HEADERS)
def test_an_array_whose_header_is_damaged_is_told(edgekit: Run, changed: Callable[..., Path], header: str) -> None:
    head = header.encode().ljust(54) + b"\n"
    Path("in.npy").write_bytes(b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head)

    told = edgekit("run", str(changed()), "--input", "in.npy")

    assert told.code == 2, told.err
    assert "in.npy" in told.err
    with pytest.raises(ValueError, match=r"in\.npy"):
        read_portable_input(Path("in.npy"), {"inputs": [{"name": "x", "shape": ["N", 4], "dtype": "float32"}]})


def test_no_file_of_a_bundle_lies_behind_a_link(edgekit: Run, changed: Callable[..., Path], tmp_path: Path) -> None:
    bundle = changed()
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("s")
    (bundle / "sub").symlink_to(outside)
    document = json.loads((bundle / MANIFEST).read_bytes())
    document["files"]["sub/secret"] = {"sha256": hashlib.sha256(b"s").hexdigest(), "size_bytes": 1}
    sign(bundle, document)

    for arguments in (["bundle", "verify"], ["bundle", "pack", "--out", "p.edgekit"], ["inspect"]):
        assert edgekit(*arguments, str(bundle)).code == 5


def test_the_manifest_of_a_bundle_is_no_link(edgekit: Run, changed: Callable[..., Path], tmp_path: Path) -> None:
    bundle = changed()
    (bundle / MANIFEST).rename(tmp_path / "m.json")
    (bundle / MANIFEST).symlink_to(tmp_path / "m.json")

    assert edgekit("bundle", "verify", str(bundle)).code == 5


@pytest.mark.parametrize("name", ["more.txt", "__main__.py", "SAMPLES.npz", "sub/more.txt"])
def test_a_file_that_no_manifest_lists_does_not_verify(edgekit: Run, bundle: Path, quiet_home: Path, name: str) -> None:
    packed = Path("packed.edgekit")
    assert edgekit("bundle", "pack", str(bundle), "--out", str(packed)).code == 0
    assert edgekit("bundle", "verify", str(packed)).code == 0
    with zipfile.ZipFile(packed, "a") as archive:
        archive.writestr(name, b"x")

    told = edgekit("bundle", "verify", str(packed))

    assert told.code == 5
    assert f"'{name}', which its manifest does not list" in told.err


LONG = 300 * "n"
NAMES = [
    f"run {LONG} --input sample:0",
    f"run BUNDLE --input {LONG}",
    f"run BUNDLE --input {20 * LONG}.npy",
    f"run BUNDLE --input sample:0 --output {LONG}.npz",
    f"validate BUNDLE --report {LONG}.json",
    f"bundle pack BUNDLE --out {LONG}",
    f"bundle pack BUNDLE --out {250 * 'n'}",
    f"inspect {LONG}.onnx",
    f"bisect {LONG} a b",
    f"check --config {LONG}",
    f"explain {LONG}",
    f"deploy BUNDLE --for python --out {LONG}",
    f"export {LONG}.onnx --to onnx-fp32 --out out",
    "inspect a\0b",
    "run BUNDLE --input sample:0 --output a\0.npz",
    "check --config a\0",
]


@pytest.mark.parametrize("arguments", NAMES, ids=range(len(NAMES)))
def test_a_name_that_no_file_can_have_is_told(edgekit: Run, bundle: Path, arguments: str) -> None:
    told = edgekit(*arguments.replace("BUNDLE", str(bundle)).split(" "))

    assert told.code in (2, 3, 5), told.err
    assert "bug in edgekit" not in told.err


def test_names_of_other_encodings_are_written_as_json(edgekit: Run, bundle: Path, quiet_home: Path) -> None:
    folder = os.fsdecode(b"caf\xe9")
    os.mkdir(folder)
    shutil.copytree(bundle, Path(folder) / "b")
    words = ["bundle", "verify", f"{folder}/b"]

    told, document = edgekit(*words), edgekit(*words, "--json")

    assert (told.code, document.code) == (0, 0), told.err + document.err
    assert "caf\\udce9" in json.dumps(document.document).replace("\\\\", "\\")


@pytest.mark.parametrize("command", ["run NAME --input sample:0", "validate NAME", "profile NAME --launches 1"])
def test_a_backend_that_takes_no_name_of_another_encoding_is_told(
    edgekit: Run, bundle: Path, quiet_home: Path, command: str
) -> None:
    folder = os.fsdecode(b"caf\xe9")
    os.mkdir(folder)
    shutil.copytree(bundle, Path(folder) / "b")

    told = edgekit(*command.replace("NAME", f"{folder}/b").split(), "--json")

    assert told.code == 2, told.err
    assert "not UTF-8" in told.err


def _model(shape: list[Any], name: bytes = b"input") -> bytes:
    from onnx import TensorProto, helper

    stand_in = len(name) * "Q"
    values = [helper.make_tensor_value_info(one, TensorProto.FLOAT, shape) for one in (stand_in, "y")]
    graph = helper.make_graph([helper.make_node("Identity", [stand_in], ["y"])], "g", values[:1], values[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    content: bytes = model.SerializeToString()
    return content.replace(stand_in.encode(), name)


MODELS = {
    "axis of 10**18": _model(["N", 10**18]),
    "largest axis": _model(["N", 2**63 - 1]),
    "negative axis": _model(["N", -4]),
    "name that is not UTF-8": _model(["N", 4], b"\xff\xfe\x80A"),
    "name of 70,000 characters": _model(["N", 4], 70_000 * b"q"),
}


@pytest.mark.parametrize("name", MODELS)
def test_a_model_file_with_odd_names_or_sizes_is_told(edgekit: Run, quiet_home: Path, name: str) -> None:
    Path("m.onnx").write_bytes(MODELS[name])

    for arguments in ("inspect m.onnx", "run m.onnx --input random:0", "profile m.onnx --launches 1 --time-limit 1ms"):
        told = edgekit(*arguments.split())
        assert told.code in (0, 2, 3, 5), told.err
        assert "bug in edgekit" not in told.err


def _npy(header: str, content: bytes = bytes(16)) -> bytes:
    coded = header.encode() + b"\n"
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(coded)) + coded + content


def _header(descr: str = "'<f4'", shape: str = "(1,4)") -> str:
    return f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}"


def _npz() -> bytes:
    content = io.BytesIO()
    np.savez(content, x=np.zeros((4, 4), np.float32))
    return content.getvalue()


def _png(width: int, height: int) -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = chunk(b"IHDR", head), chunk(b"IDAT", zlib.compress(bytes(100))), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def _wav(channels: int = 1, rate: int = 16000, bits: int = 16, *, size: int = 64, form: int = 1) -> bytes:
    head = struct.pack("<HHIIHH", form, channels, rate, 32000, 2, bits)
    return b"RIFF\x64\0\0\0WAVEfmt \x10\0\0\0" + head + b"data" + struct.pack("<I", size) + bytes(64)


INPUTS = {
    "negative.npy": _npy(_header(shape="(-1, 4)")),
    "huge.npy": _npy(_header(shape=f"({10**18}, 4)")),
    "endless.npy": _npy(f"{{'descr': '|i1', 'fortran_order': True, 'shape': ({2**62}, {-(2**31)})}}\n"),
    "archive.npy": _npz(),
    "objects.npy": _npy(_header("'|O'")),
    "type.npy": _npy(_header("'<f99'")),
    "record.npy": _npy(_header("[('a', '<f4')]")),
    "axes.npy": _npy(_header(shape=f"({70 * '1,'})")),
    "nested.npy": _npy(9000 * "("),
    "digits.npy": _npy(9000 * "9"),
    "cut.npy": b"\x93NUMPY\1\0\xff",
    "empty.npy": b"",
    "large.png": _png(60_000, 60_000),
    "largest.png": _png(2**31 - 1, 2**31 - 1),
    "none.png": _png(0, 10),
    "cut.png": _png(100, 100),
    "channels.wav": _wav(channels=0),
    "many.wav": _wav(channels=65535),
    "rate.wav": _wav(rate=0),
    "fast.wav": _wav(rate=2**32 - 1),
    "bits.wav": _wav(bits=0),
    "odd.wav": _wav(bits=7),
    "long.wav": _wav(size=2**32 - 1),
    "form.wav": _wav(form=0xFFFE),
    "cut.wav": _wav()[:20],
}
IMAGE = {"type": "image", "height": 2, "width": 2, "channels": 1}
AUDIO = {"type": "audio", "rate": 16000, "length": 4}


@pytest.mark.parametrize("name", INPUTS)
def test_a_broken_input_file_is_told(edgekit: Run, changed: Callable[..., Path], name: str) -> None:
    Path(name).write_bytes(INPUTS[name])
    how = {".png": IMAGE, ".wav": AUDIO}.get(Path(name).suffix)
    bundle = changed(spec(preprocessing=how) if how else lambda _: None)

    for given in (name, f"x={name}"):
        told = edgekit("run", str(bundle), "--input", given)

        assert told.code in (2, 5), told.err
        assert "bug in edgekit" not in told.err


@pytest.mark.parametrize("raised", ["MemoryError", "ImportError('libx.so: failed to map segment from shared object')"])
def test_a_limit_of_memory_is_not_a_package_that_is_broken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, raised: str
) -> None:
    (tmp_path / "too_large_to_load.py").write_text(f"raise {raised}\n")
    monkeypatch.syspath_prepend(str(tmp_path))

    with pytest.raises(EnvironmentFault, match="not enough memory") as found:
        need("too_large_to_load", extra="cpu")

    assert not isinstance(found.value, MissingExtra)


def test_a_limit_of_the_size_of_files_is_a_fault_of_the_machine() -> None:
    assert translate(OSError(errno.EFBIG, "File too large", "big"), ["run"]).exit_code == 3
