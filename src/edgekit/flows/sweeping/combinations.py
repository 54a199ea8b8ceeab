"""Combinations: every model, artifact, target and batch size of a sweep, in every backend version."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import product
from pathlib import Path

import msgspec

from edgekit.core.bundle import Artifact
from edgekit.core.errors import UserError
from edgekit.core.facts import Facts
from edgekit.core.system.files import sha256_file
from edgekit.core.system.version import VERSION
from edgekit.core.target import Target
from edgekit.flows.measuring.cells import Cell, job_for, write_feeds
from edgekit.flows.measuring.measure import feeds_of
from edgekit.flows.measuring.pairs import short_job
from edgekit.flows.opening.artifacts import Opened, opens
from edgekit.flows.sweeping.backend_versions import BackendVersion
from edgekit.runtime.backend import default_backend


@dataclass(frozen=True, eq=False)
class Combination:
    """One artifact of one model on one target, in each of `engines`; without any, in the version that is installed.

    Compared and hashed by identity.
    """

    model: str
    found: Opened
    artifact: Artifact
    target: Target
    batch: int
    engines: tuple[BackendVersion, ...]

    @property
    def described(self) -> str:
        """`net.onnx on local@threads=2, batch 8`."""
        name = self.model if self.found.bundle is None else f"{self.model} {self.artifact.recipe}"
        return f"{name} on {self.target}{f', batch {self.batch}' if self.batch > 1 else ''}"


@dataclass(frozen=True, eq=False)
class Version:
    """A combination in one backend version, with its job; `key` is the checksum of all its conditions."""

    of: Combination
    engine: BackendVersion | None
    cell: Cell
    key: str

    @property
    def described(self) -> str:
        """`net.onnx on local, onnxruntime==1.31.1`."""
        return f"{self.of.described}{f', {self.engine}' if self.engine else ''}"


def combined(
    models: Mapping[str, Opened],
    names: Sequence[str],
    targets: Sequence[Target],
    batches: Sequence[int],
    engines: Sequence[BackendVersion],
) -> tuple[Combination, ...]:
    """Every combination that can be opened; `names` are recipes or aliases of bundles.

    Raises:
        UserError: A recipe that a bundle lacks, a target that opens nothing, a backend version for another machine, or
            one that no combination uses.
    """
    found = tuple(_combinations(models, names, targets, batches, engines))
    for target in targets:
        if not any(one.target == target for one in found):
            raise UserError(f"Target '{target}' cannot open any of the models.", hint="edgekit list backends")
    for engine in engines:
        if not any(engine in one.engines for one in found):
            raise UserError(f"'engine': nothing in the sweep runs on '{engine}'.", hint="edgekit list backends")
    return found


def with_threads(targets: Sequence[Target], threads: Sequence[int]) -> tuple[Target, ...]:
    """Each target with each number of threads.

    Raises:
        UserError: A target names its threads itself.
    """
    if not threads:
        return tuple(targets)
    for target in targets:
        if target.option("threads") is not None:
            raise UserError(f"threads: target '{target}' names its own.", hint=f'target = ["{target.device}"]')
    return tuple(Target.parse(f"{target}@threads={count}") for target, count in product(targets, threads))


def versions_of(combination: Combination, facts: Facts, folder: Path, *, time_limit_s: float) -> tuple[Version, ...]:
    """The combination in each backend version, with its feeds in `folder`, for a device with these facts."""
    feeds = write_feeds(combination.found, folder, count=feeds_of(combination.batch), batch=combination.batch)
    one = combination
    outputs = str(folder / "outputs.npz") if one.found.samples.expected else ""
    job = short_job(job_for(one.found, one.artifact, one.target, feeds, outputs, time_limit_s))
    cell = Cell(one.found, one.artifact, one.target, job, one.batch)
    return tuple(
        Version(one, engine, cell, _key(one, engine, cell, facts)) for engine in combination.engines or (None,)
    )


def _key(combination: Combination, engine: BackendVersion | None, cell: Cell, facts: Facts) -> str:
    """The checksum of everything that must be equal for a launch to be used again.

    The other versions belong to it: a pair counts only if both were launched alternately.
    """
    job = cell.job
    conditions = {
        "artifact": job.sha256,
        "format": job.format,
        "feeds": sha256_file(Path(job.feeds)),
        "batch": cell.batch,
        "states": job.states,
        "backend": job.backend,
        "options": job.options,
        "time_limit_s": job.time_limit_s,
        "device": cell.target.device,
        "machine": [facts.system, facts.architecture, facts.cpu, facts.cores, facts.governor, facts.emulated],
        "engine": str(engine) if engine else facts.engines,
        "versions": sorted(map(str, combination.engines)),
        "edgekit": VERSION,
    }
    return sha256(msgspec.json.encode(conditions, order="deterministic")).hexdigest()


def _combinations(
    models: Mapping[str, Opened],
    names: Sequence[str],
    targets: Sequence[Target],
    batches: Sequence[int],
    engines: Sequence[BackendVersion],
) -> Iterator[Combination]:
    for (model, found), target in product(models.items(), targets):
        artifacts = found.chosen(names) if found.bundle else found.artifacts
        for artifact, batch in product(artifacts, batches):
            if opens(target, artifact):
                backend = target.backend or default_backend(artifact.format)
                used = tuple(one for one in engines if one.backend == backend)
                if used and target.device != "local":
                    message = f"'engine': versions are compared on this machine only, not on '{target.device}'."
                    raise UserError(message, hint='target = ["local"]')
                yield Combination(model, found, artifact, target, batch, used)
