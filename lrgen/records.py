"""Frozen records and enumerations that the packages of lrgen exchange."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction
from pathlib import Path
from typing import Any

_FRACTION = re.compile(r"-?[0-9]{1,9}/[0-9]{1,9}")


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


class AddedGroup(StrEnum):
    """The behaviour of a scheduler when a parameter group is added to its optimizer during training.

    ``works``: the group follows the schedule from its own learning rate. ``raises RuntimeError``: a later step of the
    scheduler does.
    """

    WORKS = "works"
    RAISES = "raises RuntimeError"


class Collection(StrEnum):
    """The list of an architecture: ``IMAGE_CLASSIFICATION_MODELS`` or ``ADDITIONAL_MODELS``."""

    CORE = "core"
    ADDITIONAL = "additional"


class PracticeKind(StrEnum):
    """The kinds of practices, by their part of the training loop; each has templates of its own and one check."""

    PRECISION = "precision"
    CURRICULUM = "curriculum"
    ACCUMULATION = "accumulation"
    CLIPPING = "clipping"
    EMA = "ema"
    AVERAGING = "averaging"
    LABEL_SMOOTHING = "label_smoothing"
    MIXUP = "mixup"


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
class Hyperparameter:
    """A number in [low, high] that a rendered file reads from ``prm``.

    ``text`` is the default as written in the file (``1 / 3``), ``default`` is its value.
    """

    name: str
    default: float
    text: str
    low: float
    high: float
    meaning: str


@dataclass(frozen=True)
class WrittenOptimizer:
    """An optimizer whose class a variant's template writes out; it replaces the recipe's.

    The class ``name`` is called as ``name(params, lr, momentum, weight_decay)`` and has the methods ``train()`` and
    ``eval()`` of schedule-free optimizers. ``lr`` is its base learning rate. ``weight_decay`` replaces the recipe's,
    where the recipe has any: an optimizer with L2 regularization needs another one than an optimizer with decoupled
    weight decay. ``source`` says whose values these are.
    """

    name: str
    lr: float
    weight_decay: float = 0.0
    source: str = ""


@dataclass(frozen=True)
class Practice:
    """A part of a training loop besides the schedule: one entry of ``templates/training/<kind>/practices.toml``.

    ``title`` continues that of a schedule (``step decay`` … ``in bfloat16``), ``summary`` stands in the docstring of a
    file, and ``request`` asks for it in a sentence, as a person would. ``source`` names the original or an equal
    implementation, ``paper`` is an address or a citation (empty: none is known). ``hyperparameters`` are read by the
    training methods, beside those of the schedule. ``constants`` are what the template and the check of its kind need
    to know of it, such as the name of a dtype. ``states`` are the attributes of ``Net`` whose state a checkpoint holds
    besides those of network, optimizer and scheduler, with the words for each. ``requirements`` are sentences on what a
    file must do that the summary does not say, for a person who asks for one.
    """

    name: str
    kind: PracticeKind
    title: str
    summary: str
    request: str
    source: str
    template: str
    paper: str = ""
    hyperparameters: tuple[Hyperparameter, ...] = ()
    constants: dict[str, Any] = field(default_factory=dict)
    states: dict[str, str] = field(default_factory=dict)
    requirements: tuple[str, ...] = ()

    @property
    def defaults(self) -> dict[str, float]:
        """The name and the default of each hyperparameter."""
        return {parameter.name: parameter.default for parameter in self.hyperparameters}

    @property
    def scales_loss(self) -> bool:
        """Whether a gradient scaler multiplies the loss."""
        return bool(self.constants.get("scaled", False))


@dataclass(frozen=True)
class Variant:
    """One numbered schedule, or one with a practice; its number never changes, and a former name stays valid.

    A variant with a ``practice`` names by ``schedule`` the number of the variant whose schedule it uses, and has all
    else of that one: its family, template, title, curve, unit and hyperparameters. It is no equivalent of it.

    ``former_name`` is the name before a variant was renamed (empty: it was not); lookups accept it.
    ``added_group`` says what a parameter group does that is added during training (None: unknown, in a user's family).
    ``source`` names the original or an equal implementation, ``paper`` is an address or a citation (empty: none is
    known). A metric-driven variant receives ``metric`` once per ``cadence`` (epoch or batch). A ``layerwise`` variant
    gives each parameter group its own learning rate, by the group's depth in the network. ``curves_folder`` is the
    folder of a user's ``curves.py`` (None: the curve is one of lrgen.curves). ``tolerance`` bounds the difference of a
    trace from the curve, ``equivalent_within`` that of the curve from its equivalent's; both are fractions of the base
    learning rate, the latter at a base learning rate of at least 0.1.
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
    former_name: str = ""
    added_group: AddedGroup | None = None
    equivalent_to: int | None = None
    equivalent_within: float = 1e-9
    tolerance: float = 1e-9
    curves_folder: Path | None = None
    practice: Practice | None = None
    schedule: int | None = None

    @property
    def key(self) -> str:
        """The stem of the variant's files, ``A0_001``; also its ``scheduler_type`` in the store."""
        return f"A0_{self.number:03d}"

    @property
    def full_title(self) -> str:
        """The title of the schedule and that of the practice: ``step decay in bfloat16``."""
        return f"{self.title} {self.practice.title}" if self.practice else self.title

    @property
    def label(self) -> str:
        """Its key and its name, as reasons of checks cite it: ``A0_001 StepLR_default``."""
        return f"{self.key} {self.name}"

    @property
    def mixes_labels(self) -> bool:
        """Whether training mixes labels by weights that it draws: its loss is then not that of the labels."""
        return self.practice is not None and self.practice.kind is PracticeKind.MIXUP

    @property
    def per_batch(self) -> bool:
        """Whether a step is a batch; the horizon then depends on the number of batches per epoch."""
        return Unit.BATCH in (self.unit, self.cadence)

    @property
    def batches_per_update(self) -> int:
        """The number of batches whose gradients an update has; the last one of an epoch may have fewer."""
        return int(self.practice.constants.get("every", 1)) if self.practice else 1

    @property
    def defaults(self) -> dict[str, float]:
        """The name and the default of each hyperparameter."""
        return {parameter.name: parameter.default for parameter in self.hyperparameters}


@dataclass(frozen=True)
class Family:
    """A family of schedules: one folder under ``templates/schedulers``."""

    name: str
    title: str
    summary: str
    folder: Path
    variants: tuple[Variant, ...]


@dataclass(frozen=True)
class Recipe:
    """The training recipe of an architecture: literals of rendered files, and values of ``prm`` in the checks."""

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
        """Return the values of ``prm`` for a file; a variant with an optimizer of its own has its own ``lr``."""
        optimizer = variant.optimizer if variant else None
        return {"lr": optimizer.lr if optimizer else self.lr, "momentum": self.momentum, "dropout": self.dropout}


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
    seconds: float = 180.0


@dataclass(frozen=True)
class Architecture:
    """One network: one folder under ``templates/architectures``.

    ``parameters`` counts those at the size (``reference_pixels``) and number of classes of the reference. ``layers``
    names the modules of ``Net`` from the input to the output, a layer an entry: ``"conv1 bn1"`` are two modules of one
    layer, ``"stage1.*"`` is a layer for each member of ``stage1``. Together they hold every parameter. ``no_decay`` are
    the ends of the names of parameters without weight decay that have two or more dimensions, such as
    ``"pos_embedding"``; biases and the parameters of norms have one dimension and need no entry.

    ``variations`` differ from it in numbers alone, as a paper's ResNet-56 does from its ResNet-20. A variation is no
    entry of the catalogue: it has a name and all else that an architecture has, but shares folder and template with the
    one that it is a ``variation_of``.
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
    no_decay: tuple[str, ...] = ()
    collection: Collection = Collection.CORE
    budget: Budget | None = None
    config: dict[str, Any] = field(default_factory=dict)
    variations: tuple["Architecture", ...] = ()
    variation_of: str | None = None

    @property
    def entry(self) -> str:
        """The name of the catalogue's entry, which an architecture shares with its variations."""
        return self.variation_of or self.name


@dataclass(frozen=True)
class RenderedFile:
    """The text of one architecture with one variant, and its hash."""

    architecture: Architecture
    variant: Variant
    text: str
    sha256: str


@dataclass(frozen=True)
class ReferenceNetwork:
    """The network of an architecture of the catalogue: its name, and the code of ``Net`` without training methods."""

    name: str
    source: str


@dataclass(frozen=True)
class Part:
    """A part of a rendered file: its import statements, and its code as it stands in the file.

    ``classes`` is the code of the classes that training methods use, which stand before the network.
    """

    imports: tuple[str, ...]
    code: str
    classes: str = ""


@dataclass(frozen=True)
class Parts:
    """The parts of which a file is rendered; ``training`` are methods of ``Net``."""

    docstring: str
    schedule: Part
    network: Part
    training: Part


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

    ``unit`` is that of its changes (None: it never changes). ``findings`` are sentences. ``curve`` is a digest of the
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


def parse_number(value: float | str) -> tuple[float, str]:
    """Read a number as the catalogue writes it: ``0.1`` or the fraction ``"1/3"``.

    Returns:
        The value, and the text of the number in a rendered file.

    Raises:
        ValueError: if a string is not a fraction of integers.
    """
    if isinstance(value, str):
        if not _FRACTION.fullmatch(value):
            raise ValueError(f"not a fraction of integers: {value!r}")
        return float(Fraction(value)), value.replace("/", " / ")
    return float(value), repr(float(value))
