"""The frozen records and enumerations that the other modules exchange; imports no other module of lrgen."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction
from pathlib import Path
from typing import Any


class Unit(StrEnum):
    """The unit of a scheduler step."""

    EPOCH = "epoch"
    BATCH = "batch"
    METRIC = "metric"


class Metric(StrEnum):
    """The metric that drives a metric-driven schedule: the training loss or the training accuracy."""

    LOSS = "loss"
    ACCURACY = "accuracy"


class PastEnd(StrEnum):
    """The behaviour of a schedule past its horizon."""

    HOLD = "hold"
    CONTINUE = "continue"


class Collection(StrEnum):
    """The list that an architecture is on: ``IMAGE_CLASSIFICATION_MODELS`` or ``ADDITIONAL_MODELS``."""

    CORE = "core"
    ADDITIONAL = "additional"


class Stage(StrEnum):
    """The checks, in their order."""

    SYNTAX = "syntax"
    CONTRACT = "contract"
    SCHEDULE = "schedule"
    TRAINING = "training"


class Training(StrEnum):
    """The kind of training in the training check.

    ``full``: the network learns the dataset. ``overfit``: a large network without a GPU overfits a few dozen images.
    """

    FULL = "full"
    OVERFIT = "overfit"


class Status(StrEnum):
    """The end of a file's verification.

    ``verified``: it passed all checks against a claim. ``passed``: it passed the checks up to the requested stage.
    ``unclaimed``: it passed, and there was no claim to check its schedule against.
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
        """Whether the same file would end the same way again: its result may be reused."""
        return self.ok or self is Status.FAILED


@dataclass(frozen=True)
class Hyperparameter:
    """A number in [low, high] that a rendered file reads from ``prm``.

    ``text`` is how the default stands in the file (``1 / 3``), ``default`` its value.
    """

    name: str
    default: float
    text: str
    low: float
    high: float
    meaning: str


@dataclass(frozen=True)
class WrittenOptimizer:
    """An optimizer that a variant's template writes out, used instead of the recipe's.

    ``name`` is its class, called as ``name(params, lr, momentum, weight_decay)``; ``lr`` the base rate that suits it.
    """

    name: str
    lr: float


@dataclass(frozen=True)
class Variant:
    """One numbered schedule; its number and name never change.

    ``source`` is the code that does the same, or did it first, ``paper`` an address or a citation (empty: none is
    known). A metric-driven variant is fed with ``metric``, once per ``cadence`` (epoch or batch). A ``layerwise`` one
    gives each parameter group a rate of its own, by the group's depth in the network. ``curves_folder`` is where the
    ``curves.py`` of a user's own family lies (None: the curve is one of lrgen.curves). ``tolerance`` bounds the
    difference of a trace from the curve, ``equivalent_within`` that of the curve from its equivalent's; both are
    fractions of the base rate, the latter at a base rate of at least 0.1.
    """

    number: int
    name: str
    family: str
    title: str
    summary: str
    formula: str
    unit: Unit
    past_end: PastEnd
    template: str
    curve: str
    source: str
    paper: str = ""
    hyperparameters: tuple[Hyperparameter, ...] = ()
    constants: dict[str, Any] = field(default_factory=dict)
    metric: Metric | None = None
    cadence: Unit | None = None
    layerwise: bool = False
    optimizer: WrittenOptimizer | None = None
    equivalent_to: int | None = None
    equivalent_within: float = 1e-9
    tolerance: float = 1e-9
    curves_folder: Path | None = None

    @property
    def key(self) -> str:
        """The file's stem, ``A0_001``, which is also its ``scheduler_type`` in the store."""
        return f"A0_{self.number:03d}"

    @property
    def per_batch(self) -> bool:
        """Whether its steps are counted in batches, so that its horizon is known only once a loader is."""
        return Unit.BATCH in (self.unit, self.cadence)

    @property
    def defaults(self) -> dict[str, float]:
        """The default of each hyperparameter by name."""
        return {parameter.name: parameter.default for parameter in self.hyperparameters}


@dataclass(frozen=True)
class Family:
    """A kind of schedule: one folder under ``templates/schedulers``."""

    name: str
    title: str
    summary: str
    folder: Path
    variants: tuple[Variant, ...]


@dataclass(frozen=True)
class Recipe:
    """The training recipe of an architecture: literals of rendered files, and values that checks pass in ``prm``."""

    optimizer: str
    lr: float
    batch: int
    source: str
    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 0.0
    label_smoothing: float = 0.0
    clip_norm: float = 0.0
    dropout: float = 0.0

    def prm_for(self, variant: Variant | None) -> dict[str, float]:
        """The values that every caller passes to a file; an optimizer that a variant writes out has its own ``lr``."""
        own = variant.optimizer if variant else None
        return {"lr": own.lr if own else self.lr, "momentum": self.momentum, "dropout": self.dropout}


