"""Drawn cases: the traces, runs and positions of weights with which a file is checked, and which it cannot know.

They depend on the case seed and on the hash of the file alone. The cases of ``make_scheduler`` are independent of each
other and have one distribution, so a file that leaves its curve in a fraction f of that distribution passes all of them
with probability (1 - f) ** CASES: with f = 5% and 140 cases, 0.00076.
"""

import hashlib
import math
import random
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lrgen.records import Hyperparameter, Unit, Variant
from lrgen.verify.checks.cases import Case, Run

CASES = 140
MAX_HORIZON = 3000
MIN_LR, MAX_LR = 1e-5, 1.0
MAX_GROUPS = 4
MAX_BATCHES = 200  # in an epoch of learn

# Probability and range of a horizon. Within a range, the logarithm is uniform.
_HORIZONS = ((0.15, 1, 10), (0.60, 11, 100), (0.185, 101, 1000), (0.065, 1001, MAX_HORIZON))
_GROUPS = (0.55, 0.15, 0.15, 0.15)  # probability of 1, 2, 3, 4 parameter groups
# Learning rates in tensors have single precision, whose rounding errors add up: only short traces have them.
_TENSOR_STEPS = 120
_TENSOR = 0.2  # of these
_LONG = (31, 90)  # epochs of the longest run of learn
_WHOLE = 0.25  # of these may go on to their end
_SHORT_RUNS = 3


class Source(random.Random):
    """A stream of random numbers that depends on its names alone.

    The numbers are a keyed hash of a counter. Those that a file has seen do not reveal the next ones, as they would
    with the Mersenne Twister.
    """

    def __init__(self, *names: str | int) -> None:
        self._names = names
        self._key = hashlib.sha256(repr(names).encode()).digest()
        self._counter = self._bits = self._pool = 0
        super().__init__(0)

    def __new__(cls, *names: str | int) -> "Source":
        """Create a generator without the names, which are no seed of Python's."""
        return super().__new__(cls)

    def stream(self, *names: str | int) -> "Source":
        """An independent stream, which does not depend on the numbers drawn from this one."""
        return Source(*self._names, *names)

    def seed(self, *args: Any, **kwargs: Any) -> None:
        """Do nothing: the names are the seed."""

    def getrandbits(self, k: int, /) -> int:
        """Return an integer of ``k`` random bits."""
        while self._bits < k:
            block = hashlib.blake2b(self._counter.to_bytes(8, "little"), key=self._key).digest()
            self._pool |= int.from_bytes(block, "little") << self._bits
            self._bits += 8 * len(block)
            self._counter += 1
        value = self._pool & ((1 << k) - 1)
        self._pool >>= k
        self._bits -= k
        return value

    def random(self) -> float:
        """Return a number in [0, 1)."""
        return self.getrandbits(53) * 2.0**-53

    def getstate(self) -> tuple[Any, ...]:
        """Raise NotImplementedError: a stream is repeated by its names."""
        raise NotImplementedError("a stream has no state: build it again with its names")

    def setstate(self, state: tuple[Any, ...]) -> None:
        """Raise NotImplementedError, as ``getstate``."""
        raise NotImplementedError("a stream has no state: build it again with its names")


def draw_for(case_seed: int, sha256: str) -> Source:
    """The source of a file's draws; each purpose takes a ``stream`` of its own.

    ``draw_for(seed, sha256).stream("make_scheduler")`` does not depend on the number of draws for other purposes.
    """
    return Source("lrgen", case_seed, sha256)


def schedule_cases(variant: Variant, source: Source, count: int = CASES) -> Iterator[Case]:
    """Draw traces of ``make_scheduler``, independent of each other.

    Horizons are 1 to 3,000, base learning rates 1e-5 to 1, hyperparameters in their ranges. There are 1 to 4 parameter
    groups (2 to 4 for a layer-wise variant) with learning rates of their own, in short traces also as tensors. A trace
    ends up to three horizons past the end and is resumed at most twice, anywhere.
    """
    for _ in range(count):
        yield _case(variant, source)


