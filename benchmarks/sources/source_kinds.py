"""Nine kinds of sources with the real torchvision, timm and transformers, each in a fresh state and without a network.

python -m benchmarks.sources --setup DIR      make an environment with torchvision and timm
DIR/bin/python -m benchmarks.sources          export each kind to both formats, and write benchmarks/sources/rows.jsonl
... --only NAME,NAME
python -m benchmarks.sources --page           write the table in docs/sources.md
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Final

import msgspec
from benchmarks.sources import source_models

from edgekit.core.system.durable.owners import temporary_folder

ROOT: Final = Path(__file__).resolve().parents[2]
ROWS: Final = Path(__file__).with_name("rows.jsonl")
PAGE: Final = ROOT / "docs" / "sources.md"
BEGIN: Final = "<!-- from here to the end mark: python -m benchmarks.sources --page -->\n"
END: Final = "<!-- end -->\n"
_LIMIT_S: Final = 900


@dataclass(frozen=True)
class Kind:
    """One kind of source: the package whose code makes the network, and what a user types."""

    name: str
    source: str
    options: tuple[str, ...]
    package: str = ""


KINDS: Final = (
    Kind(
        "a class in a file, a Lightning checkpoint",
        "net.py:Net",
        ("--weights", "last.ckpt", "--samples", "photos", "--preprocess", "resize=72,crop=64"),
    ),
    Kind(
        "a function of a package",
        "torchvision.models:squeezenet1_1(num_classes=5)",
        ("--samples", "pictures.npz"),
        "torchvision",
    ),
    Kind("a short form of torchvision", "torchvision:squeezenet1_1", ("--samples", "photos"), "torchvision"),
    Kind(
        "a call with the name of a model",
        "timm:create_model('test_efficientnet', num_classes=5)",
        ("--samples", "photos", "--preprocess", "resize=160x160"),
        "timm",
    ),
    Kind("a short form of timm", f"timm:{source_models.TIMM_MODEL}", ("--samples", "photos"), "timm"),
    Kind(
        "a class method, from a folder",
        "transformers:AutoModelForSequenceClassification.from_pretrained('./reader')",
        ("--samples", "tokens.npz"),
        "transformers",
    ),
    Kind("texts, from a folder", "hf:./reader", ("--samples", "reviews.csv"), "transformers"),
    Kind("images, from a folder", "hf:./viewer", ("--samples", "photos"), "transformers"),
    Kind("texts, by a name in the cache", "hf:me/reader", ("--samples", "reviews.csv"), "transformers"),
)


class Row(msgspec.Struct, frozen=True):
    """What became of one kind: the exit code and verdict of `edgekit export`, and what it knew of the inputs."""

    name: str
    command: str
    package: str
    torch: str
    without_network: bool
    exit_code: int
    verdict: str = ""
    inputs: tuple[str, ...] = ()
    preprocessing: str = ""
    labels: int = 0
    artifacts: tuple[str, ...] = ()
    untrained: bool = False
    message: str = ""
    schema_version: int = 1


def runnable(kind: Kind) -> bool:
    """Whether the package of a kind is installed in this Python."""
    return not kind.package or importlib.util.find_spec(kind.package) is not None


def run(kind: Kind, folder: Path, recipes: str = "onnx-fp32,tflite-fp32") -> Row:
    """Export one kind in a process whose home, state and caches are `folder`, with no network where the system allows.

    `folder` contains what `prepare` wrote.
    """
    out = folder / "out"
    shutil.rmtree(out, ignore_errors=True)
    options = [*kind.options, *(["--trust"] if kind.package else []), "--to", recipes]
    isolated = _isolating()
    command = [*isolated, sys.executable, "-m", "edgekit", "export", kind.source, *options, "--out", str(out), "--json"]
    done = subprocess.run(
        command, cwd=folder, env=_environment(folder), capture_output=True, text=True, timeout=_LIMIT_S, check=False
    )
    shown = " ".join(["edgekit export", _quoted(kind.source), *map(_quoted, options)])
    row = Row(kind.name, shown, _version(kind.package), _version("torch"), bool(isolated), done.returncode)
    try:
        report = msgspec.json.decode(done.stdout)
        spec = report["spec"]
    except (msgspec.DecodeError, KeyError, TypeError):
        return msgspec.structs.replace(row, message=done.stderr[-2000:])
    how = spec.get("preprocessing", {})
    return msgspec.structs.replace(
        row,
        verdict=report["verdict"],
        inputs=tuple(f"{one['name']}:{one['dtype']}{one['shape']}".replace("'", "") for one in spec["inputs"]),
        preprocessing=how.get("type", "array"),
        labels=len(spec.get("labels", ())),
        artifacts=tuple(one["recipe"] for one in report["artifacts"]),
        untrained=spec.get("is_untrained", False),
    )


def prepare(folder: Path) -> None:
    """Write weights, caches and samples, with the packages of this Python."""
    packages = {kind.package for kind in KINDS if kind.package and runnable(kind)}
    command = [sys.executable, "-m", "benchmarks.sources.source_models", str(folder), *sorted(packages)]
    subprocess.run(command, cwd=ROOT, env=_environment(folder), capture_output=True, check=True)


def table(rows: Iterable[Row]) -> str:
    """The table of the documentation."""
    rows = list(rows)
    versions = sorted({f"torch {row.torch}" for row in rows} | {row.package for row in rows if row.package})
    isolated = "in a process without a network" if all(row.without_network for row in rows) else "with a network"
    lines = [
        f"Run with {', '.join(versions)}, each kind {isolated}, with an empty home and state. Weights are drawn, and"
        " were put into the caches of the libraries beforehand; the environment is that of `benchmarks/zoo`, where"
        " torchvision is without its compiled operators. `python -m benchmarks.sources` makes the rows. The tests run"
        " those kinds again whose packages are in the environment of development: all but torchvision's and timm's.",
        "",
        "| kind | command | what the source says of inputs and classes | both formats |",
        "|---|---|---|---|",
    ]
    for row in rows:
        known = ", ".join(
            [f"`{' '.join(row.inputs)}`", row.preprocessing, f"{row.labels} classes" if row.labels else ""]
        )
        lines.append(f"| {row.name} | `{row.command}` | {known.strip(', ')} | {row.verdict or row.message[:60]} |")
    return "\n".join(lines) + "\n"


def page(text: str, rows: Iterable[Row]) -> str:
    """The documentation with the table of `rows`."""
    before, _, rest = text.partition(BEGIN)
    return f"{before}{BEGIN}\n{table(rows)}\n{END}{rest.partition(END)[2]}"


def read_rows() -> list[Row]:
    """The rows that were stored."""
    return [msgspec.json.decode(line, type=Row) for line in ROWS.read_bytes().splitlines()]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--setup", type=Path)
    parser.add_argument("--only", default="")
    parser.add_argument("--page", action="store_true")
    given = parser.parse_args(arguments)
    if given.setup:
        from benchmarks.zoo.environment import make

        make(given.setup)
    elif given.page:
        PAGE.write_text(page(PAGE.read_text(encoding="utf-8"), read_rows()), encoding="utf-8")
    else:
        _run_all([kind for kind in KINDS if not given.only or kind.name in given.only.split(",")])


def _run_all(kinds: Iterable[Kind]) -> None:
    known = {row.name: row for row in read_rows()} if ROWS.is_file() else {}
    with temporary_folder("edgekit-sources-") as folder:
        prepare(Path(folder))
        for kind in kinds:
            known[kind.name] = run(kind, Path(folder))
            print(kind.name, known[kind.name].exit_code, known[kind.name].verdict, flush=True)
            rows = [known[one.name] for one in KINDS if one.name in known]
            ROWS.write_bytes(b"".join(msgspec.json.encode(row) + b"\n" for row in rows))


def _environment(folder: Path) -> dict[str, str]:
    """A machine that remembers nothing but the caches of the libraries."""
    places = {"HOME": folder / "home", "XDG_STATE_HOME": folder / "state", "EDGEKIT_CACHE": folder / "cache"}
    caches = {"HF_HOME": folder / "hf", "TORCH_HOME": folder / "torch", "XDG_CONFIG_HOME": folder / "config"}
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("EDGEKIT_", "HF_"))}
    return {**kept, **{key: str(value) for key, value in (places | caches).items()}}


def _isolating() -> list[str]:
    """What starts a process without a network; nothing where the system does not allow it."""
    command = ["unshare", "--map-root-user", "--net"]
    found = shutil.which("unshare") and subprocess.run([*command, "true"], capture_output=True, check=False)
    return command if found and found.returncode == 0 else []


def _version(package: str) -> str:
    return (
        f"{package} {metadata.version(package)}"
        if package not in ("", "torch")
        else package and metadata.version(package)
    )


def _quoted(text: str) -> str:
    return f'"{text}"' if set(text) & set("(' ") else text
