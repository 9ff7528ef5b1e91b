"""The page of ``lrgen report``: what it says is what the store holds, to everybody, and without a network."""

import contextlib
import dataclasses
import html
import itertools
import json
import re
import shutil
import sqlite3
import subprocess
from functools import partial
from html.parser import HTMLParser
from pathlib import Path

import pytest

from lrgen.catalogue import Catalogue
from lrgen.errors import NoResultError, OutputError
from lrgen.records import Stage, Status, Training
from lrgen.report import contents, drawing, page
from lrgen.store import Series, Store
from lrgen.store import report_queries as overview
from lrgen.store.database import chunks
from tests.store.test_store import CLASSES, CONDITIONS, epoch, outcome

HOSTILE = "<script>alert('x')</script>&\"quoted\""
VOID = {"meta", "link", "wbr"}
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class Element:
    """A piece of a page, by its tag, its attributes and what is in it."""

    def __init__(self, tag: str, attributes: dict[str, str | None]) -> None:
        self.tag = tag
        self.attributes = attributes
        self.children: list[Element | str] = []

    def all(self, *tags: str, **attributes: str) -> list["Element"]:
        """The elements within it that have such a tag and such attributes, in their order."""
        found = []
        for child in self.children:
            if isinstance(child, Element):
                if (not tags or child.tag in tags) and attributes.items() <= child.attributes.items():
                    found.append(child)
                found += child.all(*tags, **attributes)
        return found

    @property
    def text(self) -> str:
        parts = (child if isinstance(child, str) else child.text for child in self.children)
        return re.sub(r"\s+", " ", "".join(parts)).strip()


class Tree(HTMLParser):
    """Reads a page and insists that every element is closed where it should be."""

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
    """The tables with such words in their captions: a dictionary of headings and cells for each row."""
    found = []
    for table in root.all("table"):
        if caption in table.all("caption")[0].text:
            head, body = table.all("thead")[0], table.all("tbody")[0]
            headings = [cell.text for cell in head.all("th")]
            rows = [[cell.text for cell in row.all("th", "td")] for row in body.all("tr")]
            found.append([dict(zip(headings, row, strict=True)) for row in rows])
    return found


def url(path: Path) -> str:
    return f"sqlite:///{path}"


def fill(path: Path, catalogue: Catalogue) -> None:
    """Two datasets, two networks, equal accuracies, one of each status, and numbers that a caller brought."""
    store = Store(url(path))

    def save(number, *epochs, conditions=CONDITIONS, training=Training.FULL, **values):
        variant = catalogue.variant(number) if number else None
        ended = outcome(variant, *epochs, source=f"{number}", **values)
        store.save(dataclasses.replace(ended, training=training, isolation="namespaces"), conditions, CLASSES)

    save(1, epoch(1, 2))  # an older run, of which the page says nothing
    save(1, epoch(1, 3), epoch(2, 8, loss=0.4567891), epoch(3, 7))
    save(6, epoch(1, 5), epoch(2, 9))
    save(31, epoch(1, 9))
    save(174, epoch(1, 6), model="ConvNeXt", training=Training.OVERFIT)
    save(2, epoch(1, 1), status=Status.FAILED, reason="accuracy 0.1, at least 0.5 is expected")
    save(3, status=Status.TIMED_OUT, stage=Stage.SCHEDULE, reason="took longer than 900 s")
    save(6, epoch(1, 4), conditions=dataclasses.replace(CONDITIONS, dataset="cifar-10", seed=7))
    save(None, epoch(1, 7), status=Status.UNCLAIMED, model="my_script")
    store.record_epoch(Series("ResNet", "A0_900", "digits"), 1, 0.123456, None)
    store.close()