@dataclass(frozen=True)
class Budget:
    """The overfitting test of a large network without a GPU: a small subset, its epochs and a time limit.

    The network must overfit ``images`` images of ``pixels`` a side in batches of ``batch`` and ``epochs`` epochs within
    ``seconds``, at the base learning rate ``lr`` (0: the recipe's) and with ``dropout`` (None: the recipe's; zero where
    it keeps the network from overfitting). A variant's own optimizer gets its own learning rate times ``own_rate``; a
    schedule with a low mean gets a higher base learning rate (checks.training).
    """

    images: int
    pixels: int
    batch: int
    epochs: int
    lr: float = 0.0
    own_rate: float = 1.0
    dropout: float | None = None
    seconds: float = 60.0


@dataclass(frozen=True)
class Architecture:
    """One network: one folder under ``templates/architectures``.

    ``parameters`` counts those at the size (``reference_pixels``) and number of classes of the reference. ``layers``
    names the modules of ``Net`` from the input to the output, a layer an entry: ``"conv1 bn1"`` are two modules of one
    layer, ``"stage1.*"`` is a layer for each member of ``stage1``. Together they hold every parameter.
    """

    name: str
    title: str
    summary: str
    paper: str
    reference: str
    parameters: int
    reference_pixels: int
    reference_classes: int
    smallest_input: int
    layers: tuple[str, ...]
    recipe: Recipe
    folder: Path
    template: str
    collection: Collection = Collection.CORE
    budget: Budget | None = None
    config: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class RenderedFile:
    """The text of one architecture × variant, with what its manifest says of it."""

    architecture: Architecture
    variant: Variant
    text: str
    sha256: str


@dataclass(frozen=True)
class Candidate:
    """A file that is to be verified, and the variant that it is checked against (None: there is no claim).

    ``rendered`` says that the catalogue renders exactly these bytes.
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


@dataclass(frozen=True)
class VerifySettings:
    """The settings of a verification: the same file with the same settings ends the same way.

    ``device`` is resolved (``cpu``, ``cuda:0``), never ``auto``; ``threads`` are those of one worker. ``full`` asks for
    the whole training where the architecture names a budget, too. ``compile`` (torch.compile) and ``autocast`` (to
    bfloat16) are for the training check.
    """

    stage: Stage = Stage.TRAINING
    dataset: str = "digits"
    epochs: int = 5
    batch_size: int = 24
    seed: int = 0
    device: str = "cpu"
    threads: int = 1
    full: bool = False
    compile: bool = False
    autocast: bool = False


@dataclass(frozen=True)
class CheckReport:
    """The result of one check; ``reason`` is empty if the file passed."""

    stage: Stage
    passed: bool
    reason: str
    seconds: float


@dataclass(frozen=True)
class EpochReport:
    """One evaluated epoch: everything in it was measured by the training check.

    ``confusion[i][j]`` counts images of class i that were classified as j: held-out ones, or those to overfit.
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
        """The fraction of images that were classified correctly."""
        return accuracy_of(self.confusion)


@dataclass(frozen=True)
class Outcome:
    """The outcome of one file's verification.

    ``stage`` is the last check that it passed, or the one that it did not pass; ``reason`` is empty if it passed.
    ``accuracy`` is that of its best epoch, ``training`` and ``base_lr`` describe the training (all
    None if no epoch was run), ``output`` the end of its output. ``isolation`` names its isolation (sandbox.Mechanism);
    ``reused`` says that an earlier run recorded all of this. Two files with equal learning rates have equal ``trace``
    digests (checks.schedule; None: not recorded).
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


def accuracy_of(confusion: Sequence[Sequence[int]]) -> float:
    """The fraction of images on the diagonal of a confusion matrix; 0 of none."""
    correct, total = sum(row[index] for index, row in enumerate(confusion)), sum(map(sum, confusion))
    return correct / total if total else 0.0


def parse_number(value: float | str) -> tuple[float, str]:
    """Read a number as the catalogue writes it: ``0.1`` or the fraction ``"1/3"``.

    Returns its value and the text that stands for it in a rendered file.

    Raises:
        ValueError: when a string is not a fraction of whole numbers.
    """
    if isinstance(value, str):
        fraction = Fraction(value)
        return float(fraction), value.replace("/", " / ")
    return float(value), repr(float(value))
