"""Statistics of scored completions: pass@k, intervals of rates, and tests of paired differences.

pass@k is the unbiased estimator of Chen et al. ("Evaluating large language models trained on code", 2021). The interval
of a rate is Wilson's ("Probable inference, the law of succession, and statistical inference", JASA 22, 1927): unlike
the normal approximation it stays within 0 and 1 and is not empty when every sample passes.
"""

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

CONFIDENCE = 0.95
RESAMPLES = 10_000
SEED = 0
_DRAWN = 1 << 22  # values of the resamples that are drawn at once


def pass_at_k(samples: int, passed: int, k: int) -> float:
    """Return the probability that at least one of k samples passes, drawn without replacement from a row's samples.

    Raises:
        ValueError: if the row has fewer than k samples or more passed samples than samples, or a number is negative.
    """
    if not (0 <= passed <= samples and 1 <= k <= samples):
        raise ValueError(f"pass@{k} of {samples} samples, {passed} of which passed, is not defined")
    if samples - passed < k:
        return 1.0
    return float(1.0 - np.prod(1.0 - k / np.arange(samples - passed + 1, samples + 1)))


def wilson(passed: int, samples: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Return Wilson's interval of a rate; without samples it is from 0 to 1.

    Raises:
        ValueError: if the number of passed samples is negative or larger than that of the samples.
    """
    if not 0 <= passed <= samples:
        raise ValueError(f"{passed} of {samples} samples cannot have passed")
    if samples == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    rate = passed / samples
    scale = 1 + z * z / samples
    middle = (rate + z * z / (2 * samples)) / scale
    half_width = z * math.sqrt(rate * (1 - rate) / samples + (z / (2 * samples)) ** 2) / scale
    low = 0.0 if passed == 0 else max(0.0, middle - half_width)  # exact at both ends, where rounding would show
    high = 1.0 if passed == samples else min(1.0, middle + half_width)
    return low, high


def mcnemar(gained: int, lost: int) -> float:
    """Return the two-sided p-value of McNemar's exact test: a fair coin for each row on which two runs differ.

    Args:
        gained: number of rows that only the second run passed.
        lost: number of rows that only the first run passed.

    Raises:
        ValueError: if a number is negative.
    """
    if gained < 0 or lost < 0:
        raise ValueError(f"numbers of rows cannot be negative, got {gained} and {lost}")
    rows, fewer = gained + lost, min(gained, lost)
    steps = np.arange(1, fewer + 1)
    logarithms = np.concatenate(([0.0], np.cumsum(np.log((rows - steps + 1) / steps)))) - rows * math.log(2)
    return min(1.0, 2.0 * float(np.exp(logarithms).sum()))  # with as many of each, the tails overlap


def bootstrap(
    differences: ArrayLike, confidence: float = CONFIDENCE, resamples: int = RESAMPLES
) -> tuple[float, float]:
    """Return the percentile bootstrap interval of the mean of paired differences; equal input gives the same interval.

    Raises:
        ValueError: if there is no difference, or one is not finite.
    """
    values = np.asarray(differences, dtype=np.float64)
    if values.ndim != 1 or values.size == 0 or not np.isfinite(values).all():
        raise ValueError("the differences must be a sequence of finite numbers with at least one")
    means = _resampled_means(values, resamples)
    low, high = np.quantile(means, ((1 - confidence) / 2, (1 + confidence) / 2))
    return float(low), float(high)


def _resampled_means(values: NDArray[np.float64], resamples: int) -> NDArray[np.float64]:
    """Return the means of resamples of the values, as many values each; they are drawn in portions of bounded size."""
    generator = np.random.default_rng(SEED)
    portion = max(1, _DRAWN // values.size)
    means = []
    for begin in range(0, resamples, portion):
        drawn = generator.integers(values.size, size=(min(portion, resamples - begin), values.size), dtype=np.int32)
        means.append(values[drawn].mean(axis=1))
    return np.concatenate(means)


def mean(values: Sequence[float]) -> float | None:
    """Return the mean, which does not depend on the order of the values; None without values."""
    return math.fsum(values) / len(values) if values else None
