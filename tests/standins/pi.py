"""A Raspberry Pi without a Raspberry Pi: a real sshd on loopback whose sessions are an emulated arm64 Debian."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from tests.standins.cache import Missing, built, cache_folder
from tests.standins.debian import unpack_packages

from edgekit.core.errors import EnvironmentFault
from edgekit.core.system.durable.owners import temporary_folder
from edgekit.core.system.files import sha256_file
from edgekit.devices.remote import engines
from edgekit.devices.remote.ssh import SshShell

HERE: Final = Path(__file__).parent
PYTHON: Final = ("python3.11-minimal", "libpython3.11-stdlib", "python3-minimal")
SYSTEM: Final = ("libc6", "libc-bin", "libstdc++6", "libgomp1", "zlib1g", "base-files", "dash", "coreutils", "tar")
TOOLS: Final = ("gzip", "grep", "sed", "procps", "openssh-sftp-server")


@dataclass(frozen=True)
class Board:
    """One kind of Pi: its name, the CPU that QEMU emulates, its clock in kHz, and how it feels."""

    name: str
    cpu: str
    max_khz: int
    throttled: str = "0x0"
    millidegrees: int = 48200
    governor: str = "performance"


PI3: Final = Board("Raspberry Pi 3 Model B Rev 1.2", "cortex-a53", 1_200_000)
PI4: Final = Board("Raspberry Pi 4 Model B Rev 1.4", "cortex-a72", 1_800_000)
PI5: Final = Board("Raspberry Pi 5 Model B Rev 1.0", "cortex-a76", 2_400_000)


@dataclass
class Pi:
    """A running stand-in. `config` is an OpenSSH client configuration that knows it under the name `host`."""

    host: str
    state: Path
    port: int
    config: Path
    process: subprocess.Popen[bytes]

    @contextmanager
    def shell(self) -> Iterator[SshShell]:
        """A connection of edgekit to it."""
        shell = SshShell(self.host, self.host, config=str(self.config))
        try:
            yield shell
        finally:
            shell.close()

    @property
    def home(self) -> Path:
        """The home folder of its user, as this machine sees it."""
        return self.state / "home"

    @property
    def known_hosts(self) -> Path:
        """The file of host keys that the client trusts."""
        return self.state / "known_hosts"

    def processes(self) -> list[str]:
        """Command lines of everything that runs on it, but for sshd itself and the keepers of its sessions."""
        inside = [line for pid in descendants(self.process.pid) if (line := _command_line(pid))]
        return [line for line in inside if "qemu-a" in line]

    def cut_connections(self) -> None:
        """Kill every connection at once, as a pulled cable does; the daemon goes on."""
        for pid in descendants(self.process.pid):
            if _command_line(pid).startswith("sshd: ") and "listener" not in _command_line(pid):
                _kill(pid)


def qemu() -> Path:
    """A static qemu-aarch64 that invents /proc/cpuinfo for the emulated CPU (version 8.2 and newer do)."""

    return _emulator("qemu-10", "qemu-aarch64")


def _emulator(folder: str, program: str) -> Path:
    def build(part: Path) -> None:
        unpack_packages(part, ["qemu-user"], suite="bookworm-backports", only=[f"./usr/bin/{program}"])

    return built(folder, build) / "usr/bin" / program


def arm64_root(*, python: bool = True) -> Path:
    """An arm64 Debian 12 root, with or without Python."""
    return _root("arm64-root-1" if python else "arm64-root-1-bare", "arm64", PYTHON if python else ())


def arm32_root() -> Path:
    """A 32-bit Debian 12 root with Python and numpy, as Raspberry Pi OS has them."""
    # What Debian's alternatives link when a package is installed; here it is only unpacked.
    folder = "usr/lib/arm-linux-gnueabihf"
    links = {f"{folder}/lib{name}.so.3": f"{name}/lib{name}.so.3" for name in ("blas", "lapack")}
    return _root("armhf-root-1", "armhf", (*PYTHON, "python3-numpy"), links)


def _root(name: str, arch: str, more: Sequence[str], links: Mapping[str, str] = MappingProxyType({})) -> Path:
    def build(folder: Path) -> None:
        unpack_packages(folder, [*SYSTEM, *TOOLS, *more], arch=arch)
        for name in ("tmp", "proc", "dev", "sys", "own", "root", "home/pi"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        for place, target in links.items():
            (folder / place).symlink_to(target)
        (folder / "etc/passwd").write_text("root:x:0:0:root:/home/pi:/bin/sh\n")
        (folder / "etc/group").write_text("root:x:0:\n")

    return built(name, build)


def sshd() -> tuple[Path, dict[str, str]]:
    """The OpenSSH server and the environment it starts in: this machine's own, or one unpacked into the cache."""
    installed = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin")
    if installed:
        return Path(installed), {}
    folder = built("sshd-1", lambda part: unpack_packages(part, ["openssh-server"]))
    libraries = ":".join(str(path) for path in (*folder.glob("usr/lib/*-linux-gnu"), *folder.glob("lib/*-linux-gnu")))
    return folder / "usr/sbin/sshd", {"LD_LIBRARY_PATH": libraries}


