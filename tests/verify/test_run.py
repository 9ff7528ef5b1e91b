"""Files → outcomes: what each is checked against, what is known of it already, and what an interruption leaves."""

import contextlib
import dataclasses
import hashlib
import json
import os
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
from lrgen.records import Candidate, Outcome, Stage, Status, VerifySettings
from lrgen.render import output
from lrgen.render.renderer import Renderer
from lrgen.store import Store, key_of
from lrgen.verify import run as verify
from lrgen.verify import verdicts
from lrgen.verify.candidate import candidate_of
from lrgen.verify.engines import local
from lrgen.verify.sandbox import Isolation, Mechanism
from tests.paths import FIXTURES

GOOD = FIXTURES / "training" / "passes_epoch_unit.py"  # claims variant 1
HANGS = FIXTURES / "contract" / "fails_endless_loop_in_init.py"
CONTRACT = VerifySettings(stage=Stage.CONTRACT)
PATIENCE = 60.0  # seconds until a test gives up waiting for something that must happen


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


def copy(source: Path, target: Path, more: str = "") -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(source.read_bytes() + more.encode())
    return target


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


# Rendered files.


def test_a_selection_is_rendered_where_it_is_missing(catalogue, out):
    """Files that are not there yet are rendered, and each is checked against its own variant with its own recipe."""
    selection = pairs(catalogue, 1, 36)
    found = verify.from_selection(catalogue, selection, out)
    renderer = Renderer(catalogue)
    for candidate, (architecture, variant) in zip(found, selection, strict=True):
        file = renderer.render(architecture, variant)
        assert candidate.path == out / "ResNet" / f"{variant.key}.py"
        assert candidate.path.read_text(encoding="utf-8") == candidate.source == file.text
        assert candidate.sha256 == file.sha256
        assert (candidate.model_name, candidate.scheduler_type) == ("ResNet", variant.key)
        assert candidate.variant == variant
        recipe = architecture.recipe
        assert candidate.prm == {"lr": recipe.lr, "momentum": recipe.momentum, "dropout": recipe.dropout}


def test_rendered_files_are_not_rendered_again(catalogue, out):
    """Files that are there stay untouched."""
    selection = pairs(catalogue, 1)
    (before,) = verify.from_selection(catalogue, selection, out)
    times = before.path.stat().st_mtime_ns, (before.path.parent / "manifest.json").stat().st_mtime_ns
    assert verify.from_selection(catalogue, selection, out) == [before]
    assert times == (before.path.stat().st_mtime_ns, (before.path.parent / "manifest.json").stat().st_mtime_ns)


def test_a_file_that_differs_is_refused(catalogue, out):
    """What the catalogue does not render is neither verified as if it did nor overwritten."""
    selection = pairs(catalogue, 1, 2, 3)
    first, second, _ = verify.from_selection(catalogue, selection, out)
    copy(first.path, first.path, "# by hand\n")
    with pytest.raises(StaleFileError) as raised:
        verify.from_selection(catalogue, selection, out)
    assert str(raised.value) == f"{first.path} differs from the catalogue: run lrgen render"
    copy(second.path, second.path, "# by hand\n")
    with pytest.raises(StaleFileError, match=r"A0_001.py differs .* \(2 files differ\): run lrgen render"):
        verify.from_selection(catalogue, selection, out)
    assert first.path.read_text().endswith("# by hand\n")
    assert len(verify.from_selection(catalogue, selection[2:], out)) == 1


def test_a_manifest_that_differs_is_refused(catalogue, out):
    """A file is not checked against a manifest that says something else of it than the catalogue."""
    selection = pairs(catalogue, 1)
    verify.from_selection(catalogue, selection, out)
    manifest = out / "ResNet" / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"number": 1', '"number": 2'))
    with pytest.raises(StaleFileError, match="manifest.json describes A0_001 differently: run lrgen render"):
        verify.from_selection(catalogue, selection, out)


# Files by path.


