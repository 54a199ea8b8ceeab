"""Two programs that live as long as a soak: one uses edgekit as a library, the other serves its page to browsers.

python -m benchmarks.soak.residents library FOLDER
"""

from __future__ import annotations

import contextlib
import random
import socket
import sys
import time
from pathlib import Path
from typing import Final

import numpy as np

import edgekit
from edgekit.core.errors import EdgekitError
from edgekit.devices.web.server import Server, Site, Work

PAUSE_S: Final = 3.0
ADDRESS: Final = "page.address"
COUNT: Final = "library.count"


def library(folder: Path) -> None:
    """Open, use and close sessions for ever, among them files that cannot be opened."""
    rng = np.random.default_rng(0)
    for count in range(1 << 40):
        for artifact in ("onnx-fp32", "tflite-fp32"):
            with edgekit.load("bundle", artifact=artifact) as session:
                for _ in range(20):
                    session.predict(rng.random((1, 1, 4, 4), dtype=np.float32))
                with contextlib.suppress(EdgekitError):
                    session.predict(rng.random((1, 3), dtype=np.float32))
        with (
            edgekit.load("bundle") as first,
            edgekit.load("bundle") as second,
            edgekit.SessionPool(first, second) as pool,
        ):
            waiting = [pool.submit({"x": rng.random((1, 1, 4, 4), dtype=np.float32)}) for _ in range(8)]
            for one in waiting:
                one.result(30)
        with contextlib.suppress(EdgekitError):
            edgekit.load("broken.onnx")
        (folder / COUNT).write_text(str(count + 1))
        time.sleep(PAUSE_S)


def page(folder: Path) -> None:
    """Serve the page, with a job now and then, for whoever asks."""
    site = Site({}, {})
    server = Server(site, "127.0.0.1", 0)
    (folder / ADDRESS).write_text(f"{server.port} {site.key}")
    while True:
        if site.work is None:
            site.work, site.is_given = Work(b"{}", bytes(1000), bytes(1000), "1", has_outputs=False), False
        with contextlib.suppress(Exception):
            site.results.get_nowait()
        with contextlib.suppress(Exception):
            site.hello.get_nowait()
        time.sleep(0.2)


def ask_page(folder: Path, rng: random.Random) -> None:
    """A few requests: whole ones, wrong ones, and some that break off."""
    port, key = (folder / ADDRESS).read_text().split()
    for _ in range(6):
        kind = rng.choice(["get", "hello", "result", "wrong key", "too long", "garbage", "breaks off", "connects"])
        request = {
            "get": f"GET /{key}/{rng.choice(['', 'page.js', 'next', 'job', 'model', 'nothing'])} HTTP/1.1\r\n\r\n",
            "hello": f"POST /{key}/hello HTTP/1.1\r\nContent-Length: 2\r\n\r\n{{}}",
            "result": f"POST /{key}/result/1 HTTP/1.1\r\nContent-Length: 100000\r\n\r\n{'x' * 100_000}",
            "wrong key": "GET /wrong/job HTTP/1.1\r\n\r\n",
            "too long": f"POST /{key}/hello HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n",
            "garbage": "".join(chr(rng.randrange(256)) for _ in range(500)),
            "breaks off": f"POST /{key}/result/1 HTTP/1.1\r\nContent-Length: 100000\r\n\r\n{'x' * 1000}",
            "connects": "",
        }[kind]
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", int(port)), timeout=5) as client:
            client.sendall(request.encode("latin-1"))
            if kind not in ("breaks off", "connects"):
                client.recv(1 << 16)


if __name__ == "__main__":
    {"library": library, "page": page}[sys.argv[1]](Path(sys.argv[2]))
