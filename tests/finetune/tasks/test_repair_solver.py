"""Each question of task repair is answerable from its text: a solver that sees nothing else repairs the file."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from lrgen import catalogue as catalogues
from lrgen.catalogue import Catalogue
from lrgen.finetune import mutations
from lrgen.finetune.corpus import VerifiedFile
from lrgen.finetune.example import Example, TaskInput
from lrgen.finetune.mutants import Failure, Mutant, RunContext
from lrgen.finetune.scenarios import KINDS
from lrgen.finetune.tasks import repair
from lrgen.records import Stage
from tests import corpus
from tests.finetune.tasks import practice_solver, repair_solver
from tests.finetune.tasks.repair_solver import Question, same_code
from tests.paths import TINY

# The first file of these to which a mutation applies is the one that is solved; most have one hyperparameter.
NUMBERS = (37, 1, 6, 13, 4, 7, 10, 11, 21, 31, 36, 59, 69, 86, 159, 163, 172)
PRACTICES = (178, 187, 190, 206, 213, 214, 216, 218, 220, 222, 225, 228, 230)
SOLVERS = repair_solver.SOLVERS | practice_solver.SOLVERS
FAST = ("never stepped", "missing colon", "wrong default", "horizon of one epoch", "hard-coded momentum")


@pytest.fixture(scope="module")
def files() -> list[VerifiedFile]:
    catalogue: Catalogue = catalogues.load([TINY])
    files = list(corpus.task_input(catalogue, NUMBERS + PRACTICES, "Tiny").files)
    return [*files, corpus.verified(catalogue, 1, "ResNet"), corpus.verified(catalogue, 1, "ResNet34")]


def questions(files: Sequence[VerifiedFile], kinds: Sequence[str], cache: Path) -> list[Example]:
    """Return a question of each kind, about the first file to which it applies."""
    catalogue = catalogues.load([TINY])
    first: dict[str, Failure] = {}
    for file in files:
        for kind, texts in mutations.mutate(file.source).items():
            if kind in kinds:
                first.setdefault(kind, Failure(Mutant(file, kind, texts[0]), Stage.SCHEDULE, "no"))
    assert first.keys() == set(kinds)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(repair, "failures", lambda *_, **__: iter(first.values()))
        return list(repair.examples(TaskInput(catalogue, files, 0), RunContext(cache, workers=2)))


def assert_solved(examples: Sequence[Example]) -> None:
    """Assert that the solver gives the code of the original file."""
    failed = []
    for example in examples:
        kind = example.evidence["mutation"]
        try:
            answer = SOLVERS[kind](Question(example.prompt, example.system))
            solved = same_code(answer, example.files[0].source)
        except (SyntaxError, ValueError, TypeError, IndexError, AttributeError):
            solved = False
        if not solved:
            failed.append(f"{kind} ({example.files[0].name})")
    assert not failed, "\n".join(failed)


def test_every_kind_that_is_asked_has_a_solver():
    """Each kind of mutation that task repair asks about has a solver, and is a mutation."""
    assert SOLVERS.keys() == set(KINDS)
    assert set(KINDS) <= dict(mutations.MUTATIONS).keys()


def test_the_solver_repairs_files_from_the_question_alone(files, tmp_path):
    """A question about a traceback, a default, a horizon and an ignored hyperparameter is answered from its text."""
    examples = questions(files, FAST, tmp_path)
    assert len(examples) == len(FAST)
    assert_solved(examples)


@pytest.mark.slow
def test_every_kind_of_question_is_answerable(files, tmp_path):
    """The solver repairs a file for each kind of mutation; few kinds show no symptom in their first file."""
    examples = questions(files, KINDS, tmp_path)
    assert len(examples) >= len(KINDS) - 4
    assert_solved(examples)
