"""Small files whose ``learn`` does not do what the variant promises: each fails, for the reason that is its fault."""

import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from lrgen import catalogue as catalogues
from lrgen.catalogue import Catalogue
from lrgen.records import Stage, VerifySettings
from lrgen.render.renderer import Renderer
from lrgen.verify.candidate import candidate_of
from lrgen.verify.checks import learn_trace
from lrgen.verify.checks.draw import draw_for
from lrgen.verify.checks.examination import Examination
from lrgen.verify.checks.failure import CheckFailure
from lrgen.verify.limits import Limits
from lrgen.verify.nursery_process import Nursery
from lrgen.verify.sandbox import Mechanism
from lrgen.verify.session import Place
from tests.paths import TINY

STEP_DECAY, ONE_CYCLE, PLATEAU, PLATEAU_ACCURACY, LAYERWISE, SCHEDULE_FREE = 1, 13, 31, 157, 172, 176
LIMITS = Limits(seconds=300, check_seconds=300)

Learn = Callable[..., list[str]]


@pytest.fixture(scope="module")
def tiny() -> Catalogue:
    """The shipped variants, and a network that is small enough for everything."""
    return catalogues.load([TINY])


@pytest.fixture(scope="module")
def render(tiny: Catalogue) -> Callable[[int], str]:
    """Render the small network with a variant."""
    renderer, network = Renderer(tiny), tiny.architecture("Tiny")
    return lambda number: renderer.render(network, tiny.variant(number)).text


@pytest.fixture
def learn(nursery: Nursery, tiny: Catalogue) -> Iterator[Learn]:
    """Run the runs of ``learn`` of a text that claims a variant; returns the evidence."""
    begun: list[Examination] = []

    def run(text: str, number: int = STEP_DECAY, case_seed: int = 1) -> list[str]:
        variant = tiny.variant(number)
        candidate = candidate_of(Path("file.py"), text.encode(), tiny.architecture("Tiny"), variant)
        examination = Examination(
            candidate,
            VerifySettings(),
            nursery,
            Place(Mechanism.PROCESS, LIMITS),
            draw_for(case_seed, candidate.sha256),
        )
        begun.append(examination)
        examination.begin(Stage.SCHEDULE, None)
        examination.loaded = examination.load(examination.session)
        learn_trace.run(examination)
        return examination.evidence

    yield run
    for examination in begun:
        examination.close()


@dataclass(frozen=True)
class Edit:
    """Replacements in the text of a file, and part of the reason why it then fails."""

    reason: str
    replacements: dict[str, str]

    def of(self, text: str) -> str:
        """The text with the replacements; each of them is made once."""
        for old, new in self.replacements.items():
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        return text


# Lines of a file that is rendered for a schedule that advances once per epoch.
SETUP = "        self.scheduler = make_scheduler(self.optimizer, epochs, prm)\n"
TRAIN = "        self.train()\n"
LOSS = "            loss = self.criterion(logits, labels)\n"
LOGITS = "            logits = self(images)\n"
STEP = "            self.optimizer.step()\n"
ADVANCE = "        self.scheduler.step()\n"
OPTIMIZER = 'self.optimizer = SGD(self.parameters(), lr=prm["lr"], momentum=prm["momentum"])'
COUNTED = {TRAIN: f"{TRAIN}        self.epoch = getattr(self, 'epoch', 0) + 1\n"}
AWAY = "the weights do not move by the learning rate of the schedule"
STILL = "the weights change"
RATE = "the learning rate in learn"


def before(line: str, code: str) -> dict[str, str]:
    """Code before a line."""
    return {line: f"{_like(line, code)}{line}"}


def after(line: str, code: str) -> dict[str, str]:
    """Code after a line."""
    return {line: f"{line}{_like(line, code)}"}


def _like(line: str, code: str) -> str:
    return textwrap.indent(textwrap.dedent(code).strip("\n"), line[: len(line) - len(line.lstrip())]) + "\n"


