"""The page of ``lrgen report --scores`` compares runs, and shows what models wrote as text."""

import base64
import hashlib
import itertools
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from lrgen.report.scores import contents, drawing, page
from lrgen.report.scores.contents import Comparison, Run, Sample
from lrgen.score.results import Results
from lrgen.score.verdict import CHECKS
from tests.report.markup import BROWSER, Element, Tree, look, tables
from tests.score.verdicts import CONDITIONS, verdict

HOSTILE = "</script><script>document.title='x'</script><img src=x onerror=alert(1)>&\"\u202e\u2028\x00\ud800"


def run(folder: Path, name: str, passing: int, rows: int = 12, **values) -> Path:
    """Write a run in which a row passes if its number is below ``passing``, with two samples of each row."""
    with Results(folder / name, replace(CONDITIONS, **values)) as written:
        for number, sample in itertools.product(range(rows), range(2)):
            task = ("write", "trace")[number % 2]
            written.add(verdict(f"row{number:02}", sample, number < passing, task=task, answer=f"answer {number}\n"))
    return folder / name


@pytest.fixture
def report(lrgen, tmp_path):
    """Write the page of some runs and return its text."""

    def written(*folders: Path) -> str:
        options = [option for folder in folders for option in ("--scores", folder)]
        code, _, err = lrgen("report", *options, "--out", tmp_path / "page")
        assert (code, err) == (0, "")
        return (tmp_path / "page" / "scores.html").read_text()

    return written


@pytest.fixture
def text(report, tmp_path) -> str:
    """The page of two runs, the second of which passes eight rows more."""
    return report(run(tmp_path, "base", 2), run(tmp_path, "tuned", 10))


def data(root: Element) -> dict:
    """Return the samples that the page has for its script."""
    (block,) = root.all("script", type="application/json")
    return json.loads("".join(block.children))


def sample(row_id: str = "a", number: int = 0, passed: bool = True, **values) -> Sample:
    given = verdict(row_id, number, passed, **values)
    return Sample(**{name: getattr(given, name) for name in Sample.__dataclass_fields__})


def rendered(*runs: list[Sample]) -> Element:
    """Return the page of some runs without numbers of interest."""
    numbers = {"rows": 1, "samples": 1, "passed": 1, "pass_rate": 1.0, "wilson": [0.2, 1.0], "mean_reward": 1.0}
    plain = [Run(f"run{index}", {}, numbers, {}, samples) for index, samples in enumerate(runs)]
    return Tree(page.render(contents.gather(plain, [], CHECKS), CHECKS)).root


# The numbers.


def test_each_run_has_its_numbers(text):
    """The rows, samples, pass rate with interval, mean reward and pass@k of each run are on the page."""
    (rows,) = tables(Tree(text).root, "All samples of each run")
    assert [row["Run"] for row in rows] == ["base", "tuned"]
    assert (rows[0]["Rows"], rows[0]["Samples"], rows[0]["Passed"]) == ("12", "24", "4")
    assert [row["Pass rate"] for row in rows] == ["0.167", "0.833"]
    assert [row["pass@1"] for row in rows] == ["0.167", "0.833"]
    assert rows[0]["95% interval"] == "0.067…0.359"


def test_each_task_has_a_line_for_each_run(text):
    """The table of tasks begins with all samples, and its plot has the rate and its interval."""
    root = Tree(text).root
    (rows,) = tables(root, "Pass rate of each task")
    assert [(row["Task"], row["Run"]) for row in rows] == list(
        itertools.product(("all", "trace", "write"), ("base", "tuned"))
    )
    (table,) = root.all("table", **{"class": "rates"})
    interval, dot = (table.all("path", **{"class": f"{name} line-2"})[0] for name in ("line", "dot"))
    assert interval.attributes["d"] == "M641 0.5H933"
    assert dot.attributes["d"] == "M833 0.5h0"


def test_runs_are_compared_with_the_first(text):
    """Each other run has its difference with interval, p-value and verdict, over all rows and by task."""
    (rows,) = tables(Tree(text).root, "tuned − base")
    assert [row["Task"] for row in rows] == ["all", "trace", "write"]
    assert (rows[0]["base"], rows[0]["tuned"], rows[0]["Difference"]) == ("0.167", "0.833", "+0.667")
    assert (rows[0]["p"], rows[0]["Verdict"], rows[1]["Verdict"]) == ("0.008", "better", "tie")
    assert "ahead in 8 rows and behind in 0" in Tree(text).root.text


