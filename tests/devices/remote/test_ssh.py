"""The ssh transport against a real sshd whose sessions are an emulated Raspberry Pi."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import numpy as np
import pytest
from tests.standins.cache import cache_folder, required
from tests.standins.jobs import Y, job_of
from tests.standins.pi import PI4, PI5, Board, Pi, running_pi
from tests.standins.wire import silent_server, wire_to

from edgekit.core import machine
from edgekit.core.errors import DeviceError, DeviceUnavailable, DiskFull, UserError
from edgekit.core.job import Job
from edgekit.core.reports.setup.devices import OK
from edgekit.core.samples import read_arrays
from edgekit.core.system.files import sha256_file
from edgekit.devices.remote import engines, ssh
from edgekit.devices.remote.facts import read_texts
from edgekit.devices.remote.launches import measure
from edgekit.devices.remote.onnxruntime_library import prepare_native
from edgekit.devices.remote.readiness import check
from edgekit.devices.remote.runners import PythonRunner
from edgekit.devices.remote.shell_device import Runners, ShellDevice
from edgekit.devices.remote.ssh import SshShell
from edgekit.devices.remote.transfer import ensure
from edgekit.runtime.portable import C_RUNNERS, PYTHON_RUNNER

pytestmark = pytest.mark.device

TIMEOUT_S = 120
PYTHON = PythonRunner(PYTHON_RUNNER)
RUNNERS = Runners(PYTHON_RUNNER, C_RUNNERS)


@pytest.fixture(scope="module")
def bare_pi() -> Iterator[Pi]:
    """A Pi 4 that nothing has been put on."""
    with required(), running_pi(PI4) as running:
        yield running


def through(pi: Pi, port: int) -> SshShell:
    """A connection to `pi` by another port than its own, whose host key is known as its own is."""
    kind, key = (pi.state / "host_key.pub").read_text().split()[:2]
    known = pi.state / f"known_hosts.{port}"
    known.write_text(f"[127.0.0.1]:{port} {kind} {key}\n")
    config = pi.state / f"ssh_config.{port}"
    config.write_text(
        pi.config.read_text().replace(f"Port {pi.port}", f"Port {port}").replace(str(pi.known_hosts), str(known))
    )
    return SshShell(pi.host, pi.host, config=str(config))


def eventually(fact: Callable[[], bool], seconds: float = 20) -> bool:
    deadline = time.monotonic() + seconds
    while not fact() and time.monotonic() < deadline:
        time.sleep(0.1)
    return fact()


def leftovers(pi: Pi) -> list[str]:
    """Folders of launches on the device."""
    return [path.name for path in (pi.home / ".cache/edgekit/run").glob("*")]


@contextmanager
def long_launch(shell: SshShell, folder: Path) -> Iterator[Callable[[], BaseException | None]]:
    """A launch that would go on for minutes, in a thread; gives what waits for its end and returns its error."""
    errors: list[BaseException] = []
    job = job_of("linear.onnx", folder, time_limit_s=300, min_values=10**9)

    def work() -> None:
        try:
            measure(shell, msgspec.structs.replace(job, max_values=10**9), PYTHON, timeout_s=300)
        except Exception as err:  # noqa: BLE001 - handed to the test
            errors.append(err)

    def wait() -> BaseException | None:
        thread.join(60)
        assert not thread.is_alive()
        return errors[0] if errors else None

    thread = threading.Thread(target=work)
    thread.start()
    yield wait
    thread.join(60)


@pytest.mark.parametrize("model", ["linear.onnx", "quantized.tflite"])
def test_the_answers_are_those_of_this_machine(pi: Pi, tmp_path: Path, model: str) -> None:
    from edgekit.runtime.launch import launch

    job = job_of(model, tmp_path)
    expected = launch(job)
    answers = read_arrays(Path(job.outputs), UserError)

    with pi.shell() as shell, ShellDevice(shell, RUNNERS, timeout_s=TIMEOUT_S) as device:
        assert device.facts().emulated
        result = device.measure(job)

    assert (result.backend, result.engine) == (expected.backend, expected.engine)
    assert len(result.values) >= 3
    assert result.peak_memory_bytes is None
    got = read_arrays(Path(job.outputs), UserError)
    for name, array in answers.items():
        np.testing.assert_array_equal(got[name], array)
    assert leftovers(pi) == []
    assert [path.name for path in (pi.home / ".cache").iterdir()] == ["edgekit"], "the engine wrote elsewhere"
    assert eventually(lambda: pi.processes() == [])


def test_a_pi_is_known_by_its_facts(pi: Pi) -> None:
    with pi.shell() as shell:
        facts = machine.facts(read_texts(shell))

    assert facts.architecture == "aarch64"
    assert facts.cpu == "Raspberry Pi 5 Model B Rev 1.0 (Cortex-A76)"
    assert "asimddp" in facts.features
    assert (facts.governor, facts.clock_hz, facts.temperature_c) == ("performance", 2.4e9, 48.2)
    assert facts.throttled is False
    assert facts.emulated
    assert facts.engines.keys() == {"onnxruntime", "ai-edge-litert"}
    assert facts.missing == {}


def test_a_hot_pi_says_what_to_mend() -> None:
    hot = Board(PI4.name, PI4.cpu, PI4.max_khz, throttled="0x50005", millidegrees=83000, governor="ondemand")
    with required(), running_pi(hot) as pi, pi.shell() as shell:
        found = {one.name: one for one in check(shell, C_RUNNERS)}

    assert "asimddp" not in found["connection"].found
    assert found["architecture"].state == OK
    assert found["temperature"].found == "83.0 °C, under-voltage, throttled now"
    assert found["governor"].mend.startswith("echo performance")
    assert found["runtime"].mend == "edgekit devices prepare pi"
    assert "no latency" in found["emulation"].found


def test_prepare_makes_a_bare_pi_ready_and_clean_leaves_no_trace() -> None:
    with required(), running_pi(PI5) as pi, pi.shell() as shell:
        said = engines.prepare(shell, cache_folder() / "wheels", offline=True)

        assert "onnxruntime" in said
        assert "ai-edge-litert" in said
        assert [path.name for path in (pi.home / ".cache/edgekit/blobs").iterdir()] == []
        engines.clean(shell)
        assert list(pi.home.rglob("*")) == []


def test_a_device_without_engines_is_told_to_be_prepared(bare_pi: Pi, tmp_path: Path) -> None:
    with (
        bare_pi.shell() as shell,
        pytest.raises(DeviceError, match="'pi' cannot run this: it has no 'numpy'") as caught,
    ):
        measure(shell, job_of("linear.onnx", tmp_path), PYTHON, timeout_s=TIMEOUT_S)

    assert caught.value.hint == "edgekit devices prepare pi"
    assert leftovers(bare_pi) == []


def test_an_architecture_without_engines_is_refused() -> None:
    uname = {"uname": 'if [ "$1" = -m ]; then echo riscv64; else exec /usr/bin/uname "$@"; fi'}
    with required(), running_pi(PI4, programs=uname) as pi, pi.shell() as shell:
        with pytest.raises(DeviceError, match="No backend supports the architecture 'riscv64' of 'pi'"):
            engines.prepare(shell, cache_folder() / "wheels", offline=True)

        found = {one.name: one for one in check(shell, C_RUNNERS)}
        assert found["architecture"].state == "problem"


def test_a_device_without_python_is_told_what_to_install() -> None:
    with (
        required(),
        running_pi(PI4, python=False) as pi,
        pi.shell() as shell,
        pytest.raises(DeviceError, match="'pi' has no Python 3") as caught,
    ):
        engines.prepare(shell, cache_folder() / "wheels", offline=True)

    assert "sudo apt install python3" in caught.value.hint


def test_a_device_without_python_runs_onnx_files(tmp_path: Path) -> None:
    job = job_of("linear.onnx", tmp_path)
    with required(), running_pi(PI4, python=False) as pi, pi.shell() as shell:
        said = prepare_native(shell, C_RUNNERS, cache_folder() / "wheels", has_glibc=True)
        with ShellDevice(shell, RUNNERS, timeout_s=TIMEOUT_S) as device:
            device.measure(job)

    assert said.startswith("onnxruntime ")
    np.testing.assert_array_equal(read_arrays(Path(job.outputs), UserError)["0:y"], Y)


def test_a_connection_lost_in_a_launch_ends_it_on_both_sides_and_the_next_attempt_succeeds(
    pi: Pi, tmp_path: Path
) -> None:
    with wire_to(pi.port) as wire:
        shell = through(pi, wire.port)
        with long_launch(shell, tmp_path) as wait:
            assert eventually(lambda: any("runner" in line or "python3" in line for line in pi.processes()), 60)
            wire.cut()
            start = time.monotonic()
            error = wait()

        assert isinstance(error, DeviceUnavailable)
        assert "lost" in str(error)
        assert time.monotonic() - start < 30
        assert eventually(lambda: pi.processes() == [])
        assert eventually(lambda: leftovers(pi) == [])

        job = job_of("linear.onnx", tmp_path)
        assert measure(shell, job, PYTHON, timeout_s=TIMEOUT_S).values
        np.testing.assert_array_equal(read_arrays(Path(job.outputs), UserError)["0:y"], Y)
        shell.close()


def test_an_upload_of_50_mb_that_was_cut_goes_on_where_it_ended(bare_pi: Pi, tmp_path: Path) -> None:
    big = tmp_path / "big"
    big.write_bytes(os.urandom(50_000_000))
    digest = sha256_file(big)
    with wire_to(bare_pi.port) as wire:
        shell = through(bare_pi, wire.port)
        wire.cut_after = 30_000_000

        with pytest.raises(DeviceUnavailable):
            ensure(shell, {digest: big})
        wire.sent = 0
        ensure(shell, {digest: big})

        assert wire.sent < 25_000_000
        assert sha256_file(bare_pi.home / ".cache/edgekit/blobs" / digest) == digest
        shell.close()
        assert eventually(lambda: bare_pi.processes() == [])


def test_a_full_disk_says_so_and_a_smaller_job_succeeds_afterwards(tmp_path: Path) -> None:
    big = tmp_path / "big"
    big.write_bytes(os.urandom(10_000_000))
    with required(), running_pi(PI5, disk="8m") as pi, pi.shell() as shell:
        with pytest.raises(DiskFull, match="'pi' ran out of disk space") as caught:
            ensure(shell, {sha256_file(big): big})

        assert caught.value.hint == "edgekit devices clean pi"
        small = Path(job_of("linear.onnx", tmp_path).artifact)
        ensure(shell, {sha256_file(small): small})
        assert shell.run("ls $HOME/.cache/edgekit/blobs").text == sha256_file(small)


def test_a_launch_that_takes_too_long_is_ended_and_the_next_attempt_succeeds(pi: Pi, tmp_path: Path) -> None:
    normal = job_of("linear.onnx", tmp_path)
    endless = msgspec.structs.replace(normal, time_limit_s=600, min_values=10**9, max_values=10**9)
    with pi.shell() as shell:
        with pytest.raises(DeviceUnavailable, match="did not end within 2 s"):
            measure(shell, endless, PYTHON, timeout_s=2)

        assert leftovers(pi) == []
        assert not Path(normal.outputs).exists()
        assert measure(shell, normal, PYTHON, timeout_s=TIMEOUT_S).values
    assert eventually(lambda: pi.processes() == [])


def test_a_changed_host_key_is_refused_until_it_is_removed(bare_pi: Pi, tmp_path: Path, temporary: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "other")], check=True)
    shell = with_known_hosts(bare_pi, tmp_path, (tmp_path / "other.pub").read_text())

    with pytest.raises(DeviceError, match=r"host key of 'pi' \(ssh, pi\) has changed") as caught:
        shell.run("true")

    assert f"[127.0.0.1]:{bare_pi.port}" in caught.value.hint
    assert list(temporary.iterdir()) == []
    assert bare_pi.processes() == []
    with_known_hosts(bare_pi, tmp_path, (bare_pi.state / "host_key.pub").read_text())
    assert answers(shell)


def test_an_unknown_host_key_is_never_accepted_for_the_user(bare_pi: Pi, tmp_path: Path, temporary: Path) -> None:
    shell = with_known_hosts(bare_pi, tmp_path, "", extra="StrictHostKeyChecking no\n")

    with pytest.raises(DeviceError, match=r"host key of .* is unknown") as caught:
        shell.run("true")

    assert caught.value.hint.startswith(f"ssh -F {tmp_path}/config pi ")
    assert (tmp_path / "known_hosts").read_text() == ""
    assert list(temporary.iterdir()) == []
    with_known_hosts(bare_pi, tmp_path, (bare_pi.state / "host_key.pub").read_text())
    assert answers(shell)


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where temporary files of this process go; the path of a socket in it must be short."""
    folder = Path(tempfile.mkdtemp(prefix="t-", dir="/tmp"))
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    shutil.rmtree(folder)


