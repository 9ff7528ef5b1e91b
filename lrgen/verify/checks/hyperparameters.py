"""A part of the contract check: each declared hyperparameter has an effect on training.

Two values of it must differ in what the examiner can see: the settings of the optimizer after ``train_setup``, the
learning rates of ``make_scheduler`` or of the network's own scheduler, or the weights and gradients of a few updates.
A note in an attribute, in a parameter group or in the state of a scheduler is no effect.
"""

import contextlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lrgen.verify import messages
from lrgen.verify.checks import practices, source
from lrgen.verify.checks.examination import Examination, build, prm_of, raising, random_batches
from lrgen.verify.checks.failure import CheckFailure
from lrgen.verify.checks.notes import Sampling
from lrgen.verify.checks.reference import losses, metrics_of
from lrgen.verify.checks.reference_optimizer import UnknownOptimizerError, known_settings
from lrgen.verify.messages import printable
from lrgen.verify.session import Array, FileRaised, Session

# LEMUR's keys that the caller uses itself: a file may declare them without an effect of its own.
_OF_THE_CALLER = frozenset({"batch", "epoch", "epoch_max", "transform"})
# Of momentum and dropout both ends of their range, [0, 1): Nesterov momentum of torch, for one, raises at 0.
_TEST_VALUES = {"lr": (0.01, 0.02), "momentum": (0.0, 0.999), "dropout": (0.0, 0.999)}
_HORIZON = 40
_TRAININGS: tuple["_Training", ...] = ((1, 1, None), (2, 2, None))
_LONG_TRAINING = (91, 1, None)  # beyond the default horizon, for a file that sets its learning rates by hand
_WHOLE_TRAINING = (4, 1, 4)  # to its end, for a practice that begins late
_ADVANCED = 100  # steps of the network's own scheduler: beyond its default horizon
_TIMES_REPEATED = 10.0  # an effect exceeds the difference of equal runs by this factor


_Training = tuple[int, int, int | None]  # epochs, updates in each, and the horizon in epochs (None: the default)


def values_of(name: str) -> tuple[float, float]:
    """Two values of a hyperparameter that must have different effects."""
    return _TEST_VALUES.get(name, (0.25, 0.75))


def check(examination: Examination, session: Session, net: str, sampling: Sampling, every: int = 1) -> None:
    """Check the hyperparameters that the file declares, on a network of this name and on others where it must.

    Those that the user gives must be read; no other value is tried. The same holds for those of a practice whose check
    draws them. There is an update after ``every`` batches.

    Raises:
        CheckFailure: if one has no effect, or if training raises with one of its two values.
    """
    assert examination.loaded is not None
    declared = [name for name in examination.loaded.hyperparameters or () if name not in _OF_THE_CALLER]
    variant = examination.candidate.variant
    trainings = (*_TRAININGS, _LONG_TRAINING) if variant is None else _TRAININGS
    if variant is not None and variant.practice is not None:
        trainings = (*_TRAININGS, _WHOLE_TRAINING)
    trial = _Trial(session, net, sampling, every, trainings, *_steps_of_make_scheduler(examination, session))
    variant = examination.candidate.variant
    drawn = variant.practice.defaults if variant and variant.practice and practices.has_other_examples(variant) else {}
    elsewhere = {**dict(examination.settings.given), **drawn}
    for name in declared:
        low, high = values_of(name)
        if name in elsewhere:
            if name not in trial.read():
                raise CheckFailure(f"hyperparameter {name} is declared but never read from prm")
            continue
        with _explaining(examination, name, trial):
            has_effect = trial.has_effect(name, low, high)
            if name == "momentum" and has_effect:
                trial.train_with(name, low, high)
        if not has_effect:
            if name not in trial.read():
                raise CheckFailure(f"hyperparameter {name} is declared but never read from prm")
            raise CheckFailure(f"hyperparameter {name} has no effect: training is the same with {low} and {high}")