@pytest.fixture
def rendered_file(catalogue: Catalogue, out: Path) -> Path:
    (candidate,) = verify.from_selection(catalogue, pairs(catalogue, 6), out)
    return candidate.path


def test_a_rendered_file_is_known_by_its_manifest(catalogue, rendered_file, tmp_path):
    """A file is checked against the variant that the manifest beside it has for its hash, wherever ``--out`` is."""
    (found,) = verify.from_paths(catalogue, [rendered_file], tmp_path / "elsewhere")
    assert (found.model_name, found.scheduler_type) == ("ResNet", "A0_006")
    assert found.variant == catalogue.variant(6)
    assert found.prm["lr"] == catalogue.architecture("ResNet").recipe.lr


def test_a_copy_of_a_rendered_file_is_known_by_its_hash(catalogue, rendered_file, out, tmp_path):
    """A file that was copied and renamed is checked against the same variant as long as its bytes are the same."""
    moved = copy(rendered_file, tmp_path / "mine" / "network.py")
    (found,) = verify.from_paths(catalogue, [moved], out)
    assert (found.path, found.model_name, found.scheduler_type) == (moved, "ResNet", "A0_006")
    assert found.variant == catalogue.variant(6)
    edited = copy(rendered_file, tmp_path / "mine" / "edited.py", "# one more line\n")
    (found,) = verify.from_paths(catalogue, [edited], out)
    assert (found.model_name, found.variant) == ("edited", None)


def test_a_manifest_comes_before_a_claim(catalogue, rendered_file, out):
    """What is known of a file is not overridden by ``--as``."""
    (found,) = verify.from_paths(catalogue, [rendered_file], out, catalogue.variant(1))
    assert found.variant == catalogue.variant(6)


def test_a_foreign_file_is_checked_against_the_variant_that_is_named(catalogue, out, tmp_path):
    """Its key is its stem and eight digits of its hash, and it is checked against the variant that was named."""
    path = copy(GOOD, tmp_path / "my network.py")
    (found,) = verify.from_paths(catalogue, [path], out, catalogue.variant(1))
    assert found.model_name == "my network"
    assert found.scheduler_type == f"file-{sha256(path)[:8]}"
    assert found.sha256 == sha256(path)
    assert found.variant == catalogue.variant(1)
    assert set(found.prm) == {"lr", "momentum", "dropout"}


def test_a_foreign_file_without_a_claim_is_unclaimed(catalogue, out, tmp_path, store):
    """Such a file ends as unclaimed at best, never as verified."""
    path = copy(GOOD, tmp_path / "network.py")
    (found,) = verify.from_paths(catalogue, [path], out)
    assert found.variant is None
    assert found.scheduler_type == f"file-{sha256(path)[:8]}"
    settings = VerifySettings(stage=Stage.SCHEDULE)
    (outcome,) = verify.verify([found], settings, store, workers=1, timeout=60)
    assert (outcome.status, outcome.stage) == (Status.UNCLAIMED, Stage.SCHEDULE)
    assert outcome.reason == "there is no variant to compare its schedule with"


def test_a_folder_means_the_python_files_in_it(catalogue, out, tmp_path):
    """In the order of their names, and nothing else that lies there."""
    for name in ("b.py", "a.py", "notes.txt", "deeper/c.py"):
        copy(GOOD, tmp_path / "files" / name, f"# {name}\n")
    found = verify.from_paths(catalogue, [tmp_path / "files", tmp_path / "files/deeper/c.py"], out)
    assert [candidate.model_name for candidate in found] == ["a", "b", "c"]


def test_bytes_that_are_no_text_reach_the_checks(catalogue, out, tmp_path):
    """A file that is not UTF-8 is a candidate like any other: the syntax check says what is wrong with it."""
    path = tmp_path / "latin.py"
    path.write_bytes(b"# caf\xe9\n")
    (found,) = verify.from_paths(catalogue, [path], out)
    assert found.source.encode("utf-8", "surrogateescape") == b"# caf\xe9\n"
    assert found.sha256 == sha256(path)


