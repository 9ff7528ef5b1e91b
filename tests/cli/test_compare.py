"""``lrgen verify --seeds`` makes the runs, ``lrgen results compare`` says what they say."""

import csv
import hashlib
import io
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from scipy import stats

from lrgen.catalogue import Catalogue
from lrgen.records import Candidate, EpochReport, Outcome, Stage, Status, VerifySettings
from lrgen.store import Series, Store
from lrgen.verify import run as verify
from lrgen.verify import verdicts
from tests.paths import TINY

# Right answers among a hundred, by variant and seed; 41 is the constant schedule.
RIGHT = {41: (80, 83, 78), 1: (90, 94, 87), 37: (81, 82, 80)}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(f"sqlite:///{tmp_path}/db/ab.nn.db")


@pytest.fixture
def save(store: Store, catalogue: Catalogue) -> Callable[..., None]:
    """Puts a run of two epochs of a variant into the store, the second with so many right answers of a hundred."""

    def saved(
        number: int, seed: int, right: int, source: str = "", status: Status = Status.VERIFIED, **asked: Any
    ) -> None:
        variant = catalogue.variant(number)
        candidate = Candidate(
            path=Path("file.py"),
            source=source,
            sha256=hashlib.sha256(f"{number} {source}".encode()).hexdigest(),
            model_name="ResNet",
            scheduler_type=variant.key,
            variant=variant,
            prm={"lr": 0.1},
        )
        measured = {"train_loss": 1.0, "train_accuracy": 0.5, "loss": 1.0, "lr": 0.1, "seconds": 1.0}
        epochs = tuple(
            EpochReport(epoch=epoch, confusion=((count, 100 - count), (0, 0)), **measured)
            for epoch, count in ((1, 10), (2, right))
        )
        failed = not status.ok
        outcome = Outcome(candidate, status, Stage.TRAINING, "for a reason" if failed else "", 2.0, epochs=epochs)
        store.save(outcome, verdicts.conditions_of(VerifySettings(seed=seed, **asked)), ("a", "b"))

    return saved


@pytest.fixture
def compare(lrgen: Callable[..., Any], save: Callable[..., None]) -> Callable[..., dict[str, Any]]:
    """The comparison of the three schedules of ``RIGHT``, as JSON."""
    for number, counts in RIGHT.items():
        for seed, right in enumerate(counts):
            save(number, seed, right)

    def run(*arguments: object) -> dict[str, Any]:
        code, out, err = lrgen("results", "compare", "--model", "ResNet", *arguments, "--json")
        assert (code, err) == (0, "")
        return json.loads(out)

    return run


def of(found: dict[str, Any], number: int) -> dict[str, Any]:
    [row] = [row for row in found["schedules"] if row["scheduler_type"] == f"A0_{number:03d}"]
    return row


def keys(found: dict[str, Any]) -> list[str]:
    return [row["scheduler_type"] for row in found["schedules"]]


# The comparison.


def test_each_schedule_is_compared_with_the_constant_one(compare):
    """Its best epochs over the seeds, and the paired interval that scipy has."""
    found = compare()
    assert (found["baseline"], found["confidence"], found["confidence_of_each"]) == ("A0_041", 0.95, 0.975)
    assert keys(found) == ["A0_001", "A0_037", "A0_041"]
    step = of(found, 1)
    assert (step["runs"], step["pairs"], step["variant_name"]) == (3, 3, "StepLR_default")
    assert step["mean"] == pytest.approx((0.90 + 0.94 + 0.87) / 3)
    wanted = stats.ttest_rel(RIGHT[1], RIGHT[41]).confidence_interval(0.975)
    assert (step["low"], step["high"]) == pytest.approx((wanted.low / 100, wanted.high / 100))
    assert [row["verdict"] for row in found["schedules"]] == ["better", "tie", "baseline"]
    assert [row["rank"] for row in found["schedules"]] == [1, 2, 2]


def test_the_baseline_can_be_chosen(compare):
    """By number or by name; the differences change their sign with it."""
    found = compare("--baseline", "StepLR_default")
    assert found["baseline"] == "A0_001"
    assert of(found, 41)["verdict"] == "worse"
    assert of(found, 41)["difference"] == pytest.approx(-of(compare(), 1)["difference"])


@pytest.mark.parametrize(
    ("selection", "selected", "baseline"),
    [
        (["--variant", "1", "--variant", "37"], ["A0_001", "A0_037"], "A0_001"),
        (["--variants", "1-37"], ["A0_001", "A0_037"], "A0_001"),
        (["--family", "constant"], ["A0_041"], "A0_041"),
        (["--variant", "1", "--baseline", "37"], ["A0_001", "A0_037"], "A0_037"),
    ],
)
def test_a_selection_is_compared(compare, selection, selected, baseline):
    """With a baseline that is named, the constant schedule if it is selected, else the best."""
    found = compare(*selection)
    assert (keys(found), found["baseline"]) == (selected, baseline)


