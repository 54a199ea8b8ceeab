"""A loopback adb daemon: the real `adb` client connects to it, runs commands and moves files, as on a phone.

It speaks the transport protocol (CNXN, AUTH, OPEN, OKAY, WRTE, CLSE) and the services shell, shell v2 and reverse.
"""

from __future__ import annotations

import contextlib
import os
import queue
import socket
import struct
import subprocess
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

CNXN, AUTH, OPEN, OKAY, WRTE, CLSE = (
    int.from_bytes(name, "little") for name in (b"CNXN", b"AUTH", b"OPEN", b"OKAY", b"WRTE", b"CLSE")
)
VERSION = 0x01000001
MAX_DATA = 256 * 1024
STDIN, STDOUT, STDERR, EXIT, CLOSE_STDIN = range(5)
TOKEN = 1
PUBLIC_KEY = 3


@dataclass
class Daemon:
    """A phone's adb daemon on a free port of loopback.

    Args:
        program: Gives the host's command line for a command of the device.
        features: What it says it can; without `shell_v2` there are no exit codes.
        authorized: False while "the user" has not touched the dialog on the screen.
    """

    program: Callable[[str], Sequence[str]]
    features: str = "shell_v2,cmd"
    authorized: bool = True
    port: int = 0
    reversed: set[str] = field(default_factory=set)
    _sockets: set[socket.socket] = field(default_factory=set)

    def start(self) -> None:
        """Take connections until `stop`."""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def stop(self) -> None:
        """End every connection, and take no more."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def cut(self) -> None:
        """End every connection at once, as a pulled cable does."""
        for one in list(self._sockets):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._sockets.add(client)
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        connection = Connection(self, client)
        with contextlib.suppress(EOFError, OSError):
            connection.serve()
        connection.end()
        self._sockets.discard(client)
        client.close()


class Connection:
    """One transport: messages of many streams."""

    def __init__(self, daemon: Daemon, client: socket.socket) -> None:
        self.daemon = daemon
        self._client = client
        self._lock = threading.Lock()
        self._streams: dict[int, Stream] = {}
        self._next = 1

    def send(self, command: int, first: int, second: int, data: bytes = b"") -> None:
        header = struct.pack("<6I", command, first, second, len(data), sum(data) & 0xFFFFFFFF, command ^ 0xFFFFFFFF)
        with self._lock:
            self._client.sendall(header + data)

    def serve(self) -> None:
        while True:
            command, first, second, size, _, _ = struct.unpack("<6I", self._read(24))
            self._handle(command, first, second, self._read(size))

    def end(self) -> None:
        for stream in list(self._streams.values()):
            stream.end()

    def forget(self, stream: Stream) -> None:
        self._streams.pop(stream.local, None)

    def _handle(self, command: int, first: int, second: int, data: bytes) -> None:
        if command in (CNXN, AUTH):
            self._greet(command, first)
        elif command == OPEN:
            stream = Stream(self, self._next, first)
            self._streams[self._next] = stream
            self._next += 1
            threading.Thread(target=stream.serve, args=(data.rstrip(b"\0").decode(),), daemon=True).start()
        elif second in self._streams:
            self._streams[second].take(command, data)

    def _greet(self, command: int, first: int) -> None:
        if self.daemon.authorized:
            banner = f"device::ro.product.name=phone;ro.product.model=EdgePhone;features={self.daemon.features}"
            self.send(CNXN, VERSION, MAX_DATA, banner.encode())
        elif command == CNXN or first != PUBLIC_KEY:
            self.send(AUTH, TOKEN, 0, os.urandom(20))

    def _read(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            chunk = self._client.recv(size - len(data))
            if not chunk:
                raise EOFError
            data += chunk
        return data


class Stream:
    """One opened service."""

    def __init__(self, connection: Connection, local: int, remote: int) -> None:
        self.local = local
        self._remote = remote
        self._connection = connection
        self._ready = threading.Semaphore(0)
        self._received: queue.Queue[bytes] = queue.Queue()
        self._rest = b""
        self._ended = False
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def take(self, command: int, data: bytes) -> None:
        """What the client sent for this stream."""
        if command == OKAY:
            self._ready.release()
        elif command == WRTE:
            self._received.put(data)
            self._connection.send(OKAY, self.local, self._remote)
        elif command == CLSE:
            if not self._ended:
                self._connection.send(CLSE, self.local, self._remote)
            self.end()
            self._connection.forget(self)

    def end(self) -> None:
        """The client is gone: what runs for it gets no more input, and is hung up."""
        self._ended = True
        self._received.put(b"")
        self._ready.release()
        if self._process is not None and self._process.poll() is None and self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()

    def serve(self, service: str) -> None:
        """Do what was opened, and close."""
        kind, _, argument = service.partition(":")
        with contextlib.suppress(EOFError, OSError):
            if kind == "reverse":
                self._connection.send(OKAY, self.local, self._remote)
                self._reverse(argument)
            elif kind.split(",")[0] in ("shell", "exec"):
                self._connection.send(OKAY, self.local, self._remote)
                self._run(argument, is_v2="v2" in kind)
        if not self._ended:
            self._ended = True
            self._connection.send(CLSE, self.local, self._remote)
        self._received.put(b"")  # no input is awaited any more
        self._connection.forget(self)

    def _reverse(self, argument: str) -> None:
        """Take note of a port that is led to the phone, whose loopback is this machine's."""
        action, _, ports = argument.partition(":")
        reversed_ = self._connection.daemon.reversed
        reversed_.add(ports.partition(";")[0]) if action == "forward" else reversed_.discard(ports)
        self._write(b"OKAY")

    def _write(self, data: bytes) -> None:
        for start in range(0, len(data), MAX_DATA // 2):
            if self._ended:
                return
            self._connection.send(WRTE, self.local, self._remote, data[start : start + MAX_DATA // 2])
            self._ready.acquire()

    def _read(self, size: int) -> bytes:
        while len(self._rest) < size:
            chunk = self._received.get()
            if not chunk:
                raise EOFError
            self._rest += chunk
        data, self._rest = self._rest[:size], self._rest[size:]
        return data

    def _run(self, command: str, *, is_v2: bool) -> None:
        self._process = process = subprocess.Popen(
            self._connection.daemon.program(command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if is_v2 else subprocess.STDOUT,
            start_new_session=True,
        )
        pumps = [threading.Thread(target=self._pump, args=(process.stdout, STDOUT, is_v2), daemon=True)]
        if is_v2:
            pumps.append(threading.Thread(target=self._pump, args=(process.stderr, STDERR, is_v2), daemon=True))
        for thread in pumps:
            thread.start()
        threading.Thread(target=self._feed, args=(process, is_v2), daemon=True).start()
        for thread in pumps:
            thread.join()
        code = process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        if is_v2:
            self._write(struct.pack("<BIB", EXIT, 1, code & 255))

    def _pump(self, source: object, kind: int, is_v2: bool) -> None:
        with contextlib.suppress(OSError, ValueError):
            while data := os.read(source.fileno(), 65536):  # type: ignore[attr-defined] # a pipe of Popen
                with self._lock:
                    self._write(struct.pack("<BI", kind, len(data)) + data if is_v2 else data)

    def _feed(self, process: subprocess.Popen[bytes], is_v2: bool) -> None:
        assert process.stdin is not None
        with contextlib.suppress(EOFError, OSError, ValueError):
            while True:
                kind, size = struct.unpack("<BI", self._read(5)) if is_v2 else (STDIN, 1)
                data = self._read(size)
                if kind == CLOSE_STDIN:
                    break
                if kind == STDIN:
                    process.stdin.write(data)
                    process.stdin.flush()
        with contextlib.suppress(OSError):
            process.stdin.close()