@dataclass(frozen=True)
class _Trial:
    """The comparisons of two values of a hyperparameter, in the order of their cost.

    ``trainings`` are tried in their order; there is an update after ``every`` batches. ``steps`` is the number of
    steps of ``make_scheduler``, 0 if there is no such function to trace, and ``metrics`` has a value for each of them
    if a metric drives the schedule. ``tried`` are the values so far.
    """

    session: Session
    net: str
    sampling: Sampling
    every: int
    trainings: Sequence[_Training]
    steps: int
    metrics: list[float] | None
    tried: list[float] = field(default_factory=list)

    def has_effect(self, name: str, low: float, high: float) -> bool:
        """Whether training differs between two values, beyond the difference of equal runs."""
        return (
            self._changes_options(name, low, high)
            or (name != "lr" and self._changes_make_scheduler(name, low, high))
            or self._changes_own_scheduler(name, low, high)
            or any(self._changes_updates(name, low, high, *training) for training in self.trainings)
        )

    def train_with(self, name: str, low: float, high: float) -> None:
        """Train on one batch with each of two values."""
        sizes = [2] * self.every
        images, labels = random_batches(sizes)
        for value in (low, high):
            self._set_up(self.net, {name: value})
            seeds = list(range(len(sizes)))
            self.session.call("learn", messages.Learned, [images, labels], net=self.net, sizes=sizes, seeds=seeds)

    def read(self) -> set[str]:
        """The hyperparameters that are read in the construction of a network, its training and ``make_scheduler``."""
        build(self.session, "other", prm_of(), recorded=True)
        images, labels = random_batches([4, 4])
        with raising("learn"):
            self.session.call("set_up", messages.SetUp, net="other")
            self.session.call("learn", messages.Learned, [images, labels], net="other", sizes=[4, 4], seeds=[0, 1])
        reads, _ = self.session.call("reads", messages.Read, net="other")
        return set(reads.read) | (set(self._traced({}, recorded=True)[0].read) if self.steps else set())

    def _changes_options(self, name: str, low: float, high: float) -> bool:
        """Whether the settings of the optimizer differ, and are those of before when the first value comes again.

        ``train_setup`` is called on one network, which is built only once.
        """
        first, other, again = (_options(self._set_up(self.net, {name: value})) for value in (low, high, low))
        return first != other and first == again

    def _changes_make_scheduler(self, name: str, low: float, high: float) -> bool:
        if not self.steps:
            return False
        first, other = (self._traced({name: value})[1] for value in (low, high))
        return _differ(first, other)

    def _changes_own_scheduler(self, name: str, low: float, high: float) -> bool:
        rates = []
        for value in (low, high):
            self._set_up(self.net, {name: value})
            rates.append(self._advanced(self.net))
        return _differ(*rates)

    def _changes_updates(
        self, name: str, low: float, high: float, epochs: int, batches: int, horizon: int | None
    ) -> bool:
        of_horizon: dict[str, float] = {} if horizon is None else {"epoch_max": horizon}
        first, other = (self._trained({**of_horizon, name: value}, epochs, batches) for value in (low, high))
        if not any(map(_differ, first, other)):
            return False
        again = self._trained({**of_horizon, name: low}, epochs, batches)
        return any(
            not _distance(value, changed) <= _TIMES_REPEATED * _distance(value, repeated)  # it may be NaN
            for value, changed, repeated in zip(first, other, again, strict=True)
        )

    def _set_up(self, net: str, prm: dict[str, float]) -> messages.SetUp:
        self.tried.extend(prm.values())
        return self.session.call("set_up", messages.SetUp, net=net, prm=prm_of(**prm))[0]

    def _advanced(self, net: str) -> Array:
        """The learning rates of the network's own scheduler, over steps that it makes alone."""
        metrics = _finite(losses(_ADVANCED))
        _, (rates,) = self.session.call("advance", messages.Nothing, net=net, metrics=metrics)
        return rates

    def _traced(self, prm: dict[str, float], recorded: bool = False) -> tuple[messages.Trace, Array]:
        """The learning rates of ``make_scheduler``, and on request what it reads."""
        self.tried.extend(prm.values())
        trace, arrays = _trace(self.session, self.steps, self.metrics, prm_of(**prm), recorded)
        if trace.raised is not None:
            raise FileRaised(trace.raised)
        return trace, arrays[0]

    def _trained(self, prm: dict[str, float], epochs: int, batches: int) -> list[Array]:
        """Weights, gradients and learning rates of a new network in training, at sampled positions."""
        self.tried.extend(prm.values())
        shape, sizes = [2, 3, 32, 32], [2] * batches * self.every
        self.session.call("build", messages.Built, net="other", shape=shape, classes=10, prm=prm_of(**prm), seed=0)
        self.session.call("set_up", messages.SetUp, net="other")
        weights, gradients, rates = [], [], []
        for _ in range(epochs):
            learned, (sampled, of_steps, _) = self.session.call(
                "learn",
                messages.Learned,
                [*random_batches(sizes), *self.sampling.arrays],
                net="other",
                sizes=sizes,
                seeds=list(range(len(sizes))),
                watch=True,
                gradients=True,
                digests=False,
            )
            weights.append(sampled[-1])
            gradients.append(of_steps)  # at an initial learning rate of zero only the gradients differ
            rates += [rate for step in learned.steps for rate in step.rates]
        return [np.stack(weights), np.concatenate(gradients), np.array(rates), self._advanced("other")]


