"""Verification of files: claims, recorded outcomes, isolation, order, and interruptions."""

import contextlib
import dataclasses
import hashlib
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lrgen import catalogue as catalogues
from lrgen import data
from lrgen.catalogue import Catalogue, loader
from lrgen.errors import IsolationError, OutputError, StaleFileError, StoreError
from lrgen.records import Candidate, Outcome, ReferenceNetwork, Stage, Status, VerifySettings
from lrgen.render import output
from lrgen.render.renderer import Renderer
from lrgen.store import Store, key_of
from lrgen.verify import run as verify
from lrgen.verify import verdicts
from lrgen.verify.candidate import candidate_of
from lrgen.verify.engines import local
from lrgen.verify.isolation import Isolation
from lrgen.verify.sandbox import Mechanism
from tests.paths import FIXTURES

GOOD = FIXTURES / "training" / "passes_epoch_unit.py"  # claims variant 1
HANGS = FIXTURES / "contract" / "fails_endless_loop_in_init.py"
CONTRACT = VerifySettings(stage=Stage.CONTRACT)
TIMEOUT = 60.0  # seconds until a test gives up waiting for something that must happen


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "generated"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(f"sqlite:///{tmp_path / 'results.db'}")
    yield opened
    opened.close()


def pairs(catalogue: Catalogue, *numbers: int) -> list[output.Pair]:
    return [(catalogue.architecture("ResNet"), catalogue.variant(number)) for number in numbers]


def copy(source: Path, target: Path, appended: str = "") -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(source.read_bytes() + appended.encode())
    return target


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


# Rendered files.


def test_missing_files_of_a_selection_are_rendered(catalogue, out):
    """Missing files are rendered, and each is checked against its variant with the recipe of its architecture."""
    selection = pairs(catalogue, 1, 36)
    candidates = verify.from_selection(catalogue, selection, out)
    renderer = Renderer(catalogue)
    for candidate, (architecture, variant) in zip(candidates, selection, strict=True):
        file = renderer.render(architecture, variant)
        assert candidate.path == out / "ResNet" / f"{variant.key}.py"
        assert candidate.path.read_text(encoding="utf-8") == candidate.source == file.text
        assert candidate.sha256 == file.sha256
        assert (candidate.model_name, candidate.scheduler_type) == ("ResNet", variant.key)
        assert candidate.variant == variant
        recipe = architecture.recipe
        assert candidate.prm == {"lr": recipe.lr, "momentum": recipe.momentum, "dropout": recipe.dropout}


def test_existing_files_are_not_rendered_again(catalogue, out):
    """A file that exists, and its manifest, are not written."""
    selection = pairs(catalogue, 1)
    (before,) = verify.from_selection(catalogue, selection, out)
    times = before.path.stat().st_mtime_ns, (before.path.parent / "manifest.json").stat().st_mtime_ns
    assert verify.from_selection(catalogue, selection, out) == [before]
    assert times == (before.path.stat().st_mtime_ns, (before.path.parent / "manifest.json").stat().st_mtime_ns)


def test_a_file_that_differs_from_the_catalogue_is_an_error(catalogue, out):
    """A file with other bytes than the catalogue renders is neither verified nor overwritten."""
    selection = pairs(catalogue, 1, 2, 3)
    first, second, _ = verify.from_selection(catalogue, selection, out)
    copy(first.path, first.path, "# by hand\n")
    with pytest.raises(StaleFileError) as raised:
        verify.from_selection(catalogue, selection, out)
    assert str(raised.value) == f"{first.path} differs from the catalogue: run lrgen render"
    copy(second.path, second.path, "# by hand\n")
    with pytest.raises(
        StaleFileError, match=r"A0_001\.py differs from the catalogue \(2 files differ\): run lrgen render$"
    ):
        verify.from_selection(catalogue, selection, out)
    assert first.path.read_text().endswith("# by hand\n")
    assert len(verify.from_selection(catalogue, selection[2:], out)) == 1


def test_a_manifest_that_differs_from_the_catalogue_is_an_error(catalogue, out):
    """A file whose manifest disagrees with the catalogue is not verified."""
    selection = pairs(catalogue, 1)
    verify.from_selection(catalogue, selection, out)
    manifest = out / "ResNet" / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"number": 1', '"number": 2'))
    with pytest.raises(StaleFileError, match=r"/ResNet/manifest\.json describes A0_001 differently: run lrgen render$"):
        verify.from_selection(catalogue, selection, out)


