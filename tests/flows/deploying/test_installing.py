"""`deploy --to`: programs on an emulated Pi, with real engines, tested there and rolled back."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.devices.test_c_runner_build import install_zig
from tests.flows.deploying.small_bundles import small_bundle, tflite_bundle
from tests.flows.signing.keys import allow, new_key
from tests.standins.cache import built, cache_folder, required
from tests.standins.phone import running_phone
from tests.standins.pi import PI4, PI5, Pi, running_pi

from edgekit.core.errors import DeviceError, UserError
from edgekit.core.reports.deploy import DeployedReport
from edgekit.core.system.progress import Silent
from edgekit.devices import inventory
from edgekit.devices.inventory import Entry
from edgekit.devices.remote.engines import clean
from edgekit.devices.remote.installed_programs import SIGNERS
from edgekit.devices.remote.onnxruntime_library import prepare_native
from edgekit.flows.deploy import install_order, list_order, program_order, roll_back_order
from edgekit.flows.deploying.installing import program_name
from edgekit.runtime.portable import C_RUNNERS

pytestmark = [pytest.mark.device, pytest.mark.slow]
# An engine of a later `prepare` that runs, and computes something else.
BROKEN_ENGINE = """
from onnxruntime.working import *
from onnxruntime.working import InferenceSession as Working, __version__

class InferenceSession(Working):
    def run(self, names, feed, options=None):
        return [2 * output + 1 for output in super().run(names, feed, options)]
"""


@pytest.fixture
def pi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pi]:
    """A prepared Pi 5 in the inventory as `pi`."""
    monkeypatch.setenv("EDGEKIT_DEVICES", str(tmp_path / "devices.toml"))
    with required(), running_pi(PI5, prepared=True) as board:
        inventory.add("pi", Entry(ssh="pi", ssh_config=str(board.config), emulated=True))
        yield board


def install(bundle: Path, name: str = "", key: Path | None = None) -> DeployedReport:
    with install_order(bundle, device="pi", name=name, key=key) as order:
        return order.run(Silent())


def listed() -> dict[str, tuple[str, tuple[str, ...]]]:
    with list_order(device="pi") as order:
        return {one.name: (one.current, one.versions) for one in order.run(Silent()).programs}


def roll_back(name: str) -> DeployedReport:
    with roll_back_order(device="pi", name=name) as order:
        return order.run(Silent())


def on_the_pi(pi: Pi, command: str) -> str:
    with pi.shell() as shell:
        return shell.run(f"cd ~/.local/share/edgekit/deployed && {command}", timeout_s=120).text


def break_the_engine(pi: Pi) -> None:
    """Replace the engine of edgekit's own folder by one that computes something else, as a bad update would."""
    package = next((pi.home / ".cache/edgekit").glob("site-*")) / "onnxruntime"
    init = (package / "__init__.py").read_text()
    (package / "__init__.py").unlink()  # the file itself is linked into installed versions
    (package / "working.py").write_text(init)
    (package / "__init__.py").write_text(BROKEN_ENGINE)


def test_a_program_is_installed_runs_and_survives_clean(pi: Pi, tmp_path: Path) -> None:
    found = install(small_bundle(tmp_path / "bundle", name="my net"))

    (program,) = found.programs
    assert (program.name, program.versions) == ("my-net", (program.current,))
    assert program.current.startswith("0001-")
    assert "all as expected (onnxruntime " in found.done
    with pi.shell() as shell:
        clean(shell)
    assert "6 cases, all as expected" in on_the_pi(pi, "my-net/current/run --self-test")


def test_a_broken_or_unsigned_new_version_is_rolled_back_and_the_signed_one_goes_on(pi: Pi, tmp_path: Path) -> None:
    """The Pi asks for programs that anna signed: who sends one that eve signed, or nobody, changes nothing there."""
    anna, eve = new_key(tmp_path, "anna"), new_key(tmp_path, "eve")
    allow(pi.home / SIGNERS, anna, "anna@example.com")
    bundle = small_bundle(tmp_path / "bundle")
    first = install(bundle, "net", anna).programs[0].current

    for key, reason in ((None, "is not signed, and "), (eve, "is not signed by anyone in ")):
        with pytest.raises(DeviceError, match=rf"'pi' refuses version '0002-\w+' of 'net': the program {reason}"):
            install(bundle, "net", key)
    break_the_engine(pi)
    with pytest.raises(DeviceError, match=r"Version '0002-\w+' of 'net' fails on 'pi': .*'0001-\w+' stays") as caught:
        install(bundle, "net", anna)

    assert "differs by" in caught.value.message
    assert caught.value.exit_code == 3
    assert listed() == {"net": (first, (first,))}
    assert "6 cases, all as expected" in on_the_pi(pi, "net/current/run --self-test")
    assert on_the_pi(pi, "ls -A net").split() == [".lock", "current", "versions"] or (
        on_the_pi(pi, "ls -A net").split() == ["current", "versions"]
    )
    on_the_pi(pi, "echo >>net/current/model.pyz")
    assert "the signature of 'anna@example.com' does not match" in on_the_pi(pi, "net/current/run --self-test 2>&1")


