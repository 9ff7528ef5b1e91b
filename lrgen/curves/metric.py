"""Metric-driven schedules as functions from the metrics to the learning rates.

The result holds the initial learning rate and the learning rate after each metric.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate, pairwise

from lrgen.curves import whole_steps


def plateau(
    metrics: Sequence[float], horizon: int, *, patience_fraction: float, factor: float, base_lr: float
) -> list[float]:
    """Reduction on plateaus (torch ``ReduceLROnPlateau``, mode min, relative threshold 1e-4).

    A metric is an improvement if it is below ``(1 - 1e-4)`` times the best; NaN never is. After more than
    ``max(1, round(patience_fraction T))`` consecutive metrics without improvement, the learning rate is multiplied by
    ``factor`` and the count restarts. A change by at most 1e-8 is not applied.
    """
    patience = whole_steps(patience_fraction, horizon)
    best, bad, rate = math.inf, 0, base_lr
    rates = [rate]
    for metric in metrics:
        if metric < best * (1 - 1e-4):
            best, bad = metric, 0
        else:
            bad += 1
        if bad > patience:
            bad = 0
            if rate - rate * factor > 1e-8:
                rate *= factor
        rates.append(rate)
    return rates


def accuracy_plateau(
    metrics: Sequence[float],
    horizon: int,
    *,
    patience_fraction: float,
    factor: float,
    threshold: float,
    base_lr: float,
) -> list[float]:
    """Reduction on plateaus of the accuracy (torch ``ReduceLROnPlateau``, mode max, absolute threshold).

    As in ``plateau``, but an accuracy is an improvement if it exceeds the best by more than ``threshold``.
    """

    def is_better(metric: float, best: float) -> bool:
        return metric > best + threshold

    reductions = _reductions(metrics, -math.inf, is_better, whole_steps(patience_fraction, horizon))
    return _reduced(reductions, base_lr, factor)


def plateau_with_cooldown(
    metrics: Sequence[float],
    horizon: int,
    *,
    patience_fraction: float,
    cooldown_fraction: float,
    min_lr_ratio: float,
    factor: float,
    base_lr: float,
) -> list[float]:
    """Reduction on plateaus with a cooldown and a minimum (torch ``ReduceLROnPlateau``'s ``cooldown`` and ``min_lr``).

    As in ``plateau``, but the ``round(cooldown_fraction T)`` losses after a reduction do not count as bad, and the
    learning rate is at least ``min_lr_ratio`` times the base learning rate.
    """
    cooldown = round(cooldown_fraction * horizon)
    reductions = _reductions(metrics, math.inf, _is_lower, whole_steps(patience_fraction, horizon), cooldown)
    return _reduced(reductions, base_lr, factor, min_lr_ratio * base_lr)


def warmup_then_plateau(
    metrics: Sequence[float],
    horizon: int,
    *,
    warmup_fraction: float,
    patience_fraction: float,
    factor: float,
    base_lr: float,
) -> list[float]:
    """A warm-up that ignores the losses, then reduction on plateaus.

    ``(t + 1) / (W + 1)`` times the base learning rate in the first ``W = round(warmup_fraction T)`` steps, whose losses
    are discarded, then ``plateau``. ESPnet's and fairseq's plateau schedulers do the same with a warm-up in updates.
    """
    warmup_steps = round(warmup_fraction * horizon)
    after_warmup = metrics[warmup_steps:]
    reductions = _reductions(after_warmup, math.inf, _is_lower, whole_steps(patience_fraction, horizon))
    warmup = [base_lr - base_lr * left / (warmup_steps + 1) for left in range(warmup_steps, 0, -1)]
    return [*warmup, *_reduced(reductions, base_lr, factor)][: len(metrics) + 1]


def smoothed_plateau(
    metrics: Sequence[float],
    horizon: int,
    *,
    patience_fraction: float,
    ema_decay: float,
    factor: float,
    base_lr: float,
) -> list[float]:
    """Reduction on plateaus of a bias-corrected exponential moving average (fastai's smoothed loss).

    Each finite loss has ``ema_decay`` times the weight of the next one. A loss that is not finite has no weight and is
    no improvement.
    """
    total, weights = 0.0, 0.0
    means = []
    for loss in metrics:
        if math.isfinite(loss):
            total, weights = ema_decay * total + loss, ema_decay * weights + 1
        means.append(total / weights if math.isfinite(loss) else math.nan)
    reductions = _reductions(means, math.inf, _is_lower, whole_steps(patience_fraction, horizon))
    return _reduced(reductions, base_lr, factor)


def greedy(
    metrics: Sequence[float],
    horizon: int,
    *,
    initial_lr_ratio: float,
    patience_fraction: float,
    min_lr_ratio: float,
    factor: float,
    threshold: float,
    warmup_fraction: float,
    cooldown_fraction: float,
    reset_fraction: float,
    base_lr: float,
) -> list[float]:
    """Increases and reductions driven by the loss (transformers ``GreedyLR`` with ``eps=0`` and relative bounds).

    A loss below the best minus ``threshold`` is good, any other is bad. After more than
    ``max(1, round(patience_fraction T))`` consecutive good losses the learning rate is divided by ``factor``, up to the
    base learning rate, and the next ``round(warmup_fraction T)`` losses are skipped. After as many bad losses it is
    multiplied by ``factor``, down to ``min_lr_ratio``, and the next ``round(cooldown_fraction T)`` are skipped. When
    ``max(1, round(reset_fraction T))`` reductions have ended at the minimum without an increase between them, the
    learning rate is reset to ``initial_lr_ratio`` and the best loss is discarded.
    """
    patience, reset_after = whole_steps(patience_fraction, horizon), whole_steps(reset_fraction, horizon)
    multiplier, best = initial_lr_ratio, math.inf
    good, bad, resume_at, at_min = 0, 0, 0, 0
    multipliers = [multiplier]
    for step, loss in enumerate(metrics):
        if step >= resume_at:
            if loss < best - threshold:
                best, good, bad = loss, good + 1, 0
            else:
                good, bad = 0, bad + 1
            if good > patience:
                multiplier, good, at_min = min(multiplier / factor, 1.0), 0, 0
                resume_at = step + 1 + round(warmup_fraction * horizon)
            elif bad > patience:
                multiplier, bad = max(multiplier * factor, min_lr_ratio), 0
                at_min += multiplier == min_lr_ratio
                resume_at = step + 1 + round(cooldown_fraction * horizon)
                if at_min == reset_after:
                    multiplier, best, at_min = initial_lr_ratio, math.inf, 0
        multipliers.append(multiplier)
    return [base_lr * multiplier for multiplier in multipliers]


def plateau_triggers_cooldown(
    metrics: Sequence[float], horizon: int, *, patience_fraction: float, decay_fraction: float, base_lr: float
) -> list[float]:
    """Constant, then linear decay to zero over ``D = max(1, round(decay_fraction T))`` steps.

    The decay starts at the first plateau, as torch's ``ReduceLROnPlateau`` detects it, or at step ``T - D`` if there is
    none before.
    """
    decay_steps = whole_steps(decay_fraction, horizon)
    reductions = _reductions(metrics, math.inf, _is_lower, whole_steps(patience_fraction, horizon))
    start = min(reductions.index(True) if True in reductions else len(reductions), horizon - decay_steps)
    remaining = (min(1.0, max(0.0, (start + decay_steps - step) / decay_steps)) for step in range(len(metrics) + 1))
    return [base_lr * multiplier for multiplier in remaining]


def accumulated_plateau(
    metrics: Sequence[float],
    horizon: int,
    *,
    window_fraction: float,
    patience_fraction: float,
    factor: float,
    base_lr: float,
) -> list[float]:
    """Reduction on plateaus of averaged losses (optax ``reduce_on_plateau`` with an ``accumulation_size``).

    As in ``plateau``, but each metric is the mean of ``w = max(1, round(window_fraction T))`` losses, and the patience
    is ``max(1, round(patience_fraction T / w))`` means. The patience of optax is greater by one.
    """
    window = whole_steps(window_fraction, horizon)
    means = [sum(metrics[end - window : end]) / window for end in range(window, len(metrics) + 1, window)]
    reductions = _reductions(means, math.inf, _is_lower, max(1, round(patience_fraction * horizon / window)))
    return [rate for rate in _reduced(reductions, base_lr, factor) for _ in range(window)][: len(metrics) + 1]


def newbob(
    metrics: Sequence[float], horizon: int, *, gamma: float, threshold: float, patience_fraction: float, base_lr: float
) -> list[float]:
    """Reduction after small improvements (SpeechBrain ``NewBobScheduler``).

    A loss is bad when its improvement relative to the previous one is below ``threshold``; after a loss of 0 the
    improvement is 0. Each bad loss after ``round(patience_fraction T)`` others, consecutive or not, multiplies the
    learning rate by ``gamma``.
    """
    pairs = pairwise([math.nan, *metrics])
    improvements = [
        1 - loss / previous if previous and math.isfinite(previous) else 0 * previous for previous, loss in pairs
    ]
    bad = accumulate((improvement < threshold for improvement in improvements), initial=0)
    return [base_lr * gamma ** (count // (round(patience_fraction * horizon) + 1)) for count in bad]


def bold_driver(
    metrics: Sequence[float], horizon: int, *, initial_lr_ratio: float, growth: float, factor: float, base_lr: float
) -> list[float]:
    """The bold driver of batch back-propagation, except that a bad step is not undone.

    The learning rate starts at ``initial_lr_ratio``. It is multiplied by ``1 + growth``, up to the base learning rate,
    after the first loss and after each loss below the previous one, and by ``factor`` after a higher loss or NaN. NaN
    does not become the previous loss.
    """
    previous, multiplier = math.inf, initial_lr_ratio
    multipliers = [multiplier]
    for loss in metrics:
        if not loss >= previous:
            multiplier = multiplier * factor if math.isnan(loss) else min(1.0, multiplier + growth * multiplier)
        elif loss > previous:
            multiplier *= factor
        previous = previous if math.isnan(loss) else loss
        multipliers.append(multiplier)
    return [base_lr * multiplier for multiplier in multipliers]


def _is_lower(loss: float, best: float) -> bool:
    """Whether a loss is an improvement by torch's relative threshold of 1e-4."""
    return loss < best * (1 - 1e-4)


def _reductions(
    metrics: Iterable[float],
    worst: float,
    is_better: Callable[[float, float], bool],
    patience: int,
    cooldown: int = 0,
) -> list[bool]:
    """Whether the learning rate is reduced after each metric.

    It is reduced if the last improvement and the end of the last cooldown are more than ``patience`` metrics ago.
    """
    best, counted_from = worst, -1
    reductions = []
    for position, metric in enumerate(metrics):
        if is_better(metric, best):
            best, counted_from = metric, max(position, counted_from)
        reductions.append(position - counted_from > patience)
        if reductions[-1]:
            counted_from = position + cooldown
    return reductions


def _reduced(reductions: Iterable[bool], base_lr: float, factor: float, min_lr: float = 0.0) -> list[float]:
    """The initial learning rate and the one after each metric; as in torch, changes of at most 1e-8 are not applied."""
    rates = [base_lr]
    for reduction in reductions:
        reduced = max(rates[-1] * factor, min_lr)
        rates.append(reduced if reduction and rates[-1] - reduced > 1e-8 else rates[-1])
    return rates
