"""Task convert: the same learning rates through another API."""

import itertools
from dataclasses import replace

import pytest

from lrgen.errors import DatasetError
from lrgen.finetune import wording
from lrgen.finetune.example import Scope
from lrgen.finetune.tasks import convert
from lrgen.source import sections


@pytest.fixture(scope="module")
def examples(full_input):
    return list(convert.examples(full_input))


def test_conversions_are_between_equivalents_in_both_directions(examples, full_input):
    """Each ordered pair of equivalents occurs once as a schedule, and as whole files of each architecture with both."""
    root = {variant.number: variant.equivalent_to or variant.number for variant in full_input.catalogue.variants}
    pairs = [(a, b) for a, b in itertools.permutations(sorted(root), 2) if root[a] == root[b]]
    standalone = [example for example in examples if example.scope is Scope.SCHEDULE]
    assert sorted(tuple(file.variant.number for file in reversed(example.files)) for example in standalone) == pairs
    whole = {
        (after.architecture.name, before.variant.number, after.variant.number)
        for after, before in (example.files for example in examples)
    }
    assert {("AlexNet", 3, 19), ("AlexNet", 19, 3), ("AlexNet", 37, 38), ("SqueezeNet", 38, 37)} <= whole


def test_a_conversion_is_from_a_verified_file_to_another(examples):
    """Prompt and completion are the verified texts, whole or standalone, and they differ."""
    for example in examples:
        after, before = example.files
        given, expected = (
            file.source if example.scope is Scope.FILE else sections.parse(file.source).standalone
            for file in (before, after)
        )
        assert (wording.quoted(example.prompt), example.completion) == (given, expected)
        assert given != expected


def test_a_request_gives_the_recorded_schedule(examples):
    """The prompt has the title that the completion records, which no other text of the prompt determines."""
    for example in examples:
        request = example.prompt.split("```")[0]
        assert f'scheduler.schedule = ("{example.files[0].variant.title}", total_steps)' in request


def test_the_evidence_is_the_trace_or_the_curve(full_input):
    """Equal traces are the evidence of a conversion, without them equal curves; different curves are an error."""
    native, closed_form, other = (full_input.files[number - 1] for number in (6, 23, 7))
    traced = [replace(file, trace="0123456789abcdef") for file in (native, closed_form)]
    assert convert.compared(*traced) == {"same_trace": "0123456789abcdef"}
    assert convert.compared(native, closed_form)["same_curve_within"] == 1e-9
    with pytest.raises(DatasetError, match=r"^ResNet/A0_006 and ResNet/A0_007: the curves .* differ by [\d.e-]+$"):
        convert.compared(native, other)
