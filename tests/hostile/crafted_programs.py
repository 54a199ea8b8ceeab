"""Saved programs that run code when torch opens them. Made from a good one: nothing that runs is stored here."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

Entries = dict[str, bytes]
Edit = Callable[[Any], None]
GRAPH = "models/model.json"
WEIGHTS = "data/weights/model_weights_config.json"


def read(path: Path) -> Entries:
    """The entries of an archive by their names below its folder."""
    with zipfile.ZipFile(path) as archive:
        return {entry.filename.partition("/")[2]: archive.read(entry) for entry in archive.infolist()}


def write(path: Path, entries: Entries) -> Path:
    """An archive as torch writes it, apart from what is in it."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, content in entries.items():
            archive.writestr(f"net/{name}", content)
    return path


def edited(entries: Entries, edit: Edit, name: str = GRAPH) -> Entries:
    """The same entries with one document changed."""
    document = json.loads(entries[name])
    edit(document)
    return {**entries, name: json.dumps(document).encode()}


def replaced(entries: Entries, find: str, put: str) -> Entries:
    """The same entries with `put` for `find`, both as they are in JSON, everywhere in the graph."""
    text = entries[GRAPH].decode()
    assert find in text, find
    return {**entries, GRAPH: text.replace(find, put).encode()}


def save_programs(folder: Path) -> dict[str, Path]:
    """Small programs with what programs may contain: guards, texts, dictionaries, conditions, symbols that data set."""
    import torch

    class Guarded(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = torch.nn.Linear(6, 4)

        def forward(self, x: torch.Tensor, mode: str = "nearest", *, more: dict[str, torch.Tensor]) -> torch.Tensor:
            small = torch.nn.functional.interpolate(x[None, None], scale_factor=0.5, mode=mode)
            return torch.einsum("ij,kj->ik", self.linear(x), self.linear(more["y"])) + small.sum()

    class Chosen(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            rows = (x[:, 0] > 0).nonzero().squeeze(1)
            chosen = torch.cond(x.sum() > 0, lambda one: (one.sin(),), lambda one: (one.cos(),), (x,))
            return x[rows], chosen[0]

    auto = torch.export.Dim.AUTO
    x, more = torch.zeros(8, 6), {"y": torch.zeros(8, 6)}
    shapes = {"x": {0: auto}, "mode": None, "more": {"y": {0: auto}}}
    made = {
        "guarded": torch.export.export(Guarded().eval(), (x, "nearest"), {"more": more}, dynamic_shapes=shapes),
        "chosen": torch.export.export(Chosen().eval(), (torch.randn(5, 4),)),
    }
    for name, program in made.items():
        torch.export.save(program, folder / f"{name}.pt2")
    return {name: folder / f"{name}.pt2" for name in made}


def crafted(good: Entries, canary: Path) -> dict[str, Entries]:
    """Variants of the program `guarded`: each creates the file `canary`, or would load foreign code, in its own way."""
    touch = f"__import__('pathlib').Path('{canary}').touch()"
    pickled = f"cpathlib\nPosixPath\n(S'{canary}'\ntRp0\n0cpathlib\nPath.touch\n(g0\ntR.".encode()
    member = '{"__enum__": 1, "fqn": "planted:A", "name": "B"}'
    default = '{"default_factory_module": "planted", "default_factory_name": "f", "dict_context": []}'

    def guard(text: str) -> Edit:
        return lambda graph: graph.update(guards_code=[text])

    def structure(kind: str, context: object) -> Edit:
        def edit(graph: Any) -> None:
            node = {"type": kind, "context": context, "children_spec": []}
            graph["graph_module"]["module_call_graph"][0]["signature"]["in_spec"] = json.dumps([1, node])

        return edit

    def pickle_weight(config: Any) -> None:
        next(iter(config["config"].values())).update(use_pickle=True)

    return {
        "a guard": edited(good, guard(f"{touch} is None")),
        "a guard after a comment": edited(good, guard(f"1 == 1 # \n  or {touch}")),
        "a library": good
        | {"data/aotinductor/model/x.wrapper.so": b"\x7fELF", "data/aotinductor/model/x.so": b"\x7fELF"},
        "a graph under another suffix": {
            (name.replace(".json", ".JSON") if name == GRAPH else name): content
            for name, content in edited(good, guard(touch)).items()
        },
        "the name of an input": replaced(good, '"x"', f'"x={touch}"'),
        "the name of a weight": edited(
            replaced(good, '"linear.weight"', json.dumps(f'linear.w", {touch}, "')),
            lambda config: config["config"].update({f'linear.w", {touch}, "': config["config"]["linear.weight"]}),
            WEIGHTS,
        ),
        "a text that the program takes": replaced(
            good, '{"as_string": "nearest"}', json.dumps({"as_string": f"' or {touch} or '"})
        ),
        "a size": replaced(good, "Symbol('s", f"{touch} or Symbol('s"),
        "a power of powers": replaced(
            good, "ToFloat(Symbol", "Pow(Pow(Pow(Integer(10),Integer(64)),Integer(64)),Integer(64))+ToFloat(Symbol"
        ),
        "an operator that writes a file": replaced(
            good, "torch.ops.aten.linear.default", "torch.ops.aten.save.default"
        ),
        "an operator that maps a file": replaced(
            good, "torch.ops.aten.linear.default", "torch.ops.aten.from_file.default"
        ),
        "an operator of Python": replaced(good, "torch.ops.aten.linear.default", "_operator.methodcaller"),
        "a function of torch": replaced(good, "torch.ops.aten.linear.default", "torch.hub.load"),
        "a function of an extension": replaced(good, "torch.ops.aten.linear.default", "#planted:f"),
        "a default of a dictionary": edited(good, structure("collections.defaultdict", json.loads(default))),
        "an enumeration": edited(good, structure("builtins.list", member)),
        "a pickled weight": edited(good, pickle_weight, WEIGHTS) | {"data/weights/weight_0": pickled},
        "a pickled object": edited(
            good, lambda config: next(iter(config["config"].values())).update(path_name="opaque_obj_0"), WEIGHTS
        ),
    }
