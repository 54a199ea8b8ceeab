"""Promises of core/system/fetch.py, against a server on this machine."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from edgekit.core.errors import EnvironmentFault, Unreadable, UserError
from edgekit.core.system.fetch import checked, fetch, is_recorded, record_checksum, refuse_offline
from edgekit.core.system.progress import Silent

CONTENT = bytes(range(256)) * 40
DIGEST = hashlib.sha256(CONTENT).hexdigest()


class Handler(BaseHTTPRequestHandler):
    """Serves CONTENT with ranges; `/short` breaks off half-way, `/insecure` leads elsewhere."""

    asked: list[str]

    def do_GET(self) -> None:
        begin = int((self.headers.get("Range") or "bytes=0-")[6:-1])
        if self.path == "/insecure":
            self.send_response(302)
            self.send_header("Location", f"http://{self.headers['Host'].replace('127.0.0.1', 'localhost')}/file")
            self.end_headers()
            return
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


def test_a_broken_download_goes_on_where_it_ended(address: str, tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFault, match="Cannot download"):
        fetch(f"{address}/short", tmp_path / "file.bin", DIGEST)
    assert not (tmp_path / "file.bin").exists()

    fetch(f"{address}/file", tmp_path / "file.bin", DIGEST)

    assert (tmp_path / "file.bin").read_bytes() == CONTENT
    assert Handler.asked == ["", f"bytes={len(CONTENT) // 2}-"]


def test_a_complete_part_is_only_checked(address: str, tmp_path: Path) -> None:
    (tmp_path / ".file.bin.part").write_bytes(CONTENT)

    fetch(f"{address}/file", tmp_path / "file.bin", DIGEST)

    assert (tmp_path / "file.bin").read_bytes() == CONTENT


def test_another_content_is_thrown_away(address: str, tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match=r"The sha\d+ of '.+' is .+, expected"):
        fetch(f"{address}/file", tmp_path / "file.bin", "0" * 64)

    assert list(tmp_path.iterdir()) == []


def test_no_connection_is_an_environment_fault(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFault) as problem:
        fetch("http://127.0.0.1:9/file", tmp_path / "file.bin", DIGEST)

    assert problem.value.exit_code == 3


@pytest.mark.parametrize(
    "address",
    [
        "http://example.org/file",
        "file:///etc/passwd",
        "ftp://example.org/x",
        "http://127.0.0.1.example.org/x",
        "/etc/passwd",
    ],
)
def test_only_https_is_fetched(address: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not an https address"):
        fetch(address, tmp_path / "file.bin", DIGEST)

    assert list(tmp_path.iterdir()) == []


def test_what_a_redirection_out_of_https_gives_is_not_kept(address: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"'http://localhost:.*' is not an https address"):
        fetch(f"{address}/insecure", tmp_path / "file.bin", DIGEST)

    assert list(tmp_path.iterdir()) == []


def test_another_algorithm_can_be_named(address: str, tmp_path: Path) -> None:
    fetch(f"{address}/file", tmp_path / "file.bin", hashlib.sha512(CONTENT).hexdigest(), algorithm="sha512")

    assert (tmp_path / "file.bin").read_bytes() == CONTENT


def test_progress_is_told_of_bytes(address: str, tmp_path: Path) -> None:
    heard = []

    class Listening(Silent):
        def step(self, done: int, total: int, note: str = "") -> None:
            heard.append((done, total))

    fetch(f"{address}/file", tmp_path / "file.bin", DIGEST, progress=Listening())

    assert heard[-1] == (len(CONTENT), len(CONTENT))


def test_a_folder_that_cannot_be_written_is_no_fault_of_the_network(address: str, tmp_path: Path) -> None:
    (tmp_path / "taken").write_bytes(b"a file")

    with pytest.raises(EnvironmentFault, match="Failed while writing"):
        fetch(f"{address}/file", tmp_path / "taken" / "file.bin", DIGEST)


def test_offline_is_refused_with_the_way_out() -> None:
    refuse_offline("'x' is", offline=False)

    with pytest.raises(EnvironmentFault, match="'x' is not in the cache") as caught:
        refuse_offline("'x' is", offline=True)
    assert "without --offline" in caught.value.hint


def test_a_file_of_the_cache_is_compared_with_its_checksum_before_each_use(tmp_path: Path) -> None:
    file = tmp_path / "engine.tar.gz"
    file.write_bytes(b"as downloaded")
    without = is_recorded(file)
    record_checksum(file)

    assert (without, is_recorded(file), checked(file)) == (False, True, file)
    file.write_bytes(b"as planted")
    with pytest.raises(Unreadable, match="its checksum is wrong") as caught:
        checked(file)
    assert caught.value.hint.startswith(f"rm {file}")
    (tmp_path / "engine.tar.gz.sha256").unlink()
    with pytest.raises(Unreadable, match="cannot be read"):
        checked(file)