def answers(shell: SshShell) -> bool:
    """True when the next attempt succeeds."""
    try:
        return shell.run("uname -m").text == "aarch64"
    finally:
        shell.close()


def with_known_hosts(pi: Pi, folder: Path, key: str, extra: str = "") -> SshShell:
    """A shell that trusts `key` alone for the Pi's address."""
    known = folder / "known_hosts"
    known.write_text(f"[127.0.0.1]:{pi.port} {' '.join(key.split()[:2])}\n" if key else "")
    config = folder / "config"
    config.write_text(extra + pi.config.read_text().replace(str(pi.known_hosts), str(known)))
    return SshShell(pi.host, pi.host, config=str(config))


def test_a_key_that_is_not_accepted_is_said_and_once_it_is_there_works(
    bare_pi: Pi, tmp_path: Path, temporary: Path
) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "stranger")], check=True)
    config = tmp_path / "config"
    config.write_text(bare_pi.config.read_text().replace(f"{bare_pi.state}/client_key", str(tmp_path / "stranger")))

    shell = SshShell("pi", "pi", config=str(config))
    with pytest.raises(DeviceError, match="does not accept any of your keys") as caught:
        shell.run("true")

    assert caught.value.hint == f"ssh-copy-id -F {config} pi"
    assert list(temporary.iterdir()) == []
    assert bare_pi.processes() == []
    with (bare_pi.state / "authorized_keys").open("a") as keys:
        keys.write((tmp_path / "stranger.pub").read_text())
    assert answers(shell)


