"""Task trace: learning rates that are executed and compared with formulas."""

import math
import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from lrgen import curves
from lrgen.errors import CorpusError
from lrgen.finetune import wording
from lrgen.finetune.example import Example, Scope, TaskInput
from lrgen.finetune.mutants import RunContext
from lrgen.finetune.tasks import trace
from lrgen.records import Unit
from lrgen.source import sections
from lrgen.verify import trace as tracing
from lrgen.verify.trace import TraceSpec
from tests import corpus
from tests.corpus import verified
from tests.paths import REPOSITORY

TRACES = 20


@pytest.fixture(scope="module")
def task_input(catalogue) -> TaskInput:
    """The committed files: every schedule."""
    return corpus.task_input(catalogue, [variant.number for variant in catalogue.schedules])


@pytest.fixture(scope="module")
def examples(task_input, tmp_path_factory) -> list[Example]:
    return list(trace.examples(task_input, RunContext(tmp_path_factory.mktemp("cache"), workers=2, traces=TRACES)))


@pytest.fixture
def context(tmp_path) -> RunContext:
    return RunContext(tmp_path, workers=1, traces=3)


def answered(example: Example) -> dict[int, float]:
    """Return the learning rates of a completion by step, in any of its forms."""
    rows = re.findall(r"(\d+)(?: \||:|,|\) =|\":) ?([\d.e+-]+)", example.completion)
    return {int(step): float(rate) for step, rate in rows}


def of(examples: list[Example], number: int) -> list[Example]:
    return [example for example in examples if example.files[0].variant.number == number]


def check(example: Example, formula) -> None:
    """Compare a completion with a formula of step, horizon and hyperparameters, to six digits."""
    rates, evidence = answered(example), example.evidence
    assert list(rates) == evidence["steps"]
    for step, rate in rates.items():
        expected = formula(step, evidence["horizon"], **evidence["prm"])
        assert math.isclose(rate, expected, rel_tol=5e-6, abs_tol=1e-12), (example.key, step)


# Learning rates by formula.


def test_a_trace_has_the_rates_of_the_schedule(task_input):
    """Step decay, cosine decay, warm-up of two batches, and a file that prints give the expected rates."""
    files = {file.variant.number: file for file in task_input.files}
    text = files[3].source.replace("    return scheduler\n", "    print('{}')\n    return scheduler\n")
    printing = verified(task_input.catalogue, 3, source=text)
    requests = [
        (files[1], (TraceSpec(9, {"lr": 0.1}, (0, 2, 3, 5, 6, 9)),)),
        (files[6], (TraceSpec(4, {"lr": 0.1}, (0, 1, 2, 3, 4, 5)),)),
        (
            files[37],
            (TraceSpec(4, {"lr": 0.1, "warmup_fraction": 0.5}, (0, 1, 2, 3, 4)), TraceSpec(4, {"lr": 1.0}, (0,))),
        ),
        (printing, (TraceSpec(5, {"lr": 0.1}, (0, 1)),)),
    ]
    traces = [rates for _, _, specs in tracing.run(requests, workers=2) for rates in specs]
    expected = [
        [0.1, 0.1, 0.01, 0.01, 0.001, 0.0001],
        [0.1, 0.05 * (1 + math.sqrt(0.5)), 0.05, 0.05 * (1 - math.sqrt(0.5)), 0, 0],
        [0, 0.05, 0.1, 0.05, 0],
        [1.0],
        [0.1, 0.095],
    ]
    for rates, right in zip(traces, expected, strict=True):
        assert np.allclose(rates, [right], atol=1e-12)


