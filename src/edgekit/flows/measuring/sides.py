"""Sides: two opened artifacts that are compared by alternating launches."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from edgekit.core.bundle import Artifact
from edgekit.core.errors import UserError
from edgekit.core.measurement import Measurement
from edgekit.core.reports.comparison import Compared
from edgekit.core.samples import Samples
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.tensor_spec import TensorSpec
from edgekit.core.system.durable.owners import temporary_folder
from edgekit.core.system.progress import Progress
from edgekit.core.target import Target
from edgekit.devices.device import Counting
from edgekit.flows.fleet.holding import held, inability
from edgekit.flows.fleet.together import Stop
from edgekit.flows.measuring.cells import Cell, job_for, write_feeds
from edgekit.flows.measuring.pairs import Protocol, compare_pairs
from edgekit.flows.measuring.summary import instructions
from edgekit.flows.opening import devices
from edgekit.flows.opening.artifacts import Opened, opens

SEPARATOR: Final = "::"


@dataclass(frozen=True, eq=False)
class Side:
    """One side of a measured comparison."""

    name: str
    found: Opened
    artifact: Artifact


def side_of(text: str, found: Opened) -> Side:
    """The artifact named after `::`, or the only one.

    Raises:
        UserError: There are several artifacts, or none of that name.
    """
    _, _, recipe = text.partition(SEPARATOR)
    chosen = found.chosen((recipe,) if recipe else ())
    if len(chosen) > 1:
        names = ", ".join(one.recipe for one in chosen)
        raise UserError(
            f"'{text}' contains several artifacts: {names}.", hint=f"{found.path}{SEPARATOR}{chosen[0].recipe}"
        )
    return Side(text, found, chosen[0])


def compare_sides(
    a: Side,
    b: Side,
    target: Target,
    protocol: Protocol,
    time_limit_s: float,
    progress: Progress,
    stop: Stop | None = None,
    kept: list[Measurement] | None = None,
) -> tuple[Compared, tuple[Measurement, Measurement]]:
    """Compare two opened artifacts on one target by alternating launches.

    Args:
        kept: As in `compare_pairs`.

    Raises:
        UserError: They take different inputs, or the target does not open one of them.
        Unable: The device cannot run one of them.
    """
    refuse_other_inputs(a, b)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(temporary_folder()))
        cells = [_cell(side, a, target, folder, time_limit_s) for side in (a, b)]
        device = stack.enter_context(devices.open_device(target.device))
        launcher = stack.enter_context(held(device, stop or Stop(), wait_s=protocol.wait_s))
        for reason in filter(None, (inability(device, cell.job) for cell in cells)):
            raise reason
        return compare_pairs(cells, launcher, protocol, progress, kept=kept)


def count_sides(a: Side, b: Side, target: Target) -> tuple[float | None, float | None]:
    """Instructions of one inference of each, counted by an emulator; None where the device counts none."""
    with ExitStack() as stack:
        device = stack.enter_context(devices.open_device(target.device))
        if not (device.emulated and isinstance(device, Counting)):
            return None, None
        folder = Path(stack.enter_context(temporary_folder()))
        jobs = [_cell(side, a, target, folder, 0.0).job for side in (a, b)]
        before, after = (instructions(device.count(job)).value for job in jobs)
        return before, after


def refuse_unopened(target: Target, side: Side) -> None:
    """Raise where the backend of a target does not open a side."""
    if not opens(target, side.artifact):
        raise UserError(f"Target '{target}' does not open '{side.name}'.", hint=f"--target {target.device}")


def refuse_other_inputs(a: Side, b: Side) -> None:
    """Raise where the sides do not take the same inputs."""
    refuse_other(a.found.spec, b.found.spec)


def refuse_other(a: ModelSpec, b: ModelSpec) -> None:
    """Raise where two models do not take the same inputs, one sample at a time; see `names_in`."""
    if names_in(b, a) is None:
        told = (", ".join(sorted(map(str, spec.inputs))) for spec in (a, b))
        raise UserError(f"The inputs differ: {' and '.join(told)}.")


def names_in(spec: ModelSpec, a: ModelSpec) -> dict[str, str] | None:
    """What `spec` calls each input of `a`, or None if it does not take the same inputs.

    A dynamic axis takes what a fixed one has, if that is the size it is fed with: 1 for the batch. Inputs with other
    names, as converters give them, are the same if exactly one has the dtype and the shape of each.
    """
    left, right = ({tensor.name: tensor for tensor in one.inputs} for one in (a, spec))
    if left.keys() == right.keys():
        same = all(_are_alike(left[name], right[name], a, spec) for name in left)
        return {name: name for name in left} if same else None
    found = {
        name: [its for its, other in right.items() if _are_alike(one, other, a, spec)] for name, one in left.items()
    }
    is_clear = all(len(names) == 1 for names in found.values()) and len(left) == len(right)
    pairs = {name: names[0] for name, names in found.items()} if is_clear else {}
    return pairs if is_clear and len(set(pairs.values())) == len(right) else None


def samples_for(side: Side, a: Side) -> Samples:
    """The samples of A, their inputs called as those of `side`."""
    names = names_in(side.found.spec, a.found.spec) or {}
    inputs = {names.get(name, name): array for name, array in a.found.samples.inputs.items()}
    return replace(a.found.samples, inputs=inputs)


def _are_alike(one: TensorSpec, other: TensorSpec, a: ModelSpec, b: ModelSpec) -> bool:
    if one.dtype != other.dtype or len(one.shape) != len(other.shape):
        return False
    return all(_fed(size, a) == _fed(its, b) for size, its in zip(one.shape, other.shape, strict=True))


def _fed(size: int | str, spec: ModelSpec) -> int:
    return spec.sizes_of(size)[0] if isinstance(size, str) else size


def _cell(side: Side, a: Side, target: Target, folder: Path, time_limit_s: float) -> Cell:
    """The side with the samples of A, which both sides are fed."""
    refuse_unopened(target, side)
    samples = samples_for(side, a)
    place = folder / ("a" if side is a else "b")
    place.mkdir()
    feeds = write_feeds(replace(a.found, samples=samples), place, count=1)
    found = replace(side.found, samples=samples)
    return Cell(found, side.artifact, target, job_for(found, side.artifact, target, feeds, "", time_limit_s))