def test_a_file_that_changes_after_the_comparison_does_not_pass_for_rendered(catalogue, out, monkeypatch):
    """A file that is replaced between the comparison with the catalogue and its verification is an error."""
    selection = pairs(catalogue, 1)
    (before,) = verify.from_selection(catalogue, selection, out)
    check = output.check

    def compare_and_replace(*arguments: Any) -> list[output.Mismatch]:
        mismatches = check(*arguments)
        before.path.write_text("import os\n")
        return mismatches

    monkeypatch.setattr(output, "check", compare_and_replace)
    with pytest.raises(StaleFileError, match=r"/A0_001\.py changes while it is read: run lrgen render$"):
        verify.from_selection(catalogue, selection, out)


# Files by path.


@pytest.fixture
def rendered_file(catalogue: Catalogue, out: Path) -> Path:
    (candidate,) = verify.from_selection(catalogue, pairs(catalogue, 6), out)
    return candidate.path


def test_a_manifest_identifies_a_rendered_file(catalogue, rendered_file, tmp_path):
    """A file is checked against the variant that the manifest beside it has for its hash."""
    (candidate,) = verify.from_paths(catalogue, [rendered_file], tmp_path / "elsewhere")
    assert (candidate.model_name, candidate.scheduler_type) == ("ResNet", "A0_006")
    assert candidate.variant == catalogue.variant(6)
    assert candidate.prm["lr"] == catalogue.architecture("ResNet").recipe.lr


def test_a_copy_of_a_rendered_file_is_identified_by_its_hash(catalogue, rendered_file, out, tmp_path):
    """A copy under another name is checked against the same variant if its bytes are the same."""
    moved = copy(rendered_file, tmp_path / "mine" / "network.py")
    (candidate,) = verify.from_paths(catalogue, [moved], out)
    assert (candidate.path, candidate.model_name, candidate.scheduler_type) == (moved, "ResNet", "A0_006")
    assert candidate.variant == catalogue.variant(6)
    edited = copy(rendered_file, tmp_path / "mine" / "edited.py", "# one more line\n")
    (candidate,) = verify.from_paths(catalogue, [edited], out)
    assert (candidate.model_name, candidate.variant) == ("edited", None)


def test_a_claim_wins_over_a_manifest(catalogue, rendered_file, out):
    """A claimed schedule or model replaces what the manifest says; only a claim that agrees keeps lrgen's names."""
    resnet, other = catalogue.architecture("ResNet"), catalogue.architecture("ResNet18")
    cases = [
        ((catalogue.variant(6), resnet), ("ResNet", catalogue.variant(6), True)),
        ((None, resnet), ("ResNet", catalogue.variant(6), True)),
        ((catalogue.variant(1), None), ("A0_006", catalogue.variant(1), False)),
        ((None, other), ("A0_006", None, False)),
    ]
    for (claim, model), expected in cases:
        (candidate,) = verify.from_paths(catalogue, [rendered_file], out, claim, model)
        assert (candidate.model_name, candidate.variant, candidate.rendered) == expected
        assert (candidate.reference and candidate.reference.name) == (model and model.name)


def test_a_claimed_model_brings_its_network(catalogue, out, tmp_path):
    """The reference of a claimed model is the code of its network, for a path and for a text."""
    path, resnet = copy(GOOD, tmp_path / "network.py"), catalogue.architecture("ResNet")
    renderer = Renderer(catalogue)
    (candidate,) = verify.from_paths(catalogue, [path], out, None, resnet)
    assert candidate.reference == ReferenceNetwork("ResNet", renderer.network(resnet))
    text = verify.from_source(catalogue, renderer, path, path.read_bytes(), out, None, resnet)
    assert text == candidate


def test_a_foreign_file_is_checked_against_its_claim(catalogue, out, tmp_path):
    """Its key is its stem with eight digits of its hash, and its variant is the claimed one."""
    path = copy(GOOD, tmp_path / "my network.py")
    (candidate,) = verify.from_paths(catalogue, [path], out, catalogue.variant(1))
    assert candidate.model_name == "my network"
    assert candidate.scheduler_type == f"file-{sha256(path)[:8]}"
    assert candidate.sha256 == sha256(path)
    assert candidate.variant == catalogue.variant(1)
    assert set(candidate.prm) == {"lr", "momentum", "dropout"}


def test_a_foreign_file_without_a_claim_is_unclaimed(catalogue, out, tmp_path, store):
    """A file that passes the schedule check without a claim is unclaimed."""
    path = copy(GOOD, tmp_path / "network.py")
    (candidate,) = verify.from_paths(catalogue, [path], out)
    assert candidate.variant is None
    assert candidate.scheduler_type == f"file-{sha256(path)[:8]}"
    settings = VerifySettings(stage=Stage.SCHEDULE)
    (outcome,) = verify.verify([candidate], settings, store, workers=1, timeout=60)
    assert (outcome.status, outcome.stage) == (Status.UNCLAIMED, Stage.SCHEDULE)
    assert outcome.reason == "there is no variant to compare its schedule with"