def test_a_refused_connection_may_be_tried_again(bare_pi: Pi) -> None:
    with wire_to(bare_pi.port) as wire:
        port = wire.port

    shell = through(bare_pi, port)
    with pytest.raises(DeviceUnavailable, match="Connection refused"):
        shell.run("true")

    with wire_to(bare_pi.port, at=port):
        assert answers(shell)


def test_a_host_that_says_nothing_is_given_up(bare_pi: Pi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ssh._OPTIONS, "ConnectTimeout", "2")
    start = time.monotonic()

    with silent_server() as port, pytest.raises(DeviceUnavailable, match="No response from 'pi'"):
        through(bare_pi, port).run("true")

    assert time.monotonic() - start < 15
    with wire_to(bare_pi.port, at=port):
        assert answers(through(bare_pi, port))


def test_a_name_that_no_host_has_is_said(bare_pi: Pi) -> None:
    with pytest.raises(DeviceUnavailable, match="Could not resolve hostname"):
        SshShell("pi", "nobody@no-such-host.invalid", config=str(bare_pi.config)).run("true")


def test_an_address_that_is_an_option_is_refused() -> None:
    with pytest.raises(UserError, match="not a valid ssh address"):
        SshShell("pi", "-oProxyCommand=touch /tmp/x")


def test_a_job_finds_nothing_of_another(pi: Pi, tmp_path: Path) -> None:
    jobs: list[Job] = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        jobs.append(job_of("linear.onnx", tmp_path / name))
    with pi.shell() as one, pi.shell() as other:
        threads = [
            threading.Thread(target=measure, args=(shell, job, PYTHON), kwargs={"timeout_s": TIMEOUT_S})
            for shell, job in ((one, jobs[0]), (other, jobs[1]))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(TIMEOUT_S)

    for job in jobs:
        np.testing.assert_array_equal(read_arrays(Path(job.outputs), UserError)["0:y"], Y)
    assert leftovers(pi) == []
