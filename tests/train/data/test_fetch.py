from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from edgekit.core.errors import EnvironmentFault, Unreadable, UserError
from edgekit.train.data.fetch import Remote, download, fetch

CONTENT = bytes(range(256)) * 40
DIGEST = hashlib.sha256(CONTENT).hexdigest()


class Handler(BaseHTTPRequestHandler):
    """Serves CONTENT with ranges; the path `/short` breaks off half-way."""

    asked: list[str]

    def do_GET(self) -> None:
        begin = int((self.headers.get("Range") or "bytes=0-")[6:-1])
        Handler.asked.append(self.headers.get("Range") or "")
        if begin >= len(CONTENT):
            self.send_error(416)
            return
        self.send_response(206 if begin else 200)
        self.send_header("Content-Length", str(len(CONTENT) - begin))
        self.end_headers()
        end = len(CONTENT) // 2 if self.path == "/short" else len(CONTENT)
        self.wfile.write(CONTENT[begin:end])

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def address() -> Iterator[str]:
    Handler.asked = []
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_data_set_is_fetched_once(address: str, tmp_path: Path) -> None:
    sources = {"tiny": {"file.bin": Remote(f"{address}/file", DIGEST)}}

    for _ in range(2):
        folder = download("tiny", sources=sources, into=tmp_path)

    assert (folder / "file.bin").read_bytes() == CONTENT
    assert Handler.asked == [""]


def test_a_broken_download_goes_on_where_it_ended(address: str, tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFault, match="Cannot fetch"):
        fetch(Remote(f"{address}/short", DIGEST), tmp_path / "file.bin")
    assert not (tmp_path / "file.bin").exists()

    fetch(Remote(f"{address}/file", DIGEST), tmp_path / "file.bin")

    assert (tmp_path / "file.bin").read_bytes() == CONTENT
    assert Handler.asked == ["", f"bytes={len(CONTENT) // 2}-"]


def test_a_complete_part_is_only_checked(address: str, tmp_path: Path) -> None:
    (tmp_path / ".file.bin.part").write_bytes(CONTENT)

    fetch(Remote(f"{address}/file", DIGEST), tmp_path / "file.bin")

    assert (tmp_path / "file.bin").read_bytes() == CONTENT


def test_another_content_is_thrown_away(address: str, tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match="another file than expected"):
        fetch(Remote(f"{address}/file", "0" * 64), tmp_path / "file.bin")

    assert list(tmp_path.iterdir()) == []


def test_no_connection_is_an_environment_fault(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFault) as problem:
        fetch(Remote("http://127.0.0.1:9/file", DIGEST), tmp_path / "file.bin")

    assert problem.value.exit_code == 3


def test_a_data_set_without_an_address_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has no official address"):
        download("cifar10", into=tmp_path)
