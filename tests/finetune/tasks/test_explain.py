"""Task explain: explanations from the catalogue."""

import pytest

from lrgen.finetune import wording
from lrgen.finetune.example import Scope
from lrgen.finetune.tasks import explain


@pytest.fixture(scope="module")
def examples(full_input):
    return list(explain.examples(full_input))


@pytest.mark.parametrize("layout", explain.LAYOUTS)
def test_an_explanation_is_complete(layout, full_input):
    """Family, unit, formula, end, reference and each hyperparameter with default and range are in each layout."""
    for file in full_input.files:
        family, variant = full_input.catalogue.family(file.variant.family), file.variant
        text = layout(file, family)
        for fact in (family.title, wording.summary(variant), variant.formula, wording.advances(variant)):
            assert fact in text
        for fact in (wording.past_end(variant), variant.source, variant.paper, *wording.hyperparameters(variant)):
            assert fact in text
        assert variant.title.casefold() in text.casefold()
        assert all(explain.facts(variant, family, text).values())


def test_an_explanation_of_a_schedule_does_not_depend_on_the_network(examples, full_input):
    """A standalone schedule has a few explanations; the prompt has its unit and no network."""
    standalone = [example for example in examples if example.scope is Scope.SCHEDULE]
    completions = {(example.files[0].variant.number, example.completion) for example in standalone}
    assert len(completions) == len(standalone) == explain.PER_SCHEDULE * len(full_input.catalogue.variants)
    for example in standalone:
        assert "class Net" not in example.prompt
        assert wording.advances(example.files[0].variant) in example.prompt


def test_each_file_is_explained_once(examples, full_input):
    """Each whole file has one explanation, whose prompt shows the file."""
    whole = [example for example in examples if example.scope is Scope.FILE]
    assert [example.files[0] for example in whole] == list(full_input.files)
    assert all(wording.quoted(example.prompt) == example.files[0].source for example in whole)
