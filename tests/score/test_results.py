"""A folder of results survives a kill at any byte, and holds the verdicts of one run under one set of conditions."""

import json
import os
import subprocess
import sys
from dataclasses import asdict, replace

import pytest

from lrgen.errors import OutputError, ScoreError
from lrgen.score import results
from lrgen.score.results import Results
from tests.paths import REPOSITORY
from tests.score.verdicts import CONDITIONS, verdict

HOSTILE = "\ud800\x00\u202e</script>\u2028\n\"'{"


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "out"


def keys(verdicts):
    return [(entry.row_id, entry.sample) for entry in verdicts]


def fill(folder, *verdicts, conditions=CONDITIONS):
    with Results(folder, conditions) as written:
        for entry in verdicts:
            written.add(entry)


# Lines.


def test_a_line_has_the_values_of_its_verdict(folder):
    """A line is an object with the id of the row as ``task_id`` and the other fields, each with its value."""
    entry = verdict("a", 3, passed=False)
    fill(folder, entry)
    (line,) = (folder / "results.jsonl").read_text().splitlines()
    assert json.loads(line) == {"task_id": "a"} | {k: v for k, v in asdict(entry).items() if k != "row_id"}
    assert list(json.loads(line))[:2] == ["task_id", "sample"]
    assert json.loads((folder / "run.json").read_text()) == asdict(CONDITIONS)


def test_every_text_is_kept(folder):
    """An answer and a reason with a lone surrogate, NUL, markup and line breaks come back as they were, in one line."""
    entry = verdict(answer=HOSTILE * 1000, reason=HOSTILE)
    fill(folder, entry, verdict("b"))
    assert (folder / "results.jsonl").read_bytes().count(b"\n") == 2
    assert results.read(folder).verdicts == (entry, verdict("b"))


def test_a_verdict_is_on_disk_as_soon_as_it_is_added(folder):
    """Another reader sees a verdict before the folder is closed."""
    with Results(folder, CONDITIONS) as written:
        written.add(verdict("a"))
        assert results.read(folder).verdicts == (verdict("a"),)


def test_a_second_verdict_on_the_same_completion_is_ignored(folder):
    """A late verdict on a completion that has one neither replaces it nor counts twice."""
    fill(folder, verdict(), verdict(passed=False))
    assert results.read(folder).verdicts == (verdict(),)


def test_a_line_that_the_disk_does_not_take_whole_is_removed(folder, monkeypatch):
    """When the disk is full in the middle of a line, the error names the file, and the file ends with a whole line."""
    write = os.write

    def full(descriptor, line):
        if len(line) < 50:
            raise OSError(28, "No space left on device")
        return write(descriptor, line[:-40])

    with Results(folder, CONDITIONS) as written:
        written.add(verdict("a"))
        monkeypatch.setattr(os, "write", full)
        with pytest.raises(OutputError, match=r"results\.jsonl: cannot be written: No space left"):
            written.add(verdict("b"))
        monkeypatch.undo()
        written.add(verdict("c"))
    assert keys(results.read(folder).verdicts) == [("a", 0), ("c", 0)]


# Resuming.


def test_a_run_continues_after_a_kill_at_any_byte(folder):
    """Wherever the file ends, a resumed run has the verdicts of the whole lines, and its own follow on a new line."""
    fill(folder, verdict("a"), verdict("b", passed=False))
    path = folder / "results.jsonl"
    whole = path.read_bytes()
    first = whole.index(b"\n") + 1
    edges = (0, 1, first - 1, first, first + 1, len(whole) - 1, len(whole))
    for size in sorted({*range(0, len(whole), 29), *edges}):
        path.write_bytes(whole[:size])
        kept = whole[:size].count(b"\n")
        with Results(folder, CONDITIONS) as resumed:
            assert path.read_bytes() == (b"", whole[:first], whole)[kept]
            assert (resumed.verdict("a", 0, verdict("a").sha256) is not None) is (kept > 0)
            resumed.add(verdict("c"))
        assert keys(results.read(folder).verdicts) == [*[("a", 0), ("b", 0)][:kept], ("c", 0)]


WRITER = """
import itertools, sys
from pathlib import Path
from lrgen.score.results import Results
from tests.score.verdicts import CONDITIONS, verdict
with Results(Path(sys.argv[1]), CONDITIONS) as written:
    for number in itertools.count():
        written.add(verdict(f"row{number}", answer="x" * 300_000))
        print(flush=True)
"""


def test_a_killed_process_leaves_its_verdicts(folder):
    """After SIGKILL every verdict that was added is there, and another process continues the run at once."""
    command = [sys.executable, "-c", WRITER, str(folder)]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE) as process:
        for _ in range(5):
            process.stdout.readline()
        process.kill()
    with Results(folder, CONDITIONS) as resumed:
        assert all(resumed.verdict(f"row{n}", 0, verdict(f"row{n}").sha256) is not None for n in range(5))
        resumed.add(verdict("last"))
    rows = [entry.row_id for entry in results.read(folder).verdicts]
    assert rows == [*(f"row{number}" for number in range(len(rows) - 1)), "last"]


def test_a_verdict_is_reused_for_the_same_text_only(folder):
    """A completion whose text has changed has no verdict; the new one replaces the old one for a reader."""
    fill(folder, verdict("a"), verdict("b"))
    changed = verdict("a", passed=False, sha256="0" * 64)
    with Results(folder, CONDITIONS) as resumed:
        assert resumed.verdict("a", 0, verdict("a").sha256) == replace(verdict("a"), answer="")
        assert resumed.verdict("a", 0, changed.sha256) is None
        assert resumed.verdict("a", 1, verdict("a").sha256) is None
        resumed.add(changed)
        assert resumed.verdict("a", 0, changed.sha256) == replace(changed, answer="")
    assert results.read(folder).verdicts == (changed, verdict("b"))


