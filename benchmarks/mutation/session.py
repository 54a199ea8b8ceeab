"""Runs the tests of one module on each of its mutants: the tests are imported once, and each mutant is a fork.

It is a process of its own in a copy of the repository, which it may spoil: python -m benchmarks.mutation.session JOB.
Each outcome is a line of the file that JOB names.
"""

from __future__ import annotations

import gc
import importlib
import importlib.util
import json
import os
import random
import resource
import select
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Final, TextIO

import msgspec
import pytest
from benchmarks.mutation.mutants import Mutant
from benchmarks.mutation.patching import Codes, Functions, changed_functions, functions_at, patch
from coverage import Coverage

# What most tests import, and what holds no thread: it is imported once for all mutants.
PRELOADED: Final = (
    "numpy",
    "msgspec",
    "click",
    "rich.console",
    "rich.table",
    "hypothesis",
    "jinja2",
    "sklearn.datasets",
)
# As in `make test-fast`: what starts many processes or waits for devices is no test next to a module.
FAST: Final = "not slow and not browser and not device and not gpu and not timing"
# Seconds of a processor: a mutant may take five times as long as the module did, and this.
SPARE_S: Final = 5.0
MEMORY_BYTES: Final = 6 << 30


class Job(msgspec.Struct):
    """Which mutants of which module, and the tests that have to find them. Paths begin at the current folder.

    After `minutes` no mutant is begun.
    """

    module: str
    tests: list[str]
    mutants: list[Mutant]
    out: str
    longest_s: float
    minutes: float


class Test(msgspec.Struct):
    """What one test did with the module unchanged, and the seconds of a processor that it took."""

    seconds: float
    passed: bool
    lines: list[int]


class Plugin:
    """Instead of running the tests once, runs them for each mutant in a fork of this process."""

    def __init__(self, job: Job, out: TextIO) -> None:
        self.job, self.out = job, out
        self.failed = False

    def pytest_sessionstart(self) -> None:
        from hypothesis import Phase, settings

        # A mutant is found by the first example; nobody reads the smallest one.
        settings.register_profile("mutation", settings(), phases=(Phase.explicit, Phase.generate))
        settings.load_profile("mutation")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.failed |= report.failed

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        origin = _origin(self.job.module)
        items = {item.nodeid: item for item in session.items}
        first, modules = self._known(session.items, None)
        for name in modules:
            with suppress(Exception):
                importlib.import_module(name)
        kept, _ = self._known([items[name] for name, one in first.items() if one.passed], origin)
        Path("tests.json").write_bytes(msgspec.json.encode(kept))
        source, functions = Path(self.job.module).read_text(), functions_at(origin)
        gc.collect()
        gc.freeze()
        for number, mutant in _in_time(self.job):
            changed = changed_functions(source, mutant.source, origin)
            if changed is None or not all(place in functions for place in changed):
                continue
            names = _first(_covering(kept, mutant, changed), kept, self.job.longest_s)
            limit = SPARE_S + 5 * sum(kept[name].seconds for name in names)
            work = partial(self._mutated, session, [items[name] for name in names], functions, changed)
            with _on_disk(self.job.module, mutant.source):
                code = in_child(work, *_limits(limit))
            if code != CANNOT_PATCH:
                _say(self.out, number, OUTCOMES.get(code, "killed") if names else "uncovered")
        return True

    def _mutated(self, session: pytest.Session, items: list[pytest.Item], functions: Functions, changed: Codes) -> int:
        return self._run(session, items) if patch(functions, changed) else CANNOT_PATCH

    def _run(self, session: pytest.Session, items: list[pytest.Item]) -> int:
        """0 if every test passed, 1 after the first that did not."""
        for item, following in zip(items, [*items[1:], None], strict=True):
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if self.failed:
                with suppress(BaseException):
                    session._setupstate.teardown_exact(None)
                return 1
        return 0

    def _known(self, items: list[pytest.Item], origin: str | None) -> tuple[dict[str, Test], list[str]]:
        """What each test does with the module unchanged, and the packages that the tests import while they run.

        Without the file of a module no line is noted, and a test that takes too long ends as failed.
        """
        path = Path("known.json").absolute()

        def work() -> int:
            before, traced = set(sys.modules), None if origin is None else _traced(origin)
            tests = {item.nodeid: self._test(item, traced) for item in items}
            if traced is not None:
                traced.stop()
                for name, lines in _lines(traced).items():
                    tests[name].lines = sorted(lines)
            path.write_bytes(msgspec.json.encode((tests, sorted(set(sys.modules) - before))))
            return 0

        if in_child(work, 3600.0, 3600) != 0:
            raise SystemExit(f"the tests of {self.job.module} could not be run")
        return msgspec.json.decode(path.read_bytes(), type=tuple[dict[str, Test], list[str]])

    def _test(self, item: pytest.Item, traced: Coverage | None) -> Test:
        self.failed = False
        start = _processor_s()
        if traced is None:
            signal.signal(signal.SIGPROF, lambda *_: pytest.fail("takes too long"))
            signal.setitimer(signal.ITIMER_PROF, self.job.longest_s, 0.5)
        else:
            traced.switch_context(item.nodeid)
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
        signal.setitimer(signal.ITIMER_PROF, 0)
        return Test(_processor_s() - start, not self.failed, [])


