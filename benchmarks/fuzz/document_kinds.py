"""Mutants of what edgekit keeps and compares: configurations, histories and the documents of commands."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from random import Random
from typing import Any, Final

import msgspec
from benchmarks.fuzz import bundle_kinds, seed_models
from benchmarks.fuzz.case import Case
from benchmarks.fuzz.values import TEXTS, alter, as_json, mutated_bytes, text
from tests.report.made_up.documents import checked, comparison, tuned
from tests.report.made_up.factory import make_report
from tests.report.made_up.variants import emulated, parity_failed

_SHORT: Final = 12
_EVERYWHERE: Final = ("",)


def _shortened(value: Any) -> Any:
    """The document without most of the times in it."""
    if isinstance(value, dict):
        return {key: _shortened(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_shortened(one) for one in value[:_SHORT]]
    return value


@cache
def _reports() -> tuple[bytes, ...]:
    made = (make_report(), emulated(), parity_failed())
    return tuple(json.dumps(_shortened(json.loads(msgspec.json.encode(one)))).encode() for one in made)


@cache
def _others() -> tuple[bytes, ...]:
    made = (checked("a"), comparison("a"), tuned("a"))
    return tuple(json.dumps(_shortened(json.loads(msgspec.json.encode(one)))).encode() for one in made)


def report(random: Random) -> Case:
    """A report that someone gave, alone or next to another one."""
    seeds = _reports() if random.random() < 0.9 else _others()
    document = alter(random, json.loads(random.choice(seeds)), random.choice((1, 1, 2, 3, 5)))
    commands = (
        *(
            "explain r.json",
            "explain r.json s.json",
            "explain s.json r.json",
            "compare r.json s.json --report out.html",
        ),
        *("compare s.json r.json --json", "profile m.onnx --resume r.json --dry-run", "explain r.json --json"),
    )
    files = {"r.json": as_json(random, document), "s.json": _reports()[0], "m.onnx": seed_models.onnx_seeds()[0]}
    return Case(tuple(random.choice(commands).split()), files)


_SETTINGS: Final[dict[str, Any]] = {
    "schema_version": 1,
    "data": "data",
    "target": "local",
    "launches": 6,
    "seed": 0,
    "timeout_s": 600.0,
    "offline": False,
    "minimum_effect": 0.03,
    "wait_s": 0.0,
}
_CHECK: Final[dict[str, Any]] = {
    "target": ["local"],
    "budgets": ["latency.p90 <= 8 ms", "size <= 1 MB", "accuracy.drop <= 1 pt"],
    "minimum_effect": 0.03,
    "alpha": 0.05,
    "inconclusive": "pass",
    "patience": 10,
    "launches": 8,
    "nightly": True,
    "time_limit_s": 0.5,
    "time_box_s": 45.0,
    "baseline_metrics": ["latency", "size"],
    "size_tolerance": 0.001,
    "history": "edgekit-history.jsonl",
    "rerun_later": False,
    "accuracy_tolerance": 0.01,
    "baseline_commit": "",
}
_MODELS: Final[list[dict[str, Any]]] = [
    {"name": "net", "path": "b", "artifact": ["onnx-fp32"], "baseline": "base", "budgets": ["memory <= 50 MB"]},
    {
        "path": "m.onnx",
        "sizes": ["N=4"],
        "inputs": ["x=1"],
        "target": ["local/onnxruntime@threads=1"],
        "baseline": "m2.onnx",
    },
    {"name": "made", "source": "net.py:net", "to": ["onnx-fp32"], "inputs": ["x:float32[N,3]"], "samples": "s.npz"},
]


def configuration(random: Random) -> Case:
    """The project file of a repository that someone cloned, for commands that obey it."""
    document = json.loads(json.dumps({**_SETTINGS, "check": {**_CHECK, "models": _MODELS[: random.choice((1, 2, 3))]}}))
    for name in random.sample(sorted(document["check"]), random.randrange(9)):
        if name != "models":
            del document["check"][name]
    alter(random, document, random.choice((1, 1, 2, 3)))
    is_project = random.random() < 0.15
    content = toml({"tool": {"edgekit": document}} if is_project else document).encode("utf-8", "replace")
    if random.random() < 0.12:
        content = mutated_bytes(random, content)
    name = "pyproject.toml" if is_project else "edgekit.toml"
    commands = (
        *("config show --origin", "config show --json", "check --dry-run", "check --dry-run --json", "history show"),
        *(
            "history accept --why x",
            "history accept --why x --dry-run",
            "history blame --json",
            "init --force",
            "init --dry-run",
        ),
        *(
            "list devices",
            "run m.onnx --input random:0",
            "profile m.onnx --dry-run",
            "inspect m.onnx",
            "list models --json",
        ),
    )
    words = random.choice(commands).split()
    if is_project and words[0] in ("check", "history"):
        words += ["--config", name]
    return Case(tuple(words), {name: content, **_repository()}, writes=_EVERYWHERE)


@cache
def _repository() -> dict[str, bytes]:
    """The models that the configuration names."""
    onnx = seed_models.onnx_seeds()[0]
    bundles = {f"{folder}/{name}": data for folder in ("b", "base") for name, data in bundle_kinds.linear().items()}
    code = b"raise SystemExit('this code must not run')\n"
    return {"m.onnx": onnx, "m2.onnx": onnx, "net.py": code, "edgekit-history.jsonl": _history(), **bundles}


def toml(document: Mapping[str, Any]) -> str:
    """A document as TOML."""
    return "".join(
        f"{_key(key)} = {_toml_value(value)}\n" for key, value in document.items() if not _is_table(value)
    ) + ("".join(_table([key], value) for key, value in document.items() if _is_table(value)))


def _is_table(value: Any) -> bool:
    return isinstance(value, dict) or (
        isinstance(value, list) and bool(value) and all(isinstance(one, dict) for one in value)
    )


def _table(path: Sequence[str], value: Any) -> str:
    name = ".".join(map(_key, path))
    if isinstance(value, list):
        return "".join(f"[[{name}]]\n{_inside(path, one)}" for one in value)
    return f"[{name}]\n{_inside(path, value)}"


def _inside(path: Sequence[str], table: Mapping[str, Any]) -> str:
    plain = "".join(f"{_key(key)} = {_toml_value(value)}\n" for key, value in table.items() if not _is_table(value))
    return plain + "".join(_table([*path, key], value) for key, value in table.items() if _is_table(value))


def _key(name: str) -> str:
    return json.dumps(name)


def _toml_value(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(key)} = {_toml_value(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return f"[{', '.join(map(_toml_value, value))}]"
    if value is None:
        return "2026-01-01"
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > 10**40:
        return "9" * 400
    return json.dumps(value)


@cache
def _history() -> bytes:
    lines: list[dict[str, Any]] = [
        {
            "kind": "run", "created": f"2026-03-{day + 1:02}T09:41:00+00:00", "commit": f"{day:040x}",
            "verdict": "pass",
            "values": {"net/onnx-fp32/local": 1e-3 + 1e-6 * (day % 3) + 2e-4 * (day > 6), "m/m/local": 2e-3},
            "checks": ["net size"], "inconclusive": ["net size"] if day % 2 else [], "outside": [],
            "sizes": {"net/onnx-fp32/local": {"N": 1}}, "schema_version": 3,
        }
        for day in range(10)
    ]  # fmt: skip
    accepted = {
        "created": "2026-03-05T10:00:00+00:00",
        "commit": "c",
        "why": "larger",
        "models": ["net"],
        "baselines": ["b"],
    }
    lines.insert(4, {"kind": "accepted", **accepted, "schema_version": 3})
    return "".join(json.dumps(line) + "\n" for line in lines).encode()


def history(random: Random) -> Case:
    """Lines of a history that someone merged by hand, or that another program wrote."""
    lines = [json.loads(line) for line in _history().splitlines()]
    for _ in range(random.choice((1, 1, 2))):
        alter(random, random.choice(lines), random.choice((1, 2)))
    found = [as_json(random, line) if random.random() < 0.3 else json.dumps(line).encode() for line in lines]
    if random.random() < 0.2:
        random.shuffle(found)
    content = random.choice((b"\n", b"\n", b"\n", b"\r\n", b"\n\n")).join(found) + random.choice(
        (b"\n", b"", b"\n{", b"\0")
    )
    words = random.choice(
        (
            "history show",
            "history show --json",
            "history blame",
            "history blame --json",
            "history accept --why x",
            "check --dry-run",
        )
    ).split()
    files = {
        "edgekit.toml": b'[check]\nnightly = true\n[[check.models]]\nname = "net"\npath = "m.onnx"\nsizes = ["N=1"]\n',
        "edgekit-history.jsonl": content,
        "m.onnx": seed_models.onnx_seeds()[0],
    }
    return Case(tuple(words), files, writes=("edgekit-history.jsonl",))


_VALUES: Final[dict[str, tuple[str, ...]]] = {
    "profile m.onnx --dry-run --target": (
        "local/onnxruntime@threads=2@graph=all",
        "pi5",
        "local,local/litert",
        "usb:1",
    ),
    "profile m.onnx --dry-run --batch": ("1,8,32", "4"),
    "profile m.onnx --dry-run --precision": ("1%", "0.5 %", "0.01"),
    "profile m.onnx --dry-run --sustain": ("10min", "1h", "90 s"),
    "profile m.onnx --dry-run --time-limit": ("500ms", "1 s", "0.5"),
    "profile m.onnx --dry-run --launches": ("5", "1"),
    "run m.onnx --input": ("random:0", "x=1", "x.npy", "sample:0", "a sentence"),
    "run m.onnx --input random:0 --sizes": ("N=4", "T=32,64", "N=1"),
    "run m.onnx --input random:0 --state": ("y=x", "h1=h0"),
    "run m.onnx --input random:0 --target": ("local/onnxruntime@threads=2@graph=all", "local@provider=cpu"),
    "run m.onnx --input random:0 --output": ("out.npz", "out.csv", "out.json", "out.png"),
    "run b --input sample:0 --artifact": ("onnx-fp32", "tflite-int8", "onnx-int8-static-u8s8"),
    "run b --input": ("sample:0", "random:3", "x=0.5"),
    "validate b --artifact": ("onnx-fp32,tflite-fp32", "onnx-*"),
    "compare m.onnx --dry-run --minimum-effect 3%": ("b::onnx-fp32", "m.onnx", "b"),
    "inspect": ("m.onnx", "b"),
    "bundle verify b --key": ("k.pub", "b/README.md"),
    "deploy b --out out --for": ("python", "c", "js", "systemd"),
    "tune b --dry-run --max-drop": ("0.5pt", "1 %"),
    "list": ("models", "recipes"),
    "history show --config": ("edgekit.toml",),
    "check --dry-run --config edgekit.toml --time-box": ("45s", "2min"),
    "devices add": ("pi@host", "pi5"),
}


def words(random: Random) -> Case:
    """Values of options as people, scripts and other programs write them: targets, sizes, times, names of files."""
    command = random.choice(sorted(_VALUES))
    given = _VALUES[command]
    value = random.choice(given)
    for _ in range(random.choice((1, 1, 2, 3))):
        value = _other_words(random, value, given)
    # An argument of a program holds no null character, and is not longer than the system allows.
    value = value.replace("\0", "")[:9000]
    laid = {
        **_repository(),
        "edgekit.toml": b'[[check.models]]\npath = "m.onnx"\nsizes = ["N=1"]\n',
        "k.pub": b"ssh-ed25519 AAAA x\n",
    }
    # The name of an output is the choice of whoever types it.
    return Case((*command.split(), value), laid, writes=_EVERYWHERE if "--output" in command else ("out",))


def _other_words(random: Random, value: str, given: Sequence[str]) -> str:
    how, mark = random.random(), random.choice("=,:/@%. -+*[]()<>x0eE_\u0661\xb5")
    place = random.randrange(len(value) + 1)
    if how < 0.3:
        return value[:place] + mark + value[place:]
    if how < 0.45:
        return value[:place] + random.choice(given)[random.randrange(4) :] + value[place:]
    if how < 0.6:
        return (
            value[:place] + random.choice(("0", "-1", "1e999", "nan", "9" * 30, "1_000", "0x10", " ")) + value[place:]
        )
    return text(random, value, [value.replace("=", mark), random.choice(TEXTS), value * 20])
