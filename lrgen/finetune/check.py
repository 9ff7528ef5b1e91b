"""Checks of a dataset folder: it is built again and compared byte by byte, and its files are executed again.

Rows follow from the seeds, the code of this package, and the files and runs that the folder lists. So each row is made
again, mutants and traces are executed again, and each file of the folder must be the same. The files of the corpus are
then verified by their parts, with newly drawn cases.
"""

import hashlib
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lrgen.catalogue import Catalogue
from lrgen.errors import DatasetError, OutputError
from lrgen.finetune import grading, inputs, manifest, observations
from lrgen.finetune.build import build, facts_of_code
from lrgen.finetune.corpus import Level, VerifiedFile
from lrgen.finetune.differences import between
from lrgen.finetune.example import Task, TaskInput
from lrgen.finetune.mutants import RunContext
from lrgen.finetune.observations import Observations
from lrgen.finetune.plan import Plan
from lrgen.finetune.tasks import TASKS
from lrgen.records import Candidate, Status
from lrgen.render.renderer import Renderer
from lrgen.store import Store
from lrgen.verify import nursery_process, scratch
from lrgen.verify import run as verify
from lrgen.verify.candidate import candidate_of
from lrgen.verify.case_seed import new_case_seed

_MAX_PROBLEMS = 20  # of one kind


@dataclass
class Checked:
    """The result of a check.

    Attributes:
        rows: the number of rows that were built again.
        executed: the number of files of the corpus that were executed.
        case_seed: the seed that drew the files, the mutants and the cases.
        problems: the problems, one sentence each.
    """

    rows: int = 0
    executed: int = 0
    case_seed: int = 0
    problems: list[str] = field(default_factory=list)

    def add(self, problems: Iterable[str]) -> None:
        """Add problems of one kind; after the first ones they are only counted."""
        rest = iter(problems)
        self.problems += itertools.islice(rest, _MAX_PROBLEMS)
        if others := sum(1 for _ in rest):
            self.problems.append(f"… and {others} more of this kind")


def check(
    folder: Path,
    catalogue: Catalogue,
    *,
    tasks: Sequence[Task] = TASKS,
    sample: int | None = None,
    store: Store | None = None,
    workers: int = 1,
    timeout: float = 900.0,
    tokenizer: Path | None = None,
    benchmarks: Sequence[Path] = (),
    case_seed: int | None = None,
    advance: Callable[[int], None] = lambda count: None,
    stage: Callable[[str, int], None] = lambda name, rows: None,
) -> Checked:
    """Check a dataset.

    At most ``sample`` files of the corpus and ``sample`` mutants are executed (None: all); ``case_seed`` draws them,
    and the cases of the files (None: a new one). ``tasks`` are those that exist, ``tokenizer`` and ``benchmarks`` the
    files that the build was given. With a store, the runs of the files are looked up.

    Raises:
        DatasetError: when the folder has no manifest of lrgen, or was built by other code, from another catalogue or
            with other files than those given.
        IsolationError: when files must be executed and no sandbox is available.
    """
    facts = manifest.read(folder)
    _require_same_code(facts, facts_of_code(catalogue))
    plan = Plan.of_arguments(facts["arguments"], tasks, tokenizer, benchmarks)
    checked = Checked(case_seed=new_case_seed() if case_seed is None else case_seed)
    checked.add(_files(folder, facts))
    with ExitStack() as stack:
        stack.enter_context(nursery_process.kept())
        run_folder = stack.enter_context(scratch.run_folder())
        try:
            files = inputs.files_of(folder, catalogue)
            context = RunContext(
                run_folder / "cache",
                workers,
                plan.mutants_per_file,
                plan.traces_per_file,
                inputs.accuracies_of(folder),
                observations=Observations(_believed(folder, sample, checked.case_seed)),
            )
            built = build(
                TaskInput(catalogue, tuple(files), plan.seed),
                plan,
                run_folder / "dataset",
                context=context,
                ineligible=facts["corpus"].get("ineligible", 0),
                workers=workers,
                advance=advance,
                stage=stage,
            )
        except (DatasetError, OutputError) as error:
            checked.problems.append(f"cannot be built again: {error}")
            return checked
        checked.rows = built.tally.total
        checked.add(between(folder, built.out))
        if store is not None:
            checked.add(_runs(store, files))
        if not checked.problems:  # a damaged dataset is not executed
            chosen = sorted(files, key=lambda file: _drawn(file.sha256, checked.case_seed))[:sample]
            checked.executed = len(chosen)
            candidates = [_candidate(file, Renderer(catalogue)) for file in chosen]
            stage("executing", len(candidates))
            checked.add(_executed(candidates, run_folder, workers, timeout, checked.case_seed, advance))
    return checked


