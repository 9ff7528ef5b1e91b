"""The page of ``lrgen report`` shows the content of the store, is accessible, and needs no network."""

import contextlib
import dataclasses
import html
import itertools
import json
import re
import sqlite3
from functools import partial
from pathlib import Path

import pytest

from lrgen.catalogue import Catalogue
from lrgen.errors import NoResultError, OutputError
from lrgen.records import Stage, Status, Training
from lrgen.report import contents, drawing, page
from lrgen.store import Series, Store, report_queries
from lrgen.store.database import chunks
from tests.report.markup import BROWSER, Element, Tree, look, tables
from tests.store.outcomes import CLASSES, CONDITIONS, epoch, outcome

HOSTILE = "<script>alert('x')</script>&\"quoted\""


def url(path: Path) -> str:
    return f"sqlite:///{path}"


def fill(path: Path, catalogue: Catalogue) -> None:
    """Record two datasets, two networks, equal accuracies, several statuses, and a caller's results."""
    store = Store(url(path))

    def save(number, *epochs, conditions=CONDITIONS, training=Training.FULL, **values):
        variant = catalogue.variant(number) if number else None
        result = outcome(variant, *epochs, source=f"{number}", **values)
        store.save(dataclasses.replace(result, training=training, isolation="namespaces"), conditions, CLASSES)

    save(1, epoch(1, 2))  # an older run, which is not on the page
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
    """A database with runs of all kinds, which tests must not change."""
    database = tmp_path_factory.mktemp("report") / "results.db"
    fill(database, catalogue)
    return database


def page_of(path: Path, catalogue: Catalogue, **selection: list[str]) -> str:
    store = Store(url(path))
    with contextlib.closing(store):
        return page.render(contents.gather(store, catalogue, **selection), catalogue)


@pytest.fixture(scope="module")
def text(path: Path, catalogue: Catalogue) -> str:
    return page_of(path, catalogue)


@pytest.fixture(scope="module")
def root(text: str) -> Element:
    return Tree(text).root


def board(root: Element, title: str) -> Element:
    """Return the section with a heading."""
    return next(section for section in root.all("section") if [h.text for h in section.all("h3")] == [title])


def headings(root: Element) -> list[str]:
    return [heading.text for heading in root.all("h3")]


# The content.


def test_a_leaderboard_has_the_rows_of_the_store(root, path, catalogue):
    """Its rows are those of ``Store.best``, in the same order, with three decimals."""
    (rows,) = tables(board(root, "ResNet on digits"), "best first")
    expected = Store(url(path)).best("ResNet", "digits")
    assert [row["Run"] for row in rows] == ["3", "4", "2", "10"]  # run 6 failed
    for row, best in zip(rows, expected, strict=True):
        assert row["Schedule"].endswith(best["scheduler_type"])
        assert row["Schedule"].startswith(best["variant_name"] or "")
        assert float(row["Accuracy"]) == pytest.approx(best["accuracy"], abs=5e-4)
        assert row["Status"] == best["status"]
    second = rows[2]
    family = catalogue.family(catalogue.variant(1).family).title
    assert (second["Loss"], second["Best epoch"], second["Family, practice"]) == ("0.457", "2 of 3", family)
    assert rows[3]["Loss"] == "–not measured"


def test_files_of_equal_accuracy_share_a_rank(root):
    """Two files of equal accuracy share rank 1, and the next has rank 3."""
    (rows,) = tables(board(root, "ResNet on digits"), "best first")
    assert [row["#"] for row in rows] == ["1", "1", "3", "4"]


def test_files_that_cannot_be_compared_have_separate_leaderboards(root):
    """A leaderboard has one dataset, one network and one kind of training; files from elsewhere have their own."""
    titles = ["ResNet on cifar-10", "ResNet on digits", "Files from elsewhere on digits"]
    titles.append("ConvNeXt on digits, overfit")
    assert headings(root) == titles
    (overview,) = tables(root, "best file of each leaderboard")
    assert [row["Network and dataset"] for row in overview] == titles
    assert [row["Files"] for row in overview] == ["1", "4", "1", "1"]
    assert "trained to overfit a small subset" in board(root, titles[-1]).text
    assert "trained to overfit a small subset" not in board(root, titles[1]).text


