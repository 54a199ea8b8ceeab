"""Time of every operator, from the profile that ONNX Runtime writes of its runs."""

from __future__ import annotations

import json
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from statistics import median
from typing import Any, Final

from edgekit.core.job import OperatorTime

_KERNEL: Final = "_kernel_time"
# The engine stops recording at a million events; a run of a large network has some thousands.
_RUNS: Final = 20
_WARMUPS: Final = 3


def operator_times(
    created: Callable[[Any], Any], settings: Any, feed: Mapping[str, object]
) -> tuple[OperatorTime, ...]:
    """Times of the operators over 20 runs of `feed`, after 3 warm-ups.

    Profiling adds some microseconds per operator, so these times show shares rather than latencies.

    Args:
        created: Makes ONNX Runtime's session from its options.
        settings: These options, to which profiling is added.
    """
    with tempfile.TemporaryDirectory(prefix="edgekit-operators-") as folder:
        settings.enable_profiling = True
        settings.profile_file_prefix = str(Path(folder) / "run")
        engine = created(settings)
        for _ in range(_WARMUPS + _RUNS):
            engine.run(None, feed)
        return read_operators(json.loads(Path(engine.end_profiling()).read_text()), warmups=_WARMUPS)


def read_operators(events: Iterable[Mapping[str, Any]], *, warmups: int) -> tuple[OperatorTime, ...]:
    """Operators in the order they ran, each with the median of its durations after the first `warmups`."""
    durations: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    for event in events:
        if event.get("cat") == "Node" and str(event["name"]).endswith(_KERNEL) and "op_name" in event["args"]:
            name = str(event["name"]).removesuffix(_KERNEL)
            durations[name, event["args"]["op_name"], event["args"].get("provider", "")].append(event["dur"] / 1e6)
    return tuple(
        OperatorTime(name, kind, _short(provider), median(values[warmups:] or values))
        for (name, kind, provider), values in durations.items()
    )


def _short(provider: str) -> str:
    return provider.removesuffix("ExecutionProvider").lower()
