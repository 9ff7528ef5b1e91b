"""Records of the catalogue: networks, schedules, practices, and the files that are rendered from them."""

import re
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

    @property
    def is_paced(self) -> bool:
        """Whether an epoch trains on some of the examples, and not on the batches of its loader."""
        return "pacing" in self.constants


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
    def scales_loss(self) -> bool:
        """Whether a gradient scaler multiplies the loss in training."""
        return self.practice is not None and self.practice.scales_loss

    @property
    def autocast(self) -> str | bool:
        """The name of the dtype that training computes in under autocast; False for float32 alone."""
        if self.practice is None or self.practice.kind is not PracticeKind.PRECISION:
            return False
        return str(self.practice.constants["dtype"])

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
