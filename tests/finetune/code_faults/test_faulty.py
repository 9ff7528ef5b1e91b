"""Faulty code of compositions: what is executed and observed, and what its faults say."""

import random

import numpy as np
import pytest

from lrgen.finetune.code_faults import faulty as module
from lrgen.finetune.code_faults.faulty import correct_code, faulty
from lrgen.finetune.code_faults.runs import conditions, run
from lrgen.source.spans import Parsed
from tests import corpus

COUNT = 40


@pytest.fixture(scope="module")
def all_faulty():
    """Faulty code of compositions, a part of it with two faults."""
    made = []
    for realised in corpus.realised(range(COUNT)):
        chance = random.Random(realised.number)
        correct = correct_code(realised, chance)
        if correct is not None:
            made.append(faulty(realised.composition, correct, chance, count=1 + realised.number % 2))
    return [each for each in made if each is not None]


def test_nearly_every_composition_has_faulty_code(all_faulty):
    """Few compositions are left out, and half of the others have two faults."""
    assert len(all_faulty) > 0.8 * COUNT
    assert sum(len(each.faults) == 2 for each in all_faulty) > COUNT / 4
    assert len({fault.kind for each in all_faulty for fault in each.faults}) > 10


def test_faulty_code_differs_visibly_when_it_is_run_again(all_faulty):
    """The run of faulty code is repeatable, and a person sees that it is wrong; the correct code's run is right."""
    for each in all_faulty:
        given = each.run.conditions
        again = run(each.text, each.composition, each.correct.interface, given)
        assert again.differs
        assert again.raised == each.run.raised
        if again.rates is not None:
            assert np.array_equal(again.rates, each.run.rates)
        correct = run(each.correct.code, each.composition, each.correct.interface, given)
        assert not correct.differs
        assert correct.first_difference is None


def test_a_traceback_shows_a_line_of_the_code(all_faulty):
    """What faulty code raises is shown as of its file."""
    raised = [each for each in all_faulty if each.run.rates is None]
    for each in raised:
        if "\n" in each.run.raised:
            assert 'File "schedule.py", line' in each.run.raised
            assert each.run.raised.splitlines()[-1].partition(":")[0].isidentifier()


def test_the_lines_of_a_fault_are_lines_of_the_code(all_faulty):
    """Each fault has its lines, in the order of the faults, and a reason."""
    for each in all_faulty:
        lines = each.text.splitlines()
        firsts = [fault.lines[0] for fault in each.faults]
        assert all(1 <= number <= len(lines) and lines[number - 1].strip() for number in firsts)
        assert all(fault.reason for fault in each.faults)
        assert each.evidence["failed"] == "schedule"


def test_each_of_two_faults_shows_alone(all_faulty):
    """The halves have one fault each, which differs from the correct code and from both."""
    for each in all_faulty:
        if len(each.faults) == 2:
            assert len(each.halves) == len(each.of_halves) == 2
            for text, observed in zip(each.halves, each.of_halves, strict=True):
                assert text not in (each.text, each.correct.code)
                assert observed.differs


def test_correct_code_that_is_wrong_is_refused(monkeypatch):
    """Code that differs from the curve is not published as correct."""
    (realised,) = corpus.realised([3])
    write = module.write

    def wrong(composition, style, chance):
        written = write(composition, style, chance)
        mutant = faulty(composition, written, random.Random(0))
        return type(written)(written.style, mutant.text, written.interface)

    monkeypatch.setattr(module, "write", wrong)
    with pytest.raises(module.CorpusError, match=realised.composition.id):
        correct_code(realised, random.Random(0))


def test_code_that_depends_on_all_steps_is_not_judged_by_single_ones():
    """Where a run jumps from step to step, no mutation is used whose effect accumulates."""
    for realised in corpus.realised(range(COUNT)):
        for each in realised.realisations:
            given = conditions(realised.composition, each.style, each.interface)
            if given is not None and given.jumps:
                drawn = module._drawn(Parsed(each.code), given, random.Random(0))
                assert not any(mutation.kind.compounds for mutation in drawn)