@contextlib.contextmanager
def _explaining(examination: Examination, name: str, trial: _Trial) -> Iterator[None]:
    """Turn an exception of the file into a failure that says which value of a hyperparameter was tried, and why.

    Raises:
        CheckFailure: if the file raises, or calls ``sys.exit``.
    """
    try:
        with raising("training"):
            yield
    except CheckFailure as failure:
        if not isinstance(failure.__cause__, FileRaised) or not trial.tried:
            raise
        if name in _TEST_VALUES:
            why = "both ends of its range are tried" if name != "lr" else "two values are tried"
        else:
            tree = examination.tree
            value = source.default_of(tree, name) if tree is not None else None
            why = (
                "LEMUR draws every hyperparameter from 0 to 1, and two such values are tried; pass one that the file "
                f"takes with --set {printable(name, 50)}={10 if value is None else value}"
            )
        raise CheckFailure(f"{failure} when {printable(name, 50)} is {trial.tried[-1]:g}: {why}") from failure


def _options(set_up: messages.SetUp) -> list[tuple[float, dict[str, messages.Setting]]]:
    """The learning rate and the settings of each parameter group, without those that the optimizer does not read."""
    return [(group.lr, _settings(set_up.optimizer.name, group)) for group in set_up.groups]


def _settings(optimizer: str, group: messages.Group) -> dict[str, messages.Setting]:
    try:
        return known_settings(optimizer, group.settings)
    except UnknownOptimizerError:
        return {}  # the updates show the effect


def _steps_of_make_scheduler(examination: Examination, session: Session) -> tuple[int, list[float] | None]:
    """The number of steps to trace ``make_scheduler`` over, and their metrics; 0 if it cannot be traced.

    A file without a claim may have a function of that name for other arguments.

    Raises:
        CheckFailure: if the function of a file with a claim raises.
    """
    assert examination.loaded is not None
    if not examination.loaded.makes_scheduler:
        return 0, None
    variant = examination.candidate.variant
    trace, _ = _trace(session, 0, None, prm_of())
    if trace.raised is not None:
        if variant is None:
            return 0, None
        raise CheckFailure(f"make_scheduler raises {FileRaised(trace.raised)}")
    if not trace.takes_metric:
        return _HORIZON, None
    steps = 3 * _HORIZON
    return steps, _finite(metrics_of(variant, steps) if variant else losses(steps))


def _trace(
    session: Session, steps: int, metrics: list[float] | None, prm: dict[str, Any], recorded: bool = False
) -> tuple[messages.Trace, list[Array]]:
    with raising("make_scheduler"):
        return session.call(
            "trace",
            messages.Trace,
            horizon=_HORIZON,
            steps=steps,
            prm=prm,
            default=prm["lr"],
            groups=[{}],
            metrics=metrics,
            recorded=recorded,
        )


def _finite(metrics: list[float]) -> list[float]:
    return [1.0 if math.isnan(metric) else metric for metric in metrics]


def _differ(first: Array, other: Array) -> bool:
    return not np.array_equal(first, other, equal_nan=True)


def _distance(first: Array, other: Array) -> float:
    """The norm of the difference; infinite between arrays of different shapes."""
    return float(np.linalg.norm(first.astype(np.float64) - other)) if first.shape == other.shape else math.inf
