"""The backends that run in a browser: npm packages with pinned checksums, downloaded into the cache on request."""

from __future__ import annotations

import base64
import shlex
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edgekit.core.errors import EnvironmentFault, Unreadable
from edgekit.core.system.durable.owners import temporary_folder
from edgekit.core.system.fetch import fetch as download
from edgekit.core.system.fetch import refuse_offline
from edgekit.core.system.files import cached_folder, read_bytes, sha256_bytes

_REGISTRY: Final = "https://registry.npmjs.org"


@dataclass(frozen=True)
class Package:
    """One npm package: the sha512 of its archive, and the files that are served as `/SHORT/...`.

    `files` is what `sha256sum` prints for them.
    """

    short: str
    name: str
    version: str
    sha512: str
    files: str

    @property
    def checksums(self) -> dict[str, str]:
        """The sha256 of each file by its path in the package."""
        return {name: checksum for checksum, name in map(str.split, self.files.split("\n")[1:-1])}

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
        """
3d1c85995364bb643302fc6fd877a0c3ba5ae72401815e0f24828a53d9191e28  dist/ort-wasm-simd-threaded.asyncify.mjs
39f9f0894d478800487ed9f7dbe92618498db320cf55c8e3d89adff8dce658da  dist/ort-wasm-simd-threaded.asyncify.wasm
e13f7f94fc51b4ca72b12faeb1ee95f4ace6dfbc8939bc718aabdc0a27c4299b  dist/ort-wasm-simd-threaded.mjs
3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2  dist/ort-wasm-simd-threaded.wasm
11e64bd8ffe11bd1a2a2f0d6275fdfbbba7262f0b76b99b53d228a8a22ef3d90  dist/ort.wasm.bundle.min.mjs
0730816731ce2cdfb06f273da065d4a1c7091eb9d1756a83b2916c8a89d015e2  dist/ort.webgpu.bundle.min.mjs
""",
    ),
    Package(
        "litert",
        "@litertjs/core",
        "2.5.3",
        "PlGmbMOq9WitX7FO0jhbdJw9GthatsyuCQXjTt/wJZo0FLaw48q4tz8IwqgqCIkviYGr9OFDL1kCnN4nzWoyJQ==",
        """
e7daccc3a31eef890848a737ccb863ded5f046a6b40c3fdc0556495adeb5d9b3  dist/index.js
4d8f894b7883654fd6e8439730aa41e79ceaab7d19184fc4f1f0b0f1a2a2c8a5  wasm/litert_wasm_compat_internal.js
5255c8ad06eabdbd2522cdebf6b22fc10faf74625c23a49b9e072570cd1fa41c  wasm/litert_wasm_compat_internal.wasm
68efb69f770e3f76aff36a377de629ca496c131b86ac0f0f4b592a1543a898eb  wasm/litert_wasm_internal.js
7280cf4471774867e385e6c3cd53e2b45e2975b80fea338fff4ef359b0865614  wasm/litert_wasm_internal.wasm
e685a3ed86f447c1feb8f5414319539c5e94d1cfc0eb49c3c5e6a788a6f5541b  wasm/litert_wasm_jspi_internal.js
a103e14db26cdbda9ba1a93633e59f3bf604d082fa7ab0c30ca730838e3faa69  wasm/litert_wasm_jspi_internal.wasm
92fe7a720c6deedaa1194c011c79a005ea4f6fc98f533b661cf7900760ab4849  wasm/litert_wasm_threaded_internal.js
b5e54eca10f043497edf9a02186332707cae260c550d7ea22b2cae55669596cf  wasm/litert_wasm_threaded_internal.wasm
""",
    ),
    Package(
        "wasm-utils",
        "@litertjs/wasm-utils",
        "2.5.3",
        "4fJiw6tBQnIs+0jH/OQ16nYOiSl8/+zZnn5h2ul8aTKHi05sVqZW580Tmk78pC2kT39A9OYBVdFawteZ/sI1kQ==",
        """
e0e20bc28ab001ac732cf40d15b6eebd24fb0deaeb95eeba5100f51eebf015f2  dist/index.js
""",
    ),
)


def packages_folder(cache: Path) -> Path:
    """Where the packages are stored, each in a folder named by short name and version."""
    return cache / "web"


def place(cache: Path, package: Package) -> Path:
    """The folder of one package."""
    return packages_folder(cache) / f"{package.short}-{package.version}"


def require(cache: Path, name: str) -> dict[str, dict[str, bytes]]:
    """The files of all packages by short name and path, each with the checksum that edgekit knows.

    Raises:
        EnvironmentFault: They have not been downloaded; the hint is the command for it.
        Unreadable: A file has changed since then.
    """
    if not all(place(cache, package).is_dir() for package in PACKAGES):
        raise EnvironmentFault(
            "The backends for browsers are not on this machine (45 MB from npm).",
            hint=f"edgekit devices prepare {name}",
        )
    return {package.short: _contents(package, place(cache, package), name) for package in PACKAGES}


def _contents(package: Package, folder: Path, name: str) -> dict[str, bytes]:
    """What is served is what was checked: the files are read once."""
    found = {file: read_bytes(folder / file, Unreadable) for file in package.checksums if (folder / file).is_file()}
    for file, checksum in package.checksums.items():
        if file not in found or sha256_bytes(found[file]) != checksum:
            raise Unreadable(
                f"'{folder / file}' has changed since '{package.name}' was downloaded.",
                hint=f"{shlex.join(['rm', '-r', str(folder)])} && edgekit devices prepare {name}",
            )
    return found


def fetch(cache: Path, *, offline: bool = False) -> str:
    """Make sure that every package is in the cache, and return names and versions as text.

    Raises:
        EnvironmentFault: The registry does not respond, or `offline` is set.
        Unreadable: The checksum of a download does not match.
    """
    for package in PACKAGES:
        if not place(cache, package).is_dir():
            refuse_offline(f"'{package.name}' is", offline=offline)
            install(package, place(cache, package))
    return ", ".join(f"{package.name} {package.version}" for package in PACKAGES[:2])


def install(package: Package, folder: Path) -> None:
    """Download the files of one package to `folder`, all or none; errors as in `fetch`."""
    with temporary_folder() as temporary:
        archive = Path(temporary) / "package.tgz"
        download(package.url, archive, base64.b64decode(package.sha512).hex(), algorithm="sha512")
        _unpack(package, archive, folder)


def _unpack(package: Package, path: Path, folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path) as archive, cached_folder(folder) as staging:
        for member in archive.getmembers():
            name = member.name.removeprefix("package/")
            if member.isfile() and name in package.checksums:
                path = staging / name
                path.parent.mkdir(parents=True, exist_ok=True)
                source = archive.extractfile(member)
                assert source is not None
                path.write_bytes(source.read())
