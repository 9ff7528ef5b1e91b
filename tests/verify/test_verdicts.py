"""What a verdict depends on: the file, the claim, the settings, and the code that decides."""

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
# Imported by the child as well, and without a say in how a file ends.
UNDECIDING = {"__init__.py", "version.py"}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = verdicts.cache_in(tmp_path / "cache")
    yield opened
    opened.close()


@pytest.mark.parametrize(
    ("name", "matters"),
    [
        ("verify/checks/schedule.py", True),
        ("verify/checks/subject.py", True),
        ("verify/child.py", True),
        ("verify/engines/local.py", True),
        ("verify/protocol.py", True),
        ("verify/sandbox/seccomp.py", True),
        ("curves/cosine.py", True),
        ("curves/__init__.py", True),
        ("data/cifar.py", True),
        ("records.py", True),
        ("cli/__init__.py", False),
        ("render/renderer.py", False),
        ("store/__init__.py", False),
    ],
)
def test_a_verdict_is_of_the_code_that_decided(tmp_path, monkeypatch, name, matters):
    """A change of the code that decides makes all files be verified again, a change elsewhere none."""
    package = tmp_path / "lrgen"
    shutil.copytree(Path(lrgen.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(verdicts, "PACKAGE", package)
    before = verdicts.check_version()
    assert before == verdicts.check_version()
    with (package / name).open("a") as file:
        file.write("# another line\n")
    assert (verdicts.check_version() != before) == matters


def test_every_module_that_the_child_imports_decides():
    """No code of lrgen runs in the process of a file, or judges in its parent, that the version of the checks omits."""
    code = (
        "import json, sys\nimport lrgen.verify.engines.local\n"
        "found = [m.__file__ for n, m in sorted(sys.modules.items()) if n.partition('.')[0] == 'lrgen']\n"
        "print(json.dumps(found))\n"
    )
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    imported = set(map(Path, json.loads(done.stdout)))
    package = REPOSITORY / "lrgen"
    assert package / "verify" / "checks" / "schedule.py" in imported
    assert imported - set(verdicts.deciding_files()) == {package / name for name in UNDECIDING}


@pytest.mark.parametrize("what", ["curve", "constants", "defaults"])
def test_a_verdict_is_of_the_curve_that_a_file_was_checked_against(catalogue: Catalogue, store, tmp_path, what):
    """Who repairs the curve of their own family, or edits its numbers, does not get the verdict of the old one."""
    (tmp_path / "curves.py").write_text(FLAT.format(value=0.5))
    mine = {"family": "mine", "curve": "flat", "constants": {"a": 1}, "curves_folder": tmp_path}
    variant = replace(catalogue.variant(1), **mine)
    file = candidate_of(Path("a.py"), b"pass", variant=variant)
    conditions = verdicts.conditions_of(CONTRACT)
    store.save(Outcome(file, Status.FAILED, Stage.SCHEDULE, "the rate is wrong", 1.0), conditions, ())
    assert store.reusable([file], conditions)
    if what == "curve":
        (tmp_path / "curves.py").write_text(FLAT.format(value=1))
        changed = file
    elif what == "constants":
        changed = replace(file, variant=replace(variant, constants={"a": 2}))
    else:
        hyperparameters = tuple(replace(one, default=0.25) for one in variant.hyperparameters)
        changed = replace(file, variant=replace(variant, hyperparameters=hyperparameters))
    assert store.reusable([changed], conditions) == {}


def test_a_mutants_verdict_is_of_the_users_curve_too(catalogue: Catalogue, store, tmp_path):
    """A dataset of a user's own family runs its mutants again when the family's curve was repaired."""
    text = "def falling(step, horizon, *, gamma):\n    return 0 * step + {value}\n"
    (tmp_path / "curves.py").write_text(text.format(value=0.5))
    variant = replace(catalogue.variant(1), family="mine", curve="falling", constants={}, curves_folder=tmp_path)
    file = replace(verified(catalogue, 1, source="x = 1\n"), variant=variant)
    few = [mutants.Mutant(file, "nothing left", "x = 1\n")]
    first, again = mutants.outcomes_of(few, store, 1)[0], mutants.outcomes_of(few, store, 1)[0]
    assert (first.status, first.reused, again.reused) == (Status.FAILED, False, True)
    assert again.reason == first.reason
    (tmp_path / "curves.py").write_text(text.format(value=1))
    assert not mutants.outcomes_of(few, store, 1)[0].reused
