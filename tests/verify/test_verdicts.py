"""A verdict depends on the file, the claim, the settings, and the code that decides."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import lrgen
from lrgen.catalogue import Catalogue
from lrgen.finetune import mutants
from lrgen.records import Outcome, Stage, Status, VerifySettings
from lrgen.store import Store
from lrgen.verify import verdicts
from lrgen.verify.candidate import candidate_of
from tests.corpus import verified
from tests.paths import REPOSITORY

CONTRACT = VerifySettings(stage=Stage.CONTRACT)
FLAT = "def flat(step, horizon):\n    return 0 * step + {value}\n"
# The child imports these as well, and no verdict depends on them.
UNDECIDING = {"__init__.py", "version.py", "config.py", "files.py"}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = verdicts.cache_in(tmp_path / "cache")
    yield opened
    opened.close()


@pytest.mark.parametrize(
    ("name", "matters"),
    [
        ("verify/checks/schedule.py", True),
        ("verify/nursery/driver.py", True),
        ("verify/session.py", True),
        ("verify/engines/local.py", True),
        ("verify/examiner.py", True),
        ("verify/sandbox/seccomp.py", True),
        ("curves/cosine.py", True),
        ("curves/__init__.py", True),
        ("data/cifar.py", True),
        ("records/verification.py", True),
        ("cli/__init__.py", False),
        ("render/renderer.py", False),
        ("store/__init__.py", False),
    ],
)
def test_a_verdict_depends_on_the_code_that_decides(tmp_path, monkeypatch, name, matters):
    """The version of the checks changes with the code that decides, and with no other code."""
    package = tmp_path / "lrgen"
    shutil.copytree(Path(lrgen.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(verdicts, "PACKAGE", package)
    before = verdicts.check_version()
    assert before == verdicts.check_version()
    with (package / name).open("a") as file:
        file.write("# another line\n")
    assert (verdicts.check_version() != before) == matters


def test_the_version_covers_every_module_that_a_child_imports():
    """The version of the checks covers all code of lrgen that runs in a child or judges in its parent."""
    code = (
        "import json, sys\nimport lrgen.verify.engines.local\n"
        "files = [m.__file__ for n, m in sorted(sys.modules.items()) if n.partition('.')[0] == 'lrgen']\n"
        "print(json.dumps(files))\n"
    )
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    imported = set(map(Path, json.loads(done.stdout)))
    package = REPOSITORY / "lrgen"
    assert package / "verify" / "checks" / "schedule.py" in imported
    assert imported - set(verdicts.deciding_files()) == {package / name for name in UNDECIDING}


@pytest.mark.parametrize("changed_part", ["curve", "constants", "defaults"])
def test_a_verdict_depends_on_the_curve(catalogue: Catalogue, store, tmp_path, changed_part):
    """A verdict is not reused after a change of the user's curve, its constants or its defaults."""
    (tmp_path / "curves.py").write_text(FLAT.format(value=0.5))
    mine = {"family": "mine", "curve": "flat", "constants": {"a": 1}, "curves_folder": tmp_path}
    variant = replace(catalogue.variant(1), **mine)
    file = candidate_of(Path("a.py"), b"pass", variant=variant)
    conditions = verdicts.conditions_of(CONTRACT)
    store.save(Outcome(file, Status.FAILED, Stage.SCHEDULE, "the learning rate is wrong", 1.0), conditions, ())
    assert store.reusable([file], conditions)
    if changed_part == "curve":
        (tmp_path / "curves.py").write_text(FLAT.format(value=1))
        changed = file
    elif changed_part == "constants":
        changed = replace(file, variant=replace(variant, constants={"a": 2}))
    else:
        hyperparameters = tuple(replace(parameter, default=0.25) for parameter in variant.hyperparameters)
        changed = replace(file, variant=replace(variant, hyperparameters=hyperparameters))
    assert store.reusable([changed], conditions) == {}


def test_the_verdict_of_a_mutant_depends_on_the_curve(catalogue: Catalogue, store, tmp_path):
    """The mutants of a user's family are verified again after a change of its curve."""
    text = "def decay(step, horizon, *, gamma):\n    return 0 * step + {value}\n"
    (tmp_path / "curves.py").write_text(text.format(value=0.5))
    variant = replace(catalogue.variant(1), family="mine", curve="decay", constants={}, curves_folder=tmp_path)
    file = replace(verified(catalogue, 1, source="x = 1\n"), variant=variant)
    mutant = [mutants.Mutant(file, "nothing left", "x = 1\n")]
    first, again = mutants.outcomes_of(mutant, store, 1)[0], mutants.outcomes_of(mutant, store, 1)[0]
    assert (first.status, first.reused, again.reused) == (Status.FAILED, False, True)
    assert again.reason == first.reason
    (tmp_path / "curves.py").write_text(text.format(value=1))
    assert not mutants.outcomes_of(mutant, store, 1)[0].reused
