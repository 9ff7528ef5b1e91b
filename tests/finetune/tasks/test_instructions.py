"""The instructions of every task: how much they differ, and what they do not give away.

They are built without executing a file: the learning rates of a trace are those of the curve, and each mutant fails.
"""

import functools
import re
from collections.abc import Iterator
from dataclasses import replace

import pytest

from lrgen.finetune import diversity, mutants, mutations
from lrgen.finetune.derived import KINDS, Answer
from lrgen.finetune.example import Example, Scope, TaskInput
from lrgen.finetune.mutants import RunContext
from lrgen.finetune.shards import examples_of
from lrgen.finetune.symptoms import Symptom
from lrgen.finetune.tasks import TASKS, edit, infill, repair, trace, write
from lrgen.records import Outcome, Stage, Status

OPENERS, INSTRUCTIONS = 40, 200
ENOUGH = 390  # examples of a task
SEEDS = 8
OF_COMPOSITIONS = ("schedule", "worked", "inject", "critique")  # test_every_composition.py
OF_MUTANTS = ("repair", "prefer", "judge", "feedback")
EVERY = 6  # one in so many files, for the tasks of mutants, which are costly
INTERNAL = re.compile(
    r"\b(variants?|catalogue|harness|mutants?|mutations?|nursery|examiner|contract check|schedule check|trace digest"
    r"|scheduler_type|equivalent_to|lrgen)\b"
)
INTERFACE = (
    "`supported_hyperparameters()`",
    "`make_scheduler(optimizer, total_steps, prm)`",
    "`scheduler.schedule = (",
    "another schedule or horizon",
    "`Net(in_shape, out_shape, prm, device)`",
    "train_setup(prm)`",
    "`learn(train_data)`",
    "`prm['epoch_max']`",
)
NUMBER = re.compile(r"\bA0[_-]?\d+|\b(schedule|number|no\.|variant) ?#?\d{1,3}\b", re.IGNORECASE)
# "a" instead of "an", or vice versa.
ARTICLE = re.compile(r"\ba `?(?=[aeio])(?!one\b|one-)\w+|\ban `?(?=[bcdgjkpqtvwyz])\w+")
CODE = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)

every_task = pytest.mark.parametrize(
    "task", [task for task in TASKS if task.NAME not in OF_COMPOSITIONS], ids=lambda task: task.NAME
)


@pytest.fixture(scope="module")
def unexecuted(tmp_path_factory) -> Iterator[RunContext]:
    """A context; learning rates are those of the curve, and every mutant fails in the schedule check."""

    def curves(requests, workers):
        for file, specs in requests:
            yield file, specs, [trace._expected(file.variant, spec).tolist() for spec in specs]

    def failed(faulty, known, workers):
        reason = "at step 3 of 10 the learning rate must be 0.05, got 0.1"
        return [Outcome(mutants.candidate(mutant), Status.FAILED, Stage.SCHEDULE, reason, 0.1) for mutant in faulty]

    def observed(requests, context):
        for number, request in enumerate(requests):
            raised = number % 3 // 2 * 'Traceback (most recent call last):\n  File "model.py", line 9\nValueError: no\n'
            printed = "".join(f"epoch {at}: {rate}\n" for at, rate in enumerate(f"1{number:03}", start=1))
            yield Symptom(
                request.scenarios[0], printed, raised, "epoch 1: 1\nepoch 2: 0.5\nepoch 3: 0.2\nepoch 4: 0.1\n"
            )

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(repair, "observe", observed)
        patch.setattr(trace.trace, "run", curves)
        patch.setattr(mutants, "outcomes_of", failed)
        patch.setattr(mutations, "mutate", functools.cache(mutations.mutate))
        yield RunContext(tmp_path_factory.mktemp("cache"), traces=4)


@pytest.fixture(scope="module")
def examples(full_input: TaskInput, unexecuted: RunContext):
    """Return ``ENOUGH`` examples of a task, of several seeds."""
    cached: dict[str, list[Example]] = {}

    def of(task) -> list[Example]:
        if task.NAME not in cached:
            made: list[Example] = []
            for seed in range(SEEDS):
                files = full_input.files[::EVERY] if task.NAME in OF_MUTANTS else full_input.files
                made += examples_of(task, replace(full_input, files=files, seed=seed), unexecuted)
                if len(made) >= ENOUGH:
                    break
            cached[task.NAME] = made
        return cached[task.NAME]

    return of


@every_task
def test_the_instructions_of_a_task_differ(task, examples, full_input):
    """A task has many openers and instructions, without counting names, numbers and identifiers."""
    texts = [example.prompt for example in examples(task)]
    measured = diversity.measure(texts, diversity.names_of(full_input.catalogue))
    assert measured.openers >= OPENERS, measured
    assert measured.instructions >= INSTRUCTIONS, measured


@pytest.mark.parametrize("task", [write, infill, edit], ids=lambda task: task.NAME)
def test_more_rows_per_file_keep_the_first_ones(task, full_input):
    """With more rows of each file, those of a smaller dataset stay as they are."""
    forty = replace(full_input, files=full_input.files[:40])
    single, triple = (list(task.examples(replace(forty, rows_per_file=count))) for count in (1, 3))
    assert len(single) < len(triple)
    kept = {example.key: example for example in triple}
    assert [kept[example.key] for example in single] == single


@every_task
def test_an_instruction_has_no_number_or_name_of_the_catalogue(task, examples, full_input):
    """Neither prompt nor system's message names a schedule by its number or by its name in the catalogue."""
    names = {variant.name for variant in full_input.catalogue.schedules if "_" in variant.name}
    named = re.compile(rf"\b({'|'.join(sorted(names))})\b")
    for example in examples(task):
        text = f"{example.system}\n{example.prompt}"
        assert not NUMBER.search(text), (example.key, NUMBER.search(text))
        assert not named.search(CODE.sub("", text)), (example.key, named.search(CODE.sub("", text)))


@every_task
def test_the_interface_of_a_file_is_stated(task, examples):
    """Where an answer makes a whole file, prompt or system's message states the interface of that file."""
    for example in examples(task):
        if example.scope is Scope.FILE and KINDS[task.NAME].answer is not Answer.NONE:
            text = " ".join(re.sub(r"^ *# ", "", f"{example.system}\n{example.prompt}", flags=re.MULTILINE).split())
            assert [part for part in INTERFACE if part not in text] == [], example.key


@every_task
def test_an_instruction_has_no_internal_word(task, examples):
    """The words of lrgen's own parts are no words of an instruction."""
    for example in examples(task):
        text = CODE.sub("", f"{example.system}\n{example.prompt}")
        assert not INTERNAL.search(text), (example.key, text[max(0, INTERNAL.search(text).start() - 60) :][:120])


@every_task
def test_an_instruction_is_well_formed(task, examples):
    """Outside of code there are no doubled spaces, spaces before punctuation, doubled full stops or unfilled fields.

    The texts of the task prompts are lists and tables as programs print them.
    """
    if task.NAME == "prompts":
        return
    for example in examples(task):
        for line in CODE.sub("", example.prompt).splitlines():
            if line.startswith(("    ", "|")):
                continue
            assert not re.search(r"\S  |\s[.,;:!?](\s|$)|[^.]\.\.(\s|$)|[?!:,;]\.(\s|$)", line), (example.key, line)
            assert not re.search(r"\{\w+\}(?!`)|\[\]|\|\]", line) or '"' in line, (example.key, line)
            assert not re.search(r"\b([a-z]+) \1\b", line), (example.key, line)
            assert not ARTICLE.search(line), (example.key, ARTICLE.search(line))