def test_rollback_goes_back_one_version_and_only_to_one_that_works(pi: Pi, tmp_path: Path) -> None:
    one, two = (
        install(small_bundle(tmp_path / "one"), "net"),
        install(small_bundle(tmp_path / "two", labels=("a",)), "net"),
    )
    first, second = one.programs[0].current, two.programs[0].current
    assert two.programs[0].versions == (first, second)

    found = roll_back("net")

    assert listed() == {"net": (first, (first, second))}
    assert f"back at version {first}" in found.done
    with pytest.raises(UserError, match="has no earlier version"):
        roll_back("net")
    with pytest.raises(UserError, match="Did you mean 'net'"):
        roll_back("nett")


def test_a_device_that_was_not_prepared_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEKIT_DEVICES", str(tmp_path / "devices.toml"))
    with required(), running_pi(PI4) as board:
        inventory.add("pi", Entry(ssh="pi", ssh_config=str(board.config), emulated=True))

        with pytest.raises(DeviceError, match="there is no earlier version") as caught:
            install(small_bundle(tmp_path / "bundle"), "net")

        assert caught.value.hint == "edgekit devices prepare pi"
        assert listed() == {"net": ("", ())}


def test_a_phone_has_no_python_and_is_told_so_before_anything_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGEKIT_DEVICES", str(tmp_path / "devices.toml"))
    with required(), running_phone() as phone:
        inventory.add("pi", Entry(adb=phone.serial, port=phone.server_port, emulated=True))

        with pytest.raises(DeviceError, match="'pi' has no Python, which the program needs") as caught:
            install(small_bundle(tmp_path / "bundle"), "net")

        assert caught.value.hint == "edgekit deploy BUNDLE --for c --out DIR"
        assert listed() == {}
        assert not list(phone.folder.glob("blobs/*"))


def test_tflite_runs_there_as_well(pi: Pi, tmp_path: Path) -> None:
    found = install(tflite_bundle(tmp_path / "bundle", "linear.tflite"), "linear")

    assert "2 cases, all as expected (litert " in found.done


@pytest.mark.parametrize("language", ["c", "cpp"])
def test_a_cross_compiled_program_runs_without_python(tmp_path: Path, language: str) -> None:
    """Built for 64-bit Arm on this machine, run on an emulated Pi that has no Python."""
    with program_order(small_bundle(tmp_path / "bundle"), language=language, out=tmp_path / "out") as order:
        order.run(Silent())
    with required():
        zig = built("ziglang-0.17.0", install_zig)
    target = f"{sys.executable} -m ziglang {{}} -target aarch64-linux-gnu.2.28"
    command = ["make", "-s", f"CC={target.format('cc')}", f"CXX={target.format('c++')}", "CFLAGS=-O1", "CXXFLAGS=-O1"]
    subprocess.run(command, cwd=tmp_path / "out", env=os.environ | {"PYTHONPATH": str(zig)}, check=True)

    with required(), running_pi(PI4, python=False) as board, board.shell() as shell:
        prepare_native(shell, C_RUNNERS, cache_folder() / "wheels", has_glibc=True)
        subprocess.run(["cp", "-r", tmp_path / "out", board.home / "out"], check=True)
        library = "$(ls $HOME/.cache/edgekit/native/libonnxruntime.so*)"
        done = shell.run(f"ONNXRUNTIME_LIBRARY={library} $HOME/out/model --self-test", timeout_s=120)

    assert (done.code, done.text.splitlines()[-1][:26]) == (0, "6 cases, all as expected (")


def test_a_name_from_a_bundle_is_a_plain_folder_name() -> None:
    assert program_name("../../etc/$(x) net") == "etc-x-net"
    assert program_name("///") == "model"