@contextmanager
def running_pi(
    board: Board = PI5,
    *,
    host: str = "pi",
    python: bool = True,
    prepared: bool = False,
    disk: str = "",
    programs: Mapping[str, str] = MappingProxyType({}),
    bits: int = 64,
) -> Iterator[Pi]:
    """A Pi for as long as the block lasts; afterwards nothing of it runs.

    Args:
        host: What the client configuration calls it.
        python: Whether Python is installed.
        prepared: Whether the engines are on it, as `edgekit devices prepare` puts them there.
        disk: Size of its storage, such as `8m`; needs root.
        programs: Scripts that stand before the system's own programs, by name.
        bits: 32 for a 32-bit system, which has Python.

    Raises:
        Missing: It cannot be built here.
    """
    check_machine(disk)
    root, emulator = (
        (arm64_root(python=python), qemu()) if bits == 64 else (arm32_root(), _emulator("qemu-arm", "qemu-arm"))
    )
    server, environment = sshd()
    with temporary_folder("ek-pi-") as folder:
        state = Path(folder)
        _write_state(state, board, programs)
        if prepared:
            _copy_linked(prepared_home(), state / "home")
        port = free_port()
        config = write_client(state, host, port)
        cpu = board.cpu if bits == 64 else "cortex-a15"
        variables = {"PI_ROOT": root, "PI_QEMU": emulator, "PI_CPU": cpu, "PI_STATE": state, "PI_BITS": bits}
        write_server(state, port, {name: str(value) for name, value in variables.items()})
        process = start(server, state, disk, environment)
        try:
            await_port(port, process, state)
            yield Pi(host, state, port, config, process)
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)
            await_gone(state)


def prepared_home() -> Path:
    """The home folder of a Pi that `edgekit devices prepare` has been run on."""
    wheels = cache_folder() / "wheels"
    try:
        archive = engines.packed(engines.Platform("aarch64", 36, "3.11"), wheels, engines.ENGINES)
    except EnvironmentFault as err:
        raise Missing(err.message) from err

    def build(folder: Path) -> None:
        with running_pi() as pi:
            with pi.shell() as shell:
                engines.prepare(shell, wheels)
            shutil.copytree(pi.home, folder, dirs_exist_ok=True, symlinks=True)

    return built(f"prepared-{sha256_file(archive)[:16]}", build)


def _copy_linked(source: Path, target: Path) -> None:
    """Copy a folder without its bytes where the file system allows that: nothing on a Pi writes into its files."""
    linked = subprocess.run(["cp", "-al", f"{source}/.", str(target)], capture_output=True, check=False)
    if linked.returncode:
        shutil.copytree(source, target, dirs_exist_ok=True, symlinks=True)


