"""The matrix of ``make matrix``, over a handful of schedules: all ways, and what a cell says of a wrong way."""

import importlib.util
import re

import pytest

from docs.anywhere import torch_ways
from docs.anywhere.__main__ import COLUMNS, DOCUMENT, LIBRARIES, Column, cell, failed, table, text
from docs.anywhere.updates import TOLERANCE, NotApplicableError
from lrgen.schedules import SCHEDULES, find
from tests.paths import REPOSITORY

HANDFUL = ("wsd_linear", "StepLR_default", "OneCycleLR_default", "layerwise_decay_cosine", "newbob")
SLOW = ("transformers.Trainer", "accelerate, 2 processes", "Lightning", "torch.compile")


@pytest.mark.parametrize(
    "column", [column for column in COLUMNS if column.title not in SLOW], ids=lambda column: column.title
)
def test_each_update_has_the_learning_rate_of_the_curve(catalogue, column):
    """In each way every update of some schedules has the learning rate of the curve, or the cell has a reason."""
    for name in HANDFUL:
        traced = cell(catalogue, column, find(name))
        assert isinstance(traced, str) or traced <= TOLERANCE, f"{name}: {traced}"


@pytest.mark.slow
def test_each_update_has_the_learning_rate_of_the_curve_in_slow_ways(catalogue):
    """The same in the ways that start processes or import a large trainer."""
    columns = [column for column in COLUMNS if column.title in SLOW]
    if importlib.util.find_spec("lightning") is None:  # it has an environment of its own
        columns = [column for column in columns if column.title != "Lightning"]
    rows = table(catalogue, [find(name) for name in HANDFUL], columns)
    assert failed(rows) == 0, text([find(name) for name in HANDFUL], rows, columns)


def test_a_scheduler_that_is_stepped_twice_is_seen(catalogue):
    """A way that steps the scheduler twice for each update differs from the curve."""

    def doubled(schedule):
        run = torch_ways.start(schedule)
        step = run.scheduler.step
        run.scheduler.step = lambda: (step(), step())
        return torch_ways._updates(run, schedule)

    traced = cell(catalogue, Column("twice", doubled), find("wsd_linear"))
    assert traced > 0.01
    assert failed([[traced]]) == 1


def test_a_way_with_another_number_of_updates_is_seen(catalogue):
    """A way with fewer updates than planned fails, also if those that it has are right."""
    traced = cell(catalogue, Column("short", lambda schedule: torch_ways.plain_loop(schedule)[:-1]), find("wsd_linear"))
    assert failed([[traced]]) == 1


def test_the_document_has_the_reason_of_an_empty_cell(catalogue):
    """A cell that is not applicable refers to its reason, and does not count as failed."""

    def impossible(schedule):
        """No way at all."""
        raise NotApplicableError("there is no such device")

    columns = (Column("plain loop", torch_ways.plain_loop), Column("impossible", impossible))
    rows = table(catalogue, [find("wsd_linear")], columns)
    document = text([find("wsd_linear")], rows, columns)
    assert failed(rows) == 0
    assert "| [wsd_linear](schedules.md#a0_132-wsd_linear) | ✓ | – (1) |" in document
    assert "1. Not applicable: there is no such device." in document


def test_the_document_is_whole():
    """docs/schedules-anywhere.md has all ways and all schedules; each cell is right or has a reason."""
    document = DOCUMENT.read_text(encoding="utf-8")
    assert all(f"{library} " in document.splitlines()[2] for library in LIBRARIES)
    for column in COLUMNS:
        assert f"| {column.title} | {' '.join(column.run.__doc__.split())} |" in document
    assert f"| schedule | {' | '.join(column.title for column in COLUMNS)} |" in document
    rows = re.findall(r"^\| \[(\w+)\]\((.+?)\) \| (.+) \|$", document, re.MULTILINE)
    assert [name for name, _, _ in rows] == [schedule.name for schedule in SCHEDULES]
    reasons = set(re.findall(r"^(\d+)\. Not applicable: .+\.$", document, re.MULTILINE))
    for name, _, cells in rows:
        assert len(cells.split(" | ")) == len(COLUMNS), name
        assert set(cells.split(" | ")) <= {"✓", *(f"– ({reason})" for reason in reasons)}, name


def test_the_links_of_the_document_exist():
    """Each row of docs/schedules-anywhere.md links to the entry of its schedule in docs/schedules.md."""
    headings = re.findall(r"^### (A0_\d{3} \w+)", (REPOSITORY / "docs" / "schedules.md").read_text(), re.MULTILINE)
    anchors = [f"schedules.md#{heading.lower().replace(' ', '-')}" for heading in headings]
    links = re.findall(r"\]\((schedules\.md#.+?)\)", DOCUMENT.read_text(encoding="utf-8"))
    assert sorted(links) == sorted(anchors)