@pytest.mark.parametrize("what", ["missing", "a folder called .py"])
def test_what_cannot_be_read_is_named(catalogue, out, tmp_path, what):
    """A path that is no file is an error with the path in it, before anything is run."""
    path = tmp_path / "files" / "network.py"
    if what == "missing":
        asked = path
    else:
        path.mkdir(parents=True)
        asked = path.parent
    with pytest.raises(OutputError, match=f"{path}: cannot be read: "):
        verify.from_paths(catalogue, [asked], out)


@pytest.mark.parametrize(
    "text",
    [
        "garbage",
        "[]",
        '{"files": []}',
        '{"files": {"A0_001": {}}}',
    ],
)
def test_a_broken_manifest_is_named(catalogue, out, tmp_path, text):
    """A manifest that is none is an error with its path in it."""
    path = copy(GOOD, tmp_path / "files" / "network.py")
    (path.parent / "manifest.json").write_text(text)
    with pytest.raises(OutputError, match="files/manifest.json: not a manifest"):
        verify.from_paths(catalogue, [path], out)


# What is run and what is known.


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A harness that ends files as it is told by their names, and notes which ones it was given."""
    told: dict[str, Any] = {"statuses": {}, "ran": [], "runs": [], "closed": False, "limits": None}
    told |= {"isolation": "process", "seconds": {}}

    def outcomes(candidates: list[Candidate]) -> Iterator[Outcome]:
        try:
            for candidate in candidates:
                told["ran"].append(candidate.model_name)
                status = told["statuses"].get(candidate.model_name, Status.VERIFIED)
                seconds = told["seconds"].get(candidate.model_name, 1.0)
                yield Outcome(candidate, status, Stage.TRAINING, "", seconds, isolation=told["isolation"])
        finally:
            told["closed"] = True

    def run(candidates: Any, settings: VerifySettings, dataset: Any, *, workers: int, **how: Any) -> Iterator[Outcome]:
        # Referred to here as well, so that it is closed by whoever uses it and not by being forgotten.
        told["limits"], told["outcomes"] = how["limits"], outcomes(candidates)
        told["runs"].append((how["mechanism"], [candidate.model_name for candidate in candidates]))
        return told["outcomes"]

    monkeypatch.setattr(local, "run", run)
    monkeypatch.setattr(data, "load", lambda name, *_: data.Dataset(name, (), *[None] * 4))
    return told


def candidates(tmp_path: Path, *names: str) -> list[Candidate]:
    found = []
    for name in names:
        path = copy(GOOD, tmp_path / "files" / f"{name}.py", f"# {name}\n")
        found.append(candidate_of(path, path.read_bytes()))
    return found


def names(outcomes: list[Outcome]) -> list[str]:
    return [outcome.candidate.model_name for outcome in outcomes]


def test_an_unchanged_file_is_not_run_twice(fake, store, tmp_path):
    """The second time everything is reused, which is said before anything is run; a changed file is run again."""
    files = candidates(tmp_path, "a", "b", "c")
    reused: list[int] = []

    def run(everything: list[Candidate], **options: Any) -> list[Outcome]:
        fake["ran"].clear()
        options = {"workers": 1, "timeout": 60, "started": lambda count, expected: reused.append(count)} | options
        return list(verify.verify(everything, VerifySettings(), store, **options))

    assert [outcome.reused for outcome in run(files)] == [False] * 3
    assert [outcome.reused for outcome in run(files)] == [True] * 3
    assert fake["ran"] == []
    changed = [*files[:2], *candidates(tmp_path, "d")]
    assert names(run(changed)) == ["a", "b", "d"]  # what is known comes first
    assert fake["ran"] == ["d"]
    assert len(run(files, force=True)) == 3
    assert fake["ran"] == ["a", "b", "c"]
    assert reused == [0, 3, 2, 0]


def test_what_may_end_otherwise_is_tried_again(fake, store, tmp_path):
    """Timeouts, crashes and lack of memory are not final; failures are."""
    files = candidates(tmp_path, "a", "b", "c", "d")
    statuses = dict(zip("abcd", (Status.TIMED_OUT, Status.CRASHED, Status.OUT_OF_MEMORY, Status.FAILED), strict=True))
    fake["statuses"] = statuses
    for _ in range(2):
        outcomes = list(verify.verify(files, VerifySettings(), store, workers=1, timeout=60))
        assert {outcome.candidate.model_name: outcome.status for outcome in outcomes} == statuses
    assert fake["ran"] == ["a", "b", "c", "d", "a", "b", "c"]


@pytest.mark.parametrize(
    "changed",
    [{"epochs": 6}, {"seed": 1}, {"batch_size": 32}, {"stage": Stage.SCHEDULE}, {"dataset": "other"}],
    ids=str,
)
def test_other_settings_are_other_results(fake, store, tmp_path, changed):
    """A result is reused for the very settings that it was measured with."""
    files = candidates(tmp_path, "a")
    settings = VerifySettings()
    list(verify.verify(files, settings, store, workers=1, timeout=60))
    list(verify.verify(files, dataclasses.replace(settings, **changed), store, workers=1, timeout=60))
    list(verify.verify(files, settings, store, workers=1, timeout=60))
    assert fake["ran"] == ["a", "a"]


def test_a_file_that_is_named_twice_has_two_outcomes(fake, store, tmp_path):
    """Reused or not, every file that was asked for has its outcome."""
    files = candidates(tmp_path, "a") * 2
    for _ in range(2):
        assert names(list(verify.verify(files, VerifySettings(), store, workers=1, timeout=60))) == ["a", "a"]


def test_outcomes_are_recorded_before_they_are_told(fake, store, tmp_path):
    """Whoever stops listening has lost nothing that was told, and the harness is closed."""
    files = candidates(tmp_path, "a", "b", "c")
    outcomes = verify.verify(files, VerifySettings(), store, workers=1, timeout=60)
    first = next(outcomes)
    outcomes.close()
    assert fake["closed"]
    assert set(store.reusable(files, verdicts.conditions_of(VerifySettings()))) == {key_of(first.candidate)}


def test_a_database_that_fails_ends_the_children(fake, store, tmp_path, monkeypatch):
    """An error of the store is raised at once, and nothing runs on behind it."""
    files = candidates(tmp_path, "a", "b")

    def save(*_: object) -> None:
        raise StoreError("the disk is full")

    monkeypatch.setattr(store, "save_all", save)
    with pytest.raises(StoreError, match="the disk is full"):
        list(verify.verify(files, VerifySettings(), store, workers=1, timeout=60))
    assert fake["ran"] == ["a"]
    assert fake["closed"]


def test_a_database_that_cannot_be_written_is_known_before_anything_is_run(fake, tmp_path):
    """Nobody trains for an hour to learn that the result cannot be recorded."""
    (tmp_path / "file").touch()
    broken = Store(f"sqlite:///{tmp_path}/file/results.db")
    with pytest.raises(StoreError):
        list(verify.verify(candidates(tmp_path, "a"), VerifySettings(), broken, workers=1, timeout=60))
    assert fake["ran"] == []


def test_data_are_loaded_for_training_only(fake, store, tmp_path, monkeypatch):
    """The other checks do not pay for a dataset."""

    def load(name: str, *_: object) -> None:
        raise AssertionError("the dataset is loaded")

    monkeypatch.setattr(data, "load", load)
    for stage in (Stage.SYNTAX, Stage.CONTRACT, Stage.SCHEDULE):
        list(verify.verify(candidates(tmp_path, "a"), VerifySettings(stage=stage), store, workers=1, timeout=60))
    with pytest.raises(AssertionError, match="the dataset is loaded"):
        list(verify.verify(candidates(tmp_path, "a"), VerifySettings(), store, workers=1, timeout=60))


def test_workers_share_the_memory(fake, store, tmp_path):
    """A file may use its share of most of the machine, and the time that it was given."""
    limits = []
    for workers in (1, 4):
        files = candidates(tmp_path, f"a{workers}")
        list(verify.verify(files, VerifySettings(), store, workers=workers, timeout=60 * workers))
        limits.append(fake["limits"])
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert limits[0].memory == pytest.approx(0.9 * machine, rel=0.01)
    assert limits[1].memory == pytest.approx(0.9 * machine / 4, rel=0.01)
    assert [one.seconds for one in limits] == [60, 240]


def test_a_real_run_records_what_was_measured(catalogue, store, out, tmp_path):
    """A good file is verified, has five epochs and fifty class results in the database, and is reused after it."""
    path = copy(GOOD, tmp_path / "network.py")
    files = verify.from_paths(catalogue, [path], out, catalogue.variant(1))
    (outcome,) = verify.verify(files, VerifySettings(), store, workers=1, timeout=60)
    assert outcome.status is Status.VERIFIED, outcome.reason
    assert len(outcome.epochs) == 5
    assert outcome.accuracy == max(epoch.accuracy for epoch in outcome.epochs) >= 0.5
    (row,) = store.best()
    assert row["accuracy"] == outcome.accuracy
    classes = store.classes("network", f"file-{sha256(path)[:8]}")
    assert [one["class_name"] for one in classes] == list("0123456789")
    assert sum(one["support"] for one in classes) == len(data.load("digits").test_labels)
    right = sum(one["recall"] * one["support"] for one in classes)
    assert right / sum(one["support"] for one in classes) == pytest.approx(outcome.accuracy)
    (again,) = verify.verify(files, VerifySettings(), store, workers=1, timeout=60)
    assert (again.status, again.accuracy, again.reused) == (Status.VERIFIED, outcome.accuracy, True)


# How files are kept apart, and in which order they run.


def as_rendered(candidate: Candidate) -> Candidate:
    return dataclasses.replace(candidate, rendered=True)


def mechanisms(fake: dict[str, Any]) -> dict[str, Mechanism]:
    """The mechanism that each file was isolated by."""
    return {name: mechanism for mechanism, run in fake["runs"] for name in run}


def test_what_lrgen_did_not_render_runs_in_a_sandbox(fake, store, tmp_path, monkeypatch):
    """Our own files have a process each, others the best sandbox that there is."""
    monkeypatch.setattr(verify.sandboxes, "available", lambda: Mechanism.LANDLOCK)
    rendered, foreign = candidates(tmp_path, "rendered", "foreign")
    list(verify.verify([foreign, as_rendered(rendered)], CONTRACT, store, workers=1, timeout=60))
    assert mechanisms(fake) == {"rendered": Mechanism.PROCESS, "foreign": Mechanism.LANDLOCK}


@pytest.mark.parametrize(
    ("asked", "mechanism"), [(Isolation.PROCESS, Mechanism.PROCESS), (Isolation.SANDBOX, Mechanism.NAMESPACES)]
)
def test_isolation_may_be_asked_for(fake, store, tmp_path, monkeypatch, asked, mechanism):
    """Then it is that for all files."""
    monkeypatch.setattr(verify.sandboxes, "available", lambda: Mechanism.NAMESPACES)
    rendered, foreign = candidates(tmp_path, "rendered", "foreign")
    list(verify.verify([foreign, as_rendered(rendered)], CONTRACT, store, workers=1, timeout=60, isolation=asked))
    assert set(mechanisms(fake).values()) == {mechanism}


def test_without_a_sandbox_nothing_is_run(fake, store, tmp_path, monkeypatch):
    """Without a sandbox the error comes before any file is run, rendered ones included."""

    def refuse() -> Mechanism:
        raise IsolationError("this machine gives no sandbox")

    monkeypatch.setattr(verify.sandboxes, "available", refuse)
    rendered, foreign = candidates(tmp_path, "rendered", "foreign")
    with pytest.raises(IsolationError, match="no sandbox"):
        list(verify.verify([as_rendered(rendered), foreign], CONTRACT, store, workers=1, timeout=60))
    assert fake["ran"] == []


def test_an_edited_manifest_does_not_make_a_file_a_rendered_one(catalogue, rendered_file, out):
    """A file counts as rendered when the catalogue renders exactly its bytes, not when a manifest lists its hash."""
    [known] = verify.from_paths(catalogue, [rendered_file], out)
    assert known.rendered
    rendered_file.write_text(rendered_file.read_text() + "# more\n")
    manifest = rendered_file.parent / output.MANIFEST
    listed = json.loads(manifest.read_text())
    listed["files"][rendered_file.stem]["sha256"] = sha256(rendered_file)
    manifest.write_text(json.dumps(listed))
    [forged] = verify.from_paths(catalogue, [rendered_file], out)
    assert not forged.rendered


def test_the_level_is_recorded_with_the_result(fake, store, tmp_path):
    """And read again with a reused one."""
    files = candidates(tmp_path, "a")
    fake["isolation"] = "landlock"
    list(verify.verify(files, CONTRACT, store, workers=1, timeout=60, isolation=Isolation.PROCESS))
    [reused] = verify.verify(files, CONTRACT, store, workers=1, timeout=60, isolation=Isolation.PROCESS)
    assert (reused.reused, reused.isolation) == (True, "landlock")


def test_the_longest_files_run_first(fake, store, tmp_path):
    """By what they took before; a new one as long as its architecture's others, an unknown network first of all."""
    files = candidates(tmp_path, "short", "long", "middle")
    fake["seconds"] = {"short": 1.0, "long": 9.0, "middle": 4.0}
    how = {"workers": 1, "timeout": 60, "isolation": Isolation.PROCESS}
    list(verify.verify(files, CONTRACT, store, **how))
    fake["ran"].clear()
    forecast: dict[int, float] = {}
    again = [*candidates(tmp_path, "short", "long", "middle"), *candidates(tmp_path, "unknown")]
    list(verify.verify(again, CONTRACT, store, force=True, started=lambda _, told: forecast.update(told), **how))
    assert fake["ran"] == ["long", "unknown", "middle", "short"]
    assert [forecast[id(candidate)] for candidate in again] == [1.0, 9.0, 4.0, 9.0]


