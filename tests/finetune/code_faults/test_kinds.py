"""The kinds of faults: what each does to code, and its reason."""

import random

import pytest

from lrgen.finetune.code_faults.kinds import BY_NAME, KINDS, mutations
from lrgen.source.spans import Parsed

LOOP = """\
for epoch in range(epochs):
    for x, y in loader:
        optimizer.step()
        scheduler.step()
"""
CASES = (
    ("counted from one", "p = step / warmup", "p = (step + 1) / warmup"),
    ("counted from one", "p = (step - 5) / 10", "p = (step - 5 + 1) / 10"),
    ("progress from the start", "p = (step - warmup) / n", "p = step / n"),
    ("divided by the end", "p = t / (total - warmup)", "p = t / total"),
    ("divided by one less", "p = step / warmup", "p = step / (warmup - 1)"),
    ("divided by one less", "p = step / 100", "p = step / 99"),
    ("floor division", "p = step / n", "p = step // n"),
    ("not reversed", "f = a * (1 - p)", "f = a * p"),
    ("not clamped", "p = min(1.0, t / n)", "p = t / n"),
    ("not clamped", "s = min(step, total)", "s = step"),
    ("not clamped", "step = min(step, total)\nx = step", "x = step"),
    ("min and max confused", "p = min(1.0, p)", "p = max(1.0, p)"),
    ("full cosine period", "c = cos(math.pi * p)", "c = cos(2 * math.pi * p)"),
    ("cosine without pi", "c = cos(math.pi * p)", "c = cos(p)"),
    ("rising cosine", "c = 1 + math.cos(x)", "c = 1 - math.cos(x)"),
    ("cosine without half", "c = a + (1 + math.cos(x)) / 2", "c = a + (1 + math.cos(x))"),
    ("cosine without half", "c = 0.5 * (1 + math.cos(x))", "c = (1 + math.cos(x))"),
    ("minimum added to the full range", "f = a + (b - a) * p", "f = a + b * p"),
    ("minimum added to the full range", "f = 0.1 + 0.9 * p", "f = 0.1 + p"),
    ("levels swapped", "f = a + (b - a) * p", "f = b + (a - b) * p"),
    ("caret instead of power", "f = p**2", "f = p^2"),
    ("multiplied instead of raised", "f = 0.5**k", "f = 0.5*k"),
    ("missing square root", "f = math.sqrt(p)", "f = p"),
    ("missing absolute value", "f = 1 - abs(2 * x - 1)", "f = 1 - (2 * x - 1)"),
    ("stage one step early", "k = step // 30", "k = (step + 1) // 30"),
    ("not rounded down", "k = step // 30", "k = step / 30"),
    ("never restarted", "t = step % cycle", "t = step"),
    ("off-by-one boundary", "f = 1 if step < n else 0", "f = 1 if step <= n else 0"),
    ("boundary of another phase", "f = 1 if step < a else step < b", "f = 1 if step < b else step < b"),
    ("neighbours swapped", "m = [10, 20]", "m = [20, 10]"),
    ("neighbours swapped", "m = ((0, 0.1), (9, 1.0))", "m = ((0, 1.0), (9, 0.1))"),
    ("wrong level", "f = 0.01", "f = 0.1"),
    ("wrong number of steps", "n = 500", "n = 50"),
    ("fraction used as a number of steps", "n = round(0.1 * total_steps)", "n = round(0.1)"),
    ("multiple used as a learning rate", "s = Cosine(o, eta_min=0.1 * lr)", "s = Cosine(o, eta_min=0.1)"),
    ("base learning rate not applied", "x = base_lr * factor(step)", "x = factor(step)"),
    ("base learning rate applied twice", "x = base_lr * factor(step)", "x = base_lr * base_lr * factor(step)"),
    (
        "learning rate returned as a factor",
        "def make(optimizer):\n    def f(step):\n        return a + b\n    return LambdaLR(optimizer, f)",
        'def make(optimizer):\n    def f(step):\n        return optimizer.defaults["lr"] * (a + b)\n'
        "    return LambdaLR(optimizer, f)",
    ),
    ("current learning rate multiplied", 'group["lr"] = base_lr * f', 'group["lr"] *= f'),
    ("current learning rate multiplied", 'x = group["initial_lr"] * f', 'x = group["lr"] * f'),
    (
        "current learning rate multiplied",
        "x = [lr * f for lr in self.base_lrs]",
        'x = [group["lr"] * f for group in self.optimizer.param_groups]',
    ),
    ("never advanced", LOOP, LOOP.replace("        scheduler.step()\n", "")),
    ("advanced in the wrong unit", LOOP, LOOP.replace("        scheduler", "    scheduler")),
    (
        "advanced in the wrong unit",
        LOOP.replace("        scheduler", "    scheduler"),
        LOOP,
    ),
    (
        "stepped before the optimizer",
        LOOP,
        LOOP.replace(
            "        optimizer.step()\n        scheduler.step()", "        scheduler.step()\n        optimizer.step()"
        ),
    ),
    ("wrong interval", 'd = {"interval": "step"}', 'd = {"interval": "epoch"}'),
    ("horizon in epochs", "n = epochs * len(loader)", "n = epochs"),
    ("horizon of one epoch", "n = epochs * len(loader)", "n = len(loader)"),
    ("start not subtracted", "s = Cosine(o, T_max=total - warmup)", "s = Cosine(o, T_max=total)"),
    (
        "ends of a ramp swapped",
        "s = LinearLR(o, start_factor=0.1, end_factor=1.0)",
        "s = LinearLR(o, start_factor=1.0, end_factor=0.1)",
    ),
    ("part one step too short", "s = LinearLR(o, total_iters=500)", "s = LinearLR(o, total_iters=499)"),
    ("lengths used as milestones", "s = S(o, a, milestones=[10, 30])", "s = S(o, a, milestones=[10, 20])"),
    (
        "chained instead of sequential",
        "from x import SequentialLR\ns = SequentialLR(o, [a, b], milestones=[9])",
        "from x import ChainedScheduler\ns = ChainedScheduler([a, b])",
    ),
    (
        "multiplies the previous learning rate",
        "from x import LambdaLR\ndef f(o) -> LambdaLR:\n    return LambdaLR(o, g)",
        "from x import MultiplicativeLR\ndef f(o) -> MultiplicativeLR:\n    return MultiplicativeLR(o, g)",
    ),
    ("first group only", "for g in o.param_groups:\n    pass", "for g in o.param_groups[:1]:\n    pass"),
    ("multiplier of the first group", "m = MULTIPLIERS[i]", "m = MULTIPLIERS[0]"),
    ("index off by one", "x = table[i + 1]", "x = table[i]"),
    ("bisected wrongly", "i = bisect.bisect_right(t, s)", "i = bisect.bisect_left(t, s)"),
    (
        "phases swapped",
        "def f(s):\n    if s < a:\n        return 1\n    if s < b:\n        return 2",
        "def f(s):\n    if s < a:\n        return 2\n    if s < b:\n        return 1",
    ),
    (
        "scheduler not returned",
        "def f(o):\n    scheduler = S(o)\n    return scheduler",
        "def f(o):\n    scheduler = S(o)",
    ),
    ("missing import", "import math\nx = 1", "x = 1"),
    ("misspelt name", "x = f(warmup_steps)", "x = f(warmup_step)"),
)