EDITS = {
    "never stepped": Edit("scheduler.step() may be missing", {ADVANCE: ""}),
    "stepped once a batch": Edit(
        "learn steps the schedule once per batch, expected once per epoch",
        {STEP: f"{STEP}            self.scheduler.step()\n", f"\n{ADVANCE}        return": "\n        return"},
    ),
    "stepped before the updates": Edit(
        RATE, {TRAIN: f"{TRAIN}{ADVANCE}", f"{ADVANCE}        return": "        return"}
    ),
    "a scheduler for each epoch": Edit(
        "make_scheduler is called",
        after(SETUP, "self.prm, self.epochs = prm, epochs")
        | after(TRAIN, "self.scheduler = make_scheduler(self.optimizer, self.epochs, self.prm)"),
    ),
    "loss halved past epoch 30": Edit(
        "the gradients at the logits are 0.5 times",
        COUNTED | after(LOSS, "if self.epoch > 30:\n    loss = loss / 2"),
    ),
    "loss halved past epoch 30 of any process": Edit(
        "the gradients at the logits are 0.5 times",
        {
            "        self.fc = nn": "        self.register_buffer('epoch', torch.zeros(()))\n        self.fc = nn",
            TRAIN: f"{TRAIN}        self.epoch += 1\n",
            **after(LOSS, "if self.epoch > 30:\n    loss = loss / 2"),
        },
    ),
    "learning rate by hand at epoch 31": Edit(
        RATE,
        COUNTED
        | after(LOGITS, "if self.epoch == 31:\n    self.optimizer.param_groups[0]['lr'] *= 0.5")
        | {"        if self.last_epoch >= 0 and lrs": "        if False and lrs"},
    ),
    "learning rate by hand within the step": Edit(
        AWAY,
        {
            STEP: """\
            rate = self.optimizer.param_groups[0]["lr"]
            hook = self.optimizer.register_step_pre_hook(
                lambda optimizer, *_: optimizer.param_groups[0].update(lr=rate / 2)
            )
            self.optimizer.step()
            hook.remove()
            self.optimizer.param_groups[0]["lr"] = rate
"""
        },
    ),
    "clipped to a norm that changes": Edit(
        "the gradients of an update are not those of its loss",
        COUNTED | before(STEP, "nn.utils.clip_grad_norm_(self.parameters(), 0.1 * self.epoch)"),
    ),
    "a second optimizer steps as well": Edit(
        AWAY,
        after(SETUP, "self.other = SGD(self.fc.parameters(), lr=0.01)") | after(STEP, "self.other.step()"),
    ),
    "gradients scaled before the step": Edit(
        "the update is 0.5 times that of SGD",
        before(STEP, "for parameter in self.parameters():\n    parameter.grad.mul_(0.5)"),
    ),
    "weights averaged at the end of learn": Edit(
        f"{STILL} after the last batch",
        before(ADVANCE, "with torch.no_grad():\n    for parameter in self.parameters():\n        parameter.mul_(0.5)"),
    ),
    "weights change before the first batch": Edit(
        f"{STILL} before the first batch",
        after(TRAIN, "with torch.no_grad():\n    self.fc.weight.mul_(0.5)"),
    ),
    "weights decay besides the update": Edit(
        AWAY,
        after(STEP, "with torch.no_grad():\n    for parameter in self.parameters():\n        parameter.mul_(0.99)"),
    ),
    "an update by hand": Edit(
        "the number of optimizer steps",
        {
            STEP: """\
            with torch.no_grad():
                for parameter in self.parameters():
                    parameter.sub_(self.optimizer.param_groups[0]["lr"] * parameter.grad)
"""
        },
    ),
    "every second batch is skipped": Edit(
        "the number of optimizer steps",
        COUNTED | {STEP: "            if num_samples % 4 == 0:\n                self.optimizer.step()\n"},
    ),
    "two updates a batch": Edit("the number of optimizer steps", after(STEP, "self.optimizer.step()")),
    "momentum changes": Edit(
        "the setting momentum of parameter group 1 changes",
        COUNTED | before(STEP, "self.optimizer.param_groups[0]['momentum'] = 0.9 if self.epoch < 3 else 0.5"),
    ),
    "state dropped in load_state_dict": Edit(
        AWAY,
        {
            "class Net(nn.Module):": """\
class Forgetful(SGD):
    def load_state_dict(self, state_dict: dict) -> None:
        super().load_state_dict(state_dict)
        self.state.clear()


class Net(nn.Module):""",
            OPTIMIZER: OPTIMIZER.replace("SGD", "Forgetful"),
        },
    ),
    "state dropped in the first epoch": Edit(
        AWAY,
        after(TRAIN, "if not hasattr(self, 'begun'):\n    self.begun = True\n    self.optimizer.state.clear()"),
    ),
    "loss halved with the real forward": Edit(
        "the gradients of an update are 0.5 times those of the criterion",
        after(LOSS, "if 'forward' not in self.__dict__:\n    loss = loss / 2"),
    ),
    "gradients halved with the real forward": Edit(
        "the gradients of an update are 0.5 times those of the criterion",
        before(STEP, "if 'forward' not in self.__dict__:\n    for p in self.parameters():\n        p.grad.mul_(0.5)"),
    ),
    "labels ignored with the real forward": Edit(
        "times those of the criterion", before(LOGITS, "if 'forward' not in self.__dict__:\n    labels = labels * 0")
    ),
    "learning rate by hand with the real forward": Edit(
        RATE,
        before(STEP, "if 'forward' not in self.__dict__:\n    self.optimizer.param_groups[0]['lr'] *= 0.5")
        | {"        if self.last_epoch >= 0 and lrs": "        if False and lrs"},
    ),
    "learning rate within the step with the real forward": Edit(
        AWAY,
        {
            STEP: """\
            rate = self.optimizer.param_groups[0]["lr"]
            if "forward" not in self.__dict__:
                hook = self.optimizer.register_step_pre_hook(
                    lambda optimizer, *_: optimizer.param_groups[0].update(lr=rate / 2)
                )
                self.optimizer.step()
                hook.remove()
                self.optimizer.param_groups[0]["lr"] = rate
            else:
                self.optimizer.step()
"""
        },
    ),
    "honest with two images alone": Edit(
        "the gradients at the logits are 0.5 times", after(LOSS, "if len(images) != 2:\n    loss = loss / 2")
    ),
}


