"""Backends on a device: space, old versions, and the C library."""

from __future__ import annotations

import os
import re
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from tests.standins.cache import cache_folder
from tests.standins.jobs import Y, job_of
from tests.standins.local_shell import LocalShell

from edgekit.core.errors import DeviceError, DiskFull, EnvironmentFault, Unreadable, UserError
from edgekit.core.samples import read_arrays
from edgekit.devices.remote import engines, onnxruntime_library
from edgekit.devices.remote.engines import ENGINES, Platform, install, needed_bytes, refuse_full, remove_others
from edgekit.devices.remote.onnxruntime_library import prepare_native
from edgekit.devices.remote.readiness import check
from edgekit.devices.remote.shell_device import Runners, ShellDevice
from edgekit.runtime.portable import C_RUNNERS, PYTHON_RUNNER


def archive_of(folder: Path, text: str) -> Path:
    """An archive with one file, as `packed` makes them."""
    content = folder / text
    content.mkdir()
    (content / "version").write_text(text)
    (content / ".complete").touch()
    engines.write_archive(content, folder / f"{text}.tar.gz")
    return folder / f"{text}.tar.gz"


def wheel_of(folder: Path) -> list[Path]:
    """A wheel of ONNX Runtime with the one file that matters here."""
    with zipfile.ZipFile(folder / "onnxruntime-1.31.1-py3-none-any.whl", "w") as wheel:
        wheel.writestr("onnxruntime/capi/libonnxruntime.so.1.31.1", b"\x7fELF")
    return [folder / "onnxruntime-1.31.1-py3-none-any.whl"]


def test_a_cached_archive_that_has_changed_is_not_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    platform, downloads = Platform("aarch64", 36, "3.11"), list[Path]()

    def fetched(_: Platform, __: object, folder: Path) -> list[Path]:
        downloads.append(folder)
        return wheel_of(folder)

    monkeypatch.setattr(engines, "fetched", fetched)
    archive = engines.packed(platform, tmp_path, ENGINES)
    again = engines.packed(platform, tmp_path, ENGINES, offline=True)
    archive.write_bytes(b"of someone else")

    with pytest.raises(Unreadable, match="has changed since it was downloaded") as caught:
        engines.packed(platform, tmp_path, ENGINES)

    assert again == archive
    assert caught.value.hint.startswith(f"rm {archive}   #")
    archive.unlink()
    assert engines.packed(platform, tmp_path, ENGINES) == archive
    assert len(downloads) == 2


def test_a_cached_archive_without_its_checksum_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    platform = Platform("aarch64", 36, "3.11")
    monkeypatch.setattr(engines, "fetched", lambda _, __, folder: wheel_of(folder))
    archive = engines.packed(platform, tmp_path, ENGINES)
    archive.with_name(f"{archive.name}.sha256").unlink()
    archive.write_bytes(b"of someone else")

    with pytest.raises(EnvironmentFault, match="not in the cache"):
        engines.packed(platform, tmp_path, ENGINES, offline=True)

    with tarfile.open(engines.packed(platform, tmp_path, ENGINES)) as made:
        assert ".complete" in made.getnames()


@pytest.mark.parametrize("changed", ["libonnxruntime-*/libonnxruntime.so.1.31.1", "native-*.tar.gz"])
def test_a_cached_library_that_has_changed_is_not_sent(
    changed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnxruntime_library, "fetched", lambda _, __, folder: wheel_of(folder))
    machine, library = "x86_64", onnxruntime_library._library("x86_64", tmp_path, offline=False)
    onnxruntime_library._packed(machine, library, [], tmp_path)
    (file,) = (tmp_path / "engines").glob(changed)
    file.write_bytes(b"of someone else")

    with pytest.raises(Unreadable, match="has changed since it was downloaded"):
        onnxruntime_library._packed(
            machine, onnxruntime_library._library(machine, tmp_path, offline=True), [], tmp_path
        )


def test_space_is_checked_before_anything_is_downloaded(tiny_disk: Path, tmp_path: Path) -> None:
    with pytest.raises(DiskFull, match=r"'here' has 0 MB free; onnxruntime and ai-edge-litert need 180 MB") as caught:
        engines.prepare(LocalShell(tiny_disk), tmp_path / "empty", offline=True)

    assert caught.value.hint.startswith("edgekit devices clean here")
    assert list(tiny_disk.iterdir()) == []


def test_onnx_runtime_alone_is_offered_where_it_fits(here: LocalShell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "free_bytes", lambda shell: 100_000_000)

    with pytest.raises(DiskFull, match="has 100 MB free") as caught:
        refuse_full(here, ENGINES)

    assert caught.value.hint == "edgekit devices prepare here --backend onnxruntime   # needs 45 MB"
    assert needed_bytes(["libonnxruntime"]) < needed_bytes(["onnxruntime"]) < needed_bytes(ENGINES)


def test_backends_of_an_earlier_version_are_removed(here: LocalShell, tmp_path: Path) -> None:
    old, new = archive_of(tmp_path, "old"), archive_of(tmp_path, "new")
    install(here, old, "site", ())
    (here.folder / "site-abandoned.part").mkdir()

    install(here, new, "site", ())
    remove_others(here, new, "site")

    assert (here.folder / "site/version").read_text() == "new"
    assert len(list(here.folder.glob("site*"))) == 2


