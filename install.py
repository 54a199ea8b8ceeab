"""Installs edgekit and what it needs into .venv, and says at least every ten seconds what it does; `make` calls it.

Usage: install.py development|demo|unused [--torch REQUIREMENT] [--torch-index ADDRESS] [--checksums]

With --checksums every package for development has the checksum in checksums.txt, but for PyTorch, whose builds differ
from index to index.
"""

from __future__ import annotations

import argparse
import os
import queue
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent
# Python compiles what is imported when it is imported.
SLIM: Final = ("--no-deps", "--no-compile")
DEMO_MARK: Final = "edgekit-demo"
SILENCE_S: Final = 5.0
# Download and disk of the CPU build of PyTorch and everything else, in GB; PyPI's build for Linux adds CUDA.
SIZES: Final = {"development": (0.8, 2.5), "demo": (0.6, 1.5)}
# Every package that the demo imports, by what needs it. Test tools are not among them, nor what converters declare but
# do not import here (transformers, kagglehub, ...): pip installs these alone. A test runs the demo with no others.
PARTS: Final = {
    "edgekit": "click rich markdown-it-py mdurl Pygments msgspec platformdirs numpy Jinja2 MarkupSafe",
    "digits": "scikit-learn cloudpickle joblib narwhals scipy threadpoolctl",
    "PyTorch": "filelock fsspec mpmath networkx sympy typing_extensions safetensors",
    "ONNX": "onnx onnx-ir onnxruntime onnxscript onnxslim colorama ml_dtypes packaging protobuf flatbuffers",
    "TFLite": "ai-edge-litert ai-edge-quantizer litert-torch litert-converter absl-py immutabledict tabulate tqdm",
    "litert-torch": "jax jaxlib opt_einsum torchao",
}
DEMO: Final = tuple(name for names in PARTS.values() for name in names.split())
# Test programs, sources, declarations and accelerators that nothing imports; a development installation keeps them.
UNUSED: Final = (
    "torch/include",
    "torch/test",
    "torch/bin/[!t]*",
    "torch/bin/test*",
    "torch/lib/*_test.so",
    "ai_edge_litert/*Accelerator*",
    # What compiles for the neural processors of phones.
    "ai_edge_litert/vendors",
    "ai_edge_litert/tools/apply_plugin_main",
    # Kernels for NVIDIA's GPUs.
    "torchao/_C_*",
    # The library for programs in C, which is whole in the module of Python as well.
    "onnxruntime/capi/libonnxruntime.so.*",
    *(f"{package}/**/tests" for package in ("mpmath", "networkx", "numpy", "scipy", "sklearn", "sympy")),
    "sympy/**/benchmarks",
    "onnx/backend/test",
    *(f"**/*.{ending}" for ending in ("pyi", "pyx", "pxd", "c", "cc", "cpp", "cu", "h")),
    # pip alone comes compiled.
    "pip/**/__pycache__",
    # In environments of Python 3.11, and nothing here builds a package in them.
    "setuptools",
    "setuptools-*",
    "pkg_resources",
)
SHOWN: Final = re.compile(
    r"^\s*(Downloading .*|Building wheel.*|Installing collected packages.*|removing .*|ERROR.*|error:.*)$"
)


def watched(command: Sequence[str | Path], *, size: Callable[[], float], silence_s: float = SILENCE_S) -> None:
    """Run a command and print the lines of it that tell of progress, and one with size and seconds after a silence.

    Exits with all of its output if it fails.
    """
    start = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT)
    lines: queue.Queue[str | None] = queue.Queue()
    threading.Thread(target=_read, args=(process, lines), daemon=True).start()
    # Counted beside the work: on a slow disk that takes as long as the silence.
    sizes: list[str] = []
    threading.Thread(target=_count, args=(process, size, sizes), daemon=True).start()
    said = []
    for line in _until_the_end(lines, silence_s):
        if line is None:
            print(", ".join([f"    {time.monotonic() - start:.0f} s", *sizes[-1:]]), flush=True)
        else:
            said.append(line)
            if SHOWN.match(line):
                print(f"    {_short(line)}", flush=True)
    if process.wait():
        sys.exit(f"{''.join(said)}{' '.join(map(str, command))} ended with {process.returncode}")


def _count(process: subprocess.Popen[str], size: Callable[[], float], sizes: list[str]) -> None:
    while process.returncode is None:
        sizes.append(f".venv has {size():.2f} GB")
        time.sleep(1.0)


def _read(process: subprocess.Popen[str], lines: queue.Queue[str | None]) -> None:
    assert process.stdout is not None
    with process.stdout:
        for line in process.stdout:
            lines.put(line)
    lines.put(None)


def _until_the_end(lines: queue.Queue[str | None], silence_s: float) -> Iterator[str | None]:
    """Each line as it comes, None after a silence."""
    shown = time.monotonic()
    while True:
        try:
            line = lines.get(timeout=max(0.0, shown + silence_s - time.monotonic()))
        except queue.Empty:
            yield None
            shown = time.monotonic()
            continue
        if line is None:
            return
        yield line
        if SHOWN.match(line):
            shown = time.monotonic()


def _short(line: str) -> str:
    """A line of pip: the file without its address, and how many packages in place of their names."""
    action, _, rest = line.strip().partition(": ")
    if action == "Installing collected packages":
        return f"unpacking {rest.count(',') + 1} packages"
    return re.sub(r"(Downloading )\S*/", r"\1", line.strip())


