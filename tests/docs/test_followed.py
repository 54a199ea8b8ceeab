"""How a page is read: what is typed, what is shown, and what the test must know."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.docs.followed import Reader, Step, form, has_form, steps

PAGE = """
```console
$ echo one \\
    two
one two
$ cat missing  # exit code 1
```
<!-- file: devices.toml -->
```toml
[lab]
```
<!-- not followed: real hardware -->
```console
$ reboot
```
<!-- stand-in: lab is off -->
```console
$ true
$ true
```
<!-- until Ctrl-C -->
```console
$ true
$ sleep 60
```
"""


def test_the_steps_of_a_page_are_its_commands_and_files_in_order() -> None:
    assert steps(PAGE) == [
        Step("echo one     two", ("one two",)),
        Step("cat missing", (), 1),
        Step("[lab]\n", file="devices.toml"),
        Step("true", mark="stand-in: lab is off"),
        Step("true"),
        Step("true"),
        Step("sleep 60", mark="until Ctrl-C"),
    ]


@pytest.mark.parametrize("block", ["```sh\nls\n```", "<!-- not followed: it is hard -->\n```console\n$ ls\n```"])
def test_what_would_not_be_followed_without_a_reason_is_refused(block: str) -> None:
    with pytest.raises(AssertionError):
        steps(block)


def test_figures_are_not_part_of_the_form_and_words_are() -> None:
    assert form("onnx-fp32   155 kB  11.5 µs [11, 12]") == form("onnx-fp32  1.55 MB  9 ms [8, 10]")
    assert form("3 of 3 pass") != form("3 of 3 fail")
    assert has_form(["a 1", "…", "z"], "a 2\nb\nc\nz\n", "")
    assert not has_form(["a 1", "z"], "a 2\nb\nz\n", "")
    assert not has_form(["a 1"], "a 2\nb\n", "")


def test_a_reader_stops_at_a_wrong_code_or_a_line_that_the_page_lacks(tmp_path: Path) -> None:
    reader = Reader(tmp_path, {})
    reader.follow(steps(PAGE))
    reader.follow([Step("mkdir sub && cd sub"), Step("pwd", (f"{tmp_path}/sub",))])

    assert (tmp_path / "devices.toml").read_text() == "[lab]\n"
    with pytest.raises(AssertionError, match="exit code 1"):
        reader.follow([Step("false")])
    with pytest.raises(AssertionError, match="The page shows"):
        reader.follow([Step("echo two", ("one",))])