def test_a_folder_without_python_files_is_an_error(catalogue, out, rendered_file):
    """Subfolders are not searched, so a folder above rendered files is an error and not a success without files."""
    with pytest.raises(OutputError, match=r"^.*: the folder contains no Python file; its subfolders are not searched$"):
        verify.from_paths(catalogue, [rendered_file.parent.parent], out)


def test_a_folder_stands_for_the_python_files_in_it(catalogue, out, tmp_path):
    """The Python files directly in a folder are taken in the order of their names."""
    for name in ("b.py", "a.py", "notes.txt", "deeper/c.py"):
        copy(GOOD, tmp_path / "files" / name, f"# {name}\n")
    candidates = verify.from_paths(catalogue, [tmp_path / "files", tmp_path / "files/deeper/c.py"], out)
    assert [candidate.model_name for candidate in candidates] == ["a", "b", "c"]


def test_bytes_that_are_not_utf8_reach_the_checks(catalogue, out, tmp_path):
    """A file that is not UTF-8 is a candidate, whose source keeps its bytes."""
    path = tmp_path / "latin.py"
    path.write_bytes(b"# caf\xe9\n")
    (candidate,) = verify.from_paths(catalogue, [path], out)
    assert candidate.source.encode("utf-8", "surrogateescape") == b"# caf\xe9\n"
    assert candidate.sha256 == sha256(path)


@pytest.mark.parametrize(
    ("path_kind", "cause"), [("missing", "No such file or directory"), ("a folder called .py", "Is a directory")]
)
def test_an_unreadable_path_is_an_error(catalogue, out, tmp_path, path_kind, cause):
    """The error names a path that is not a file."""
    path = tmp_path / "files" / "network.py"
    if path_kind == "missing":
        argument = path
    else:
        path.mkdir(parents=True)
        argument = path.parent
    with pytest.raises(OutputError, match=f"^{re.escape(str(path))}: cannot be read: {cause}$"):
        verify.from_paths(catalogue, [argument], out)


@pytest.mark.parametrize("kind", ["fifo", "device"])
def test_only_regular_files_are_read(catalogue, out, tmp_path, kind):
    """A FIFO and a device are errors, and nothing waits for their end."""
    path = Path("/dev/zero") if kind == "device" else tmp_path / "network.py"
    if kind == "fifo":
        os.mkfifo(path)
    with pytest.raises(OutputError, match=f"^{re.escape(str(path))}: cannot be read: Not a regular file$"):
        verify.from_paths(catalogue, [path], out)


def test_a_file_is_read_up_to_the_size_limit_of_the_syntax_check(catalogue, out, tmp_path, store):
    """Of a terabyte one byte more than the limit is read, and the file fails the syntax check for its size."""
    path = tmp_path / "huge.py"
    path.touch()
    os.truncate(path, 1 << 40)
    (candidate,) = verify.from_paths(catalogue, [path], out)
    assert len(candidate.source) == 1_000_001
    settings = VerifySettings(stage=Stage.SYNTAX)
    (outcome,) = verify.verify([candidate], settings, store, workers=1, timeout=60)
    assert (outcome.status, outcome.reason) == (Status.FAILED, "the file has more than 1,000,000 bytes")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("garbage", r"Expecting value: line 1 column 1 \(char 0\)"),
        ("[]", "files is not a table of entries"),
        ("[" * 100_000, "nested too deeply"),
        ('{"files": {"A0_001": {"sha256": {}, "architecture": "ResNet", "number": 1}}}', "A0_001 has no sha256, .*"),
        ('{"files": []}', "files is not a table of entries"),
        ('{"files": {"A0_001": {}}}', "A0_001 has no sha256, architecture or number"),
    ],
)
def test_an_invalid_manifest_is_an_error(catalogue, out, tmp_path, text, fault):
    """The error names the path of the manifest."""
    path = copy(GOOD, tmp_path / "files" / "network.py")
    (path.parent / "manifest.json").write_text(text)
    with pytest.raises(OutputError, match=rf"/files/manifest\.json: not a manifest: {fault}$"):
        verify.from_paths(catalogue, [path], out)