def test_durations_of_another_stage_say_nothing(fake, store, tmp_path):
    """A file whose contract was checked in a second may train for a minute."""
    how = {"workers": 1, "timeout": 60, "isolation": Isolation.PROCESS}
    list(verify.verify(candidates(tmp_path, "a"), CONTRACT, store, **how))
    key = candidates(tmp_path, "a")[0].scheduler_type
    assert store.durations(verdicts.conditions_of(CONTRACT)) == {("a", key): 1.0}
    assert store.durations(verdicts.conditions_of(VerifySettings())) == {}


def test_an_edited_template_costs_the_files_that_it_changes(fake, store, tmp_path, monkeypatch):
    """After an edit of one schedule's template its files are verified again, and no others."""
    templates = shutil.copytree(catalogues.SHIPPED, tmp_path / "templates")
    monkeypatch.setattr(loader, "SHIPPED", templates)
    how = {"workers": 1, "timeout": 60}

    def verified() -> list[str]:
        catalogue = catalogues.load()
        selection = output.pairs([catalogue.architecture("ResNet")], catalogue.select(families=["step"]))
        output.generate(catalogue, selection, tmp_path / "out")
        files = verify.from_selection(catalogue, selection, tmp_path / "out")
        fake["ran"].clear()
        outcomes = list(verify.verify(files, CONTRACT, store, **how))
        assert len(outcomes) == len(files) > 10
        return sorted(outcome.candidate.scheduler_type for outcome in outcomes if not outcome.reused)

    assert len(verified()) > 10
    assert verified() == []
    template = templates / "schedulers/step/step.py.jinja"
    template.write_text(template.read_text().replace("step_size = ", "step_size = 0 + "))
    using = [one.key for one in catalogues.load().family("step").variants if one.template == "step"]
    assert verified() == sorted(using)
    assert verified() == []