def _believed(folder: Path, sample: int | None, case_seed: int) -> dict[str, Any]:
    """Return the observations of mutants that are not made again: none, or all but a sample."""
    observed = observations.read(folder) if sample is not None else {}
    return {key: observed[key] for key in sorted(observed, key=lambda key: _drawn(key, case_seed))[sample:]}


def _drawn(key: str, case_seed: int) -> bytes:
    """Return a place in the order in which files and mutants are drawn."""
    return hashlib.sha256(f"{case_seed}:{key}".encode()).digest()


def _require_same_code(facts: Mapping[str, Any], own: Mapping[str, Any]) -> None:
    """Raise DatasetError when the dataset was built by other code: its rows cannot be made again."""
    names = {"lrgen": "version of lrgen", "code": "code or catalogue", "versions": "versions of libraries"}
    others = [text for name, text in names.items() if facts.get(name) != own[name]]
    if others:
        raise DatasetError(
            f"{manifest.NAME}: built by lrgen {facts.get('lrgen')} with another {others[0]}, so its rows cannot be "
            "made again: check it where it was built"
        )


def _files(folder: Path, facts: Mapping[str, Any]) -> Iterator[str]:
    """Yield differences between the files and the manifest."""
    listed, present = facts["files"], manifest.entries(folder)
    for name in sorted(listed.keys() | present.keys()):
        if name not in present:
            yield f"{name}: is missing"
        elif name not in listed:
            yield f"{name}: is not in the manifest"
        elif listed[name] != present[name]:
            yield f"{name}: its sha256 or size differs from the manifest"


def _runs(store: Store, files: Iterable[VerifiedFile]) -> Iterator[str]:
    """Yield the runs that are missing from the results database or do not say what the dataset says."""
    by_run = {file.result_id: file for file in files}
    runs = {run["id"]: run for run in store.final_runs({file.sha256 for file in by_run.values()})}
    for result_id, file in sorted(by_run.items()):
        run = runs.get(result_id)
        if run is None or run["source_sha256"] != file.sha256 or not Status(run["status"]).ok:
            yield f"{file.name}: the run {result_id} is not in the database or did not pass"
        elif file.accuracy is not None and run["accuracy"] != file.accuracy:
            yield f"{file.name}: the run {result_id} has the accuracy {run['accuracy']}, not {file.accuracy}"
        elif file.level is Level.TRAINING and run["stage"] != Level.TRAINING:
            yield f"{file.name}: the run {result_id} passed up to {run['stage']}, not {file.level}"


def _executed(
    candidates: Sequence[Candidate],
    run_folder: Path,
    workers: int,
    timeout: float,
    case_seed: int,
    advance: Callable[[int], None],
) -> Iterator[str]:
    """Yield the files that do not pass the checks up to the schedule."""
    store = Store(f"sqlite:///{run_folder}/runs.db")
    options: dict[str, Any] = {"workers": workers, "timeout": timeout, "case_seed": case_seed}
    for outcome in verify.verify(candidates, grading.SETTINGS, store, **options):
        advance(1)
        if not outcome.status.ok:
            yield f"{outcome.candidate.path}: {outcome.status} in {outcome.stage}: {outcome.reason}"
    store.close()


def _candidate(file: VerifiedFile, renderer: Renderer) -> Candidate:
    parts = renderer.parts(file.architecture, file.variant)
    content = file.source.encode()
    return candidate_of(file.path, content, file.architecture, file.variant, rendered=True, parts=parts)
