"""Mutants of .pt2 archives: entries, the graph in JSON, its expressions, and what says where weights are."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from random import Random
from typing import Any, Final

from benchmarks.fuzz.values import TEXTS, alter, as_json, mutated_bytes, places, value_at

Entries = dict[str, bytes]
GRAPH: Final = "models/model.json"
_ROOT: Final = Path(__file__).parents[2]
_SAVE: Final = (
    "import sys; from pathlib import Path; from tests.hostile.crafted_programs import save_programs;"
    "save_programs(Path(sys.argv[1]))"
)
_CODE: Final = (
    *(
        "__import__('os').system('touch PWN')",
        "1 or print(1)",
        "(lambda: 0)()",
        "[x for x in ()]",
        "L['x'].size()[0] == 1",
    ),
    *(
        "Symbol('s0')",
        "Pow(Integer(10), Integer(10**9))",
        "Integer(1)" * 400,
        "((((" * 500,
        "x" * 10**5,
        "Symbol('__class__')",
    ),
    *(
        "torch.ops.aten.add.Tensor",
        "torch.ops.aten.save.default",
        "torch.hub.load",
        "_operator.add",
        "#planted:f",
        "math.ceil",
    ),
)
_NAMES: Final = (
    *(
        "data/aotinductor/model/x.so",
        "models/more.json",
        "models/model.JSON",
        "data/weights/weight_1",
        "data/weights/../x",
    ),
    *(
        "data/constants/tensor_0",
        "data/constants/opaque_obj_0",
        "data/sample_inputs/model.pt",
        "extra/a.txt",
        "version",
        "x",
    ),
)


@cache
def seeds() -> tuple[Entries, ...]:
    """The entries of programs that torch has saved, by their names in the archive; this takes torch some seconds."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "PYTHONPATH": f"{_ROOT / 'src'}:{_ROOT}"}
        subprocess.run([sys.executable, "-c", _SAVE, folder], check=True, env=environment, capture_output=True)
        return tuple(_read(path) for path in sorted(Path(folder).glob("*.pt2")))


def _read(path: Path) -> Entries:
    with zipfile.ZipFile(path) as archive:
        return {entry.filename.partition("/")[2]: archive.read(entry) for entry in archive.infolist()}


def mutated(random: Random) -> bytes:
    """One of the programs with a part changed."""
    entries, how = dict(random.choice(seeds())), random.random()
    if how < 0.65:
        name = random.choice([GRAPH, GRAPH, GRAPH, *(name for name in entries if name.endswith(".json"))])
        document = json.loads(entries[name])
        _change(random, document)
        entries[name] = as_json(random, document)
    elif how < 0.75:
        name = random.choice(sorted(entries))
        entries[name] = mutated_bytes(random, entries[name]) or b"x"
    elif how < 0.85:
        del entries[random.choice(sorted(entries))]
    else:
        entries[random.choice(_NAMES)] = random.choice((b"", b"\x7fELF", b"{}", b"1"))
    return _written(random, list(entries.items()))


def _change(random: Random, document: Any) -> None:
    """Change values, or put what torch would evaluate in the place of a text."""
    texts = [path for path in places(document) if isinstance(value_at(document, path), str)]
    if not texts or random.random() < 0.5:
        alter(random, document, random.choice((1, 1, 2, 3)))
        return
    for _ in range(random.choice((1, 1, 2))):
        path = random.choice(texts)
        old = value_at(document, path)
        new = random.choice((*_CODE, random.choice(TEXTS)))
        value_at(document, path[:-1])[path[-1]] = random.choice((new, old + new, new + old))


def _written(random: Random, entries: Sequence[tuple[str, bytes]]) -> bytes:
    content, odd = io.BytesIO(), random.random()
    how = zipfile.ZIP_DEFLATED if odd < 0.03 else zipfile.ZIP_STORED
    folder = random.choice(TEXTS[:12]) if odd > 0.97 else "net"
    import warnings

    with warnings.catch_warnings(), zipfile.ZipFile(content, "w", how) as archive:
        warnings.simplefilter("ignore")
        for name, data in entries:
            archive.writestr(zipfile.ZipInfo(f"{folder}/{name}".replace("\0", "")), data, how)
        if random.random() < 0.04:
            archive.writestr(zipfile.ZipInfo(f"{random.choice(('net', 'other'))}/{random.choice(entries)[0]}"), b"x")
    found = content.getvalue()
    return mutated_bytes(random, found) if random.random() < 0.06 else found
