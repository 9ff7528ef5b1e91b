"""Schedules in sequence, products of schedules, and schedules with a learning rate per layer."""

import numpy as np

from lrgen.curves import Rates, whole_steps
from lrgen.curves.constant import linear_warmup
from lrgen.curves.cosine import cosine_decay, warmup_cosine
from lrgen.curves.step import step_decay


def step_times_cosine(step: Rates, horizon: int, *, step_fraction: float, gamma: float) -> Rates:
    """Step decay times cosine decay."""
    return step_decay(step, horizon, step_fraction=step_fraction, gamma=gamma) * cosine_decay(step, horizon)


def warmup_then_step(
    step: Rates, horizon: int, *, warmup_fraction: float, step_fraction: float, gamma: float, start_factor: float
) -> Rates:
    """Linear warm-up over W steps, then step decay counted from there (torch ``SequentialLR``)."""
    warmup_steps = whole_steps(warmup_fraction, horizon)
    decay = step_decay(np.maximum(step - warmup_steps, 0), horizon, step_fraction=step_fraction, gamma=gamma)
    warmup: Rates = linear_warmup(step, horizon, warmup_fraction=warmup_fraction, start_factor=start_factor)
    return warmup * decay


def cosine_anneal_to_constant(
    step: Rates, horizon: int, *, anneal_start_fraction: float, final_lr_ratio: float, anneal_fraction: float
) -> Rates:
    """Cosine decay until s, then annealed along a cosine to ``final_lr_ratio`` (torch ``SWALR``)."""
    start, length = _anneal_steps(horizon, anneal_start_fraction, anneal_fraction)
    weight: Rates = np.cos(np.pi * np.clip((step - start) / length, 0, 1) / 2) ** 2
    base = cosine_decay(np.minimum(step, start), horizon)
    return final_lr_ratio + (base - final_lr_ratio) * weight


def warmup_anneal_to_constant(
    step: Rates,
    horizon: int,
    *,
    warmup_fraction: float,
    start_factor: float,
    anneal_start_fraction: float,
    final_lr_ratio: float,
    anneal_fraction: float,
) -> Rates:
    """Linear warm-up, constant until s, then annealed linearly to ``final_lr_ratio`` (torch ``SWALR``)."""
    start, length = _anneal_steps(horizon, anneal_start_fraction, anneal_fraction)
    weight = 1 - np.clip((step - start) / length, 0, 1)
    base = linear_warmup(np.minimum(step, start), horizon, warmup_fraction=warmup_fraction, start_factor=start_factor)
    return final_lr_ratio + (base - final_lr_ratio) * weight


def _anneal_steps(horizon: int, anneal_start_fraction: float, anneal_fraction: float) -> tuple[int, int]:
    """Start and length of the annealing, which ends at the horizon or before."""
    length = whole_steps(anneal_fraction, horizon)
    return min(whole_steps(anneal_start_fraction, horizon), horizon - length), length


def layerwise_cosine(
    step: Rates, horizon: int, *, depth: int, deepest: int, warmup_fraction: float, layer_decay: float
) -> Rates:
    """``warmup_cosine`` times ``layer_decay`` to the power of the number of later layers (timm's layer decay)."""
    scale: float = layer_decay ** (deepest - depth)
    return scale * warmup_cosine(step, horizon, warmup_fraction=warmup_fraction)


def layerwise_triangle(
    step: Rates,
    horizon: int,
    *,
    depth: int,
    deepest: int,
    warmup_fraction: float,
    min_lr_ratio: float,
    layer_decay: float,
) -> Rates:
    """Linear warm-up and linear decay from and to the minimum, times the layer decay (ULMFiT, AllenNLP)."""
    warmup_steps = round(warmup_fraction * horizon)
    factor = np.fmin(step / warmup_steps, (horizon - step) / max(1, horizon - warmup_steps))  # 0 / 0 without a warm-up
    scale: float = layer_decay ** (deepest - depth)
    return scale * (min_lr_ratio * (1 - factor) + factor)


def gradual_unfreezing(step: Rates, horizon: int, *, depth: int, deepest: int, unfreeze_fraction: float) -> Rates:
    """Cosine decay, but zero until the layer is unfrozen, last layer first (ULMFiT)."""
    unfreeze_step = round(unfreeze_fraction * horizon * (deepest - depth) / max(1, deepest))
    return np.where(step < unfreeze_step, 0, cosine_decay(step, horizon))


def freezeout_cubic(step: Rates, horizon: int, *, depth: int, deepest: int, t_0: float) -> Rates:
    """Cosine decay over the cube of a fraction between ``t_0`` and 1 of the horizon (FreezeOut, unscaled)."""
    fraction = np.interp(depth, [0, deepest], [t_0, 1]) if deepest else 1.0
    progress = np.fmin(step / (fraction**3 * horizon), 1)  # 0 / 0 for a layer that is never trained
    rates: Rates = np.cos(np.pi / 2 * progress) ** 2
    return rates


def shifted_warmup(step: Rates, horizon: int, *, warmup_fraction: float) -> Rates:
    """``min(1, (t + 1) / W)``, the warm-up of the schedulefree package."""
    return np.minimum(1, (step + 1) / whole_steps(warmup_fraction, horizon))


