"""A real headless Chromium for tests, driven through its debugging pipe with the standard library alone."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-sync",
    "--force-color-profile=srgb",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)
# The browser reads commands from descriptor 3 and answers on 4. Setting them in a helper process keeps clear of the
# descriptors that subprocess uses itself.
_LAUNCHER = (
    "import fcntl, os, sys; "
    "r, w = (fcntl.fcntl(int(n), fcntl.F_DUPFD, 10) for n in sys.argv[1:3]); "
    "os.dup2(r, 3); os.dup2(w, 4); os.execv(sys.argv[3], sys.argv[3:])"
)


def require_chromium() -> Path:
    """Where Chromium is installed.

    Without one the test is skipped with the reason, or fails where `EDGEKIT_REQUIRE_STANDINS=1` says that CI has it.
    """
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is not None:
        return Path(found)
    reason = "Chromium is not installed: apt-get install chromium"
    if os.environ.get("EDGEKIT_REQUIRE_STANDINS") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


@dataclass
class Page:
    """One open tab. `requests` are the addresses it asked for, `problems` what the console complained of."""

    browser: Chromium
    session: str
    requests: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    is_loaded: bool = False

    def resize(self, width: int, height: int = 900) -> None:
        """Give the page a window of `width` by `height` CSS pixels, one device pixel each."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.call("Emulation.setDeviceMetricsOverride", **metrics)

    def emulate(self, *, dark: bool = False, media: str = "") -> None:
        """Show the page as a dark desktop would, or as another medium (`print`) does."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", media=media, features=[scheme])

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression, by the debugger: a page that forbids scripts answers as well."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise AssertionError(answer["exceptionDetails"])
        return answer["result"].get("value")

    def screenshot(self) -> bytes:
        """The whole page, not only the window, as PNG."""
        answer = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        return base64.b64decode(answer["data"])

    def pdf(self) -> bytes:
        """The page as it prints."""
        answer = self.call("Page.printToPDF", printBackground=False, preferCSSPageSize=True)
        return base64.b64decode(answer["data"])

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """One command of the DevTools protocol to this tab."""
        return self.browser.call(method, session=self.session, **params)

    def heard(self, event: dict[str, Any]) -> None:
        """Take note of an event of this tab."""
        method, params = event["method"], event.get("params", {})
        if method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        elif method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            self.problems.append(params["entry"]["text"])
        elif method == "Runtime.exceptionThrown":
            self.problems.append(params["exceptionDetails"]["text"])
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning", "assert"):
            self.problems.append(str(params["args"]))
        elif method == "Page.loadEventFired":
            self.is_loaded = True


class Chromium:
    """A browser with an empty profile under `folder`; a context manager that leaves no process behind."""

    def __init__(self, folder: Path, *, timeout_s: float = 60.0) -> None:
        found = require_chromium()
        self._timeout_s = timeout_s
        self._pages: dict[str, Page] = {}
        self._buffer = b""
        self._last_id = 0
        to_read, self._to_browser = os.pipe()
        self._from_browser, to_write = os.pipe()
        self._log = (folder / "chromium.log").open("wb")
        program = [str(found), *FLAGS, f"--user-data-dir={folder / 'profile'}", "about:blank"]
        self._process = subprocess.Popen(
            [sys.executable, "-c", _LAUNCHER, str(to_read), str(to_write), *program],
            pass_fds=(to_read, to_write),
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
        )
        os.close(to_read)
        os.close(to_write)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """End the browser with every process it started."""
        os.close(self._to_browser)
        os.close(self._from_browser)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._log.close()

    def open(self, url: str, *, width: int = 1280, dark: bool = False) -> Page:
        """A new tab that has loaded `url`."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = self._pages[session] = Page(self, session)
        for domain in ("Page", "Network", "Log", "Runtime"):
            page.call(f"{domain}.enable")
        page.resize(width)
        page.emulate(dark=dark)
        page.call("Page.navigate", url=url)
        self._until(lambda: page.is_loaded, f"{url} to load")
        return page

    def call(self, method: str, *, session: str | None = None, **params: Any) -> dict[str, Any]:
        """The answer to one command of the DevTools protocol."""
        self._last_id += 1
        number = self._last_id
        message = {"id": number, "method": method, "params": params} | ({"sessionId": session} if session else {})
        os.write(self._to_browser, json.dumps(message).encode() + b"\0")
        answers: list[dict[str, Any]] = []
        self._until(lambda: bool(answers), method, number, answers)
        if "error" in answers[0]:
            raise AssertionError(f"{method}: {answers[0]['error']}")
        result: dict[str, Any] = answers[0]["result"]
        return result

    def _until(self, done: Any, what: str, number: int = -1, answers: list[dict[str, Any]] | None = None) -> None:
        deadline = time.monotonic() + self._timeout_s
        while not done():
            message = self._next(deadline, what)
            if answers is not None and message.get("id") == number:
                answers.append(message)
            elif "method" in message and message.get("sessionId") in self._pages:
                self._pages[message["sessionId"]].heard(message)

    def _next(self, deadline: float, what: str) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._from_browser], [], [], max(deadline - time.monotonic(), 0.0))
            part = os.read(self._from_browser, 1 << 20) if ready else b""
            if not part:
                raise AssertionError(f"Chromium did not answer while waiting for {what}.")
            self._buffer += part
        message, _, self._buffer = self._buffer.partition(b"\0")
        decoded: dict[str, Any] = json.loads(message)
        return decoded
