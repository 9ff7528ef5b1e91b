"""Task explain: explanations of what the code shows."""

import re

import pytest

from lrgen.finetune import facts, wording
from lrgen.finetune.example import Reference, Scope
from lrgen.finetune.rows import Rows, Split
from lrgen.finetune.tasks import explain
from tests.curves.comparison import variants

STEP, COSINE, PLATEAU, LINEAR_WARMUP = 1, 7, 31, 37
ASKED = {
    "name": r"scheduler\.schedule|the code (calls|gives)|in the code|from the code|by the code|does the code",
    "rule": r"formula|lr\(t\)|rule|by how much|by which factor",
    "hyperparameters": r"default",
    "end": r"total_steps`?([.?\n,:]|$)|horizon|past the end|, end|after T\?|defaults, end",
}


@pytest.fixture(scope="module")
def examples(full_input):
    return list(explain.examples(full_input))


@pytest.fixture(scope="module")
def reference(full_input) -> Reference:
    return Reference(full_input.catalogue)


def test_an_explanation_states_all_facts(examples, reference):
    """The answer of each example has the facts by which it is graded."""
    rows = Rows(seed=0)
    for example in examples:
        stated = explain.stated_facts(rows.of(example, Split.TRAIN, ""), example.completion, reference)
        assert all(stated.values()), (example.key, stated)
        assert len(stated) >= 3 + len(example.files[0].variant.hyperparameters)


def test_a_question_asks_for_all_facts(examples):
    """Name, formula or rule, defaults and end are asked for; of a file also its network, optimizer and unit."""
    for example in examples:
        question = re.sub(r"```.*?```", "", example.prompt, flags=re.DOTALL)
        missing = [name for name, words in ASKED.items() if not re.search(words, question, re.IGNORECASE)]
        assert not missing, (missing, question)
        if example.scope is Scope.FILE:
            assert re.search("network.*optimizer.*(advances|stepped per epoch or per batch)", question, re.DOTALL)
        else:
            assert wording.advances(example.files[0].variant) in question


def test_an_explanation_has_only_what_the_code_shows(examples, full_input):
    """An answer has no range, paper, family or source, and no name that its prompt does not have."""
    usual = {"The", "It", "In", "Each", "With", "T", "W", "After", "PyTorch", "Hyperparameter", "Gaussian", "Hermite"}
    for example in examples:
        variant, text = example.files[0].variant, example.completion
        family = full_input.catalogue.family(variant.family)
        assert not re.search(r", range \d", text)
        assert "http" not in text
        assert f'"{family.title}"' not in text
        described = explain.summary(variant)
        names = set(re.findall(r"(?<=[a-z,] )[A-Z][\w-]*", described))
        unknown = {name for name in names if name.casefold() not in example.prompt.casefold()} - usual
        assert not unknown, (example.key, unknown)


@pytest.mark.parametrize("layout", explain.LAYOUTS)
def test_each_layout_states_each_schedule(layout, full_input):
    """All four layouts have the facts of every schedule."""
    for variant in full_input.catalogue.schedules:
        assert all(facts.of_schedule(variant, layout(variant)).values()), variant.key


def test_an_explanation_of_a_schedule_does_not_depend_on_the_network(examples, full_input):
    """A standalone schedule has a few explanations; the prompt has no network."""
    standalone = [example for example in examples if example.scope is Scope.SCHEDULE]
    completions = {(example.files[0].variant.number, example.completion) for example in standalone}
    assert len(completions) == len(standalone) == explain.PER_SCHEDULE * len(full_input.catalogue.schedules)
    assert not any("class Net" in example.prompt for example in standalone)


def test_each_file_is_explained_once(examples, full_input):
    """Each whole file has one explanation, whose prompt shows the file."""
    whole = [example for example in examples if example.scope is Scope.FILE]
    assert [example.files[0] for example in whole] == list(full_input.files)
    assert all(wording.quoted(example.prompt) == example.files[0].source for example in whole)


# Facts in other words.


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (
            STEP,
            "The code implements a step-decay schedule: every `step_fraction` of training (default: 0.333) the "
            "learning rate is multiplied by gamma.\n\n`lr * gamma ** (t // s)`, s = step_fraction * T\n\n"
            "- gamma (0.1): the factor\n\nIt keeps decaying beyond total_steps.",
        ),
        (
            COSINE,
            "Cosine decay to 1% of the learning rate.\n\n| name | default |\n|---|---|\n| min_lr_ratio | 1% |\n\n"
            "lr(t) = lr * (m + 0.5 * (1 - m) * (1 + cos(pi * t / T))), m = min_lr_ratio. "
            "Past the horizon T the learning rate is kept.",
        ),
        (
            LINEAR_WARMUP,
            "Linear warmup, then the learning rate decays along a cosine.\n\n"
            "lr * t / W if t < W else lr * (1 + cos(pi * (t - W) / (T - W))) / 2, with W = warmup_fraction * T\n\n"
            "`warmup_fraction` = 1/10: the fraction of warm-up. Once total_steps is reached, it stays at zero.",
        ),
        (
            PLATEAU,
            "`learning rate reduction on loss plateaus`: it is divided by 10 once the loss has not improved by a "
            "relative threshold of 0.0001 for more than patience_fraction of training.\n`patience_fraction` defaults "
            "to 5/90. It goes on in the same way after total_steps.",
        ),
    ],
)
def test_facts_in_other_words_are_facts(number, text):
    """Inflected names, other notations, other forms of numbers and tables state the facts."""
    stated = facts.of_schedule(variants()[number], text)
    assert all(stated.values()), stated


@pytest.mark.parametrize(
    ("old", "new", "fact"),
    [
        ("step decay", "cosine decay", "the name of the schedule"),
        ("floor(t / s)", "floor(t / s) + 1", "the formula"),
        ("default 0.1", "default 0.2", "the default of `gamma`"),
        ("default 1/3", "default 1/4", "the default of `step_fraction`"),
        ("continues by the same rule", "remains constant", "the behaviour after the horizon"),
        ("continues by the same rule", "continues, or remains constant", "the behaviour after the horizon"),
    ],
)
def test_a_wrong_fact_is_missed(old, new, fact):
    """Of an explanation with one wrong fact, that fact is missing."""
    text = explain.LAYOUTS[2](variants()[STEP])
    changed = re.sub(re.escape(old), new, text, flags=re.IGNORECASE)
    assert changed != text
    assert [name for name, is_stated in facts.of_schedule(variants()[STEP], changed).items() if not is_stated] == [fact]
