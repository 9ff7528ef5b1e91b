"""The examples that a paced curriculum has in use in each epoch, from the formulas of ``lrgen.curves.pacing``."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lrgen.curves import Rates, pacing
from lrgen.records import Practice, Variant
from lrgen.verify.checks import accumulation

Positions = NDArray[np.int64]


@dataclass(frozen=True)
class InUse:
    """A curriculum over some epochs.

    Args:
        constants: of the practice: ``pacing``, ``order``, ``window`` and ``balanced``.
        prm: ``start_fraction`` and ``full_fraction``.
        epochs: planned.
        count: of all examples.
        batch: examples of a batch of the loader.
    """

    constants: Mapping[str, Any]
    prm: Mapping[str, float]
    epochs: int
    count: int
    batch: int

    @classmethod
    def of(cls, practice: Practice, prm: Mapping[str, float], epochs: int, count: int, batch: int) -> "InUse":
        """The curriculum of a practice; ``prm`` are hyperparameters that differ from its defaults."""
        values = {name: prm.get(name, default) for name, default in practice.defaults.items()}
        return cls(practice.constants, values, epochs, count, batch)

    @property
    def share(self) -> Rates:
        """The share of the examples in each planned epoch."""
        return pacing.SHARES[self.constants["pacing"]](np.arange(self.epochs), self.epochs, **self.prm)

    @property
    def sizes(self) -> list[int]:
        """The number of examples of each planned epoch."""
        return [int(size) for size in pacing.examples(self.share, self.count, self.batch)]

    @property
    def updates(self) -> list[int]:
        """The number of updates of each planned epoch."""
        return [-(-size // self.batch) for size in self.sizes]

    def chosen(self, epoch: int, losses: NDArray[np.float64], labels: NDArray[np.int64]) -> Positions:
        """The positions of the examples in use in an epoch, of examples with these losses and labels."""
        order = np.argsort(-losses if self.constants["order"] == "hard" else losses, kind="stable")
        if self.constants["balanced"]:
            order = order[np.argsort(ranks_in_class(order, labels)[order], kind="stable")]
        size, start = self.sizes[epoch], 0
        if self.constants["window"]:
            full = self.prm["full_fraction"]
            start = int(pacing.window_start(epoch, self.epochs, size, self.count, full_fraction=full))
        taken: Positions = order[start : start + size]
        return taken


def ranks_in_class(order: Positions, labels: NDArray[np.int64]) -> Positions:
    """The rank of each example among those of its class, in this order: 0 for the first one."""
    ranks = np.zeros(len(order), dtype=np.int64)
    for label in np.unique(labels):
        of_class = order[labels[order] == label]
        ranks[of_class] = np.arange(len(of_class))
    return ranks


def updates_of(variant: Variant | None, epochs: int, count: int, batch: int) -> list[int]:
    """The number of updates of each planned epoch, of a training on so many examples in batches of the loader."""
    if variant is not None and variant.practice is not None and variant.practice.is_paced:
        return InUse.of(variant.practice, {}, epochs, count, batch).updates
    every = variant.batches_per_update if variant else 1
    return [accumulation.updates_of(-(-count // batch), every)] * epochs
