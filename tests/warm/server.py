"""Imports one converter once, and forks a process for each worker that a test starts: `server.py TOOLCHAIN SOCKET`.

It ends when its standard input closes. No thread of Python runs in it, so that a fork is whole.
"""

from __future__ import annotations

import gc
import importlib
import os
import selectors
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path

import msgspec
import numpy as np

from edgekit.export.formats import FORMATS, load
from edgekit.export.workers import main as worker

# What the converters themselves import in their first conversion, which here is that of every worker.
_LATER = {
    "onnx": (
        "torch.onnx._internal.exporter._core",
        "onnxscript.function_libs.torch_lib.ops",
        "torch.export._trace",
        "torch._inductor.inductor_prims",
        "torch._functorch.partitioners",
        "networkx",
        "sympy.tensor.tensor",
        "edgekit.runtime.backends.onnxruntime",
        "onnxruntime",
    ),
    "tflite": (
        "torch.export._trace",
        "torch._functorch.partitioners",
        "networkx",
        "scipy.cluster.vq",
        "scipy.spatial",
        "jaxlib.mlir.dialects.mhlo",
        "edgekit.runtime.backends.litert",
    ),
}
# More than the environment of a test takes.
_MOST_BYTES = 1 << 20
_CHILDREN: dict[int, int] = {}
# What the server opens for itself has descriptors from here on; the converters may keep those below.
_FIRST_OWN: list[int] = []


class Given(msgspec.Struct):
    """What a client passes on to its worker, with its three streams."""

    folder: str
    environment: dict[str, str]


def serve(toolchain: str, path: Path) -> None:
    """Fork workers for every client that connects to the socket at `path`."""
    row = FORMATS[toolchain]
    load(row.exporter)().prepare()
    load(row.quantizer)()
    for name in _LATER[toolchain]:
        importlib.import_module(name)
    gc.freeze()
    _FIRST_OWN.append(max(map(int, os.listdir("/proc/self/fd"))))
    with socket.socket(socket.AF_UNIX) as server, selectors.DefaultSelector() as selector:
        server.bind(str(path))
        server.listen()
        selector.register(0, selectors.EVENT_READ)
        selector.register(server, selectors.EVENT_READ)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        while True:
            for key, _ in selector.select():
                if key.fileobj == 0:
                    return
                if key.fileobj is server:
                    _begin(selector, server.accept()[0])
                else:
                    _end(selector, key)


def _begin(selector: selectors.BaseSelector, client: socket.socket) -> None:
    """Fork a worker with the streams, the folder and the environment of the client."""
    text, streams, _, _ = socket.recv_fds(client, _MOST_BYTES, 3)
    pid = os.fork()
    if pid == 0:
        _become(msgspec.json.decode(text, type=Given), streams)
    for stream in streams:
        os.close(stream)
    ended = os.pidfd_open(pid)
    _CHILDREN[ended] = pid
    # Either may come first: the worker ends, or the client is killed.
    selector.register(ended, selectors.EVENT_READ, (client, ended))
    selector.register(client, selectors.EVENT_READ, (client, ended))


def _end(selector: selectors.BaseSelector, key: selectors.SelectorKey) -> None:
    """Tell the client how its worker ended, which is killed first if the client is gone."""
    client, ended = key.data
    if ended not in _CHILDREN:
        return
    pid = _CHILDREN.pop(ended)
    if key.fileobj is client:
        with suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    selector.unregister(ended)
    selector.unregister(client)
    os.close(ended)
    with client, suppress(OSError):
        client.sendall(str(os.waitstatus_to_exitcode(status)).encode())


def _become(given: Given, streams: list[int]) -> None:
    """Be the worker, in a session of its own, as if it had been started with these streams."""
    try:
        os.setsid()
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
        os.closerange(_FIRST_OWN[0], _FIRST_OWN[0] + 1024)
        os.chdir(given.folder)
        os.environ.clear()
        os.environ.update(given.environment)
        np.random.seed()
        worker.main()
    finally:
        os._exit(1)


if __name__ == "__main__":
    serve(sys.argv[1], Path(sys.argv[2]))