def test_step_decay_has_the_rates_of_its_formula(examples):
    """The base learning rate is multiplied by gamma after each step size."""
    for example in of(examples, 1):
        check(
            example,
            lambda step, horizon, lr, gamma=0.1, step_fraction=1 / 3: (
                lr * gamma ** (step // max(1, round(step_fraction * horizon)))
            ),
        )


def test_cosine_decay_has_the_rates_of_its_formula(examples):
    """The learning rate is zero at the horizon and after it."""
    for example in of(examples, 6):
        check(example, lambda step, horizon, lr: lr * (1 + math.cos(math.pi * min(1, step / horizon))) / 2)


def test_warm_up_has_the_rates_of_its_formula(examples):
    """The learning rate increases linearly from zero, then is constant."""
    for example in of(examples, 40):
        check(
            example,
            lambda step, horizon, lr, warmup_fraction=0.1: (
                lr * min(1, step / round(warmup_fraction * horizon) if warmup_fraction * horizon else 1)
            ),
        )


def test_a_layer_wise_question_is_about_one_group(examples):
    """The prompt names a group by its depth, and the completion has the rates of that group."""
    depths = set()
    for example in of(examples, 172):
        depth = example.evidence["depth"]
        depths.add(depth)
        assert re.search(rf"of the group with depth {depth}\b", example.prompt)
        assert re.search(r"`depth` (are |of )?0, 1, 2 and 3", example.prompt)
        check(example, lambda *args, depth=depth, **prm: _layer(*args, depth=depth, **prm))
    assert len(depths) > 2


def _layer(step, horizon, lr, depth, layer_decay=0.75, warmup_fraction=0.05):
    climb = round(warmup_fraction * horizon)
    cosine = (1 + math.cos(math.pi * (min(step, horizon) - climb) / max(1, horizon - climb))) / 2
    return lr * layer_decay ** (3 - depth) * (step / climb if step < climb else cosine)


def test_a_plateau_has_the_rates_of_its_metrics(examples):
    """The prompt has the metrics; the learning rate drops to a tenth after too many without improvement."""
    fell = False
    for example in of(examples, 31):
        metrics, evidence = example.evidence["metrics"], example.evidence
        assert re.search(rf" {', '.join(map(str, metrics))}(?!, \d|\d)", example.prompt)
        patience = max(1, round(evidence["prm"].get("patience_fraction", 5 / 90) * evidence["horizon"]))
        rate, best, bad, rates = evidence["prm"]["lr"], math.inf, 0, []
        for metric in metrics:
            rates.append(rate)
            better = metric < best * (1 - 1e-4)
            best, bad = (metric, 0) if better else (best, bad + 1)
            if bad > patience:
                rate, bad = rate / 10, 0
        fell |= rates[-1] < rates[0]
        for step, rate in answered(example).items():
            assert math.isclose(rate, rates[step], rel_tol=5e-6)
    assert fell


def test_every_rate_is_that_of_the_curve(examples):
    """The rates of all completions are those of the independent curves, to six digits."""
    for example in examples:
        variant, evidence = example.files[0].variant, example.evidence
        prm = {name: value for name, value in evidence["prm"].items() if name != "lr"}
        lr, horizon, steps = evidence["prm"]["lr"], evidence["horizon"], evidence["steps"]
        metrics, depths = evidence.get("metrics"), evidence.get("depths", [0])
        right = curves.rates(variant, steps, horizon, lr, prm, metrics=metrics, depths=depths)
        right = right[depths.index(evidence.get("depth", 0))]
        assert list(answered(example)) == steps
        assert np.allclose(list(answered(example).values()), right, rtol=5e-6, atol=1e-12 * lr), example.key


# Errors.


def test_a_file_that_differs_from_its_curve_is_an_error(task_input, context):
    """A file whose rates differ from the curve ends the build with its name."""
    file = task_input.files[3]
    edited = verified(task_input.catalogue, file.variant.number, source=file.source.replace("power=2.0", "power=2.1"))
    assert edited.source != file.source
    with pytest.raises(
        CorpusError,
        match=r"^ResNet/A0_004\.py: at step \d+ of horizon .*, but its curve gives .*: verify the file again$",
    ):
        list(trace.examples(replace(task_input, files=[edited]), context))


def test_rates_with_uncertain_digits_are_not_used(task_input):
    """Rounding errors of zero are zero; a rate whose digits differ from the curve's is left out."""
    spec = TraceSpec(4, {"lr": 0.1}, (0, 2, 3, 4))
    executed = [[0.1, 0.05 + 1e-12, 0.05 * (1 - math.sqrt(0.5)) + 9e-11, 1e-18]]
    written = trace.publishable(task_input.files[5], spec, executed)
    assert written == [{0: "0.1", 2: "0.05", 3: "0.0146447", 4: "0"}]
    executed[0][3] = 5e-11
    assert 4 not in trace.publishable(task_input.files[5], spec, executed)[0]


def test_a_rate_as_small_as_a_rounding_error_is_not_used(task_input):
    """A learning rate of 1e-25 is neither zero nor worth its digits."""
    spec = TraceSpec(4, {"lr": 1.0, "gamma": 0.1}, (0, 2, 25))
    written = trace.publishable(task_input.files[2], spec, [[1.0, 0.01, 1e-25]])
    assert written == [{0: "1", 2: "0.01"}]


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        ("raise ValueError('no')", r"ValueError: no \(line \d+\)$"),
        ("import os; os._exit(3)", "exits with code 3 before the check ends"),
    ],
)
def test_a_file_that_raises_is_an_error(task_input, context, broken, reason):
    """A scheduler that raises or ends its process ends the build with the file's name."""
    file = task_input.files[2]
    text = file.source.replace("    return scheduler\n", f"    {broken}\n    return scheduler\n")
    raising = verified(task_input.catalogue, 3, source=text)
    with pytest.raises(CorpusError, match=rf"^ResNet/A0_003\.py: cannot trace the schedule: .*{reason}"):
        list(trace.examples(replace(task_input, files=[raising]), context))


