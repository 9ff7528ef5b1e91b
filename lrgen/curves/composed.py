"""Schedules one after the other, or multiplied."""

import numpy as np

from lrgen.curves import Rates, whole_steps
from lrgen.curves.constant import linear_ramp
from lrgen.curves.cosine import half_cosine, warmup_cosine
from lrgen.curves.step import step_decay


def step_times_cosine(step: Rates, horizon: int, *, step_fraction: float, gamma: float) -> Rates:
    """The product of step decay and a half cosine."""
    return step_decay(step, horizon, step_fraction=step_fraction, gamma=gamma) * half_cosine(step, horizon)


def warmup_then_step(
    step: Rates, horizon: int, *, warmup: float, step_fraction: float, gamma: float, start_factor: float
) -> Rates:
    """A linear climb over W steps, then step decay counted from there (torch ``SequentialLR``)."""
    climb = whole_steps(warmup, horizon)
    decay = step_decay(np.maximum(step - climb, 0), horizon, step_fraction=step_fraction, gamma=gamma)
    climb_rates: Rates = linear_ramp(step, horizon, warmup_fraction=warmup, start_factor=start_factor) * decay
    return climb_rates


def cosine_then_swa(step: Rates, horizon: int, *, swa_start: float, swa_ratio: float, anneal_fraction: float) -> Rates:
    """Half a cosine until s, then from there to ``swa_ratio`` along a cosine (torch ``SWALR``)."""
    start, length = _swa_steps(horizon, swa_start, anneal_fraction)
    weight: Rates = np.cos(np.pi * np.clip((step - start) / length, 0, 1) / 2) ** 2
    base = half_cosine(np.minimum(step, start), horizon)
    return swa_ratio + (base - swa_ratio) * weight


def warmup_then_swa(
    step: Rates,
    horizon: int,
    *,
    warmup: float,
    start_factor: float,
    swa_start: float,
    swa_ratio: float,
    anneal_fraction: float,
) -> Rates:
    """A linear climb, constant until s, then along a line to ``swa_ratio`` (torch ``SWALR``)."""
    start, length = _swa_steps(horizon, swa_start, anneal_fraction)
    weight = 1 - np.clip((step - start) / length, 0, 1)
    base = linear_ramp(np.minimum(step, start), horizon, warmup_fraction=warmup, start_factor=start_factor)
    return swa_ratio + (base - swa_ratio) * weight


def _swa_steps(horizon: int, swa_start: float, anneal_fraction: float) -> tuple[int, int]:
    """Begin and length of the anneal; it begins early enough to be over at the horizon."""
    length = whole_steps(anneal_fraction, horizon)
    return min(whole_steps(swa_start, horizon), horizon - length), length


def layerwise_cosine(
    step: Rates, horizon: int, *, depth: int, deepest: int, warmup: float, layer_decay: float
) -> Rates:
    """``warmup_cosine`` times ``layer_decay`` to the number of layers that follow (timm's layer decay)."""
    scale: float = layer_decay ** (deepest - depth)
    return scale * warmup_cosine(step, horizon, warmup_fraction=warmup)


def layerwise_triangle(
    step: Rates, horizon: int, *, depth: int, deepest: int, warmup: float, min_lr_ratio: float, layer_decay: float
) -> Rates:
    """The lower of a rising and a falling line, raised to the floor, times the layer decay (ULMFiT, allennlp)."""
    climb = round(warmup * horizon)
    height = np.fmin(step / climb, (horizon - step) / max(1, horizon - climb))  # 0 / 0 without a climb
    scale: float = layer_decay ** (deepest - depth)
    return scale * (min_lr_ratio * (1 - height) + height)


def gradual_unfreezing(step: Rates, horizon: int, *, depth: int, deepest: int, unfrozen_by: float) -> Rates:
    """Half a cosine that is cut off before the layer's turn, counted from the output (ULMFiT)."""
    turn = round(unfrozen_by * horizon * (deepest - depth) / max(1, deepest))
    return np.where(step < turn, 0, half_cosine(step, horizon))


def freezeout_cubic(step: Rates, horizon: int, *, depth: int, deepest: int, t_0: float) -> Rates:
    """Half a cosine over the cube of a fraction between ``t_0`` and 1 of the horizon (FreezeOut's unscaled rates)."""
    fraction = np.interp(depth, [0, deepest], [t_0, 1]) if deepest else 1.0
    progress = np.fmin(step / (fraction**3 * horizon), 1)  # 0 / 0 for a layer that is never trained
    rates: Rates = np.cos(np.pi / 2 * progress) ** 2
    return rates


def shifted_warmup(step: Rates, horizon: int, *, warmup: float) -> Rates:
    """``min(1, (t + 1) / W)``, the climb of the schedulefree package."""
    return np.minimum(1, (step + 1) / whole_steps(warmup, horizon))


