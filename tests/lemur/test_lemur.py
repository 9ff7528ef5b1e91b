"""Rendered files in LEMUR's own client; ``make lemur`` runs these, docs/lemur.md tells what was found."""

import dataclasses
import hashlib
import json
import math
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lrgen import curves
from lrgen.catalogue import Catalogue
from lrgen.catalogue import load as load_catalogue
from lrgen.records import Unit
from lrgen.render.renderer import Renderer

CLIENT = os.environ.get("LRGEN_LEMUR_PYTHON")
SCRIPT = Path(__file__).with_name("lemur_client.py")

BATCH = 8
CHANCE = 0.12  # the client throws a run away that is not above this after every epoch


@dataclasses.dataclass(frozen=True)
class Case:
    """A file and how it is trained: a rate that teaches it in one epoch; images to train on, images held out."""

    model: str
    variant: int
    lr: float
    epochs: int = 1
    images: tuple[int, int] = (600, 300)
    pixels: int = 32
    search: bool = False

    def __str__(self) -> str:
        return f"{self.model}-{'search-' if self.search else ''}{self.variant}"


# A schedule that steps per epoch, one per batch, and one that follows the training loss; then networks of other kinds.
CASES = (
    Case("ResNet", 1, 0.03, epochs=2),
    Case("ResNet", 37, 0.03, epochs=2),
    Case("ResNet", 31, 0.03, epochs=2),
    Case("ResNet", 37, 0.03, search=True),
    Case("VGG", 1, 0.01),
    Case("MobileNetV2", 37, 0.03),
    Case("BayesianNet", 1, 0.01),
    Case("GoogLeNet", 31, 0.005, pixels=16),
    Case("VisionTransformer", 37, 3e-5, images=(400, 100), pixels=16),
)
NAMES = {one.name for one in load_catalogue().architectures}
KNOWN = [case for case in CASES if case.model in NAMES]
IDLE = Case("ResNet", 1, 1e-9, images=(40, 300))

every_file = pytest.mark.parametrize("case", KNOWN, ids=str)
trained_by_name = pytest.mark.parametrize("case", [case for case in KNOWN if not case.search], ids=str)


def prm_of(case: Case, catalogue: Catalogue) -> dict[str, Any]:
    """What the client is told; what it is not told has its default in the file."""
    recipe = catalogue.architecture(case.model).recipe
    prm = {"lr": case.lr, "momentum": recipe.momentum, "batch": BATCH, "epoch": case.epochs}
    prm["transform"] = f"norm_{case.pixels}"
    if case.search:  # leaves only the schedule's own hyperparameters open
        return prm | {"weight_decay": recipe.weight_decay, "dropout": recipe.dropout}
    return prm | {"dropout": recipe.dropout, "num_workers": 0}


