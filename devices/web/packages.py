"""The engines that run in a browser: npm packages of pinned content, fetched into the cache when the user says so."""

from __future__ import annotations

import base64
import hashlib
import io
import re
import tarfile
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edgekit.core.errors import EnvironmentFault
from edgekit.core.system.files import new_folder

_REGISTRY: Final = "https://registry.npmjs.org"
_TIMEOUT_S: Final = 120


@dataclass(frozen=True)
class Package:
    """One npm package: the sha512 of its archive, and which of its files are served as `/SHORT/...`."""

    short: str
    name: str
    version: str
    sha512: str
    files: str

    @property
    def url(self) -> str:
        """Where npm has it."""
        return f"{_REGISTRY}/{self.name}/-/{self.name.rpartition('/')[2]}-{self.version}.tgz"


PACKAGES: Final = (
    Package(
        "ort",
        "onnxruntime-web",
        "1.30.0",
        "q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ==",
        r"dist/ort\.(wasm|webgpu)\.bundle\.min\.mjs|dist/ort-wasm-simd-threaded(\.asyncify)?\.(wasm|mjs)",
    ),
    Package(
        "litert",
        "@litertjs/core",
        "2.5.3",
        "PlGmbMOq9WitX7FO0jhbdJw9GthatsyuCQXjTt/wJZo0FLaw48q4tz8IwqgqCIkviYGr9OFDL1kCnN4nzWoyJQ==",
        r"dist/index\.js|wasm/.*",
    ),
    Package(
        "wasm-utils",
        "@litertjs/wasm-utils",
        "2.5.3",
        "4fJiw6tBQnIs+0jH/OQ16nYOiSl8/+zZnn5h2ul8aTKHi05sVqZW580Tmk78pC2kT39A9OYBVdFawteZ/sI1kQ==",
        r"dist/index\.js",
    ),
)


def packages_folder(cache: Path) -> Path:
    """Where the packages lie, each in a folder of its short name and version."""
    return cache / "web"


def place(cache: Path, package: Package) -> Path:
    """The folder of one package."""
    return packages_folder(cache) / f"{package.short}-{package.version}"


def require(cache: Path, name: str) -> dict[str, Path]:
    """Folders of all packages by short name.

    Raises:
        EnvironmentFault: They have not been fetched; the hint is the command that does.
    """
    if not all(place(cache, package).is_dir() for package in PACKAGES):
        raise EnvironmentFault(
            "The engines for browsers are not on this machine (45 MB from npm).", hint=f"edgekit devices prepare {name}"
        )
    return {package.short: place(cache, package) for package in PACKAGES}


def fetch(cache: Path, *, offline: bool = False) -> str:
    """Have every package in the cache, and give names and versions as text.

    Raises:
        EnvironmentFault: The registry does not answer, or gives another content.
    """
    for package in PACKAGES:
        if not place(cache, package).is_dir():
            if offline:
                raise EnvironmentFault(
                    f"'{package.name}' is not in the cache.", hint="Run the same command once without --offline."
                )
            _unpack(package, _downloaded(package), place(cache, package))
    return ", ".join(f"{package.name} {package.version}" for package in PACKAGES[:2])


def _downloaded(package: Package) -> bytes:
    try:
        with urllib.request.urlopen(package.url, timeout=_TIMEOUT_S) as answer:  # noqa: S310 - https, see `url`
            content: bytes = answer.read()
    except (urllib.error.URLError, TimeoutError, ConnectionError) as err:
        raise EnvironmentFault(f"'{package.url}' cannot be fetched: {err}.", hint="Check the network.") from err
    if base64.b64encode(hashlib.sha512(content).digest()).decode() != package.sha512:
        raise EnvironmentFault(f"'{package.url}' gave another content than the one edgekit knows; nothing was kept.")
    return content


def _unpack(package: Package, content: bytes, folder: Path) -> None:
    wanted = re.compile(rf"package/({package.files})")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(fileobj=io.BytesIO(content)) as archive, new_folder(folder) as staging:
        for member in archive.getmembers():
            if member.isfile() and wanted.fullmatch(member.name) and ".." not in member.name:
                path = staging / member.name.removeprefix("package/")
                path.parent.mkdir(parents=True, exist_ok=True)
                source = archive.extractfile(member)
                assert source is not None
                path.write_bytes(source.read())