def chebyshev_fractal(step: Rates, horizon: int, *, smallest_curvature: float, nodes: int) -> Rates:
    """``n_0 / n_k`` with the Chebyshev nodes ``n_k = m + (1 - m) sin(pi (2 k + 1) / (4 N)) ** 2`` (pytorch_optimizer).

    N is a power of two, and the fractal order is closed: k is the inverse Gray code of the reversed bits of
    ``min(floor(N t / T), N - 1)``.
    """
    part = np.minimum(nodes * step.astype(np.int64) // horizon, nodes - 1)
    k = np.zeros_like(part)
    sign = np.zeros_like(part)
    for bit in range(nodes.bit_length() - 1):
        sign = sign ^ (part >> bit) & 1
        k = 2 * k + sign
    node = smallest_curvature + (1 - smallest_curvature) * np.sin(np.pi * (2 * k + 1) / (4 * nodes)) ** 2
    first = smallest_curvature + (1 - smallest_curvature) * np.sin(np.pi / (4 * nodes)) ** 2
    return np.asarray(first / node)


def cosine_noise_window(
    step: Rates, horizon: int, *, noise_start: float, noise_pct: float, noise_end: float, seed: int
) -> Rates:
    """``half_cosine`` times ``1 + p (2 u - 1)`` within a window (timm's uniform ``noise_range_t``).

    u is what ``torch.rand`` draws first after seed + t: the low 24 of the first 32 bits of a Mersenne Twister that is
    seeded as numpy's legacy one.
    """
    noisy = (step >= noise_start * horizon) & (step < noise_end * horizon)
    noise = np.zeros_like(step)
    times, places = np.unique(step[noisy], return_inverse=True)
    twister = np.random.RandomState()
    draws = []
    for t in times:
        twister.seed(seed + int(t))
        draws.append(twister.randint(2**24, dtype=np.uint32))
    noise[noisy] = noise_pct * (2 * (np.array(draws, dtype=np.float64) / 2**24) - 1)[places]
    return half_cosine(step, horizon) * (1 + noise)


def warmup_times_exponential(
    step: Rates, horizon: int, *, warmup: float, final_ratio: float, start_factor: float
) -> Rates:
    """``linear_ramp`` times ``final_ratio ** (t / T)`` (torch ``ChainedScheduler`` of its two classes)."""
    climb: Rates = linear_ramp(step, horizon, warmup_fraction=warmup, start_factor=start_factor)
    return climb * np.power(final_ratio, step / horizon)


def warmup_hold_step_cosine(
    step: Rates,
    horizon: int,
    *,
    warmup: float,
    drop_at: float,
    gamma: float,
    start_factor: float,
    cosine_start: float,
) -> Rates:
    """A climb, 1, and from H on ``gamma`` times half a cosine that begins at C (torch ``SequentialLR`` of four)."""
    drop = max(whole_steps(warmup, horizon), round(drop_at * horizon))
    start = max(drop, round(cosine_start * horizon))
    cosine = half_cosine(np.maximum(step - start, 0), max(1, horizon - start))
    held: Rates = linear_ramp(step, horizon, warmup_fraction=warmup, start_factor=start_factor)
    return np.where(step < drop, held, gamma * cosine)


def spline(
    step: Rates,
    horizon: int,
    *,
    warmup: float,
    first_level: float,
    second_level: float,
    first_knot: float,
    second_knot: float,
) -> Rates:
    """``t / W``, then Fritsch and Carlson's monotone cubic (scipy ``PchipInterpolator``), here in Bernstein's form."""
    knots = np.array([0, first_knot, second_knot, 1])
    levels = np.array([1, first_level, second_level * first_level, 0])
    h, fall = np.diff(knots), -np.diff(levels)
    d = fall / h
    inner = 3 * (h[:-1] + h[1:]) * d[:-1] * d[1:] / ((h[:-1] + 2 * h[1:]) * d[1:] + (2 * h[:-1] + h[1:]) * d[:-1])
    first = d[0] + h[0] * (d[0] - d[1]) / (h[0] + h[1])
    last = d[-1] + h[-1] * (d[-1] - d[-2]) / (h[-1] + h[-2])
    slope = np.concatenate([[max(0, first)], np.nan_to_num(inner), [max(0, last)]])  # 0 / 0 between two flat pieces

    climb = round(warmup * horizon)
    x = np.clip((step - climb) / max(1, horizon - climb), 0, 1)
    i = np.searchsorted(knots[1:-1], x, side="right")
    s = (x - knots[i]) / h[i]
    left, right = levels[i], levels[i + 1]
    after, before = left - h[i] * slope[i] / 3, right + h[i] * slope[i + 1] / 3
    cubic = (1 - s) ** 3 * left + 3 * s * (1 - s) ** 2 * after + 3 * s**2 * (1 - s) * before + s**3 * right
    return np.where(step < climb, step / max(1, climb), cubic)