@pytest.fixture(scope="module")
def results(catalogue: Catalogue, tmp_path_factory: pytest.TempPathFactory) -> Mapping[Case, dict[str, Any]]:
    """What the client made of each file; one process trains them all in an empty folder."""
    if not CLIENT:
        pytest.skip("LRGEN_LEMUR_PYTHON does not name the Python of an environment with nn-dataset (make lemur)")
    files, scratch = tmp_path_factory.mktemp("files"), tmp_path_factory.mktemp("lemur")
    renderer = Renderer(catalogue)
    jobs = []
    for case in (*KNOWN, IDLE):
        path = files / f"{case.model}_{case.variant:03d}.py"
        path.write_text(renderer.render(catalogue.architecture(case.model), catalogue.variant(case.variant)).text)
        job = {"path": str(path), "prm": prm_of(case, catalogue), "images": case.images}
        jobs.append(job | ({"search": f"{case.model}-A0-{case.variant:03d}"} if case.search else {}))
    done = subprocess.run(
        [CLIENT, "-B", str(SCRIPT)],
        input=json.dumps(jobs),
        cwd=scratch,
        env={"PATH": os.environ["PATH"], "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        timeout=3600,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    (files / "results.jsonl").write_text(done.stdout)  # for docs/lemur.md; pytest keeps its last folders
    return dict(zip((*KNOWN, IDLE), map(json.loads, done.stdout.splitlines()), strict=True))


@every_file
def test_the_client_trains_and_keeps_the_file(results, case):
    """It raises nothing, beats the client's floor after every epoch, and lies in its database, text and accuracies."""
    found = results[case]
    assert found["error"] is None
    curves = found["curves"]
    assert curves["epochs"] == list(range(1, case.epochs + 1))
    assert all(CHANCE < accuracy <= 1 for accuracy in curves["test_accuracy"])
    assert found["accuracy"] == curves["test_accuracy"][-1]
    assert found["stored"] == [list(row) for row in zip(curves["epochs"], curves["test_accuracy"], strict=True)]


def test_the_client_refuses_a_file_that_learns_nothing(results):
    """Without a rate worth the name the same file falls to the client's floor: the floor is there."""
    assert results[IDLE]["error"].startswith("AccuracyException")
    assert results[IDLE]["stored"] == []


@every_file
def test_the_client_takes_accuracy_and_loss_from_learn(results, case):
    """What ``learn`` returns is what the client records of the training images: a share of them and a finite loss."""
    curves = results[case]["curves"]
    assert all(0 < accuracy <= 1 for accuracy in curves["train_accuracy"])
    assert all(loss > 0 and math.isfinite(loss) for loss in (*curves["train_loss"], *curves["test_loss"]))


@every_file
def test_the_client_reads_the_schedules_rates(results, case, catalogue):
    """The rate that the client reads after each epoch is the curve's, over the horizon that the client chose."""
    found, variant = results[case], catalogue.variant(case.variant)
    batches = math.ceil(case.images[0] / BATCH) if variant.per_batch else 1
    steps = batches * np.arange(1, case.epochs + 1)
    prm = {name: found["hyperparameters"].get(name, value) for name, value in variant.defaults.items()}
    losses = found["curves"]["train_loss"] if variant.unit is Unit.METRIC else None
    wanted = curves.rates(variant, steps, batches * case.epochs, case.lr, prm, metrics=losses)
    assert found["curves"]["lr"] == pytest.approx(wanted.tolist(), abs=1e-9 * case.lr)


@trained_by_name
def test_the_files_name_is_the_digest_of_its_text(results, case):
    """The client names a file by the md5 of its text without white space, behind the prefix that it was given."""
    text = Path(results[case]["path"]).read_text()
    assert results[case]["name"] == f"lr-{hashlib.md5(''.join(text.split()).encode()).hexdigest()}"


@trained_by_name
def test_two_batches_of_large_images_are_learned(results, case):
    """What the client runs of a file before training, two batches of eight images of 224 pixels, raises nothing."""
    assert results[case]["two_batches"] == "Success"


@trained_by_name
def test_pylint_finds_matters_of_taste_alone(results, case):
    """The client's linter finds only what LEMUR's own contract brings about, and torch's compiled functions, which it
    cannot look into.
    """
    found = {one for one in results[case]["pylint"] if one[0] in "WEF"}
    compiled = {"E1102 not-callable"} if case.model in ("BayesianNet", "VisionTransformer") else set()
    assert found <= {"W0201 attribute-defined-outside-init", "W0613 unused-argument"} | compiled
    assert results[case]["score"] >= 0.8


@every_file
def test_the_client_can_analyse_the_network(results, case, catalogue):
    """It builds the network from its stored text, without a module, and counts all its parameters as trainable."""
    analysis = results[case]["analysis"]
    assert "error" not in analysis
    assert analysis["total_params"] == analysis["trainable_params"] > 0
    one = catalogue.architecture(case.model)
    if (one.reference_pixels, one.reference_classes) == (32, 10):
        assert analysis["total_params"] == one.parameters


@pytest.mark.parametrize("case", [case for case in KNOWN if case.search], ids=str)
def test_the_search_draws_the_schedules_hyperparameters(results, case, catalogue):
    """What the search is not told it draws from 0 to 1, and it draws all that the file declares."""
    drawn = results[case]["hyperparameters"]
    assert catalogue.variant(case.variant).defaults.keys() <= drawn.keys()
    assert all(0 <= drawn[name] <= 1 for name in catalogue.variant(case.variant).defaults)


@pytest.mark.parametrize(
    "statement",
    [
        "open('../file', 'w')",
        "open('../folder/kept', 'a')",
        "os.mkdir('../other')",
        "os.remove('../folder/kept')",
        "sqlite3.connect('../file.db')",
        "socket.create_connection(('localhost', 9))",
        "socket.socket().connect(('127.0.0.1', 9))",
    ],
)
def test_the_client_can_neither_leave_its_folder_nor_use_a_network(tmp_path, statement):
    """Around the client a write outside its folder, or a connection, is a PermissionError; inside all is well."""
    for name in ("folder", "scratch"):
        (tmp_path / name).mkdir()
    (tmp_path / "folder" / "kept").touch()
    code = f"""
import os, socket, sqlite3, sys
from pathlib import Path

sys.path.insert(0, {str(SCRIPT.parent)!r})
import lemur_client

lemur_client.stay_in(Path.cwd())
open("file", "w").close()
sqlite3.connect("file.db").close()
open("../folder/kept").close()
{statement}
"""
    command = [sys.executable, "-B", "-c", code]
    done = subprocess.run(command, cwd=tmp_path / "scratch", capture_output=True, text=True, check=False)
    assert done.stderr.splitlines()[-1].startswith("PermissionError: ")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "file.db", "folder", "kept", "scratch"]
