"""The diagnosis of files without a claim: what is seen in their training, and the schedule that is named first."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from lrgen.records import Policy, Stage, Status, Unit, VerifySettings
from lrgen.verify.candidate import candidate_of
from lrgen.verify.checks import diagnosis, observation, own_schedule
from lrgen.verify.checks.failure import CheckFailure
from lrgen.verify.checks.observation import BATCHES, EPOCHS, Observation
from lrgen.verify.examiner import Examiner
from lrgen.verify.limits import Limits
from lrgen.verify.sandbox import Mechanism
from lrgen.verify.session import Place
from tests.verify.written_schedules import COUNT, STEP, WRITTEN, Written

STEP_LR = "self.scheduler = lr_scheduler.StepLR(self.optimizer, 30)"
PER_EPOCH = "the learning rate changes once an epoch"
STEPPED = "StepLR is stepped once an epoch"
NEVER = "the learning rate never changes"


@dataclasses.dataclass(frozen=True)
class Seen:
    """A file, the unit of its changes and what is found."""

    written: Written
    unit: Unit | None
    findings: tuple[str, ...]


SEEN = {
    "nothing": Seen(Written(()), None, (f"{NEVER}: the file makes no scheduler",)),
    "never stepped": Seen(Written((), STEP_LR), None, ("StepLR is never stepped", NEVER)),
    "another optimizer": Seen(
        Written((), f"other = {Written(()).optimizer}\n{STEP_LR.replace('self.optimizer', 'other')}", after=STEP),
        None,
        ("StepLR steps another optimizer than the one in use", STEPPED, NEVER),
    ),
    "before the update": Seen(
        Written((), STEP_LR, before=STEP),
        Unit.EPOCH,
        ("StepLR is stepped before the first update", STEPPED, PER_EPOCH),
    ),
    "made again in each epoch": Seen(
        Written((), before="scheduler = lr_scheduler.ExponentialLR(self.optimizer, 1.0)", after="scheduler.step()"),
        None,
        ("learn makes a new ExponentialLR in each epoch, which begins again", NEVER),
    ),
    "once a batch": Seen(
        Written((), STEP_LR, last=STEP),
        Unit.BATCH,
        ("StepLR is stepped once a batch", "the learning rate changes once a batch"),
    ),
    "accumulated gradients": Seen(
        Written((), STEP_LR, after=STEP, step="if step % 2:\n    self.optimizer.step()"),
        Unit.EPOCH,
        (STEPPED, PER_EPOCH, "learn makes one update for every 2 batches"),
    ),
    "two updates a batch": Seen(
        Written((), STEP_LR, after=STEP, step="self.optimizer.step()\nself.optimizer.step()"),
        Unit.EPOCH,
        (STEPPED, PER_EPOCH, "learn makes 2 updates a batch"),
    ),
    "another base": Seen(
        Written((), STEP_LR, after=STEP, optimizer="optim.Adam(self.parameters(), lr=0.001)"),
        Unit.EPOCH,
        (STEPPED, PER_EPOCH, 'the highest learning rate is 0.01 × prm["lr"]'),
    ),
    "groups with different curves": Seen(
        Written(
            (),
            "self.scheduler = lr_scheduler.LambdaLR(self.optimizer, [lambda e: 1.0, lambda e: 0.9**e])",
            after=STEP,
            optimizer='optim.SGD([{"params": m.parameters()} for m in (self.body, self.head)], lr=prm["lr"])',
        ),
        Unit.EPOCH,
        ("LambdaLR is stepped once an epoch", PER_EPOCH, "the 2 parameter groups follow different curves"),
    ),
    "past the end": Seen(
        Written((), 'self.scheduler = lr_scheduler.OneCycleLR(self.optimizer, prm["lr"], 50)', after=STEP),
        Unit.EPOCH,
        ("OneCycleLR is stepped once an epoch", PER_EPOCH, "learn raises in epoch 51 of 90: ValueError: "),
    ),
    "not through forward": Seen(
        Written((), STEP_LR, after=STEP, outputs="self.head(self.body(images))"), Unit.EPOCH, (STEPPED, PER_EPOCH)
    ),
    "every gradient is used": Seen(
        Written(
            (), STEP_LR, after=STEP, step="[p.grad.clamp_(-1, 1) for p in self.parameters()]\nself.optimizer.step()"
        ),
        Unit.EPOCH,
        (STEPPED, PER_EPOCH),
    ),
}


def observed(examine, text: str) -> Observation:
    """The observation of a file."""
    examination = examine(text)
    examination.load(examination.session)
    seen = observation.observe(examination)
    assert isinstance(seen, Observation), seen
    return seen


@pytest.mark.parametrize("name", SEEN)
def test_what_a_file_does_is_said(examine, name):
    """The findings say what the file does with its schedulers, its learning rates and its updates."""
    seen = SEEN[name]
    diagnosed = diagnosis.diagnose(observed(examine, seen.written.text))
    assert diagnosed.unit is seen.unit
    assert [said[: len(begin)] for said, begin in zip(diagnosed.findings, seen.findings, strict=True)] == [
        *seen.findings
    ]


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.slow] if at % 8 else []) for at, name in enumerate(WRITTEN)],
)
def test_the_schedule_of_a_written_file_is_named_first(nursery, name):
    """A file in a style of its own ends as unclaimed, and its schedule or an equivalent is named first."""
    written = WRITTEN[name]
    candidate = candidate_of(Path(f"{name}.py"), written.text.encode())
    settings = VerifySettings(stage=Stage.SCHEDULE, policy=Policy.LEMUR)
    outcome = Examiner(settings, None, nursery, Place(Mechanism.PROCESS, Limits()), 1).examine(candidate)
    assert (outcome.status, outcome.diagnosis is not None) == (Status.UNCLAIMED, True), outcome.reason
    assert int(outcome.diagnosis.nearest[0].variant.removeprefix("A0_")) in written.expected


@pytest.mark.parametrize("rate", ["float('nan')", "-0.1"])
def test_learning_rates_that_are_none_fail_a_file(examine, rate):
    """A file whose learning rate is negative or not a number, if only after epoch 40, is not accepted."""
    late = f"self.epoch += 1\nif self.epoch == 40:\n    self.optimizer.param_groups[0]['lr'] = {rate}"
    examination = examine(Written((), after=late).text)
    examination.loaded = examination.load(examination.session)
    with pytest.raises(CheckFailure, match="the learning rate in learn at epoch 41, batch 1 of 4 is "):
        own_schedule.run(examination)


def test_a_learn_that_raises_at_once_has_no_diagnosis(examine):
    """Where no epoch can be observed, the reason is returned."""
    examination = examine(Written((), before="raise KeyError('batch_size')").text)
    examination.load(examination.session)
    assert "KeyError" in observation.observe(examination)


@pytest.mark.parametrize(
    ("array", "index", "value"),
    [
        (0, (), 0.1),
        (1, (0, 0), 10**9),
        (1, (0, 1), -1),
        (1, (3, 0), 80),
        (2, (0, 1), 10**9),
        (2, (0, 0), 5),
        (2, (0, 1), np.nan),
    ],
)
def test_notes_that_contradict_each_other_fail_a_file(examine, monkeypatch, array, index, value):
    """Forged notes of an observed training are refused before anything is computed from them."""
    examination = examine(WRITTEN["step_lr_every_10"].text)
    examination.load(examination.session)
    call = type(examination.session).call

    def forged(self, command, *arguments, **options):
        answer, arrays = call(self, command, *arguments, **options)
        if command == "observe":
            arrays = [sent.astype(np.float64) for sent in arrays]
            if index:
                arrays[array][index] = value
            else:
                arrays[array] = arrays[array][:-1]
        return answer, arrays

    monkeypatch.setattr(type(examination.session), "call", forged)
    with pytest.raises(CheckFailure, match="do not belong together"):
        observation.observe(examination)


def test_equal_curves_have_equal_digests(examine):
    """Two files with the same curve, from other base learning rates, have one digest; another curve has another."""
    by_scheduler = Written((), STEP_LR, after=STEP)
    by_hand = Written((), before="self.optimizer.param_groups[0]['lr'] = 0.5 * 0.1 ** (self.epoch // 30)", after=COUNT)
    other = Written((), STEP_LR.replace("30", "31"), after=STEP)
    digests = [diagnosis.diagnose(observed(examine, written.text)).curve for written in (by_scheduler, by_hand, other)]
    assert digests[0] == digests[1] != digests[2]


def test_the_chosen_metrics_are_those_of_the_chosen_logits(examine):
    """The losses and accuracies that learn computes are those that the examiner expects."""
    written = WRITTEN["reduce_lr_on_plateau"]
    losses, accuracies = observation.metrics()
    given = diagnosis.metrics_given(observed(examine, written.text))
    assert np.allclose(given, losses, rtol=1e-5)
    text = written.text.replace("self.scheduler.step(total / count)", "self.scheduler.step(correct / count)")
    assert np.allclose(diagnosis.metrics_given(observed(examine, text)), accuracies)
    assert len(losses) == len(accuracies) == EPOCHS
    assert BATCHES > 1
