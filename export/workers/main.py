"""The worker process: builds the module once and runs jobs, one JSON line each. Started by `worker.Worker`."""

from __future__ import annotations

import inspect
import os
import queue
import signal
import threading
import traceback
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final, TypeAlias

import msgspec
import numpy as np

from edgekit.core.errors import (
    ConversionFailed,
    DiskFull,
    EdgekitError,
    ModelUnreadable,
    UserError,
    from_os_error,
    of_the_machine,
    to_record,
)
from edgekit.core.recipe import Recipe
from edgekit.core.samples import Feed, Samples, read_arrays
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.system.native.types import prepared
from edgekit.core.system.optional import need
from edgekit.export import messages
from edgekit.export.formats import TORCH, Exporter, ModelFile, Quantizer, kind_of, known_formats, load, open_model_file
from edgekit.export.messages import ModuleRef
from edgekit.export.torch.call import operators_of, run_module
from edgekit.export.torch.exported_program import describe_program
from edgekit.export.torch.module import load_module, sources_digest, state_digest
from edgekit.export.torch.noise import Run, deviations, moved_run, torch_runs
from edgekit.export.torch.repeatable import refuse_unrepeatable
from edgekit.export.torch.state import copied, load_state, save_state, save_weights, tensors_of
from edgekit.export.torch.tracer import record
from edgekit.export.workers.arrays import pack_feeds, save_arrays, unpack_feeds
from edgekit.export.workers.drawn_weights import DrawnWeights, drawn_weights
from edgekit.export.workers.hugging_face import tokenize
from edgekit.export.workers.library_models import library_model
from edgekit.runtime.backend import BACKENDS, default_backend

if TYPE_CHECKING:
    from edgekit.export.graphs.torch_types import Module

# Measuring the reference's own noise may take this much processor time beyond the cases.
_NOISE_S: Final = 10.0


def main() -> None:
    """Run jobs from stdin and reply on what was stdout at the start, until stdin closes."""
    source, replies = _private_pipes()
    warnings.simplefilter("ignore")
    lines: queue.Queue[bytes] = queue.Queue()
    threading.Thread(target=_read_jobs, args=(source, lines), daemon=True).start()
    state = _State()
    while True:
        reply = _reply(state, lines.get())
        replies.write(msgspec.json.encode(reply) + b"\n")
        replies.flush()


