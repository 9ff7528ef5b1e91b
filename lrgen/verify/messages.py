"""The answers of a file's process, as strict types: whatever it sends is parsed into these, or the file has crashed.

The process belongs to the file, which may write anything. Numbers have ranges, texts and lists have lengths, unknown
fields are refused, and text is printable before it is stored or shown.
"""

import unicodedata
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

_MAX_LIST = 100_000

Text = Annotated[str, StringConstraints(max_length=1000)]
Name = Annotated[str, StringConstraints(max_length=300)]
Count = Annotated[int, Field(ge=0, le=1 << 40)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Number = float  # may be NaN or infinite: a comparison refuses it
Horizons = Annotated[list[Annotated[int, Field(ge=-1, le=1 << 40)]], Field(max_length=1000)]  # -1: no integer
Setting = bool | int | float | list[bool | int | float] | None


class Message(BaseModel):
    """The base of all answers."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Raised(Message):
    """An exception that the file raised; ``line`` is the last line of the file in its traceback."""

    type: Name
    message: Text
    line: Annotated[int, Field(ge=0, le=1 << 31)] | None
    memory: bool = False


class Nothing(Message):
    """An answer without values."""


class Loaded(Message):
    """The loaded module: its functions, the signatures of ``Net``, and what loading printed and changed."""

    printed: Text
    changed: Annotated[list[Name], Field(max_length=20)]
    makes_scheduler: bool
    is_module: bool
    signatures: Annotated[dict[Name, Annotated[list[Name], Field(max_length=100)] | None], Field(max_length=10)]
    hyperparameters: Annotated[list[Name], Field(max_length=1000)] | None


class Parameter(Message):
    """A parameter of a network."""

    name: Name
    shape: Annotated[list[Annotated[int, Field(ge=0, le=1 << 31)]], Field(max_length=8)]
    trained: bool

    @property
    def count(self) -> int:
        """The number of weights."""
        count = 1
        for size in self.shape:
            count *= size
        return count


class Built(Message):
    """A network that was built."""

    parameters: Annotated[list[Parameter], Field(max_length=_MAX_LIST)]


class Structure(Message):
    """The state of a network: its parameters with means and deviations of their values, and its statistics."""

    parameters: Annotated[list[Parameter], Field(max_length=_MAX_LIST)]
    statistics: Annotated[list[Parameter], Field(max_length=_MAX_LIST)]
    means: Annotated[list[Number], Field(max_length=_MAX_LIST)]
    deviations: Annotated[list[Number], Field(max_length=_MAX_LIST)]


class OptimizerReport(Message):
    """The optimizer: the name of its class and the qualified names of its classes, from itself to ``object``.

    It may be ``wrapped`` by the network's ``optimizer``.
    """

    is_optimizer: bool
    wrapped: bool = False
    name: Name
    classes: Annotated[list[Name], Field(max_length=20)]


class Group(Message):
    """A parameter group; ``parameters`` are indices among those of the network, -1 for others."""

    parameters: Annotated[list[Annotated[int, Field(ge=-1, le=_MAX_LIST)]], Field(max_length=_MAX_LIST)]
    lr: Number
    depth: Any
    settings: Annotated[dict[Name, Setting], Field(max_length=100)]


class CriterionReport(Message):
    """The criterion; ``cross_entropy`` says that it is torch's with weights of one and the mean as reduction."""

    name: Name
    callable: bool
    cross_entropy: bool
    label_smoothing: Number


class SetUp(Message):
    """A network after ``train_setup``."""

    parameters: Annotated[list[Parameter], Field(max_length=_MAX_LIST)]
    missing: Annotated[list[Name], Field(max_length=10)]
    optimizer: OptimizerReport
    groups: Annotated[list[Group], Field(max_length=_MAX_LIST)]
    criterion: CriterionReport
    scheduler: bool
    scheduler_state: Annotated[str, StringConstraints(max_length=10_000)]
    takes_metric: bool
    horizons: Horizons
    read: Annotated[list[Name], Field(max_length=1000)]


class State(Message):
    """The state of a network in training; of its weights and its buffers a digest each."""

    weights: Count
    buffers: Count
    rates: Annotated[list[Number], Field(max_length=_MAX_LIST)]
    scheduler_state: Annotated[str, StringConstraints(max_length=10_000)]


class Read(Message):
    """The hyperparameters that were read."""

    read: Annotated[list[Name], Field(max_length=1000)]


class Forward(Message):
    """The type of an output."""

    type: Name


class Dtypes(Message):
    """The dtypes of the real numbers of a network: ``output``, ``parameters``, ``buffers`` and ``optimizer``."""

    dtypes: Annotated[dict[Name, Annotated[list[Name], Field(max_length=20)]], Field(max_length=10)]


class Order(Message):
    """Parameters in the order of their first use."""

    used: Annotated[list[Annotated[int, Field(ge=0, le=_MAX_LIST)]], Field(max_length=_MAX_LIST)]


class StoodIn(Message):
    """The shapes of the leaves of the output, without the number of images."""

    leaves: Annotated[
        list[Annotated[list[Annotated[int, Field(ge=1, le=1 << 20)]], Field(max_length=5)]],
        Field(min_length=1, max_length=20),
    ]


class Event(Message):
    """A note of sampled weights; ``steps`` is the number of the optimizer's steps before it."""

    kind: Literal["start", "batch", "end", "return"]
    digest: Count | None
    steps: Count


class Step(Message):
    """A step of the optimizer; without ``settings`` they are those of the step before."""

    rates: Annotated[list[Number], Field(max_length=_MAX_LIST)]
    settings: Annotated[list[dict[Name, Setting]], Field(max_length=_MAX_LIST)] | None
    norm: Number | None


class Result(Message):
    """The result of ``learn``."""

    kind: Literal["nothing", "pair", "other"]
    accuracy: Finite | None = None
    loss: Finite | None = None
    text: Text = ""


class Learned(Message):
    """A call of ``learn``.

    ``backward`` is the batch of each backward pass through the stand-in, ``losses`` what was differentiated,
    ``order`` are the indices of the images as the batches had them.
    """

    result: Result
    horizons: Horizons
    events: Annotated[list[Event], Field(max_length=_MAX_LIST)] = []
    steps: Annotated[list[Step], Field(max_length=_MAX_LIST)] = []
    saved: Annotated[list[Count], Field(max_length=1000)] = []
    backward: Annotated[list[Count], Field(max_length=_MAX_LIST)] = []
    losses: Annotated[list[Number], Field(max_length=_MAX_LIST)] = []
    order: Annotated[list[Count], Field(max_length=_MAX_LIST)] = []


class LearnedExamples(Learned):
    """A call of ``learn``, with the positions of the images in each forward pass that records gradients."""

    seen: Annotated[list[Annotated[list[Count], Field(max_length=_MAX_LIST)]], Field(max_length=_MAX_LIST)]


class WeightedGradient(Message):
    """The norm of a gradient of weighted losses."""

    norm: Number


class Trained(Learned):
    """A call of ``learn`` on the training images.

    ``rows`` is the number of logits of each batch, ``differentiated`` says whether its loss was differentiated,
    ``leaves`` is the number of logits of an image (auxiliary classifiers have their own), and ``single`` says whether
    the output of the network is a single tensor. ``arrived`` says whether the gradients at the logits are among the
    arrays, and ``seen`` are the positions of the images of each batch among those of the loader, where they were noted.
    """

    rows: Annotated[list[Count], Field(max_length=_MAX_LIST)]
    differentiated: Annotated[list[bool], Field(max_length=_MAX_LIST)]
    leaves: Annotated[int, Field(ge=0, le=20)]
    single: bool
    arrived: bool = False
    seen: Annotated[list[Annotated[list[Count], Field(max_length=_MAX_LIST)]], Field(max_length=_MAX_LIST)] = []


class Evaluated(Message):
    """An evaluation: digests of the weights and of the buffers before the images and after them."""

    weights: Annotated[list[Count], Field(min_length=2, max_length=2)]
    buffers: Annotated[list[Count], Field(min_length=2, max_length=2)]


class Modes(Message):
    """Digests of the weights: before ``eval()``, after it, after images, and after ``train()``."""

    digests: Annotated[list[Count], Field(min_length=4, max_length=4)]


class Left(Message):
    """The buffers of a network that a part of a state leaves with another value."""

    left: Annotated[list[Name], Field(max_length=_MAX_LIST)]


class Entry(Message):
    """A tensor of a state."""

    name: Name
    dtype: Literal[
        "bool", "uint8", "int8", "int16", "int32", "int64", "float16", "bfloat16", "float32", "float64", "complex64"
    ]
    shape: Annotated[list[Annotated[int, Field(ge=0, le=1 << 31)]], Field(max_length=8)]

    @property
    def size(self) -> int:
        """The number of bytes."""
        size = int(self.dtype == "bool") or int("".join(filter(str.isdigit, self.dtype))) // 8
        for length in self.shape:
            size *= length
        return size


class Entries(Message):
    """The tensors of a state."""

    entries: Annotated[list[Entry], Field(max_length=_MAX_LIST)]


class Saved(Message):
    """The parts of a saved state."""

    parts: Annotated[list[Name], Field(max_length=1000)]


class Gradient(Message):
    """The loss of a batch, and the norm of its gradients; ``single`` says that the output is a single tensor.

    ``lengths`` are those of the steps after which logits follow.
    """

    loss: Number
    norm: Number
    single: bool = True
    lengths: Annotated[list[Number], Field(max_length=100)] = []


class Trace(Message):
    """A trace of ``make_scheduler``; ``failed`` is the step at which the file raised."""

    read: Annotated[list[Name], Field(max_length=1000)]
    takes_metric: bool = False
    failed: Count | None = None
    raised: Raised | None = None


class ScheduleRates(Message):
    """The learning rates of the code of a schedule alone; ``wrong_form`` says why it has not the form asked for."""

    raised: Raised | None = None
    wrong_form: Text = ""


class ObservedScheduler(Message):
    """A scheduler in an observed training.

    ``steps`` are its own and those of a scheduler that it ``is_part`` of; ``of_used`` says whether its optimizer makes
    updates.
    """

    name: Name
    in_learn: bool
    steps: Count
    is_part: bool
    of_used: bool
    takes_metric: bool


class Observed(Message):
    """An observed training: the number of its epochs and batches, and its schedulers.

    ``raised`` is the exception that ended it. ``forwards`` is the number of forward passes, -1 if it is not known.
    """

    set_up: SetUp
    horizons: Horizons
    epochs: Count
    raised: Raised | None
    forwards: Annotated[int, Field(ge=-1, le=1 << 40)]
    batches: Count
    optimizers: Count
    schedulers: Annotated[list[ObservedScheduler], Field(max_length=1000)]


class Envelope(Message):
    """An answer: values, an exception of the file, or a refusal, and the number of the file's children."""

    children: Count
    done: dict[str, Any] | None = None
    raised: Raised | None = None
    refused: Text | None = None


def printable(text: str, limit: int = 1000) -> str:
    """Text with control, bidirectional and other invisible characters escaped, cut to a length.

    Line breaks are kept out as well: a reason is one line. Every database accepts the result.
    """
    return "".join(_escaped(character) for character in text[:limit])


def _escaped(character: str) -> str:
    if character == " " or unicodedata.category(character)[0] not in "CZ":
        return character
    return character.encode("unicode_escape").decode("ascii")