class Fresh:
    """Runs the tests in the given order and stops at the first that fails, in a process that has imported none."""

    def __init__(self, names: list[str]) -> None:
        self.order = {name: place for place, name in enumerate(names)}

    pytest_sessionstart = Plugin.pytest_sessionstart

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = sorted((one for one in items if one.nodeid in self.order), key=lambda one: self.order[one.nodeid])


OUTCOMES: Final = {0: "survived", None: "timed out"}


# The exit code of a child that could not put the mutant into the functions of this process.
CANNOT_PATCH: Final = 3


def _say(out: TextIO, number: int, outcome: str) -> None:
    out.write(json.dumps({"number": number, "outcome": outcome}) + "\n")
    out.flush()


def _limits(processor_s: float) -> tuple[float, int]:
    """Seconds of the clock, of which a busy machine needs more, and of one processor."""
    return 60 + 10 * processor_s, int(processor_s)


def _processor_s() -> float:
    """Seconds that this process and those that it waited for have used."""
    return sum(os.times()[:4])


def in_child(work: Callable[[], int], limit_s: float, processor_s: int = 3600) -> int | None:
    """The exit code of `work` in a fork of this process; None if it had to be ended. Nothing of it is left running."""
    child = os.fork()
    # Both set the group, so that it is there for whoever comes first.
    with suppress(ProcessLookupError, PermissionError):
        os.setpgid(child, child)
    if child == 0:
        code = 1
        try:
            resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES))
            resource.setrlimit(resource.RLIMIT_CPU, (processor_s, processor_s + 5))
            code = work()
        except BaseException as error:  # noqa: BLE001 - a child says why it failed, and ends
            print(repr(error), file=sys.stderr)
        finally:
            os._exit(code)
    handle = os.pidfd_open(child)
    try:
        ended = bool(select.select([handle], [], [], limit_s)[0])
    finally:
        os.close(handle)
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(child, signal.SIGKILL)
    status = os.waitpid(child, 0)[1]
    code = os.waitstatus_to_exitcode(status)
    return code if ended and code != -signal.SIGXCPU else None


def _traced(path: str) -> Coverage:
    """Notes each line of the file that is executed from now on."""
    traced = Coverage(data_file=None, include=[os.path.realpath(path)], config_file=False)
    traced.start()
    return traced


def _lines(traced: Coverage) -> dict[str, set[int]]:
    """The lines that each test has executed."""
    found: dict[str, set[int]] = {}
    data = traced.get_data()
    for file in data.measured_files():
        for line, names in data.contexts_by_lineno(file).items():
            for name in filter(None, names):
                found.setdefault(name, set()).add(line)
    return found


