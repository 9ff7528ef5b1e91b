"""A network in its process that gets drawn weights: its state, its outputs, and what its tensors do."""

import contextlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from lrgen.records import Status
from lrgen.verify import messages
from lrgen.verify.checks.examination import build, raising, random_batches
from lrgen.verify.checks.failure import CheckFailure
from lrgen.verify.checks.matching import Numbers
from lrgen.verify.session import Array, Ended, FileRaised, Session

_NET = "given"

Answer = TypeVar("Answer", bound=messages.Message)


@dataclass(frozen=True)
class Case:
    """The input and the hyperparameters for which networks are built; all that is drawn for it depends on the seed."""

    channels: int
    pixels: int
    classes: int
    prm: dict[str, Any]
    seed: int
    count: int = 4  # of images

    def __str__(self) -> str:
        return f"{self.channels}x{self.pixels}x{self.pixels} inputs and {self.classes} classes"

    def images(self) -> Array:
        """Smooth random images, of different contrast."""
        images, _ = random_batches([self.count], self.seed, channels=self.channels, pixels=self.pixels, smooth=True)
        contrast = np.linspace(0.5, 2, self.count, dtype=np.float32).reshape(-1, 1, 1, 1)
        return np.ascontiguousarray(images * contrast)


@dataclass(frozen=True)
class Drawn:
    """The drawn weights of a parameter: uniform around a centre."""

    seed: int
    centre: float
    width: float


def shapes(tensors: Sequence[messages.Parameter]) -> list[tuple[int, ...]]:
    """The shapes of tensors."""
    return [tuple(tensor.shape) for tensor in tensors]


def drawn_by_shape(seed: int, shape: Sequence[int]) -> Drawn:
    """Weights that keep the scale of activations; those of vectors are around 1, as the factors of norms are."""
    if len(shape) < 2 or shape[0] == 1:
        return Drawn(seed, 1.0, 0.5)
    inputs = math.prod(shape[1:])
    return Drawn(seed, 0.0, math.sqrt(6 / max(1, inputs)))


def drawn_by_role(seed: int, shape: Sequence[int], mean: float, deviation: float) -> Drawn:
    """Weights of a parameter that begins with this mean and deviation, large enough to show in the outputs."""
    if deviation <= 1e-6 * abs(mean) + 1e-12:  # factors of norms and of layers, and biases
        return Drawn(seed, 1.0, 0.5) if mean else Drawn(seed, 0.0, 0.3)
    if len(shape) < 2 or shape[0] == 1:
        return Drawn(seed, 0.0, 0.5)
    return drawn_by_shape(seed, shape)


@dataclass
class GivenNetwork:
    """A network in a process; the exceptions of a ``reference``, which has a name, are not failures of the file.

    Raises:
        CheckFailure: from every method, if the file raises an exception.
        Ended: if the reference does; the status is ``crashed``.
    """

    session: Session
    case: Case
    reference: str = ""
    structure: messages.Structure = field(init=False)

    def __post_init__(self) -> None:
        """Build the network, and learn the structure of its state."""
        self._images = self.case.images()
        with self._raising():
            build(
                self.session,
                _NET,
                self.case.prm,
                channels=self.case.channels,
                size=self.case.pixels,
                classes=self.case.classes,
                batch=self.case.count,
                seed=self.case.seed,
                action=f"Net for {self.case}",
            )
        self.structure, _ = self._call("structure", messages.Structure, [self._images], seed=self.case.seed)

    @property
    def parameters(self) -> list[messages.Parameter]:
        """The parameters, in the order of their registration."""
        return self.structure.parameters

    @property
    def statistics(self) -> list[messages.Parameter]:
        """The statistics of norms: the buffers that images change in training mode."""
        return self.structure.statistics

    @property
    def count(self) -> int:
        """The number of weights."""
        return sum(parameter.count for parameter in self.parameters)

    @property
    def keys(self) -> list[tuple[str, tuple[int, ...]]]:
        """The kind and the shape of each parameter, then of each of the statistics."""
        kinds = (("parameter", self.parameters), ("statistic", self.statistics))
        return [(kind, shape) for kind, tensors in kinds for shape in shapes(tensors)]

    def filled_statistics(self, value: float) -> list[Array]:
        """Statistics that all have one value."""
        return [np.full(statistic.count, value) for statistic in self.statistics]

    def give(self, drawn: Sequence[Drawn], statistics: Sequence[Array]) -> None:
        """Give the network weights, and values of each of its statistics."""
        values = np.concatenate(statistics) if statistics else np.zeros(0)
        self._call(
            "give",
            messages.Nothing,
            [values.astype(np.float32)],
            seeds=[each.seed for each in drawn],
            centres=[each.centre for each in drawn],
            widths=[each.width for each in drawn],
        )

    def outputs(self, train: bool, seed: int) -> list[Array]:
        """The tensors of the output."""
        _, leaves = self._call("outputs", messages.Nothing, [self._images], train=train, seed=seed)
        return [leaf.astype(np.float64) for leaf in leaves]

    def renewed(self, start: float) -> Array:
        """The statistics after a pass in training mode that they begin with one value."""
        _, [values] = self._call("renewed", messages.Nothing, [self._images], start=start, seed=self.case.seed)
        return values.astype(np.float64)

    def response(self, train: bool) -> tuple[Numbers, Numbers]:
        """Numbers of each parameter, and of each of the statistics, that show what they do."""
        _, [parameters, statistics] = self._call(
            "response", messages.Nothing, [self._images], train=train, seed=self.case.seed
        )
        return parameters, statistics

    def _call(
        self, command: str, kind: type[Answer], arrays: list[Array], **arguments: Any
    ) -> tuple[Answer, list[Array]]:
        with self._raising(), raising(f"forward for {self.case}"):
            return self.session.call(command, kind, arrays, net=_NET, **arguments)

    def _raising(self) -> contextlib.AbstractContextManager[None]:
        return in_reference(self.reference) if self.reference else contextlib.nullcontext()


@contextlib.contextmanager
def in_reference(name: str) -> Iterator[None]:
    """Turn an exception of the reference, which is no failure of the file, into the end of the file.

    Raises:
        Ended: with the status ``crashed``.
    """
    try:
        yield
    except (CheckFailure, FileRaised) as error:
        raise Ended(Status.CRASHED, f"the network of {name} cannot be used: {error}") from error