def chebyshev_fractal(step: Rates, horizon: int, *, min_curvature_ratio: float, nodes: int) -> Rates:
    """``n_0 / n_k`` with the Chebyshev nodes ``n_k = m + (1 - m) sin(pi (2 k + 1) / (4 N)) ** 2`` (pytorch_optimizer).

    N is a power of two, and the fractal order has a closed form: k is the inverse Gray code of the reversed bits of
    ``min(floor(N t / T), N - 1)``.
    """
    index = np.minimum(nodes * step.astype(np.int64) // horizon, nodes - 1)
    k = np.zeros_like(index)
    sign = np.zeros_like(index)
    for bit in range(nodes.bit_length() - 1):
        sign = sign ^ (index >> bit) & 1
        k = 2 * k + sign
    node = min_curvature_ratio + (1 - min_curvature_ratio) * np.sin(np.pi * (2 * k + 1) / (4 * nodes)) ** 2
    first = min_curvature_ratio + (1 - min_curvature_ratio) * np.sin(np.pi / (4 * nodes)) ** 2
    return np.asarray(first / node)


def cosine_noise_window(
    step: Rates,
    horizon: int,
    *,
    noise_start_fraction: float,
    noise_ratio: float,
    noise_end_fraction: float,
    seed: int,
) -> Rates:
    """``cosine_decay`` times ``1 + r (2 u - 1)`` within a window (timm's uniform ``noise_range_t``).

    u is the first sample of ``torch.rand`` with the seed ``seed + t``: the low 24 bits of the first output of a
    Mersenne Twister with this seed, divided by 2^24.
    """
    noisy = (step >= noise_start_fraction * horizon) & (step < noise_end_fraction * horizon)
    noise = np.zeros_like(step)
    times, indices = np.unique(step[noisy], return_inverse=True)
    twister = np.random.RandomState()
    samples = []
    for t in times:
        twister.seed(seed + int(t))
        samples.append(twister.randint(2**24, dtype=np.uint32))
    noise[noisy] = noise_ratio * (2 * (np.array(samples, dtype=np.float64) / 2**24) - 1)[indices]
    return cosine_decay(step, horizon) * (1 + noise)


def warmup_times_exponential(
    step: Rates, horizon: int, *, warmup_fraction: float, final_lr_ratio: float, start_factor: float
) -> Rates:
    """``linear_warmup`` times ``final_lr_ratio ** (t / T)`` (torch ``ChainedScheduler``)."""
    warmup: Rates = linear_warmup(step, horizon, warmup_fraction=warmup_fraction, start_factor=start_factor)
    return warmup * np.power(final_lr_ratio, step / horizon)


def warmup_hold_step_cosine(
    step: Rates,
    horizon: int,
    *,
    warmup_fraction: float,
    milestone_fraction: float,
    gamma: float,
    start_factor: float,
    cosine_start_fraction: float,
) -> Rates:
    """Linear warm-up, 1, then from H on ``gamma``, with cosine decay from C on (torch ``SequentialLR``)."""
    milestone = max(whole_steps(warmup_fraction, horizon), round(milestone_fraction * horizon))
    start = max(milestone, round(cosine_start_fraction * horizon))
    cosine = cosine_decay(np.maximum(step - start, 0), max(1, horizon - start))
    warmup: Rates = linear_warmup(step, horizon, warmup_fraction=warmup_fraction, start_factor=start_factor)
    return np.where(step < milestone, warmup, gamma * cosine)


def spline(
    step: Rates,
    horizon: int,
    *,
    warmup_fraction: float,
    first_knot_ratio: float,
    second_knot_ratio: float,
    first_knot_fraction: float,
    second_knot_fraction: float,
) -> Rates:
    """``t / W``, then Fritsch and Carlson's monotone cubic (scipy ``PchipInterpolator``), here in Bernstein form."""
    knots = np.array([0, first_knot_fraction, second_knot_fraction, 1])
    values = np.array([1, first_knot_ratio, second_knot_ratio * first_knot_ratio, 0])
    h = np.diff(knots)
    d = -np.diff(values) / h
    inner = 3 * (h[:-1] + h[1:]) * d[:-1] * d[1:] / ((h[:-1] + 2 * h[1:]) * d[1:] + (2 * h[:-1] + h[1:]) * d[:-1])
    first = d[0] + h[0] * (d[0] - d[1]) / (h[0] + h[1])
    last = d[-1] + h[-1] * (d[-1] - d[-2]) / (h[-1] + h[-2])
    slope = np.concatenate([[max(0, first)], np.nan_to_num(inner), [max(0, last)]])  # 0 / 0 between two flat segments

    warmup_steps = round(warmup_fraction * horizon)
    x = np.clip((step - warmup_steps) / max(1, horizon - warmup_steps), 0, 1)
    i = np.searchsorted(knots[1:-1], x, side="right")
    s = (x - knots[i]) / h[i]
    left, right = values[i], values[i + 1]
    after, before = left - h[i] * slope[i] / 3, right + h[i] * slope[i + 1] / 3
    cubic = (1 - s) ** 3 * left + 3 * s * (1 - s) ** 2 * after + 3 * s**2 * (1 - s) * before + s**3 * right
    return np.where(step < warmup_steps, step / max(1, warmup_steps), cubic)
