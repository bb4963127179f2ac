"""A page as a browser would see it, without a browser."""

from dataclasses import dataclass, field
from html.parser import HTMLParser


@dataclass
class Page(HTMLParser):
    """What a browser would see: elements, visible text, and table rows as texts."""

    elements: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    text: str = ""
    rows: list[list[str]] = field(default_factory=list)
    _inside: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attributes}))
        self._inside.append(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        while self._inside and self._inside.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if self._inside and self._inside[-1] in ("script", "style"):
            return
        self.text += data
        if {"td", "th"} & set(self._inside):
            self.rows[-1][-1] += data

    def row(self, label: str) -> list[str]:
        return next(row for row in self.rows if row and row[0].strip() == label)

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]


def parse(html: str) -> Page:
    page = Page()
    page.feed(html)
    page.close()
    page.text = " ".join(page.text.split())
    return page
