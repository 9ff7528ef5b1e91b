"""The code of a schedule alone is graded against its composition, with partial credit for the steps that are right."""

from fractions import Fraction

import pytest

from lrgen.curves.compositions import Composition, Phase, Shape
from lrgen.curves.compositions.phases import linear
from lrgen.finetune.compositions import RealisedComposition
from lrgen.finetune.example import Example, Scope
from lrgen.finetune.rows import Rows, Split
from lrgen.realisations import Call, Interface
from lrgen.records import Unit
from lrgen.score.completions import Completion
from tests.score.rows import scorer_in

RIGHT = """\
import math


def lr_factor(step, total_steps):
    warmup = round(0.2 * total_steps)
    if step < warmup:
        return step / warmup
    progress = (min(step, total_steps) - warmup) / (total_steps - warmup)
    return 0.5 * (1 + math.cos(math.pi * progress))
"""
ANSWERS = {
    "right": (RIGHT, 1.0),
    "right in other words": (RIGHT.replace("warmup", "w").replace("0.5 * (1 +", "0.5 + 0.5 * (0 +"), 1.0),
    "a decay that begins at 0": (
        RIGHT.replace("_steps) - warmup) / (total_steps - warmup)", "_steps)) / total_steps"),
        0.2,
    ),
    "constant": ("def lr_factor(step, total_steps):\n    return 1.0\n", 0.0),
    "an exception": ("def lr_factor(step, total_steps):\n    return 1 / 0\n", 0.0),
    "other arguments": ("def lr_factor(step):\n    return 1.0\n", 0.0),
    "no function": ("x = 1\n", 0.0),
}


def row_of(composition, completion, *, takes_horizon):
    """A row that asks for the factor of a composition."""
    example = Example(
        task="schedule",
        key="1",
        prompt="Write it.",
        completion=completion,
        scope=Scope.SCHEDULE,
        composition=RealisedComposition(composition, (), 1),
        interface=Interface(Call.FACTOR, "lr_factor", takes_horizon=takes_horizon),
    )
    return Rows(0).of(example, Split.TEST, "linear_up+cosine")


@pytest.fixture(scope="module")
def row():
    cosine = Phase(Shape.COSINE, Fraction(4, 5), Fraction(1), Fraction(0))
    composition = Composition((linear(Fraction(0), Fraction(1), Fraction(1, 5)), cosine), Unit.EPOCH, 50)
    return row_of(composition, RIGHT, takes_horizon=True)


@pytest.fixture(scope="module")
def verdicts(row, catalogue, tmp_path_factory):
    scorer = scorer_in(tmp_path_factory.mktemp("scores"), catalogue)
    texts = [text for text, _ in ANSWERS.values()]
    samples = [(row, Completion(row["id"], at, text, "x")) for at, text in enumerate(texts)]
    return dict(zip(ANSWERS, scorer.score(samples), strict=True))


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_is_worth_the_steps_that_are_right(verdicts, name):
    """An answer passes if each step is right; else its fraction is that of the right steps."""
    verdict, (_, fraction) = verdicts[name], ANSWERS[name]
    assert verdict.passed == (fraction == 1.0)
    assert verdict.fraction == pytest.approx(fraction, abs=0.03)


def test_the_reason_names_the_step(verdicts):
    """A wrong learning rate is reported with its step, its horizon and both values."""
    reason = verdicts["a decay that begins at 0"].reason
    assert "of horizon" in reason
    assert "the learning rate must be" in reason


LONG = """\
def lr_factor(step):
    return 1 - min(step, 300_000) / 300_000
"""


def test_a_horizon_of_many_steps_has_time_for_them(catalogue, tmp_path):
    """The limit of the check does not count the steps of a long horizon, which take longer than it."""
    composition = Composition((linear(Fraction(1), Fraction(0), Fraction(1)),), Unit.BATCH, 300_000)
    row = row_of(composition, LONG, takes_horizon=False)
    scorer = scorer_in(tmp_path, catalogue, seconds=0.3)
    [verdict] = scorer.score([(row, Completion(row["id"], 0, LONG, "x"))])
    assert verdict.passed, verdict.reason


IDLE = """\
import torch
from torch import nn


def train(model, loader, epochs, base_lr):
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=base_lr)
    for epoch in range(epochs):
        for group in optimizer.param_groups:
            group["lr"] = base_lr * (1 - epoch / epochs)
        for _ in loader:
            optimizer.step()
"""
BUSY = (
    IDLE.replace("[nn.Parameter(torch.zeros(1))]", "model.parameters()")
    .replace("for _ in loader", "for x, y in loader")
    .replace(
        "            optimizer.step()",
        "            optimizer.zero_grad()\n            nn.functional.cross_entropy(model(x), y).backward()\n"
        "            optimizer.step()",
    )
)
SCHEDULER = """\
import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR


def train(model, loader, epochs, base_lr):
    optimizer = torch.optim.SGD(model.parameters(), lr=base_lr)
    scheduler = LambdaLR(optimizer, lambda epoch: 1 - epoch / epochs)
    for _ in range(epochs):
        for x, y in loader:
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x), y).backward()
            optimizer.step()
        scheduler.step()
"""


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (IDLE, "an update does not train the network"),
        (SCHEDULER, "code without a scheduler of PyTorch was asked for"),
        (BUSY, ""),
    ],
)
def test_a_loop_must_train_and_be_what_was_asked_for(code, reason, catalogue, tmp_path):
    """Right learning rates do not pass where the network is not trained, or another style was asked for."""
    composition = Composition((linear(Fraction(1), Fraction(0), Fraction(1)),), Unit.EPOCH, 20)
    example = Example(
        task="schedule",
        key="1",
        prompt="Write it.",
        completion=BUSY,
        scope=Scope.SCHEDULE,
        evidence={"style": "loop"},
        composition=RealisedComposition(composition, (), 1),
        interface=Interface(Call.LOOP, "train", takes_horizon=True),
    )
    row = Rows(0).of(example, Split.TEST, "linear")
    [verdict] = scorer_in(tmp_path, catalogue).score([(row, Completion(row["id"], 0, code, "x"))])
    assert verdict.passed == (not reason)
    assert reason in verdict.reason
