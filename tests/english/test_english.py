"""What people read is plain English: no banned idiom, one term for each thing, one story from page to page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from tests.english.walk import GAP, GENERATED, Text, documentation, hits, literals, rules, settings

from edgekit.cli.program import Commands, program

# Where the story begins and what it ends with; the generated help and the decisions are looked up, not read in order.
FIRST, LAST = "install.md", "glossary.md"
LOOKED_UP = {"cli.md", "decisions.md", "architecture.md"}


def test_no_page_uses_a_banned_idiom_or_a_replaced_term() -> None:
    assert list(map(str, hits(documentation()))) == []


def test_no_message_or_docstring_uses_one() -> None:
    assert list(map(str, hits(literals()))) == []


def test_every_help_text_is_walked() -> None:
    walked = [" ".join(text.content.split()) for text in literals()]

    assert [
        text for text in helps(program, click.Context(program, info_name="edgekit")) if not known(text, walked)
    ] == []


def helps(group: Commands, parent: click.Context) -> Iterator[str]:
    """The help of every command and option, white space as one blank."""
    for name in group.list_commands(parent):
        command = group.get_command(parent, name)
        assert command is not None
        texts = [command.help, *(one.help for one in command.params if isinstance(one, click.Option))]
        yield from (" ".join(text.split()) for text in texts if text and " " in text)
        if isinstance(command, Commands):
            yield from helps(command, click.Context(command, parent, info_name=name))


def known(text: str, walked: list[str]) -> bool:
    """Whether `text` is one of the walked literals, or contains one where it is put together."""
    return any(text == one or (len(one) > 12 and one in text) for one in walked) or any(
        re.fullmatch(re.escape(one).replace(GAP, ".*"), text) for one in walked if GAP in one
    )


@pytest.mark.parametrize(
    ("sentence", "found"),
    [
        ("A time on it is no latency.", ["is no"]),
        ("There is no such file.", []),
        ("The log tells which\ncore stands out.", ["tells"]),
        ("ONNX Runtime runs it; the runtime decides.", ["runtime"]),
        ("Samples a call, as 1,8.", ["Samples a call", "as 1,"]),
    ],
)
def test_an_idiom_is_found_unless_it_is_an_exception(sentence: str, found: list[str]) -> None:
    assert [hit.found for hit in hits(iter([Text("page.md", 1, sentence)]))] == found


def test_a_hit_has_the_line_it_is_in() -> None:
    found = hits(iter([Text("page.md", 7, "Plain.\nThe engine\nstands still.")]))

    assert {hit.found: hit.line for hit in found} == {"engine": 8, "stands": 9}


def test_code_and_output_of_a_page_are_not_prose(tmp_path: Path) -> None:
    from tests.english.walk import prose

    page = "One `engine`.\n\n```text\nthe engine chose cpu\n```\nTwo [pages](engine.md).\n"

    assert prose(page).count("\n") == page.count("\n")
    assert "engine" not in prose(page)


def test_every_exception_has_a_reason() -> None:
    tables = [one for name in ("idiom", "term") for one in settings()[name]]  # type: ignore[attr-defined]  # TOML tables

    assert [one["pattern"] for one in tables if ("unless" in one) != ("reason" in one)] == []


def test_every_replaced_term_has_one_in_the_glossary(repository: Path) -> None:
    glossary = (repository / "docs" / "glossary.md").read_text(encoding="utf-8")
    terms = {term for row in re.findall(r"^\| \*\*(.+?)\*\*", glossary, re.MULTILINE) for term in row.split(", ")}

    assert len(terms) > 30
    assert [rule.pattern for rule in rules("term") if not any(term in rule.instead for term in terms)] == []


def test_the_pages_are_one_story(repository: Path) -> None:
    docs = repository / "docs"
    path, page = [], FIRST
    while page not in path:
        path.append(page)
        page = following(docs / page) or page

    assert path[-1] == LAST
    assert {one.name for one in docs.glob("*.md")} - LOOKED_UP == set(path)


def following(page: Path) -> str:
    """The page that the last line of `page` leads to."""
    last = page.read_text(encoding="utf-8").rstrip().splitlines()[-1]
    found = re.fullmatch(r"Next: \[.+\]\((\S+\.md)\)", last)
    return found[1] if found else ""


def test_the_readme_lists_every_page_in_its_order(repository: Path) -> None:
    readme = (repository / "README.md").read_text(encoding="utf-8").partition("## Documentation")[2]
    listed = re.findall(r"^\| \[docs/(\S+\.md)\]", readme, re.MULTILINE)

    assert sorted(listed) == sorted(one.name for one in (repository / "docs").glob("*.md"))
    assert listed[0] == FIRST
    assert {f"docs/{name}" for name in listed} >= set(GENERATED)


def test_every_link_of_a_page_leads_somewhere(repository: Path) -> None:
    pages = [*(repository / "docs").glob("*.md"), repository / "CONTRIBUTING.md", repository / "SECURITY.md"]

    assert [
        f"{page.name}: {link}"
        for page in pages
        for link in re.findall(r"\]\((?!https?:|#)([^)#\s]+)", page.read_text(encoding="utf-8"))
        if not (page.parent / link).exists()
    ] == []