def test_the_last_checks_of_each_run_are_counted(text):
    """The fractions of the samples that passed and that failed after each check are those of the run."""
    (rows,) = tables(Tree(text).root, "by the last check that they passed")
    assert rows[0] == {"Run": "base", "contract": "0.833", "passed": "0.167"}


def test_runs_that_cannot_be_compared_are_on_the_page_with_the_reason(report, tmp_path):
    """A run up to another stage has its numbers, and the reason instead of a comparison."""
    page_text = report(run(tmp_path, "base", 2), run(tmp_path, "other", 4, stage="training"))
    root = Tree(page_text).root
    assert len(tables(root, "All samples of each run")[0]) == 2
    assert "cannot be compared: stage schedule and training" in root.text


def test_a_single_run_has_a_page(report, tmp_path):
    """One run has its numbers and its samples, and no comparison."""
    root = Tree(report(run(tmp_path, "base", 2))).root
    assert "Differences" not in [heading.text for heading in root.all("h2")]
    assert len(data(root)["samples"]) == 24


def test_an_empty_run_has_a_page(report, tmp_path):
    """A run that was killed before its first verdict is on the page with dashes."""
    root = Tree(report(run(tmp_path, "base", 2), run(tmp_path, "empty", 0, rows=0))).root
    (rows,) = tables(root, "All samples of each run")
    assert (rows[1]["Samples"], rows[1]["Pass rate"]) == ("0", "–not measured")
    assert "they have no row in common" in root.text


# The browser of samples.


def test_every_sample_is_data_of_the_page(text):
    """Each sample has its run, task, check, result, reason and answer; a row in which the runs differ is marked."""
    document = data(Tree(text).root)
    assert (document["runs"], document["tasks"]) == (["base", "tuned"], ["trace", "write"])
    assert len(document["samples"]) == 48
    first, *_ = [entry for entry in document["samples"] if entry[5] == "row03"]
    number, task, check, passed, differs, *rest = first
    assert (document["runs"][number], document["tasks"][task], document["checks"][check]) == (
        *("base", "trace", "contract"),
    )
    assert (passed, differs) == (0, 1)
    failed = verdict(passed=False)
    assert rest == ["row03", 0, 0.6, "ResNet, cosine, test", failed.reason, "answer 3\n"]
    assert {entry[5] for entry in document["samples"] if entry[4]} == {f"row{number:02}" for number in range(2, 10)}


def test_hostile_text_is_text():
    """Markup, a closing tag of a script and characters that are not seen stay in the data, and nothing is executed."""
    hostile = sample(HOSTILE, 0, passed=False, reason=HOSTILE, answer=HOSTILE, task=HOSTILE, family=HOSTILE)
    root = rendered([hostile])
    assert len(root.all("script")) == 2
    assert root.all("img") == []
    (entry,) = data(root)["samples"]
    assert entry[9] == entry[10] == contents.visible(HOSTILE, 1000)
    assert entry[10].startswith("</script><script>document.title='x'</script><img")
    assert entry[10].endswith('&"\\u202e\\u2028\\x00\\ud800')


def test_the_policy_of_the_page_admits_its_own_script_alone(text):
    """The hash in the policy is that of the script on the page; nothing is loaded, and no element has a handler."""
    root = Tree(text).root
    (script,) = [element for element in root.all("script") if not element.attributes]
    digest = base64.b64encode(hashlib.sha256("".join(script.children).encode()).digest()).decode()
    (policy,) = root.all("meta", **{"http-equiv": "Content-Security-Policy"})
    assert policy.attributes["content"].startswith("default-src 'none';")
    assert re.findall(r"script-src ([^;]*);", policy.attributes["content"]) == [f"'sha256-{digest}'"]
    attributes = {name for element in root.all() for name in element.attributes}
    assert not {name for name in attributes if name.startswith("on")} | attributes & {"src", "srcset", "action"}
    assert "http" not in text.replace("http-equiv", "")
    assert not re.search("innerHTML|outerHTML|insertAdjacent|document.write|eval", "".join(script.children))


