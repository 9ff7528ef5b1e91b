"""Files whose parts are executed once: what a file is spared, and what its own three updates still find."""

import contextlib
from dataclasses import replace
from pathlib import Path

import pytest

from lrgen.catalogue import load
from lrgen.records import Candidate, Outcome, PartEvidence, Stage, Status, VerifySettings
from lrgen.render.renderer import Renderer
from lrgen.store import Store
from lrgen.verify import run as verify
from lrgen.verify.candidate import candidate_of
from lrgen.verify.engines import local
from lrgen.verify.parts import checks
from lrgen.verify.parts.evidence import Evidence, Kind
from lrgen.verify.verdicts import conditions_of_parts

CATALOGUE = load()
RENDERER = Renderer(CATALOGUE)
SETTINGS = VerifySettings(stage=Stage.SCHEDULE)
SEED = 20261130
ELSEWHERE = f"the contract of the network: executed in ResNet/A0_006.py, case seed {SEED}"


def candidate(number: int, model: str = "ResNet", edit: tuple[str, str] | None = None) -> Candidate:
    """A shipped file with its parts; ``edit`` changes its text beside them."""
    architecture, variant = CATALOGUE.architecture(model), CATALOGUE.variant(number)
    text = RENDERER.render(architecture, variant).text
    if edit is not None:
        assert edit[0] in text
        text = text.replace(*edit)
    path = Path("generated", model, f"{variant.key}.py")
    parts = RENDERER.parts(architecture, variant)
    return candidate_of(path, text.encode(), architecture, variant, rendered=True, parts=parts)


def run(evidence: Evidence, *candidates: Candidate, **settings: object) -> list[Outcome]:
    """The outcomes of files in their order."""
    return list(local.run(candidates, replace(SETTINGS, **settings), None, case_seed=SEED, evidence=evidence))


@pytest.fixture(scope="module")
def pieces() -> list[PartEvidence]:
    """The evidence on the parts of two files."""
    evidence = Evidence()
    outcomes = run(evidence, candidate(6), candidate(7))
    assert [outcome.status for outcome in outcomes] == [Status.PASSED] * 2
    assert ELSEWHERE not in outcomes[0].evidence
    assert ELSEWHERE in outcomes[1].evidence
    return evidence.take_new()


def test_each_part_of_two_files_is_executed_once(pieces):
    """They share their network, and its training methods."""
    kinds = [part.kind for part in pieces]
    assert sorted(kinds) == [Kind.CONTRACT, *[Kind.LEARN] * 2, *[Kind.MAKE_SCHEDULER] * 2, Kind.TRAINING]


def test_a_file_whose_parts_are_known_makes_its_own_updates_only(pieces):
    """Its evidence names the file, the case seed and what was compared there; nothing new is executed."""
    known = Evidence(pieces)
    [outcome] = run(known, candidate(7))
    assert outcome.status is Status.PASSED
    assert ELSEWHERE in outcome.evidence
    assert f"learn with this schedule: executed in a host network, case seed {SEED}" in outcome.evidence
    assert "3 updates of this network were compared" in outcome.evidence
    assert outcome.trace
    assert known.take_new() == []


def test_a_run_uses_the_recorded_evidence_of_its_case_seed(pieces, tmp_path):
    """What an earlier run has executed is not executed again."""
    [file] = verify.from_selection(
        CATALOGUE, [(CATALOGUE.architecture("ResNet"), CATALOGUE.variant(7))], tmp_path / "o"
    )
    with contextlib.closing(Store(f"sqlite:///{tmp_path}/a.db")) as store:
        store.save_parts(pieces, conditions_of_parts(SETTINGS))
        [outcome] = verify.verify([file], SETTINGS, store, workers=1, timeout=60, case_seed=SEED)
        assert outcome.status is Status.PASSED
        assert ELSEWHERE in outcome.evidence
        assert sorted(store.parts(conditions_of_parts(SETTINGS)), key=repr) == sorted(pieces, key=repr)


FAULTS = {
    "the scheduler is never stepped": ("        self.scheduler.step()\n", "", "learn never changes the learning rate"),
    "the optimizer has one group": (
        '[{"params": decay}, {"params": no_decay, "weight_decay": 0.0}]',
        '[{"params": decay}]',
        "the optimizer does not contain the parameter",
    ),
    "another update is made": (
        "            self.optimizer.step()\n",
        "            self.optimizer.step()\n            self.optimizer.step()\n",
        "learn makes 2 updates in an epoch of one batch, expected 1",
    ),
    "the weights shrink": (
        "            self.optimizer.step()\n",
        "            self.optimizer.step()\n            self.conv1.weight.data.mul_(0.9)\n",
        "a weight of conv1.weight is",
    ),
    "training passes by forward": (
        "logits = self(images)",
        "logits = self.fc(images.mean(dim=(2, 3)).repeat(1, 22)[:, :64])",
        "learn does not train through forward, once per batch",
    ),
    "a name is missing": ("make_scheduler(self.optimizer", "make_schedule(self.optimizer", "NameError"),
    "it prints": ("import torch\n", "import torch\nprint(1)\n", "the file does work at import time"),
}


@pytest.mark.parametrize(("old", "new", "reason"), FAULTS.values(), ids=FAULTS)
def test_a_fault_in_how_the_parts_are_joined_is_found(pieces, old, new, reason):
    """The parts of the file have passed; its own text has a fault beside them."""
    [outcome] = run(Evidence(pieces), candidate(7, edit=(old, new)))
    assert outcome.status is Status.FAILED
    assert reason in outcome.reason


def test_a_file_that_is_executed_whole_uses_no_evidence(pieces):
    """``whole`` asks for it; the parts of a layer-wise file with auxiliary classifiers are not separate."""
    [outcome] = run(Evidence(pieces), candidate(7), whole=True)
    assert outcome.status is Status.PASSED
    assert not any("executed in" in sentence for sentence in outcome.evidence)
    assert not checks.separate(candidate(172, "GoogLeNet"))
    assert checks.separate(candidate(172))


def test_evidence_of_a_schedule_counts_for_its_own_curve_only(pieces):
    """A file that claims another schedule than its text has is compared with that one."""
    claims = replace(candidate(7), variant=CATALOGUE.variant(6))
    [outcome] = run(Evidence(pieces), claims)
    assert outcome.status is Status.FAILED
    assert "A0_006" in outcome.reason


def test_a_drawn_file_is_executed_whole_as_well(pieces, monkeypatch):
    """Its learning rates must be those of its schedule alone."""
    monkeypatch.setattr(checks, "BESIDE", 1.0)
    [outcome] = run(Evidence(pieces), candidate(7))
    assert outcome.status is Status.PASSED
    assert "executed whole as well" in outcome.evidence
    [outcome] = run(Evidence(replace(part, trace="other") for part in pieces), candidate(7))
    assert outcome.status is Status.FAILED
    assert outcome.reason == "executed whole it has other learning rates than its schedule alone"


def test_one_in_500_files_is_drawn():
    """By the case seed and the hash of the file."""
    file = candidate(7)
    drawn = sum(checks.PartChecks(Evidence(), seed).is_beside(file) for seed in range(20_000))
    assert 20 <= drawn <= 62
