"""``lrgen verify --seeds`` makes runs over seeds, and ``lrgen results compare`` compares them."""

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
from lrgen.cli.printing import Progress
from lrgen.records import Candidate, EpochReport, Outcome, Stage, Status, VerifySettings
from lrgen.store import Series, Store
from lrgen.verify import run as verify
from lrgen.verify import verdicts
from tests.paths import TINY

# Correct predictions of a hundred, by variant and seed; 41 is the constant schedule.
CORRECT = {41: (80, 83, 78), 1: (90, 94, 87), 37: (81, 82, 80)}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(f"sqlite:///{tmp_path}/db/ab.nn.db")


@pytest.fixture
def save(store: Store, catalogue: Catalogue) -> Callable[..., None]:
    """Save a run of a variant with two epochs, the second with a number of correct predictions of a hundred."""

    def run(
        number: int, seed: int, right: int, source: str = "", status: Status = Status.VERIFIED, **settings: Any
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
        store.save(outcome, verdicts.conditions_of(VerifySettings(seed=seed, **settings)), ("a", "b"))

    return run


@pytest.fixture
def compare(lrgen: Callable[..., Any], save: Callable[..., None]) -> Callable[..., dict[str, Any]]:
    """The comparison of the three schedules of ``CORRECT``, as JSON."""
    for number, counts in CORRECT.items():
        for seed, right in enumerate(counts):
            save(number, seed, right)

    def run(*arguments: object) -> dict[str, Any]:
        code, out, err = lrgen("results", "compare", "--model", "ResNet", *arguments, "--json")
        assert (code, err) == (0, "")
        return json.loads(out)

    return run


def row_of(comparison: dict[str, Any], number: int) -> dict[str, Any]:
    """The row of a variant."""
    [row] = [row for row in comparison["schedules"] if row["scheduler_type"] == f"A0_{number:03d}"]
    return row


def keys(comparison: dict[str, Any]) -> list[str]:
    """The schedules of a comparison, in its order."""
    return [row["scheduler_type"] for row in comparison["schedules"]]


# The comparison.


def test_each_schedule_is_compared_with_the_constant_schedule(compare):
    """A row has the mean of the best epochs over the seeds and scipy's interval of a paired t-test."""
    comparison = compare()
    assert (comparison["baseline"], comparison["confidence"], comparison["confidence_of_each"]) == (
        "A0_041",
        0.95,
        0.975,
    )
    assert keys(comparison) == ["A0_001", "A0_037", "A0_041"]
    step = row_of(comparison, 1)
    assert (step["runs"], step["pairs"], step["variant_name"]) == (3, 3, "StepLR_default")
    assert step["mean"] == pytest.approx((0.90 + 0.94 + 0.87) / 3)
    expected = stats.ttest_rel(CORRECT[1], CORRECT[41]).confidence_interval(0.975)
    assert (step["low"], step["high"]) == pytest.approx((expected.low / 100, expected.high / 100))
    assert [row["verdict"] for row in comparison["schedules"]] == ["better", "tie", "baseline"]
    assert [row["rank"] for row in comparison["schedules"]] == [1, 2, 2]


def test_the_baseline_can_be_chosen(compare):
    """``--baseline`` names the baseline; exchanging two schedules changes the sign of their difference."""
    comparison = compare("--baseline", "StepLR_default")
    assert comparison["baseline"] == "A0_001"
    assert row_of(comparison, 41)["verdict"] == "worse"
    assert row_of(comparison, 41)["difference"] == pytest.approx(-row_of(compare(), 1)["difference"])


@pytest.mark.parametrize(
    ("selection", "selected", "baseline"),
    [
        (["--variant", "1", "--variant", "37"], ["A0_001", "A0_037"], "A0_001"),
        (["--variants", "1-37"], ["A0_001", "A0_037"], "A0_001"),
        (["--family", "constant"], ["A0_041"], "A0_041"),
        (["--variant", "1", "--baseline", "37"], ["A0_001", "A0_037"], "A0_037"),
    ],
)
def test_the_selected_schedules_are_compared(compare, selection, selected, baseline):
    """The baseline is the named schedule, else the constant schedule if it is selected, else the best."""
    comparison = compare(*selection)
    assert (keys(comparison), comparison["baseline"]) == (selected, baseline)


def test_runs_under_other_conditions_are_left_out_and_counted(compare, save):
    """Runs with other epochs, with an older file or with a repeated seed are not pooled with the others."""
    save(1, 3, 10, epochs=90)
    save(1, 0, 10, source="older")
    save(1, 0, 90)
    comparison = compare()
    assert (row_of(comparison, 1)["runs"], comparison["left_out"]) == (3, 3)
    assert row_of(comparison, 1)["mean"] == pytest.approx((0.90 + 0.94 + 0.87) / 3)
    assert comparison["conditions"]["settings"]["epochs"] == 5
    assert "seed" not in comparison["conditions"]["settings"]


def test_a_schedule_with_runs_under_other_conditions_only_is_named(compare, save):
    """A schedule without comparable runs has no row and is listed as absent."""
    save(51, 0, 99, epochs=90)
    comparison = compare("--baseline", "41")
    assert (comparison["absent"], comparison["left_out"]) == (["A0_051"], 1)
    assert "A0_051" not in keys(comparison)


def test_runs_on_one_dataset_are_compared(compare, save):
    """The dataset is that of ``--dataset``, else that of the newest run."""
    save(1, 0, 50, dataset="cifar-10")
    save(1, 1, 60, dataset="cifar-10")
    assert keys(compare()) == ["A0_001"]
    assert compare("--dataset", "digits")["left_out"] == 0
    assert row_of(compare("--dataset", "cifar-10"), 1)["runs"] == 2


def test_recorded_numbers_are_not_pooled_with_executed_ones(compare, store):
    """Numbers that a caller recorded are compared only with recorded numbers."""
    for seed, accuracy in enumerate((0.1, 0.2)):
        store.record_epoch(Series("ResNet", "A0_041", "digits", seed=seed), 1, accuracy, 1.0)
    comparison = compare()
    assert keys(comparison) == ["A0_041"]
    assert (row_of(comparison, 41)["mean"], comparison["left_out"]) == (pytest.approx(0.15), 9)
    assert row_of(compare("--baseline", "1"), 41)["mean"] == pytest.approx((0.80 + 0.83 + 0.78) / 3)


def test_a_failed_run_is_included_and_counted(lrgen, save):
    """A run that failed the training check is part of the mean, and the table counts it."""
    save(41, 0, 90)
    save(41, 1, 10, status=Status.FAILED)
    code, out, _ = lrgen("results", "compare")
    assert code == 0
    assert "0.500 ± 0.566" in out
    assert "runs that did not pass the checks and are included: 1\n" in out


# The table.


def test_the_table_has_the_comparison_and_its_conditions(lrgen, compare, save):
    """The columns are followed by the common conditions, the confidence and the runs that were left out."""
    save(51, 0, 90, epochs=90)
    save(1, 0, 90)
    code, out, err = lrgen("results", "compare", "--model", "ResNet")
    assert (code, err) == (0, "")
    header, best, _, baseline, *notes = out.splitlines()
    assert header.split() == ["rank", "schedule", "runs", "mean", "±", "sd", "difference", "interval", "verdict"]
    step = row_of(compare(), 1)
    assert best.split()[:6] == ["1", "StepLR_default", "3", "0.903", "±", "0.035"]
    assert f"{step['low']:+.3f}…{step['high']:+.3f}" in best
    assert baseline.split()[-3:] == ["–", "–", "baseline"]
    assert "digits, 5 epochs, cpu, torch" in notes[0]
    assert "intervals at 95% (97.50% each)" in notes[1]
    assert notes[2:] == [
        "runs left out: 2, made under other conditions or repeated with the same seed",
        "schedules with runs under other conditions only: A0_051",
    ]
    assert max(map(len, out.splitlines())) <= 100


def test_the_longest_name_fits_the_table(lrgen, save, catalogue):
    """With the longest name the table is at most 100 columns wide and has the whole name."""
    longest = max(catalogue.variants, key=lambda variant: len(variant.name))
    for seed, right in enumerate((60, 63)):
        save(longest.number, seed, right)
        save(41, seed, 50 + seed)
    out = lrgen("results", "compare", "--variant", longest.number, "--baseline", "41")[1]
    assert max(map(len, out.splitlines())) <= 100
    assert longest.name in out


def test_csv_is_the_rows_of_json(lrgen, compare):
    """The CSV has a line for each schedule, with the names and values of the JSON."""
    rows = list(csv.DictReader(io.StringIO(lrgen("results", "compare", "--csv")[1])))
    comparison = compare()["schedules"]
    assert list(rows[0]) == list(comparison[0])
    assert [float(row["mean"]) for row in rows] == [row["mean"] for row in comparison]
    assert [row["verdict"] for row in rows] == [row["verdict"] for row in comparison]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "nobody"], "no run of nobody was evaluated: run lrgen verify --model nobody --seeds 3"),
        (["--dataset", "cifar-10"], "no run of ResNet on cifar-10 was evaluated"),
        (["--baseline", "7"], "no run of the baseline A0_007"),
        (["--baseline", "HF_constnt"], "unknown variant 'HF_constnt': did you mean HF_constant"),
        (["--metric", "acuracy"], "unknown metric 'acuracy': did you mean accuracy?"),
        (["--json", "--csv"], "--json and --csv exclude each other"),
    ],
)
def test_a_comparison_that_is_not_possible_is_one_line_on_stderr(lrgen, compare, arguments, message):
    """The command exits with 2 and one line on stderr with the value, and prints nothing on stdout."""
    code, out, err = lrgen("results", "compare", *arguments)
    assert (code, out) == (2, "")
    assert err.startswith(f"lrgen: {message}")
    assert err.count("\n") == 1


