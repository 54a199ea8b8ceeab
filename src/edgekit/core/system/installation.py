"""How edgekit and the packages it needs are installed, and the commands that install what is missing."""

from __future__ import annotations

import json
import re
import shlex
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from importlib.metadata import Distribution

# `edgekit` on PyPI is a package of another project, so only the module and the command have this name.
DISTRIBUTION: Final = "edgekit-onnx"
# The requirements of each extra, as setup.cfg has them.
EXTRAS: Final = {
    "cpu": ("onnxruntime>=1.20.1",),
    "gpu": ("onnxruntime-gpu>=1.20.1",),
    "tflite": ("ai-edge-litert>=2.1", "flatbuffers>=24.3.25"),
    "tflite-legacy": ('tflite-runtime==2.14.0; python_version < "3.12"', 'numpy<2; python_version < "3.12"'),
    "export": ("torch>=2.10", "onnx>=1.19", "onnxscript>=0.6.0", "onnxslim>=0.1.70", "safetensors>=0.5.3"),
    "tflite-export": ("torch>=2.10", "litert-torch==0.10.0", "ai-edge-quantizer==0.10.0"),
    "train": (
        "edgekit-onnx[export]",
        "lightning-fabric>=2.6.4",
        "optuna>=4.5",
        "scikit-learn>=1.5",
        "pillow>=10.4",
        "sacrebleu>=2.4",
    ),
    "devices": ("segno>=1.6.1",),
    "images": ("pillow>=10",),
    "datasets": ("pyarrow>=17",),
    "report": ("jinja2>=3.1.6", "markupsafe>=2.1"),
    "openvino": ("openvino>=2025.0",),
    "history": ("sqlalchemy>=2.0.36", "alembic>=1.14"),
    "dashboard": ("edgekit-onnx[history,report]", "fastapi>=0.115", "uvicorn>=0.32"),
    "fleet": ("dask>=2025.1", "distributed>=2025.1", "cryptography>=42"),
    "history-postgresql": ("edgekit-onnx[history]", "psycopg[binary]>=3.2"),
}
# What Homebrew calls the packages of Debian that hints name; what it lacks is not here.
_HOMEBREW: Final = {
    "adb": "--cask android-platform-tools",
    "chromium": "--cask chromium",
    "git": "git",
    "openssh-client": "openssh",
}
# Modules whose package has another name.
_PACKAGES: Final = {"PIL": "pillow", "sklearn": "scikit-learn"}


def requirements(extra: str) -> tuple[str, ...]:
    """What `extra` installs, e.g. `onnxruntime>=1.20.1`, with the extras it includes and without markers."""
    return tuple(dict.fromkeys(_flat(extra)))


def requirement(package: str) -> str:
    """The requirement of the named package, e.g. `onnx>=1.19`; the name alone if no extra has it."""
    every = (one for extra in EXTRAS for one in requirements(extra))
    return next((one for one in every if _name(one) == package), package)


def requirement_of(module: str) -> str:
    """The requirement of some extra that brings `module`, e.g. `torch>=2.10`; empty if none does."""
    every = (one for extra in EXTRAS for one in requirements(extra))
    return next((one for one in every if _brings(one, module)), "")


def pip_install(wanted: Iterable[str], *options: str) -> str:
    """The command that installs the requirements."""
    return " ".join(["pip install", *options, *map(_quoted, wanted)])


def install_command(module: str, extra: str) -> str:
    """The command that installs the package of `module` and whatever else of `extra` is not installed.

    It names packages, so it is right wherever edgekit itself came from.
    """
    of_extra = requirements(extra)
    wanted = [one for one in of_extra if _brings(one, module) or not _is_installed(_name(one))]
    return pip_install(wanted or of_extra)


def reinstall_command(module: str, extra: str) -> str:
    """The command that installs the package of `module` again, for a package that cannot be imported."""
    of_extra = requirements(extra)
    return pip_install([one for one in of_extra if _brings(one, module)] or of_extra, "--force-reinstall")