def test_every_number_comes_from_the_store(root, path):
    """All accuracies, losses and recalls on the page are values of the database."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        stored = {value for row in connection.execute("SELECT accuracy, loss FROM scheduler_results") for value in row}
        recalls = {f"{value:.3f}" for (value,) in connection.execute("SELECT recall FROM class_data")}
    shown = [float(element.attributes["value"]) for element in root.all("data")]
    assert len(shown) > 20
    assert set(shown) <= stored
    cells = [
        cell.text
        for table in root.all("table")
        if table.attributes["class"].startswith("heat")
        for cell in table.all("td")
    ]
    assert len(cells) == 60
    assert set(cells) <= recalls


def test_the_heat_map_shows_the_recalls_of_the_best_epoch(root, path):
    """The heat map has a row for each file with class scores and a column for each class."""
    (rows,) = tables(board(root, "ResNet on digits"), "Recall of each class")
    classes = Store(url(path)).classes("ResNet", "A0_001", 2)
    assert list(rows[2].values())[1:] == [f"{row['recall']:.3f}" for row in classes]
    assert list(rows[2])[1:] == [row["class_name"] for row in classes]
    assert [row["Schedule"][-6:] for row in rows] == ["A0_006", "A0_031", "A0_001"]


def test_failures_have_stage_and_reason(root):
    """Only files that failed are listed, newest first, with status, stage and reason."""
    (rows,) = tables(root, "that failed their newest verification")
    assert [(row["Status"], row["Stage"], row["Reason"]) for row in rows] == [
        ("timed out", "schedule", "took longer than 900 s"),
        ("failed", "training", "accuracy 0.1, at least 0.5 is expected"),
    ]


def test_the_header_counts_files_by_status(root):
    """Each file counts once, by its newest checked run; a file without one counts as recorded."""
    facts = root.all("dl", **{"class": "facts"})[0].all("div")
    counts = {fact.all("dt")[0].text: fact.all("dd")[0].text for fact in facts}
    assert counts == {"verified": "4", "unclaimed": "1", "failed": "1", "timed out": "1", "recorded": "1"}
    assert "8 files in 10 runs" in root.all("header")[0].text
    conditions = root.all("dl", **{"class": "conditions"})[0].text
    assert "cifar-10, digits" in conditions
    assert CONDITIONS.check_version in conditions
    assert CONDITIONS.torch in conditions


def test_every_row_links_to_its_run(root, path):
    """Each row of a leaderboard and each failure links to a row with the conditions and the time of its run."""
    (rows,) = tables(root, "oldest first")
    by_run = {row["Run"]: row for row in rows}
    links = {link.attributes["href"] for link in root.all("a")}
    row_ids = {row.attributes["id"] for row in root.all("tr") if row.attributes.get("id", "").startswith("row-")}
    assert {row_id.removeprefix("row-") for row_id in row_ids} | {"6", "7"} == set(by_run)
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


def test_every_link_has_one_target(root):
    """Every link has a target on the page, and every id is unique."""
    ids = [element.attributes["id"] for element in root.all() if "id" in element.attributes]
    assert len(ids) == len(set(ids))
    targets = {element.attributes["href"] for element in root.all("a", "use")}
    assert all(target.startswith("#") and target[1:] in ids for target in targets)


def test_a_page_can_be_limited_to_models_and_datasets(path, catalogue):
    """The page has only runs of the selected models and datasets."""
    root = Tree(page_of(path, catalogue, models=["ResNet"], datasets=["cifar-10"])).root
    assert headings(root) == ["ResNet on cifar-10"]
    assert "1 file in 1 run" in root.text
    assert "No file failed" in root.text


def test_runs_without_training_have_no_leaderboard(tmp_path, catalogue):
    """A store with only failures gives a page with the failures and without a leaderboard."""
    store = Store(url(tmp_path / "results.db"))
    store.save(outcome(catalogue.variant(1), status=Status.CRASHED, reason="signal 11"), CONDITIONS, CLASSES)
    root = Tree(page_of(tmp_path / "results.db", catalogue)).root
    assert root.all("h3") == []
    assert "No file was trained" in root.text
    assert "signal 11" in root.text


def test_an_accuracy_that_was_not_measured_is_a_dash(tmp_path, catalogue):
    """A recorded epoch with only a loss is on its leaderboard, with a dash and without a chart."""
    store = Store(url(tmp_path / "results.db"))
    store.record_epoch(Series("ResNet", "mine", "digits"), 1, None, 0.5)
    root = Tree(page_of(tmp_path / "results.db", catalogue)).root
    (rows,) = tables(root, "One file")
    assert (rows[0]["Accuracy"], rows[0]["Loss"]) == ("–not measured", "0.500")
    assert root.all("figure") == []


# The size of the page.


def test_the_page_of_a_large_store_is_bounded(tmp_path, catalogue, monkeypatch):
    """Each leaderboard shows its best files, the number of the others, and the command that lists all."""
    store = Store(url(tmp_path / "results.db"))
    outcomes = [outcome(catalogue.variant(n), epoch(1, n % 10), source=f"{n}", model="My Net") for n in range(1, 31)]
    store.save_all(outcomes, CONDITIONS, CLASSES)
    monkeypatch.setattr(contents, "MAX_BOARD_ROWS", 25)
    monkeypatch.setattr(contents, "MAX_CELLS", 70)
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


def test_many_leaderboards_share_the_rows_of_the_page(path, catalogue, monkeypatch):
    """The rows of the page are divided between the leaderboards; leaderboards beyond the maximum are counted."""
    monkeypatch.setattr(contents, "MAX_BOARDS", 2)
    monkeypatch.setattr(contents, "MAX_ROWS", 4)
    root = Tree(page_of(path, catalogue)).root
    assert headings(root) == ["ResNet on cifar-10", "ResNet on digits"]
    assert len(tables(board(root, "ResNet on digits"), "The best 2 of 4 files")[0]) == 2
    assert "2 more leaderboards" in root.text


def test_only_the_newest_failures_are_shown(path, catalogue, monkeypatch):
    """With more failures than the maximum, the page shows the newest and counts all."""
    monkeypatch.setattr(contents, "MAX_FAILURES", 1)
    root = Tree(page_of(path, catalogue)).root
    (rows,) = tables(root, "2 files that failed their newest verification, only the newest 1 shown")
    assert [row["Status"] for row in rows] == ["timed out"]
    assert "lrgen results failures" in root.text


# The queries of the store.


def test_the_best_epochs_are_those_of_store_best(path):
    """``report_queries.best_epochs`` returns the same epochs as ``Store.best``."""
    store = Store(url(path))
    runs = {run["id"]: run for run in report_queries.runs(store)}
    names = ("model_name", "scheduler_type", "dataset", "epoch", "accuracy", "loss")
    epochs = {tuple((runs[row["run_id"]] | row)[name] for name in names) for row in report_queries.best_epochs(store)}
    assert epochs == {tuple(row[name] for name in names) for row in store.best()}


def test_many_runs_are_queried_in_chunks(path, monkeypatch):
    """A query for more runs than a statement can take is split, and its rows stay in order."""
    store = Store(url(path))
    rows = report_queries.epochs(store, range(1, 11))
    monkeypatch.setattr(report_queries, "chunks", partial(chunks, size=2))
    assert report_queries.epochs(store, range(1, 11)) == rows
    assert len(report_queries.recalls(store, [(3, 2), (2, 2), (4, 1)])) == 30


# The HTML.


def test_the_page_depends_on_the_store_alone(path, catalogue, text, tmp_path):
    """A copy of the store gives the same bytes: the page has no creation time and no path."""
    copy = tmp_path / "elsewhere.db"
    with contextlib.closing(sqlite3.connect(path)) as source, contextlib.closing(sqlite3.connect(copy)) as target:
        source.backup(target)
    assert page_of(copy, catalogue) == text
    assert str(path.parent) not in text


def test_the_page_loads_no_resource(root, text):
    """The page has no script, no resource and no external link, and its policy forbids them."""
    assert root.all("script", "img", "iframe", "object", "embed", "base", "form") == []
    loading = {"src", "srcset", "poster", "data", "action", "style"}
    attributes = [element.attributes for element in root.all() if loading & element.attributes.keys()]
    assert all(re.fullmatch(r"(top|left):[\d.]+%", values["style"]) for values in attributes)
    assert [link.attributes["href"] for link in root.all("link")] == ["data:,"]
    style = root.all("style")[0].text
    assert not re.search(r"url\(|@import|expression", style)
    assert "http" not in re.sub(r"http-equiv", "", text)
    (policy,) = root.all("meta", **{"http-equiv": "Content-Security-Policy"})
    assert policy.attributes["content"].startswith("default-src 'none';")


def test_hostile_names_are_escaped(tmp_path, catalogue):
    """Markup in a name, a class, a dataset or a reason is shown as text."""
    store = Store(url(tmp_path / "results.db"))
    conditions = dataclasses.replace(CONDITIONS, dataset=HOSTILE, device=HOSTILE)
    classes = tuple(f"{HOSTILE}{number}" for number in range(10))
    variant = dataclasses.replace(catalogue.variant(1), number=900, name=HOSTILE, family=HOSTILE)
    result = outcome(variant, epoch(1, 8), model=HOSTILE)
    store.save(dataclasses.replace(result, isolation=HOSTILE), conditions, classes)
    store.save(outcome(variant, model=f"{HOSTILE}2", status=Status.FAILED, reason=HOSTILE), conditions, classes)
    store.record_epoch(
        Series(HOSTILE, f"{HOSTILE}2", HOSTILE, device=HOSTILE), 1, 0.5, 0.5, hyperparameters={HOSTILE: HOSTILE}
    )
    text = page_of(tmp_path / "results.db", catalogue)
    root = Tree(text).root
    assert "<script" not in text
    assert root.all("script") == []
    assert f"{HOSTILE} on {HOSTILE}" in headings(root)
    assert tables(root, "that failed its newest verification")[0][0]["Reason"] == HOSTILE
    assert f"{HOSTILE}9" in tables(root, "Recall of each class")[0][0]
    assert html.unescape(text).count(HOSTILE) > 20


# Accessibility.


def test_the_page_is_accessible(root):
    """The page has one title, no skipped heading level, captions, scopes, and labels for regions and pictures.

    Scrolling regions can be reached with the keyboard.
    """
    assert root.all("html")[0].attributes["lang"] == "en"
    levels = [int(heading.tag[1]) for heading in root.all("h1", "h2", "h3", "h4")]
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    assert len(root.all("main")) == 1
    assert root.all("body")[0].all("a")[0].attributes["href"] == "#main"
    for table in root.all("table"):
        assert table.all("caption")[0].text
        assert all(cell.attributes.get("scope") in ("col", "row") for cell in table.all("th"))
        assert all(row.all("th") for row in table.all("tr"))
    scrolling = root.all("div", **{"class": "wide"})
    assert sum(len(region.all("table")) for region in scrolling) == len(root.all("table"))
    for region in scrolling:
        assert region.attributes["tabindex"] == "0"
        assert region.attributes["aria-label"]
    ids = {element.attributes.get("id"): element.text for element in root.all()}
    for picture in root.all("svg"):
        names = (picture.attributes.get("aria-labelledby") or "").split()
        assert picture.attributes.get("aria-hidden") == "true" or (names and all(ids[name] for name in names))


def luminance(colour: str) -> float:
    """Return the relative luminance of WCAG."""
    channels = [int(colour[begin : begin + 2], 16) / 255 for begin in (1, 3, 5)]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(first: str, second: str) -> float:
    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)


def test_contrast_has_the_values_of_wcag():
    """Black on white is 21, a colour on itself is 1, and #767676 is the lightest grey for text on white."""
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#123456", "#123456") == 1
    assert contrast("#767676", "#ffffff") >= 4.5 > contrast("#777777", "#ffffff")


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_text_and_lines_have_enough_contrast(theme):
    """The contrast meets WCAG AA: 4.5 for text on each of its backgrounds, 3 for lines and the focus."""
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


