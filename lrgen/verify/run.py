"""Files → outcomes: what each is checked against, what is known of it already, and the record of what is new."""

import contextlib
import hashlib
import os
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypedDict

from lrgen.catalogue import Catalogue
from lrgen.errors import StaleFileError
from lrgen.files import read_bytes
from lrgen.records import Candidate, Outcome, Variant, VerifySettings
from lrgen.render import output
from lrgen.render.output import Pair
from lrgen.render.renderer import Renderer
from lrgen.store import Store, key_of
from lrgen.verify import sandbox as sandboxes
from lrgen.verify.candidate import candidate_of
from lrgen.verify.limits import Limits
from lrgen.verify.plan import VerifyPlan
from lrgen.verify.sandbox import Isolation, Mechanism
from lrgen.verify.verdicts import conditions_of


def from_selection(catalogue: Catalogue, selection: Iterable[Pair], out: Path) -> list[Candidate]:
    """The selected rendered files; those that are missing are rendered first.

    Raises:
        StaleFileError: when a file on disk is not what the catalogue renders.
    """
    selected = list(selection)
    missing = [pair for pair in selected if not output.path_of(out, *pair).exists()]
    output.generate(catalogue, missing, out)
    differences = output.check(catalogue, selected, out)
    if differences:
        more = f" ({len(differences)} files differ)" if len(differences) > 1 else ""
        raise StaleFileError(f"{differences[0].path} {differences[0].reason}{more}: run lrgen render")
    paths = [output.path_of(out, *pair) for pair in selected]
    return [candidate_of(path, read_bytes(path), *pair, ours=True) for path, pair in zip(paths, selected, strict=True)]


def from_paths(catalogue: Catalogue, paths: Iterable[Path], out: Path, claim: Variant | None = None) -> list[Candidate]:
    """Files by path, a folder meaning the Python files in it.

    A file whose sha256 stands in a manifest beside it or under ``out`` is checked against that entry's variant,
    another one against ``claim``, and without that against its own ``make_scheduler``.

    Raises:
        OutputError: when there is no such file.
    """
    known = _known_hashes(out)
    renderer = Renderer(catalogue)
    candidates = []
    for path in _files(paths):
        content = read_bytes(path)
        recognised = _recognised(catalogue, renderer, path, content, known | _hashes(path.parent))
        candidates.append(recognised or candidate_of(path, content, None, claim))
    return candidates


def from_source(
    catalogue: Catalogue, renderer: Renderer, path: Path, content: bytes, out: Path, claim: Variant | None = None
) -> Candidate:
    """One file, which need not lie anywhere: ``path`` is what errors call it, and where a manifest may lie beside it.

    It is checked against ``claim``, or else against the variant of the entry that a manifest has for its sha256.
    """
    recognised = _recognised(catalogue, renderer, path, content, _known_hashes(out) | _hashes(path.parent))
    if recognised is not None and claim in (None, recognised.variant):
        return recognised
    return candidate_of(path, content, None, claim)


def changed_since(candidates: Iterable[Candidate], manifests: Iterable[Path]) -> list[Candidate]:
    """The files whose bytes are not those of an entry of the manifests.

    Raises:
        OutputError: when a manifest cannot be read.
    """
    old = {entry["sha256"] for path in manifests for entry in output.read_entries(path).values()}
    return [candidate for candidate in candidates if candidate.sha256 not in old]


def execute(
    plan: VerifyPlan,
    candidates: Sequence[Candidate],
    store: Store,
    started: Callable[[int, dict[int, float]], None] = lambda reused, forecast: None,
) -> Generator[tuple[Outcome, int], None, None]:
    """Run a plan: each file's outcome with the seed that it was run under, one seed after the other.

    Raises:
        DataError, EngineError, IsolationError: as ``verify``, which it calls for each seed.
    """
    for settings in plan.settings:
        outcomes = verify(
            candidates,
            settings,
            store,
            workers=max(1, min(plan.workers, len(candidates))),
            timeout=plan.timeout,
            force=plan.force,
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
    isolation: Isolation | None = None,
    engine: str = "local",
    address: str | None = None,
    data_root: Path = Path("data"),
    download: bool = False,
    started: Callable[[int, dict[int, float]], None] = lambda reused, forecast: None,
) -> Generator[Outcome, None, None]:
    """Yield each file's outcome: first those that the store knows, then the new ones as they are recorded.

    Files run in a sandbox or in a mere process as ``isolation`` says; without it those in a sandbox that the catalogue
    does not render; those that are expected to take longest come first. ``started`` is called once before anything is
    run, with the number of reused outcomes and the seconds that each other file is expected to take, by ``id``.
    ``engine`` is ``local`` or ``ray``, the latter on the cluster at the ``address``, whose nodes have the dataset under
    the same ``data_root``.

    Raises:
        DataError: when the dataset is not there, cannot be downloaded, or is damaged.
        EngineError: when there is no such cluster.
        IsolationError: when a file needs a sandbox and this machine gives none; nothing was run.
    """
    everything = list(candidates)
    conditions = conditions_of(settings)
    known = {} if force else store.reusable(everything, conditions)
    remaining = [candidate for candidate in everything if key_of(candidate) not in known]
    expected = _expected(remaining, store.durations(conditions) if remaining else {})
    batches = [(mechanism, _longest_first(files, expected)) for mechanism, files in _by_mechanism(remaining, isolation)]
    started(len(known), expected)
    for candidate in everything:
        if key_of(candidate) in known:
            yield replace(known[key_of(candidate)], candidate=candidate)
    if not remaining:
        return
    store.prepare()
    from lrgen import data
    from lrgen.verify.engines import local  # torch, which an unchanged corpus need not load

    dataset = data.load(settings.dataset, data_root, download) if settings.stage == "training" else None
    limits = Limits(seconds=timeout, memory=_memory_share(workers))
    for mechanism, files in batches:
        reuse = settings.device != "cpu" and mechanism is Mechanism.PROCESS  # a CUDA context takes seconds to make
        how: _How = {"workers": workers, "limits": limits, "mechanism": mechanism, "reuse": reuse}
        if engine == "ray":
            from lrgen.verify.engines import ray

            ended = ray.run(files, settings, address=address, data_root=data_root, **how)
        else:
            ended = _one_by_one(local.run(files, settings, dataset, **how))
        with contextlib.closing(ended):
            for outcomes in ended:
                store.save_all(outcomes, conditions, dataset.classes if dataset else ())
                yield from outcomes


