"""Backends for a device: Python wheels, downloaded and packed on this machine, unpacked on the device."""

from __future__ import annotations

import gzip
import logging
import re
import shlex
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path, PurePosixPath
from typing import Final

from edgekit.core.errors import DeviceError, DiskFull, EnvironmentFault
from edgekit.core.system.durable.owners import temporary_folder
from edgekit.core.system.fetch import checked, is_recorded, record_checksum, refuse_offline
from edgekit.core.system.files import cached_folder, new_file, sha256_bytes, sha256_file
from edgekit.devices.remote.shell import Shell, shortened, succeeded
from edgekit.devices.remote.transfer import ensure, free_bytes

ENGINES: Final = ("onnxruntime", "ai-edge-litert")
ENGINES_32: Final = ("tflite-runtime",)
# Archive and unpacked files together, measured with the versions of 2026-12 and rounded up.
_NEEDED_BYTES: Final = {
    "numpy": 70_000_000,
    "onnxruntime": 75_000_000,
    "libonnxruntime": 45_000_000,
    "ai-edge-litert": 35_000_000,
    "tflite-runtime": 8_000_000,
}
FETCH_TIMEOUT_S: Final = 900
UNPACK_TIMEOUT_S: Final = 600
# Wheels name the oldest glibc 2.x they need; 17 is manylinux2014's.
_OLDEST_GLIBC: Final = 17
# ONNX Runtime 1.19 is the first that was built for NumPy 2; the metadata of older wheels allows it, too.
_ONNXRUNTIME_WHEEL: Final = re.compile(r"onnxruntime-1\.(\d+)\.")
_FIRST_WITH_NUMPY_2: Final = 19
# Where pip finds only older ones.
_OLD_GLIBC: Final = 27
# What running a model never imports, half of the size.
_UNUSED: Final = re.compile(
    r"(^|/)tests?/|^onnxruntime/(tools|transformers|quantization)/|WebGpuAccelerator|ThirdParty"
)
_PROBE: Final = """uname -m; getconf LONG_BIT 2>/dev/null || echo 64
getconf GNU_LIBC_VERSION 2>/dev/null || echo none 0.0
python3 -c 'import sys; print(*sys.version_info[:2])' 2>/dev/null || echo none"""
# What `_VERIFY` says of a backend that cannot be imported, and of one that is not there at all.
_FAILS: Final = re.compile(r"(onnxruntime|ai-edge-litert|tflite-runtime): ")
_ABSENT: Final = re.compile(r"No module named '(onnxruntime|ai_edge_litert|tflite_runtime)")
# A note in the folder of the backends, gone with it.
_WHY: Final = "site/.why"
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Platform:
    """What decides which wheels fit: architecture, minor version of glibc 2.x and version of Python."""

    machine: str
    glibc: int
    python: str

    @property
    def tags(self) -> tuple[str, ...]:
        """Platform tags that pip may choose from, best first; pip does not add older ones by itself."""
        tags = [f"manylinux_2_{minor}_{self.machine}" for minor in range(self.glibc, _OLDEST_GLIBC - 1, -1)]
        return (*tags, f"manylinux2014_{self.machine}")


def look(shell: Shell) -> Platform:
    """The device's platform; glibc 0 and an empty Python if it has none."""
    lines = succeeded(shell, shell.run(_PROBE), "reading its system").text.splitlines()
    machine, bits, libc, python = (*lines, "", "", "", "")[:4]
    if bits == "32" and machine == "aarch64":
        machine = "armv7l"
    version = re.fullmatch(r"glibc [0-9]{1,4}\.([0-9]{1,4})", libc)
    minor = int(version[1]) if version else 0
    return Platform(machine, minor, "" if python == "none" else ".".join(python.split()[:2]))


def probe(shell: Shell) -> Platform:
    """The device's platform.

    Raises:
        DeviceError: It has no Python 3 or no glibc.
    """
    platform = look(shell)
    if not platform.glibc:
        raise DeviceError(
            f"'{shell.name}' has no glibc, which wheels need.", hint=f"edgekit devices prepare {shell.name}"
        )
    if not platform.python:
        raise DeviceError(f"'{shell.name}' has no Python 3.", hint=f"Run on '{shell.name}': sudo apt install python3")
    return platform