# The charts.


def test_a_line_passes_through_its_accuracies(path, catalogue):
    """Lines are sorted best first, start at the first epoch, and have a dot at the best epoch."""
    store = Store(url(path))
    (full,) = contents.gather(store, catalogue, ["ResNet"], ["digits"]).boards
    chart = drawing.accuracies(full.entries)
    assert [line.entry.run["scheduler_type"][-3:] for line in chart.named] == ["006", "031", "001", "900"]
    line = chart.named[2]
    marks = {tick.text: 10 * tick.at for tick in chart.up}
    points = [tuple(map(int, point.split())) for point in line.path[1:].split("L")]
    assert [x for x, _ in points] == [0, 500, 1000]
    assert marks["0.8"] == pytest.approx(points[1][1], abs=1)
    assert line.dot == f"M{points[1][0]} {points[1][1]}h0"
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
def test_the_epoch_axis_has_round_ticks(last, marks):
    """The first epoch has a tick, and no tick is so near that it would touch it."""
    axes = drawing.Axes([(number, 0.5) for number in range(1, last + 1)])
    assert " ".join(tick.text for tick in axes.across()) == marks


@pytest.mark.parametrize("values", [(0.5, 0.5), (0.0, 1.0), (0.981, 0.9812), (0.33, 0.34), (0.0, 0.0), (1.0, 1.0)])
def test_the_accuracy_axis_covers_all_values(values):
    """The ticks are distinct, at most 13, and enclose the measured values."""
    axes = drawing.Axes(list(enumerate(values, start=1)))
    marks = [tick.text for tick in axes.up()]
    assert 2 <= len(marks) == len(set(marks)) <= 13
    assert float(marks[0]) <= min(values) <= max(values) <= float(marks[-1])
    assert all(0 <= axes.place((1, value))[1] <= drawing.SIZE for value in values)