def verify_apart(candidate: Candidate, plan: VerifyPlan) -> Outcome:
    """The outcome of one file, from a harness in a process of its own: safe where a process has threads or a CUDA
    context. No recorded result is used, and none is recorded.

    Raises:
        DataError: when the dataset is not there, cannot be downloaded, or is damaged.
        EngineError: when the harness ends before the file does.
        IsolationError: when the file needs a sandbox and this machine gives none.
    """
    from lrgen.verify.engines import process

    [settings] = plan.settings
    mechanism = Mechanism.PROCESS if _isolation_of(candidate, plan.isolation) is Isolation.PROCESS else None
    setup = process.Setup(
        settings=settings,
        limits=Limits(seconds=plan.timeout, memory=_memory_share(1)),
        mechanism=mechanism,
        data_root=plan.data_root.resolve(),
        download=plan.download,
    )
    [outcome] = process.run([candidate], setup)
    return outcome


def _one_by_one(outcomes: Generator[Outcome, None, None]) -> Generator[list[Outcome], None, None]:
    with contextlib.closing(outcomes):
        for outcome in outcomes:
            yield [outcome]


class _How(TypedDict):
    """What every engine is told."""

    workers: int
    limits: Limits
    mechanism: Mechanism
    reuse: bool


def _by_mechanism(candidates: Iterable[Candidate], asked: Isolation | None) -> list[tuple[Mechanism, list[Candidate]]]:
    """The files by how they are kept apart: in a mere process those that lrgen wrote itself, unless it is asked for."""
    process: list[Candidate] = []
    sandbox: list[Candidate] = []
    for candidate in candidates:
        (process if _isolation_of(candidate, asked) is Isolation.PROCESS else sandbox).append(candidate)
    found = [(Mechanism.PROCESS, process)] if process else []
    return [*found, (sandboxes.available(), sandbox)] if sandbox else found


def _isolation_of(candidate: Candidate, asked: Isolation | None) -> Isolation:
    return asked or (Isolation.PROCESS if candidate.ours else Isolation.SANDBOX)


def _expected(candidates: list[Candidate], seconds: Mapping[tuple[str, str], float]) -> dict[int, float]:
    """By id, the seconds that each file is expected to take: as long as the last time, or as the others of its
    architecture, or as the longest of all.
    """
    by_model: dict[str, list[float]] = {}
    for (model, _), took in seconds.items():
        by_model.setdefault(model, []).append(took)
    means = {model: sum(taken) / len(taken) for model, taken in by_model.items()}
    longest = max(means.values(), default=1.0)
    return {
        id(one): seconds.get((one.model_name, one.scheduler_type), means.get(one.model_name, longest))
        for one in candidates
    }


def _longest_first(candidates: list[Candidate], expected: Mapping[int, float]) -> list[Candidate]:
    """So that the last worker does not run alone; files of equal length stay in their order."""
    return sorted(candidates, key=lambda candidate: -expected[id(candidate)])


def _memory_share(workers: int) -> int:
    """Resident bytes that a file may use: its share of nine tenths of the machine."""
    return int(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") * 0.9 / workers)


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            yield from sorted(path.glob("*.py"))
        else:
            yield path


def _recognised(
    catalogue: Catalogue, renderer: Renderer, path: Path, content: bytes, known: Mapping[str, tuple[str, int]]
) -> Candidate | None:
    """The file as what a manifest says it is, by its sha256; None when no manifest knows it."""
    sha256 = hashlib.sha256(content).hexdigest()
    if sha256 not in known:
        return None
    model, number = known[sha256]
    architecture, variant = catalogue.architecture(model), catalogue.variant(number)
    ours = renderer.render(architecture, variant).sha256 == sha256  # a manifest may be anybody's
    return candidate_of(path, content, architecture, variant, ours=ours)


def _hashes(folder: Path) -> dict[str, tuple[str, int]]:
    """sha256 → (architecture, variant number) of a folder's manifest."""
    entries = output.read_manifest(folder).values()
    return {entry["sha256"]: (entry["architecture"], entry["number"]) for entry in entries}


def _known_hashes(out: Path) -> dict[str, tuple[str, int]]:
    known: dict[str, tuple[str, int]] = {}
    for manifest in sorted(out.glob(f"*/{output.MANIFEST}")):
        known |= _hashes(manifest.parent)
    return known
