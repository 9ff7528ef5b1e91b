"""An audit: each file with what was seen, and the counts and groups of a folder."""

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lrgen.catalogue import Catalogue
from lrgen.records import Candidate, Diagnosis, Outcome, VerifySettings
from lrgen.source import normalise
from lrgen.store import Store
from lrgen.verify import run as runs
from lrgen.verify.audit import diagnosing, names
from lrgen.verify.audit.collection import File, Skipped
from lrgen.verify.candidate import candidate_of


@dataclass(frozen=True)
class Audited:
    """A file of an audit.

    ``runs`` says whether it passed the checks up to the schedule, or is a script whose schedule ran; ``reason`` is why
    it did not. A file that fails a check may have a diagnosis. ``said`` are the schedules that it names, and
    ``deviates`` says that its curve is none of them. ``code`` is a digest of the code up to names.
    """

    name: str
    sha256: str
    runs: bool
    reason: str
    diagnosis: Diagnosis | None
    said: tuple[str, ...]
    deviates: bool
    code: str | None

    @property
    def constant(self) -> bool:
        """Whether its learning rate never changes."""
        return self.diagnosis is not None and self.diagnosis.unit is None and self.diagnosis.updates > 0

    @property
    def practices(self) -> tuple[str, ...]:
        """Sentences on the practices that it uses or names."""
        return self.diagnosis.practices if self.diagnosis is not None else ()

    @property
    def curve(self) -> str | None:
        """The digest of its curve."""
        return self.diagnosis.curve if self.diagnosis is not None and self.diagnosis.updates else None


@dataclass(frozen=True)
class Audit:
    """The audit of a folder."""

    folder: Path
    files: tuple[Audited, ...]
    skipped: tuple[Skipped, ...]

    @property
    def counts(self) -> dict[str, int]:
        """The numbers for a first look."""
        curves = {file.curve for file in self.files if file.curve is not None}
        return {
            "files": len(self.files),
            "run": sum(file.runs for file in self.files),
            "do_not_run": sum(not file.runs for file in self.files),
            "with_a_curve": sum(file.curve is not None for file in self.files),
            "distinct_curves": len(curves),
            "never_change": sum(file.constant for file in self.files),
            "deviate": sum(file.deviates for file in self.files),
            "with_practices": sum(bool(file.practices) for file in self.files),
            "same_curve": _repeated(self.same_curve),
            "same_code": _repeated(self.same_code),
            "skipped": len(self.skipped),
        }

    @property
    def same_curve(self) -> list[list[str]]:
        """The names of files with one curve; the largest group first."""
        return _groups(self.files, lambda file: file.curve)

    @property
    def same_code(self) -> list[list[str]]:
        """The names of files with one code up to names; the largest group first."""
        return _groups(self.files, lambda file: file.code)

    @property
    def schedules(self) -> Counter[str]:
        """The number of files by their nearest schedule: the first variant with that curve."""
        nearest = (file.diagnosis.nearest[0] for file in self.files if file.diagnosis and file.diagnosis.nearest)
        return Counter(min((schedule.variant, *schedule.equivalents)) for schedule in nearest)


def audit(
    catalogue: Catalogue,
    folder: Path,
    files: Sequence[File],
    skipped: Sequence[Skipped],
    settings: VerifySettings,
    store: Store,
    *,
    workers: int,
    timeout: float,
    force: bool = False,
    advance: Callable[[int], None] = lambda count: None,
) -> Audit:
    """Examine files without a claim up to the schedule, each distinct text once, and group them.

    Results of files with a network are recorded, and reused by a later audit.

    Args:
        advance: called with the number of files that have ended.

    Raises:
        EngineError, IsolationError: as ``run.verify``.
    """
    copies: dict[str, list[File]] = defaultdict(list)
    for file in files:
        copies[file.sha256].append(file)
    seen: dict[str, tuple[bool, str, Diagnosis | None]] = {}
    networks: dict[int, tuple[Candidate, File]] = {}
    others: list[File] = []
    for sha256, (file, *_) in copies.items():
        if file.tree is None:
            seen[sha256] = (False, "it is no Python: it cannot be parsed", None)
            advance(len(copies[sha256]))
        elif diagnosing.has_network(file.tree):
            candidate = candidate_of(file.path, file.content)
            networks[id(candidate)] = (candidate, file)
        else:
            others.append(file)
    candidates = [candidate for candidate, _ in networks.values()]
    reasons: dict[str, str] = {}
    for outcome in runs.verify(candidates, settings, store, workers=workers, timeout=timeout, force=force):
        sha256 = outcome.candidate.sha256
        if outcome.status.ok or not outcome.status.final:
            seen[sha256] = (outcome.status.ok, _reason(outcome), outcome.diagnosis)
            advance(len(copies[sha256]))
        else:
            reasons[sha256] = _reason(outcome)
            others.append(networks[id(outcome.candidate)][1])
    for file, result in diagnosing.run(others, workers):
        reason = reasons.get(file.sha256)
        if isinstance(result, str):
            seen[file.sha256] = (False, reason or result, None)
        else:
            seen[file.sha256] = (reason is None, reason or "", result)
        advance(len(copies[file.sha256]))
    variants = {variant.key: variant for variant in catalogue.variants}

    def audited(file: File) -> Audited:
        works, reason, diagnosis = seen[file.sha256]
        said = names.said(file)
        deviates = bool(said) and diagnosis is not None and names.deviates(said, diagnosis.nearest, variants)
        code = normalise.names_digest(file.tree) if file.tree is not None else None
        return Audited(file.name, file.sha256, works, reason, diagnosis, said, deviates, code)

    return Audit(folder, tuple(audited(file) for file in files), tuple(skipped))


def _reason(outcome: Outcome) -> str:
    return "" if outcome.status.ok else f"{outcome.stage}: {outcome.reason}"


def _groups(files: Iterable[Audited], key: Callable[[Audited], Hashable | None]) -> list[list[str]]:
    groups: dict[Hashable, list[str]] = defaultdict(list)
    for file in files:
        if (value := key(file)) is not None:
            groups[value].append(file.name)
    return sorted((group for group in groups.values() if len(group) > 1), key=lambda group: (-len(group), group))


def _repeated(groups: list[list[str]]) -> int:
    """The number of files beyond the first of each group."""
    return sum(len(group) - 1 for group in groups)
