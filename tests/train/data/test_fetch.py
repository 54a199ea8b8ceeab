from __future__ import annotations

import gzip
import hashlib
import io
import sys
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from edgekit.core.errors import EnvironmentFault, Unreadable, UserError
from edgekit.train.data.addresses import SOURCES, Remote
from edgekit.train.data.fetch import download, unpack
from edgekit.train.data.mnist import FILES
from edgekit.train.data.registry import DATASETS

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


def test_a_data_set_without_an_address_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="edgekit has no official address for"):
        download("rt_polarity", into=tmp_path)


def tar(*names: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name in names:
            entry = tarfile.TarInfo(name)
            entry.size = len(name)
            archive.addfile(entry, io.BytesIO(name.encode()))
    return buffer.getvalue()


def test_files_are_taken_out_of_a_tar_and_nothing_else(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = tar("folder/a.bin", "../b.bin", "folder/other.txt")
    monkeypatch.setattr(sys.modules[__name__], "CONTENT", content)
    remote = Remote(f"{address}/file", hashlib.sha256(content).hexdigest(), holds=("a.bin", "b.bin"))

    for _ in range(2):
        folder = download("tiny", sources={"tiny": {"all.tar.gz": remote}}, into=tmp_path)

    assert {path.name: path.read_text() for path in folder.iterdir()} == {"a.bin": "folder/a.bin", "b.bin": "../b.bin"}
    assert list(tmp_path.iterdir()) == [folder]
    assert Handler.asked == [""]


@pytest.mark.parametrize(
    ("content", "said"),
    [(tar("a.bin"), "does not contain 'b.bin'"), (tar("a.bin", "b.bin")[:-20], "truncated or damaged")],
    ids=["a file is missing", "truncated"],
)
def test_a_tar_that_is_not_whole_is_told(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "all.tar.gz").write_bytes(content)

    with pytest.raises(Unreadable, match=said):
        unpack(tmp_path / "all.tar.gz", ("a.bin", "b.bin"))


def test_what_is_known_of_addresses_is_of_one_form() -> None:
    remotes = [remote for files in SOURCES.values() for remote in files.values()]

    assert all(remote.address.startswith("https://") and len(remote.sha256) == 64 for remote in remotes)
    assert set(SOURCES) <= set(DATASETS.table)


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist", "cifar10"])
def test_a_missing_data_set_is_told_with_the_way_to_fetch_it(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("EDGEKIT_DATA", raising=False)
    monkeypatch.setenv("EDGEKIT_CACHE", str(tmp_path))

    with pytest.raises(EnvironmentFault, match="downloads it only on request") as problem:
        DATASETS.get(name)(None)

    assert "--download" in problem.value.hint


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
def test_a_truncated_file_is_named(name: str, tmp_path: Path) -> None:
    for file in FILES:
        (tmp_path / file).write_bytes(gzip.compress(bytes([0, 0, 8, 1, 0, 0, 0, 2, 1, 1]))[:-9])

    with pytest.raises(Unreadable, match=r"train-images-idx3-ubyte\.gz' is truncated"):
        DATASETS.get(name)(tmp_path)
