"""A hub of models on this machine: what it was asked for, and files as Hugging Face serves them."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

COMMIT = "c" * 40


class Hub:
    """The folder of models, `OWNER/NAME/FILE`, and the paths that were asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked: list[str] = []
        self.address = ""


class _Handler(BaseHTTPRequestHandler):
    def __init__(self, hub: Hub, *rest: object) -> None:
        self.hub = hub
        super().__init__(*rest)  # type: ignore[arg-type]  # what the server passes on

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def do_HEAD(self) -> None:
        """The headers of a file."""
        self._reply(with_body=False)

    def do_GET(self) -> None:
        """A file."""
        self._reply(with_body=True)

    def _reply(self, *, with_body: bool) -> None:
        self.hub.asked.append(self.path)
        name, _, file = self.path.partition("?")[0].strip("/").partition("/resolve/main/")
        path = self.hub.folder / name / file
        is_file = bool(file) and path.is_file()
        data = path.read_bytes() if is_file else b"{}"
        self.send_response(200 if is_file else 404)
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("X-Error-Code", "EntryNotFound") if not is_file else None
        self.send_header("ETag", f'"{hashlib.sha256(data).hexdigest()}"')
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if with_body:
            self.wfile.write(data)


@contextmanager
def hub_of(folder: Path) -> Iterator[Hub]:
    """A hub that serves `folder` while the block runs."""
    hub = Hub(folder)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, hub))
    hub.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