def system_install(package: str, system: str = sys.platform) -> str:
    """The command that installs a program, by the name of its Debian package; empty on macOS if Homebrew lacks it."""
    if system != "darwin":
        return f"sudo apt install {package}"
    return f"brew install {_HOMEBREW[package]}" if package in _HOMEBREW else ""


@dataclass(frozen=True)
class Origin:
    """Where this installation came from: a folder, a wheel, an address, or the name of the distribution on an index.

    `runs_there` if the code runs in that folder: an editable installation, or a checkout on the import path.
    """

    source: str
    runs_there: bool = False

    @property
    def install(self) -> str:
        """The command that installs it from there, into an environment that does not have it."""
        return pip_install([self.source], *(["--editable"] if self.runs_there else []))

    @property
    def upgrade(self) -> str:
        """The command that installs a newer version."""
        if self.source.endswith(".whl"):  # a newer wheel has another name
            folder = str(Path(self.source).parent)
            return pip_install([DISTRIBUTION], "--upgrade", "--no-index", "--find-links", shlex.quote(folder))
        if not Path(self.source).is_dir():
            return pip_install([self.source], "--upgrade")
        pull = f"git -C {shlex.quote(self.source)} pull"
        return pull if self.runs_there else f"{pull} && {self.install}"

    def restore(self, path: Path) -> str:
        """The command that restores one of the files of this package."""
        if self.runs_there:
            return f"git -C {shlex.quote(str(path.parent))} restore {shlex.quote(path.name)}"
        return pip_install([self.source], "--force-reinstall", "--no-deps")


def origin() -> Origin:
    """Where the running edgekit came from."""
    from importlib import metadata

    checkout = Path(__file__).resolve().parents[4]
    if (checkout / "setup.cfg").is_file() and (checkout / "src" / "edgekit").is_dir():
        return Origin(str(checkout), runs_there=True)
    try:
        record = metadata.distribution(DISTRIBUTION).read_text("direct_url.json")
    except metadata.PackageNotFoundError:
        record = None
    return Origin(_source(json.loads(record)) if record else DISTRIBUTION)


def others() -> Iterator[tuple[Distribution, bool]]:
    """Each installed distribution called `edgekit`, and whether it is this project under its earlier name."""
    from importlib import metadata

    for found in metadata.distributions(name="edgekit"):
        yield found, any(entry.value == "edgekit.cli.main:main" for entry in found.entry_points)


def _source(record: dict[str, Any]) -> str:
    """What pip was given, from the record that it keeps of it (direct_url.json)."""
    address, system = record["url"], record.get("vcs_info")
    if system:
        revision = f"@{system['requested_revision']}" if system.get("requested_revision") else ""
        return f"{DISTRIBUTION} @ {system['vcs']}+{address}{revision}"
    return unquote(urlsplit(address).path) if address.startswith("file:") else str(address)


def _flat(extra: str) -> Iterator[str]:
    for one in EXTRAS[extra]:
        included = re.fullmatch(rf"{DISTRIBUTION}\[(.+)\]", one)
        if included:
            yield from (inner for name in included[1].split(",") for inner in _flat(name))
        else:
            yield one.partition(";")[0]


def _name(wanted: str) -> str:
    """The package of a requirement."""
    return re.split(r"[^\w.-]", wanted, maxsplit=1)[0]


def _brings(wanted: str, module: str) -> bool:
    root = module.partition(".")[0]
    return _name(wanted) == _PACKAGES.get(root, root.replace("_", "-"))


def _is_installed(package: str) -> bool:
    from importlib import metadata

    return next(iter(metadata.distributions(name=package)), None) is not None


def _quoted(wanted: str) -> str:
    return wanted if re.fullmatch(r"[\w./-]+", wanted) else f'"{wanted}"'
