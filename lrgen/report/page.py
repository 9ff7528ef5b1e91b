"""The report as one HTML file."""

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import jinja2
from markupsafe import Markup

from lrgen.catalogue import Catalogue
from lrgen.errors import OutputError
from lrgen.files import write_atomically
from lrgen.report import drawing
from lrgen.report.contents import Board, Report

FILE_NAME = "index.html"
# Identifies a page of lrgen; any other file of that name is not overwritten.
MARK = '<meta name="generator" content="lrgen report">'
# The boundaries between the shades of recall in the style sheet.
SHADES = (0.5, 0.7, 0.8, 0.9, 0.95)
_WORDS = re.compile(r"(?<=_)(?!_)|(?<=[a-z])(?=[A-Z])")
_FIRST = 20  # rows of a leaderboard that are visible at first


def write(page: str, folder: Path, name: str = FILE_NAME) -> Path:
    """Write the page to a folder, over an older page, and return its path.

    Raises:
        OutputError: when a file of that name is not a report, or the page cannot be written.
    """
    path = folder / name
    try:
        foreign = path.exists() and MARK.encode() not in path.read_bytes()
    except OSError as error:
        raise OutputError(f"{path}: cannot be read: {error.strerror}") from error
    if foreign:
        raise OutputError(f"{path}: was not written by lrgen report and is not overwritten: choose another --out")
    write_atomically(path, page)
    return path


def environment() -> jinja2.Environment:
    """Return the environment of the templates of pages, which escapes all text."""
    jinja = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    jinja.filters |= {"score": _score, "breakable": _breakable, "plural": _plural}
    return jinja


def render(report: Report, catalogue: Catalogue, advance: Callable[[], None] = lambda: None) -> str:
    """Return the page, which depends on the report alone; ``advance`` is called once for each leaderboard."""
    jinja = environment()
    jinja.filters["shade"] = _shade
    jinja.filters["quoted"] = shlex.quote

    def chart(board: Board) -> drawing.Chart | None:
        advance()
        return drawing.accuracies(board.entries)

    shapes = {variant.number: drawing.shape(variant) for variant in report.variants}
    return jinja.get_template("page.html.jinja").render(
        report=report,
        mark=Markup(MARK),
        style=Markup((Path(__file__).parent / "page.css").read_text(encoding="utf-8")),
        chart=chart,
        shapes={number: shape for number, shape in shapes.items() if shape},
        families={family.name: family.title for family in catalogue.families},
        curve=drawing.CURVE,
        first=_FIRST,
    )


def _score(value: float | None) -> Markup:
    """Return a number with three decimals for people and all of them for machines, or a dash for None."""
    if value is None:
        return Markup('<span aria-hidden="true">–</span><span class="unseen">not measured</span>')
    return Markup('<data value="{}">{:.3f}</data>').format(value, value)


def _breakable(text: str) -> Markup:
    """Return a name with possible line breaks after underscores and between words."""
    return Markup("<wbr>").join(_WORDS.split(text))


def _shade(recall: float) -> int:
    return sum(recall >= edge for edge in SHADES)


def _plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'s' * (count != 1)}"
