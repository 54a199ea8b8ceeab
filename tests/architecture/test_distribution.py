"""What is built holds each module once, and what is installed from it imports."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from edgekit.core.system.installation import Origin
from edgekit.core.system.version import VERSION
from edgekit.flows.writing.workflows import workflow_of

pytestmark = pytest.mark.slow
TOP = ("train", "export", "runtime", "devices")


@dataclass(frozen=True)
class Built:
    """The tree that was built from, and the names inside what came out."""

    tree: Path
    wheel: Path
    wheel_names: list[str]
    sdist_names: list[str]


@pytest.fixture(scope="module")
def built(copy_to: Callable[[Path], Path], tmp_path_factory: pytest.TempPathFactory) -> Built:
    """Source distribution and wheel, the wheel made from the source distribution, as PyPI users get it."""
    tree, out = copy_to(tmp_path_factory.mktemp("built") / "tree"), tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(tree)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    (wheel,), (sdist,) = out.glob("*.whl"), out.glob("*.tar.gz")
    with zipfile.ZipFile(wheel) as archive, tarfile.open(sdist) as source:
        top = sdist.name.removesuffix(".tar.gz") + "/"
        return Built(tree, wheel, archive.namelist(), [name.removeprefix(top) for name in source.getnames()])


def shipped(tree: Path) -> dict[str, str]:
    """Every file of the package as `{path in the tree: path in the package}`, the built metadata left out."""
    found = {}
    folders = {"src/edgekit": "edgekit"} | {name: f"edgekit/{name}" for name in TOP}
    for folder, inside in folders.items():
        for path in sorted(path for path in (tree / folder).rglob("*") if path.is_file()):
            relative = path.relative_to(tree / folder)
            if not (folder == "src/edgekit" and relative.parts[0] in TOP):
                found[str(path.relative_to(tree))] = str(Path(inside) / relative)
    return found


def modules(tree: Path) -> dict[str, str]:
    """The same for Python files alone."""
    return {name: inside for name, inside in shipped(tree).items() if name.endswith(".py")}


def test_the_wheel_holds_each_module_once(built: Built) -> None:
    names = [name for name in built.wheel_names if name.endswith(".py")]

    assert sorted(names) == sorted(modules(built.tree).values())


def test_the_source_distribution_holds_each_module_once(built: Built) -> None:
    names = [name for name in built.sdist_names if name.endswith(".py") and name.split("/")[0] in ("src", *TOP)]

    assert sorted(names) == sorted(modules(built.tree))


def test_the_wheel_holds_every_other_file_of_the_package(built: Built) -> None:
    data = {inside for name, inside in shipped(built.tree).items() if not name.endswith(".py")}

    assert {"edgekit/py.typed", "edgekit/report/pages/templates/report.html"} <= data
    assert data - set(built.wheel_names) == set()


@pytest.mark.parametrize("name", ["LICENSE", "NOTICE"])
def test_licence_and_notice_travel_with_both(name: str, built: Built) -> None:
    assert any(found.endswith(f".dist-info/licenses/{name}") for found in built.wheel_names)
    assert name in built.sdist_names


def test_an_installed_wheel_imports_every_layer(built: Built, tmp_path: Path) -> None:
    install = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--target",
        str(tmp_path),
        str(built.wheel),
    ]
    subprocess.run(install, capture_output=True, check=True)
    layers = ["edgekit", *(f"edgekit.{name}" for name in ("core", "report", "flows", "cli", *TOP))]

    source = f"import {', '.join(layers)}\nfor module in ({', '.join(layers)}): print(module.__file__)"
    environ = os.environ | {"PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", source], env=environ, cwd="/", capture_output=True, text=True, check=True
    )

    assert [str(Path(line).parent.relative_to(tmp_path)) for line in done.stdout.splitlines()] == [
        layer.replace(".", "/") for layer in layers
    ]


def test_make_wheel_gives_a_wheel_whose_command_runs_in_a_fresh_environment(
    copy_to: Callable[[Path], Path], tmp_path: Path
) -> None:
    tree, environment = copy_to(tmp_path / "tree"), tmp_path / "venv"
    # No network: the wheel is built with the setuptools of this environment.
    environ = os.environ | {"PIP_NO_BUILD_ISOLATION": "0"}
    command = ["make", "--no-print-directory", "wheel", f"PYTHON={sys.executable}"]
    made = subprocess.run(command, cwd=tree, env=environ, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    wheel = tree / made.stdout.strip()

    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    site = Path(sysconfig.get_path("purelib", vars={"base": str(environment), "platbase": str(environment)}))
    pip: list[str | Path] = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        environment / "bin" / "python",
        "install",
        "--quiet",
        "--no-deps",
    ]
    subprocess.run([*pip, wheel], check=True)
    # What edgekit needs comes from the environment of this test; its .pth files, edgekit's own among them, do not.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    said = subprocess.run(
        [environment / "bin" / "edgekit", "--version"],
        cwd=tmp_path,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout

    assert wheel.name == f"edgekit_onnx-{VERSION}-py3-none-any.whl"
    assert said.split()[-1] == VERSION
    assert (site / "edgekit" / "cli" / "main.py").is_file()


def test_the_workflow_installs_the_wheel_that_the_printed_command_makes(
    tmp_path: Path, copy_to: Callable[[Path], Path]
) -> None:
    checkout = copy_to(tmp_path / "checkout")
    made = workflow_of("github", Origin(str(checkout), runs_there=True))
    (told,) = made.remaining
    command = shlex.split(told.partition("To make it: ")[2])
    (wheel, extras) = re.findall(r'pip install "\./(edgekit-wheel/[\w.-]+\.whl)(\[[\w,]+\])"', made.text)[0]

    subprocess.run(
        [sys.executable, "-m", *command, "--no-build-isolation", "--quiet"], cwd=tmp_path, check=True, timeout=300
    )
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", "there"]
    subprocess.run([*pip, f"./{wheel}{extras}"], cwd=tmp_path, check=True, timeout=300)

    assert (tmp_path / "there" / "edgekit" / "__init__.py").is_file()
