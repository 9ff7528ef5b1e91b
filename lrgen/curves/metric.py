"""Metric-driven schedules, as state machines over the metrics that they are fed with."""

import math
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate, pairwise

from lrgen.curves import whole_steps


def plateau(metrics: Sequence[float], horizon: int, *, patience: float, factor: float, base_lr: float) -> list[float]:
    """The rate at first and after each metric (torch ``ReduceLROnPlateau``, mode min, threshold 1e-4 relative).

    A metric is better when it is below ``(1 - 1e-4)`` times the best; NaN never is. After more than
    ``max(1, round(patience T))`` metrics in a row that are not better, the rate is multiplied by ``factor`` and the
    count begins again. A change of the rate by no more than 1e-8 is not made.
    """
    allowed = whole_steps(patience, horizon)
    best, bad, rate = math.inf, 0, base_lr
    rates = [rate]
    for metric in metrics:
        if metric < best * (1 - 1e-4):
            best, bad = metric, 0
        else:
            bad += 1
        if bad > allowed:
            bad = 0
            if rate - rate * factor > 1e-8:
                rate *= factor
        rates.append(rate)
    return rates


def accuracy_plateau(
    metrics: Sequence[float], horizon: int, *, patience: float, factor: float, threshold: float, base_lr: float
) -> list[float]:
    """The rate at first and after each accuracy (torch ``ReduceLROnPlateau``, mode max, threshold absolute).

    As ``plateau``, but an accuracy is better when it is more than ``threshold`` above the best.
    """
    falls = _falls(metrics, -math.inf, lambda metric, best: metric > best + threshold, whole_steps(patience, horizon))
    return _lowered(falls, base_lr, factor)


def plateau_with_cooldown(
    metrics: Sequence[float],
    horizon: int,
    *,
    patience: float,
    cooldown: float,
    min_lr_ratio: float,
    factor: float,
    base_lr: float,
) -> list[float]:
    """The rate at first and after each loss (torch ``ReduceLROnPlateau`` with ``cooldown`` and ``min_lr``).

    As ``plateau``, but the ``round(cooldown T)`` losses after a fall are never counted as not better, and the rate
    stops at ``min_lr_ratio`` of the base rate.
    """
    rest = round(cooldown * horizon)
    falls = _falls(metrics, math.inf, _is_lower, whole_steps(patience, horizon), rest)
    return _lowered(falls, base_lr, factor, min_lr_ratio * base_lr)


def warmup_then_plateau(
    metrics: Sequence[float], horizon: int, *, warmup: float, patience: float, factor: float, base_lr: float
) -> list[float]:
    """The rate at first and after each loss: a climb that heeds no loss, then torch's plateaus.

    ``(t + 1) / (W + 1)`` of the base rate in the first ``W = round(warmup T)`` steps, whose losses are forgotten; from
    the first loss at the full rate on it is ``plateau``. ESPnet's and fairseq's plateau schedulers do so, with a climb
    by updates.
    """
    length = round(warmup * horizon)
    falls = _falls(metrics[length:], math.inf, _is_lower, whole_steps(patience, horizon))
    climb = [base_lr - base_lr * left / (length + 1) for left in range(length, 0, -1)]
    return [*climb, *_lowered(falls, base_lr, factor)][: len(metrics) + 1]


def smoothed_plateau(
    metrics: Sequence[float], horizon: int, *, patience: float, smoothing: float, factor: float, base_lr: float
) -> list[float]:
    """The rate at first and after each loss: torch's plateaus of an exponentially weighted mean.

    Each finite loss has ``smoothing`` times the weight of the next one, as in a bias-corrected moving average (fastai's
    smoothed loss); one that is not finite has no weight and is not better.
    """
    total, weights = 0.0, 0.0
    means = []
    for loss in metrics:
        if math.isfinite(loss):
            total, weights = smoothing * total + loss, smoothing * weights + 1
        means.append(total / weights if math.isfinite(loss) else math.nan)
    return _lowered(_falls(means, math.inf, _is_lower, whole_steps(patience, horizon)), base_lr, factor)


def greedy(
    metrics: Sequence[float],
    horizon: int,
    *,
    start: float,
    patience: float,
    min_lr_ratio: float,
    factor: float,
    threshold: float,
    warmup: float,
    cooldown: float,
    reset: float,
    base_lr: float,
) -> list[float]:
    """The rate at first and after each loss (transformers ``GreedyLR`` with ``eps=0``, between fractions of the rate).

    A loss below the best less ``threshold`` prolongs a run of good ones, another a run of bad ones. A good run longer
    than ``max(1, round(patience T))`` divides the rate by ``factor``, up to the base rate, and the next
    ``round(warmup T)`` losses are not looked at; a bad one multiplies it, down to ``min_lr_ratio``, and the next
    ``round(cooldown T)`` are not. When ``max(1, round(reset T))`` reductions have ended at that bound without an
    increase among them, the rate is ``start`` again and the best loss is forgotten.
    """
    longest, attempts = whole_steps(patience, horizon), whole_steps(reset, horizon)
    multiplier, best = start, math.inf
    good, bad, resumes, stuck = 0, 0, 0, 0
    multipliers = [multiplier]
    for step, loss in enumerate(metrics):
        if step >= resumes:
            if loss < best - threshold:
                best, good, bad = loss, good + 1, 0
            else:
                good, bad = 0, bad + 1
            if good > longest:
                multiplier, good, stuck = min(multiplier / factor, 1.0), 0, 0
                resumes = step + 1 + round(warmup * horizon)
            elif bad > longest:
                multiplier, bad = max(multiplier * factor, min_lr_ratio), 0
                stuck += multiplier == min_lr_ratio
                resumes = step + 1 + round(cooldown * horizon)
                if stuck == attempts:
                    multiplier, best, stuck = start, math.inf, 0
        multipliers.append(multiplier)
    return [base_lr * multiplier for multiplier in multipliers]


