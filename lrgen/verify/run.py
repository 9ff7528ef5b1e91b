"""Verification of files: candidates from files, recorded outcomes, and the run of an engine for the others."""

import contextlib
import hashlib
import os
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypedDict

from lrgen.catalogue import Catalogue
from lrgen.errors import OutputError, StaleFileError, UnknownNameError
from lrgen.files import read_bytes
from lrgen.records import Architecture, Candidate, Outcome, ReferenceNetwork, Variant, VerifySettings
from lrgen.render import output
from lrgen.render.output import Pair
from lrgen.render.renderer import Renderer, is_own
from lrgen.store import Store, key_of
from lrgen.verify import isolation as isolations
from lrgen.verify import nursery_process
from lrgen.verify.candidate import candidate_of
from lrgen.verify.case_seed import new_case_seed
from lrgen.verify.isolation import Isolation
from lrgen.verify.limits import MAX_BYTES, Limits
from lrgen.verify.parts.evidence import Evidence
from lrgen.verify.plan import VerifyPlan
from lrgen.verify.sandbox import Mechanism
from lrgen.verify.verdicts import conditions_of, conditions_of_parts


def from_selection(catalogue: Catalogue, selection: Iterable[Pair], out: Path) -> list[Candidate]:
    """The candidates of the selected files; missing files are rendered first.

    Raises:
        StaleFileError: if a file on disk differs from the file that the catalogue renders.
    """
    selected = list(selection)
    missing = [pair for pair in selected if not output.path_of(out, *pair).exists()]
    output.generate(catalogue, missing, out)
    differences = output.check(catalogue, selected, out)
    if differences:
        count = f" ({len(differences)} files differ)" if len(differences) > 1 else ""
        raise StaleFileError(f"{differences[0].path} {differences[0].reason}{count}: run lrgen render")
    manifests = {architecture.name: output.read_manifest(out / architecture.name) for architecture, _ in selected}
    renderer = Renderer(catalogue)
    candidates = []
    for architecture, variant in selected:
        path = output.path_of(out, architecture, variant)
        parts = None if is_own(architecture, variant) else renderer.parts(architecture, variant)
        candidate = candidate_of(path, read_bytes(path), architecture, variant, rendered=True, parts=parts)
        if candidate.sha256 != manifests[architecture.name][variant.key]["sha256"]:  # which check compared
            raise StaleFileError(f"{path} changes while it is read: run lrgen render")
        candidates.append(candidate)
    return candidates


def from_paths(
    catalogue: Catalogue,
    paths: Iterable[Path],
    out: Path,
    claim: Variant | None = None,
    model: Architecture | None = None,
) -> list[Candidate]:
    """The candidates of files and of the Python files in folders.

    A file is checked against ``claim``, and its network compared with that of the claimed ``model``. Without a claim, a
    file whose sha256 is in a manifest beside it or under ``out`` is checked against the variant of that entry, if the
    catalogue renders the same bytes; any other file is checked against its own ``make_scheduler``.

    Of a file that is too large for the syntax check, only the first bytes are read: enough for it to fail.

    Raises:
        OutputError: if a file does not exist or is not a regular file, or a folder contains no Python file.
    """
    known = _known_hashes(out)
    renderer = Renderer(catalogue)
    reference = _reference(renderer, model)
    candidates = []
    for path in _files(paths):
        content = read_bytes(path, MAX_BYTES + 1)
        recognised = _recognised(catalogue, renderer, path, content, known | _hashes(path.parent))
        candidates.append(_claiming(recognised, path, content, claim, reference))
    return candidates


def from_source(
    catalogue: Catalogue,
    renderer: Renderer,
    path: Path,
    content: bytes,
    out: Path,
    claim: Variant | None = None,
    model: Architecture | None = None,
) -> Candidate:
    """The candidate of a file that need not exist on disk; ``path`` names it in errors.

    It is checked as a file of ``from_paths``.
    """
    recognised = _recognised(catalogue, renderer, path, content, _known_hashes(out) | _hashes(path.parent))
    return _claiming(recognised, path, content, claim, _reference(renderer, model))


def changed_since(candidates: Iterable[Candidate], manifests: Iterable[Path]) -> list[Candidate]:
    """The candidates whose sha256 is in none of the manifests.

    Raises:
        OutputError: if a manifest cannot be read.
    """
    known = {entry["sha256"] for path in manifests for entry in output.read_entries(path).values()}
    return [candidate for candidate in candidates if candidate.sha256 not in known]


