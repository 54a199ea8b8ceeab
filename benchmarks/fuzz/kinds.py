"""The kinds of mutants, with their share of a run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Final

from benchmarks.fuzz import (
    bundle_kinds,
    device_kinds,
    document_kinds,
    onnx_files,
    program_files,
    seed_models,
    tflite_files,
)
from benchmarks.fuzz.case import Case, Maker

_OF_MODELS: Final = (
    *(
        "inspect M",
        "inspect M --json",
        "run M --input random:0",
        "run M --input random:1 --json",
        "run M --input random:0",
    ),
    *("run M --input random:0 --output out.npz", "profile M --dry-run"),
    *("validate M --reference R", "inspect M", "compare M R --dry-run", "run M --input random:0 --sizes N=2"),
)


def onnx(random: Random) -> Case:
    """An .onnx file: its graph, operators, attributes, types, shapes, weights and where they are."""
    content, command = onnx_files.mutated(random, seed_models.onnx_seeds()), random.choice(_OF_MODELS)
    files = {"m.onnx": content, "w.bin": bytes(16), "r.onnx": seed_models.onnx_seeds()[0]}
    return Case(_with_names(command, "m.onnx", "r.onnx"), files)


def tflite(random: Random) -> Case:
    """A .tflite file: its tables, offsets, vectors and metadata."""
    content, command = tflite_files.mutated(random, seed_models.tflite_seeds()), random.choice(_OF_MODELS)
    return Case(
        _with_names(command, "m.tflite", "r.tflite"), {"m.tflite": content, "r.tflite": seed_models.tflite_seeds()[1]}
    )


def _with_names(command: str, model: str, reference: str) -> tuple[str, ...]:
    return tuple({"M": model, "R": reference}.get(word, word) for word in command.split())


def program(random: Random) -> Case:
    """A saved torch.export program, read by what must refuse it before torch opens it."""
    content = program_files.mutated(random)

    def call() -> None:
        from edgekit.export.programs.archive import copy_program

        copy_program(Path("m.pt2"), Path("out.pt2"))

    return Case(("export", "m.pt2"), {"m.pt2": content}, call)


def export(random: Random) -> Case:
    """A file that is converted in a process of its own: .onnx, .tflite, or a program that is not refused at once."""
    kind = random.choice(("onnx", "onnx", "tflite", "pt2"))
    if kind == "pt2":
        content = program_files.mutated(random)
    else:
        seeds = seed_models.onnx_seeds() if kind == "onnx" else seed_models.tflite_seeds()
        content = (onnx_files if kind == "onnx" else tflite_files).mutated(random, seeds)
    recipe = {"onnx": "onnx-fp32", "tflite": "tflite-fp32", "pt2": "onnx-fp32"}[kind]
    return Case(("export", f"m.{kind}", "--to", recipe, "--out", "out", "--timeout", "40"), {f"m.{kind}": content})


def launch(random: Random) -> Case:
    """A file that is measured in fresh processes."""
    kind = random.choice(("onnx", "tflite", "bundle"))
    if kind == "bundle":
        made = bundle_kinds.bundle(random)
        name = "b.edgekit" if "b.edgekit" in made.files else "b"
        command = random.choice(
            (f"profile {name} --report out.html", f"profile {name} --json", f"tune {name} --report out.md")
        )
        return Case(
            (*command.split(), "--time-limit", "1ms"), made.files, writes=("out", "b.tuning.json", "b.incomplete.json")
        )
    made = onnx(random) if kind == "onnx" else tflite(random)
    command = random.choice(
        (
            f"profile m.{kind} --launches 1 --time-limit 1ms",
            f"profile m.{kind} --launches 1 --operators --time-limit 1ms",
        )
    )
    return Case(tuple(command.split()), made.files, writes=("m.incomplete.json",))


KINDS: Final[Mapping[str, tuple[Maker, float]]] = {
    "onnx": (onnx, 0.2),
    "tflite": (tflite, 0.16),
    "bundle": (bundle_kinds.bundle, 0.17),
    "zip": (bundle_kinds.zip_file, 0.04),
    "sample": (bundle_kinds.sample, 0.1),
    "program": (program, 0.04),
    "configuration": (document_kinds.configuration, 0.07),
    "history": (document_kinds.history, 0.05),
    "report": (document_kinds.report, 0.05),
    "device": (device_kinds.device, 0.07),
    "words": (document_kinds.words, 0.046),
    "launch": (launch, 0.002),
    "export": (export, 0.002),
}
"""What makes a mutant, and which share of all mutants it makes."""
COSTLY: Final = ("launch", "export")