def test_a_finished_run_has_its_lines_in_the_order_of_the_completions(folder):
    """The lines are ordered, those of other completions are gone, and the run can be resumed and extended."""
    with Results(folder, CONDITIONS) as written:
        for row_id in "cabd":
            written.add(verdict(row_id, answer=row_id * 5000))
        finished = written.finish([("a", 0), ("b", 0), ("c", 0)])
        assert finished == [replace(verdict(row_id), answer="") for row_id in "abc"]
        written.add(verdict("e"))
    scored = results.read(folder)
    assert keys(scored.verdicts) == [("a", 0), ("b", 0), ("c", 0), ("e", 0)]
    assert [entry.answer for entry in scored.verdicts[:3]] == ["a" * 5000, "b" * 5000, "c" * 5000]
    with Results(folder, CONDITIONS) as resumed:
        assert resumed.verdict("d", 0, verdict("d").sha256) is None
        resumed.finish([("e", 0)])
    assert results.read(folder).verdicts == (verdict("e"),)
    assert sorted(path.name for path in folder.iterdir()) == ["results.jsonl", "run.json"]


# Conditions.


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"dataset": "e" * 64}, "has the results of another dataset: choose another --out"),
        ({"stage": "training"}, "has results under other conditions (stage schedule instead of training): choose"),
        ({"case_seed": 8, "ladder": 2}, "(ladder 1 instead of 2, case seed 7 instead of 8)"),
        ({"lrgen": "9"}, "(lrgen 0.1.0 instead of 9)"),
        ({"policy": "lemur"}, "(policy strict instead of lemur)"),
        ({"tasks": "infill"}, "(tasks all instead of infill)"),
        ({"splits": "test,train"}, "(splits test instead of test,train)"),
    ],
    ids=lambda value: ", ".join(value) if isinstance(value, dict) else "",
)
def test_a_folder_with_other_conditions_is_refused(folder, change, reason):
    """Each condition that differs is named in one sentence, and the folder stays as it is."""
    fill(folder, verdict())
    before = (folder / "results.jsonl").read_bytes()
    with pytest.raises(ScoreError) as raised:
        Results(folder, replace(CONDITIONS, **change))
    assert str(raised.value).startswith(f"{folder}: ")
    assert reason in str(raised.value)
    assert (folder / "results.jsonl").read_bytes() == before
    fill(folder, verdict("b"))  # the refused run has released the folder


def test_results_without_their_conditions_are_refused(folder):
    """A folder with results of unknown conditions is neither continued nor read."""
    fill(folder, verdict())
    (folder / "run.json").unlink()
    with pytest.raises(ScoreError, match=r"has results\.jsonl but no run\.json"):
        Results(folder, CONDITIONS)
    with pytest.raises(ScoreError, match=r"has no run\.json: not a folder of results"):
        results.read(folder)


@pytest.mark.parametrize("text", ["[]", "{}", "null", '{"lrgen": 1}', "{"])
def test_conditions_that_cannot_be_read_are_refused(folder, text):
    """A run.json with other keys, other types or no JSON is an error that names it."""
    fill(folder, verdict())
    (folder / "run.json").write_text(text)
    with pytest.raises(ScoreError, match=r"run\.json: "):
        Results(folder, CONDITIONS)


def test_one_process_at_a_time_writes_to_a_folder(folder):
    """A second run in the same folder is refused while the first one is open."""
    with Results(folder, CONDITIONS), pytest.raises(ScoreError, match="another run is writing its results there"):
        Results(folder, CONDITIONS)
    Results(folder, CONDITIONS).close()


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("not JSON", "it is not JSON"),
        ("[" * 100_000, "it is not JSON"),
        ("[]", "it is not an object"),
        ('{"task_id": "a"}', "is missing or unknown"),
        ({"more": 1}, "'more' is missing or unknown"),
        ({"reward": "1"}, "reward cannot be '1'"),
        ({"reward": True}, "reward cannot be True"),
        ({"fraction": float("nan")}, "fraction cannot be nan"),
        ({"sample": 1.0}, "sample cannot be 1.0"),
        ({"check": "everything"}, "check cannot be 'everything'"),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_a_line_that_is_no_verdict_is_named(folder, line, reason):
    """A whole line that lrgen did not write is an error with its number, for a reader and for a resumed run."""
    fill(folder, verdict("a"), verdict("b"))
    path = folder / "results.jsonl"
    first, second = path.read_text().splitlines()
    wrong = line if isinstance(line, str) else json.dumps(json.loads(second) | line)
    path.write_text(f"{first}\n{wrong}\n")
    for reading in (lambda: results.read(folder), lambda: Results(folder, CONDITIONS)):
        with pytest.raises(ScoreError) as raised:
            reading()
        assert str(raised.value).startswith(f"{path}, line 2: is not a verdict: ")
        assert reason in str(raised.value)


def test_a_document_is_written_beside_the_results(folder):
    """A document is JSON, replaces an older one, and leaves no temporary file; NaN is refused."""
    with Results(folder, CONDITIONS) as written:
        written.write("summary.json", {"rows": 1})
        assert written.write("summary.json", {"rows": 2}) == folder / "summary.json"
        with pytest.raises(ValueError, match="nan"):
            written.write("summary.json", {"rows": float("nan")})
    assert json.loads((folder / "summary.json").read_text()) == {"rows": 2}
    assert sorted(path.name for path in folder.iterdir()) == ["results.jsonl", "run.json", "summary.json"]


def test_a_folder_that_cannot_be_created_is_an_error(tmp_path):
    """A path through a file is one sentence with the path."""
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="file/out: cannot be created"):
        Results(tmp_path / "file" / "out", CONDITIONS)