def execute(
    plan: VerifyPlan,
    candidates: Sequence[Candidate],
    store: Store,
    started: Callable[[int, dict[int, float]], None] = lambda reused, forecast: None,
) -> Generator[tuple[Outcome, int], None, None]:
    """Run a plan, one seed after the other, and yield each outcome with its seed.

    Raises:
        DataError, EngineError, IsolationError: as ``verify``, which is called for each seed.
    """
    for settings in plan.settings:
        outcomes = verify(
            candidates,
            settings,
            store,
            workers=max(1, min(plan.workers, len(candidates))),
            timeout=plan.timeout,
            force=plan.force,
            case_seed=plan.case_seed,
            isolation=plan.isolation,
            engine=plan.engine,
            address=plan.address,
            data_root=plan.data_root,
            download=plan.download,
            started=started,
        )
        with contextlib.closing(outcomes):
            for outcome in outcomes:
                yield outcome, settings.seed


def verify(
    candidates: Iterable[Candidate],
    settings: VerifySettings,
    store: Store,
    *,
    workers: int,
    timeout: float,
    force: bool = False,
    case_seed: int | None = None,
    isolation: Isolation | None = None,
    engine: str = "local",
    address: str | None = None,
    data_root: Path = Path("data"),
    download: bool = False,
    started: Callable[[int, dict[int, float]], None] = lambda reused, forecast: None,
) -> Generator[Outcome, None, None]:
    """Yield the outcome of each file: recorded outcomes first, then new ones as they are recorded.

    The files with the longest expected durations are run first. The local engine executes the parts of rendered files
    once, unless the settings ask for ``whole`` files.

    Args:
        case_seed: of the drawn cases: only outcomes with this seed are reused; by default a new one is drawn, and the
            recorded outcomes of all are reused.
        isolation: whether files run in a sandbox or in a plain process; by default, files that the catalogue does not
            render run in a sandbox.
        engine: ``local``, or ``ray`` for the cluster at ``address``, whose nodes have the dataset under ``data_root``.
        started: called once before any file is run, with the number of reused outcomes and the expected seconds of
            each other file, by the ``id`` of its candidate.

    Raises:
        DataError: if the dataset is missing, cannot be downloaded, or is damaged.
        EngineError: if the cluster cannot be reached.
        IsolationError: if a file needs a sandbox and this machine provides none; no file was run.
    """
    files = list(candidates)
    conditions = conditions_of(settings)
    known = {} if force else store.reusable(files, conditions, case_seed)
    remaining = [candidate for candidate in files if key_of(candidate) not in known]
    expected = _expected(remaining, store.durations(conditions) if remaining else {})
    batches = [
        (mechanism, _each_network_first(_longest_first(batch, expected)))
        for mechanism, batch in _by_mechanism(remaining, isolation)
    ]
    started(len(known), expected)
    for candidate in files:
        if key_of(candidate) in known:
            yield replace(known[key_of(candidate)], candidate=candidate)
    if not remaining:
        return
    store.prepare()
    from lrgen import data
    from lrgen.verify.engines import local  # loads torch, which is not needed if every outcome is recorded

    dataset = data.load(settings.dataset, data_root, download) if settings.stage == "training" else None
    part_conditions = conditions_of_parts(settings)
    evidence = Evidence([] if force else store.parts(part_conditions, case_seed))
    limits = Limits(seconds=timeout, memory=_memory_share(workers))
    seed = new_case_seed() if case_seed is None else case_seed
    with nursery_process.kept():
        for mechanism, batch in batches:
            options: _EngineOptions = {"workers": workers, "limits": limits, "mechanism": mechanism, "case_seed": seed}
            if engine == "ray":
                from lrgen.verify.engines import ray

                results = ray.run(batch, settings, address=address, data_root=data_root, **options)
            else:
                results = _as_lists(local.run(batch, settings, dataset, evidence=evidence, **options))
            with contextlib.closing(results):
                for outcomes in results:
                    store.save_parts(evidence.take_new(), part_conditions)
                    store.save_all(outcomes, conditions, dataset.classes if dataset else ())
                    yield from outcomes


def verify_one(candidate: Candidate, plan: VerifyPlan) -> Outcome:
    """Verify one file; safe for a caller that has threads or a CUDA context, as nothing is forked from its process.

    Recorded outcomes are not used, and the outcome is not recorded.

    Raises:
        DataError: if the dataset is missing, cannot be downloaded, or is damaged.
        EngineError: if the process that files are forked from cannot be started.
        IsolationError: if the file needs a sandbox and this machine provides none.
    """
    from lrgen import data
    from lrgen.verify.engines import local

    [settings] = plan.settings
    in_process = _isolation_of(candidate, plan.isolation) is Isolation.PROCESS
    dataset = None
    if settings.stage == "training":
        dataset = data.load(settings.dataset, plan.data_root, plan.download)
    [outcome] = local.run(
        [candidate],
        settings,
        dataset,
        limits=Limits(seconds=plan.timeout, memory=_memory_share(1)),
        mechanism=Mechanism.PROCESS if in_process else isolations.available(),
        case_seed=plan.case_seed,
    )
    return outcome