def prepare(shell: Shell, cache: Path, *, offline: bool = False, packages: Sequence[str] = ()) -> str:
    """Install backends on the device and return their versions as text; quick if they are already there.

    Backends of an earlier `prepare` are removed.

    Args:
        cache: Where this machine keeps downloads; what is there needs no network.
        packages: Their names in Python; all that the device can have if empty.

    Raises:
        DeviceError: There are no wheels for the device, or they cannot be imported there.
        DiskFull: There is no space for them, which is known before anything is sent.
        EnvironmentFault: They are not in the cache, and `offline` is set or the download failed.
    """
    platform = probe(shell)
    wanted = _chosen(packages, _engines_for(platform, shell.name), platform, shell.name)
    if shell.run(f'[ -f "{shell.root}/site/.complete" ]').code:
        refuse_full(shell, wanted)
    archive = packed(platform, cache, wanted, offline=offline)
    install(shell, archive, "site", wanted)
    found = verify(shell)
    remove_others(shell, archive, "site")
    why = _why_other(found, platform)
    note = f'printf %s {shlex.quote(why)} > "{shell.root}/{_WHY}"'
    succeeded(shell, shell.run(note), "noting why it has these versions")
    return found + why


def why_these(shell: Shell) -> str:
    """Why the last `prepare` installed other versions than those of this machine, in brackets; empty if it did not."""
    said = shortened(shell.run(f'cat "{shell.root}/{_WHY}" 2>/dev/null').text)
    return f" {said}" if said else ""


def _chosen(wanted: Sequence[str], possible: tuple[str, ...], platform: Platform, name: str) -> tuple[str, ...]:
    """The packages to install.

    Raises:
        DeviceError: One of them has no builds for the platform.
    """
    for one in wanted:
        if one not in possible:
            raise DeviceError(
                f"There is no {one} for {platform.machine}, only {' and '.join(possible)}.",
                hint=f"edgekit devices prepare {name}",
            )
    return tuple(wanted) or possible


def _why_other(found: str, platform: Platform) -> str:
    """What differs from the versions on this machine, and why; empty if nothing does."""
    pairs = [one.rpartition(" ")[::2] for one in found.split(", ")]
    other = [(name, here) for name, version in pairs if (here := _version_here(name)) not in ("", version)]
    if not other:
        return ""
    names = " and ".join(f"{name} {version}" for name, version in other)
    return f" ({names} as on this machine have no build for Python {platform.python} and glibc 2.{platform.glibc})"


def _version_here(package: str) -> str:
    return pinned(package).partition("==")[2]


def install(shell: Shell, archive: Path, name: str, packages: Sequence[str]) -> None:
    """Unpack `archive` (.tar.gz, with a file `.complete`) on the device as folder `name`, unless it is there.

    Raises:
        DiskFull: There is no space for `packages`; nothing is sent.
    """
    digest = sha256_file(archive)
    folder = _folder(name, digest)
    if shell.run(f'[ -f "{shell.root}/{folder}/.complete" ]').code:
        refuse_full(shell, packages)
        ensure(shell, {digest: archive})
        _unpack(shell, digest, folder)
    succeeded(shell, shell.run(f'cd "{shell.root}" && ln -sfn {folder} {name}'), "selecting its backends")


def remove_others(shell: Shell, archive: Path, name: str) -> None:
    """Remove what earlier calls of `install` unpacked for `name`, and what they left half-done."""
    kept = _folder(name, sha256_file(archive))
    command = f"""cd "{shell.root}" && for folder in {name}-*; do
  [ "$folder" = {kept} ] || rm -rf "$folder"
done"""
    succeeded(shell, shell.run(command, timeout_s=UNPACK_TIMEOUT_S), "removing old backends")


def _folder(name: str, digest: str) -> str:
    return f"{name}-{digest[:16]}"


def needed_bytes(packages: Sequence[str]) -> int:
    """What installing `packages` needs, with numpy where it is sent along."""
    numpy = 0 if {"tflite-runtime", "libonnxruntime"} & {*packages} else _NEEDED_BYTES["numpy"]
    return numpy + sum(_NEEDED_BYTES[name] for name in packages)


