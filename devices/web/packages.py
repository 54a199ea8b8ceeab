"""The backends that run in a browser: npm packages with pinned checksums, downloaded into the cache on request."""

from __future__ import annotations

import base64
import re
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edgekit.core.errors import EnvironmentFault
from edgekit.core.system.durable.owners import temporary_folder
from edgekit.core.system.fetch import fetch as download
from edgekit.core.system.fetch import refuse_offline
from edgekit.core.system.files import cached_folder

_REGISTRY: Final = "https://registry.npmjs.org"


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
        """Its address on npm."""
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
    """Where the packages are stored, each in a folder named by short name and version."""
    return cache / "web"


def place(cache: Path, package: Package) -> Path:
    """The folder of one package."""
    return packages_folder(cache) / f"{package.short}-{package.version}"


def require(cache: Path, name: str) -> dict[str, Path]:
    """Folders of all packages by short name.

    Raises:
        EnvironmentFault: They have not been downloaded; the hint is the command for it.
    """
    if not all(place(cache, package).is_dir() for package in PACKAGES):
        raise EnvironmentFault(
            "The backends for browsers are not on this machine (45 MB from npm).",
            hint=f"edgekit devices prepare {name}",
        )
    return {package.short: place(cache, package) for package in PACKAGES}


def fetch(cache: Path, *, offline: bool = False) -> str:
    """Make sure that every package is in the cache, and return names and versions as text.

    Raises:
        EnvironmentFault: The registry does not respond, or `offline` is set.
        Unreadable: The checksum of a download does not match.
    """
    for package in PACKAGES:
        if not place(cache, package).is_dir():
            refuse_offline(f"'{package.name}' is", offline=offline)
            _install(package, place(cache, package))
    return ", ".join(f"{package.name} {package.version}" for package in PACKAGES[:2])


def _install(package: Package, folder: Path) -> None:
    with temporary_folder() as temporary:
        archive = Path(temporary) / "package.tgz"
        download(package.url, archive, base64.b64decode(package.sha512).hex(), algorithm="sha512")
        _unpack(package, archive, folder)


def _unpack(package: Package, path: Path, folder: Path) -> None:
    wanted = re.compile(rf"package/({package.files})")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path) as archive, cached_folder(folder) as staging:
        for member in archive.getmembers():
            if member.isfile() and wanted.fullmatch(member.name) and ".." not in member.name:
                path = staging / member.name.removeprefix("package/")
                path.parent.mkdir(parents=True, exist_ok=True)
                source = archive.extractfile(member)
                assert source is not None
                path.write_bytes(source.read())
