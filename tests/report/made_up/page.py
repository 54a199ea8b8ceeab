"""An HTML page taken apart by the standard library's parser."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "link", "br", "hr", "img", "input", "wbr"}
# What a browser begins a new line or cell after.
BLOCKS = {
    "p",
    "h1",
    "h2",
    "h3",
    "h4",
    "li",
    "dt",
    "dd",
    "td",
    "th",
    "caption",
    "figcaption",
    "summary",
    "title",
    "desc",
    "text",
}


@dataclass
class Element:
    tag: str
    attributes: dict[str, str]
    text: str = ""


@dataclass
class Page(HTMLParser):
    """Every element with the text inside it; `faults` are tags that are not closed in order."""

    elements: list[Element] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    open: list[Element] = field(default_factory=list)

    def __post_init__(self) -> None:
        HTMLParser.__init__(self, convert_charrefs=True)

    @classmethod
    def of(cls, html: str) -> Page:
        page = cls()
        page.feed(html)
        page.close()
        page.faults += [f"<{element.tag}> is never closed" for element in page.open]
        return page

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.elements.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(Element(tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open[-1].tag != tag:
            self.faults.append(f"</{tag}> closes {self.open[-1].tag if self.open else 'nothing'}")
            return
        if tag in BLOCKS:
            self.handle_data(" ")
        self.open.pop()

    def handle_data(self, data: str) -> None:
        for element in self.open:
            element.text += data

    def all(self, tag: str, css: str = "") -> list[Element]:
        return [one for one in self.elements if one.tag == tag and css in f" {one.attributes.get('class', '')} "]

    def tables(self) -> list[dict[str, list[str]]]:
        """Every table: the texts of the cells under each header, in order."""
        found: list[dict[str, list[str]]] = []
        heads: list[str] = []
        place = 0
        for one in self.elements:
            text = " ".join(one.text.split())
            if one.tag == "table":
                found.append({})
                heads = []
            elif one.tag == "th" and one.attributes.get("scope") == "col":
                heads.append(text)
                found[-1][f"{len(heads)} {text}"] = []
            elif one.tag == "tr":
                place = 0
            elif one.tag in ("td", "th") and found and heads:
                name = list(found[-1])[place]
                found[-1][name].append(text)
                place += 1
        return found

    @property
    def text(self) -> str:
        """What a reader sees, in one line."""
        return " ".join(next(one for one in self.elements if one.tag == "body").text.split())
