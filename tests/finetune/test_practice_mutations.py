"""Mutations of practices: where they apply, and that the checks of practices catch them."""

import ast
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from lrgen import catalogue as catalogues
from lrgen.catalogue import Catalogue
from lrgen.finetune import mutants, mutations
from lrgen.finetune.corpus import VerifiedFile
from lrgen.finetune.mutants import Mutant, RunContext
from lrgen.finetune.practice_mutations import OF_PRACTICES
from lrgen.records import PracticeKind, Stage, Status
from lrgen.source.edit import Code
from lrgen.verify import verdicts
from tests import corpus
from tests.paths import TINY

# A network whose recipe clips gradients: a gradient scaler must have unscaled them.
CLIPPED, SCALED = "ComplexNet", 187
LEAST = 0.99


@pytest.fixture(scope="module")
def tiny() -> Catalogue:
    """The catalogue with a network that costs nothing."""
    return catalogues.load([TINY])


def files_of(catalogue: Catalogue, kind: PracticeKind) -> Iterator[VerifiedFile]:
    """The files of the small network with the practices of a kind."""
    for variant in catalogue.with_practice:
        if variant.practice.kind is kind:
            yield corpus.verified(catalogue, variant.number, "Tiny")
    if kind is PracticeKind.PRECISION:
        yield corpus.verified(catalogue, SCALED, CLIPPED)


def mutants_of(files: Sequence[VerifiedFile]) -> Iterator[Mutant]:
    """The distinct mutants of files by the mutations of practices."""
    for file in files:
        code, seen = Code(file.source), {file.source}
        for name, mutation in OF_PRACTICES:
            for text in mutation(code):
                if text not in seen:
                    seen.add(text)
                    yield Mutant(file, name, text)


@pytest.mark.parametrize("kind", PracticeKind)
def test_each_kind_has_mutations_that_are_python(kind, tiny):
    """Each file with a practice has several mutants, and each differs from it in its syntax tree."""
    files = list(files_of(tiny, kind))
    produced = list(mutants_of(files))
    for file in files:
        assert len({mutant.mutation for mutant in produced if mutant.file is file}) >= 6, file.name
    trees = {file.name: ast.dump(ast.parse(file.source)) for file in files}
    assert [mutant.mutation for mutant in produced if ast.dump(ast.parse(mutant.text)) == trees[mutant.file.name]] == []


def test_each_mutation_applies_to_a_practice(tiny):
    """No mutation is without a file to which it applies."""
    applied = {mutant.mutation for kind in PracticeKind for mutant in mutants_of(list(files_of(tiny, kind)))}
    assert applied == dict(OF_PRACTICES).keys()


@pytest.mark.parametrize("number", [1, 13, 37, 159])
def test_no_mutation_of_a_practice_applies_without_one(number, tiny):
    """A file without a practice has no mutant of one."""
    assert [mutant.mutation for mutant in mutants_of([corpus.verified(tiny, number, "Tiny")])] == []


@pytest.mark.parametrize("number", [181, 187, 190, 213, 214, 217, 218, 222, 225, 230])
def test_every_task_of_mutants_is_dealt_mutations_of_a_practice(number, tiny):
    """The first mutation of a file that a task uses is one of its practice."""
    task_input = corpus.task_input(tiny, [number], "Tiny")
    [file] = task_input.files
    possible = mutations.mutate(file.source)
    of_practices = dict(OF_PRACTICES).keys()
    for task in mutants.TASKS:
        assert mutants.dealt(task, task_input, file, possible)[0] in of_practices, task


@pytest.mark.parametrize("task", mutants.TASKS)
def test_mutants_of_files_with_practices_are_drawn(task, tiny, tmp_path: Path, monkeypatch):
    """The failures that a task of mutants uses include those of files with a practice, whose mutations they have."""

    def failed(batch: Sequence[Mutant], *_: object) -> Iterator[tuple[Status, str, str]]:
        return ((Status.FAILED, Stage.SCHEDULE.value, "it is another one") for _ in batch)

    monkeypatch.setattr(mutants, "_observed", failed)
    task_input = corpus.task_input(tiny, [6, 185, 214], "Tiny")
    produced = list(mutants.failures(task, task_input, RunContext(tmp_path, mutations=3)))
    with_practice = [failure.mutant for failure in produced if failure.mutant.file.variant.practice]
    assert {mutant.file.variant.number for mutant in with_practice} == {185, 214}
    assert {mutant.mutation for mutant in with_practice} & dict(OF_PRACTICES).keys()


@pytest.mark.slow
@pytest.mark.parametrize("kind", PracticeKind)
def test_the_checks_catch_the_mutants_of_practices(kind, tiny, tmp_path: Path, record_property):
    """At least 99% of the mutants of each kind fail the checks up to the schedule, with a reason, and no file does."""
    files = list(files_of(tiny, kind))
    unchanged = [Mutant(file, "none", file.source) for file in files]
    produced = list(mutants_of(files))
    with closing(verdicts.cache_in(tmp_path)) as known:
        ends = mutants.outcomes_of([*unchanged, *produced], known, 2)
    assert [(file.name, end.reason) for file, end in zip(files, ends, strict=False) if end.reason] == []
    ends = ends[len(files) :]
    survivors = [
        f"{mutant.file.name}: {mutant.mutation}"
        for mutant, end in zip(produced, ends, strict=True)
        if end.status is not Status.FAILED or not end.reason
    ]
    summary = f"{len(produced) - len(survivors)} of {len(produced)} mutants are caught"
    record_property("caught", summary)
    assert len(survivors) <= (1 - LEAST) * len(produced), f"{summary}, except:\n" + "\n".join(survivors)
