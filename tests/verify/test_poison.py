"""Poison: a file that forges messages, sends malformed ones or prints control characters ends alone.

It shares one worker with an honest file, which comes after it. The fast tests examine all such files up to the contract
in one call, without a policy; the slow ones each alone with the honest file, up to the stage of its row.
"""

import contextlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lrgen import catalogue as catalogues
from lrgen.records import Outcome, Stage, Status, VerifySettings
from lrgen.store import Store
from lrgen.verify import run as verify
from lrgen.verify.candidate import candidate_of
from lrgen.verify.engines import local
from lrgen.verify.isolation import Isolation
from lrgen.verify.nursery_process import Nursery
from tests.paths import CASES
from tests.verify.processes import children_of
from tests.verify.test_cases import TABLE, Case

KINDS = ("forges messages", "malformed message", "text")
POISON = [case for case in TABLE if case.kind in KINDS]
# The files that send malformed answers to learn, which the contract check sends.
MALFORMED = [case for case in POISON if "the answer of learn" in case.instead]
HONEST = CASES / "honest" / "step_decay.py"
EVERY_STAGE = (Stage.SCHEDULE, Stage.TRAINING)


@pytest.fixture(autouse=True)
def one_nursery(nursery: Nursery, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """All runs share a nursery; no process and no folder of a file is left in it."""
    monkeypatch.setattr(local, "Nursery", lambda: contextlib.nullcontext(nursery))
    yield
    assert children_of(nursery.pid) == set()
    assert list(nursery.folder.iterdir()) == []


@pytest.fixture
def verified(tmp_path: Path) -> Callable[..., list[Outcome]]:
    """Verifies files one after another, in this order, and records the outcomes."""

    def verified(paths: list[Path], stage: Stage) -> list[Outcome]:
        claim = catalogues.load().variant("StepLR_default")
        files = [candidate_of(path, path.read_bytes(), variant=claim) for path in paths]
        settings = VerifySettings(stage=stage)
        store = Store(f"sqlite:///{tmp_path}/results.db")
        outcomes = verify.verify(files, settings, store, workers=1, timeout=120, isolation=Isolation.SANDBOX)
        by_path = {outcome.candidate.path: outcome for outcome in outcomes}
        store.close()
        return [by_path[path] for path in paths]

    return verified


def test_malformed_answers_end_their_own_files_only(verified):
    """Each file that sends malformed answers has crashed or failed; the honest one passes and is recorded."""
    paths = [case.path for case in MALFORMED]
    assert len(paths) >= 14
    *poisoned, honest = verified([*paths, HONEST], Stage.CONTRACT)
    accepted = [outcome.candidate.path.name for outcome in poisoned if outcome.status.ok]
    assert accepted == []
    assert all(outcome.reason.isprintable() for outcome in poisoned)
    assert honest.status is Status.PASSED, honest.reason
    *again, reused = verified([*paths[:3], HONEST], Stage.CONTRACT)
    assert [outcome.status for outcome in again] == [outcome.status for outcome in poisoned[:3]]
    assert (reused.status, reused.reused) == (Status.PASSED, True)


def test_an_answer_that_is_none_is_a_crash(verified):
    """The reason of a file whose answer is no frame or has unknown keys says so, and not what it wrote."""
    names = ("sends_lengths_of_gigabytes", "sends_nothing_but_a_verdict", "sends_true_as_steps")
    outcomes = verified([CASES / "hostile" / f"{name}.py" for name in names], Stage.CONTRACT)
    assert [outcome.status for outcome in outcomes] == [Status.CRASHED] * 3
    assert all(outcome.reason.startswith("the process of the file sends an answer") for outcome in outcomes)


@pytest.mark.slow
@pytest.mark.parametrize("case", [pytest.param(case, id=case.path.stem) for case in POISON])
@pytest.mark.parametrize("stage", EVERY_STAGE)
def test_a_poisoned_file_ends_alone(lrgen, verified, tmp_path, case: Case, stage: Stage):
    """The honest file beside it is accepted and recorded, the other is not; the same after a restart; the exit is 1."""
    if case.stage is Stage.TRAINING and stage is not Stage.TRAINING:
        pytest.skip("this file is judged after training")
    for turn in range(2):
        poisoned, honest = verified([case.path, HONEST], stage)
        assert not poisoned.status.ok
        assert poisoned.reason.isprintable()
        assert honest.status is (Status.VERIFIED if stage is Stage.TRAINING else Status.PASSED), honest.reason
        assert honest.reused is bool(turn)
    shutil.copy(case.path, tmp_path / "poisoned.py")
    shutil.copy(HONEST, tmp_path / "honest.py")
    options = ("--as", "StepLR_default", "--stage", stage, "--device", "cpu", "--workers", 1)
    code, out, err = lrgen("verify", "poisoned.py", "honest.py", *options)
    assert code == 1
    assert "\x1b]" not in out + err
    assert "\u202e" not in out + err
