"""One launch of a job on a device with a shell: send files, start the runner, read its result, clean up."""

from __future__ import annotations

import re
import secrets
import shlex
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import Final

import msgspec

from edgekit.core import machine
from edgekit.core.errors import DeviceError, DeviceUnavailable, DiskFull, EdgekitError, from_record
from edgekit.core.job import Job, JobFailure, JobResult
from edgekit.core.system.documents import BROKEN_JSON
from edgekit.core.system.durable.owners import temporary_folder
from edgekit.core.system.native import memory_limit
from edgekit.core.system.native.types import prepared
from edgekit.core.system.processes import Finished
from edgekit.devices.remote.facts import state_function, texts_of
from edgekit.devices.remote.runners import Runner, Staged
from edgekit.devices.remote.shell import Shell, complaint, shortened
from edgekit.devices.remote.transfer import ensure

_GRACE_S: Final = 5
_COUNTED_CALLS: Final = 50
_MARK: Final = re.compile(r"^mark \d+ (\d{1,18})$", re.MULTILINE | re.ASCII)
_TIMED_OUT: Final = 124
_KILLED: Final = 128
_NOT_FOUND: Final = 127
# What a launch prints before each state of the device, and before its result; and instead, if it lacks a file.
_STATE: Final = b"@@state\n"
_RESULT: Final = b"@@result\n"
_ABSENT: Final = b"@@absent\n"
_STATES: Final = 2
# Providers that take no more memory than they use.
_PROCESSOR: Final = ("cpu", "xnnpack", "acl")

NO_TEXTS: Final[machine.Texts] = MappingProxyType({})


def measure(shell: Shell, job: Job, runner: Runner, *, timeout_s: float, texts: machine.Texts = NO_TEXTS) -> JobResult:
    """Run one launch of `job` with `runner`, and fetch its outputs if the job has a file for them.

    The facts before and after are those that the device's shell read next to the runner, whichever runner it is.

    Args:
        texts: What the device reports about itself; what changes from moment to moment is read again.

    Raises:
        DeviceUnavailable: There is no connection, it was lost, or the launch did not end within `timeout_s`.
        DeviceError: The device has no backend for the job, its runner was killed, or its reply is damaged.
        ModelUnreadable: The model needs more memory than its limit.
        DiskFull: No space is left on the device.
        EdgekitError: The error that the runner itself reported.
    """
    finished = _launched(shell, job, runner, timeout_s)
    states, printed = _states_in(finished.out)
    line, _, outputs = printed.partition(b"\n")
    try:
        result = _result(shell.name, finished, line, timeout_s)
    except EdgekitError as err:
        raise memory_limit.exceeded_on(shell.name, f"{err.message} {finished.err}", _memory_bytes(job)) or err from err
    if job.outputs:
        runner.store(outputs, Path(job.outputs))
    if not states:
        return result
    if len(states) != _STATES:
        raise DeviceError(f"'{shell.name}' reported {len(states)} of its states around a launch, not {_STATES}.")
    before, after = (machine.at(texts, state) for state in states)
    return msgspec.structs.replace(
        result,
        before=machine.facts(before),
        after=machine.facts(after, throttled_before=machine.throttling_bits(before)),
    )


def _states_in(out: bytes) -> tuple[list[machine.Texts], bytes]:
    """The two readings before what the runner printed, and the rest; none if the launch ended early."""
    head, mark, rest = out.partition(_RESULT)
    if not mark or not head.startswith(_STATE):
        return [], out
    return [texts_of(state.decode(errors="replace")) for state in head.split(_STATE)[1:]], rest


def count(shell: Shell, job: Job, runner: Runner, counter: str, *, timeout_s: float) -> tuple[int, ...]:
    """Instructions of each of fifty inferences of `job`, counted by `counter`; errors as in `measure`.

    Args:
        counter: A command on the device that runs another command, and prints `mark NUMBER COUNT` to standard error
            each time that command makes system call 9999: the instructions so far.

    Raises:
        DeviceError: The counter printed no marks.
    """
    counted = msgspec.structs.replace(job, outputs="", min_values=_COUNTED_CALLS, max_values=_COUNTED_CALLS)
    finished = _launched(shell, counted, runner, timeout_s, counter)
    _, printed = _states_in(finished.out)
    _result(shell.name, finished, printed.partition(b"\n")[0], timeout_s)
    marks = [int(number) for number in _MARK.findall(finished.err)]
    if len(marks) != _COUNTED_CALLS + 1 or marks != sorted(marks):
        expected = f"expected {_COUNTED_CALLS + 1} that grow"
        message = f"The counter of '{shell.name}' ('{counter}') printed {len(marks)} marks, {expected}."
        raise DeviceError(message, hint="See docs/emulation.md for what a counter must do.")
    return tuple(after - before for before, after in pairwise(marks))