# The runs.


@pytest.fixture
def tiny(lrgen: Callable[..., Any]) -> Callable[..., tuple[int, str, str]]:
    """Verify a variant of a network that trains in a second."""

    def run(*arguments: object) -> tuple[int, str, str]:
        return lrgen(
            *("verify", "--templates", TINY, "--model", "Tiny", "--variant", "1", "--device", "cpu", "--epochs", "2"),
            *arguments,
        )

    return run


def test_each_seed_is_a_run_of_its_own(tiny, lrgen, tmp_path):
    """Each seed has a recorded run; later commands reuse it by its seed, and the runs can be compared."""
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


def outcome_of(candidate: Candidate, status: Status) -> Outcome:
    """An outcome of the training check."""
    return Outcome(candidate, status, Stage.TRAINING, "" if status.ok else "for a reason", 1.0)


@pytest.fixture
def verified_seeds(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The seeds of a verification that runs nothing and fails all files with seed 1."""
    seeds: list[int] = []

    def verify_nothing(candidates: list[Candidate], settings: VerifySettings, *_: Any, started: Any, **__: Any) -> Any:
        seeds.append(settings.seed)
        started(0, {id(candidate): 1.0 for candidate in candidates})
        for candidate in reversed(candidates):
            yield outcome_of(candidate, Status.FAILED if settings.seed == 1 else Status.VERIFIED)

    monkeypatch.setattr(verify, "verify", verify_nothing)
    return seeds


def test_the_table_of_verify_has_the_seeds(lrgen, verified_seeds):
    """The table has one row for each run, ordered by file and seed; the failures and the totals name the seeds."""
    code, out, err = lrgen("verify", "--variant", "1-2", "--seeds", "3", "--device", "cpu")
    header, *rows = out.splitlines()
    assert (code, verified_seeds) == (1, [0, 1, 2])
    column = header.split().index("seed")
    assert [(row.split()[0], row.split()[column]) for row in rows[:6]] == [
        (f"ResNet/A0_00{number}", str(seed)) for number in (1, 2) for seed in range(3)
    ]
    assert "ResNet/A0_001 seed 1: training: for a reason" in out
    assert rows[-1].startswith("2 files in 6 runs: 4 verified, 2 failed; 0 results reused; ")
    assert err.splitlines()[-1].startswith("[6/6] ")


def test_the_remaining_time_includes_all_seeds(capfd):
    """After the first of six runs took ten seconds, fifty seconds remain."""
    seconds = 0.0
    files = [Candidate(Path(name), "", "", name, "A0_001", None, {}) for name in ("a", "b")]
    progress = Progress("verifying", 6, clock=lambda: seconds)
    progress.begin(0, {id(file): 3.0 for file in files})
    seconds = 10.0
    progress.outcome(outcome_of(files[0], Status.VERIFIED))
    assert capfd.readouterr().err.endswith(", 50 s left\n")


def test_the_remaining_time_of_counted_items(capfd):
    """After ten of forty items, of which six were done before, took eight seconds, sixty seconds remain."""
    seconds = 0.0
    progress = Progress("scoring", 0, clock=lambda: seconds)
    progress.restart(40, 6)
    seconds = 8.0
    progress.advance(4)
    assert capfd.readouterr().err == "scoring: 10 of 40, 60 s left\n"


def test_a_stage_has_a_line_and_counts_from_the_beginning(capfd):
    """What begins after the rows are made is named at once, and has a number and a time of its own."""
    seconds = 0.0
    progress = Progress("rows", 0, clock=lambda: seconds)
    seconds = 60.0
    progress.advance(40)
    progress.stage("writing rows", 40)
    seconds = 66.0
    progress.advance(10)
    assert capfd.readouterr().err == "rows: 40\nwriting rows\nwriting rows: 10 of 40, 18 s left\n"


def test_without_seeds_there_is_one_run_and_no_column(lrgen, verified_seeds):
    """Without ``--seeds`` each file has one run with the seed of ``--seed``, and the table has no column for it."""
    code, out, _ = lrgen("verify", "--variant", "1-2", "--seed", "7", "--device", "cpu")
    assert (code, verified_seeds) == (0, [7])
    assert "seed" not in out
    assert "2 files: 2 verified; " in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--seeds", "2", "--stage", "schedule"],
            "--seeds 2 repeats the training check, which --stage schedule does not reach",
        ),
        (["--seeds", "0"], "--seeds"),
    ],
)
def test_invalid_seeds_are_an_error(lrgen, verified_seeds, arguments, message):
    """``--seeds`` needs at least one run, and the training check if there are several."""
    code, out, err = lrgen("verify", "--variant", "1", *arguments)
    assert (code, out, verified_seeds) == (2, "", [])
    assert message in err
