"""Mutations of verified files, the outcomes of mutants, and task repair."""

import ast
import difflib
import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from lrgen import catalogue as catalogues
from lrgen.catalogue import Catalogue
from lrgen.errors import StoreError
from lrgen.finetune import mutants, mutations, symptoms
from lrgen.finetune.corpus import VerifiedFile
from lrgen.finetune.example import Example, Scope, TaskInput
from lrgen.finetune.instructions.repair import faulty_file
from lrgen.finetune.mutants import RunContext
from lrgen.finetune.scenarios import KINDS
from lrgen.finetune.tasks import feedback, judge, prefer, repair
from lrgen.records import Outcome, Stage, Status
from lrgen.source import diffs
from lrgen.verify import verdicts
from lrgen.verify.engines import local
from tests import corpus
from tests.paths import TINY

SYNTAX_MUTATIONS = {"missing colon", "missing parenthesis"}
MUTATIONS = dict(mutations.MUTATIONS).keys()
# Each unit, torch's and custom scheduler classes, and layer-wise parameter groups.
NUMBERS = (1, 31, 37, 172)


@pytest.fixture(scope="module")
def tiny() -> Catalogue:
    """The catalogue with a network that costs nothing."""
    return catalogues.load([TINY])


@pytest.fixture(scope="module")
def task_input(tiny) -> TaskInput:
    return corpus.task_input(tiny, NUMBERS, "Tiny")


@pytest.fixture(scope="module")
def resnet(catalogue) -> Sequence[VerifiedFile]:
    """The files of ResNet with every schedule."""
    return corpus.task_input(catalogue, [variant.number for variant in catalogue.schedules]).files


@pytest.fixture(scope="module")
def files(resnet, catalogue) -> list[VerifiedFile]:
    """The files of ResNet, also with practices, one with Nesterov momentum, and one that clips scaled gradients."""
    practices = [corpus.verified(catalogue, variant.number) for variant in catalogue.with_practice]
    others = [corpus.verified(catalogue, 1, "ResNet34"), corpus.verified(catalogue, 187, "ComplexNet")]
    return [*resnet, *practices, *others]


@pytest.fixture(scope="module")
def context(tmp_path_factory) -> RunContext:
    return RunContext(tmp_path_factory.mktemp("cache"), workers=2, mutations=5)


@pytest.fixture(scope="module")
def repairs(task_input, context) -> list[Example]:
    return list(repair.examples(task_input, context))


def outcome_of(task_input: TaskInput, text: str, file) -> tuple[Status, Stage | None, str]:
    """Return status, stage and reason of a text that is checked against the schedule of a file."""
    candidate = mutants.candidate(mutants.Mutant(file, "", text))
    (outcome,) = local.run([candidate], mutants.SETTINGS, None)
    return outcome.status, outcome.stage, outcome.reason


def changed_lines(text: str, other: str) -> int:
    """Return the number of lines that differ."""
    lines = difflib.unified_diff(text.splitlines(), other.splitlines(), n=0, lineterm="")
    return sum(line[0] in "+-" and line[:3] not in ("+++", "---") for line in lines)


# Mutations.


def test_every_mutation_applies_to_some_file(files):
    """Each of more than two dozen mutations applies to a file of ResNet, or of one of two other networks."""
    applied = set().union(*(mutations.mutate(file.source) for file in files))
    assert applied == MUTATIONS
    assert len(applied) > 24


def test_a_mutant_differs_in_a_few_lines(resnet):
    """A mutant differs in its syntax tree and in at most 14 lines; only syntax mutations give invalid Python."""
    for file in resnet[::12]:
        original = ast.dump(ast.parse(file.source))
        for mutation, mutants_ in mutations.mutate(file.source).items():
            for text in mutants_[:2]:
                assert 0 < changed_lines(file.source, text) <= 14, (file.name, mutation)
                if mutation in SYNTAX_MUTATIONS:
                    with pytest.raises(SyntaxError):
                        ast.parse(text)
                else:
                    assert ast.dump(ast.parse(text)) != original, (file.name, mutation)


