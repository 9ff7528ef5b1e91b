"""A file in which only the schedule is foreign is executed by its parts, and ends as it does whole."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from lrgen import catalogue as catalogues
from lrgen.records import Policy
from lrgen.render.renderer import Renderer
from lrgen.score import known
from lrgen.source import sections
from lrgen.verify.candidate import candidate_of
from lrgen.verify.parts.checks import separate
from tests.score.rows import rows_of, samples_of, scorer_in

OWN = catalogues.load()
RENDERER = Renderer(OWN)
ARCHITECTURE, VARIANT = OWN.architecture("ResNet"), OWN.variant(1)
TEXT = RENDERER.render(ARCHITECTURE, VARIANT).text
CODE = sections.parse(TEXT).schedule


def parts_of(text):
    """Whether the parts of a text are executed once."""
    candidate = candidate_of(Path("a.py"), text.encode(), ARCHITECTURE, VARIANT)
    with_parts = known.with_parts(candidate, ARCHITECTURE, VARIANT, RENDERER)
    assert not with_parts.rendered
    return with_parts.parts is not None and separate(with_parts)


def with_schedule(code, imports=""):
    """The rendered file with other code as its schedule, and more imports."""
    return TEXT.replace(CODE, code).replace("import torch\n", f"import torch\n{imports}", 1)


FACTORY = "def make_scheduler(optimizer, total_steps, prm):\n    {}\n    return prm['gamma'] * prm['step_fraction']\n"


@pytest.mark.parametrize(
    "text",
    [
        with_schedule(CODE + "\n# A comment.\n"),
        with_schedule(FACTORY.format("x = math.pi"), "import math\n"),
        with_schedule("HALF = 0.5\n\n\n" + FACTORY.format("pass")),
        with_schedule("class Halving:\n    pass\n\n\n" + FACTORY.format("pass")),
        TEXT.replace('"""', '"""Another title: ', 1),
    ],
    ids=["comment", "import", "constant", "class", "docstring"],
)
def test_another_schedule_alone(text):
    """Whatever defines make_scheduler and nothing else is a schedule."""
    assert text != TEXT
    assert parts_of(text)


@pytest.mark.parametrize(
    "text",
    [
        TEXT.replace("nn.ReLU", "nn.GELU").replace("F.relu", "F.gelu"),
        TEXT + "\n",
        with_schedule("print()\n\n\n" + CODE),
        with_schedule("nn.Linear.bias = None\n\n\n" + CODE),
        with_schedule("HALF = float('0.5')\n\n\n" + CODE),
        with_schedule(FACTORY.format("pass").replace("prm)", "prm, half=float('0.5'))", 1)),
        with_schedule("@torch.no_grad()\n" + CODE.lstrip()),
        with_schedule("class Meta(metaclass=type):\n    pass\n\n\n" + CODE),
        with_schedule("class Calls:\n    print()\n\n\n" + CODE),
        with_schedule(FACTORY.format("global Net")),
        with_schedule(FACTORY.format("Net.learn = None")),
        with_schedule(FACTORY.format("import math")),
        with_schedule(FACTORY.format("prm['warmup']")),
        with_schedule("class BasicBlock:\n    pass\n\n\n" + CODE),
        with_schedule("class Net:\n    pass\n\n\n" + CODE),
        with_schedule("def print(*words):\n    pass\n\n\n" + CODE),
        with_schedule("import torch.optim as nn\n\n\n" + CODE),
        with_schedule(CODE.replace("def make_scheduler", "def other")),
        TEXT.replace('"momentum"', '"momentum", "unused"', 1),
        TEXT.replace("import torch.nn.functional as F\n", ""),
        with_schedule("def supported_hyperparameters():\n    return set()\n\n\n" + CODE),
        with_schedule("if True:\n    pass\n\n\n" + CODE),
        with_schedule(CODE + "\n)"),
    ],
    ids=[
        "network", "more text below", "statement", "patch", "call in a constant", "call in a default", "decorator",
        "metaclass", "call in a class", "global", "Net", "import inside", "undeclared hyperparameter",
        "class of the network", "second Net", "built-in", "name of an import", "no make_scheduler", "declaration",
        "missing import", "second declaration", "block", "no Python",
    ],
)  # fmt: skip
def test_what_reaches_another_part_is_executed_whole(text):
    """Any other difference from the rendered file, and anything that runs while it is imported, is executed whole."""
    assert text != TEXT
    assert not parts_of(text)


def test_the_policy_lemur_executes_whole(tmp_path, catalogue):
    """Without the policy strict a schedule may reach other parts, so that no part is known."""
    [row] = rows_of(catalogue, "infill", [1], "ResNet")
    answer = row["completion"] + "\n# The end.\n"
    scorer = scorer_in(tmp_path, catalogue)
    candidate = candidate_of(Path("a.py"), with_schedule(CODE + "\n# A comment.\n").encode(), ARCHITECTURE, VARIANT)
    assert scorer._by_parts(row, candidate).parts is not None
    lemur = replace(scorer, settings=replace(scorer.settings, policy=Policy.LEMUR))
    assert lemur._by_parts(row, candidate) is candidate
    [verdict] = scorer.batch(samples_of(row, [answer]))
    assert verdict.passed


CONSTANT = (
    "def make_scheduler(optimizer, total_steps, prm):\n"
    "    return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0)\n"
)


def test_the_verdicts_are_those_of_whole_files(tmp_path, catalogue, monkeypatch):
    """Right and wrong schedules get the check, the fraction and the reward that whole files get."""
    [row] = rows_of(catalogue, "infill", [6], "ResNet")
    [other] = rows_of(catalogue, "infill", [12], "ResNet")
    answers = [row["completion"] + "\n# 1\n", CONSTANT, other["completion"], CONSTANT.replace("1.0", "[0][step]")]
    by_parts = scorer_in(tmp_path, catalogue).batch(samples_of(row, answers))
    monkeypatch.setattr(known, "with_parts", lambda candidate, *_: candidate)
    whole = scorer_in(tmp_path / "whole", catalogue).batch(samples_of(row, answers))
    for first, second in zip(by_parts, whole, strict=True):
        assert (first.passed, first.check, first.reward) == (second.passed, second.check, second.reward)
    assert [verdict.passed for verdict in by_parts] == [True, False, False, False]
    assert [verdict.check for verdict in by_parts] == ["schedule", "contract", "syntax", "policy"]
    lines = [re.findall(r"\(line (\d+)\)", verdict.reason) for verdict in (by_parts[-1], whole[-1])]
    assert lines[0] == lines[1] != []
