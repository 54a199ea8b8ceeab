"""The pages as a browser gets them: what they show, what they escape, whom they refuse."""

from __future__ import annotations

import re
import signal
import sys
from pathlib import Path
from urllib.parse import quote

import pytest
from tests.dashboard.conftest import HOSTILE, TOKEN, Pages, serving

from edgekit.core.errors import MissingExtra
from edgekit.flows.serve import serve_site
from edgekit.store.database import open_store

PATHS = (
    "/",
    "/trends",
    "/runs",
    "/runs/1",
    "/runs/13",
    "/runs/14",
    "/runs/15",
    "/runs/16",
    "/runs/1/report",
    "/runs/13/report",
    "/runs/14/report",
    "/runs/15/report",
    "/runs/16/report",
    "/runs/17",
    "/runs/17/report",
    "/compare?a=17&b=18",
    "/compare?a=1&b=12",
    "/compare?a=1&b=14",
    "/devices",
    f"/trends?model={quote(HOSTILE)}",
    f"/?artifact={quote(HOSTILE)}",
    f"/runs?branch={quote(HOSTILE)}",
    "/runs?library=onnxruntime+1.26",
    "/trends?library=onnxruntime+1.26",
    "/runs?before=x",
    "/?page=7",
)


@pytest.mark.parametrize("path", PATHS)
def test_a_page_runs_no_script_and_loads_nothing_from_elsewhere(pages: Pages, path: str) -> None:
    found = pages.get(path)

    assert found.status == 200
    assert found.headers["content-type"] == "text/html; charset=utf-8"
    assert "<script" not in found.text
    assert "http://" not in found.text.replace("http://www.w3.org", "")
    policy = found.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert "script-src" not in policy
    assert found.headers["x-content-type-options"] == "nosniff"
    assert found.headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize("path", PATHS)
def test_every_page_has_a_document(pages: Pages, path: str) -> None:
    joined = f"{path}{'&' if '?' in path else '?'}format=json"

    found, accepted = pages.get(joined), pages.get(path, Accept="application/json")

    assert found.document["schema_version"] >= 1
    assert accepted.text == found.text


def test_names_are_shown_as_they_are(pages: Pages) -> None:
    series = pages.get("/?format=json").document["series"]

    assert [one["model"] for one in series if one["target"] == HOSTILE] == [HOSTILE]
    assert "&#34;&gt;&lt;script&gt;" in pages.get("/").text


def test_the_overview_has_the_newest_measurement_of_each_series(pages: Pages) -> None:
    found = pages.get("/?model=kws&format=json").document

    assert [(one["model"], one["target"], one["artifact"]) for one in found["series"]] == [("kws", "pi5", "onnx-fp32")]
    assert [point["run"] for point in found["series"][0]["points"]] == [13]


@pytest.mark.parametrize("branch", ["main", "fix"])
def test_pages_show_the_runs_of_one_branch(pages: Pages, branch: str) -> None:
    own = [day + 1 for day in range(12) if (day % 2 == 1) == (branch == "main")]

    found = pages.get(f"/trends?model=kws&branch={branch}&format=json").document
    listed = pages.get(f"/runs?branch={branch}&format=json").document["runs"]

    assert [point["run"] for point in found["series"][0]["points"]] == own
    assert [run["number"] for run in listed] == own[::-1]
    assert f'<option value="{branch}" selected>' in pages.get(f"/?branch={branch}").text


def test_a_check_judges_each_model_by_its_own_results(pages: Pages) -> None:
    verdicts = {one["model"]: one["points"][0]["verdict"] for one in pages.get("/?format=json").document["series"]}

    assert verdicts == {HOSTILE: "pass", "kws": None, "vad": "fail", "digits": "fail"}


def test_a_trend_is_drawn_oldest_first_with_verdicts(pages: Pages) -> None:
    points = pages.get("/trends?model=kws&format=json").document["series"][0]["points"]

    text = pages.get("/trends?model=kws").text

    assert [point["run"] for point in points] == list(range(1, 14))
    assert text.count("<circle") == 13
    assert text.count('class="mark pass"') == 12
    assert text.count('class="mark measured"') == 1


def test_runs_come_page_by_page_and_each_once(pages: Pages) -> None:
    first = pages.get("/runs?format=json").document

    assert [run["number"] for run in first["runs"]] == list(range(18, 0, -1))
    assert first["older"] == ""
    later = pages.get(f"/runs?format=json&before={quote(first['runs'][5]['created'] + ' 13')}").document
    assert [run["number"] for run in later["runs"]] == list(range(12, 0, -1))