def test_only_what_changed_since_a_manifest(catalogue, out, tmp_path):
    """Files whose bytes an older manifest holds are left out; a manifest that is not there is named."""
    everything = verify.from_selection(catalogue, pairs(catalogue, 1, 13, 31), out)
    old = shutil.copy(everything[0].path.parent / output.MANIFEST, tmp_path / "old.json")
    assert verify.changed_since(everything, [old]) == []
    listed = json.loads(old.read_text())
    listed["files"]["A0_013"]["sha256"] = "0" * 64
    old.write_text(json.dumps(listed))
    assert [one.scheduler_type for one in verify.changed_since(everything, [old])] == ["A0_013"]
    with pytest.raises(OutputError, match=r"nowhere\.json: there is no such manifest"):
        verify.changed_since(everything, [tmp_path / "nowhere.json"])


# The program as a whole: what it loads, and what an interruption leaves.

COMMAND_LINE = """
import json, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # whatever the parent ignores
from lrgen.cli import main
try:
    main(sys.argv[1:])
finally:
    print(json.dumps(sorted(sys.modules)), file=sys.stderr)
"""


def environment(**values: object) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LRGEN_")}
    return kept | {name: str(value) for name, value in values.items()}


def test_a_run_in_which_all_is_known_does_not_load_torch(lrgen, tmp_path):
    """The second ``lrgen verify`` takes the time of a query, not that of importing torch."""
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
        """The processes that work in a scratch folder, or in one that was removed."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if str(self.scratch) in str((entry / "cwd").readlink()):
                    found.append(int(entry.name))
        return found

    def recorded(self) -> list[tuple[str, str]]:
        """Model and status of each run in the database."""
        with contextlib.closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as connection:
            try:
                return connection.execute("SELECT model_name, status FROM lrgen_runs ORDER BY id").fetchall()
            except sqlite3.OperationalError:  # not there yet
                return []

    def wait_until(self, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            if self.process.poll() is not None:
                pytest.fail(f"ended before {what}: {self.process.communicate()}")
            assert time.monotonic() < deadline, f"waited in vain for {what}"
            time.sleep(0.02)


@contextlib.contextmanager
def batch(folder: Path, hanging: int) -> Iterator[Batch]:
    """Start it, and wait until the good file is recorded and the others hang."""
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
    one = Batch(process, folder, arguments)
    try:
        one.wait_until(lambda: one.database.exists() and len(one.recorded()) == 1, "the good file")
        one.wait_until(lambda: len(one.children()) == hanging, "the hanging ones")
        yield one
    finally:
        process.kill()
        process.communicate()
        for pid in one.children():
            with contextlib.suppress(ProcessLookupError, ChildProcessError):
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)  # its parent is dead: it may have come to us


@pytest.mark.parametrize("hanging", [1, 2])
def test_an_interrupt_keeps_what_was_finished(lrgen, tmp_path, hanging):
    """Ctrl-C ends the children and exits with 130; finished results are in the database, and are reused."""
    with batch(tmp_path, hanging) as running:
        os.killpg(running.process.pid, signal.SIGINT)  # as a terminal does it
        out, err = running.process.communicate(timeout=PATIENCE)
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
    """A batch whose process was killed, and what ran on behind it."""
    with batch(tmp_path_factory.mktemp("killed"), 1) as running:
        os.kill(running.process.pid, signal.SIGKILL)
        running.process.wait()
        deadline = time.monotonic() + 3
        while (left := running.children()) and time.monotonic() < deadline:
            time.sleep(0.02)
    return running, left


def test_after_a_kill_the_next_run_goes_on(lrgen, killed):
    """A process that is killed in the middle leaves a database in order, with all that was finished."""
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


def test_after_a_kill_nothing_runs_on(killed):
    """A file that hangs does not outlive the process that would have ended it."""
    _, left = killed
    assert left == []
