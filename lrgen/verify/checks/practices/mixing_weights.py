"""The distribution of the weights by which images and their labels are mixed.

Observed weights are compared with a sample of the right distribution in two ways. The test of Kolmogorov and Smirnov
finds any other distribution that is far enough. The mean of likelihood ratios finds those of another ``alpha``, and
needs fewer weights: where the distribution is the right one, it exceeds a bound with a probability of at most the
inverse of that bound (Markov's inequality). Of 800 weights, twice and half the default ``alpha`` of mixup and of CutMix
were missed in none of 20,000 simulated runs.
"""

import math

import numpy as np

from lrgen.records import Practice
from lrgen.verify.checks.draw import Source
from lrgen.verify.checks.failure import CheckFailure
from lrgen.verify.session import Array

_SAMPLE = 100_000  # weights of the distribution that observed ones are compared with
_CRITICAL = 2.9  # of Kolmogorov and Smirnov: equal distributions exceed it in one of ten million runs
_BOUND = math.log(4e6)  # of the mean likelihood ratio: of four million runs of the right distribution, one exceeds it
_FACTORS = (1 / 4, 1 / 2, 2 / 3, 3 / 2, 2, 4)  # of other values of alpha
_EDGES = np.array([0.01, 0.03, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.97, 0.99])  # of bins of weights


def require_distribution(
    practice: Practice,
    weights: Array,
    draw: Source,
    alpha: float | None = None,
    *,
    size: int,
    pixels: int = 32,
    where: str = "the mixed images",
) -> None:
    """Require weights to have the distribution of a practice, for an ``alpha`` or the default.

    Args:
        draw: of weights to compare with.
        size: the images of a batch.
        pixels: of a side of the images.
        where: names the weights.

    Raises:
        CheckFailure: if they have another one.
    """
    [parameter] = practice.hyperparameters
    value = parameter.default if alpha is None else alpha
    generator = np.random.Generator(np.random.Philox(draw.getrandbits(60)))

    def sample(other: float) -> Array:
        return _sample(generator, other, size, pixels if practice.constants["box"] else None)

    expected = sample(value)
    others = [sample(factor * value) for factor in _FACTORS]
    count = len(weights) * len(expected) / (len(weights) + len(expected))
    if _distance(weights, expected) > _CRITICAL / math.sqrt(count) or _log_ratio(weights, expected, others) > _BOUND:
        raise CheckFailure(
            f"the weights of {where} are not drawn by {parameter.name}={value:.3g}: the mean of {len(weights)} weights "
            f"is {weights.mean():.3g} and their standard deviation {weights.std():.3g}, expected {expected.mean():.3g} "
            f"and {expected.std():.3g}"
        )


def _sample(generator: np.random.Generator, alpha: float, size: int, pixels: int | None) -> Array:
    """Draw weights, of boxes in images with so many pixels a side if given; an own order of the images mixes none."""
    weights = generator.beta(alpha, alpha, _SAMPLE)
    same = generator.random(_SAMPLE) < 1 / math.factorial(size)
    if pixels is None:
        return np.where(same, 1.0, weights)
    half = np.round(np.sqrt(1 - weights) * pixels / 2)
    sides = []
    for _ in range(2):
        center = generator.integers(pixels, size=_SAMPLE)
        sides.append(np.minimum(pixels, center + half) - np.maximum(0, center - half))
    return np.where(same, 1.0, 1 - sides[0] * sides[1] / pixels**2)


def _distance(weights: Array, expected: Array) -> float:
    """The largest difference of two distribution functions."""
    first, second = np.sort(np.round(weights, 3)), np.sort(np.round(expected, 3))
    at = np.unique(np.concatenate([first, second]))
    below = [np.searchsorted(each, at, side="right") / len(each) for each in (first, second)]
    return float(np.abs(below[0] - below[1]).max())


def _log_ratio(weights: Array, expected: Array, others: list[Array]) -> float:
    """The logarithm of the mean ratio of the likelihoods of weights, of other samples to the expected one, in bins."""
    right = _shares(expected)
    ratios = np.array([_bins(weights) @ np.log(_shares(other) / right) for other in others])
    return float(np.logaddexp.reduce(ratios) - math.log(len(ratios)))


def _bins(weights: Array) -> Array:
    return np.bincount(np.searchsorted(_EDGES, weights, side="right"), minlength=len(_EDGES) + 1)


def _shares(sample: Array) -> Array:
    """The shares of the bins of weights, of which none is empty."""
    bins = _bins(sample) + 0.5
    shares: Array = bins / bins.sum()
    return shares
