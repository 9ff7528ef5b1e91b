"""Files → outcomes: what each is held to, what is known of it already, and the record of what is new."""

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, replace
from importlib import metadata
from pathlib import Path

import lrgen
from lrgen import curves, generate
from lrgen.catalogue import Catalogue
from lrgen.errors import DeviceError, OutputError, StaleFileError
from lrgen.generate import Pair
from lrgen.records import Architecture, Candidate, Outcome, Recipe, Variant, VerifySettings
from lrgen.store import Conditions, Store, key_of

# What a file of unknown architecture is trained with.
_FOREIGN = Recipe(optimizer="sgd", lr=0.01, batch=64, source="", dropout=0.2)


def from_selection(catalogue: Catalogue, selection: Iterable[Pair], out: Path) -> list[Candidate]:
    """The selected rendered files; those that are missing are rendered first.

    Raises:
        StaleFileError: when a file on disk is not what the catalogue renders.
    """
    selected = list(selection)
    missing = [pair for pair in selected if not generate.path_of(out, *pair).exists()]
    generate.generate(catalogue, missing, out)
    differences = generate.check(catalogue, selected, out)
    if differences:
        more = f" ({len(differences)} files differ)" if len(differences) > 1 else ""
        raise StaleFileError(f"{differences[0].path} {differences[0].reason}{more}: run lrgen render")
    return [
        _candidate(catalogue, generate.path_of(out, architecture, variant), architecture, variant)
        for architecture, variant in selected
    ]


def from_paths(
    catalogue: Catalogue, paths: Iterable[Path], out: Path, held_to: Variant | None = None
) -> list[Candidate]:
    """Files by path, a folder meaning the Python files in it.

    A file whose sha256 stands in a manifest beside it or under ``out`` is held to that entry's variant, another one
    to ``held_to``, and without that to its own ``make_scheduler``.

    Raises:
        OutputError: when there is no such file.
    """
    known = _known_hashes(out)
    candidates = []
    for path in _files(paths):
        sha256 = hashlib.sha256(_read(path)).hexdigest()
        entry = _hashes(path.parent).get(sha256) or known.get(sha256)
        if entry is not None:
            architecture, variant = catalogue.architecture(entry[0]), catalogue.variant(entry[1])
            candidates.append(_candidate(catalogue, path, architecture, variant))
        else:
            candidates.append(_candidate(catalogue, path, None, held_to))
    return candidates


def verify(
    candidates: Iterable[Candidate],
    settings: VerifySettings,
    store: Store,
    *,
    workers: int,
    timeout: float,
    force: bool = False,
    started: Callable[[int], None] = lambda reused: None,
) -> Iterator[Outcome]:
    """Yield each file's outcome: first those that the store knows, then the new ones as they are recorded.

    ``started`` is called once, with the number of reused outcomes, before anything is run.
    """
    everything = list(candidates)
    conditions = conditions_of(settings)
    known = {} if force else store.reusable(everything, conditions)
    started(len(known))
    for candidate in everything:
        if key_of(candidate) in known:
            yield replace(known[key_of(candidate)], candidate=candidate)
    remaining = [candidate for candidate in everything if key_of(candidate) not in known]
    if not remaining:
        return
    store.prepare()
    from lrgen import data, harness  # torch, which an unchanged corpus need not load

    dataset = data.load(settings.dataset) if settings.stage == "training" else None
    limits = harness.Limits(seconds=timeout, memory=_memory_share(workers))
    outcomes = harness.run(remaining, settings, dataset, workers=workers, limits=limits)
    try:
        for outcome in outcomes:
            store.save(outcome, conditions, dataset.classes if dataset else ())
            yield outcome
    finally:
        outcomes.close()  # type: ignore[attr-defined]  # a generator: its children must end with it


def conditions_of(settings: VerifySettings) -> Conditions:
    """Everything besides the files that decides how they end."""
    return Conditions(
        settings=json.dumps(asdict(settings), sort_keys=True),
        check_version=check_version(),
        torch=metadata.version("torch"),
        device=settings.device.split(":")[0],
        dataset=settings.dataset,
        seed=settings.seed,
        lrgen=lrgen.__version__,
    )


def check_version() -> str:
    """A digest of the code that decides: the checks, the curves, the data and what runs them."""
    package = Path(lrgen.__file__).parent
    digest = hashlib.sha256()
    sources = [*package.glob("checks/*.py"), *package.glob("curves/*.py")]
    for path in sorted([*sources, package / "worker.py", package / "harness.py", package / "data.py"]):
        digest.update(path.relative_to(package).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def resolve_device(name: str) -> str:
    """``auto`` → ``cuda:0`` or ``cpu``; a device that is not there is an error.

    Raises:
        DeviceError: when torch has no such device here.
    """
    kind, _, index = name.partition(":")
    if kind not in ("auto", "cpu", "cuda") or (index and not (kind == "cuda" and index.isdigit())):
        raise DeviceError(f"device must be auto, cpu, cuda or cuda:N, got {name!r}")
    if kind == "cpu":
        return "cpu"
    count = _cuda_devices()
    if kind == "auto":
        return "cuda:0" if count else "cpu"
    if int(index or 0) >= count:
        raise DeviceError(f"device {name} is not here: torch sees {count} CUDA device{'s' * (count != 1)}")
    return f"cuda:{int(index or 0)}"


def cores() -> int:
    """The processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _cuda_devices() -> int:
    if not list(Path("/dev").glob("nvidia[0-9]*")):
        return 0
    import torch

    return torch.cuda.device_count()


def _memory_share(workers: int) -> int:
    """Resident bytes that a file may use: its share of nine tenths of the machine."""
    return int(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") * 0.9 / workers)


def _candidate(
    catalogue: Catalogue, path: Path, architecture: Architecture | None, variant: Variant | None
) -> Candidate:
    content = _read(path)
    sha256 = hashlib.sha256(content).hexdigest()
    recipe = architecture.recipe if architecture else _FOREIGN
    folder = catalogue.family(variant.family).folder if variant else None
    return Candidate(
        path=path,
        source=content.decode("utf-8", "surrogateescape"),
        sha256=sha256,
        model_name=architecture.name if architecture else path.stem,
        scheduler_type=variant.key if architecture and variant else f"file-{sha256[:8]}",
        variant=variant if variant and curves.exists(variant, folder) else None,
        prm={
            "lr": variant.optimizer.lr if variant and variant.optimizer else recipe.lr,
            "momentum": recipe.momentum,
            "dropout": recipe.dropout,
        },
        family_folder=catalogue.user_folder(variant) if variant else None,
        budget=architecture.budget if architecture else None,
    )


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            yield from sorted(path.glob("*.py"))
        else:
            yield path


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise OutputError(f"{path}: cannot be read: {error.strerror}") from error


def _hashes(folder: Path) -> dict[str, tuple[str, int]]:
    """sha256 → (architecture, variant number) of a folder's manifest."""
    entries = generate.read_manifest(folder).values()
    return {entry["sha256"]: (entry["architecture"], entry["number"]) for entry in entries}


def _known_hashes(out: Path) -> dict[str, tuple[str, int]]:
    known: dict[str, tuple[str, int]] = {}
    for manifest in sorted(out.glob(f"*/{generate.MANIFEST}")):
        known |= _hashes(manifest.parent)
    return known