# Recorded outcomes.


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A fake engine: ends files with given statuses, and records the files and options that it receives."""
    state: dict[str, Any] = {"statuses": {}, "ran": [], "runs": [], "closed": False, "limits": None}
    state |= {"isolation": "process", "seconds": {}}

    def outcomes(candidates: list[Candidate]) -> Iterator[Outcome]:
        try:
            for candidate in candidates:
                state["ran"].append(candidate.model_name)
                status = state["statuses"].get(candidate.model_name, Status.VERIFIED)
                seconds = state["seconds"].get(candidate.model_name, 1.0)
                made = {"isolation": state["isolation"], "case_seed": state["case_seed"]}
                yield Outcome(candidate, status, Stage.TRAINING, "", seconds, **made)
        finally:
            state["closed"] = True

    def run(
        candidates: Any, settings: VerifySettings, dataset: Any, *, workers: int, **options: Any
    ) -> Iterator[Outcome]:
        # The reference keeps the generator alive: only its user closes it, not the garbage collector.
        state["limits"], state["case_seed"] = options["limits"], options["case_seed"]
        state["outcomes"] = outcomes(candidates)
        state["runs"].append((options["mechanism"], [candidate.model_name for candidate in candidates]))
        return state["outcomes"]

    monkeypatch.setattr(local, "run", run)
    monkeypatch.setattr(data, "load", lambda name, *_: data.Dataset(name, (), *[None] * 4))
    return state


def candidates(tmp_path: Path, *names: str) -> list[Candidate]:
    paths = [copy(GOOD, tmp_path / "files" / f"{name}.py", f"# {name}\n") for name in names]
    return [candidate_of(path, path.read_bytes()) for path in paths]


def names(outcomes: list[Outcome]) -> list[str]:
    return [outcome.candidate.model_name for outcome in outcomes]


def test_an_unchanged_file_is_not_run_twice(fake, store, tmp_path):
    """The outcome of an unchanged file is reused, except with ``force``; a changed file is run."""
    files = candidates(tmp_path, "a", "b", "c")
    reused: list[int] = []

    def run(files: list[Candidate], **options: Any) -> list[Outcome]:
        fake["ran"].clear()
        options = {"workers": 1, "timeout": 60, "started": lambda count, expected: reused.append(count)} | options
        return list(verify.verify(files, VerifySettings(), store, **options))

    assert [outcome.reused for outcome in run(files)] == [False] * 3
    assert [outcome.reused for outcome in run(files)] == [True] * 3
    assert fake["ran"] == []
    changed = [*files[:2], *candidates(tmp_path, "d")]
    assert names(run(changed)) == ["a", "b", "d"]  # reused outcomes come first
    assert fake["ran"] == ["d"]
    assert len(run(files, force=True)) == 3
    assert fake["ran"] == ["a", "b", "c"]
    assert reused == [0, 3, 2, 0]


def test_outcomes_that_are_not_final_are_not_reused(fake, store, tmp_path):
    """After a timeout, a crash or a lack of memory a file is run again; after a failure it is not."""
    files = candidates(tmp_path, "a", "b", "c", "d")
    statuses = dict(zip("abcd", (Status.TIMED_OUT, Status.CRASHED, Status.OUT_OF_MEMORY, Status.FAILED), strict=True))
    fake["statuses"] = statuses
    for _ in range(2):
        outcomes = list(verify.verify(files, VerifySettings(), store, workers=1, timeout=60))
        assert {outcome.candidate.model_name: outcome.status for outcome in outcomes} == statuses
    assert fake["ran"] == ["a", "b", "c", "d", "a", "b", "c"]


@pytest.mark.parametrize(
    "changed",
    [
        {"epochs": 6},
        {"seed": 1},
        {"batch_size": 32},
        {"stage": Stage.SCHEDULE},
        {"policy": "lemur"},
        {"dataset": "other"},
    ],
    ids=str,
)
def test_a_result_is_reused_for_the_same_settings_only(fake, store, tmp_path, changed):
    """A file is run again if a setting differs from that of its recorded result."""
    files = candidates(tmp_path, "a")
    settings = VerifySettings()
    list(verify.verify(files, settings, store, workers=1, timeout=60))
    list(verify.verify(files, dataclasses.replace(settings, **changed), store, workers=1, timeout=60))
    list(verify.verify(files, settings, store, workers=1, timeout=60))
    assert fake["ran"] == ["a", "a"]


def test_a_result_of_another_case_seed_is_not_taken_for_it(fake, store, tmp_path):
    """A file is run again for a case seed of its own; without one, each run has a new one and any result is reused."""
    [file] = candidates(tmp_path, "a")

    def seeds(**options: Any) -> list[tuple[int | None, bool]]:
        outcomes = verify.verify([file], VerifySettings(), store, workers=1, timeout=60, **options)
        return [(outcome.case_seed, outcome.reused) for outcome in outcomes]

    [(drawn, reused)] = seeds()
    assert not reused
    assert seeds() == [(drawn, True)]
    assert seeds(case_seed=drawn) == [(drawn, True)]
    assert seeds(case_seed=3) == [(3, False)]
    assert seeds(case_seed=3) == [(3, True)]
    [(again, reused)] = seeds(force=True)
    assert not reused
    assert again not in (drawn, 3)


def test_a_file_that_is_named_twice_has_two_outcomes(fake, store, tmp_path):
    """A file that is requested twice has two outcomes, reused or not."""
    files = candidates(tmp_path, "a") * 2
    for _ in range(2):
        assert names(list(verify.verify(files, VerifySettings(), store, workers=1, timeout=60))) == ["a", "a"]


def test_outcomes_are_recorded_before_they_are_yielded(fake, store, tmp_path):
    """A caller that stops iterating has all yielded outcomes recorded, and the run is closed."""
    files = candidates(tmp_path, "a", "b", "c")
    outcomes = verify.verify(files, VerifySettings(), store, workers=1, timeout=60)
    first = next(outcomes)
    outcomes.close()
    assert fake["closed"]
    assert set(store.reusable(files, verdicts.conditions_of(VerifySettings()))) == {key_of(first.candidate)}


def test_an_error_of_the_database_ends_the_run(fake, store, tmp_path, monkeypatch):
    """An error of the store is raised at once, and the run is closed."""
    files = candidates(tmp_path, "a", "b")

    def save(*_: object) -> None:
        raise StoreError("the disk is full")

    monkeypatch.setattr(store, "save_all", save)
    with pytest.raises(StoreError, match="^the disk is full$"):
        list(verify.verify(files, VerifySettings(), store, workers=1, timeout=60))
    assert fake["ran"] == ["a"]
    assert fake["closed"]


def test_an_unusable_database_is_an_error_before_any_file_is_run(fake, tmp_path):
    """A database that cannot be opened is an error, and no file is run."""
    (tmp_path / "file").touch()
    broken = Store(f"sqlite:///{tmp_path}/file/results.db")
    with pytest.raises(StoreError, match=r"/file/results\.db: File exists$"):
        list(verify.verify(candidates(tmp_path, "a"), VerifySettings(), broken, workers=1, timeout=60))
    assert fake["ran"] == []


def test_the_dataset_is_loaded_for_training_only(fake, store, tmp_path, monkeypatch):
    """The stages before training do not load the dataset."""

    def load(name: str, *_: object) -> None:
        raise AssertionError("the dataset is loaded")

    monkeypatch.setattr(data, "load", load)
    for stage in (Stage.SYNTAX, Stage.POLICY, Stage.CONTRACT, Stage.SCHEDULE):
        list(verify.verify(candidates(tmp_path, "a"), VerifySettings(stage=stage), store, workers=1, timeout=60))
    with pytest.raises(AssertionError, match="^the dataset is loaded$"):
        list(verify.verify(candidates(tmp_path, "a"), VerifySettings(), store, workers=1, timeout=60))


def test_workers_share_the_memory(fake, store, tmp_path):
    """Each worker may use an equal fraction of 90% of the memory, and the given time."""
    limits = []
    for workers in (1, 4):
        files = candidates(tmp_path, f"a{workers}")
        list(verify.verify(files, VerifySettings(), store, workers=workers, timeout=60 * workers))
        limits.append(fake["limits"])
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert limits[0].memory == pytest.approx(0.9 * machine, rel=0.01)
    assert limits[1].memory == pytest.approx(0.9 * machine / 4, rel=0.01)
    assert [limit.seconds for limit in limits] == [60, 240]


def test_a_run_records_its_measurements(catalogue, store, out, tmp_path):
    """A verified file has its accuracy and class results in the database, and its outcome is reused."""
    path = copy(GOOD, tmp_path / "network.py")
    files = verify.from_paths(catalogue, [path], out, catalogue.variant(1))
    (outcome,) = verify.verify(files, VerifySettings(), store, workers=1, timeout=60)
    assert outcome.status is Status.VERIFIED, outcome.reason
    assert len(outcome.epochs) == 5
    assert outcome.accuracy == max(epoch.accuracy for epoch in outcome.epochs) >= 0.5
    (best,) = store.best()
    assert best["accuracy"] == outcome.accuracy
    classes = store.classes("network", f"file-{sha256(path)[:8]}")
    assert [row["class_name"] for row in classes] == list("0123456789")
    assert sum(row["support"] for row in classes) == len(data.load("digits").test_labels)
    correct = sum(row["recall"] * row["support"] for row in classes)
    assert correct / sum(row["support"] for row in classes) == pytest.approx(outcome.accuracy)
    (again,) = verify.verify(files, VerifySettings(), store, workers=1, timeout=60)
    assert (again.status, again.accuracy, again.reused) == (Status.VERIFIED, outcome.accuracy, True)


# Isolation and order.


def as_rendered(candidate: Candidate) -> Candidate:
    return dataclasses.replace(candidate, rendered=True)


def mechanisms(fake: dict[str, Any]) -> dict[str, Mechanism]:
    """The mechanism that isolated each file."""
    return {name: mechanism for mechanism, run in fake["runs"] for name in run}


def test_foreign_files_run_in_a_sandbox(fake, store, tmp_path, monkeypatch):
    """A rendered file runs in a plain process, a foreign file in the strongest sandbox."""
    monkeypatch.setattr(verify.isolations, "available", lambda: Mechanism.LANDLOCK)
    rendered, foreign = candidates(tmp_path, "rendered", "foreign")
    list(verify.verify([foreign, as_rendered(rendered)], CONTRACT, store, workers=1, timeout=60))
    assert mechanisms(fake) == {"rendered": Mechanism.PROCESS, "foreign": Mechanism.LANDLOCK}


@pytest.mark.parametrize(
    ("isolation", "mechanism"), [(Isolation.PROCESS, Mechanism.PROCESS), (Isolation.SANDBOX, Mechanism.NAMESPACES)]
)
def test_a_requested_isolation_applies_to_all_files(fake, store, tmp_path, monkeypatch, isolation, mechanism):
    """A requested isolation applies to rendered and foreign files."""
    monkeypatch.setattr(verify.isolations, "available", lambda: Mechanism.NAMESPACES)
    rendered, foreign = candidates(tmp_path, "rendered", "foreign")
    list(verify.verify([foreign, as_rendered(rendered)], CONTRACT, store, workers=1, timeout=60, isolation=isolation))
    assert set(mechanisms(fake).values()) == {mechanism}


def test_without_a_sandbox_no_file_is_run(fake, store, tmp_path, monkeypatch):
    """Without a sandbox the error comes before any file is run, even for rendered files."""

    def refuse() -> Mechanism:
        raise IsolationError("this machine provides no sandbox")

    monkeypatch.setattr(verify.isolations, "available", refuse)
    rendered, foreign = candidates(tmp_path, "rendered", "foreign")
    with pytest.raises(IsolationError, match="^this machine provides no sandbox$"):
        list(verify.verify([as_rendered(rendered), foreign], CONTRACT, store, workers=1, timeout=60))
    assert fake["ran"] == []


@pytest.mark.parametrize("entry", [("ResNet", 41), ("ResNet", 6), ("NoSuchNet", 6), ("ResNet", 10_000)])
def test_an_edited_manifest_gives_a_file_no_names(catalogue, rendered_file, tmp_path, entry):
    """A file that a manifest lists as ResNet, and that the catalogue does not render, is a file without a claim."""
    [known] = verify.from_paths(catalogue, [rendered_file], tmp_path / "elsewhere")
    assert known.rendered
    copy(GOOD, rendered_file)
    manifest = rendered_file.parent / output.MANIFEST
    listed = json.loads(manifest.read_text())
    listed["files"][rendered_file.stem] |= {
        "sha256": sha256(rendered_file),
        "architecture": entry[0],
        "number": entry[1],
    }
    manifest.write_text(json.dumps(listed))
    [forged] = verify.from_paths(catalogue, [rendered_file], tmp_path / "elsewhere")
    assert (forged.rendered, forged.model_name, forged.variant) == (False, "A0_006", None)
    assert forged.scheduler_type == f"file-{forged.sha256[:8]}"


def test_the_isolation_is_recorded(fake, store, tmp_path):
    """A reused outcome has the isolation that was recorded."""
    files = candidates(tmp_path, "a")
    fake["isolation"] = "landlock"
    list(verify.verify(files, CONTRACT, store, workers=1, timeout=60, isolation=Isolation.PROCESS))
    [reused] = verify.verify(files, CONTRACT, store, workers=1, timeout=60, isolation=Isolation.PROCESS)
    assert (reused.reused, reused.isolation) == (True, "landlock")


def test_the_longest_files_run_first(fake, store, tmp_path):
    """Files run by their last duration, the longest first; an unknown network has the maximum."""
    files = candidates(tmp_path, "short", "long", "middle")
    fake["seconds"] = {"short": 1.0, "long": 9.0, "middle": 4.0}
    options = {"workers": 1, "timeout": 60, "isolation": Isolation.PROCESS}
    list(verify.verify(files, CONTRACT, store, **options))
    fake["ran"].clear()
    forecast: dict[int, float] = {}
    again = [*candidates(tmp_path, "short", "long", "middle"), *candidates(tmp_path, "unknown")]
    list(
        verify.verify(
            again, CONTRACT, store, force=True, started=lambda _, expected: forecast.update(expected), **options
        )
    )
    assert fake["ran"] == ["long", "unknown", "middle", "short"]
    assert [forecast[id(candidate)] for candidate in again] == [1.0, 9.0, 4.0, 9.0]


def test_the_first_file_of_each_network_runs_first(catalogue, fake, store, tmp_path):
    """No two workers then execute the contract of one network."""
    pairs = output.pairs([catalogue.architecture(name) for name in ("ResNet", "VGG")], catalogue.variants[:2])
    files = verify.from_selection(catalogue, pairs, tmp_path / "out")
    list(verify.verify(files, CONTRACT, store, workers=1, timeout=60))
    assert fake["ran"] == ["ResNet", "VGG", "ResNet", "VGG"]


def test_durations_are_recorded_by_stage(fake, store, tmp_path):
    """The duration of the contract check does not predict that of training."""
    options = {"workers": 1, "timeout": 60, "isolation": Isolation.PROCESS}
    list(verify.verify(candidates(tmp_path, "a"), CONTRACT, store, **options))
    key = candidates(tmp_path, "a")[0].scheduler_type
    assert store.durations(verdicts.conditions_of(CONTRACT)) == {("a", key): 1.0}
    assert store.durations(verdicts.conditions_of(VerifySettings())) == {}


def test_an_edited_template_affects_only_the_files_that_use_it(fake, store, tmp_path, monkeypatch):
    """After an edit of one schedule's template, only its files are verified again."""
    templates = shutil.copytree(catalogues.SHIPPED, tmp_path / "templates")
    monkeypatch.setattr(loader, "SHIPPED", templates)
    options = {"workers": 1, "timeout": 60}

    def verified() -> list[str]:
        catalogue = catalogues.load()
        selection = output.pairs([catalogue.architecture("ResNet")], catalogue.select(families=["step"]))
        output.generate(catalogue, selection, tmp_path / "out")
        files = verify.from_selection(catalogue, selection, tmp_path / "out")
        fake["ran"].clear()
        outcomes = list(verify.verify(files, CONTRACT, store, **options))
        assert len(outcomes) == len(files) > 10
        return sorted(outcome.candidate.scheduler_type for outcome in outcomes if not outcome.reused)

    assert len(verified()) > 10
    assert verified() == []
    template = templates / "schedulers/step/step.py.jinja"
    template.write_text(template.read_text().replace("step_size = ", "step_size = 0 + "))
    using = [variant.key for variant in catalogues.load().family("step").variants if variant.template == "step"]
    assert verified() == sorted(using)
    assert verified() == []


