"""The diagnosis of a file that claims no variant: what it does with the learning rate, in sentences.

It says what was seen, whether it is meant or not: nothing here fails a file.
"""

import ast
import functools
import hashlib
import json
from collections.abc import Iterator, Sequence

import numpy as np

from lrgen import catalogue
from lrgen.curves.nearest import Nearest, Observed
from lrgen.records import Diagnosis, NearestSchedule, Unit
from lrgen.verify.checks import practice_diagnosis
from lrgen.verify.checks.observation import BATCHES, EPOCHS, Observation, metrics
from lrgen.verify.messages import printable
from lrgen.verify.session import Array, FileRaised

_EQUAL = 1e-7  # relative difference of learning rates that are the same
_SHOWN_GROUPS = 4
_NEVER = "the learning rate never changes"


def diagnose(observation: Observation, tree: ast.Module | None = None, name: str = "") -> Diagnosis:
    """The diagnosis of an observed training, whose learning rates are finite and not negative.

    Args:
        tree: of the file, from which its practices are read; without it there are none.
        name: of the file, without its suffix.
    """
    unit = unit_of(observation)
    curve = curve_of(observation, unit)
    highest = float(curve.max()) if len(curve) else 0.0
    relative = curve / highest if highest > 0 else curve
    near = nearest(observation, relative, unit) if highest > 0 else ()
    return Diagnosis(
        unit=unit,
        epochs=observation.epochs,
        batches=observation.answer.batches,
        updates=observation.updates,
        findings=tuple(printable(finding) for finding in findings(observation, unit)),
        nearest=near,
        curve=digest_of(relative, unit),
        rates=tuple(float(f"{rate:.6g}") for rate in by_epoch(observation)),
        practices=() if tree is None else tuple(practices(observation, unit, tree, name, near)),
    )


def practices(
    observation: Observation, unit: Unit | None, tree: ast.Module, name: str, near: Sequence[NearestSchedule]
) -> Iterator[str]:
    """Sentences on the practices that a file uses or names."""
    updates = observation.updates
    by_epoch_ended = updates / max(1, int(observation.epoch_of[-1]) + 1) if updates else 0.0
    return practice_diagnosis.sentences(
        tree,
        name,
        near,
        unit=unit,
        batches_per_update=observation.answer.batches / updates if updates else 0.0,
        steps_per_update=steps_of_epoch(observation) / by_epoch_ended if updates else 0.0,
    )


def unit_of(observation: Observation) -> Unit | None:
    """The unit of the changes of the learning rate; None if it never changes.

    It is that of the scheduler's steps where there are several in an epoch: a step that changes nothing is one, too.
    """
    rates = observation.rates
    if not len(rates) or np.all(np.ptp(rates, axis=0) <= _EQUAL * rates.max(axis=0)):
        return None
    within = np.diff(observation.epoch_of) == 0
    changed = np.any(np.abs(np.diff(rates, axis=0)) > _EQUAL * rates.max(), axis=1)
    if np.any(changed & within) or steps_of_epoch(observation) > 1:
        return Unit.BATCH
    return Unit.EPOCH


def steps_of_epoch(observation: Observation) -> float:
    """The median number of steps of the busiest scheduler in an epoch that ended; 0 without a scheduler."""
    if not observation.epochs or not len(observation.steps):
        return 0.0
    steps = observation.steps[observation.steps[:, 1] < observation.epochs]
    counts = [
        np.bincount(steps[steps[:, 0] == index][:, 1].astype(int), minlength=observation.epochs)
        for index in np.unique(steps[:, 0])
    ]
    return max((float(np.median(count)) for count in counts), default=0.0)


def curve_of(observation: Observation, unit: Unit | None) -> Array:
    """The learning rates of the group with the highest one: of each update, or of each epoch."""
    if not observation.updates:
        return np.zeros(0)
    group = int(np.argmax(observation.rates.max(axis=0)))
    return observation.rates[:, group] if unit is Unit.BATCH else by_epoch(observation)


def by_epoch(observation: Observation) -> Array:
    """The learning rate of the first update of each epoch, that before where there is none."""
    if not observation.updates:
        return np.zeros(0)
    group = int(np.argmax(observation.rates.max(axis=0)))
    epochs = observation.epoch_of
    first = np.minimum(np.searchsorted(epochs, np.arange(epochs[-1] + 1)), observation.updates - 1)
    rates: Array = observation.rates[first, group]
    return rates


def digest_of(relative: Array, unit: Unit | None) -> str:
    """A digest of a curve relative to its highest learning rate, and of its unit."""
    rates = [] if unit is None else (np.round(relative, 6) + 0.0).tolist()
    return hashlib.sha256(json.dumps([unit, rates]).encode()).hexdigest()[:16]


def nearest(observation: Observation, relative: Array, unit: Unit | None) -> tuple[NearestSchedule, ...]:
    """The nearest schedules of the catalogue."""
    shown = unit or Unit.EPOCH
    horizon = EPOCHS
    if shown is Unit.BATCH:
        horizon = max(1, round(EPOCHS * observation.updates / max(1, int(observation.epoch_of[-1]) + 1)))
    given = metrics_given(observation)
    losses = accuracies = given if len(given) >= len(relative) - 1 else np.zeros(0)
    driven = bool(len(losses))
    if not driven and observation.known_metrics and shown is Unit.EPOCH and unit is not None:
        losses, accuracies = metrics()
    count = max(0, len(relative) - 1)
    return _catalogue().of(
        Observed(
            relative,
            shown,
            horizon,
            tuple(map(float, losses[:count])),
            tuple(map(float, accuracies[:count])),
            driven,
        )
    )