# Questions.


def test_a_prompt_has_all_that_the_completion_needs(examples):
    """Code, horizon, hyperparameters, steps, unit and what a step counts are in the prompt."""
    for example in examples:
        file, evidence = example.files[0], example.evidence
        code = wording.quoted(example.prompt)
        assert code in (file.source, sections.parse(file.source).standalone)
        assert example.scope is (Scope.FILE if code == file.source else Scope.SCHEDULE)
        text = example.prompt.replace(code, "")
        assert re.search(rf"(?<![\d.]){evidence['horizon']}(?![\d.]\d)", text)
        for name, value in evidence["prm"].items():
            given = re.search(rf"[`\"]{name}[`\"](?: =|:) ([\d./e%-]*[\d%])", text)[1]
            assert value_of(given) == value, (given, value)
        listed = [str(step) for step in evidence["steps"]]
        assert wording.listed(listed) in text or ", ".join(listed) in text
        assert ("`scheduler.step(metric)`" in text or "metrics" in text) == (file.variant.unit is Unit.METRIC)
        assert re.search(r"\b(batch|epoch)\b", text)[1] == ("batch" if file.variant.per_batch else "epoch")
        assert "`scheduler.step`" in text


def value_of(text: str) -> float:
    """Return the value of a number, a fraction or a percentage."""
    if "/" in text:
        dividend, divisor = text.split("/")
        return int(dividend) / int(divisor)
    return float(f"{float(text[:-1]) / 100:.12g}") if text.endswith("%") else float(text)


def test_a_prompt_asks_for_the_form_of_its_completion(examples):
    """The completion has the form and the digits that are asked for, and no question asks for work by hand."""
    for example in examples:
        text, completion = example.prompt.split("```")[0] + example.prompt.split("```")[-1], example.completion
        assert ("| step | learning rate |" in completion) == bool(re.search(r"table", text))
        assert completion.startswith("{") == ("JSON" in text)
        assert completion.startswith("step,") == ("CSV" in text)
        assert completion.startswith("lr(") == ("lr(step)" in text)
        assert completion.startswith("- step") == ("- step N" in text)
        digits = [
            re.sub(r"e.*|\.|^0\.0*", "", rate) for rate in re.findall(r"[:,|=] ?([\d.]+\S*?)[,}]?(?:\s|$)", completion)
        ]
        if "five decimal places" in text:
            assert all(re.fullmatch(r"\S+ \d\.\d{5}e[-+]\d\d", line) for line in completion.splitlines())
        else:
            assert "significant digits" in text
            assert all(len(written.lstrip("0")) <= 6 for written in digits), completion
            assert not re.search(r"\.\d*0(?=[\s,}e]|$)", completion)
        assert "by hand" not in text


