"""`make demo` installs what the demo imports, and install.py is never silent for long."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import install
import pytest
from tests.architecture.test_dependencies import Declared

TORCH = "torch"
# 60 % of the 2.5 GB that `make demo` once installed, less pip, which is not copied here.
MOST_BYTES = 0.6 * 2.5e9 - 15e6
# What packages of the demo declare, and do not import in it: converters of language models and their hubs, a parser
# of MLIR, and what PyTorch compiles extensions with.
LEFT_OUT = {
    "backports-strenum",
    "fire",
    "jaxtyping",
    "kagglehub",
    "lark",
    "litert-lm-builder",
    "multipledispatch",
    "pillow",
    "sentencepiece",
    "setuptools",
    "transformers",
    "xdsl",
}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_the_demo_has_pinned_packages_and_no_tool_of_the_tests(repository: Path) -> None:
    pinned = {normal(line.partition("==")[0]) for line in (repository / "constraints.txt").read_text().splitlines()}
    wanted = [normal(name) for name in install.DEMO]
    declared = Declared(repository)

    assert set(wanted) - pinned == set()
    assert sorted(set(wanted)) == sorted(wanted)
    assert set(wanted) & {normal(name) for name in declared.own["dev"] - declared.whole("all")} <= {"scipy", "protobuf"}


def test_every_package_for_development_is_pinned(repository: Path) -> None:
    pinned = {normal(line.partition("==")[0]) for line in (repository / "constraints.txt").read_text().splitlines()}
    declared = Declared(repository)

    assert {normal(name) for name in declared.core | declared.whole("dev")} - pinned <= {"openvino", "onnxruntime-gpu"}


def test_every_pinned_package_but_pytorch_has_its_checksums(repository: Path) -> None:
    pinned = (repository / "constraints.txt").read_text().splitlines()
    text = (repository / "checksums.txt").read_text()
    hashed = re.findall(r"^(\S+==\S+) \\\n    --hash=sha256:[0-9a-f]{64}", text, re.MULTILINE)

    assert {normal(one) for one in pinned if "==" in one} - set(map(normal, hashed)) == {normal("torch==2.13.0")}
    assert text.count("==") == len(hashed)


def test_with_checksums_nothing_but_pytorch_is_installed_without_one() -> None:
    steps = install.Steps("development", TORCH, "", has_checksums=True)

    installed = [list(map(str, one)) for _, commands in steps._steps() for one in commands if "install" in one]

    assert [one[-1] for one in installed] == [TORCH, "checksums.txt", "."]
    assert all("--no-deps" in one for one in installed)
    assert "--require-hashes" in installed[1]


def required(name: str) -> Iterator[str]:
    """What an installed package declares that it needs here, extras left out."""
    for text in metadata.requires(name) or ():
        wanted, _, marker = text.partition(";")
        if "extra ==" not in marker and "platform" not in marker:
            yield normal(re.split(r"[^\w.-]", wanted, maxsplit=1)[0])


def test_what_the_demo_leaves_out_is_known() -> None:
    installed = {normal(name) for name in (TORCH, *install.DEMO)}

    left_out = {wanted for name in installed for wanted in required(name)} - installed

    assert left_out == LEFT_OUT


def test_the_size_of_what_is_installed_is_counted_where_something_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every second, next to pip: a walk over the 50,000 files of the environment each time slowed it down."""
    for number in range(20):
        (tmp_path / f"package-{number}/deep").mkdir(parents=True)
        (tmp_path / f"package-{number}/deep/code").write_bytes(bytes(1000))
    (tmp_path / "link").symlink_to(tmp_path / "package-0")
    link = (tmp_path / "link").lstat().st_size
    listed: list[str] = []
    scandir = os.scandir

    def counted(place: str) -> object:
        listed.append(str(place))
        return scandir(place)

    monkeypatch.setattr(os, "scandir", counted)
    size = install.Size(tmp_path)

    assert size.gb() * 1e9 == pytest.approx(20_000 + link)
    assert len(listed) == 41
    listed.clear()
    assert size.gb() * 1e9 == pytest.approx(20_000 + link)
    assert listed == []

    later = tmp_path / "package-3/deep"
    (later / "more").write_bytes(bytes(500))
    os.utime(later, ns=(0, later.stat().st_mtime_ns + 10**9))  # the clock of the disk may be coarse
    shutil.rmtree(tmp_path / "package-4")
    os.utime(tmp_path, ns=(0, tmp_path.stat().st_mtime_ns + 10**9))
    listed.clear()
    assert size.gb() * 1e9 == pytest.approx(19_500 + link)
    assert sorted(listed) == sorted([str(tmp_path), str(later)])


