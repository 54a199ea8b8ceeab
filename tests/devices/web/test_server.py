"""Promises of devices/web/server.py: one page gets its job and nothing else, and sends what was asked of it."""

from __future__ import annotations

import http.client
import logging
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from edgekit.core.errors import EnvironmentFault
from edgekit.devices.web import server as servers
from edgekit.devices.web.server import Server, Site, Work

WORK = Work(b"{}", b"model", b"feeds", "now", has_outputs=False)


@contextmanager
def served(site: Site) -> Iterator[Server]:
    with closing(Server(site, "127.0.0.1", 0)) as server:
        yield server


def ask(
    server: Server, path: str, body: bytes | None = None, *, client: str = "127.0.0.1", key: str = ""
) -> tuple[int, bytes, http.client.HTTPMessage]:
    """Status, content and headers of one request from the address `client`."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20, source_address=(client, 0))
    with closing(connection):
        with suppress(BrokenPipeError, ConnectionResetError):  # a refusal may come before the body has been sent
            connection.request("GET" if body is None else "POST", f"/{key or server.site.key}/{path}", body)
        reply = connection.getresponse()
        return reply.status, reply.read(), reply.headers


def status(server: Server, path: str, body: bytes | None = None, **options: str) -> int:
    return ask(server, path, body, **options)[0]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have one address on loopback")
def test_the_key_serves_the_first_client_alone() -> None:
    with served(Site({}, {}, work=WORK)) as server:
        assert status(server, "job", key="guess", client="127.0.0.3") == 403
        assert status(server, "job", client="127.0.0.2") == 200

        assert status(server, "job") == 403
        assert status(server, "result/now", b"{}") == 403
        assert status(server, "result/now", b"{}", client="127.0.0.2") == 204
        assert server.site.results.get_nowait() == b"{}"
        assert server.site.results.empty()


def test_every_site_has_a_key_of_its_own_that_nobody_guesses() -> None:
    keys = {Site({}, {}).key for _ in range(100)}

    assert len(keys) == 100
    assert min(map(len, keys)) >= 16
    with served(Site({}, {})) as server:
        assert server.url == f"http://127.0.0.1:{server.port}/{server.site.key}/"


def test_a_job_is_given_once_and_only_while_there_is_one() -> None:
    site = Site({}, {})
    with served(site) as server:
        assert status(server, "next") == 204
        assert [status(server, path) for path in ("job", "model", "feeds", "launch", "has_outputs")] == [404] * 5

        site.work, site.is_given = WORK, False
        assert [status(server, "next") for _ in range(2)] == [200, 204]
        assert [ask(server, path)[1] for path in ("job", "model", "feeds")] == [b"{}", b"model", b"feeds"]
        assert [status(server, path) for path in ("launch", "has_outputs")] == [404] * 2

        assert status(server, "hello", b"again") == 204  # the page was opened again
        assert status(server, "next") == 200
        assert status(server, "result/now", b"{}") == 204
        assert site.is_given
        assert status(server, "job") == 404
        assert status(server, "next") == 204
        assert status(server, "result/now", b"{}") == 404

        site.is_over = True
        assert status(server, "next") == 410


def test_a_page_that_says_hello_without_end_is_heard_as_often_as_there_is_room() -> None:
    site = Site({}, {})
    with served(site) as server:
        codes = [status(server, "hello", str(number).encode()) for number in range(12)]

    assert codes == [204] * 12
    assert [site.hello.get_nowait() for _ in range(site.hello.qsize())] == [str(number).encode() for number in range(8)]
    assert site.is_given, "there is no job to give"


def test_only_the_result_of_the_launch_that_runs_is_kept() -> None:
    site = Site({}, {})
    site.receive("result/now", b"early")
    site.work = WORK
    site.receive("result/old", b"late")
    assert site.results.empty()

    site.receive("result/now", b"{}")

    assert site.results.get_nowait() == b"{}"


@pytest.mark.parametrize(("has_outputs", "limit"), [(True, 1 << 30), (False, 1 << 26)])
def test_a_page_may_send_what_its_job_asks_for(has_outputs: bool, limit: int) -> None:
    site = Site({}, {})
    assert [site.limit(path) for path in ("hello", "result/", "result/now", "next")] == [1 << 16, 0, 0, 0]

    site.work = Work(b"", b"", b"")
    assert site.limit("result/") == 1 << 30
    site.work = Work(b"", b"", b"", "now", has_outputs=has_outputs)
    assert [site.limit(path) for path in ("hello", "result/", "result/now", "result/old")] == [1 << 16, 0, limit, 0]


def test_a_body_of_exactly_the_limit_is_taken_and_one_byte_more_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servers, "_MAX_HELLO_BYTES", 100)
    with served(Site({}, {})) as server:
        assert [status(server, "hello", b"x" * size) for size in (100, 101)] == [204, 413]
        assert server.site.hello.get_nowait() == b"x" * 100
        assert server.site.hello.empty()


def test_a_body_in_many_pieces_arrives_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servers, "_CHUNK", 7)
    content = bytes(range(256)) * 3
    with served(Site({}, {})) as server:
        assert status(server, "hello", content) == 204
        assert server.site.hello.get_nowait() == content


def exchange(server: Server, *parts: bytes) -> bytes:
    """All that the server says on a connection on which these bytes arrive, until it closes it."""
    with socket.create_connection(("127.0.0.1", server.port), 20) as connection:
        for part in parts:
            connection.sendall(part)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def head(server: Server, method: str, path: str, length: int = 0) -> bytes:
    return f"{method} /{server.site.key}/{path} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n".encode()


def test_a_connection_serves_several_requests_but_none_after_a_body_that_was_not_read() -> None:
    with served(Site({}, {})) as server:
        good = exchange(server, head(server, "POST", "hello", 2) + b"hi" + head(server, "GET", "next"))
        refused = exchange(server, head(server, "POST", "other", 2) + b"hi" + head(server, "GET", "next"))
        short = exchange(server, head(server, "POST", "hello", 5) + b"hi")

    assert good.count(b"HTTP/1.1 204 ") == 2
    assert [refused.count(b"HTTP/1.1"), refused.count(b"HTTP/1.1 404 ")] == [1, 1]
    assert short == b"", "half a body was taken"
    assert server.site.hello.get_nowait() == b"hi"
    assert server.site.hello.empty()


def test_a_body_that_does_not_arrive_in_time_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servers, "_BODY_S", -1.0)
    with served(Site({}, {})) as server:
        assert exchange(server, head(server, "POST", "hello", 2) + b"hi") == b""
        assert server.site.hello.empty()


@pytest.mark.parametrize("is_isolated", [True, False])
def test_headers_keep_the_page_apart_and_out_of_every_cache(is_isolated: bool) -> None:
    with served(Site({}, {}, is_isolated=is_isolated)) as server:
        code, content, headers = ask(server, "")

    isolation = [headers["Cross-Origin-Opener-Policy"], headers["Cross-Origin-Embedder-Policy"]]
    assert code == 200
    assert (headers["Cache-Control"], headers["Referrer-Policy"]) == ("no-store", "no-referrer")
    assert isolation == (["same-origin", "require-corp"] if is_isolated else [None, None])
    assert headers["Content-Length"] == str(len(content))


def test_files_have_their_types_and_names_are_filled_in() -> None:
    package = {name: name.encode() for name in ("a.mjs", "deep/b.wasm", "c.bin")}
    with served(Site({"ort": package}, {"NAME": "filled"})) as server:
        found = {
            path: ask(server, path)
            for path in (
                "",
                "page.js",
                "launch.html",
                "ort/a.mjs",
                "ort/deep/b.wasm",
                "ort/c.bin",
                "ort/deep",
                "x/a.mjs",
            )
        }

    assert {path: (code, headers["Content-Type"]) for path, (code, _, headers) in found.items()} == {
        "": (200, "text/html; charset=utf-8"),
        "page.js": (200, "text/javascript"),
        "launch.html": (200, "text/html; charset=utf-8"),
        "ort/a.mjs": (200, "text/javascript"),
        "ort/deep/b.wasm": (200, "application/wasm"),
        "ort/c.bin": (200, "application/octet-stream"),
        "ort/deep": (404, "text/plain"),
        "x/a.mjs": (404, "text/plain"),
    }
    assert found["ort/deep/b.wasm"][1] == b"deep/b.wasm"
    page = servers.PAGE / "index.html"
    assert found[""][1].decode() == page.read_text(encoding="utf-8").replace("@NAME@", "filled")


def test_a_name_in_a_page_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servers, "PAGE", tmp_path)
    (tmp_path / "index.html").write_text("@A@ and @B@ é", encoding="utf-8")

    assert Site({}, {"A": "one", "B": "two"}).respond("") == (200, "one and two é".encode(), "text/html; charset=utf-8")


def test_a_query_is_no_part_of_the_path() -> None:
    with served(Site({}, {}, work=WORK)) as server:
        assert status(server, "job?now=1/2") == 200


def test_after_the_end_nothing_is_served_and_the_thread_is_gone() -> None:
    server = Server(Site({}, {}), "127.0.0.1", 0)

    server.close()

    assert server.site.is_over
    assert not server._thread.is_alive()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", server.port), 5)


def test_replies_without_content_are_empty_and_what_a_job_reads_has_no_type_of_its_own() -> None:
    site = Site({}, {}, work=WORK)

    assert site.respond("next") == (204, b"", "text/plain")
    site.is_given = False
    assert site.respond("next") == (200, b"", "text/plain")
    site.is_over = True
    assert site.respond("next") == (410, b"", "text/plain")
    assert site.respond("other") == (404, b"", "text/plain")
    assert site.respond("model") == (200, b"model", "application/octet-stream")


def test_refused_requests_get_nothing_to_read() -> None:
    with served(Site({}, {})) as server:
        replies = [ask(server, "", key="guess"), ask(server, "other", b"x"), ask(server, "hello", bytes(1 << 17))]
        taken = ask(server, "hello", b"x")

    assert [(code, content) for code, content, _ in replies] == [(403, b""), (404, b""), (413, b"")]
    assert {headers["Content-Type"] for _, _, headers in (*replies, taken)} == {"text/plain"}
    assert (taken[0], taken[1]) == (204, b"")


def test_a_port_that_is_taken_is_said_with_its_address() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = int(other.getsockname()[1])
        with pytest.raises(
            EnvironmentFault, match=rf"^Failed while serving on 127\.0\.0\.1:{port}: Address already in use"
        ):
            Server(Site({}, {}), "127.0.0.1", port)


def test_a_port_that_does_not_exist_is_said() -> None:
    with pytest.raises(EnvironmentFault, match=r"^Cannot serve on 127\.0\.0\.1:70000: the address is not valid\.$"):
        Server(Site({}, {}), "127.0.0.1", 70000)


def until(fact: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 20
    while not fact() and time.monotonic() < deadline:
        time.sleep(0.01)
    return fact()


def test_what_goes_wrong_in_a_request_is_for_debugging_alone(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    site = Site({}, {})
    with caplog.at_level(logging.DEBUG, logger=servers.__name__), served(site) as server:
        site.hello = None  # type: ignore[assignment] # a fault of ours
        assert exchange(server, head(server, "POST", "hello", 2) + b"hi") == b""
        assert until(lambda: bool(caplog.records))

    (record,) = caplog.records
    assert record.getMessage().startswith("a request of ('127.0.0.1', ")
    assert record.exc_info is not None
    assert capfd.readouterr() == ("", "")
