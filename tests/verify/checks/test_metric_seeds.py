"""Seeds under which the metric over all batches and that over some of them improve in different epochs."""

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from lrgen.records import Metric
from lrgen.verify.checks.metric_seeds import MetricSeeds, shuffled_order


@pytest.mark.parametrize("metric", [Metric.LOSS, Metric.ACCURACY])
@pytest.mark.parametrize("part", [slice(0, 1), slice(0, 7), slice(1, None), slice(-9, None), slice(0, None, 2)])
def test_a_part_of_the_batches_improves_in_other_epochs(metric, part):
    """Within ten epochs the mean over a part of the batches improves where that over all does not, or vice versa."""
    draw = np.random.Generator(np.random.PCG64(1))
    sizes = np.full(18, 12)
    seeds = MetricSeeds(metric, sizes)
    best_of_all = best_of_part = np.inf
    parted = 0
    for epoch in range(10):
        losses, hits = draw.gamma(4.0, 0.6, (4, 18)), draw.integers(0, 5, (4, 18)).astype(float)
        chosen = seeds.choose(losses, hits, draw)
        values = losses if metric is Metric.LOSS else 1 - hits / sizes
        values = values[chosen, range(18)]
        parted += epoch > 0 and (values.mean() < best_of_all) != (values[part].mean() < best_of_part)
        best_of_all, best_of_part = min(best_of_all, values.mean()), min(best_of_part, values[part].mean())
    assert parted > 0


@pytest.mark.parametrize("seed", [0, 1, 2**60])
def test_the_order_is_that_of_a_loader(seed):
    """A DataLoader with a generator of the same seed shuffles in this order."""
    loader = DataLoader(
        TensorDataset(torch.arange(23)), batch_size=4, shuffle=True, generator=torch.Generator().manual_seed(seed)
    )
    assert torch.cat([batch for (batch,) in loader]).tolist() == shuffled_order(23, seed)
