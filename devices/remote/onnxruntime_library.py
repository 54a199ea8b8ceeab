"""ONNX Runtime as a C library, for devices without Python: the C runner loads it.

A phone has no glibc either: the loader and the libraries that ONNX Runtime needs are sent with it.
"""

from __future__ import annotations

import os
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from edgekit.core.errors import DeviceError, EnvironmentFault, UserError
from edgekit.core.system.durable.owners import temporary_folder
from edgekit.core.system.fetch import checked, is_recorded, record_checksum, refuse_offline
from edgekit.core.system.files import cached_folder, new_file, sha256_bytes, sha256_file
from edgekit.devices.remote.engines import Platform, fetched, install, pinned, remove_others, write_archive
from edgekit.devices.remote.shell import Shell, succeeded
from edgekit.devices.remote.transfer import ensure

# ONNX Runtime's wheels are made for glibc 2.28; any Python's wheel holds the same library.
GLIBC: Final = 28
_PYTHON: Final = "3.11"
_LOADERS: Final = {"aarch64": "ld-linux-aarch64.so.1", "x86_64": "ld-linux-x86-64.so.2"}
_LIBRARIES: Final = (
    "libc.so.6",
    "libm.so.6",
    "libdl.so.2",
    "libpthread.so.0",
    "librt.so.1",
    "libgcc_s.so.1",
    "libstdc++.so.6",
)
_LIBRARY: Final = "libonnxruntime.so.*"
# Where Debian's packages libc6-arm64-cross and the like put them.
_CROSS: Final = "/usr/{machine}-linux-gnu/lib"
_PACKAGES: Final = ("libc6", "libgcc-s1", "libstdc++6")
_DEBIAN: Final = {"aarch64": "arm64", "x86_64": "amd64"}


def prepare_native(
    shell: Shell,
    runners: Mapping[str, Path],
    cache: Path,
    *,
    libraries: Path | None = None,
    has_glibc: bool = False,
    offline: bool = False,
) -> str:
    """Install ONNX Runtime's library on the device and return its version as text; quick if it is already there.

    Args:
        runners: The C program by architecture.
        libraries: A folder on this machine that contains the device's glibc; by default Debian's folder for it.
        has_glibc: The device has its own glibc.

    Raises:
        DeviceError: The C runner does not support the architecture, or the library cannot be loaded there.
        UserError: `libraries` lacks one of the files.
        EnvironmentFault: The wheel is not in the cache and cannot be downloaded.
    """
    machine = succeeded(shell, shell.run("uname -m"), "reading its system").text
    if machine not in runners:
        raise DeviceError(
            f"No backend supports the architecture '{machine}' of '{shell.name}'.",
            hint="Use a 64-bit Arm or x86 device.",
        )
    glibc = [] if has_glibc else _glibc_files(machine, libraries)
    archive = _packed(machine, _library(machine, cache, offline=offline), glibc, cache)
    install(shell, archive, "native", ("libonnxruntime",))
    found = verify_native(shell, runners[machine])
    remove_others(shell, archive, "native")
    return found


def verify_native(shell: Shell, runner: Path) -> str:
    """Name and version of the library that the C runner loads on the device.

    Raises:
        DeviceError: There is none, or it cannot be loaded.
    """
    digest = sha256_file(runner)
    ensure(shell, {digest: runner})
    command = f"""cd "{shell.root}" || exit
chmod 700 blobs/{digest}
for library in native/libonnxruntime.so* site/onnxruntime/capi/libonnxruntime.so.*; do
  [ -f "$library" ] || continue
  for loader in native/ld-linux*; do
    [ -f "$loader" ] || continue
    chmod 700 "$loader"
    exec "./$loader" --library-path native blobs/{digest} -l "$library" -V
  done
  exec blobs/{digest} -l "./$library" -V
done
exit 1"""
    finished = shell.run(command)
    if finished.code:
        said = finished.text or finished.err.strip() or "there is none"
        raise DeviceError(
            f"Cannot load ONNX Runtime on '{shell.name}': {said[-200:]}",
            hint=f"edgekit devices prepare {shell.name}",
        )
    return finished.text


def _glibc_files(machine: str, folder: Path | None) -> list[Path]:
    source = folder or _usual_folder(machine)
    files = [_find(source, name, machine) for name in (_LOADERS[machine], *_LIBRARIES)]
    missing = [name for name, file in zip((_LOADERS[machine], *_LIBRARIES), files, strict=True) if file is None]
    if missing and folder is None:
        raise EnvironmentFault(
            f"The C library for {machine} is not on this machine ('{source}').", hint=_packages(machine)
        )
    if missing:
        raise UserError(f"'{folder}' does not contain {', '.join(missing)}.", hint=_packages(machine))
    return [file for file in files if file is not None]


def _usual_folder(machine: str) -> Path:
    """Where Debian has the C library for `machine`: this machine's own, or that for another architecture."""
    return Path("/") if machine == os.uname().machine else Path(_CROSS.format(machine=machine))


def _packages(machine: str) -> str:
    """The command that installs the C library for `machine` on this machine."""
    is_own, name = machine == os.uname().machine, _DEBIAN[machine]
    return "sudo apt install " + " ".join(one if is_own else f"{one}-{name}-cross" for one in _PACKAGES)


def _find(folder: Path, name: str, machine: str) -> Path | None:
    """The file called `name` in `folder` or below its lib folders, links followed."""
    below = ("lib", "lib64", f"lib/{machine}-linux-gnu", f"usr/lib/{machine}-linux-gnu")
    places = (folder, *(folder / one for one in below))
    return next((place / name for place in places if (place / name).is_file()), None)


def _library(machine: str, cache: Path, *, offline: bool) -> Path:
    """ONNX Runtime's library out of its wheel; errors as in `checked`."""
    wanted = pinned("onnxruntime")
    folder = cache / "engines" / f"libonnxruntime-{machine}-{wanted.partition('==')[2] or 'newest'}"
    if not any(map(is_recorded, folder.glob(_LIBRARY))):
        refuse_offline(f"ONNX Runtime for {machine} is", offline=offline)
        with temporary_folder() as wheels:
            found = fetched(Platform(machine, GLIBC, _PYTHON), (wanted,), Path(wheels))
            shutil.rmtree(folder, ignore_errors=True)
            _extract(next(wheel for wheel in found if wheel.name.startswith("onnxruntime-")), folder)
    return checked(next(path for path in folder.glob(_LIBRARY) if is_recorded(path)))


def _extract(wheel: Path, folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(wheel) as content, cached_folder(folder) as staging:
        name = next(name for name in content.namelist() if "/capi/libonnxruntime.so." in name)
        library = staging / Path(name).name
        library.write_bytes(content.read(name))
        record_checksum(library)


def _packed(machine: str, library: Path, glibc: list[Path], cache: Path) -> Path:
    """One archive of the library and the C library."""
    files = [library, *glibc]
    key = sha256_bytes("".join(sha256_file(file) for file in files).encode())[:16]
    archive = cache / "engines" / f"native-{machine}-{key}.tar.gz"
    if not is_recorded(archive):
        with temporary_folder() as folder:
            for file in files:
                shutil.copyfile(file, Path(folder) / file.name)
            (Path(folder) / ".complete").touch()
            with new_file(archive) as part:
                write_archive(Path(folder), part)
        record_checksum(archive)
    return checked(archive)
