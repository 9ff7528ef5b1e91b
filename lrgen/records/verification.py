"""Records of verification: the file to be verified, the settings, and what was found."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from lrgen.records.catalogue import Budget, Parts, Unit, Variant


class Stage(StrEnum):
    """The checks, in their order."""

    SYNTAX = "syntax"
    POLICY = "policy"
    CONTRACT = "contract"
    SCHEDULE = "schedule"
    TRAINING = "training"


class Policy(StrEnum):
    """The code that a file may contain (verify.checks.policy).

    ``strict``: what a rendered file needs, for code that nobody trusts. ``lemur``: what people write in training files.
    """

    STRICT = "strict"
    LEMUR = "lemur"


class Training(StrEnum):
    """The kind of training in the training check.

    ``full``: the network learns the dataset. ``overfit``: a large network without a GPU overfits a few dozen images.
    """

    FULL = "full"
    OVERFIT = "overfit"


class Comparison(StrEnum):
    """The comparison of a network with that of the architecture that it claims to be.

    ``equal``: parameters, state and outputs are equal. ``not comparable``: its parameters are divided in another way,
    such as queries, keys and values in one matrix, so that no weights can be copied.
    """

    EQUAL = "equal"
    NOT_COMPARABLE = "not comparable"


class Status(StrEnum):
    """The status of a file after verification.

    ``verified``: the file passed all checks against a claim. ``passed``: it passed all checks up to the requested
    stage. ``unclaimed``: it passed, and there is no claim to check its schedule against.
    """

    VERIFIED = "verified"
    PASSED = "passed"
    UNCLAIMED = "unclaimed"
    FAILED = "failed"
    TIMED_OUT = "timed out"
    CRASHED = "crashed"
    OUT_OF_MEMORY = "out of memory"

    @property
    def ok(self) -> bool:
        """Whether the file passed every check that was run."""
        return self in (Status.VERIFIED, Status.PASSED, Status.UNCLAIMED)

    @property
    def final(self) -> bool:
        """Whether another run of the same file would have the same status; its result can then be reused."""
        return self.ok or self is Status.FAILED


@dataclass(frozen=True)
class ReferenceNetwork:
    """The network of an architecture of the catalogue: its name, and the code of ``Net`` without training methods."""

    name: str
    source: str


@dataclass(frozen=True)
class PartEvidence:
    """The result of executing some parts of rendered files once, which holds for each file that has them.

    Args:
        kind: what was executed (verify.parts.evidence.Kind).
        key: the sha256 of the texts of the parts.
        executed_in: the file in which they ran.
        case_seed: of the drawn cases.
        sentences: what was compared.
        trace: the digest of the learning rates, of a schedule.
    """

    kind: str
    key: str
    executed_in: str
    case_seed: int
    sentences: tuple[str, ...] = ()
    trace: str | None = None


@dataclass(frozen=True)
class CompositionClaim:
    """The composition that the code of a schedule alone is checked against.

    Both are JSON texts: that of a composition (lrgen.curves.compositions), and of an interface (lrgen.realisations).
    """

    composition: str
    interface: str


@dataclass(frozen=True)
class Candidate:
    """A file that is to be verified, and the variant that it is checked against (None: there is no claim).

    ``rendered`` says that the catalogue renders exactly these bytes, from these ``parts`` where all are lrgen's own.
    ``reference`` is the network that its own is compared with (None: no architecture is claimed). With a ``claim`` it
    is no file of a network but the code of a schedule alone.
    """

    path: Path
    source: str
    sha256: str
    model_name: str
    scheduler_type: str
    variant: Variant | None
    prm: dict[str, float]
    budget: Budget | None = None
    rendered: bool = False
    reference: ReferenceNetwork | None = None
    parts: Parts | None = None
    claim: CompositionClaim | None = None


@dataclass(frozen=True)
class VerifySettings:
    """The settings of a verification, which determine the outcome of a file.

    ``device`` is resolved (``cpu``, ``cuda:0``), never ``auto``; ``threads`` is the number of threads of one worker.
    Without a ``policy`` the policy check accepts any code. With ``full`` an architecture with a budget is trained in
    full as well. ``compile`` (torch.compile) and ``autocast`` (to bfloat16) are options of the training check. With
    ``whole`` each file is executed whole, also where its parts have been executed already. ``given`` are
    hyperparameters that every file gets in ``prm``, with their values.
    """

    stage: Stage = Stage.TRAINING
    policy: Policy | None = None
    dataset: str = "digits"
    epochs: int = 5
    batch_size: int = 24
    seed: int = 0
    device: str = "cpu"
    threads: int = 1
    full: bool = False
    compile: bool = False
    autocast: bool = False
    given: tuple[tuple[str, int | float], ...] = ()
    whole: bool = False


@dataclass(frozen=True)
class CheckReport:
    """The result of one check; ``reason`` is empty if the file passed."""

    stage: Stage
    passed: bool
    reason: str
    seconds: float


@dataclass(frozen=True)
class EpochReport:
    """The measurements of one evaluated epoch of the training check.

    ``confusion[i][j]`` counts images of class i that were predicted as j: held-out images, or the subset to overfit.
    ``lr`` is the learning rate of the epoch's last update, the maximum over the parameter groups; losses are means over
    images.
    """

    epoch: int
    train_loss: float
    train_accuracy: float
    loss: float
    confusion: tuple[tuple[int, ...], ...]
    lr: float
    seconds: float

    @property
    def accuracy(self) -> float:
        """The fraction of correct predictions."""
        return accuracy_of(self.confusion)


@dataclass(frozen=True)
class NearestSchedule:
    """A schedule of the catalogue beside an observed curve.

    ``variant`` is its key, ``equivalents`` are the keys of those with the same curve up to its numbers.
    ``hyperparameters`` are the fitted ones, with the literals that differ from the variant's. ``horizon`` counts steps
    of the observed unit. ``distance`` is the mean relative difference of the learning rates, 0 for the same curve.
    ``words`` say the same to a reader.
    """

    variant: str
    name: str
    distance: float
    hyperparameters: dict[str, Any]
    horizon: int
    words: str
    equivalents: tuple[str, ...] = ()


@dataclass(frozen=True)
class Diagnosis:
    """The behaviour of the learning rate of a file without a claim, over some epochs of ``learn``.

    ``unit`` is that of its changes (None: it never changes). ``findings`` are sentences, and ``practices`` are those on
    the practices that its code or its text shows, with what to do about them. ``curve`` is a digest of the
    learning rates relative to the highest, and of the unit: files with equal curves have equal digests. ``rates`` are
    those at the start of each epoch.
    """

    unit: Unit | None
    epochs: int
    batches: int
    updates: int
    findings: tuple[str, ...]
    nearest: tuple[NearestSchedule, ...]
    curve: str
    rates: tuple[float, ...] = ()
    practices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """The outcome of one file's verification.

    ``stage`` is the last check that it passed, or the one that it did not pass; ``reason`` is empty if it passed.
    ``accuracy`` is that of its best epoch, ``training`` and ``base_lr`` describe the training (all None if no epoch was
    run), ``output`` is the end of its output. ``isolation`` is a sandbox.Mechanism; ``reused`` says whether the outcome
    is that of an earlier run. Two files with equal learning rates have equal ``trace`` digests (checks.schedule; None:
    not recorded). ``case_seed`` repeats the drawn cases, and ``evidence`` says what was
    compared where that differs from file to file. ``architecture`` is the comparison with the claimed architecture
    (None: none is claimed, or the file failed before or in it). A file without a claim has a ``diagnosis`` (None: it
    failed before).
    """

    candidate: Candidate
    status: Status
    stage: Stage
    reason: str
    seconds: float
    checks: tuple[CheckReport, ...] = ()
    epochs: tuple[EpochReport, ...] = ()
    accuracy: float | None = None
    training: Training | None = None
    base_lr: float | None = None
    reused: bool = False
    output: str = ""
    isolation: str = "process"
    trace: str | None = None
    case_seed: int | None = None
    evidence: tuple[str, ...] = ()
    architecture: Comparison | None = None
    diagnosis: Diagnosis | None = None


def accuracy_of(confusion: Sequence[Sequence[int]]) -> float:
    """Return the fraction of images on the diagonal of a confusion matrix; 0 without images."""
    correct, total = sum(row[index] for index, row in enumerate(confusion)), sum(map(sum, confusion))
    return correct / total if total else 0.0