def test_two_runs_are_compared_by_their_launches(pages: Pages) -> None:
    found = pages.get("/compare?a=1&b=12&format=json").document

    (pair,) = found["pairs"]
    assert pair["says"] == "slower"
    assert pair["ratio"]["value"] == pytest.approx(4.1 / 3, rel=1e-3)
    assert pair["ratio"]["low"] < pair["ratio"]["value"] < pair["ratio"]["high"]
    assert (found["only_a"], found["only_b"]) == (0, 0)


def test_two_sweeps_are_compared_version_by_version(pages: Pages) -> None:
    found = pages.get("/compare?a=17&b=18&format=json").document

    # 1.26 was the second version of the first sweep, and the first of the second one.
    (pair,) = found["pairs"]
    assert (pair["engine"], pair["says"]) == ("onnxruntime 1.26", "slower")
    assert pair["ratio"]["value"] == pytest.approx(6 / 3.3)
    assert (found["only_a"], found["only_b"]) == (1, 1)


def test_versions_of_a_sweep_are_pictures_of_their_own(pages: Pages) -> None:
    text = pages.get("/trends?model=digits").text

    titles = re.findall(r"digits: onnx-fp32 on local@threads=2, onnxruntime 1\.\d+(?=</h)", text)
    assert [title[-4:] for title in titles] == ["1.25", "1.26", "1.27"]


def test_a_device_has_its_facts_and_its_newest_run(pages: Pages) -> None:
    (device,) = pages.get("/devices?format=json").document["devices"]

    assert (device["cpu"], device["run"]) == ("Cortex-A76", 18)


def test_the_whole_report_is_the_one_that_the_command_writes(pages: Pages) -> None:
    assert "latency.p50 &lt;= 5 ms" in pages.get("/runs/1/report").text


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/nope", 404),
        ("/runs/999", 404),
        ("/runs/0", 400),
        ("/runs/x", 400),
        ("/compare?a=1", 400),
        ("/compare?a=1&b=99999999999999999999", 400),
        ("/?page=0", 400),
        (f"/?model={'x' * 501}", 400),
        ("/docs", 404),
        ("/openapi.json", 404),
        ("/style.css/../../setup.cfg", 404),
    ],
)
def test_what_does_not_exist_is_a_page_that_says_so(pages: Pages, path: str, status: int) -> None:
    found = pages.get(path)

    assert found.status == status
    assert "Traceback" not in found.text
    assert pages.get(path, Accept="application/json").document["error"]["message"]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_pages_are_only_read(pages: Pages, method: str) -> None:
    assert pages.get("/runs/1", method=method).status == 405


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("", 421),
        ("localhost", 200),
        ("localhost:80", 200),
        ("LOCALHOST", 200),
        ("[::1]:99", 200),
    ],
)
def test_a_foreign_name_of_the_host_is_refused(pages: Pages, host: str, status: int) -> None:
    assert pages.get("/", Host=host).status == status


def test_a_token_opens_the_pages(filled: str, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(TOKEN + "\n")

    with serving(filled, "--token-file", str(file)) as pages:
        assert pages.get("/").status == 401
        assert pages.get("/style.css").status == 401
        assert pages.get("/?token=0123456789abcdef0124").status == 401
        assert pages.get("/", Authorization="Bearer no").status == 401
        assert pages.get("/", Cookie="edgekit=no").status == 401
        assert pages.get("/", Authorization=f"Bearer {TOKEN}").status == 200
        led = pages.get(f"//runs?model=kws&token={TOKEN}")
        assert (led.status, led.headers["location"]) == (303, "/runs?model=kws")
        cookie = led.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert TOKEN not in cookie
        assert pages.get("/runs", Cookie=cookie.partition(";")[0]).status == 200


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_server_quietly(filled: str, ending: signal.Signals) -> None:
    with serving(filled) as pages:
        pages.get("/")
        pages.process.send_signal(ending)
        _, err = pages.process.communicate(timeout=30)

    assert pages.process.returncode in (130, 143)
    assert "Traceback" not in err


def test_an_empty_store_has_pages_too(tmp_path: Path) -> None:
    place = str(tmp_path / "empty.sqlite")
    open_store(place).close()

    with serving(place) as pages:
        for path in ("/", "/trends", "/runs", "/devices"):
            assert pages.get(path).status == 200


@pytest.mark.parametrize("package", ["fastapi", "uvicorn", "jinja2"])
def test_without_a_package_the_command_that_installs_it_is_named(
    filled: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)

    with (
        pytest.raises(MissingExtra, match=f"'{package}'") as caught,
        serve_site(filled, host="127.0.0.1", port=0, token_file=None),
    ):
        pytest.fail("there are pages without it")

    assert caught.value.hint is not None
    assert caught.value.hint.startswith("pip install ")
    assert package in caught.value.hint