def free_port() -> int:
    """A port of loopback that is free now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def check_machine(disk: str = "") -> None:
    """Raise `Missing` unless this machine can run arm64 programs in a namespace of its own."""
    release = tuple(int(part) for part in os.uname().release.split("-")[0].split(".")[:2])
    if os.uname().sysname != "Linux" or os.uname().machine != "x86_64" or release < (6, 7):
        raise Missing(f"Linux 6.7 or newer on x86-64 is needed, this is {os.uname().release} on {os.uname().machine}")
    if shutil.which("unshare") is None or shutil.which("ssh") is None:
        raise Missing("the programs unshare and ssh are needed")
    probe = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", "true"], capture_output=True, check=False
    )
    if probe.returncode:
        raise Missing("user namespaces are switched off")
    if disk and os.geteuid() != 0:
        raise Missing("a small disk needs root")


def _write_state(state: Path, board: Board, programs: Mapping[str, str]) -> None:
    for name in ("home", "sys/class/thermal/thermal_zone0", "own/bin", "own/prefix/proc/device-tree"):
        (state / name).mkdir(parents=True)
    (state / "own/prefix/proc/device-tree/model").write_bytes(board.name.encode() + b"\0")
    zone = state / "sys/class/thermal/thermal_zone0"
    (zone / "type").write_text("cpu-thermal\n")
    (zone / "temp").write_text(f"{board.millidegrees}\n")
    cpus = state / "sys/devices/system/cpu"
    for core in range(4):
        clock = cpus / f"cpu{core}/cpufreq"
        clock.mkdir(parents=True)
        (clock / "scaling_governor").write_text(f"{board.governor}\n")
        for name in ("cpuinfo_max_freq", "scaling_max_freq", "scaling_cur_freq"):
            (clock / name).write_text(f"{board.max_khz}\n")
    # ONNX Runtime loses the CPU's features without these.
    for name in ("present", "online", "possible"):
        (cpus / name).write_text("0-3\n")
    script(state / "own/bin/vcgencmd", f'[ "$1" = get_throttled ] && echo "throttled={board.throttled}"')
    for name, body in programs.items():
        script(state / "own/bin" / name, body)


def script(path: Path, body: str) -> None:
    """Write a program of the stand-in."""
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)


def write_client(state: Path, host: str, port: int) -> Path:
    """Keys, and the client configuration that knows the stand-in as `host`."""
    for name in ("host_key", "client_key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(state / name)], check=True)
    write_known_hosts(state, port, state / "host_key.pub")
    config = state / "ssh_config"
    config.write_text(
        f"Host {host}\n  HostName 127.0.0.1\n  Port {port}\n  User {_user()}\n  IdentityFile {state}/client_key\n"
        f"  IdentitiesOnly yes\n  IdentityAgent none\n  UserKnownHostsFile {state}/known_hosts\n"
        "  GlobalKnownHostsFile /dev/null\n  StrictHostKeyChecking yes\n"
    )
    return config


def write_known_hosts(state: Path, port: int, public_key: Path) -> None:
    """Let the client trust this key for the stand-in."""
    kind, key = public_key.read_text().split()[:2]
    (state / "known_hosts").write_text(f"[127.0.0.1]:{port} {kind} {key}\n")


def _user() -> str:
    import getpass

    return getpass.getuser()


def write_server(state: Path, port: int, variables: dict[str, str], entrance: Path = HERE / "enter_pi.sh") -> None:
    """The server configuration, whose sessions all go through the program `entrance`."""
    shutil.copy(state / "client_key.pub", state / "authorized_keys")
    settings = " ".join(f"{name}={value}" for name, value in variables.items())
    (state / "sshd_config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {state}/host_key\nPidFile none\n"
        f"AuthorizedKeysFile {state}/authorized_keys\nStrictModes no\nUsePAM no\nPasswordAuthentication no\n"
        "KbdInteractiveAuthentication no\nPermitRootLogin prohibit-password\nMaxSessions 20\nMaxStartups 50\n"
        f"ForceCommand {entrance}\n" + (f"SetEnv {settings}\n" if settings else "")
    )


def start(server: Path, state: Path, disk: str, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    """Start sshd in a process namespace of its own: when that ends, all that ran inside it has ended."""
    daemon = f"exec '{server}' -D -e -f '{state}/sshd_config'"
    with (state / "sshd.log").open("wb") as log:
        return subprocess.Popen(
            [*_namespace(), "/bin/sh", "-euc", f"{_preparation(state, disk)}\n{daemon}"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=os.environ | environment,
            start_new_session=True,
        )


def _namespace() -> list[str]:
    mine = ["--mount", "--mount-proc"] if os.geteuid() == 0 else ["--user", "--map-current-user"]
    return ["unshare", "--pid", "--fork", "--kill-child", *mine]


def _preparation(state: Path, disk: str) -> str:
    """Shell commands before sshd: run by root it wants a user and a folder of its own, seen in its namespace only."""
    if os.geteuid() != 0:
        return ":"
    passwd = Path("/etc/passwd").read_text()
    if "\nsshd:" not in passwd:
        passwd += "sshd:x:65533:65534::/run/sshd:/usr/sbin/nologin\n"
    (state / "passwd").write_text(passwd)
    lines = [f"mount --bind '{state}/passwd' /etc/passwd", "mount -t tmpfs tmpfs /run", "mkdir /run/sshd"]
    if disk:
        lines.append(f"mount -t tmpfs -o size={disk} tmpfs '{state}/home'")
    return "\n".join(lines)


def await_port(port: int, process: subprocess.Popen[bytes], state: Path) -> None:
    """Wait until sshd listens."""
    for _ in range(200):
        if process.poll() is not None:
            raise Missing(f"sshd did not start: {(state / 'sshd.log').read_text()[-300:]}")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise Missing("sshd did not answer within 10 s")


def await_gone(state: Path) -> None:
    """Wait until the namespace has let go of the folder."""
    for _ in range(100):
        if not any(str(state) in _command_line(int(entry.name)) for entry in Path("/proc").glob("[0-9]*")):
            return
        time.sleep(0.05)


def descendants(pid: int) -> list[int]:
    """Every process below `pid`."""
    children: dict[int, list[int]] = {}
    # Not "[0-9]*/stat": `glob` itself raises for a process that ends meanwhile.
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            text = (entry / "stat").read_text()
        except OSError:
            continue
        children.setdefault(int(text.rpartition(")")[2].split()[1]), []).append(int(text.split()[0]))
    found = list(children.get(pid, ()))
    for one in found:
        found += children.get(one, ())
    return found


def _command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