@pytest.mark.parametrize("ends", [[50.0] * 5, [0.0, 1.0, 2.0], [99.0, 100.0, 98.0], [10.0, 90.0], []])
def test_names_do_not_overlap(ends):
    """Names stay within the chart and in the order of the ends of their lines."""
    positions = drawing.spread(ends)
    assert all(0 <= position <= 100 for position in positions)
    ordered = [position for _, position in sorted(zip(ends, positions, strict=True))]
    assert all(after - before > 8.4 for before, after in itertools.pairwise(ordered))


def test_a_curve_is_drawn_accurately_with_few_points(catalogue):
    """Simplified lines stay near all points; the median curve of the catalogue has fewer than 40 points."""
    counts = []
    for variant in catalogue.variants:
        shape = drawing.shape(variant)
        points = [tuple(map(float, point.split())) for point in shape.paths[0][1:].split("L")]
        wide, high = drawing.CURVE
        assert points[0][0] == 0
        assert points[-1][0] == wide
        assert all(0 <= y <= high for _, y in points)
        counts.append(len(points))
    assert sorted(counts)[len(counts) // 2] < 40
    bent = [(x / 10, (x / 10 - 5) ** 2) for x in range(101)]
    kept = drawing.simplified(bent)
    assert 10 < len(kept) < 60
    for (x0, y0), (x1, y1) in itertools.pairwise(kept):
        between = [(x, y) for x, y in bent if x0 < x < x1]
        assert all(abs(y0 + (y1 - y0) * (x - x0) / (x1 - x0) - y) < 1.1 for x, y in between)


def test_a_line_of_many_epochs_keeps_the_best_and_the_last():
    """A thousand epochs are drawn with fewer than 110 points, among them the first, the best and the last."""
    rows = tuple({"epoch": number, "accuracy": 0.9 if number == 777 else 0.5} for number in range(1, 1001))
    points = drawing.sampled_points(contents.Entry(1, {}, {"epoch": 777}, rows))
    assert {(1, 0.5), (777, 0.9), (1000, 0.5)} <= set(points)
    assert len(points) < 110


# The command.


def test_the_command_writes_the_page(lrgen, path, text):
    """The default folder is report/, and a second page replaces the first."""
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
    assert [path.name for path in Path("report").iterdir()] == ["index.html"]


def test_a_foreign_page_is_not_overwritten(lrgen, path):
    """The command names the file that is not a report and exits with 2."""
    Path("site").mkdir()
    Path("site/index.html").write_text("<h1>mine</h1>")
    code, out, err = lrgen("report", "--db", url(path), "--out", "site")
    assert (code, out) == (2, "")
    assert "site/index.html: was not written by lrgen report and is not overwritten: choose another --out" in err
    assert Path("site/index.html").read_text() == "<h1>mine</h1>"


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path):
    """A folder with the page's name, and a file with the folder's name, are errors."""
    (tmp_path / "index.html").mkdir()
    with pytest.raises(OutputError, match=r"/index\.html: cannot be read: Is a directory$"):
        page.write("", tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"/file/index\.html: cannot be written: "):
        page.write("", tmp_path / "file")


