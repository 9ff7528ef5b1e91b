"""A parser of pages for tests, and the browser that shows them."""

import html
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

VOID = {"meta", "link", "wbr", "input"}
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class Element:
    """An element of a page: its tag, its attributes and its children."""

    def __init__(self, tag: str, attributes: dict[str, str | None]) -> None:
        self.tag = tag
        self.attributes = attributes
        self.children: list[Element | str] = []

    def all(self, *tags: str, **attributes: str) -> list["Element"]:
        """Return the descendants with one of the tags and all of the attributes, in document order."""
        matches = []
        for child in self.children:
            if isinstance(child, Element):
                if (not tags or child.tag in tags) and attributes.items() <= child.attributes.items():
                    matches.append(child)
                matches += child.all(*tags, **attributes)
        return matches

    @property
    def text(self) -> str:
        parts = (child if isinstance(child, str) else child.text for child in self.children)
        return re.sub(r"\s+", " ", "".join(parts)).strip()


class Tree(HTMLParser):
    """A parser of pages that checks the nesting of all elements."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.root = Element("", {})
        self._open = [self.root]
        self.feed(text)
        assert self._open == [self.root]

    def handle_starttag(self, tag, attrs):
        element = Element(tag, dict(attrs))
        self._open[-1].children.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_startendtag(self, tag, attrs):
        self._open[-1].children.append(Element(tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self._open.pop().tag == tag

    def handle_data(self, data):
        self._open[-1].children.append(data)


def tables(root: Element, caption: str) -> list[list[dict[str, str]]]:
    """Return the tables whose caption contains a text, each row as a dictionary from heading to cell."""
    matches = []
    for table in root.all("table"):
        if caption in table.all("caption")[0].text:
            head, body = table.all("thead")[0], table.all("tbody")[0]
            headings = [cell.text for cell in head.all("th")]
            rows = [[cell.text for cell in row.all("th", "td")] for row in body.all("tr")]
            matches.append([dict(zip(headings, row, strict=True)) for row in rows])
    return matches


def look(document: str, page: str, folder: Path, scheme: int = 1) -> Any:
    """Return the JSON list that a document prints in the browser, in which PAGE stands for the text of a page."""
    quoted = json.dumps(page).replace("</", "<\\/")
    (folder / "look.html").write_text(document.replace("PAGE", quoted))
    arguments = ["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--dump-dom"]
    arguments += ["--virtual-time-budget=2000"]  # events that come after the load are waited for
    arguments += [f"--user-data-dir={folder}/profile", f"--blink-settings=preferredColorScheme={scheme}"]
    done = subprocess.run(
        [str(BROWSER), *arguments, f"file://{folder}/look.html"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "CONSOLE" not in done.stderr
    return json.loads(html.unescape(re.search(r"\[\{.*\}\]", done.stdout)[0]))