def _as_lists(outcomes: Generator[Outcome, None, None]) -> Generator[list[Outcome], None, None]:
    with contextlib.closing(outcomes):
        for outcome in outcomes:
            yield [outcome]


class _EngineOptions(TypedDict):
    """The options that every engine has."""

    workers: int
    limits: Limits
    mechanism: Mechanism
    case_seed: int


def _by_mechanism(
    candidates: Iterable[Candidate], isolation: Isolation | None
) -> list[tuple[Mechanism, list[Candidate]]]:
    """The files by the mechanism that isolates them."""
    process: list[Candidate] = []
    sandbox: list[Candidate] = []
    for candidate in candidates:
        (process if _isolation_of(candidate, isolation) is Isolation.PROCESS else sandbox).append(candidate)
    batches = [(Mechanism.PROCESS, process)] if process else []
    return [*batches, (isolations.available(), sandbox)] if sandbox else batches


def _isolation_of(candidate: Candidate, isolation: Isolation | None) -> Isolation:
    return isolation or (Isolation.PROCESS if candidate.rendered else Isolation.SANDBOX)


def _expected(candidates: list[Candidate], seconds: Mapping[tuple[str, str], float]) -> dict[int, float]:
    """The expected seconds of each file by its id.

    They are the last duration of the file, the mean of its architecture, or the maximum of these means.
    """
    by_model: dict[str, list[float]] = {}
    for (model, _), duration in seconds.items():
        by_model.setdefault(model, []).append(duration)
    means = {model: sum(durations) / len(durations) for model, durations in by_model.items()}
    longest = max(means.values(), default=1.0)
    return {
        id(candidate): seconds.get(
            (candidate.model_name, candidate.scheduler_type), means.get(candidate.model_name, longest)
        )
        for candidate in candidates
    }


def _longest_first(candidates: list[Candidate], expected: Mapping[int, float]) -> list[Candidate]:
    """Sort files by their expected duration, the longest first; equal ones keep their order."""
    return sorted(candidates, key=lambda candidate: -expected[id(candidate)])


def _each_network_first(candidates: list[Candidate]) -> list[Candidate]:
    """Move the first file of each network to the front, so that no two workers need the contract of the same one."""
    by_network = {candidate.parts.network: id(candidate) for candidate in reversed(candidates) if candidate.parts}
    first = set(by_network.values())
    return sorted(candidates, key=lambda candidate: id(candidate) not in first)


def _memory_share(workers: int) -> int:
    """The resident bytes that a file may use: 90% of the machine's memory, divided by the workers."""
    return int(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") * 0.9 / workers)


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            files = sorted(path.glob("*.py"))
            if not files:
                raise OutputError(f"{path}: the folder contains no Python file; its subfolders are not searched")
            yield from files
        else:
            yield path


def _reference(renderer: Renderer, model: Architecture | None) -> ReferenceNetwork | None:
    return None if model is None else ReferenceNetwork(model.name, renderer.network(model))


def _claiming(
    recognised: Candidate | None,
    path: Path,
    content: bytes,
    claim: Variant | None,
    reference: ReferenceNetwork | None,
) -> Candidate:
    """The candidate with these claims, which win over what a manifest says."""
    if (
        recognised is not None
        and claim in (None, recognised.variant)
        and (reference is None or reference.name == recognised.model_name)
    ):
        return replace(recognised, reference=reference)
    return replace(candidate_of(path, content, None, claim), reference=reference)


def _recognised(
    catalogue: Catalogue, renderer: Renderer, path: Path, content: bytes, known: Mapping[str, tuple[str, int]]
) -> Candidate | None:
    """The candidate of a file that a manifest lists and the catalogue renders; None for any other file."""
    sha256 = hashlib.sha256(content).hexdigest()
    if sha256 not in known:
        return None
    model, number = known[sha256]
    try:
        architecture, variant = catalogue.architecture(model), catalogue.variant(number)
    except UnknownNameError:  # another catalogue's manifest, or an edited one
        return None
    if renderer.render(architecture, variant).sha256 != sha256:
        return None
    return candidate_of(path, content, architecture, variant, rendered=True)


def _hashes(folder: Path) -> dict[str, tuple[str, int]]:
    """Return sha256 → (architecture, variant number) from the manifest of a folder."""
    entries = output.read_manifest(folder).values()
    return {entry["sha256"]: (entry["architecture"], entry["number"]) for entry in entries}


def _known_hashes(out: Path) -> dict[str, tuple[str, int]]:
    known: dict[str, tuple[str, int]] = {}
    for manifest in sorted(out.glob(f"*/{output.MANIFEST}")):
        known |= _hashes(manifest.parent)
    return known
