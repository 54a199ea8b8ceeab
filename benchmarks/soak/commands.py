"""What the rounds of a soak run, each command with the exit codes that it has when nothing is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from edgekit.devices.remote.installed_programs import KEPT

DONE: Final = frozenset({0})
# Times on a busy machine differ: a verdict may be fail or inconclusive.
JUDGED: Final = frozenset({0, 1, 4})


@dataclass(frozen=True)
class Command:
    """`words` are those after `edgekit`; `devices` the stand-ins it reaches; `weight` how often it is drawn."""

    name: str
    words: str
    codes: frozenset[int] = DONE
    devices: tuple[str, ...] = ()
    weight: int = 4
    opens_page: bool = False
    # How often it runs before the first round: until what it keeps on purpose is complete.
    before: int = 1


_FEW: Final = "--launches 5 --time-limit 20ms"
COMMANDS: Final[Mapping[str, Command]] = MappingProxyType(
    {
        one.name: one
        for one in (
            Command("run", "run bundle --input sample:0 --json", weight=6),
            Command("run tflite", "run bundle --artifact tflite-fp32 --input random:1 --output out.npz"),
            Command("profile", f"profile bundle {_FEW} --report profile.json --report profile.html", JUDGED),
            Command(
                "profile desks",
                f"profile bundle --artifact onnx-fp32 --target desk-a,desk-b {_FEW} --report desks.json",
                JUDGED,
                ("desk-a", "desk-b"),
                weight=6,
            ),
            Command("profile pi", f"profile bundle --artifact onnx-fp32 --target pi {_FEW}", JUDGED, ("pi",), 1),
            Command(
                "profile phone", f"profile bundle --artifact onnx-fp32 --target phone {_FEW}", JUDGED, ("phone",), 1
            ),
            Command(
                "profile browser",
                f"profile bundle --artifact onnx-fp32 --target browser {_FEW}",
                JUDGED,
                ("browser",),
                1,
                opens_page=True,
            ),
            Command(
                "compare",
                "compare bundle::onnx-fp32 bundle::tflite-fp32 --launches 5 --time-limit 20ms --time-box 8s"
                " --report compared.json",
                JUDGED,
                weight=3,
            ),
            Command("check", "check --report check.xml", JUDGED, weight=5),
            Command("deploy", "deploy bundle --to desk-a --as net", devices=("desk-a",), weight=5, before=KEPT),
            Command("deploy list", "deploy --to desk-a --list", devices=("desk-a",), weight=2),
            Command("rollback", "deploy --to desk-a --as net --rollback", frozenset({0, 2}), ("desk-a",), 1),
            Command("deploy python", "deploy bundle --for python --out program --force", weight=3),
            Command("devices list", "devices list", devices=("desk-b",), weight=2),
            Command("devices check", "devices check desk-b", devices=("desk-b",)),
            Command("devices check phone", "devices check phone", devices=("phone",), weight=1),
            Command("prepare", "devices prepare pi --backend onnxruntime", devices=("pi",), weight=1),
            Command(
                "build",
                f"build net.py:net --samples samples.npz --to onnx-fp32 --out built --force {_FEW}",
                JUDGED,
                weight=3,
            ),
            Command("verify", "bundle verify bundle", weight=2),
        )
    }
)