@pytest.fixture(scope="module")
def path(catalogue: Catalogue, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with a little of everything; not to be changed."""
    found = tmp_path_factory.mktemp("report") / "results.db"
    fill(found, catalogue)
    return found


def page_of(path: Path, catalogue: Catalogue, **chosen: list[str]) -> str:
    store = Store(url(path))
    with contextlib.closing(store):
        return page.render(contents.gather(store, catalogue, **chosen), catalogue)


@pytest.fixture(scope="module")
def text(path: Path, catalogue: Catalogue) -> str:
    return page_of(path, catalogue)


@pytest.fixture(scope="module")
def root(text: str) -> Element:
    return Tree(text).root


def board(root: Element, title: str) -> Element:
    """The section with a heading."""
    return next(one for one in root.all("section") if [h.text for h in one.all("h3")] == [title])


# What it says.


def test_a_leaderboard_says_what_the_store_does(root, path, catalogue):
    """Its rows are those of ``lrgen results best``, in their order, to three places."""
    (rows,) = tables(board(root, "ResNet on digits"), "best first")
    wanted = Store(url(path)).best("ResNet", "digits")
    assert [row["Run"] for row in rows] == ["3", "4", "2", "10", "6"]
    for row, best in zip(rows, wanted, strict=True):
        assert row["Schedule"].endswith(best["scheduler_type"])
        assert row["Schedule"].startswith(best["variant_name"] or "")
        assert float(row["Accuracy"]) == pytest.approx(best["accuracy"], abs=5e-4)
        assert row["Status"] == best["status"]
    second = rows[2]
    family = catalogue.family(catalogue.variant(1).family).title
    assert (second["Loss"], second["Best epoch"], second["Family"]) == ("0.457", "2 of 3", family)
    assert rows[3]["Loss"] == "–not measured"


def test_files_of_equal_accuracy_share_a_rank(root):
    """Where two are first there is no second."""
    (rows,) = tables(board(root, "ResNet on digits"), "best first")
    assert [row["#"] for row in rows] == ["1", "1", "3", "4", "5"]


def test_what_cannot_be_compared_stands_apart(root):
    """A leaderboard is of one dataset, one network and one kind of training; files from elsewhere have their own."""
    titles = ["ResNet on cifar-10", "ResNet on digits", "Files from elsewhere on digits"]
    titles.append("ConvNeXt on digits, overfit")
    assert [one.text for one in root.all("h3")] == titles
    (overview,) = tables(root, "best file of each leaderboard")
    assert [row["Network and dataset"] for row in overview] == titles
    assert [row["Files"] for row in overview] == ["1", "5", "1", "1"]
    assert "overfit a few images" in board(root, titles[-1]).text
    assert "overfit a few images" not in board(root, titles[1]).text


def test_every_number_is_in_the_store(root, path):
    """What a table calls a measurement was measured: accuracies, losses and recalls are the database's own."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        stored = {value for row in connection.execute("SELECT accuracy, loss FROM scheduler_results") for value in row}
        recalls = {f"{value:.3f}" for (value,) in connection.execute("SELECT recall FROM class_data")}
    told = [float(one.attributes["value"]) for one in root.all("data")]
    assert len(told) > 20
    assert set(told) <= stored
    cells = [
        cell.text
        for table in root.all("table")
        if table.attributes["class"].startswith("heat")
        for cell in table.all("td")
    ]
    assert len(cells) == 70
    assert set(cells) <= recalls


def test_the_heat_map_holds_the_recalls_of_the_best_epoch(root, path):
    """A row for each file with classes, a column for each class."""
    (rows,) = tables(board(root, "ResNet on digits"), "Recall of each class")
    found = Store(url(path)).classes("ResNet", "A0_001", 2)
    assert list(rows[2].values())[1:] == [f"{one['recall']:.3f}" for one in found]
    assert list(rows[2])[1:] == [one["class_name"] for one in found]
    assert [row["Schedule"][-6:] for row in rows] == ["A0_006", "A0_031", "A0_001", "A0_002"]


def test_failures_come_with_stage_and_reason(root):
    """The newest first; who never failed is not among them."""
    (rows,) = tables(root, "did not end well")
    assert [(row["Status"], row["Stage"], row["Reason"]) for row in rows] == [
        ("timed out", "schedule", "took longer than 900 s"),
        ("failed", "training", "accuracy 0.1, at least 0.5 is expected"),
    ]


def test_the_header_counts_files_by_how_they_ended(root):
    """Each file once, by its newest checked run; files without one are the caller's."""
    counts = {
        one.all("dt")[0].text: one.all("dd")[0].text for one in root.all("dl", **{"class": "facts"})[0].all("div")
    }
    assert counts == {"verified": "4", "unclaimed": "1", "failed": "1", "timed out": "1", "recorded": "1"}
    assert "8 files in 10 runs" in root.all("header")[0].text
    told = root.all("dl", **{"class": "conditions"})[0].text
    assert "cifar-10, digits" in told
    assert CONDITIONS.check_version in told
    assert CONDITIONS.torch in told


def test_every_number_leads_to_its_run(root, path):
    """Each row of a leaderboard and each failure links to a row that says what ran, with what, and when."""
    (rows,) = tables(root, "oldest first")
    by_run = {row["Run"]: row for row in rows}
    links = {one.attributes["href"] for one in root.all("a")}
    shown = {one.attributes["id"] for one in root.all("tr") if one.attributes.get("id", "").startswith("row-")}
    assert {one.removeprefix("row-") for one in shown} | {"7"} == set(by_run)
    assert {f"#run-{run}" for run in by_run} <= links
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        runs = {str(run["id"]): run for run in connection.execute("SELECT * FROM lrgen_runs")}
    for number, row in by_run.items():
        run = runs[number]
        names = {"Seed": "seed", "Device": "device", "Isolation": "isolation", "torch": "torch", "lrgen": "lrgen"}
        names |= {"Check version": "check_version", "SHA-256 of the source": "source_sha256", "Dataset": "dataset"}
        assert {name: row[name] for name in names} == {name: str(run[names[name]] or "–") for name in names} | {
            "Seed": str(run["seed"])
        }
        assert row["Recorded (UTC)"] == run["timestamp"][:19]
    assert "lr 0.1" in by_run["4"]["Hyperparameters"]


def test_every_link_has_its_place(root):
    """No link leads nowhere, and no place has two."""
    ids = [one.attributes["id"] for one in root.all() if "id" in one.attributes]
    assert len(ids) == len(set(ids))
    targets = {one.attributes["href"] for one in root.all("a", "use")}
    assert all(target.startswith("#") and target[1:] in ids for target in targets)


def test_a_page_can_be_of_some_models_and_datasets(path, catalogue):
    """What was not asked for is on it nowhere."""
    root = Tree(page_of(path, catalogue, models=["ResNet"], datasets=["cifar-10"])).root
    assert [one.text for one in root.all("h3")] == ["ResNet on cifar-10"]
    assert "1 file in 1 run" in root.text
    assert "No file failed" in root.text


def test_runs_that_trained_nothing_are_no_leaderboard(tmp_path, catalogue):
    """A store of failures makes a page that says so."""
    store = Store(url(tmp_path / "results.db"))
    store.save(outcome(catalogue.variant(1), status=Status.CRASHED, reason="signal 11"), CONDITIONS, CLASSES)
    root = Tree(page_of(tmp_path / "results.db", catalogue)).root
    assert root.all("h3") == []
    assert "No file was trained" in root.text
    assert "signal 11" in root.text


def test_accuracies_that_nobody_measured_are_dashes(tmp_path, catalogue):
    """A recorded epoch with a loss alone is on its leaderboard, without a rank above any other and without a chart."""
    store = Store(url(tmp_path / "results.db"))
    store.record_epoch(Series("ResNet", "mine", "digits"), 1, None, 0.5)
    root = Tree(page_of(tmp_path / "results.db", catalogue)).root
    (rows,) = tables(root, "One file")
    assert (rows[0]["Accuracy"], rows[0]["Loss"]) == ("–not measured", "0.500")
    assert root.all("figure") == []


# How much of it.


def test_a_large_store_makes_a_bounded_page(tmp_path, catalogue, monkeypatch):
    """The best of each leaderboard are shown; how many are not, and what lists them, is said."""
    store = Store(url(tmp_path / "results.db"))
    some = [outcome(catalogue.variant(n), epoch(1, n % 10), source=f"{n}", model="My Net") for n in range(1, 31)]
    store.save_all(some, CONDITIONS, CLASSES)
    monkeypatch.setattr(contents, "LONGEST_BOARD", 25)
    monkeypatch.setattr(contents, "MOST_CELLS", 70)
    root = Tree(page_of(tmp_path / "results.db", catalogue)).root
    (top,) = tables(root, "The best 25 of 30 files")
    (rest,) = tables(root, "continued")
    assert (len(top), len(rest)) == (20, 5)
    assert [row["#"] for row in top][:4] == ["1", "1", "1", "4"]
    assert "5 more files" in root.text
    assert "lrgen results best --model 'My Net' --dataset digits --limit 30" in root.text
    (heat,) = tables(root, "Recall of each class")
    assert len(heat) == 7
    assert len(tables(root, "oldest first")[0]) == 25


def test_many_leaderboards_share_the_rows(path, catalogue, monkeypatch):
    """Each leaderboard has its share of the page's rows; those beyond the most are counted."""
    monkeypatch.setattr(contents, "MOST_BOARDS", 2)
    monkeypatch.setattr(contents, "MOST_ROWS", 4)
    root = Tree(page_of(path, catalogue)).root
    assert [one.text for one in root.all("h3")] == ["ResNet on cifar-10", "ResNet on digits"]
    assert len(tables(board(root, "ResNet on digits"), "The best 2 of 5 files")[0]) == 2
    assert "2 more leaderboards" in root.text


def test_many_failures_are_cut_and_counted(path, catalogue, monkeypatch):
    """The newest are shown."""
    monkeypatch.setattr(contents, "LONGEST_FAILURES", 1)
    root = Tree(page_of(path, catalogue)).root
    (rows,) = tables(root, "2 files whose newest verification did not end well, the newest 1 of them")
    assert [row["Status"] for row in rows] == ["timed out"]
    assert "lrgen results failures" in root.text


# The store's own part.


def test_the_best_epochs_are_those_of_the_store(path):
    """The page ranks the epochs that ``Store.best`` finds, and no others."""
    store = Store(url(path))
    runs = {run["id"]: run for run in overview.runs(store)}
    names = ("model_name", "scheduler_type", "dataset", "epoch", "accuracy", "loss")
    mine = {tuple((runs[row["run_id"]] | row)[name] for name in names) for row in overview.best_epochs(store)}
    assert mine == {tuple(row[name] for name in names) for row in store.best()}


def test_more_runs_are_asked_for_than_a_statement_takes(path, monkeypatch):
    """They are asked for in parts, and come back in order."""
    store = Store(url(path))
    whole = overview.epochs(store, range(1, 11))
    monkeypatch.setattr(overview, "chunks", partial(chunks, size=2))
    assert overview.epochs(store, range(1, 11)) == whole
    assert len(overview.recalls(store, [(3, 2), (2, 2), (4, 1)])) == 30


# What it is made of.


def test_the_same_store_makes_the_same_bytes(path, catalogue, text, tmp_path):
    """The page holds nothing but the store: no time of its making, no place."""
    copy = tmp_path / "elsewhere.db"
    with contextlib.closing(sqlite3.connect(path)) as source, contextlib.closing(sqlite3.connect(copy)) as target:
        source.backup(target)
    assert page_of(copy, catalogue) == text
    assert str(path.parent) not in text


def test_it_asks_for_nothing_from_elsewhere(root, text):
    """No script, no resource, no address but of its own places; and a browser is told to allow none."""
    assert root.all("script", "img", "iframe", "object", "embed", "base", "form") == []
    loading = {"src", "srcset", "poster", "data", "action", "style"}
    asked = [(one.tag, one.attributes) for one in root.all() if loading & one.attributes.keys()]
    assert all(re.fullmatch(r"(top|left):[\d.]+%", attributes["style"]) for _, attributes in asked)
    assert [one.attributes["href"] for one in root.all("link")] == ["data:,"]
    style = root.all("style")[0].text
    assert not re.search(r"url\(|@import|expression", style)
    assert "http" not in re.sub(r"http-equiv", "", text)
    (policy,) = root.all("meta", **{"http-equiv": "Content-Security-Policy"})
    assert policy.attributes["content"].startswith("default-src 'none';")


def test_hostile_names_are_text(tmp_path, catalogue):
    """Whatever a name, a class, a dataset or a reason holds, it is shown and never obeyed."""
    store = Store(url(tmp_path / "results.db"))
    conditions = dataclasses.replace(CONDITIONS, dataset=HOSTILE, device=HOSTILE)
    classes = tuple(f"{HOSTILE}{number}" for number in range(10))
    variant = dataclasses.replace(catalogue.variant(1), number=900, name=HOSTILE, family=HOSTILE)
    ended = outcome(variant, epoch(1, 8), model=HOSTILE, status=Status.FAILED, reason=HOSTILE)
    store.save(dataclasses.replace(ended, isolation=HOSTILE), conditions, classes)
    store.record_epoch(
        Series(HOSTILE, f"{HOSTILE}2", HOSTILE, device=HOSTILE), 1, 0.5, 0.5, hyperparameters={HOSTILE: HOSTILE}
    )
    text = page_of(tmp_path / "results.db", catalogue)
    root = Tree(text).root
    assert "<script" not in text
    assert root.all("script") == []
    assert f"{HOSTILE} on {HOSTILE}" in [one.text for one in root.all("h3")]
    assert tables(root, "did not end well")[0][0]["Reason"] == HOSTILE
    assert f"{HOSTILE}9" in tables(root, "Recall of each class")[0][0]
    assert html.unescape(text).count(HOSTILE) > 20


# Who can read it.


def test_its_structure_can_be_heard(root):
    """One title, headings without a gap, a caption for each table, a scope for each heading, a name for each region and
    picture; what scrolls can be reached with the keyboard.
    """
    assert root.all("html")[0].attributes["lang"] == "en"
    levels = [int(one.tag[1]) for one in root.all("h1", "h2", "h3", "h4")]
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    assert len(root.all("main")) == 1
    assert root.all("body")[0].all("a")[0].attributes["href"] == "#main"
    for table in root.all("table"):
        assert table.all("caption")[0].text
        assert all(cell.attributes.get("scope") in ("col", "row") for cell in table.all("th"))
        assert all(row.all("th") for row in table.all("tr"))
    scrolling = root.all("div", **{"class": "wide"})
    assert sum(len(one.all("table")) for one in scrolling) == len(root.all("table"))
    for one in scrolling:
        assert one.attributes["tabindex"] == "0"
        assert one.attributes["aria-label"]
    ids = {one.attributes.get("id"): one.text for one in root.all()}
    for picture in root.all("svg"):
        names = (picture.attributes.get("aria-labelledby") or "").split()
        assert picture.attributes.get("aria-hidden") == "true" or (names and all(ids[name] for name in names))


def luminance(colour: str) -> float:
    """Relative, as WCAG has it."""
    shares = [int(colour[begin : begin + 2], 16) / 255 for begin in (1, 3, 5)]
    linear = [share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_contrast_is_computed_rightly():
    """Black on white is 21, a colour on itself 1, and #767676 is the lightest grey that may be text on white."""
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#123456", "#123456") == 1
    assert contrast("#767676", "#ffffff") >= 4.5 > contrast("#777777", "#ffffff")


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_text_and_lines_stand_out(theme):
    """WCAG AA: 4.5 for text, on each ground that it stands on, and 3 for lines and the focus."""
    style = (Path(page.__file__).parent / "page.css").read_text()
    blocks = re.findall(r":root \{(.*?)\}", style, re.DOTALL)
    assert len(blocks) == 2
    colour = dict(re.findall(r"--([\w-]+): (#\w{6});", blocks[theme]))
    assert colour.keys() == dict(re.findall(r"--([\w-]+): (#\w{6});", blocks[0])).keys()
    shades = range(len(page.SHADES) + 1)
    text = [(name, ground) for name in ("ink", "quiet", "link", "marked") for ground in ("paper", "target")]
    text += [(f"on-shade-{number}", f"shade-{number}") for number in shades]
    lines = [(f"line-{number}", "paper") for number in range(1, drawing.NAMED + 1)]
    lines += [("others", "paper"), ("focus", "paper"), ("focus", "target")]
    weak = {pair for pair in text if contrast(*(colour[name] for name in pair)) < 4.5}
    weak |= {pair for pair in lines if contrast(*(colour[name] for name in pair)) < 3}
    assert weak == set()
    assert not re.findall(r"#[0-9a-fA-F]{3,8}\b", style.split("* {", 1)[1])


# The lines.


def test_a_line_goes_through_its_accuracies(path, catalogue):
    """The best stand at the top, the first epoch on the left, and the dot at the best epoch."""
    store = Store(url(path))
    (full,) = contents.gather(store, catalogue, ["ResNet"], ["digits"]).boards
    chart = drawing.accuracies(full.entries)
    assert [line.entry.run["scheduler_type"][-3:] for line in chart.named] == ["006", "031", "001", "900", "002"]
    line = chart.named[2]
    marks = {tick.text: 10 * tick.at for tick in chart.up}
    places = [tuple(map(int, point.split())) for point in line.path[1:].split("L")]
    assert [x for x, _ in places] == [0, 500, 1000]
    assert marks["0.8"] == pytest.approx(places[1][1], abs=1)
    assert line.dot == f"M{places[1][0]} {places[1][1]}h0"
    assert [tick.text for tick in chart.across] == ["1", "2", "3"]
    assert chart.others == ""


@pytest.mark.parametrize(
    ("last", "marks"),
    [
        (1, "1"),
        (2, "1 2"),
        (5, "1 2 3 4 5"),
        (15, "1 4 6 8 10 12 14"),
        (90, "1 20 40 60 80"),
        (100, "1 20 40 60 80 100"),
    ],
)
def test_epochs_are_marked_at_round_numbers(last, marks):
    """The first is always marked, and none that would touch it."""
    axes = drawing._Axes([(number, 0.5) for number in range(1, last + 1)])
    assert " ".join(tick.text for tick in axes.across()) == marks


@pytest.mark.parametrize("values", [(0.5, 0.5), (0.0, 1.0), (0.981, 0.9812), (0.33, 0.34), (0.0, 0.0), (1.0, 1.0)])
def test_accuracies_lie_within_their_axis(values):
    """The marks enclose what was measured, are told apart, and are few."""
    axes = drawing._Axes(list(enumerate(values, start=1)))
    marks = [tick.text for tick in axes.up()]
    assert 2 <= len(marks) == len(set(marks)) <= 13
    assert float(marks[0]) <= min(values) <= max(values) <= float(marks[-1])
    assert all(0 <= axes.place((1, value))[1] <= drawing.SIZE for value in values)


@pytest.mark.parametrize("ends", [[50.0] * 5, [0.0, 1.0, 2.0], [99.0, 100.0, 98.0], [10.0, 90.0], []])
def test_names_never_cover_each_other(ends):
    """They stay within the chart, in the order of the lines' ends."""
    places = drawing._apart(ends)
    assert all(0 <= place <= 100 for place in places)
    ordered = [place for _, place in sorted(zip(ends, places, strict=True))]
    assert all(after - before > 8.4 for before, after in itertools.pairwise(ordered))


def test_a_curve_is_drawn_with_few_points_and_rightly(catalogue):
    """Of every schedule, no step is further from the drawing than a tenth of a pixel; most have far fewer points."""
    counts = []
    for variant in catalogue.variants:
        shape = drawing.shape(variant)
        points = [tuple(map(float, one.split())) for one in shape.paths[0][1:].split("L")]
        wide, high = drawing.CURVE
        assert points[0][0] == 0
        assert points[-1][0] == wide
        assert all(0 <= y <= high for _, y in points)
        counts.append(len(points))
    assert sorted(counts)[len(counts) // 2] < 40
    bent = [(x / 10, (x / 10 - 5) ** 2) for x in range(101)]
    kept = drawing._simplified(bent)
    assert 10 < len(kept) < 60
    for (x0, y0), (x1, y1) in itertools.pairwise(kept):
        between = [(x, y) for x, y in bent if x0 < x < x1]
        assert all(abs(y0 + (y1 - y0) * (x - x0) / (x1 - x0) - y) < 1.1 for x, y in between)


def test_of_very_many_epochs_the_best_and_the_last_are_drawn():
    """A thousand epochs make a hundred points or so."""
    rows = tuple({"epoch": number, "accuracy": 0.9 if number == 777 else 0.5} for number in range(1, 1001))
    points = drawing._measured(contents.Entry(1, {}, {"epoch": 777}, rows))
    assert {(1, 0.5), (777, 0.9), (1000, 0.5)} <= set(points)
    assert len(points) < 110


# The command.


def test_the_command_writes_the_page(lrgen, path, text):
    """Into report/ if nothing else is said; a second time in its own place."""
    code, out, _ = lrgen("report", "--db", url(path))
    assert (code, out) == (0, "report/index.html: 8 files, 10 runs, 4 leaderboards, 2 failures\n")
    assert Path("report/index.html").read_text() == text
    code, out, _ = lrgen("report", "--db", url(path), "--model", "ConvNeXt", "--json")
    assert code == 0
    assert json.loads(out) == {
        "path": "report/index.html",
        "bytes": Path("report/index.html").stat().st_size,
        "files": 1,
        "runs": 1,
        "leaderboards": 1,
        "failures": 0,
    }
    assert [one.name for one in Path("report").iterdir()] == ["index.html"]


def test_a_page_of_somebody_else_is_left_as_it_is(lrgen, path):
    """The command says so and ends with 2."""
    Path("site").mkdir()
    Path("site/index.html").write_text("<h1>mine</h1>")
    code, out, err = lrgen("report", "--db", url(path), "--out", "site")
    assert (code, out) == (2, "")
    assert "site/index.html: was not written by lrgen report" in err
    assert Path("site/index.html").read_text() == "<h1>mine</h1>"


def test_a_place_that_cannot_be_written_is_an_error(tmp_path):
    """A folder with the page's name, and a file where the folder should be."""
    (tmp_path / "index.html").mkdir()
    with pytest.raises(OutputError, match="index.html: cannot be read"):
        page.write("", tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        page.write("", tmp_path / "file")


def test_nothing_measured_makes_no_page(lrgen, path, catalogue):
    """No database, an empty one, and a selection that nothing fits are errors, each with its place."""
    code, _, err = lrgen("report", "--db", "sqlite:///none.db")
    assert code == 2
    assert "there is no database at none.db: run lrgen verify first" in err
    assert not Path("none.db").exists()
    Store("sqlite:///empty.db").prepare()
    code, _, err = lrgen("report", "--db", "sqlite:///empty.db")
    assert code == 2
    assert "there are no results in empty.db: run lrgen verify first" in err
    with pytest.raises(NoResultError, match="no results of model VGG, dataset digits in .*results.db"):
        contents.gather(Store(url(path)), catalogue, ["VGG"], ["digits"])
    assert not Path("report").exists()


# In a browser.

LOOK = """<!doctype html><body><script>
const looked = [];
for (const width of [360, 1280]) {
  const frame = document.createElement("iframe");
  frame.style = `width: ${width}px; height: 800px; border: 0`;
  frame.srcdoc = PAGE;
  frame.onload = () => {
    const inner = frame.contentWindow, root = frame.contentDocument.documentElement;
    looked.push({
      width: inner.innerWidth,
      needed: root.scrollWidth,
      loaded: inner.performance.getEntriesByType("resource").map((one) => one.name),
      paper: inner.getComputedStyle(frame.contentDocument.body).backgroundColor,
      wide: [...frame.contentDocument.querySelectorAll(".wide")].some((one) => one.scrollWidth > one.clientWidth),
    });
    if (looked.length == 2) document.body.textContent = JSON.stringify(looked);
  };
  document.body.append(frame);
}
</script>"""


@pytest.mark.skipif(BROWSER is None, reason="needs Chromium")
@pytest.mark.parametrize(
    ("scheme", "paper"), [(1, "rgb(255, 255, 255)"), (0, "rgb(21, 24, 27)")], ids=["light", "dark"]
)
def test_a_browser_shows_it_without_scrolling_sideways(text, tmp_path, scheme, paper):
    """On a phone and on a desk, in light and in dark: nothing is loaded, nothing complains, and what is wide scrolls in
    a region of its own.
    """
    quoted = json.dumps(text).replace("</", "<\\/")
    (tmp_path / "look.html").write_text(LOOK.replace("PAGE", quoted))
    arguments = ["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--dump-dom"]
    arguments += [f"--user-data-dir={tmp_path}/profile", f"--blink-settings=preferredColorScheme={scheme}"]
    done = subprocess.run(
        [BROWSER, *arguments, f"file://{tmp_path}/look.html"], capture_output=True, text=True, timeout=60, check=False
    )
    assert "CONSOLE" not in done.stderr
    looked = json.loads(html.unescape(re.search(r"\[\{.*\}\]", done.stdout)[0]))
    assert sorted(one["width"] for one in looked) == [360, 1280]
    for one in looked:
        assert one["needed"] <= one["width"]
        assert one["loaded"] == []
        assert one["paper"] == paper
    assert any(one["wide"] for one in looked if one["width"] == 360)