def _case(variant: Variant, source: Source) -> Case:
    """Draw one trace."""
    horizon = _horizon(source)
    past_end = _past_end(source, horizon)
    base_lr = _base_lr(source)
    depths = _depths(source) if variant.layerwise else ()
    groups = len(depths) or source.choices(range(1, MAX_GROUPS + 1), _GROUPS)[0]
    tensor = horizon + past_end <= _TENSOR_STEPS and source.random() < _TENSOR
    own = groups > 1 or tensor or source.random() < 0.5
    return Case(
        horizon,
        base_lr,
        depths,
        tuple(base_lr if source.random() < 0.25 else _base_lr(source) for _ in range(groups)) if own else (),
        tensor,
        _resume(source, horizon, horizon + past_end),
        {p.name: _value(source, p) for p in variant.hyperparameters if source.random() < 0.5},
        past_end,
        source.getrandbits(32) if variant.unit is Unit.METRIC else None,
    )


def _horizon(source: Source) -> int:
    """Draw a horizon; the mean is about 215 steps, and 6.5% are longer than 1,000."""
    chance = source.random()
    for probability, low, high in _HORIZONS:
        if chance < probability:
            return math.floor(log_uniform(source, low, high + 1))
        chance -= probability
    return MAX_HORIZON


def _past_end(source: Source, horizon: int) -> int:
    """Draw the number of traced steps past the horizon: a few, up to one horizon, or one to three horizons."""
    chance = source.random()
    if chance < 0.5:
        return source.randint(1, 5)
    horizons = source.random() if chance < 0.78 else 1 + 2 * source.random()
    return math.floor(horizons * horizon) + 1


def _base_lr(source: Source) -> float:
    """Draw a learning rate; half of them have at most three digits, as people write them."""
    if source.random() < 0.04:
        return source.choice((MIN_LR, MAX_LR))
    lr = log_uniform(source, MIN_LR, MAX_LR)
    return float(f"{lr:.{source.randint(1, 3)}g}") if source.random() < 0.5 else lr


def _depths(source: Source) -> tuple[int, ...]:
    """Draw the depths of 2 to 4 groups: contiguous from 0, at least two distinct ones, half of the time in order."""
    groups = source.randint(2, MAX_GROUPS)
    distinct = source.randint(2, groups)
    depths = sorted([*range(distinct), *(source.randrange(distinct) for _ in range(groups - distinct))])
    if source.random() < 0.5:
        source.shuffle(depths)
    return tuple(depths)


def _resume(source: Source, horizon: int, steps: int) -> tuple[int, ...]:
    """Draw the steps at which a trace of ``steps`` steps is resumed: none, one or two."""

    def step() -> int:
        chance = source.random()
        if chance < 0.3:
            return (0, horizon - 1, horizon)[int(chance * 10)]
        return source.randrange(horizon, steps) if chance < 0.5 else source.randrange(horizon)

    return tuple(sorted({step() for _ in range(source.choices((0, 1, 2), (0.5, 0.3, 0.2))[0])}))


def _value(source: Source, parameter: Hyperparameter) -> float:
    """Draw a value of a hyperparameter: an end of its range, its default, or any; half of the latter are rounded."""
    chance = source.random()
    if chance < 0.25:
        return (parameter.low, parameter.low, parameter.high, parameter.high, parameter.default)[int(chance * 20)]
    value = source.uniform(parameter.low, parameter.high)
    if source.random() < 0.5:
        value = float(f"{value:.{source.randint(1, 3)}g}")
    return min(max(value, parameter.low), parameter.high)


def log_uniform(source: Source, low: float, high: float) -> float:
    """Draw a number whose logarithm is uniform."""
    return float(low * (high / low) ** source.random())