def _launched(shell: Shell, job: Job, runner: Runner, timeout_s: float, counter: str = "") -> Finished:
    """One launch, in one command; files are looked at one by one and sent only where it lacks one."""
    with temporary_folder() as folder:
        staged = runner.stage(job, Path(folder))
        staged = _counted(staged, counter) if counter else replace(staged, memory_bytes=_memory_bytes(job))
        script = launch_script(shell.root, f"run/{secrets.token_hex(8)}", staged, timeout_s)
        run = partial(shell.run, script, alive=True, timeout_s=timeout_s + 4 * _GRACE_S)
        finished = run()
        if finished.out != _ABSENT:
            return finished
        ensure(shell, staged.files)
        return run()


def _memory_bytes(job: Job) -> int:
    """How much memory the runner may take; a graphics card has no limit: its driver reserves more than it uses."""
    is_on_processor = job.options.get("provider", "cpu") in _PROCESSOR
    return memory_limit.allowed_bytes(Path(job.artifact)) if is_on_processor else 0


def _counted(staged: Staged, counter: str) -> Staged:
    # Without a fixed seed, Python's hashes, and with them the steps of a look-up, differ from process to process.
    settings = (*staged.settings, "export EDGEKIT_MARK=1 PYTHONHASHSEED=0")
    return replace(staged, command=f"{counter} {staged.command}", settings=settings)


def launch_script(root: str, folder: str, staged: Staged, timeout_s: float) -> str:
    """The script of one launch. It ends the runner when its standard input closes: the host or the link is gone.

    It prints the state of the device before and after the runner, and then what the runner printed. Of programs, it
    starts what it cannot do without: on a small device each takes as long as many inferences.
    """
    files = " && ".join(f'[ -f "{root}/blobs/{digest}" ]' for digest in staged.files)
    settings = "\n".join(staged.settings)
    limit = f"ulimit -d {staged.memory_bytes // 1024} 2>&-; " if staged.memory_bytes else ""
    return f"""trap '' PIPE HUP
{files} || {{ echo @@absent; exit 0; }}
cd "{root}" && mkdir -p {folder} && cd {folder} || exit 1
{state_function()}
clean() {{ cd ../.. && rm -rf {folder}; }}
printf %s {shlex.quote(msgspec.json.encode(staged.job).decode())} > job.json || {{ clean; exit 1; }}
{settings}
exec 3<&0 </dev/null
{{ echo @@state; state; }} >before 3<&-
{{ {limit}exec timeout -k {_GRACE_S} {timeout_s:.0f} {staged.command}; }} >result 2>errors 3<&- &
runner=$!
echo $runner > pid
{{ while read -r line <&3; do :; done; kill $runner; rm -rf "$PWD"; }} >/dev/null 2>&1 &
keeper=$!
exec 3<&-
wait $runner
code=$?
kill $keeper 2>/dev/null
{{ echo @@state; state; echo @@result; }} >after
set -- before after result
[ -f outputs ] && set -- "$@" outputs
cat "$@"
[ -s errors ] && tail -c 2000 errors >&2
clean
exit $code"""


def _result(name: str, finished: Finished, line: bytes, timeout_s: float) -> JobResult:
    """The result that a launch printed; errors as in `measure`."""
    try:
        msgspec.json.decode(line)
    except BROKEN_JSON as err:
        raise _no_result(name, finished, timeout_s) from err
    return result_of(name, line)


def result_of(name: str, line: bytes) -> JobResult:
    """The result in a runner's line of JSON.

    Raises:
        DeviceError: The line cannot be parsed, or reports that something is missing on the device.
        EdgekitError: The error that the runner reported.
    """
    try:
        document = msgspec.json.decode(line)
        if isinstance(document, dict) and "error" in document:
            raise _reported(name, msgspec.convert(document, prepared(JobFailure)))
        return msgspec.convert(document, prepared(JobResult))
    except BROKEN_JSON as err:
        raise DeviceError(f"Cannot parse the result of the runner on '{name}': {err}.") from err


def _reported(name: str, failure: JobFailure) -> EdgekitError:
    """The error that the runner named, as this side's own class: a line of the device's words, and no hint of it."""
    message = shortened(failure.message)
    if failure.error == "MissingExtra":
        return DeviceError(f"'{name}' cannot run this: {message}.", hint=f"edgekit devices prepare {name}")
    return from_record(failure.error, f"On '{name}': {message}", otherwise=DeviceError)


def _no_result(name: str, finished: Finished, timeout_s: float) -> EdgekitError:
    check = f"edgekit devices check {name}"
    if "No space left on device" in finished.err:
        return DiskFull(f"'{name}' ran out of disk space for a launch.", hint=f"edgekit devices clean {name}")
    if finished.code == _TIMED_OUT:
        return DeviceUnavailable(
            f"The launch on '{name}', with opening the model, did not end within {timeout_s:.0f} s.",
            hint=f"{check}   # or set a larger timeout_s for '{name}' in devices.toml",
        )
    if finished.code == _NOT_FOUND:
        return DeviceError(f"A program is missing on '{name}': {shortened(finished.err.strip()[-200:])}", hint=check)
    if finished.code > _KILLED:
        signal = finished.code - _KILLED
        return DeviceError(f"The runner on '{name}' was killed by signal {signal}; is its memory full?", hint=check)
    return complaint(name, finished, "running the job")