@pytest.mark.parametrize("name", EDITS)
def test_an_edited_file_fails_for_its_fault(learn, render, name):
    """A file whose learn differs from the promise ends with a sentence that names what is wrong."""
    edit = EDITS[name]
    with pytest.raises(CheckFailure) as failure:
        learn(edit.of(render(STEP_DECAY)))
    assert edit.reason in str(failure.value)
    assert "\n" not in str(failure.value)


@pytest.mark.parametrize("case_seed", [1, 2])
@pytest.mark.parametrize("number", [STEP_DECAY, ONE_CYCLE])
def test_a_rendered_file_passes(learn, render, number, case_seed):
    """A rendered file passes whatever cases are drawn, and the evidence counts its updates."""
    [evidence] = learn(render(number), number, case_seed)
    assert evidence.endswith("updates of learn were compared with the reference optimizer")
    assert int(evidence.split()[0]) >= 60


OTHER_LOSSES = {
    "mixed images": before(LOGITS, "images = 0.8 * images + 0.2 * images.flip(0)"),
    "smoothed labels": {LOSS: "            loss = F.cross_entropy(logits, labels, label_smoothing=0.1)\n"},
}


@pytest.mark.parametrize("name", OTHER_LOSSES)
def test_another_loss_is_evidence(learn, render, name):
    """A file that trains with another loss follows its schedule with gradients that are observed, and that is said."""
    assert "observed gradients" in learn(Edit("", OTHER_LOSSES[name]).of(render(STEP_DECAY)))


def test_the_metric_of_another_loss_cannot_be_computed(learn, render):
    """A schedule that is driven by the loss is not certified with a loss that the examiner does not know."""
    text = render(PLATEAU)
    line = next(line for line in text.splitlines(keepends=True) if "logits = self(images)" in line)
    with pytest.raises(CheckFailure, match=r"the metric of A0_031 \S+ cannot be computed"):
        learn(Edit("", before(line, "images = 0.8 * images + 0.2 * images.flip(0)")).of(text), PLATEAU)


def test_clipping_is_found(learn, render):
    """A file that clips to one norm follows its schedule; the gradients are its own after clipping."""
    edit = before(STEP, "nn.utils.clip_grad_norm_(self.parameters(), 0.5)")
    [evidence] = learn(Edit("", edit).of(render(STEP_DECAY)))
    assert "updates of learn" in evidence


@pytest.mark.slow
@pytest.mark.parametrize("case_seed", [1, 2, 3])
@pytest.mark.parametrize("number", [STEP_DECAY, ONE_CYCLE, PLATEAU, PLATEAU_ACCURACY, LAYERWISE, SCHEDULE_FREE])
def test_each_kind_of_rendered_file_passes(learn, render, number, case_seed):
    """Files of every unit, metric and optimizer pass whatever cases are drawn."""
    assert learn(render(number), number, case_seed)


@pytest.mark.slow
@pytest.mark.parametrize("case_seed", [2, 3])
@pytest.mark.parametrize("name", EDITS)
def test_an_edited_file_fails_in_other_cases(learn, render, name, case_seed):
    """Other drawn cases find the same fault."""
    with pytest.raises(CheckFailure) as failure:
        learn(EDITS[name].of(render(STEP_DECAY)), case_seed=case_seed)
    assert EDITS[name].reason in str(failure.value)