def plateau_triggers_cooldown(
    metrics: Sequence[float], horizon: int, *, patience: float, decay: float, base_lr: float
) -> list[float]:
    """The rate at first and after each loss: constant, then a line to zero of ``D = max(1, round(decay T))`` steps.

    The line leaves the base rate at the step whose loss made the first plateau (as torch's ``ReduceLROnPlateau`` sees
    it), at step ``T - D`` if there was none before.
    """
    length = whole_steps(decay, horizon)
    falls = _falls(metrics, math.inf, _is_lower, whole_steps(patience, horizon))
    corner = min(falls.index(True) if True in falls else len(falls), horizon - length)
    return [base_lr * min(1.0, max(0.0, (corner + length - step) / length)) for step in range(len(metrics) + 1)]


def accumulated_plateau(
    metrics: Sequence[float], horizon: int, *, window: float, patience: float, factor: float, base_lr: float
) -> list[float]:
    """The rate at first and after each loss (optax ``reduce_on_plateau`` with an ``accumulation_size``).

    The means of ``w = max(1, round(window T))`` losses each are the metrics of ``plateau``, of which more than
    ``max(1, round(patience T / w))`` must be no better. optax counts the one that makes the rate fall to its patience.
    """
    size = whole_steps(window, horizon)
    means = [sum(metrics[end - size : end]) / size for end in range(size, len(metrics) + 1, size)]
    falls = _falls(means, math.inf, _is_lower, max(1, round(patience * horizon / size)))
    return [rate for rate in _lowered(falls, base_lr, factor) for _ in range(size)][: len(metrics) + 1]


def newbob(
    metrics: Sequence[float], horizon: int, *, gamma: float, threshold: float, patience: float, base_lr: float
) -> list[float]:
    """The rate at first and after each loss (SpeechBrain ``NewBobScheduler``).

    A loss is poor when it is below the one before by less than ``threshold`` of that one; after a loss of 0 every one
    gains 0. Every poor one after ``round(patience T)`` others, in a row or not, multiplies the rate by ``gamma``.
    """
    pairs = pairwise([math.nan, *metrics])
    gains = [1 - loss / before if before and math.isfinite(before) else 0 * before for before, loss in pairs]
    poor = accumulate((gain < threshold for gain in gains), initial=0)
    return [base_lr * gamma ** (count // (round(patience * horizon) + 1)) for count in poor]


def bold_driver(
    metrics: Sequence[float], horizon: int, *, start: float, growth: float, factor: float, base_lr: float
) -> list[float]:
    """The rate at first and after each loss: the bold driver of batch back-propagation, without undoing a bad step.

    Begins at ``start``. A loss below the last one, and the first, lets the rate grow by ``growth`` of itself, up to the
    base rate; one above it or NaN multiplies the rate by ``factor``. NaN is not the last loss of any other.
    """
    before, multiplier = math.inf, start
    multipliers = [multiplier]
    for loss in metrics:
        if not loss >= before:
            multiplier = multiplier * factor if math.isnan(loss) else min(1.0, multiplier + growth * multiplier)
        elif loss > before:
            multiplier *= factor
        before = before if math.isnan(loss) else loss
        multipliers.append(multiplier)
    return [base_lr * multiplier for multiplier in multipliers]


def _is_lower(loss: float, best: float) -> bool:
    """Torch's relative threshold of 1e-4."""
    return loss < best * (1 - 1e-4)


def _falls(
    readings: Iterable[float],
    worst: float,
    is_better: Callable[[float, float], bool],
    patience: int,
    rest: int = 0,
) -> list[bool]:
    """Whether the rate falls after each reading: it does when the last better one, or the end of the ``rest`` after
    the last fall, was more than ``patience`` readings ago.
    """
    best, counted_from = worst, -1
    falls = []
    for place, reading in enumerate(readings):
        if is_better(reading, best):
            best, counted_from = reading, max(place, counted_from)
        falls.append(place - counted_from > patience)
        if falls[-1]:
            counted_from = place + rest
    return falls


def _lowered(falls: Iterable[bool], base_lr: float, factor: float, lowest: float = 0.0) -> list[float]:
    """The rate at first and after each reading; as in torch a change by no more than 1e-8 is not made."""
    rates = [base_lr]
    for fall in falls:
        lower = max(rates[-1] * factor, lowest)
        rates.append(lower if fall and rates[-1] - lower > 1e-8 else rates[-1])
    return rates
