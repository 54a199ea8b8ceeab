"""A model in one file: `python3 model.pyz INPUT...` prints what the model gives for each input.

    python3 model.pyz --self-test       runs the cases inside, and compares the outputs with those expected
    python3 model.pyz --watch FROM TO   runs every file that appears in FROM, and writes its result as TO/FILE.json

It needs Python 3.9, numpy and onnxruntime or LiteRT, and Pillow for images. edgekit is not needed.
"""

from __future__ import annotations

import importlib.util
import json
import os
import pkgutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

# The modules travel together, as a package of another name.
from .found_objects import found_objects
from .inputs import ARRAYS, image_size, in_file, read_input
from .runner import Failure, open_session

TOP = 5
PAUSE_S = 0.2
USAGE = "usage: model.pyz INPUT... | --self-test | --watch FROM TO"


def main(arguments: list[str]) -> int:
    """Do what the arguments ask for; the exit code is 0, 1 if a case fails, 2 or more for an error."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # ONNX Runtime sends usage data otherwise
    settings = json.loads(data("settings.json"))
    try:
        if arguments == ["--self-test"]:
            return self_test(opened(settings), settings)
        if arguments[:1] == ["--watch"] and len(arguments) == 3:
            return watch(opened(settings), settings, Path(arguments[1]), Path(arguments[2]))
        if not arguments or arguments[0].startswith("-"):
            raise Failure("UserError", USAGE, 2)
        session = opened(settings)
        for name in arguments:
            print_result(name, result(session, settings, Path(name)))
    except Failure as failure:
        return complain(str(failure), failure.exit_code)
    except (ImportError, OSError, ValueError, KeyError) as err:
        if str(getattr(err, "name", "")).split(".")[0] == "PIL":
            return complain("images are read with Pillow, which is not installed: pip install pillow", 2)
        return complain(f"{type(err).__name__}: {err}", 2)
    return 0


def data(name: str) -> bytes:
    """A file that travels with this program."""
    found = pkgutil.get_data(__package__, name)
    if found is None:
        raise Failure("Unreadable", f"The program is damaged: it has no '{name}'.", 5)
    return found


def opened(settings: dict[str, Any]) -> Any:
    """A session for the model, on as many threads as EDGEKIT_THREADS says, one by default."""
    options = {"threads": os.environ.get("EDGEKIT_THREADS", "1")}
    with tempfile.TemporaryDirectory(prefix="model-") as folder:
        path = Path(folder) / f"model.{settings['format']}"
        path.write_bytes(data(path.name))
        return open_session(
            {"backend": backend(settings), "format": settings["format"], "artifact": str(path), "options": options}
        )


def backend(settings: dict[str, Any]) -> str:
    """The backend by name where it is not the usual one of the format: 32-bit boards have an older one for TFLite."""
    usual, older = (importlib.util.find_spec(name) for name in ("ai_edge_litert", "tflite_runtime"))
    return "tflite-runtime" if settings["format"] == "tflite" and older and not usual else ""


def result(session: Any, settings: dict[str, Any], path: Path) -> dict[str, Any]:
    """What the model gives for one file: the most likely classes, the objects that are found, or every output."""
    outputs = session.run({**states(settings), **read_input(path, settings)})
    if settings["task"] == "classification":
        return {"input": path.name, "classes": classes(outputs[settings["outputs"][0]["name"]], settings)}
    if settings.get("detection"):
        return {"input": path.name, "objects": objects(outputs, settings, path)}
    return {"input": path.name, "outputs": {name: np.asarray(array).tolist() for name, array in outputs.items()}}


def states(settings: dict[str, Any]) -> dict[str, Any]:
    """The states of a stream at its beginning: zeros, with a size of 1 for dynamic axes."""
    kept = [one for one in settings["inputs"] if one["name"] in settings["states"]]
    return {one["name"]: np.zeros([size or 1 for size in one["shape"]], one["dtype"]) for one in kept}


def classes(output: Any, settings: dict[str, Any]) -> list[dict[str, Any]]:
    """The most likely classes with their probabilities, best first."""
    scores = output.reshape(-1).astype(np.float64)
    if not settings["is_probability"] and (scores.min() < 0 or abs(scores.sum() - 1) > 1e-3):
        scores = np.exp(scores - scores.max())
        scores /= scores.sum()
    labels = settings["labels"]
    best = [int(place) for place in np.argsort(-scores, kind="stable")[:TOP]]
    return [
        {"label": labels[place] if place < len(labels) else str(place), "probability": float(scores[place])}
        for place in best
    ]


def objects(outputs: dict[str, Any], settings: dict[str, Any], path: Path) -> list[dict[str, Any]]:
    """What is found, best first; a box is x1, y1, x2, y2 in pixels of the image file, or of the array in a file."""
    how, labels = settings["detection"], settings["labels"]
    height, width = settings["image_size"]
    is_image = settings["preprocessing"]["type"] == "image" and path.suffix not in ARRAYS
    size = image_size(path) if is_image else None
    return [
        {"label": labels[place] if place < len(labels) else str(place), "score": float(score), "box": box.tolist()}
        for boxes, scores, places in found_objects(outputs, how, (height, width), how["threshold"])
        for box, score, place in zip(placed(boxes, size, settings), scores, places.tolist())  # noqa: B905 - `strict` needs Python 3.10
    ]


def placed(boxes: Any, size: tuple[int, int] | None, settings: dict[str, Any]) -> Any:
    """Boxes in pixels of the image of this size, or as they are."""
    return boxes if size is None else in_file(boxes, size, settings["preprocessing"])


def print_result(name: str, found: dict[str, Any]) -> None:
    """Print a result for a person."""
    print(name)
    for one in found.get("classes", ()):
        print(f"  {100 * one['probability']:6.2f} %  {one['label']}")
    for one in found.get("objects", ()):
        box = "  ".join(f"{edge:.0f}" for edge in one["box"])
        print(f"  {100 * one['score']:6.2f} %  {one['label']}  {box}")
    if found.get("objects") == []:
        print("  no objects")
    for output, values in found.get("outputs", {}).items():
        print(f"  {output}  {json.dumps(values)}")


def self_test(session: Any, settings: dict[str, Any]) -> int:
    """Run every case; 0 if each output differs from the expected one by at most the limit of its case."""
    problems = [*example_problems(settings)]
    cases = list(read_cases(data("cases.bin")))
    for number, case in enumerate(cases):
        outputs = session.run({one["name"]: case["in"][place] for place, one in enumerate(settings["inputs"])})
        for place, tensor in enumerate(settings["outputs"]):
            difference = largest_difference(outputs[tensor["name"]], case["out"][place])
            limit = float(case["limit"][place][0])
            if not difference <= limit:
                problems.append(f"case {number}, output {place} differs by {difference:.3g}, at most {limit:.3g}")
    for problem in problems:
        print(problem, file=sys.stderr)
    print(f"{len(cases)} cases, {'all' if not problems else 'NOT all'} as expected ({session.engine})")
    return 1 if problems else 0


def largest_difference(got: Any, expected: Any) -> float:
    """The largest absolute difference; infinite for another shape."""
    if got.shape != expected.shape:
        return float("inf")
    return float(np.abs(got.astype(np.float64) - expected.astype(np.float64)).max(initial=0.0))


def example_problems(settings: dict[str, Any]) -> Iterator[str]:
    """Whether the example file becomes the input that edgekit made of it; needs Pillow for an image."""
    if not settings["example"]:
        return
    with tempfile.TemporaryDirectory(prefix="model-") as folder:
        path = Path(folder) / settings["example"]
        path.write_bytes(data(path.name))
        try:
            got = read_input(path, settings)[settings["inputs"][0]["name"]]
        except ImportError:
            print("Images are not read here, because Pillow is not installed: pip install pillow", file=sys.stderr)
            return
    expected = next(read_cases(data("example.bin")))
    difference = largest_difference(got, expected["in"][0])
    if not difference <= float(expected["limit"][0][0]):
        yield f"the input made of '{path.name}' differs by {difference:.3g}"


def read_cases(content: bytes) -> Iterator[dict[str, dict[int, Any]]]:
    """Cases from records: a line `DTYPE SIZE,SIZE,... CASE:KIND:PLACE`, then the plain numbers."""
    cases: dict[int, dict[str, dict[int, Any]]] = {}
    place = 0
    while place < len(content):
        end = content.index(b"\n", place)
        dtype, sizes, key = content[place:end].decode().split(" ")
        shape = [] if sizes == "-" else [int(size) for size in sizes.split(",")]
        array = np.frombuffer(content, dtype, int(np.prod(shape, dtype=np.int64)), end + 1).reshape(shape)
        number, kind, position = key.split(":")
        cases.setdefault(int(number), {}).setdefault(kind, {})[int(position)] = array
        place = end + 1 + array.nbytes
    yield from cases.values()


def watch(session: Any, settings: dict[str, Any], source: Path, target: Path) -> int:
    """Run every file that appears in `source`, then remove it; results appear in `target` complete. Never returns."""
    for folder in (source, target):
        folder.mkdir(parents=True, exist_ok=True)
    print(f"watching '{source}'", flush=True)
    while True:
        for path in sorted(path for path in source.iterdir() if path.is_file() and path.name[0] != "."):
            try:
                found = result(session, settings, path)
            except Exception as err:  # noqa: BLE001 - a file that is no input must not end a service
                found = {"input": path.name, "error": f"{type(err).__name__}: {err}"}
            part = target / f".{path.name}.part"
            part.write_text(json.dumps(found) + "\n", encoding="utf-8")
            part.replace(target / f"{path.name}.json")
            path.unlink()
        time.sleep(PAUSE_S)


def complain(message: str, code: int) -> int:
    """Print why there is no result."""
    print(f"Error: {message}", file=sys.stderr)
    return code