def test_only_files_that_changed_since_a_manifest_are_selected(catalogue, out, tmp_path):
    """Files with a hash in an older manifest are left out, and a missing manifest is an error."""
    files = verify.from_selection(catalogue, pairs(catalogue, 1, 13, 31), out)
    old = shutil.copy(files[0].path.parent / output.MANIFEST, tmp_path / "old.json")
    assert verify.changed_since(files, [old]) == []
    listed = json.loads(old.read_text())
    listed["files"]["A0_013"]["sha256"] = "0" * 64
    old.write_text(json.dumps(listed))
    assert [candidate.scheduler_type for candidate in verify.changed_since(files, [old])] == ["A0_013"]
    with pytest.raises(OutputError, match=r"/nowhere\.json: there is no such manifest$"):
        verify.changed_since(files, [tmp_path / "nowhere.json"])


# The program as a whole: its imports, and its interruptions.

COMMAND_LINE = """
import json, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # whatever the parent ignores
from lrgen.__main__ import main
try:
    main()
finally:
    print(json.dumps(sorted(sys.modules)), file=sys.stderr)
"""


def environment(**values: object) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LRGEN_")}
    return kept | {name: str(value) for name, value in values.items()}


def test_a_run_of_recorded_files_does_not_load_torch(lrgen, tmp_path):
    """A second ``lrgen verify`` of unchanged files imports neither torch nor the dataset."""
    copy(GOOD, tmp_path / "a.py")
    copy(GOOD, tmp_path / "b.py", "# b\n")
    arguments = ["verify", "a.py", "b.py", "--stage", "contract", "--device", "cpu"]
    assert lrgen(*arguments)[0] == 0
    command = [sys.executable, "-c", COMMAND_LINE, *arguments]
    done = subprocess.run(command, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "2 files: 2 passed up to contract; 2 results reused;" in done.stdout
    modules = set(json.loads(done.stderr.splitlines()[-1]))
    assert "lrgen.verify.run" in modules
    assert {"torch", "sklearn", "pandas", "lrgen.verify.engines.local"} & modules == set()


@dataclasses.dataclass
class Batch:
    """A running ``lrgen verify`` of one good file and some that hang."""

    process: subprocess.Popen[str]
    folder: Path
    arguments: list[str]

    @property
    def database(self) -> Path:
        return self.folder / "results.db"

    @property
    def scratch(self) -> Path:
        return self.folder / "scratch"

    def children(self) -> list[int]:
        """The processes whose current folder is a scratch folder, even a removed one."""
        pids = []
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if str(self.scratch) in str((entry / "cwd").readlink()):
                    pids.append(int(entry.name))
        return pids

    def recorded(self) -> list[tuple[str, str]]:
        """Model and status of each run in the database."""
        with contextlib.closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as connection:
            try:
                return connection.execute("SELECT model_name, status FROM lrgen_runs ORDER BY id").fetchall()
            except sqlite3.OperationalError:  # the table does not exist yet
                return []

    def wait_until(self, condition: Callable[[], bool], event: str) -> None:
        deadline = time.monotonic() + TIMEOUT
        while not condition():
            if self.process.poll() is not None:
                pytest.fail(f"ended before {event}: {self.process.communicate()}")
            assert time.monotonic() < deadline, f"waited in vain for {event}"
            time.sleep(0.02)


@contextlib.contextmanager
def batch(folder: Path, hanging: int) -> Iterator[Batch]:
    """Start a batch, and wait until the good file is recorded and the others hang."""
    copy(GOOD, folder / "good.py")
    for index in range(hanging):
        copy(HANGS, folder / f"hangs{index}.py", f"# {index}\n")
    (folder / "scratch").mkdir()
    files = ["good.py", *(f"hangs{index}.py" for index in range(hanging))]
    options = ["--stage", "contract", "--as", "1", "--workers", "2", "--db", f"sqlite:///{folder}/results.db"]
    options += ["--isolation", "process"]
    arguments = ["--quiet", "verify", *files, *options]
    process = subprocess.Popen(
        [sys.executable, "-c", COMMAND_LINE, *arguments],
        cwd=folder,
        env=environment(TMPDIR=folder / "scratch", LRGEN_TIMEOUT=600),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    running = Batch(process, folder, arguments)
    try:
        running.wait_until(lambda: running.database.exists() and len(running.recorded()) == 1, "the good file")
        running.wait_until(lambda: len(running.children()) == hanging, "the hanging files")
        yield running
    finally:
        process.kill()
        process.communicate()
        for pid in running.children():
            with contextlib.suppress(ProcessLookupError, ChildProcessError):
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)  # its parent is dead: this process may have adopted it


@pytest.mark.parametrize(("hanging", "number", "send"), [(1, signal.SIGINT, os.killpg), (2, signal.SIGTERM, os.kill)])
def test_an_interrupt_keeps_the_finished_outcomes(lrgen, tmp_path, hanging, number, send):
    """Ctrl-C, and SIGTERM alike, end the children and exit with 130; finished outcomes are recorded and reused."""
    with batch(tmp_path, hanging) as running:
        send(running.process.pid, number)  # a terminal sends it to the whole group, a supervisor to the process
        out, err = running.process.communicate(timeout=TIMEOUT)
        assert running.process.returncode == 130
        assert out == ""
        assert "Traceback" not in err
        assert running.children() == []
        assert list(running.scratch.iterdir()) == []
        assert running.recorded() == [("good", "passed")]
    good = [argument for argument in running.arguments if not argument.startswith("hangs")]
    code, out, _ = lrgen(*good)
    assert code == 0
    assert "1 result reused" in out


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Batch, list[int]]:
    """A batch whose process was killed, and the children that outlived it."""
    with batch(tmp_path_factory.mktemp("killed"), 1) as running:
        os.kill(running.process.pid, signal.SIGKILL)
        running.process.wait()
        deadline = time.monotonic() + 3
        while (survivors := running.children()) and time.monotonic() < deadline:
            time.sleep(0.02)
    return running, survivors


def test_the_run_after_a_kill_reuses_the_finished_outcomes(lrgen, killed):
    """A killed process leaves an intact database with all finished outcomes, which the next run reuses."""
    running, _ = killed
    assert running.recorded() == [("good", "passed")]
    with contextlib.closing(sqlite3.connect(running.database)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    arguments = [argument for argument in running.arguments if not argument.endswith(".py")]
    copy(GOOD, running.folder / "next.py", "# next\n")
    code, out, _ = lrgen(*arguments, running.folder / "good.py", running.folder / "next.py")
    assert code == 0
    assert "2 files: 2 passed up to contract; 1 result reused;" in out
    assert running.recorded() == [("good", "passed"), ("next", "passed")]


def test_no_child_outlives_a_killed_run(killed):
    """A file that hangs ends when its parent is killed."""
    _, survivors = killed
    assert survivors == []
