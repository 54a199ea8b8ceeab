"""`deploy --for js`: the page in a real Chromium with the real ONNX Runtime Web."""

from __future__ import annotations

import base64
import io
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.flows.deploying.small_bundles import small_bundle, tflite_bundle
from tests.standins.cache import Missing, cache_folder, required
from tests.standins.chromium import Chromium, Page

from edgekit.core.errors import EdgekitError, UserError
from edgekit.core.spec.input_kinds import ArrayInput, AudioInput, ImageInput, Preprocessing
from edgekit.core.system.progress import Silent
from edgekit.devices.web.packages import PACKAGES, fetch, place
from edgekit.flows.deploy import program_order
from edgekit.flows.run import run

PHOTO = ImageInput(24, 20, 3, (0.4, 0.5, 0.6), (0.2, 0.3, 0.25), resize=(28,))


@pytest.fixture(scope="module")
def package() -> Path:
    """The folder of ONNX Runtime Web, as `npm install` unpacks it."""
    with required():
        try:
            fetch(cache_folder())
        except EdgekitError as err:
            raise Missing(err.message) from err
    return place(cache_folder(), PACKAGES[0])


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of a plain server of files, as the README starts one."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def deployed(bundle: Path, out: Path, package: Path) -> Path:
    with program_order(bundle, language="js", out=out) as order:
        order.run(Silent())
    (out / "node_modules").mkdir()
    (out / "node_modules" / "onnxruntime-web").symlink_to(package)
    return out


def ended(page: Page) -> tuple[str, list[str]]:
    """The state and the rows of the page when its work has ended."""
    end = time.monotonic() + 60
    while not page.evaluate("document.body.dataset.ended ?? ''"):
        assert time.monotonic() < end, page.problems
        time.sleep(0.05)
    rows = page.evaluate("Array.from(document.querySelectorAll('tr'), row => row.textContent).join('\\n')")
    return page.evaluate("document.getElementById('state').textContent"), rows.splitlines()


@pytest.mark.browser
@pytest.mark.parametrize(
    "how",
    [
        ArrayInput(),
        PHOTO,
        AudioInput(8000, 50),
        *(ImageInput(9, 12, interpolation=one) for one in ("bicubic", "nearest", "box", "hamming", "lanczos")),
        ImageInput(9, 12, resize=(20, 15), color="bgr", layout="nhwc", mean=(0.1, 0.2, 0.3)),
        ImageInput(40, 50, 1, (0.5,), (0.25,), resize=(30,), invert=True),
    ],
    ids=lambda how: f"{type(how).__name__}-{getattr(how, 'interpolation', '')}-{getattr(how, 'layout', '')}",
)
def test_the_page_runs_the_cases_of_its_bundle(tmp_path: Path, package: Path, how: Preprocessing) -> None:
    folder = deployed(small_bundle(tmp_path / "bundle", how), tmp_path / "out", package)

    with served(folder) as address, Chromium(tmp_path) as browser:
        page = browser.open(f"{address}/?self-test")
        state, rows = ended(page)

    assert (state, rows) == (f"6 cases, all as expected (onnxruntime-web {PACKAGES[0].version})", [])
    assert page.problems == []
    assert all(url.startswith((address, "data:")) for url in page.requests)


@pytest.mark.browser
def test_a_file_that_a_person_chooses_gives_what_run_gives(tmp_path: Path, package: Path) -> None:
    bundle = small_bundle(tmp_path / "bundle", PHOTO)
    stream = io.BytesIO()
    Image.fromarray(np.random.default_rng(2).integers(0, 256, (50, 40, 3)).astype(np.uint8)).save(stream, "png")
    (tmp_path / "photo.png").write_bytes(stream.getvalue())
    encoded = base64.b64encode(stream.getvalue()).decode()
    choose = f"""
        const bytes = Uint8Array.from(atob("{encoded}"), one => one.charCodeAt(0)), files = new DataTransfer();
        files.items.add(new File([bytes], "photo.png"));
        const input = document.getElementById("file");
        input.files = files.files;
        input.dispatchEvent(new Event("change"));"""

    with served(deployed(bundle, tmp_path / "out", package)) as address, Chromium(tmp_path) as browser:
        page = browser.open(address)
        end = time.monotonic() + 60
        while page.evaluate("document.getElementById('state').textContent") != "Choose a file.":
            assert time.monotonic() < end, page.problems
        page.evaluate(f"(() => {{{choose}}})()")
        state, rows = ended(page)

    scores = run(bundle, input=[tmp_path / "photo.png"]).answers[0].scores
    assert state.startswith("photo.png, ")
    assert rows == [f"{100 * one.probability:.2f} %{one.label}" for one in scores]


@pytest.mark.browser
def test_other_weights_fail_the_self_test(tmp_path: Path, package: Path) -> None:
    folder = deployed(small_bundle(tmp_path / "bundle"), tmp_path / "out", package)
    weights = np.random.default_rng(0).normal(size=(64, 3)).astype(np.float32).tobytes()
    model = folder / "model.onnx"
    model.write_bytes(model.read_bytes().replace(weights, weights[12:] + weights[:12]))

    with served(folder) as address, Chromium(tmp_path) as browser:
        state, rows = ended(browser.open(f"{address}/?self-test"))

    assert state.startswith("6 cases, NOT all as expected")
    assert rows[0].startswith("case 0, output 0 differs by")


@pytest.mark.browser
def test_a_name_is_text_and_never_markup(tmp_path: Path, package: Path) -> None:
    bad = "<img src=x onerror=document.title='bad'>"
    folder = deployed(small_bundle(tmp_path / "bundle", labels=(bad,) * 3, name=bad), tmp_path / "out", package)

    with served(folder) as address, Chromium(tmp_path) as browser:
        page = browser.open(f"{address}/?self-test")
        ended(page)
        shown, title = page.evaluate("document.getElementById('name').textContent"), page.evaluate("document.title")

    assert (shown, title) == (bad, "Model")


def test_a_bundle_without_onnx_is_refused(tmp_path: Path) -> None:
    bundle = tflite_bundle(tmp_path / "bundle", "linear.tflite")

    with pytest.raises(UserError, match=r"ONNX Runtime Web does not run '\.tflite'"):
        deployed(bundle, tmp_path / "out", tmp_path)