@pytest.mark.parametrize(
    ("given", "limit", "shown"),
    [
        ("a\n\tb", 9, "a\n\tb"),
        ("é日本", 9, "é日本"),
        ("\x1b[31m\r", 19, "\\x1b[31m\\r"),
        ("a\u202eb\u200b\ufeff", 20, "a\\u202eb\\u200b\\ufeff"),
        ("\x00" * 99, 6, "\\x00\\x…"),
        ("\ud83d", 9, "\\ud83d"),
        ("abcdef", 3, "abc…"),
        ("abc", 3, "abc"),
    ],
)
def test_characters_that_are_not_seen_are_escaped(given, limit, shown):
    """Line breaks, tabs and letters of all scripts stay; control and bidirectional characters are escapes."""
    assert contents.visible(given, limit) == shown


def test_a_page_of_many_samples_is_bounded(monkeypatch):
    """Beyond the limit the page has the same rows of every run, at equal distances, and says how many it shows."""
    monkeypatch.setattr(contents, "MAX_SAMPLES", 20)
    monkeypatch.setattr(contents, "MAX_CHARACTERS", 1000)
    samples = [sample(f"row{number:03}", answer="x" * 500) for number in range(50)]
    root = rendered(samples, samples)
    entries = data(root)["samples"]
    assert [(entry[5], entry[0]) for entry in entries] == [
        (f"row{number:03}", index) for number in range(0, 50, 5) for index in (0, 1)
    ]
    assert {len(entry[10]) for entry in entries} == {51}
    assert "This page has 20 of 100 samples" in root.text
    assert "Answers are cut after 50 characters" in root.text


def test_a_row_with_many_samples_does_not_exceed_the_page(monkeypatch):
    """If a single row has more samples than the page, its first ones are shown."""
    monkeypatch.setattr(contents, "MAX_SAMPLES", 5)
    entries = data(rendered([sample("a", number) for number in range(12)]))["samples"]
    assert [entry[6] for entry in entries] == [0, 1, 2, 3, 4]


def test_the_page_depends_on_its_input_alone(report, tmp_path, text):
    """Writing the page again gives the same bytes, without a path of the machine."""
    assert report(tmp_path / "base", tmp_path / "tuned") == text
    assert str(tmp_path) not in text


# The plots.


@pytest.mark.parametrize(
    ("intervals", "ends"),
    [([], "-0.1 0 +0.1"), ([(-0.05, 0.1)], "-0.1 0 +0.1"), ([(0.1, 0.3)], "-0.5 0 +0.5"), ([(-1, 1)], "-1 0 +1")],
)
def test_the_axis_of_differences_has_zero_in_its_middle(intervals, ends):
    """The axis is symmetric, ends at a round number, and has all intervals."""
    axis = drawing.differences(intervals)
    assert " ".join(tick.text for tick in axis.ticks) == ends
    assert [tick.at for tick in axis.ticks] == [0, 50, 100]
    assert all(axis.low <= low <= high <= axis.high for low, high in intervals)
    assert axis.mark(0, (axis.low, axis.high)) == drawing.Mark("M0 0.5H1000", "M500 0.5h0")


# The command.


def test_runs_of_the_same_name_have_distinct_names(report, tmp_path):
    """Folders of the same name are named by their paths, and the same folder given twice is numbered."""
    first, second = run(tmp_path / "one", "out", 2), run(tmp_path / "two", "out", 3)
    (rows,) = tables(Tree(report(first, second, second)).root, "All samples of each run")
    assert [row["Run"] for row in rows] == [str(first), f"{second} (1)", f"{second} (2)"]


def test_the_command_counts_the_samples(lrgen, tmp_path, monkeypatch):
    """The command prints the path and the counts; as JSON too; and says how many samples are on the page."""
    monkeypatch.setattr(contents, "MAX_SAMPLES", 6)
    folder, out = run(tmp_path, "base", 2), tmp_path / "page"
    path = out / "scores.html"
    code, text, err = lrgen("report", "--scores", folder, "--out", out)
    assert (code, text, err) == (0, f"{path}: 1 run, 24 samples, 6 of them on the page\n", "")
    document = json.loads(lrgen("report", "--scores", folder, "--out", out, "--json")[1])
    size = path.stat().st_size
    assert document == {"path": str(path), "bytes": size, "runs": 1, "samples": 24, "samples_on_page": 6}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--scores", "missing"], "missing: has no run.json: not a folder of results of lrgen score"),
        (["--scores", "missing", "--model", "ResNet"], "--scores excludes --model, --dataset, --practice and --db"),
    ],
)
def test_a_page_that_cannot_be_written_is_one_sentence(lrgen, arguments, message):
    """A folder without results, and options of the other page, exit with 2."""
    code, out, err = lrgen("report", *arguments)
    assert (code, out) == (2, "")
    assert err.startswith(f"lrgen: {message}")
    assert err.count("\n") == 1


