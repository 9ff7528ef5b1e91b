"""Training scripts of strangers: their shapes, and the lines that drive their learning rate."""

import ast
import random
from dataclasses import replace

import pytest

from lrgen.finetune.scripts import plan, wiring
from lrgen.finetune.scripts.hooks import NONE, Hooks
from lrgen.finetune.scripts.script import script
from lrgen.realisations import Call, Interface, Realisation, Style
from lrgen.records import Unit
from lrgen.verify import generated
from tests import corpus

COUNT = 60

SETTER = '''\
"""A schedule."""

import math


def adjust(optimizer, step, total_steps):
    for group in optimizer.param_groups:
        group["lr"] = group["initial_lr"] * math.cos(step / total_steps)
'''


def shapes(count: int = COUNT) -> list[plan.Plan]:
    return [plan.draw(random.Random(number)) for number in range(count)]


def test_every_script_is_python_of_one_shape_each():
    """Scripts parse, have the function that trains, and hardly any two are alike."""
    texts = [script(shape, NONE, str(number), "0.1") for number, shape in enumerate(shapes())]
    assert len(set(texts)) == COUNT
    for text, shape in zip(texts, shapes(), strict=True):
        functions = {node.name for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)}
        assert shape.function in functions
        assert text.endswith("\n")
        assert not text.endswith("\n\n")
        assert "\n\n\n\n" not in text
        assert text == "".join(f"{line.rstrip()}\n" for line in text.splitlines())


def test_a_schedule_adds_lines_and_changes_none():
    """With the lines of a schedule, a script still has all its lines in order."""
    (realised,) = corpus.realised([3])
    tried = 0
    for number, shape in enumerate(shapes()):
        for realisation in realised.realisations:
            wired = wiring.wired(realisation, shape, realised.composition.unit, random.Random(0))
            if wired is None:
                continue
            tried += 1
            before, after = (script(shape, hooks, str(number), "0.1") for hooks in (NONE, wired))
            rest = iter(after.splitlines())
            assert all(any(line == other for other in rest) for line in before.splitlines() if not _free(line))
            assert realisation.interface.entry in after
    assert tried > COUNT / 2


def _free(line: str) -> bool:
    return line.startswith(("import ", "from ")) or not line.strip()


@pytest.mark.parametrize("number", range(12))
def test_a_script_with_another_schedule_runs(number):
    """Schedules that are to be replaced are valid: the script trains with a learning rate that changes, or warms up."""
    (realised,) = corpus.realised([3])
    shape = plan.draw(random.Random(number))
    text = script(shape, wiring.other(shape, random.Random(number)), "0", "0.1")
    interface = Interface(Call.LOOP, shape.function, True, shape.takes_lr)
    composition = replace(realised.composition, unit=Unit.BATCH)
    rates = generated.rates(text, interface, composition, horizon=40)
    assert rates.shape == (1, 40)


def test_a_function_that_reads_the_initial_rates_gets_them():
    """A setter without a base learning rate is given the learning rates of the groups as initial ones."""
    realisation = Realisation(Style.FUNCTION, SETTER, Interface(Call.SETTER, "adjust", True))
    shape = next(shape for shape in shapes() if not shape.in_class)
    wired = wiring.wired(realisation, shape, Unit.EPOCH, random.Random(0))
    assert '    group["initial_lr"] = group["lr"]' in wired.setup
    assert '"""A schedule."""' not in wired.definitions


def test_names_that_collide_are_refused():
    """No schedule is put in a script whose names mean something else."""
    for name in ("F", "loss"):
        code = SETTER.replace("adjust", name)
        realisation = Realisation(Style.FUNCTION, code, Interface(Call.SETTER, name, True))
        assert wiring.wired(realisation, shapes(1)[0], Unit.EPOCH, random.Random(0)) is None


def test_a_loop_cannot_be_put_in_a_loop():
    """Only code that is called in a loop drives a script."""
    realisation = Realisation(Style.LOOP, SETTER, Interface(Call.LOOP, "adjust", True))
    assert wiring.wired(realisation, shapes(1)[0], Unit.EPOCH, random.Random(0)) is None


def test_without_hooks_there_is_no_schedule():
    """The script of no hooks is that of empty ones."""
    shape = shapes(1)[0]
    assert script(shape, NONE, "0", "0.1") == script(shape, Hooks(), "0", "0.1")