def refuse_full(shell: Shell, packages: Sequence[str]) -> None:
    """Raise before anything is downloaded or sent, if the device has no space for it.

    Raises:
        DiskFull: It is too small; the hint is ONNX Runtime alone, as a C library, if that fits.
    """
    free, needed = free_bytes(shell), needed_bytes(packages)
    if free is None or free >= needed:
        return
    alone = needed_bytes(["libonnxruntime"])
    hint = f"edgekit devices clean {shell.name}   # or free space there"
    if "onnxruntime" in packages and alone <= free:
        hint = f"edgekit devices prepare {shell.name} --backend onnxruntime   # needs {alone / 1e6:.0f} MB"
    raise DiskFull(
        f"'{shell.name}' has {free / 1e6:.0f} MB free; {' and '.join(packages)} need {needed / 1e6:.0f} MB.", hint=hint
    )


def verify(shell: Shell) -> str:
    """Versions of the backends that can be imported on the device, e.g. `onnxruntime 1.31.1, ai-edge-litert 2.3.0`.

    Raises:
        DeviceError: None of them can be imported.
    """
    finished = shell.run(_VERIFY.replace("ROOT", shell.root), timeout_s=UNPACK_TIMEOUT_S)
    found = ", ".join(finished.text.splitlines())
    if not found:
        raise DeviceError(
            f"'{shell.name}' has no working backend: {_why_none(finished.err)}",
            hint=f"edgekit devices prepare {shell.name}",
        )
    return found


def _why_none(said: str) -> str:
    """Why no backend can be imported, from what the device said: the first that is there and fails, if there is one."""
    fails = [line for line in said.splitlines() if _FAILS.match(line) and not _ABSENT.search(line)]
    return fails[0] if fails else "none is installed."


_VERIFY: Final = """ORT_DISABLE_TELEMETRY=1 PYTHONPATH="ROOT/site" exec python3 -c '
import importlib, sys
from importlib import metadata
for module, name in (("onnxruntime", "onnxruntime"), ("ai_edge_litert.interpreter", "ai-edge-litert"),
                     ("tflite_runtime.interpreter", "tflite-runtime")):
    try:
        importlib.import_module(module)
        print(name, metadata.version(name))
    except Exception as err:
        print(f"{name}: {err}", file=sys.stderr)
'"""


def packed(platform: Platform, cache: Path, engines: Sequence[str], *, offline: bool = False) -> Path:
    """The archive of the named backends for `platform`, made from wheels if it is not in `cache` yet.

    Raises:
        Unreadable: The archive in the cache has changed since it was made.
    """
    wanted = tuple(pinned(name) for name in engines)
    numpy = "numpy 1" if platform.glibc < _OLD_GLIBC else ""
    key = sha256_bytes(f"{platform}{wanted}{_UNUSED.pattern}{numpy}".encode())[:16]
    archive = cache / "engines" / f"{platform.machine}-py{platform.python}-glibc2.{platform.glibc}-{key}.tar.gz"
    if not is_recorded(archive):
        refuse_offline(f"The backends for {platform.machine}, Python {platform.python} are", offline=offline)
        with temporary_folder() as folder:
            wheels = fetched(platform, wanted, Path(folder))
            _pack(wheels, Path(folder) / "site", archive)
        record_checksum(archive)
    return checked(archive)


def _engines_for(platform: Platform, name: str) -> tuple[str, ...]:
    if platform.machine in ("aarch64", "x86_64"):
        return ENGINES
    if platform.machine == "armv7l":
        return ENGINES_32
    raise DeviceError(
        f"No backend supports the architecture '{platform.machine}' of '{name}'.",
        hint="Use a 64-bit Arm or x86 device.",
    )


def pinned(name: str) -> str:
    """The requirement for the version on this machine: the same version gives the same outputs."""
    try:
        return f"{name}=={metadata.version(name)}"
    except metadata.PackageNotFoundError:
        return name


def fetched(platform: Platform, wanted: Sequence[str], folder: Path) -> list[Path]:
    """Wheels of `wanted` and numpy in `folder`; if a version has no wheel, the newest that fits.

    Raises:
        DeviceError: There are no wheels for the platform.
        EnvironmentFault: pip could not download them.
    """
    _log.info("fetching %s for %s", ", ".join(wanted), platform)
    said = ""
    # tflite-runtime's boards have numpy from their system; there are no wheels of it for them.
    numpy = [] if any(name.startswith("tflite-runtime") for name in wanted) else ["numpy"]
    for names in (wanted, [name.partition("==")[0] for name in wanted]):
        said = _pip_download(platform, [*names, *numpy], folder)
        wheels = sorted(folder.glob("*.whl"))
        if not said and any(_needs_old_numpy(wheel) for wheel in wheels):
            for wheel in folder.glob("numpy-*.whl"):
                wheel.unlink()
            said = _pip_download(platform, ["numpy<2"], folder)
            wheels = sorted(folder.glob("*.whl"))
        if not said:
            return wheels
    if re.search(r"No matching distribution|Could not find a version", said):
        raise DeviceError(
            f"There are no wheels of {', '.join(wanted)} for {platform.machine}, Python {platform.python} and "
            f"glibc 2.{platform.glibc}.",
            hint="Use a 64-bit Raspberry Pi OS 12 (Bookworm) or newer.",
        )
    raise EnvironmentFault(f"pip could not download the backends: {said}", hint="Check the network, then retry.")


