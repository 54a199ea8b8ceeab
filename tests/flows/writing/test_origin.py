"""What a build was made from: every file of it, and what a build that is resumed says of a change."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import pytest

from edgekit.core.errors import UserError
from edgekit.core.reports.report import BuildOrigin
from edgekit.flows.opening.source import ExportOptions, SourceOptions
from edgekit.flows.writing.origin import MadeFrom, refuse_changed

LINEAR = Path(__file__).parents[2] / "runtime" / "data" / "linear.onnx"
PLAIN, HOW = SourceOptions(), ExportOptions()
FILES = {
    "net.py": "import torch\nimport layers\nfrom parts.blocks import Block\ndef net(): raise SystemExit",
    "layers.py": "def layer():\n    from helper import of",
    "helper.py": "",
    "parts/__init__.py": "",
    "parts/blocks.py": "from . import shared\nfrom ..net import net",
    "parts/shared.py": "import net",
    "other.py": "import layers",
}


def origin_of(
    source: str, options: SourceOptions, how: ExportOptions, earlier: BuildOrigin | None = None
) -> BuildOrigin:
    return MadeFrom(source, options, how).origin(earlier)


@pytest.fixture
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a network in several files, and one that is not part of it; the current folder."""
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "samples").mkdir()
    (tmp_path / "samples/a.png").write_bytes(b"a")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("source", ["net.py:net", "net:net"], ids=["file", "package"])
def test_every_file_that_a_network_imports_is_part_of_it(code: Path, source: str) -> None:
    found = origin_of(source, PLAIN, HOW)

    assert set(found.digests) == FILES.keys() - {"other.py"}
    refuse_changed(found, origin_of(source, PLAIN, HOW, found), Path("out"))
    for name in found.digests:
        before = (code / name).read_text()
        (code / name).write_text(f"{before}\n# changed")
        with pytest.raises(UserError, match=f"in 'out' was made from something else: '{name}' has changed") as caught:
            refuse_changed(found, origin_of(source, PLAIN, HOW, found), Path("out"))
        assert caught.value.hint.startswith(f"edgekit build {source} --out out --force")
        (code / name).write_text(before)
    (code / "helper.py").unlink()
    with pytest.raises(UserError, match=r"'helper\.py' is not there any more"):
        refuse_changed(found, origin_of(source, PLAIN, HOW, found), Path("out"))


def test_the_folder_in_which_a_source_is_does_not_matter(code: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = origin_of("net.py:net", PLAIN, HOW)

    monkeypatch.chdir("/")
    refuse_changed(found, origin_of(f"{code}/net.py:net", PLAIN, HOW, found), Path("out"))
    with pytest.raises(UserError, match=r"from 'net\.py:net', not from 'net\.py:other'"):
        refuse_changed(found, origin_of(f"{code}/net.py:other", PLAIN, HOW, found), Path("out"))


def test_options_that_are_not_given_again_are_as_before_and_their_files_are_looked_at(code: Path) -> None:
    given = SourceOptions(samples=Path("samples"), sizes=("T=32",), inputs=("x:float32[N,T]",))
    found = origin_of("net.py:net", given, ExportOptions(opset=17, raw=True))

    for again in (PLAIN, given, SourceOptions(samples=code / "samples", trust=True)):
        refuse_changed(found, origin_of("net.py:net", again, HOW, found), Path("out"))
    other = origin_of("net.py:net", dataclasses.replace(given, sizes=("T=64",)), ExportOptions(max_drop=0.005), found)
    with pytest.raises(UserError, match=r"--max-drop was not given; --sizes was 'T=32'\.") as caught:
        refuse_changed(found, other, Path("out"))
    assert "--sizes T=64 " in caught.value.hint
    assert "--with-preprocessing --opset 17 --max-drop 0.5pt --out" in caught.value.hint
    other = origin_of("net.py:net", SourceOptions(calibration=8), ExportOptions(opset=18), found)
    with pytest.raises(UserError, match=r"--calibration was not given; --opset was '17'"):
        refuse_changed(found, other, Path("out"))

    (code / "samples/b.png").write_bytes(b"b")
    with pytest.raises(UserError, match=r"something else: --samples has changed\."):
        refuse_changed(found, origin_of("net.py:net", PLAIN, HOW, found), Path("out"))
    shutil.rmtree(code / "samples")
    with pytest.raises(UserError, match=r"something else: --samples is not there any more\."):
        refuse_changed(found, origin_of("net.py:net", PLAIN, HOW, found), Path("out"))


def test_a_model_file_is_its_content(tmp_path: Path) -> None:
    file = shutil.copy(LINEAR, tmp_path / "net.onnx")
    found = origin_of(str(file), PLAIN, HOW)

    refuse_changed(found, origin_of(str(file), PLAIN, HOW, found), Path("out"))
    shutil.copy(LINEAR.with_name("linear.tflite"), file)
    with pytest.raises(UserError, match=r"'net\.onnx' has changed"):
        refuse_changed(found, origin_of(str(file), PLAIN, HOW, found), Path("out"))


def test_a_reference_model_comes_with_edgekit() -> None:
    assert origin_of("digits", PLAIN, HOW).digests == {}


def test_code_that_no_python_can_read_is_its_own_content(code: Path) -> None:
    (code / "net.py").write_text("def net(:")

    assert set(origin_of("net.py:net", PLAIN, HOW).digests) == {"net.py"}