def test_what_was_not_made_alike_is_left_out_and_counted(compare, save):
    """Other epochs, older bytes and a repetition of a seed are no further runs."""
    save(1, 3, 10, epochs=90)
    save(1, 0, 10, source="of before")
    save(1, 0, 90)
    found = compare()
    assert (of(found, 1)["runs"], found["left_out"]) == (3, 3)
    assert of(found, 1)["mean"] == pytest.approx((0.90 + 0.94 + 0.87) / 3)
    assert found["conditions"]["settings"]["epochs"] == 5
    assert "seed" not in found["conditions"]["settings"]


def test_a_schedule_that_was_only_made_otherwise_is_named(compare, save):
    """It has no row of numbers that nobody may compare."""
    save(51, 0, 99, epochs=90)
    found = compare("--baseline", "41")
    assert (found["absent"], found["left_out"]) == (["A0_051"], 1)
    assert "A0_051" not in keys(found)


def test_a_dataset_has_a_comparison_of_its_own(compare, save):
    """The newest run decides, or ``--dataset``."""
    save(1, 0, 50, dataset="cifar-10")
    save(1, 1, 60, dataset="cifar-10")
    assert keys(compare()) == ["A0_001"]
    assert compare("--dataset", "digits")["left_out"] == 0
    assert of(compare("--dataset", "cifar-10"), 1)["runs"] == 2


def test_recorded_numbers_are_not_pooled_with_executed_ones(compare, store):
    """What a caller brought is compared with what a caller brought."""
    for seed, accuracy in enumerate((0.1, 0.2)):
        store.record_epoch(Series("ResNet", "A0_041", "digits", seed=seed), 1, accuracy, 1.0)
    found = compare()
    assert keys(found) == ["A0_041"]
    assert (of(found, 41)["mean"], found["left_out"]) == (pytest.approx(0.15), 9)
    assert of(compare("--baseline", "1"), 41)["mean"] == pytest.approx((0.80 + 0.83 + 0.78) / 3)


def test_a_failed_run_counts_and_is_told(lrgen, save):
    """A seed under which a schedule does not learn is part of what it does."""
    save(41, 0, 90)
    save(41, 1, 10, status=Status.FAILED)
    code, out, _ = lrgen("results", "compare")
    assert code == 0
    assert "0.500 ± 0.566" in out
    assert "did not pass the checks, and count: 1" in out


# How it is printed.


def test_the_table_tells_what_is_compared_and_how(lrgen, compare, save):
    """Rank, schedule, runs, mean and deviation, difference, interval and verdict, and what the runs have in common."""
    save(51, 0, 90, epochs=90)
    save(1, 0, 90)
    code, out, err = lrgen("results", "compare", "--model", "ResNet")
    assert (code, err) == (0, "")
    header, best, _, baseline, *notes = out.splitlines()
    assert header.split() == ["rank", "schedule", "runs", "mean", "±", "sd", "difference", "interval", "verdict"]
    step = of(compare(), 1)
    assert best.split()[:6] == ["1", "StepLR_default", "3", "0.903", "±", "0.035"]
    assert f"{step['low']:+.3f}…{step['high']:+.3f}" in best
    assert baseline.split()[-3:] == ["–", "–", "baseline"]
    assert "digits, 5 epochs, cpu, torch" in notes[0]
    assert "95% confidence (97.50% each)" in notes[1]
    assert notes[2:] == [
        "left out: 2, made in another way or again under the same seed",
        "made in another way only: A0_051",
    ]
    assert max(map(len, out.splitlines())) <= 100


def test_the_longest_names_fit(lrgen, save, catalogue):
    """A table of any schedules is at most a hundred columns wide, and nothing of a name is lost."""
    longest = max(catalogue.variants, key=lambda one: len(one.name))
    for seed, right in enumerate((60, 63)):
        save(longest.number, seed, right)
        save(41, seed, 50 + seed)
    out = lrgen("results", "compare", "--variant", longest.number, "--baseline", "41")[1]
    assert max(map(len, out.splitlines())) <= 100
    assert longest.name in out


def test_csv_is_the_rows_of_json(lrgen, compare):
    """The same names, a line a schedule, empty where there is no number."""
    rows = list(csv.DictReader(io.StringIO(lrgen("results", "compare", "--csv")[1])))
    found = compare()["schedules"]
    assert list(rows[0]) == list(found[0])
    assert [float(row["mean"]) for row in rows] == [row["mean"] for row in found]
    assert [row["verdict"] for row in rows] == [row["verdict"] for row in found]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--model", "nobody"], "no run of nobody was evaluated: run lrgen verify --model nobody --seeds 3"),
        (["--dataset", "cifar-10"], "no run of ResNet on cifar-10 was evaluated"),
        (["--baseline", "7"], "no run of the baseline A0_007"),
        (["--baseline", "HF_constnt"], "unknown variant 'HF_constnt': did you mean HF_constant"),
        (["--metric", "acuracy"], "unknown metric 'acuracy': did you mean accuracy?"),
        (["--json", "--csv"], "--json and --csv exclude each other"),
    ],
)
def test_what_cannot_be_compared_is_told_in_one_sentence(lrgen, compare, arguments, told):
    """Exit code 2, one line with the value, nothing on stdout."""
    code, out, err = lrgen("results", "compare", *arguments)
    assert (code, out) == (2, "")
    assert told in err
    assert err.count("\n") == 1