def test_mutants_of_a_file_are_distinct(resnet):
    """No two mutations of a file give the same text."""
    for file in resnet[::30]:
        texts = [text for of_mutation in mutations.mutate(file.source).values() for text in of_mutation]
        assert len(set(texts)) == len(texts)


@pytest.mark.parametrize(
    ("number", "mutation", "removed", "added"),
    [
        (59, "caret instead of power", "self.start_factor ** (1 - step", "self.start_factor ^ (1 - step"),
        (36, "floor division", "self.total_steps - step) / decay_steps", "- step) // decay_steps"),
        (
            69,
            "minimum added to the full range",
            "+ (1 - self.min_lr_ratio) * cosine_decay",
            "return self.min_lr_ratio + cosine_decay",
        ),
        (
            86,
            "minimum added to the full range",
            "(1 - self.min_lr_ratio) * (1 - progress**3)",
            "self.min_lr_ratio + (1 - progress**3)",
        ),
        (
            7,
            "ratio used as a learning rate",
            "factor * base_lr",
            "return [factor for base_lr in self.base_lrs]",
        ),
        (
            6,
            "not held after the horizon",
            "if self.last_epoch > self.T_max",
            "schedule: tuple[str, int]\n\n    def step",
        ),
        (
            36,
            "number of steps used as a fraction",
            'round(prm.get("warmup_fraction", 0.1) *',
            'prm.get("warmup_fraction", 9)',
        ),
        (1, "wrong default", "1 / 3", 'prm.get("step_fraction", 0.6667)'),
        (21, "chained instead of sequential", "milestones=", "= ResumableChainedScheduler([warmup, decay])"),
        (37, "decay measured from the start", "self.total_steps) - self.warmup_steps) /", "self.total_steps)) / decay"),
        (37, "off-by-one boundary", "step < self.warmup_steps", "step <= self.warmup_steps"),
        (159, "state not restored", "super().load_state_dict", 'got {saved}")\n        # The constructor'),
        (3, "schedule not recorded", "scheduler.schedule =", 'gamma=prm.get("gamma", 0.95))\n    return scheduler'),
        (3, "scheduler not returned", "return scheduler", '("exponential decay", total_steps)\n\n\nclass'),
        (
            13,
            "default learning rate for every group",
            'float(group.get("max_lr", group["lr"]))',
            'max_lr=optimizer.defaults["lr"],\n',
        ),
        (
            10,
            "default learning rate for every group",
            'float(group["lr"]) for group in optimizer',
            'max_lrs = [optimizer.defaults["lr"] for group in',
        ),
        (7, "default learning rate for every group", "factor * base_lr", '[factor * self.optimizer.defaults["lr"] for'),
        (
            10,
            "one minimum for all groups",
            "min_lr_ratio * max_lr for",
            'base_lr=min_lr_ratio * optimizer.defaults["lr"]',
        ),
        (1, "hard-coded weight decay", 'prm.get("weight_decay"', "weight_decay=1e-4"),
        (6, "stepped once per batch", "\n        self.scheduler.step()", "\n            self.scheduler.step()"),
        (
            37,
            "created before the number of batches is known",
            "if self.scheduler is None",
            "make_scheduler(self.optimizer, epochs",
        ),
    ],
)
def test_a_mutation_does_what_its_name_says(number, mutation, removed, added):
    """One mutant of each kind is checked by hand: the removed text and the new text."""
    text = corpus.source(number)
    assert removed in text
    texts = [mutant for mutant in mutations.mutate(text)[mutation] if mutant.count(removed) < text.count(removed)]
    assert any(added in mutant and changed_lines(text, mutant) <= 14 for mutant in texts)


# Outcomes.


