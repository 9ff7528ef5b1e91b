"""Files with a practice in results, reports and plots: named, selected, and no further schedules."""

import contextlib
import csv
import io
import json
from pathlib import Path

import pytest

import lrgen as api
from lrgen.errors import NoResultError, UnknownNameError
from lrgen.records import Status
from lrgen.report import contents, page
from lrgen.store import Store
from tests.report.markup import Tree, tables
from tests.store.outcomes import CLASSES, CONDITIONS, epoch, outcome

DB = "sqlite:///practices.db"


@pytest.fixture
def store(catalogue, tmp_path, monkeypatch):
    """A store with a schedule, the same schedule with two practices, and a file that failed."""
    monkeypatch.chdir(tmp_path)
    with contextlib.closing(Store(DB)) as store:
        for name, correct in (("StepLR_default", 5), ("bf16_step", 7), ("accumulate_2_step", 6)):
            variant = catalogue.variant(name)
            store.save(outcome(variant, epoch(1, correct), source=name, trace="the same"), CONDITIONS, CLASSES)
        failed = catalogue.variant("fp16_step")
        store.save(outcome(failed, source="f", status=Status.FAILED, reason="its scale is lost"), CONDITIONS, CLASSES)
        yield store


def test_best_names_the_practice_and_selects_by_it(lrgen, store):
    """The table of the best files has the practice of each, and ``--practice`` keeps a practice or a kind."""
    rows = json.loads(lrgen("results", "best", "--db", DB, "--json")[1])
    assert [row["practice"] for row in rows] == ["bf16", "accumulate_2", None]
    heading, *_ = lrgen("results", "best", "--db", DB)[1].split("A0_178")
    assert "practice" in heading.split()
    for practice in ("bf16", "precision"):
        rows = json.loads(lrgen("results", "best", "--practice", practice, "--db", DB, "--json")[1])
        assert [row["variant_name"] for row in rows] == ["bf16_step"]
    text = lrgen("results", "best", "--practice", "bf16", "--db", DB, "--csv")[1]
    assert [row["practice"] for row in csv.DictReader(io.StringIO(text))] == ["bf16"]


def test_failures_are_selected_by_practice(lrgen, store):
    """``--practice`` keeps the failures of files with it."""
    for practice, count in (("fp16", 1), ("mixup", 0)):
        rows = json.loads(lrgen("results", "failures", "--practice", practice, "--db", DB, "--json")[1])
        assert [row["practice"] for row in rows] == ["fp16"] * count


def test_an_unknown_practice_is_wrong_use(lrgen, store):
    """A practice that does not exist exits with 2, and the nearest name is given."""
    for command in (["results", "best"], ["results", "failures"], ["report"]):
        code, out, err = lrgen(*command, "--practice", "bf61", "--db", DB)
        assert (code, out) == (2, "")
        assert "bf16" in err


def test_results_of_python_have_the_practice(store):
    """``get_results`` names the practice of each file, and selects by it."""
    results = api.get_results(db=DB)
    named = results.dropna(subset="practice")
    assert set(results["variant_name"]) - set(named["variant_name"]) == {"StepLR_default"}
    assert dict(zip(named["variant_name"], named["practice"], strict=True)) == {
        "bf16_step": "bf16",
        "accumulate_2_step": "accumulate_2",
        "fp16_step": "fp16",
    }
    assert list(api.get_results(practice="precision", epochs=True, db=DB)["variant_name"]) == ["bf16_step"]
    with pytest.raises(UnknownNameError):
        api.get_results(practice="bf61", db=DB)


def test_a_practice_does_not_repeat_its_schedule(store):
    """Files with equal learning rates and different practices are files of their own."""
    assert set(api.unique_nn(db=DB)["variant_name"]) == {"StepLR_default", "bf16_step", "accumulate_2_step"}
    assert [row["variant_name"] for row in store.unique()] == ["bf16_step"]


def test_the_page_names_practices_and_draws_each_schedule_once(store, catalogue):
    """Rows have their practice and link to the curve of their schedule, which is drawn once."""
    root = Tree(page.render(contents.gather(store, catalogue), catalogue)).root
    (rows,) = tables(root, "best first")
    title = catalogue.family("step").title
    assert [row["Family, practice"] for row in rows] == [f"{title}, bf16", f"{title}, accumulate_2", title]
    drawn = [item.attributes["id"] for item in root.all("li") if item.attributes.get("id", "").startswith("schedule-")]
    assert drawn == ["schedule-1"]
    links = [link.attributes["href"] for link in root.all("a") if link.attributes.get("href") == "#schedule-1"]
    assert len(links) == 3


def test_the_page_is_selected_by_practice(store, catalogue):
    """``--practice`` keeps the files with it; without any there is no page."""
    (shown,) = contents.gather(store, catalogue, practices=["accumulation"]).boards
    assert [entry.run["variant_name"] for entry in shown.entries] == ["accumulate_2_step"]
    with pytest.raises(NoResultError, match="of practice mixup"):
        contents.gather(store, catalogue, practices=["mixup"])


def test_a_plot_has_each_curve_once(lrgen, tmp_path, monkeypatch):
    """A variant with a practice is plotted as its schedule, which is not drawn twice."""
    monkeypatch.chdir(tmp_path)
    code, out, _ = lrgen("plot", "StepLR_default", "bf16_step", "fp16_cosine", "--out", "curves.svg")
    assert (code, out) == (0, "2 curves plotted in curves.svg\n")
    assert Path("curves.svg").exists()