def test_other_versions_than_here_are_explained() -> None:
    platform = Platform("aarch64", 27, "3.8")
    here = engines.pinned("onnxruntime").partition("==")[2]

    assert engines._why_other(f"onnxruntime {here}", platform) == ""
    assert engines._why_other("onnxruntime 1.16.3, unknown 1.0", platform) == (
        f" (onnxruntime {here} as on this machine have no build for Python 3.8 and glibc 2.27)"
    )


def test_a_backend_without_a_build_is_refused(here: LocalShell, tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="There is no tflite-runtime for"):
        engines.prepare(here, tmp_path, offline=True, packages=("tflite-runtime",))


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the C library of this machine is sent to an x86-64 device")
@pytest.mark.slow
@pytest.mark.device
def test_a_device_with_an_old_glibc_gets_versions_that_run_and_is_told_why(tmp_path: Path) -> None:
    """This machine, whose `getconf` reports the glibc of CentOS 7: an older ONNX Runtime, and NumPy 1 for it."""
    programs, home = tmp_path / "bin", tmp_path / "home"
    programs.mkdir()
    home.mkdir()
    old = '[ "$1" = GNU_LIBC_VERSION ] && echo glibc 2.17 || exec /usr/bin/getconf "$@"'
    for name, text in {"getconf": old, "python3": f'exec {sys.executable} "$@"'}.items():
        (programs / name).write_text(f"#!/bin/sh\n{text}\n")
        (programs / name).chmod(0o755)
    shell = LocalShell(home, python=programs)

    said = engines.prepare(shell, cache_folder() / "wheels", packages=["onnxruntime"])
    with ShellDevice(shell, Runners(PYTHON_RUNNER, C_RUNNERS)) as device:
        job = job_of("linear.onnx", tmp_path)
        result = device.measure(job)
    checks = {one.name: one for one in check(shell, C_RUNNERS)}

    here = engines.pinned("onnxruntime").partition("==")[2]
    assert f"onnxruntime {here}" in said
    assert "as on this machine have no build for Python 3." in said
    assert said.endswith("and glibc 2.17)")
    np.testing.assert_array_equal(read_arrays(Path(job.outputs), UserError)["0:y"], Y)
    assert result.engine.startswith("onnxruntime 1.")
    assert result.engine in said
    assert result.engine != f"onnxruntime {here}"
    assert checks["python"].found.endswith("glibc 2.17")
    assert result.engine in checks["runtime"].found
    assert checks["runtime"].found.endswith(said[said.index(" (") :])


def test_a_check_repeats_why_the_backends_are_other_versions_until_they_are_removed(here: LocalShell) -> None:
    (here.folder / "site").mkdir(parents=True)
    assert engines.why_these(here) == ""

    (here.folder / "site/.why").write_text(" (onnxruntime 1.31.1 as on this machine have no build\n\x1b[2J)")
    assert engines.why_these(here) == " (onnxruntime 1.31.1 as on this machine have no build \x1b[2J)"
    assert not here.folder.joinpath("why").exists()


def test_a_device_without_glibc_gets_the_packages_of_its_own_architecture(here: LocalShell, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not contain ld-linux-x86-64") as caught:
        prepare_native(here, C_RUNNERS, cache_folder() / "wheels", libraries=tmp_path)

    assert caught.value.hint == "sudo apt install libc6 libgcc-s1 libstdc++6"
    assert onnxruntime_library._packages("aarch64") == (
        "sudo apt install libc6-arm64-cross libgcc-s1-arm64-cross libstdc++6-arm64-cross"
    )


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the C library of this machine is sent to an x86-64 device")
@pytest.mark.slow
def test_an_x86_device_without_glibc_runs_onnx_files(here: LocalShell, tmp_path: Path) -> None:
    job = job_of("linear.onnx", tmp_path)

    said = prepare_native(here, C_RUNNERS, cache_folder() / "wheels")
    with ShellDevice(here, Runners(PYTHON_RUNNER, C_RUNNERS)) as device:
        device.measure(job)

    assert said.startswith("onnxruntime ")
    np.testing.assert_array_equal(read_arrays(Path(job.outputs), UserError)["0:y"], Y)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("printf '...'; exec python3 -c ...: exec: line 2: python3: not found", "none is installed."),
        ("tflite-runtime: No module named 'tflite_runtime'", "none is installed."),
        ("onnxruntime: libgomp.so.1 is missing\ntflite-runtime: No module named 'tflite_runtime'", "onnxruntime: lib"),
    ],
)
def test_a_device_without_a_backend_is_told_so_and_one_whose_backend_fails_is_told_why(
    tmp_path: Path, said: str, reason: str
) -> None:
    """The first is a phone's, whose shell repeats its whole command."""
    python = tmp_path / "bin" / "python3"
    python.parent.mkdir()
    python.write_text(f"#!/bin/sh\ncat >&2 <<'END'\n{said}\nEND\nexit 127\n")
    python.chmod(0o755)

    with pytest.raises(DeviceError, match=f"^'here' has no working backend: {re.escape(reason)}"):
        engines.verify(LocalShell(tmp_path, python=python.parent))
