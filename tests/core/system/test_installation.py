"""Promises of core/system/installation.py."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edgekit.core.system import installation
from edgekit.core.system.installation import (
    DISTRIBUTION,
    Origin,
    install_command,
    origin,
    others,
    pip_install,
    reinstall_command,
    requirement,
    requirements,
    system_install,
)


def distribution(folder: Path, name: str, version: str = "9.9", **files: str) -> None:
    """An installed distribution without modules; `files` by name with `_` for `.` and `-`."""
    record = folder / f"{name}-{version}.dist-info"
    record.mkdir(parents=True)
    (record / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nSummary: a summary\n")
    for file, text in files.items():
        (record / {"entry_points": "entry_points.txt", "direct_url": "direct_url.json"}[file]).write_text(text)


def test_an_extra_brings_what_its_extras_bring() -> None:
    assert requirements("cpu") == ("onnxruntime>=1.20.1",)
    assert set(requirements("export")) < set(requirements("train"))
    assert all("edgekit" not in one and ";" not in one for extra in installation.EXTRAS for one in requirements(extra))


def test_a_package_is_named_with_its_version() -> None:
    assert requirement("onnx") == "onnx>=1.19"
    assert requirement("onnxruntime-openvino") == "onnxruntime-openvino"


def test_a_command_quotes_what_a_shell_reads() -> None:
    assert pip_install(["numpy<2", "tensorrt"], "--upgrade") == 'pip install --upgrade "numpy<2" tensorrt'


def test_a_hint_installs_the_asked_package_and_what_else_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installation, "_is_installed", lambda package: package != "onnxslim")

    assert install_command("torch.onnx", "export") == 'pip install "torch>=2.10" "onnxslim>=0.1.70"'
    assert install_command("PIL.Image", "images") == 'pip install "pillow>=10"'


def test_a_broken_package_is_installed_again() -> None:
    assert reinstall_command("ai_edge_litert.interpreter", "tflite") == (
        'pip install --force-reinstall "ai-edge-litert>=2.1"'
    )


def test_a_checkout_is_upgraded_by_git() -> None:
    found = origin()

    assert found == Origin(str(Path(__file__).parents[3]), runs_there=True)
    assert found.upgrade == f"git -C {found.source} pull"
    assert found.restore(Path("weights/net.safetensors")) == "git -C weights restore net.safetensors"


FOLDER = str(Path(__file__).parent)


@pytest.mark.parametrize(
    ("record", "source", "install", "upgrade"),
    [
        (None, DISTRIBUTION, f"pip install {DISTRIBUTION}", f"pip install --upgrade {DISTRIBUTION}"),
        (
            {"url": f"file://{FOLDER}", "dir_info": {}},
            FOLDER,
            f"pip install {FOLDER}",
            f"git -C {FOLDER} pull && pip install {FOLDER}",
        ),
        (
            {"url": "file:///my%20wheels/edgekit_onnx-0.1.0-py3-none-any.whl", "archive_info": {}},
            "/my wheels/edgekit_onnx-0.1.0-py3-none-any.whl",
            'pip install "/my wheels/edgekit_onnx-0.1.0-py3-none-any.whl"',
            f"pip install --upgrade --no-index --find-links '/my wheels' {DISTRIBUTION}",
        ),
        (
            {"url": "https://host/edgekit", "vcs_info": {"vcs": "git", "requested_revision": "main"}},
            f"{DISTRIBUTION} @ git+https://host/edgekit@main",
            f'pip install "{DISTRIBUTION} @ git+https://host/edgekit@main"',
            f'pip install --upgrade "{DISTRIBUTION} @ git+https://host/edgekit@main"',
        ),
    ],
    ids=["index", "folder", "wheel", "git"],
)
def test_an_installation_is_upgraded_from_where_it_came(
    record: dict[str, Any] | None,
    source: str,
    install: str,
    upgrade: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    distribution(tmp_path, "edgekit_onnx", **({"direct_url": json.dumps(record)} if record else {}))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(installation, "__file__", str(tmp_path / "edgekit/core/system/installation.py"))

    found = origin()

    assert (found.source, found.install, found.upgrade) == (source, install, upgrade)
    assert "--no-deps" in found.restore(Path("net.safetensors"))


@pytest.mark.parametrize(
    ("scripts", "is_earlier"),
    [("edgekit = edgekit.cli:run", False), ("edgekit = edgekit.cli.main:main", True)],
    ids=["a stranger's", "ours"],
)
def test_a_distribution_called_edgekit_is_told_from_this_one(
    scripts: str, is_earlier: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    distribution(tmp_path, "edgekit", "0.1.1", entry_points=f"[console_scripts]\n{scripts}\n")
    monkeypatch.setattr("sys.path", [str(tmp_path)])

    assert [(found.version, earlier) for found, earlier in others()] == [("0.1.1", is_earlier)]


@pytest.mark.parametrize(
    ("system", "package", "command"),
    [
        ("linux", "qemu-user-static", "sudo apt install qemu-user-static"),
        ("darwin", "openssh-client", "brew install openssh"),
        ("darwin", "adb", "brew install --cask android-platform-tools"),
        ("darwin", "qemu-user-static", ""),
    ],
)
def test_a_program_is_installed_by_what_the_system_has(system: str, package: str, command: str) -> None:
    assert system_install(package, system) == command