def metrics_given(observation: Observation) -> Array:
    """The numbers that a scheduler was given at its steps, if they are no count of epochs or batches."""
    for index in np.unique(observation.steps[:, 0]):
        given: Array = observation.steps[observation.steps[:, 0] == index][:, 4]
        if len(given) < 2 or not np.all(np.isfinite(given)):
            continue
        growth = np.diff(given)
        if np.all(growth > 0) and np.ptp(growth) <= 1e-6 * growth.max():
            continue
        return given
    return np.zeros(0)


@functools.cache
def _catalogue() -> Nearest:
    """The search among the shipped schedules."""
    return Nearest(catalogue.load().schedules)


def findings(observation: Observation, unit: Unit | None) -> Iterator[str]:
    """Sentences on what was seen."""
    answer, rates = observation.answer, observation.rates
    if not observation.updates:
        yield f"learn makes no update in {_counted(answer.batches, 'batch')}"
        return
    yield from _of_schedulers(observation)
    if unit is None:
        has = "" if answer.schedulers else ": the file makes no scheduler"
        yield f"{_NEVER}{has}"
    else:
        yield f"the learning rate changes once {'a batch' if unit is Unit.BATCH else 'an epoch'}"
    yield from _of_updates(observation)
    highest = float(rates.max())
    if abs(highest / observation.base_lr - 1) > 0.01:
        yield f'the highest learning rate is {highest / observation.base_lr:.3g} × prm["lr"]'
    if rates.shape[1] > 1:
        yield from _of_groups(rates)
    if answer.raised is not None:
        yield f"learn raises in epoch {observation.epochs + 1} of {EPOCHS}: {FileRaised(answer.raised)}"
    elif observation.epochs < EPOCHS:
        yield f"only the first {observation.epochs} of {EPOCHS} epochs were observed"


def _of_schedulers(observation: Observation) -> Iterator[str]:
    schedulers, steps = observation.answer.schedulers, observation.steps
    made = [scheduler for scheduler in schedulers if scheduler.in_learn and not scheduler.is_part]
    if len(made) > max(2, observation.epochs // 2):
        yield f"learn makes a new {made[0].name} in each epoch, which begins again"
        return
    for index, scheduler in enumerate(schedulers):
        if scheduler.is_part:
            continue
        if not scheduler.steps:
            yield f"{scheduler.name} is never stepped"
            continue
        if not scheduler.of_used:
            yield f"{scheduler.name} steps another optimizer than the one in use"
        own = steps[steps[:, 0] == index]
        if not len(own):
            continue
        if own[0, 3] == 0 and not np.isfinite(own[0, 4]):
            yield f"{scheduler.name} is stepped before the first update"
        yield f"{scheduler.name} is stepped {_often(observation, own)}"


def _often(observation: Observation, own: Array) -> str:
    """``once an epoch``, ``once a batch``, ``2 times an epoch``."""
    each = np.bincount(own[:, 1].astype(int), minlength=max(1, observation.epochs))[: max(1, observation.epochs)]
    count = float(np.median(each))
    updates = observation.updates / max(1, observation.epochs)
    if count == 1:
        return "once an epoch"
    if count == BATCHES:
        return "once a batch"
    if count and abs(count - updates) < 0.5:
        return "once an update"
    return f"{count:g} times an epoch of {BATCHES} batches" if count else f"{len(own)} times in all"


def _of_updates(observation: Observation) -> Iterator[str]:
    updates, batches = observation.updates, max(1, observation.answer.batches)
    if observation.answer.optimizers > 1:
        yield f"{observation.answer.optimizers} optimizers make updates; the learning rates are those of one of them"
    ratio = updates / batches
    if ratio < 0.99:
        yield f"learn makes one update for every {1 / ratio:.3g} batches"
    elif ratio > 1.01:
        yield f"learn makes {ratio:.3g} updates a batch"


def _of_groups(rates: Array) -> Iterator[str]:
    peaks = rates.max(axis=0)
    relative = rates / np.where(peaks > 0, peaks, 1.0)
    count = rates.shape[1]
    if np.any(np.abs(relative - relative[:, :1]) > 1e-6):
        yield f"the {count} parameter groups follow different curves"
    elif np.ptp(peaks) > _EQUAL * peaks.max():
        shown = ", ".join(f"{peak / peaks.max():.3g}" for peak in peaks[:_SHOWN_GROUPS])
        further = ", …" if count > _SHOWN_GROUPS else ""
        yield f"the {count} parameter groups have different learning rates ({shown}{further} of the highest)"


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'es' * (count != 1)}"


def of_steps(rates: Array, name: str, losses: Array | None, tree: ast.Module | None = None) -> Diagnosis:
    """The diagnosis of a schedule without a network, whose learning rate is known at each step.

    Args:
        rates: of consecutive steps.
        name: of the function that makes the schedule.
        losses: that drive it, if it takes a metric.
        tree: of the script, from which its practices are read.
    """
    highest = float(rates.max())
    relative = rates / highest if highest > 0 else rates
    changes = bool(np.ptp(rates) > _EQUAL * highest)
    given = tuple(map(float, losses[: len(rates) - 1])) if losses is not None else ()
    observed = Observed(relative, Unit.EPOCH, EPOCHS, given, given, losses is not None)
    near = _catalogue().of(observed) if highest > 0 else ()
    return Diagnosis(
        unit=Unit.EPOCH if changes else None,
        epochs=len(rates),
        batches=0,
        updates=len(rates),
        findings=(f"{printable(name)} was stepped {len(rates)} times", *(() if changes else (_NEVER,))),
        nearest=near,
        curve=digest_of(relative, Unit.EPOCH if changes else None),
        rates=tuple(float(f"{rate:.6g}") for rate in rates),
        practices=() if tree is None else tuple(practice_diagnosis.sentences(tree, "", near)),
    )