class Size:
    """What a folder has on disk. Only folders in which files came or went since the last call are listed again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._listed: dict[str, tuple[int, int, tuple[str, ...]]] = {}

    def gb(self) -> float:
        """Its size in GB; of a file that grows, as it was when its folder was listed."""
        found, places = 0, [str(self.folder)]
        while places:
            place = places.pop()
            try:
                changed = os.stat(place).st_mtime_ns
                if self._listed.get(place, (0,))[0] != changed:
                    self._listed[place] = (changed, *_listed(place))
            except FileNotFoundError:  # pip moves files while they are counted
                continue
            found += self._listed[place][1]
            places += self._listed[place][2]
        return found / 1e9


def _listed(place: str) -> tuple[int, tuple[str, ...]]:
    """The size of the files in a folder, and the folders in it."""
    size, folders = 0, []
    with os.scandir(place) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                folders.append(entry.path)
            else:
                size += entry.stat(follow_symlinks=False).st_size
    return size, tuple(folders)


def remove_unused(site: Path) -> None:
    """Delete what `UNUSED` lists in `site`."""
    for pattern in UNUSED:
        print(f"removing {pattern}", flush=True)
        for path in list(site.glob(pattern)):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)


class Steps:
    """The installation of one kind, step by step."""

    def __init__(self, kind: str, torch: str, index: str, *, has_checksums: bool = False) -> None:
        self.kind, self.torch, self.index, self.has_checksums = kind, torch, index, has_checksums
        self.size = Size(ROOT / ".venv")
        self.python = ROOT / ".venv" / "bin" / "python"
        self.pip: list[str | Path] = [self.python, "-m", "pip", "--disable-pip-version-check"]
        self.install = [*self.pip, "install", "--progress-bar", "off", *(SLIM if kind == "demo" else ())]

    def run(self) -> None:
        """All steps; exits with the output of the one that fails."""
        download, disk = SIZES[self.kind]
        print(f"installing into .venv: about {download} GB to download, {disk} GB on disk", flush=True)
        for number, (text, commands) in enumerate(self._steps(), 1):
            print(f"{number}/4 {text}", flush=True)
            for command in commands:
                self.step(command)
        if self.kind == "demo":  # in a process of its own, because thousands of small files take long on some disks
            watched([sys.executable, __file__, "unused"], size=self.size.gb)
        print(f"installed: {Size(ROOT / '.venv').gb():.2f} GB in .venv", flush=True)

    def step(self, command: list[str | Path]) -> None:
        """One command; where the index of PyTorch cannot be reached, the package index has PyTorch as well."""
        if "--index-url" not in command:
            watched(command, size=self.size.gb)
            return
        try:
            watched(command, size=self.size.gb)
        except SystemExit:
            place = command.index("--index-url")
            print(f"    not from {command[place + 1]}: from the package index, for Linux the CUDA build", flush=True)
            # That build imports libraries of CUDA, which are packages of their own.
            words = [word for word in (*command[:place], *command[place + 2 :]) if word != "--no-deps"]
            watched(words, size=self.size.gb)

    def _steps(self) -> Iterator[tuple[str, list[list[str | Path]]]]:
        constraints = ["--constraint", "constraints.txt"]
        # What the demo left out would be missing.
        clear: list[str | Path] = (
            ["--clear"] if self.kind == "development" and (ROOT / ".venv" / DEMO_MARK).exists() else []
        )
        yield "a Python environment", [[sys.executable, "-m", "venv", *clear, ".venv"]]
        place = f"from {self.index}" if self.index else "from the package index"
        # Without its dependencies: an index of PyTorch alone does not have them. The next step brings them.
        index = ["--index-url", self.index] if self.index else []
        yield f"PyTorch {place}", [[*self.install, "--no-deps", *index, self.torch]]
        # The earlier name of the distribution.
        earlier = [*self.pip, "uninstall", "--yes", "--quiet", "edgekit"]
        if self.has_checksums:
            # One package with a checksum makes pip demand one for all, and an editable folder cannot have one.
            hashed = ["--require-hashes", "--no-deps", "--requirement", "checksums.txt"]
            own = ["--no-deps", "--no-build-isolation", "--editable", "."]
            commands = [earlier, [*self.install, *hashed], [*self.install, *own]]
            yield "every package for development, by its checksum, and edgekit", commands
        elif self.kind == "demo":
            yield f"{len(DEMO)} packages", [[*self.install, *constraints, *DEMO]]
            yield "edgekit", [earlier, [*self.install, "--editable", "."]]
        else:
            everything = [*self.install, *constraints, "--editable", ".[dev]"]
            yield "edgekit, and every package for development", [earlier, everything]


def main() -> None:
    """Install what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=[*SIZES, "unused"], help="unused: only remove what the demo does not need")
    parser.add_argument("--torch", default="torch")
    parser.add_argument("--torch-index", default="")
    parser.add_argument("--checksums", action="store_true", help="development: compare each package with checksums.txt")
    options = parser.parse_args()
    if options.kind == "unused":
        for site in (ROOT / ".venv" / "lib").glob("python*/site-packages"):
            remove_unused(site)
        return
    Steps(options.kind, options.torch, options.torch_index, has_checksums=options.checksums).run()


if __name__ == "__main__":
    main()