def learn_cases(variant: Variant, source: Source, *, large: bool = False) -> list[Run]:
    """Draw the runs of ``learn``: three short ones and one past epoch 30, about 100 updates in all.

    Each hyperparameter has another value than its default in at least one of the short runs; the long one has the
    defaults, whose curve changes in its epochs. One run has a smaller last batch, and one is resumed. A ``large``
    network gets the short runs alone, with at most 30 updates in all.
    """
    shapes = _shapes(variant, source, large)  # epochs planned, epochs run, batches
    resumed = source.choice([index for index, (_, epochs, _) in enumerate(shapes[:_SHORT_RUNS]) if epochs > 1])
    owners = {p.name: source.randrange(_SHORT_RUNS) for p in variant.hyperparameters}
    runs = []
    for index, (planned, epochs, batches) in enumerate(shapes):
        batch_size = math.floor(log_uniform(source, 3, 17))
        smaller = index == 1 or (batches > 1 and source.random() < 0.5)
        prm = {}
        for parameter in variant.hyperparameters:
            if owners[parameter.name] == index:
                prm[parameter.name] = _other_value(source, parameter)
            elif index < _SHORT_RUNS and source.random() < 0.5:
                prm[parameter.name] = _value(source, parameter)
        runs.append(
            Run(
                planned,
                epochs,
                batches,
                batch_size,
                source.randrange(2, batch_size) if smaller else batch_size,
                _base_lr(source),
                prm,
                source.randrange(1, epochs) if index == resumed else None,
            )
        )
    return runs


def _shapes(variant: Variant, source: Source, large: bool) -> list[tuple[int, int, int]]:
    """Draw the planned epochs, the epochs and the batches per epoch of each run.

    The metric of an epoch is a mean over batches: one run of a schedule that is driven by one has many of both.
    """
    by_epoch = variant.unit is Unit.METRIC and variant.cadence is Unit.EPOCH
    few = source.randint(1, 3)
    several = source.randint(1, 2 if large else 3)
    many = source.randint(7, 8 if large else 25)
    if not large and source.random() < 0.15:
        many = math.floor(log_uniform(source, 26, MAX_BATCHES + 1))
    shapes = [
        (few, few + source.randint(1, 3), source.randint(1, 2)),
        (several, source.randint(1, 2 if large else several + 1), source.randint(3, 5 if large else 12)),
        (source.randint(1, 3), 1, many),
    ]
    if by_epoch and not large:
        shapes.insert(_SHORT_RUNS, (source.randint(2, 4), source.randint(9, 11), source.randint(14, 20)))
    if not large:
        planned = source.randint(_LONG[0], 40 if by_epoch else _LONG[1])
        last = planned + 3 if source.random() < _WHOLE else min(planned + 3, _LONG[0] + 17)
        shapes.append((planned, source.randint(_LONG[0] + 2, last), 1))
    return shapes


def _other_value(source: Source, parameter: Hyperparameter) -> float:
    """Draw a value of a hyperparameter other than its default."""
    value = parameter.default
    while value == parameter.default and parameter.low < parameter.high:
        value = _value(source, parameter)
    return value


def positions(source: Source, shapes: Sequence[Sequence[int]], at_most: int = 4096) -> list[NDArray[np.int64]]:
    """Draw the sampled positions of each parameter of these shapes, as sorted indices into the flat parameter.

    There are at most ``at_most`` in all, in proportion to the square root of a parameter's size, and at least one of
    each parameter that has any, even if there are more than ``at_most`` parameters.
    """
    draw = np.random.RandomState([source.getrandbits(32) for _ in range(8)])
    sizes = [math.prod(shape) for shape in shapes]
    total = sum(map(math.sqrt, sizes))
    beyond_first = max(0, at_most - len(sizes))
    drawn = []
    for size in sizes:
        count = min(size, 1 + math.floor(beyond_first * math.sqrt(size) / total)) if total else 0
        at = np.arange(size) if count == size else np.unique(np.floor(draw.random_sample(count) * size))
        drawn.append(at.astype(np.int64))
    return drawn