def test_a_mutant_fails_again_with_its_reason(task_input, repairs):
    """The stage and the reason in the evidence are those of another run of the same mutant."""
    assert len(repairs) >= 3 * len(NUMBERS)
    again = [
        (example, mutants.candidate(mutants.Mutant(example.files[0], "", faulty_file(example.prompt))))
        for example in repairs[::3]
    ]
    ended = local.run([candidate for _, candidate in again], mutants.SETTINGS, None, workers=2)
    outcomes = {outcome.candidate.sha256: outcome for outcome in ended}
    for example, candidate in again:
        outcome = outcomes[candidate.sha256]
        end = outcome.status, outcome.stage, outcome.reason
        assert end == (Status.FAILED, example.evidence["failed"], example.evidence["reason"])


def test_a_question_shows_what_a_person_has(repairs):
    """It has a traceback or a log, and no sentence of the checks, no path of this machine and no number."""
    for example in repairs:
        text = example.prompt.replace(faulty_file(example.prompt), "")
        assert "```text\n" in text
        assert example.evidence["reason"] not in text
        assert not re.search(r"A0[_-]\d{3}|site-packages|/work|/tmp|beside|workbench|<frozen|\bcheck fails", text)
        for path in re.findall(r'File "([^"]+)"', text):
            assert path in ("train.py", "model.py") or path.startswith("torch/"), path


def test_the_original_files_pass(task_input):
    """The files that repairs lead to pass the checks up to the schedule."""
    for file in task_input.files:
        assert outcome_of(task_input, file.source, file)[0] is Status.PASSED


def test_a_repair_gives_the_original_file(repairs):
    """A whole completion is the original file, a diff turns the mutant into it; both forms occur."""
    as_diff = [example for example in repairs if "applies_to" in example.evidence]
    for example in repairs:
        broken, file = faulty_file(example.prompt), example.files[0]
        assert example.evidence["mutant"] == hashlib.sha256(broken.encode()).hexdigest()
        mended = diffs.apply(example.completion, broken) if example in as_diff else example.completion
        assert mended == file.source
        assert example.evidence["patched" if example in as_diff else "equals"] == file.sha256
    assert 0 < len(as_diff) < len(repairs)


def test_the_scope_of_a_repair_is_the_file(repairs):
    """A repair is split by its file, whatever its completion changes."""
    assert {example.scope for example in repairs} == {Scope.FILE}


def test_mutations_alternate_between_schedule_and_frame(task_input):
    """The mutations that are dealt to a task alternate between the schedule and the code around it."""
    of_schedule = dict(mutations.OF_SCHEDULE)
    for file in task_input.files:
        possible = mutations.mutate(file.source)
        for task in mutants.TASKS:
            inside = [name in of_schedule for name in mutants.dealt(task, task_input, file, possible)][:6]
            assert inside in ([True, False] * 3, [False, True] * 3)


def test_a_surviving_mutant_is_counted_and_not_used(task_input, tmp_path, monkeypatch):
    """A surviving mutant gives no example of any task."""
    surviving = task_input.files[0].source.replace("num_samples", "count")
    monkeypatch.setattr(mutations, "mutate", lambda text: {"missing import": [surviving]})
    context = RunContext(tmp_path)
    few = replace(task_input, files=task_input.files[:1])
    assert [list(task.examples(few, context)) for task in (repair, prefer, judge, feedback)] == [[], [], [], []]
    assert context.surviving == {"missing import": 1}


def test_a_mutant_without_a_symptom_is_counted(task_input, context, tmp_path, monkeypatch):
    """A mutant that fails the checks, and that no script shows, gives no example."""
    monkeypatch.setattr(repair, "observe", lambda requests, context: [None for _ in requests])
    few = replace(task_input, files=task_input.files[:1])
    hiding = replace(context, hidden=Counter())
    assert list(repair.examples(few, hiding)) == []
    assert 3 <= hiding.hidden.total() <= context.mutations


def test_a_mutation_that_no_question_explains_is_not_asked(task_input, tmp_path, monkeypatch):
    """Mutations outside of the kinds that a solver repairs are not even run."""
    others = {name: ["pass"] for name in MUTATIONS - set(KINDS)}
    monkeypatch.setattr(mutations, "mutate", lambda text: others)
    monkeypatch.setattr(local, "run", lambda *args, **kwargs: pytest.fail("a file is run"))
    assert others
    assert list(repair.examples(task_input, RunContext(tmp_path, mutations=9))) == []


