"""Task convert: the same learning rates through another API."""

import itertools
import re
from dataclasses import replace

import pytest

from lrgen.errors import CorpusError, DatasetError
from lrgen.finetune import forms, wording
from lrgen.finetune.example import Scope
from lrgen.finetune.mutants import RunContext
from lrgen.finetune.tasks import convert
from lrgen.source import sections
from tests import corpus


@pytest.fixture(scope="module")
def examples(full_input):
    return list(convert.of_equivalents(full_input))


@pytest.fixture(scope="module")
def of_forms(catalogue, tmp_path_factory):
    """The conversions between the forms of step decay (none), cosine decay, warm-up, 1-cycle and noise."""
    task_input = corpus.task_input(catalogue, (1, 23, 37, 34, 129, 167))
    context = RunContext(tmp_path_factory.mktemp("cache"), workers=1)
    return [example for example in convert.examples(task_input, context) if "form" in example.evidence]


def test_conversions_are_between_equivalents_in_both_directions(examples, full_input):
    """Each ordered pair of equivalents occurs once as a schedule, and as whole files of each architecture with both."""
    root = {variant.number: variant.equivalent_to or variant.number for variant in full_input.catalogue.schedules}
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


def test_examples_of_a_model_do_not_depend_on_other_models(examples, full_input):
    """The conversions of whole files of a model are the same when it is built without others."""
    single = replace(full_input, files=[file for file in full_input.files if file.architecture.name == "SqueezeNet"])
    expected = [example for example in examples if example.key.startswith("SqueezeNet")]
    assert [example for example in convert.of_equivalents(single) if example.scope is Scope.FILE] == expected


def test_a_request_gives_the_recorded_schedule(examples):
    """The prompt has the title that the completion records, which no other text of the prompt determines."""
    for example in examples:
        request = re.sub(r"```.*?```", "", example.prompt, flags=re.DOTALL)
        assert f'scheduler.schedule = ("{example.files[0].variant.title}", total_steps)' in request
        assert (example.system == wording.interface(example.files[0])) == (example.scope is Scope.FILE)


def test_the_evidence_is_the_trace_or_the_curve(full_input):
    """Equal traces are the evidence of a conversion, without them equal curves; different curves are an error."""
    native, closed_form, other = (full_input.files[number - 1] for number in (6, 23, 7))
    traced = [replace(file, trace="0123456789abcdef") for file in (native, closed_form)]
    assert convert.compared(*traced) == {"same_trace": "0123456789abcdef"}
    assert convert.compared(native, closed_form)["same_curve_within"] == 1e-9
    with pytest.raises(DatasetError, match=r"^ResNet/A0_006 and ResNet/A0_007: the curves .* differ by [\d.e-]+$"):
        convert.compared(native, other)


# Forms of code.


def test_each_form_of_a_schedule_is_converted_to_each_other(of_forms):
    """A schedule with a callable class has up to six conversions, from the code of a form to that of another."""
    pairs = {}
    for example in of_forms:
        given, answer = forms.form_of(wording.quoted(example.prompt)), forms.form_of(example.completion)
        pairs.setdefault(example.files[0].variant.number, set()).add((given, answer))
        assert answer == example.evidence["form"]
    assert pairs.keys() == {23, 37, 34, 129, 167}
    assert pairs[37] == set(itertools.permutations(forms.Form, 2))
    assert pairs[34] == set(itertools.permutations((forms.Form.CALLABLE, forms.Form.SUBCLASS), 2))  # two methods


def test_a_request_for_a_form_names_it(of_forms):
    """The request says which form is asked for and that the recorded schedule stays."""
    words = {"callable": "class|__call__", "closure": "function|closure", "subclass": "LRScheduler.*get_lr"}
    for example in of_forms:
        request = re.sub(r"```.*?```", "", example.prompt, flags=re.DOTALL)
        assert re.search(words[example.evidence["form"]], request)
        assert "`scheduler.schedule`" in request


def test_a_form_with_other_learning_rates_is_an_error(catalogue, tmp_path, monkeypatch):
    """Each form is executed; one whose learning rates differ from the curve ends the build."""
    made = forms.of

    def wrong(source):
        return {form: code.replace("0.5 * (1 +", "0.5 * (1.01 +") for form, code in made(source).items()}

    monkeypatch.setattr(forms, "of", wrong)
    with pytest.raises(CorpusError, match=r"^A0_023/\w+: the learning rates of this form differ from the curve$"):
        list(convert.examples(corpus.task_input(catalogue, (23,)), RunContext(tmp_path)))