def test_a_silent_step_says_how_far_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    code = "import time; time.sleep(0.5); print('  Downloading https://host/net-1.0.whl (3.5 MB)'); print('noise')"

    install.watched([sys.executable, "-c", code], size=lambda: 1.25, silence_s=0.1)

    lines = capsys.readouterr().out.splitlines()
    silent = [line for line in lines if "Downloading" not in line]
    assert len(silent) >= 2
    assert all(re.fullmatch(r"    \d+ s(, \.venv has 1\.25 GB)?", line) for line in silent)
    assert "1.25 GB" in silent[-1]
    # A process that ends slowly, on a busy machine, is silent once more after its last line.
    assert [line.strip() for line in lines if line not in silent] == ["Downloading net-1.0.whl (3.5 MB)"]


def test_a_step_that_fails_ends_with_what_it_printed() -> None:
    with pytest.raises(SystemExit, match=r"(?s)no such package.*ended with 3"):
        install.watched([sys.executable, "-c", "print('no such package'); raise SystemExit(3)"], size=lambda: 0.0)


def test_without_the_index_of_pytorch_the_package_index_is_asked(capsys: pytest.CaptureFixture[str]) -> None:
    # Without its dependencies the CUDA build cannot be imported.
    code = "import sys; sys.exit(bool({'--index-url', '--no-deps'} & {*sys.argv}))"
    steps = install.Steps("demo", "torch", "https://nowhere/whl")

    steps.step([sys.executable, "-c", code, "--no-deps", "--index-url", "https://nowhere/whl", "torch"])

    assert "not from https://nowhere/whl: from the package index" in capsys.readouterr().out


def copied(name: str, site: Path) -> None:
    """The files of an installed package in `site`, as links where the file system allows that."""
    for file in metadata.files(name) or ():
        source = Path(str(file.locate()))
        if ".." in file.parts or file.suffix == ".pyc" or not source.is_file():
            continue
        (site / file).parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(source, site / file)
        except OSError:
            shutil.copy2(source, site / file)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_demo_runs_with_the_packages_that_it_installs(repository: Path, tmp_path: Path) -> None:
    environment = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    site = Path(sysconfig.get_path("purelib", vars={"base": str(environment), "platbase": str(environment)}))
    for name in (TORCH, *install.DEMO):
        copied(name, site)
    install.remove_unused(site)
    assert sum(file.stat().st_size for file in site.rglob("*") if file.is_file()) <= MOST_BYTES
    (site / "edgekit.pth").write_text(str(repository / "src"))

    done = subprocess.run(
        [environment / "bin" / "python", "-m", "edgekit", "build", "digits", "--launches", "5", "--out", "demo-out"],
        cwd=tmp_path,
        # The conversions of other tests would hide a package that is missing.
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        | {"EDGEKIT_CACHE": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr[-3000:]
    assert "VERDICT: pass" in done.stdout
    assert "shipped samples" not in done.stdout + done.stderr, "the data set of digits could not be read"
    # Without the variant of int8, which is that of this machine.
    made = set(
        re.findall(r"^((?:onnx|tflite)(?:-[a-z]+\w*)+?)(?:-[su]8[su][78])? +\d+\S* kB", done.stdout, re.MULTILINE)
    )
    assert made == {"onnx-fp32", "onnx-int8-static", "tflite-fp32", "tflite-int8-static"}
    assert (tmp_path / "demo-out" / "report.html").is_file()