@pytest.mark.slow
def test_the_checks_detect_every_mutation(files, tmp_path):
    """Of each mutation, one of three mutants fails with a reason."""
    chosen: dict[str, list[mutants.Mutant]] = {}
    for file in files:
        for kind, texts in mutations.mutate(file.source).items():
            chosen.setdefault(kind, []).append(mutants.Mutant(file, kind, texts[-1]))
    few = [mutant for kind in chosen.values() for mutant in kind[:: -(-len(kind) // 3)]]
    with closing(verdicts.cache_in(tmp_path)) as known:
        ends = mutants.outcomes_of(few, known, 2)
    detected = {
        mutant.mutation for mutant, end in zip(few, ends, strict=True) if end.status is Status.FAILED and end.reason
    }
    assert detected == MUTATIONS


# Repeated builds.


def test_outcomes_of_mutants_are_cached(task_input, context, repairs, monkeypatch):
    """A second build executes nothing, neither checks nor scripts, and gives the same examples."""
    monkeypatch.setattr(local, "run", lambda *args, **kwargs: pytest.fail("a file is run again"))
    monkeypatch.setattr(symptoms, "leased", lambda: pytest.fail("a script is run again"))
    assert list(repair.examples(task_input, context)) == repairs


def test_another_version_of_the_checks_runs_mutants_again(task_input, context, repairs, monkeypatch):
    """Cached outcomes are used only by the version of the checks that recorded them."""
    monkeypatch.setattr(verdicts, "check_version", lambda: "other")
    monkeypatch.setattr(local, "run", lambda *args, **kwargs: pytest.fail("run"))
    with pytest.raises(pytest.fail.Exception, match="run"):
        list(repair.examples(task_input, context))


def test_an_interrupted_build_uses_recorded_outcomes(task_input, repairs, tmp_path, monkeypatch):
    """Mutants that ran before an interrupt are not run again, and the examples are the same."""
    run_all, ran = local.run, []

    def noted(candidates, *args: Any, stop: bool, **options: Any) -> Iterator[Outcome]:
        for outcome in run_all(candidates, *args, **options):
            ran.append(outcome.candidate.sha256)
            yield outcome
            if stop and len(ran) == 3:
                raise KeyboardInterrupt

    context = RunContext(tmp_path, workers=2, mutations=5)
    monkeypatch.setattr(local, "run", partial(noted, stop=True))
    with pytest.raises(KeyboardInterrupt):
        list(repair.examples(task_input, context))
    monkeypatch.setattr(local, "run", partial(noted, stop=False))
    assert list(repair.examples(task_input, context)) == repairs
    assert len(ran) == len(set(ran)) >= len(repairs)


def test_an_unreadable_cache_is_an_error(task_input, tmp_path):
    """The error names the file of the cache."""
    (tmp_path / "verdicts.db").mkdir()
    with pytest.raises(StoreError, match=r"/verdicts\.db: unable to open database file"):
        list(repair.examples(task_input, RunContext(tmp_path)))


def test_examples_depend_on_the_seed_and_the_file(tiny, context, repairs):
    """Equal files and seeds give equal examples, other seeds others; other files have no influence."""
    again = corpus.task_input(tiny, NUMBERS, "Tiny")
    assert [example.key for example in repair.examples(again, context)] == [example.key for example in repairs]
    alone = corpus.task_input(tiny, NUMBERS[2:3], "Tiny")
    assert list(repair.examples(alone, context)) == [
        example for example in repairs if example.files[0].variant.number == NUMBERS[2]
    ]
    other = corpus.task_input(tiny, NUMBERS[:1], "Tiny", seed=1)
    assert {example.key for example in repair.examples(other, context)} != {
        example.key for example in repairs if example.files[0].variant.number == NUMBERS[0]
    }
    assert len({example.key for example in repairs}) == len(repairs)
