"""The web transport in a real headless Chromium."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import msgspec
import numpy as np
import pytest
from tests.standins.cache import Missing, cache_folder, required
from tests.standins.chromium import FLAGS, require_chromium
from tests.standins.jobs import job_of

from edgekit.core.errors import (
    DeviceUnavailable,
    EnvironmentFault,
    ModelUnreadable,
    ProviderRefused,
    Unreadable,
    UserError,
)
from edgekit.core.samples import read_arrays
from edgekit.core.system.files import sha256_bytes, sha256_file
from edgekit.devices.web import packages as web_packages
from edgekit.devices.web.browser import WebDevice
from edgekit.devices.web.packages import PACKAGES, fetch, require
from edgekit.devices.web.server import Contents, Server, Site, Work
from edgekit.runtime.launch import launch


@pytest.fixture(scope="session")
def packages() -> Contents:
    """The engines for browsers, fetched once into the cache of stand-ins."""
    with required():
        try:
            fetch(cache_folder())
        except EnvironmentFault as err:
            raise Missing(err.message) from err
    return require(cache_folder(), "browser")


@contextmanager
def browser(folder: Path, url: str) -> Iterator[None]:
    """A headless Chromium that has opened `url`, with a profile of its own; afterwards none of it runs."""
    flags = [flag for flag in FLAGS if flag != "--remote-debugging-pipe"]
    process = subprocess.Popen(
        [str(require_chromium()), *flags, "--remote-debugging-port=0", f"--user-data-dir={folder / 'profile'}", url],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@contextmanager
def phone(folder: Path, packages: Contents, *, is_isolated: bool = True) -> Iterator[WebDevice]:
    """A browser that has opened the page of a WebDevice."""
    urls: list[str] = []
    with WebDevice("phone", packages, urls.append, timeout_s=120, is_isolated=is_isolated) as device:
        device._server = Server(device._site, "127.0.0.1", 0)
        with browser(folder, device._server.url):
            yield device


@pytest.mark.browser
@pytest.mark.parametrize(("model", "backend"), [("linear.onnx", "ort-web"), ("linear.tflite", "litert-js")])
def test_the_answers_are_those_of_this_machine(tmp_path: Path, packages: Contents, model: str, backend: str) -> None:
    job = job_of(model, tmp_path)
    launch(job)
    answers = read_arrays(Path(job.outputs), UserError)

    with phone(tmp_path, packages) as device:
        facts = device.facts()
        results = [device.measure(msgspec.structs.replace(job, backend=backend)) for _ in range(2)]

    assert facts.architecture == "wasm"
    assert facts.cores
    assert facts.missing.keys() >= {"governor", "clock_hz", "temperature_c"}
    for result in results:
        assert (result.backend, result.provider) == (backend, "wasm")
        assert len(result.values) >= 3
        assert min(*result.values, result.load_s) > 0
        assert "cross-origin isolated" in result.notes
    got = read_arrays(Path(job.outputs), UserError)
    assert got.keys() == answers.keys()
    for name, array in answers.items():
        expected = array.astype(np.float32)
        # Another engine's float32: 1e-5 of the range, as everywhere.
        np.testing.assert_allclose(got[name].astype(np.float32), expected, rtol=0, atol=1e-5 * float(np.ptp(expected)))


@pytest.mark.browser
def test_without_isolation_the_report_says_so(tmp_path: Path, packages: Contents) -> None:
    with phone(tmp_path, packages, is_isolated=False) as device:
        result = device.measure(job_of("linear.onnx", tmp_path))

    assert "not cross-origin isolated: one thread, coarse clock" in result.notes


@pytest.mark.browser
def test_a_model_that_does_not_load_is_said_and_the_next_job_runs(tmp_path: Path, packages: Contents) -> None:
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no model")
    job = job_of("linear.onnx", tmp_path)

    with phone(tmp_path, packages) as device:
        with pytest.raises(ModelUnreadable, match="On 'phone': The browser cannot load the model"):
            device.measure(msgspec.structs.replace(job, artifact=str(broken), sha256=sha256_file(broken)))
        assert device.measure(job).values


@pytest.mark.browser
def test_a_closed_page_ends_in_an_error_in_time(tmp_path: Path, packages: Contents) -> None:
    job = job_of("linear.onnx", tmp_path)
    with WebDevice("phone", packages, lambda url: None, timeout_s=2) as device:
        device._server = Server(device._site, "127.0.0.1", 0)
        with browser(tmp_path, device._server.url):
            device.facts()

        start = time.monotonic()
        with pytest.raises(DeviceUnavailable, match="was the page closed"):
            device.measure(job)
        assert time.monotonic() - start < 10
        assert not (tmp_path / "outputs.npz").exists()

    with phone(tmp_path, packages) as device:
        assert device.measure(job).values


@pytest.mark.browser
def test_a_page_that_was_closed_and_opened_again_goes_on(tmp_path: Path, packages: Contents) -> None:
    job = job_of("linear.onnx", tmp_path)
    endless = msgspec.structs.replace(job, time_limit_s=3.0, min_values=1, max_values=10**6)
    with WebDevice("phone", packages, lambda url: None, timeout_s=120) as device:
        device._server = Server(device._site, "127.0.0.1", 0)
        results: list[object] = []
        with browser(tmp_path, device._server.url):
            device.facts()
            thread = threading.Thread(target=lambda: results.append(device.measure(endless)))
            thread.start()
            while not device._site.is_given:
                time.sleep(0.05)
            time.sleep(0.5)
        assert results == []
        with browser(tmp_path / "again", device._server.url):
            thread.join(60)
            assert len(results) == 1
            assert device.measure(job).values


@pytest.mark.browser
def test_missing_webgpu_is_an_error_with_its_reason(tmp_path: Path, packages: Contents) -> None:
    with phone(tmp_path, packages) as device:
        device.facts()
        job = msgspec.structs.replace(job_of("linear.onnx", tmp_path), options={"provider": "webgpu"})
        with pytest.raises(ProviderRefused, match=r"'phone' \(web\) has no provider 'webgpu': the browser") as caught:
            device.measure(job)

    assert caught.value.exit_code == 3
    assert caught.value.hint == "--target phone"


def test_a_late_result_of_another_launch_is_not_taken() -> None:
    site = Site({}, {}, work=Work(b"", b"", b"", "new"))

    site.receive("result/old", b"stale")
    assert site.results.empty()
    site.receive("result/new", b"fresh")

    assert site.results.get_nowait() == b"fresh"


def test_a_page_that_nobody_opens_is_given_up() -> None:
    opened: list[str] = []
    device = WebDevice("phone", {}, opened.append, connect_timeout_s=0.2)

    with device, pytest.raises(DeviceUnavailable, match=r"The page of '.*' \(web\) was not opened"):
        device.facts()

    assert len(opened) == 1
    assert opened[0].startswith("http://127.0.0.1:")


def test_only_the_key_opens_the_page_and_nothing_else_is_served(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    server = Server(Site({"ort": {"a.js": b"1"}}, {}), "127.0.0.1", 0)
    base = server.url.removesuffix(f"{server.site.key}/")

    def status(path: str, data: bytes | None = None) -> int:
        try:
            with urllib.request.urlopen(f"{base}{path}", data=data, timeout=10) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as err:
            err.close()
            return err.code

    key = server.site.key
    try:
        assert status(f"{key}/") == 200
        assert status(f"{key}/ort/a.js") == 200
        assert [status(path) for path in ("", "wrong/", f"{key[:-1]}/", "wrong/ort/a.js")] == [403] * 4
        outside = ["ort/b.js", "ort/../secret", "ort/%2e%2e/secret", "model", "ort/", "../x"]
        assert [status(f"{key}/{path}") for path in outside] == [404] * len(outside)
        assert status(f"{key}/page.js", b"x") == 404
        assert status("wrong/result", b"x") == 403
        assert server.site.results.empty()
    finally:
        server.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", int(base.rpartition(":")[2].strip("/"))), timeout=1)


def test_an_address_that_is_taken_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = int(taken.getsockname()[1])
        with pytest.raises(EnvironmentFault, match=f"serving on 127.0.0.1:{port}"):
            Server(Site({}, {}), "127.0.0.1", port)


def test_packages_of_another_content_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = replace(PACKAGES[2], sha512="AAAA")
    monkeypatch.setattr(web_packages, "PACKAGES", (wrong,))
    target = tmp_path / "@litertjs/wasm-utils/-/wasm-utils-2.5.3.tgz"
    target.parent.mkdir(parents=True)
    target.write_bytes(b"another content")
    handler = partial(SimpleHTTPRequestHandler, directory=tmp_path)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as registry:
        threading.Thread(target=registry.serve_forever, daemon=True).start()
        monkeypatch.setattr(web_packages, "_REGISTRY", f"http://127.0.0.1:{registry.server_port}")

        with pytest.raises(Unreadable, match=r"The sha\d+ of '.+' is .+, expected"):
            fetch(tmp_path / "cache")
        registry.shutdown()

    assert not (tmp_path / "cache/web").exists()


@pytest.mark.parametrize("content", [b"alert(1)", None])
def test_a_cached_file_that_has_changed_is_not_served(
    content: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = replace(PACKAGES[2], files=f"\n{sha256_bytes(b'run()')}  dist/index.js\n")
    monkeypatch.setattr(web_packages, "PACKAGES", (one,))
    folder = web_packages.place(tmp_path, one)
    (folder / "dist").mkdir(parents=True)
    (folder / "dist/index.js").write_bytes(b"run()")
    (folder / "dist/planted.js").write_bytes(b"alert(1)")
    served = require(tmp_path, "phone")
    (folder / "dist/index.js").unlink()
    if content is not None:
        (folder / "dist/index.js").write_bytes(content)

    with pytest.raises(
        Unreadable, match=r"index\.js' has changed since '@litertjs/wasm-utils' was downloaded"
    ) as caught:
        require(tmp_path, "phone")

    assert served == {"wasm-utils": {"dist/index.js": b"run()"}}
    assert caught.value.hint == f"rm -r {folder} && edgekit devices prepare phone"


def test_packages_are_never_fetched_by_surprise(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFault, match="not on this machine") as caught:
        require(tmp_path, "phone")
    assert caught.value.hint == "edgekit devices prepare phone"

    with pytest.raises(EnvironmentFault, match="not in the cache"):
        fetch(tmp_path, offline=True)


@pytest.mark.parametrize(
    "change",
    [
        {"backend": "litert-js"},
        {"backend": "onnxruntime"},
        {"options": {"provider": "cuda"}},
        {"options": {"spin": "1"}},
        {"options": {"state": "keep"}},
    ],
)
def test_what_browsers_lack_is_refused_before_a_page_is_opened(tmp_path: Path, change: dict[str, object]) -> None:
    device = WebDevice("phone", {}, lambda url: pytest.fail("the page was announced"))

    with pytest.raises(UserError, match=r"phone|Unknown option of ort-web"):
        device.measure(msgspec.structs.replace(job_of("linear.onnx", tmp_path), **change))