# The runs.


@pytest.fixture
def tiny(lrgen: Callable[..., Any]) -> Callable[..., tuple[int, str, str]]:
    """Verifies a variant of a network that is trained in a second, under several seeds."""

    def run(*arguments: object) -> tuple[int, str, str]:
        return lrgen(
            *("verify", "--templates", TINY, "--model", "Tiny", "--variant", "1", "--device", "cpu", "--epochs", "2"),
            *arguments,
        )

    return run


def test_each_seed_is_a_run_of_its_own(tiny, lrgen, tmp_path):
    """Two seeds are two runs with their own numbers, which are reused by seed, go on where they ended, and compare."""
    code, out, err = tiny("--seed", "3", "--seeds", "2", "--json")
    first, second = json.loads(out)
    assert code == 0
    assert (first["seed"], second["seed"]) == (3, 4)
    assert first["accuracy"] != second["accuracy"]
    assert [line.split()[0] for line in err.splitlines()] == ["[1/2]", "[2/2]"]
    with sqlite3.connect(tmp_path / "db/ab.nn.db") as connection:
        recorded = connection.execute("SELECT seed, accuracy FROM lrgen_runs ORDER BY id").fetchall()
    assert recorded == [(3, first["accuracy"]), (4, second["accuracy"])]

    code, out, _ = tiny("--seed", "2", "--seeds", "3", "--json")
    assert [(row["seed"], row["reused"]) for row in json.loads(out)] == [(2, False), (3, True), (4, True)]
    assert [row["accuracy"] for row in json.loads(out)[1:]] == [first["accuracy"], second["accuracy"]]

    compared = json.loads(lrgen("results", "compare", "--model", "Tiny", "--json")[1])
    assert [(row["scheduler_type"], row["runs"]) for row in compared["schedules"]] == [("A0_001", 3)]
    assert compared["left_out"] == 0


def ended(status: Status, candidate: Candidate) -> Outcome:
    return Outcome(candidate, status, Stage.TRAINING, "" if status.ok else "for a reason", 1.0)


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The seeds under which files are verified; nothing is run, and under seed 1 all fail."""
    seeds: list[int] = []

    def verified(candidates: list[Candidate], settings: VerifySettings, *_: Any, started: Any, **__: Any) -> Any:
        seeds.append(settings.seed)
        started(0, {id(candidate): 1.0 for candidate in candidates})
        for candidate in reversed(candidates):
            yield ended(Status.FAILED if settings.seed == 1 else Status.VERIFIED, candidate)

    monkeypatch.setattr(verify, "verify", verified)
    return seeds


def test_the_table_names_the_seeds(lrgen, seen):
    """A row a run, a file's runs together in the order of their seeds; the failure says under which; the totals."""
    code, out, err = lrgen("verify", "--variant", "1-2", "--seeds", "3", "--device", "cpu")
    header, *rows = out.splitlines()
    assert (code, seen) == (1, [0, 1, 2])
    column = header.split().index("seed")
    assert [(row.split()[0], row.split()[column]) for row in rows[:6]] == [
        (f"ResNet/A0_00{number}", str(seed)) for number in (1, 2) for seed in range(3)
    ]
    assert "ResNet/A0_001 seed 1: training: for a reason" in out
    assert rows[-1].startswith("2 files in 6 runs: 4 verified, 2 failed; 0 results reused; ")
    assert err.splitlines()[-1].startswith("[6/6] ")


def test_the_time_that_is_left_is_that_of_all_seeds(monkeypatch, capfd):
    """After one of two files took ten seconds under the first of three seeds, five more runs take fifty."""
    from lrgen.cli import printing

    monkeypatch.setattr(printing.time, "monotonic", lambda: 0.0)
    files = [Candidate(Path(name), "", "", name, "A0_001", None, {}) for name in ("a", "b")]
    progress = printing.Progress("verifying", 6)
    progress.begin(0, {id(file): 3.0 for file in files})
    monkeypatch.setattr(printing.time, "monotonic", lambda: 10.0)
    progress.outcome(ended(Status.VERIFIED, files[0]))
    assert capfd.readouterr().err.endswith(", 50 s left\n")


def test_one_seed_is_told_as_before(lrgen, seen):
    """Without ``--seeds`` there is one run, under the seed that is asked for, and no column for it."""
    code, out, _ = lrgen("verify", "--variant", "1-2", "--seed", "7", "--device", "cpu")
    assert (code, seen) == (0, [7])
    assert "seed" not in out
    assert "2 files: 2 verified; " in out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--seeds", "2", "--stage", "schedule"], "with --stage schedule each run would be the same"),
        (["--seeds", "0"], "--seeds"),
    ],
)
def test_seeds_that_make_no_sense_are_refused(lrgen, seen, arguments, told):
    """What has no randomness is not repeated, and at least one run is made."""
    code, out, err = lrgen("verify", "--variant", "1", *arguments)
    assert (code, out, seen) == (2, "", [])
    assert told in err