# Accessibility.


def test_the_page_is_accessible(text):
    """Headings, captions, scopes, labels of controls and regions are complete, and every link has one target."""
    root = Tree(text).root
    levels = [int(heading.tag[1]) for heading in root.all("h1", "h2", "h3", "h4")]
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    for table in root.all("table"):
        assert table.all("caption")[0].text
        assert all(cell.attributes.get("scope") in ("col", "row") for cell in table.all("th"))
        assert all(row.all("th") for row in table.all("tr"))
    for region in root.all("div", **{"class": "wide"}):
        assert region.attributes["tabindex"] == "0"
        assert region.attributes["aria-label"]
    labelled = [control for label in root.all("label") for control in label.all("select", "input")]
    assert len(labelled) == len(root.all("select", "input")) == 6
    assert all(picture.attributes["aria-hidden"] == "true" for picture in root.all("svg"))
    ids = [element.attributes["id"] for element in root.all() if "id" in element.attributes]
    assert len(ids) == len(set(ids))
    assert {link.attributes["href"][1:] for link in root.all("a")} <= set(ids)


BROWSE = """<!doctype html><body><script>
const steps = [];
const frame = document.createElement("iframe");
frame.style = "width: 360px; height: 800px; border: 0";
frame.srcdoc = PAGE;
frame.onload = () => {
  const inner = frame.contentDocument, at = (id) => inner.getElementById(id);
  const note = (name) => steps.push({
    name, count: at("count").textContent, rows: at("lines").children.length, first: at("lines").textContent.slice(0, 5),
    scripts: inner.scripts.length, images: inner.images.length, title: inner.title,
    needed: inner.documentElement.scrollWidth,
  });
  const choose = (id, value) => { at(id).value = value; at(id).dispatchEvent(new Event("change")); };
  note("all");
  at("next").click(); note("next");
  choose("by-task", "1"); note("task");
  choose("by-result", "0"); note("failed");
  at("lines").querySelector("details").open = true;
  setTimeout(() => {
    steps.push({name: "answer", text: at("lines").querySelector("pre").textContent});
    at("by-text").value = "ROW101"; at("by-text").dispatchEvent(new Event("input")); note("text");
    document.body.textContent = JSON.stringify(steps);
  }, 200);
};
document.body.append(frame);
</script>"""


@pytest.mark.skipif(BROWSER is None, reason="needs Chromium")
def test_a_browser_filters_the_samples(tmp_path):
    """Pages have 50 samples; filters by task, result and text apply together; hostile text stays text."""
    tasks = ("trace", "write")
    samples = [
        sample(f"row{number}", 0, number % 4 > 1, task=tasks[number % 2], answer=HOSTILE, reason=HOSTILE)
        for number in range(120)
    ]
    numbers = {"rows": 1, "samples": 1, "passed": 1, "pass_rate": 1.0, "wilson": [0.2, 1.0], "mean_reward": 1.0}
    plain = contents.gather([Run("base", {}, numbers, {}, samples)], [Comparison("none", None, HOSTILE)], CHECKS)
    steps = {step["name"]: step for step in look(BROWSE, page.render(plain, CHECKS), tmp_path)}
    assert (steps["all"]["count"], steps["all"]["rows"]) == ("120 of 120 samples, page 1 of 3", 50)
    assert (steps["next"]["count"], steps["next"]["first"]) == ("120 of 120 samples, page 2 of 3", "row50")
    assert steps["task"]["count"] == "60 of 120 samples, page 1 of 2"
    assert (steps["failed"]["count"], steps["failed"]["rows"]) == ("30 of 120 samples, page 1 of 1", 30)
    assert steps["answer"]["text"] == contents.visible(HOSTILE, 1000)
    assert steps["text"]["count"] == "1 of 120 samples, page 1 of 1"
    for name in ("all", "next", "failed", "text"):
        assert (steps[name]["scripts"], steps[name]["images"]) == (2, 0)
        assert steps[name]["title"] == "Completions, scored"
        assert steps[name]["needed"] <= 360