def _needs_old_numpy(wheel: Path) -> bool:
    """Whether a wheel was built for NumPy 1: with NumPy 2 it is imported and then crashes."""
    found = _ONNXRUNTIME_WHEEL.match(wheel.name)
    return found is not None and int(found[1]) < _FIRST_WITH_NUMPY_2


def _pip_download(platform: Platform, names: Sequence[str], folder: Path) -> str:
    """Let pip fetch `names` into `folder`; gives its last complaint, empty when all are there."""
    tags = [part for tag in platform.tags for part in ("--platform", tag)]
    command = [sys.executable, "-P", "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    command += ["--disable-pip-version-check", "--python-version", platform.python, *tags, "--dest", str(folder)]
    try:
        done = subprocess.run([*command, *names], capture_output=True, text=True, timeout=FETCH_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        return f"pip did not finish within {FETCH_TIMEOUT_S} s"
    complaints = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
    return "" if done.returncode == 0 else (complaints or done.stderr.splitlines() or ["pip failed"])[-1]


def _pack(wheels: Sequence[Path], site: Path, archive: Path) -> None:
    """Write the content of `wheels` as one archive; the same wheels give the same bytes."""
    with cached_folder(site) as staging:
        for wheel in wheels:
            _unzip(wheel, staging)
        (staging / ".complete").touch()
        with new_file(archive) as part:
            write_archive(staging, part)


def write_archive(folder: Path, archive: Path) -> None:
    """Write the files in `folder` as .tar.gz; equal content gives equal bytes."""
    # Level 1: the last 4 % of size would take five times as long. No name, no time: equal content, equal bytes.
    with (
        archive.open("wb") as raw,
        gzip.GzipFile(fileobj=raw, mode="wb", compresslevel=1, mtime=0, filename="") as stream,
        tarfile.open(fileobj=stream, mode="w") as tar,
    ):
        for path in sorted(folder.rglob("*")):
            tar.add(path, path.relative_to(folder).as_posix(), recursive=False, filter=_plain)


def _unzip(wheel: Path, folder: Path) -> None:
    with zipfile.ZipFile(wheel) as content:
        for entry in _used(content):
            content.extract(entry, folder)
    # auditwheel puts shared libraries into a folder next to the package; other *.data content is not for import.
    for data in folder.glob("*.data"):
        shutil.rmtree(data)


def _used(content: zipfile.ZipFile) -> Iterator[zipfile.ZipInfo]:
    for entry in content.infolist():
        parts = PurePosixPath(entry.filename).parts
        if ".." not in parts and not entry.filename.startswith("/") and not _UNUSED.search(entry.filename):
            yield entry


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mtime = 0
    member.mode = 0o755 if member.isdir() else 0o644
    return member


def _unpack(shell: Shell, digest: str, folder: str) -> None:
    """Unpack the archive under another name first; the archive is not needed any more then."""
    command = f"""cd "{shell.root}" && rm -rf {folder}.part && mkdir {folder}.part &&
tar -x -z -f blobs/{digest} -C {folder}.part && mv {folder}.part {folder} && rm -f blobs/{digest} && exit 0
code=$?; rm -rf {folder}.part; exit $code"""
    succeeded(shell, shell.run(command, timeout_s=UNPACK_TIMEOUT_S), "unpacking the backends")


def clean(shell: Shell) -> None:
    """Remove everything that edgekit installed on the device, and the cache folder if it is empty then."""
    parent = ' && { rmdir "$HOME/.cache" 2>/dev/null || true; }' if shell.root.startswith("$HOME/.cache/") else ""
    succeeded(shell, shell.run(f'rm -rf "{shell.root}"{parent}', timeout_s=UNPACK_TIMEOUT_S), "cleaning up")