def _private_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Where jobs come from and replies go.

    From here on a module that reads gets nothing, and what is printed, by C++ code too, goes to stderr, which the
    parent keeps.
    """
    source, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return source, replies


def _read_jobs(source: BinaryIO, lines: queue.Queue[bytes]) -> None:
    for line in source:
        lines.put(line)
    # The parent is gone, or has no more work: a conversion in progress is of no use.
    if os.getpgrp() == os.getpid():
        os.killpg(os.getpid(), signal.SIGKILL)
    os._exit(1)


@dataclass(frozen=True)
class _Network:
    """A source that PyTorch runs."""

    module: Module


_Source: TypeAlias = _Network | ModelFile


class _State:
    """The source that this worker has opened."""

    def __init__(self) -> None:
        self._opened: tuple[ModuleRef, int, _Source] | None = None
        self._state = ""
        self.notes: list[str] = []

    def source(self, ref: ModuleRef, seed: int, state: str = "") -> _Source:
        """The source; a module gets the tensors in the file `state` if there is one."""
        if self._opened is None or self._opened[:2] != (ref, seed):
            self.notes = []
            self._opened, self._state = (ref, seed, _opened(ref, seed, self.notes)), ""
        source = self._opened[2]
        if isinstance(source, _Network) and state and state != self._state and Path(state).is_file():
            load_state(source.module, Path(state))
            self._state = state
        return source

    def keep(self, state: str) -> None:
        """The file `state` was just written from this module: it need not be read here."""
        self._state = state


def _opened(ref: ModuleRef, seed: int, notes: list[str]) -> _Source:
    if kind_of(ref.location) != TORCH:
        return open_model_file(ref.location)
    _quiet_torch()
    return _Network(load_module(ref, seed=seed, note=notes.append))


def _reply(state: _State, line: bytes) -> messages.Reply:
    try:
        return _answer(state, msgspec.json.decode(line, type=prepared(messages.Question)))
    except EdgekitError as err:
        return messages.Reply(failure=messages.WorkerFailure(**to_record(err)))
    except MemoryError:
        return messages.Reply(failure=messages.WorkerFailure("out of memory"))
    except OSError as err:
        found = from_os_error(err, "converting")
        kind = type(found).__name__ if isinstance(found, DiskFull) else ""
        return messages.Reply(failure=messages.WorkerFailure(found.message, kind, found.hint, traceback.format_exc()))
    except BaseException as err:  # noqa: BLE001  # converters raise anything, SystemExit included
        if lacking := of_the_machine(err):
            return messages.Reply(failure=messages.WorkerFailure(**to_record(lacking)))
        first = next(iter(str(err).strip().splitlines()), "")
        trace = "".join(traceback.format_exception(err))
        return messages.Reply(failure=messages.WorkerFailure(f"{type(err).__name__}: {first}", trace=trace))


def _answer(state: _State, job: messages.Question) -> messages.Reply:
    match job:
        case messages.Describe():
            return _describe(job)
        case messages.DescribeLibraryModel():
            return messages.Reply(library=library_model(job.library, job.name, may_download=job.may_download))
        case messages.Tokenize():
            return messages.Reply(tokens=tokenize(job))
        case messages.Parameters():
            return messages.Reply(parameters=_parameters(state, job))
        case messages.Load():
            return _load(state, job)
        case messages.RunModule():
            return _run(state, job)
        case messages.Export():
            return _export(state, job)
        case messages.Quantize():
            return _quantize(job)
        case messages.Steps():
            return _steps(state, job)


def _describe(job: messages.Describe) -> messages.Reply:
    if kind_of(job.location) == TORCH:
        return messages.Reply(described=describe_program(Path(job.location)))
    return messages.Reply(described=open_model_file(job.location).describe())


def _parameters(state: _State, job: messages.Parameters) -> tuple[str, ...]:
    source = state.source(job.module, job.seed)
    return tuple(inspect.signature(source.module.forward).parameters) if isinstance(source, _Network) else ()


def _load(state: _State, job: messages.Load) -> messages.Reply:
    state.source(job.module, job.seed)
    if job.exporter:
        _exporter(job.exporter).prepare()
    return messages.Reply(converted=messages.Converted())


def _run(state: _State, job: messages.RunModule) -> messages.Reply:
    source = state.source(job.module, job.seed)
    module = source.module if isinstance(source, _Network) else None
    drawn = DrawnWeights() if module is None else _drawn(module, job)
    state.keep(job.state)
    before = {} if module is None else copied(tensors_of(module))
    found: Feed = {}
    failures: dict[int, str] = {}
    names: tuple[str, ...] = ()
    feeds = unpack_feeds(read_arrays(Path(job.feeds), ModelUnreadable))
    for index, feed in sorted(feeds.items()):
        try:
            outputs = _outputs(source, job.spec, feed)
        except UserError as err:
            failures[index] = err.message
            continue
        names = tuple(outputs)
        found |= {f"{index}:{name}": array for name, array in outputs.items()}
    if not found:
        raise UserError(failures[min(failures)])
    save_arrays(Path(job.outputs), found)
    if job.noise:
        _save_noise(source, job, feeds, unpack_feeds(found))
    good = next(feed for index, feed in sorted(feeds.items()) if index not in failures)
    if module is not None:
        first = next(iter(unpack_feeds(found).values()))
        refuse_unrepeatable(module, job.spec, good, first, before)
    operators, weights = _made_of(source, job.spec, good)
    traced = messages.Traced(
        names,
        tuple(sorted(operators)),
        weights,
        sources_digest(),
        failures,
        is_random=drawn.by_call,
        is_untrained=drawn.by_seed,
        notes=tuple(state.notes),
    )
    return messages.Reply(traced=traced)


def _drawn(module: Module, job: messages.RunModule) -> DrawnWeights:
    """Save the tensors of the module, and its weights as well if its factory sets other ones in each call."""
    if not job.state:
        return DrawnWeights()
    save_state(module, Path(job.state))
    found = drawn_weights(module, job.module, job.seed)
    if found.by_call:
        save_weights(module, Path(job.weights))
    return found


def _outputs(source: _Source, spec: ModelSpec, feed: Feed) -> Feed:
    return run_module(source.module, spec, feed) if isinstance(source, _Network) else source.run(spec, feed)


def _save_noise(
    source: _Source, job: messages.RunModule, feeds: Mapping[int, Feed], outputs: Mapping[int, Feed]
) -> None:
    """Write how far the outputs of the feeds `job.noisy` are from themselves when computed another way."""
    noisy = [index for index in job.noisy if index in outputs]
    pairs = ((feeds[index], outputs[index]) for index in noisy)
    measured = zip(noisy, deviations(_other_runs(source, job), job.spec, pairs, _NOISE_S), strict=False)
    save_arrays(Path(job.noise), {f"{index}:{name}": array for index, one in measured for name, array in one.items()})


def _other_runs(source: _Source, job: messages.RunModule) -> tuple[Run, ...]:
    """Other ways to compute the source's outputs."""
    if isinstance(source, _Network):
        return torch_runs(source.module, job.spec, job.fixed)
    return moved_run(lambda feed: _outputs(source, job.spec, feed), job.spec, job.fixed)


