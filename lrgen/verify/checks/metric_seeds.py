"""The seeds of an epoch of a metric-driven run: the metric over all batches and that over some of them part ways.

The logits of the stand-in depend on the seeds, and with them the losses and the hits. For each batch a few seeds are
drawn. Of many combinations that one is taken under which most means over a part of the batches improve where the mean
over all does not, or vice versa: a schedule that takes its metric from some of the batches sees other plateaus.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from lrgen.records import Metric
from lrgen.verify.checks.draw import Source
from lrgen.verify.checks.learn_again import Epoch
from lrgen.verify.checks.standin_gradients import StandInGradients
from lrgen.verify.session import Array

_SEEDS = 4  # for each batch
_COMBINATIONS = 2000
_THRESHOLD = 1e-4  # torch's: an improvement is below (1 - 1e-4) times the best loss


class MetricSeeds:
    """Draws the seeds of the epochs of one run.

    Args:
        metric: that drives the schedule.
        sizes: the number of images of each batch.
    """

    def __init__(self, metric: Metric | None, sizes: Sequence[int]) -> None:
        self._metric = metric
        self._parts = _parts(len(sizes))
        self._weights = self._parts * np.array(sizes)
        self._best: Array = np.full(len(self._parts), np.inf)
        self._parted = np.zeros(len(self._parts))  # epochs in which a part improved and all did not, or vice versa

    def draw(self, source: Source, epoch: Epoch, standing: StandInGradients) -> list[int]:
        """Draw the seeds of an epoch, whose own do not matter."""
        drawn = [[source.getrandbits(60) for _ in epoch.sizes] for _ in range(_SEEDS)]
        metrics = np.array(
            [[standing.losses(*batch) for batch in replace(epoch, seeds=seeds).batches] for seeds in drawn]
        )
        numbers = np.random.Generator(np.random.Philox(source.getrandbits(60)))
        chosen = self.choose(metrics[..., 0], metrics[..., 1], numbers)
        return [drawn[index][batch] for batch, index in enumerate(chosen)]

    def choose(self, losses: Array, hits: Array, numbers: np.random.Generator) -> list[int]:
        """The index of a seed for each batch, given the losses and the hits that they cause (seeds × batches)."""
        combinations = numbers.integers(len(losses), size=(_COMBINATIONS, losses.shape[1]))
        images = self._weights.sum(axis=1)
        if self._metric is Metric.LOSS:
            means = np.take_along_axis(losses, combinations, axis=0) @ self._weights.T / images
        else:
            means = 1 - np.take_along_axis(hits, combinations, axis=0) @ self._parts.T / images
        improved = means < self._best * (1 - _THRESHOLD)
        parted = improved != improved[:, :1]
        chosen = int((parted / (1 + self._parted)).sum(axis=1).argmax())
        self._best = np.minimum(self._best, means[chosen])
        self._parted += parted[chosen]
        return [int(index) for index in combinations[chosen]]


def _parts(batches: int) -> Array:
    """Parts of the batches of an epoch as rows of zeros and ones; the first is all of them."""
    at = np.arange(batches)
    few, half = max(1, batches // 8), max(1, batches // 2)
    parts = [at >= 0, at < 1, at < few, at < half, at >= batches - 1, at >= batches - half, at % 2 == 0, at >= 1]
    return np.array(parts, dtype=np.float64)


def shuffled_order(images: int, seed: int) -> list[int]:
    """The order in which a DataLoader shuffles images with a generator of this seed.

    An iterator of the loader first takes a seed for its workers from the generator, then its sampler a permutation.
    """
    import torch

    generator = torch.Generator().manual_seed(seed)
    torch.empty((), dtype=torch.int64).random_(generator=generator)
    order: list[int] = torch.randperm(images, generator=generator).tolist()
    return order
