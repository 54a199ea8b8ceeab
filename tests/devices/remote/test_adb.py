"""The adb transport: the real client against a loopback daemon whose commands run in an arm64 system without glibc."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest
from tests.standins.cache import cache_folder, required
from tests.standins.jobs import job_of
from tests.standins.phone import Phone, running_phone
from tests.standins.pi import arm64_root

from edgekit.core.errors import DeviceError, DeviceUnavailable, EnvironmentFault, UserError
from edgekit.core.reports.setup.devices import OK
from edgekit.core.samples import read_arrays
from edgekit.core.system.files import sha256_file
from edgekit.core.system.installation import system_install
from edgekit.devices.remote.adb import AdbShell, Cable
from edgekit.devices.remote.engines import clean
from edgekit.devices.remote.onnxruntime_library import prepare_native
from edgekit.devices.remote.readiness import check
from edgekit.devices.remote.shell_device import Runners, ShellDevice
from edgekit.devices.remote.transfer import ensure, sender
from edgekit.devices.web.browser import WebDevice
from edgekit.runtime.launch import launch
from edgekit.runtime.portable import C_RUNNERS, PYTHON_RUNNER

pytestmark = pytest.mark.device

RUNNERS = Runners(PYTHON_RUNNER, C_RUNNERS)


@pytest.fixture(scope="module")
def phone() -> Iterator[Phone]:
    """A phone with ONNX Runtime and a C library on it."""
    with required(), running_phone() as running:
        shell = shell_on(running)
        prepare_native(shell, C_RUNNERS, cache_folder() / "wheels", libraries=arm64_root())
        yield running


def shell_on(phone: Phone, serial: str = "") -> AdbShell:
    return AdbShell("phone", serial or phone.serial, port=phone.server_port)


def test_the_answers_are_those_of_this_machine(phone: Phone, tmp_path: Path) -> None:
    job = job_of("linear.onnx", tmp_path)
    expected = launch(job)
    answers = read_arrays(Path(job.outputs), UserError)

    with ShellDevice(shell_on(phone, "any"), RUNNERS, timeout_s=120) as device:
        assert device.facts().emulated
        result = device.measure(job)

    assert (result.backend, result.engine) == (expected.backend, expected.engine)
    assert result.before.missing.keys() >= {"temperature_c", "clock_hz"}
    got = read_arrays(Path(job.outputs), UserError)
    for name, array in answers.items():
        np.testing.assert_array_equal(got[name], array)
    assert list((phone.folder / "run").iterdir()) == []
    assert eventually(lambda: phone.processes() == [])


def test_a_prepared_phone_is_ready(phone: Phone) -> None:
    found = {one.name: one for one in check(shell_on(phone), C_RUNNERS)}

    assert found["connection"].found == "Android 14, EdgePhone 1 SM8550 (Cortex-A76)"
    assert found["runtime"].state == OK
    assert found["runtime"].found.startswith("onnxruntime ")
    assert "problem" not in {one.state for one in found.values()}


def test_a_tflite_file_is_told_what_is_missing(phone: Phone, tmp_path: Path) -> None:
    with (
        ShellDevice(shell_on(phone), RUNNERS, timeout_s=120) as device,
        pytest.raises(DeviceError, match=r"program is missing on '.*': .*python3"),
    ):
        device.measure(job_of("linear.tflite", tmp_path))


def test_a_cable_pulled_in_a_launch_ends_it_and_the_next_attempt_succeeds(phone: Phone, tmp_path: Path) -> None:
    job = msgspec.structs.replace(job_of("linear.onnx", tmp_path), time_limit_s=300, min_values=10**9)
    errors: list[Exception] = []

    def work() -> None:
        with ShellDevice(shell_on(phone), RUNNERS, timeout_s=300) as device:
            try:
                device.measure(msgspec.structs.replace(job, max_values=10**9))
            except Exception as err:  # noqa: BLE001 - looked at below
                errors.append(err)

    thread = threading.Thread(target=work)
    thread.start()
    assert eventually(lambda: any(" -x " in line for line in phone.processes()))
    phone.daemon.cut()
    thread.join(60)

    assert [type(err) for err in errors] == [DeviceUnavailable], errors
    assert eventually(lambda: phone.processes() == [])
    assert eventually(lambda: list((phone.folder / "run").iterdir()) == [])
    assert eventually(lambda: plugged_in(phone))
    with ShellDevice(shell_on(phone), RUNNERS, timeout_s=120) as device:
        assert device.measure(job_of("linear.onnx", tmp_path)).values


def plugged_in(phone: Phone) -> bool:
    """Plug the cable in again; the adb server needs a moment to forget the connection that broke."""
    phone.adb("connect", phone.serial)
    return phone.adb("-s", phone.serial, "get-state").strip() == "device"


def eventually(fact: object, seconds: float = 60, every_s: float = 0.1) -> bool:
    assert callable(fact)
    deadline = time.monotonic() + seconds
    while not fact() and time.monotonic() < deadline:
        time.sleep(every_s)
    return bool(fact())


def test_an_upload_that_was_cut_goes_on_where_it_ended(phone: Phone, tmp_path: Path) -> None:
    big = tmp_path / "big"
    big.write_bytes(os.urandom(50_000_000))
    digest = sha256_file(big)
    part = phone.folder / "blobs" / f"{digest}.{sender()}.part"

    def pull() -> None:
        eventually(lambda: size_of(part) > 4_000_000, every_s=0.005)
        phone.daemon.cut()

    threading.Thread(target=pull).start()

    with pytest.raises(DeviceUnavailable):
        ensure(shell_on(phone), {digest: big})

    assert 0 < size_of(part) < 50_000_000
    inode = part.stat().st_ino
    assert eventually(lambda: plugged_in(phone))
    ensure(shell_on(phone), {digest: big})
    whole = phone.folder / "blobs" / digest
    assert sha256_file(whole) == digest
    assert whole.stat().st_ino == inode
    whole.unlink()


def size_of(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def test_a_phone_that_was_not_authorized_says_what_to_touch_and_works_afterwards() -> None:
    with required(), running_phone(authorized=False) as phone:
        shell = shell_on(phone)
        with pytest.raises(DeviceError, match="has not authorized this machine") as caught:
            shell.run("true")

        assert "accept" in caught.value.hint
        phone.daemon.authorized = True
        phone.adb("disconnect", phone.serial)
        assert eventually(lambda: plugged_in(phone))
        assert shell.run("uname -m").text == "aarch64"


def test_a_phone_without_shell_v2_says_so() -> None:
    with required(), running_phone(features="cmd") as phone, pytest.raises(DeviceError, match="no shell v2"):
        shell_on(phone).run("true")


def test_a_phone_that_is_not_there_may_be_tried_again(phone: Phone) -> None:
    with pytest.raises(DeviceUnavailable, match="not connected; connected: 127"):
        shell_on(phone, "39121FDJH00123").run("true")


def test_an_offline_phone_may_be_tried_again(phone: Phone, monkeypatch: pytest.MonkeyPatch) -> None:
    shell = shell_on(phone)
    monkeypatch.setattr(shell, "_listed", lambda: {phone.serial: "offline"})

    with pytest.raises(DeviceUnavailable, match="is offline") as caught:
        shell.run("true")

    assert "adb reconnect" in caught.value.hint
    monkeypatch.undo()
    assert shell.run("uname -m").text == "aarch64"


def test_one_of_several_phones_must_be_named(phone: Phone) -> None:
    from tests.standins.adbd import Daemon

    second = Daemon(lambda command: ["sh", "-c", command])
    second.start()
    phone.adb("connect", f"127.0.0.1:{second.port}")
    try:
        with pytest.raises(DeviceError, match="one of several phones") as caught:
            shell_on(phone, "any").run("true")
        assert caught.value.hint.startswith("edgekit devices add phone --adb 127.0.0.1:")
        assert shell_on(phone).run("uname -m").text == "aarch64"
    finally:
        phone.adb("disconnect", f"127.0.0.1:{second.port}")
        second.stop()


def test_a_folder_without_a_c_library_is_refused(phone: Phone, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"does not contain ld-linux-aarch64\.so\.1, libc\.so\.6"):
        prepare_native(shell_on(phone), C_RUNNERS, cache_folder() / "wheels", libraries=tmp_path)


def test_without_adb_the_command_that_installs_it_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(EnvironmentFault, match="'adb' is not installed") as caught:
        AdbShell("phone", "any")

    assert caught.value.hint == system_install("adb")


def test_cleaning_leaves_no_trace() -> None:
    with required(), running_phone() as phone:
        shell = shell_on(phone)
        shell.run(f"mkdir -p {shell.root}/blobs && echo x > {shell.root}/blobs/x")

        clean(shell)

        assert list((phone.state / "data/local/tmp").iterdir()) == []
        assert (phone.state / "data/local/tmp").is_dir()


def test_a_browser_on_a_cable_gets_the_port_while_the_device_is_open(
    phone: Phone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", str(phone.server_port))
    cable = Cable("phone", phone.serial)
    urls: list[str] = []

    with WebDevice("phone", {}, urls.append, connect_timeout_s=0.1, cable=cable) as device:
        with pytest.raises(DeviceUnavailable, match=r"The page of '.*' \(web\) was not opened"):
            device.facts()
        assert phone.daemon.reversed == {f"tcp:{urls[0].split(':')[2].split('/')[0]}"}

    assert phone.daemon.reversed == set()


def test_a_cable_to_no_phone_says_what_adb_says(phone: Phone, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", str(phone.server_port))
    device = WebDevice("phone", {}, lambda url: None, cable=Cable("phone", "39121FDJH00123"))

    with device, pytest.raises(DeviceUnavailable, match=r"cannot forward a port to '.*': .*not found"):
        device.facts()