def _made_of(source: _Source, spec: ModelSpec, feed: Feed) -> tuple[frozenset[str], str]:
    """Operators, and the digest of the weights."""
    if isinstance(source, _Network):
        return operators_of(source.module, spec, feed), state_digest(source.module)
    return source.operators(), source.digest()


def _export(state: _State, job: messages.Export) -> messages.Reply:
    source = state.source(job.module, job.seed, job.state)
    given = source.module if isinstance(source, _Network) else source
    feed = read_arrays(Path(job.feed), ModelUnreadable)
    # Third-party exporters need these options only where they are used.
    chosen: dict[str, int] = {"opset": job.opset} if job.opset else {}
    chosen |= {"is_complex": True} if job.is_complex else {}
    made = _exporter(job.exporter).export(given, job.spec, feed, Path(job.out), **chosen)
    _try_engine(Path(job.out), job.spec, feed)
    return messages.Reply(converted=made)


def _quantize(job: messages.Quantize) -> messages.Reply:
    calibration = Samples.load(Path(job.calibration), ModelUnreadable) if job.calibration else None
    recipe = Recipe.parse(job.recipe)
    # Third-party quantizers need these options only where they are used.
    kept: dict[str, tuple[str, ...] | str] = {"keep_float": job.keep_float} if job.keep_float else {}
    kept |= {"method": job.method} if job.method != "min-max" else {}
    kept |= {"wide": job.wide} if job.wide else {}
    made = _quantizer(job.quantizer).quantize(Path(job.source), job.spec, recipe, calibration, Path(job.out), **kept)
    if job.feed:
        _try_engine(Path(job.out), job.spec, read_arrays(Path(job.feed), ModelUnreadable))
    return messages.Reply(converted=made)


def _steps(state: _State, job: messages.Steps) -> messages.Reply:
    source = state.source(job.module, job.seed)
    assert isinstance(source, _Network)
    feeds = unpack_feeds(read_arrays(Path(job.feeds), ModelUnreadable))
    graph, runs = record(source.module, job.spec, [feeds[index] for index in sorted(feeds)])
    save_arrays(Path(job.values), pack_feeds(runs))
    return messages.Reply(stepped=messages.Stepped(graph, state_digest(source.module)))


def _try_engine(path: Path, spec: ModelSpec, feed: Feed) -> None:
    """Open and run the file here, where a crash of the backend does no harm; outputs are judged elsewhere."""
    if not path.is_file():
        return
    kind = next(one.name for one in known_formats().values() if one.suffix == path.suffix)
    backend = BACKENDS.get(default_backend(kind))()
    try:
        with backend.open(path, {}, spec) as session:
            session.run(feed)
    except ModelUnreadable as err:
        raise ConversionFailed(f"The converter wrote an invalid file: {err.message}") from err
    except EdgekitError:
        return


def _exporter(location: str) -> Exporter[Module | ModelFile]:
    exporter: Exporter[Module | ModelFile] = _made(location)
    return exporter


def _quantizer(location: str) -> Quantizer:
    quantizer: Quantizer = _made(location)
    return quantizer


def _made(location: str) -> Any:
    try:
        return load(location)()
    except (ImportError, AttributeError) as err:
        raise ConversionFailed(f"The exporter '{location}' cannot be imported: {err}.") from err


def _quiet_torch() -> None:
    torch = need("torch", extra="export")
    # The fast path of attention layers has no exportable operators.
    torch.backends.mha.set_fastpath_enabled(False)
    # Distributions check the values of their parameters, which cannot be traced.
    torch.distributions.Distribution.set_default_validate_args(False)
    np.seterr(all="ignore")


if __name__ == "__main__":
    main()