def _covering(tests: dict[str, Test], mutant: Mutant, changed: Codes) -> list[str]:
    """The tests that execute the changed lines, the fastest first; else those that enter the changed functions."""
    lines = set(range(mutant.line, mutant.last_line + 1))
    found = [name for name, one in tests.items() if lines.intersection(one.lines)]
    if not found:
        starts = {start for _, start in changed}
        found = [name for name, one in tests.items() if starts.intersection(one.lines)]
    return sorted(found, key=lambda name: tests[name].seconds)


def _in_time(job: Job) -> Iterator[tuple[int, Mutant]]:
    """The mutants with their numbers, in random order: those that are tried in time are a sample of all."""
    numbers = list(range(len(job.mutants)))
    random.Random(1).shuffle(numbers)
    end = time.monotonic() + 60 * job.minutes
    for number in numbers:
        if time.monotonic() < end:
            yield number, job.mutants[number]


def _first(names: list[str], tests: dict[str, Test], longest_s: float) -> list[str]:
    """As many of the tests as take three times the longest together, or at least one."""
    spent, found = 0.0, names[:1]
    for name in names:
        spent += tests[name].seconds
        if spent > 3 * longest_s:
            break
        found.append(name)
    return list(dict.fromkeys(found))


def _origin(module: str) -> str:
    """The file as Python names it, through the links of the package."""
    parts = Path(module).with_suffix("").parts
    parts = parts[1:] if parts[0] == "src" else ("edgekit", *parts)
    spec = importlib.util.find_spec(".".join(parts))
    assert spec is not None
    assert spec.origin is not None
    return spec.origin


@contextmanager
def _on_disk(module: str, mutated: str) -> Iterator[None]:
    """Processes that the tests start read the mutant from the disk."""
    path = Path(module)
    source = path.read_text()
    path.write_text(mutated)
    try:
        yield
    finally:
        path.write_text(source)


def _options(job: Job) -> list[str]:
    return [
        *job.tests,
        "-q",
        "-p",
        "no:cacheprovider",
        "-W",
        "ignore::pytest.PytestAssertRewriteWarning",
        "--basetemp=pytest-files",
        "-rN",
        "--tb=no",
    ]


def _imported_anew(job: Job, done: set[int], out: TextIO) -> None:
    """The mutants that change what the import of the module does: each in a process that imports it then."""
    tests = msgspec.json.decode(Path("tests.json").read_bytes(), type=dict[str, Test])
    names = sorted(tests, key=lambda name: (not tests[name].lines, tests[name].seconds))
    names = _first(names, tests, job.longest_s)
    limit = SPARE_S + 10 + 5 * sum(tests[name].seconds for name in names)
    for number, mutant in _in_time(job):
        if number not in done:
            with _on_disk(job.module, mutant.source):
                code = in_child(
                    lambda: int(pytest.main([*_options(job), "-x"], plugins=[Fresh(names)])), *_limits(limit)
                )
            _say(out, number, OUTCOMES.get(code, "killed"))


def main(path: str) -> None:
    """Judge the mutants of the job in the file `path`."""
    job = msgspec.json.decode(Path(path).read_bytes(), type=Job)
    sys.dont_write_bytecode = True
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    for cached in Path(job.module).parent.glob(f"__pycache__/{Path(job.module).stem}.*"):
        cached.unlink()
    for name in PRELOADED:
        with suppress(ImportError):
            importlib.import_module(name)
    with Path(job.out).open("a") as out:
        in_child(lambda: int(pytest.main(_options(job), plugins=[Plugin(job, out)])), 36000.0, 36000)
        done = {json.loads(line)["number"] for line in Path(job.out).read_text().splitlines()}
        _imported_anew(job, done, out)
    shutil.rmtree("pytest-files", ignore_errors=True)


if __name__ == "__main__":
    main(sys.argv[1])