def test_a_page_needs_results(lrgen, path, catalogue):
    """A missing database, an empty one, and a selection without results are errors that name the database."""
    code, _, err = lrgen("report", "--db", "sqlite:///none.db")
    assert code == 2
    assert "there is no database at none.db: run lrgen verify first" in err
    assert not Path("none.db").exists()
    Store("sqlite:///empty.db").prepare()
    code, _, err = lrgen("report", "--db", "sqlite:///empty.db")
    assert code == 2
    assert "there are no results in empty.db: run lrgen verify first" in err
    with pytest.raises(
        NoResultError,
        match=r"^there are no results of model VGG, dataset digits in .*/results\.db: run lrgen verify first$",
    ):
        contents.gather(Store(url(path)), catalogue, ["VGG"], ["digits"])
    assert not Path("report").exists()


# In a browser.

LOOK = """<!doctype html><body><script>
const views = [];
for (const width of [360, 1280]) {
  const frame = document.createElement("iframe");
  frame.style = `width: ${width}px; height: 800px; border: 0`;
  frame.srcdoc = PAGE;
  frame.onload = () => {
    const inner = frame.contentWindow, root = frame.contentDocument.documentElement;
    views.push({
      width: inner.innerWidth,
      needed: root.scrollWidth,
      loaded: inner.performance.getEntriesByType("resource").map((resource) => resource.name),
      paper: inner.getComputedStyle(frame.contentDocument.body).backgroundColor,
      wide: [...frame.contentDocument.querySelectorAll(".wide")].some((box) => box.scrollWidth > box.clientWidth),
    });
    if (views.length == 2) document.body.textContent = JSON.stringify(views);
  };
  document.body.append(frame);
}
</script>"""


@pytest.mark.skipif(BROWSER is None, reason="needs Chromium")
@pytest.mark.parametrize(
    ("scheme", "paper"), [(1, "rgb(255, 255, 255)"), (0, "rgb(21, 24, 27)")], ids=["light", "dark"]
)
def test_a_browser_shows_the_page_without_horizontal_scrolling(text, tmp_path, scheme, paper):
    """At the width of a phone and of a desktop, in both themes, nothing is loaded and only regions scroll."""
    views = look(LOOK, text, tmp_path, scheme)
    assert sorted(view["width"] for view in views) == [360, 1280]
    for view in views:
        assert view["needed"] <= view["width"]
        assert view["loaded"] == []
        assert view["paper"] == paper
    assert any(view["wide"] for view in views if view["width"] == 360)