def test_at_most_one_in_twenty_answers_is_constant(task_input, examples, tmp_path):
    """Constant schedules have few questions; other ones, plateaus too, are asked where the learning rate changes."""
    constant = [example for example in examples if len(set(answered(example).values())) == 1]
    assert {example.files[0].variant.number for example in constant} == {41}
    few = replace(task_input, files=[task_input.files[number - 1] for number in (1, 31, 41)])
    drawn = list(trace.examples(few, RunContext(tmp_path, traces=TRACES)))
    assert sum(len(set(answered(example).values())) == 1 for example in drawn) == len(drawn) // 20 == 2


@pytest.mark.parametrize(
    "completion",
    [
        "0: 0.1\n10: 5e-2\n",
        "The learning rates are\n\n- step 0: 0.1\n- Step 10: 0.05\n",
        "| step | lr |\n|---:|---|\n| 0 | 0.1 |\n| 10 | 0.05 |",
        "step,learning_rate\n0,0.1\n10,.05",
        'With `{"lr": 0.1}`:\n\n{"0": 0.1, "10": 0.05}',
        '{\n  "0": 0.1,\n  "10": 5.0e-02\n}',
        "lr(0) = 0.1\nlr(10) = 0.05",
        "`0` -> `0.1`\n**10** → 0.05",
        "0: lr = 0.1\n10: lr = 0.05",
    ],
)
def test_learning_rates_are_read_in_many_forms(completion):
    """Lines, tables, CSV and JSON state the same learning rates."""
    assert trace.stated(completion) == [(0, 0.1), (10, 0.05)]


def test_questions_vary(examples):
    """Files and standalone schedules, tables and lines, defaults and other values, steps past the end all occur."""
    assert {wording.quoted(example.prompt) == example.files[0].source for example in examples} == {True, False}
    assert {example.completion[0] for example in examples} >= {"|", "{", "-", "s", "l", "0"}
    assert {len(example.evidence["prm"]) > 1 for example in examples} == {True, False}
    assert any(max(example.evidence["steps"]) > example.evidence["horizon"] for example in examples)
    assert all(len(example.evidence["steps"]) > 1 for example in examples)


def test_each_schedule_has_the_requested_number_of_questions(examples, task_input):
    """Each schedule has the requested number of distinct questions."""
    assert len(examples) == TRACES * len(task_input.files)
    assert len({example.key for example in examples}) == len(examples)
    assert len({example.prompt for example in examples}) == len(examples)


def test_any_network_may_contain_the_schedule(catalogue, tmp_path):
    """The questions about a schedule are divided among its files."""
    inputs = [corpus.task_input(catalogue, (1, 37), model) for model in ("ResNet", "AlexNet")]
    both = replace(inputs[0], files=[*inputs[0].files, *inputs[1].files])
    questions = list(trace.examples(both, RunContext(tmp_path, traces=200)))
    assert len(questions) == 400
    assert {example.files[0].name for example in questions} == {file.name for file in both.files}


def test_questions_depend_on_the_seed_and_the_schedule(task_input, examples, tmp_path):
    """The number of workers and other files have no influence; another seed gives other questions."""
    few = replace(task_input, files=task_input.files[30:33])
    again = list(trace.examples(few, RunContext(tmp_path, workers=1, traces=TRACES)))
    assert again == [example for number in (31, 32, 33) for example in of(examples, number)]
    other = replace(few, seed=1)
    assert list(trace.requests(other, TRACES)) != list(trace.requests(few, TRACES))


def test_the_parent_does_not_import_torch(tmp_path):
    """Only the child processes that execute schedules import torch."""
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from pathlib import Path\nfrom tests import corpus\nfrom lrgen import catalogue\n"
        "from lrgen.finetune.tasks import trace\nfrom lrgen.finetune.mutants import RunContext\n"
        "task_input = corpus.task_input(catalogue.load(), [1])\n"
        "assert len(list(trace.examples(task_input, RunContext(Path('.'), traces=2)))) == 2\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code, str(REPOSITORY)], cwd=tmp_path, check=True)