def mutants(text: str, name: str) -> list[str]:
    code = Parsed(f"{text.rstrip()}\n")
    return [code.edited(each.edits).rstrip("\n") for each in mutations(code) if each.kind.name == name]


@pytest.mark.parametrize(("name", "text", "expected"), CASES)
def test_a_kind_makes_the_mistake_that_it_is_named_for(name, text, expected):
    """The mutants of a kind include the expected text, and none is the text itself."""
    texts = mutants(text, name)
    assert expected.rstrip() in texts
    assert text.rstrip() not in texts


def test_every_kind_has_a_case():
    """No kind is left without an example, and no two have one name."""
    assert {name for name, _, _ in CASES} == {kind.name for kind in KINDS}
    assert len(BY_NAME) == len(KINDS)


@pytest.mark.parametrize("text", [text for _, text, _ in CASES])
def test_a_reason_is_a_sentence_without_gaps(text):
    """Each reason is filled in, of one line, and ends with a full stop."""
    code = Parsed(f"{text.rstrip()}\n")
    for mutation in mutations(code):
        for seed in range(3):
            reason = mutation.reason(code, random.Random(seed))
            assert reason.endswith("."), reason
            assert "\n" not in reason, reason
            assert "``" not in reason, reason
            assert not set(reason.replace(text, "")) & {"|"}, reason


def test_mutations_do_not_touch_what_they_are_not_about():
    """Comments, strings and docstrings of a text stay."""
    text = '"""Warm-up, 10 / 2."""\nx = step / 10  # 10 / 2\n'
    for mutation in mutations(Parsed(text)):
        mutant = Parsed(text).edited(mutation.edits)
        assert mutant.startswith('"""Warm-up, 10 / 2."""\n')
        assert mutant.endswith("  # 10 / 2\n")
