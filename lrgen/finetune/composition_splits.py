"""Assignment of examples of compositions to splits, by what is unseen in training.

A composition is tested if training has none like it: with more phases, with a pair of successive phases that is held
out, with numbers outside of the trained ranges, or in a style that is held out. Others are assigned by their id, so all
examples of a composition are in one split, but for those in a held-out style.
"""

import hashlib
import itertools
from collections.abc import Iterable
from fractions import Fraction

from lrgen.curves.compositions import Composition, Shape
from lrgen.curves.compositions.drawing import TRAINED_LEVELS
from lrgen.finetune.example import Example
from lrgen.finetune.rows import SPLITS, Split
from lrgen.finetune.splits import Assignment
from lrgen.realisations import Style

TRAINED_PHASES = 4
"""The largest number of phases in training."""

_PAIRS = 0.04  # of the pairs of kinds of phases are held out
_TESTED = 0.02  # of the compositions like those of training
_VALIDATED = 0.02


class CompositionSplits:
    """Assigns compositions to splits by a seed; ``styles`` are held out."""

    def __init__(self, seed: int, styles: Iterable[Style]) -> None:
        self._seed = seed
        self._styles = frozenset(styles)

    def of(self, example: Example, drawn: Composition) -> Assignment:
        """Return the split of an example of a composition; its group is the kinds of the phases.

        ``drawn`` is the composition that the example is made from, whose code its prompt may show: an example about
        another one is in the harder of both splits.
        """
        assert example.composition is not None
        composition = example.composition.composition
        split = max(map(self.of_composition, (composition, drawn)), key=SPLITS.index)
        if self._styles & set(example.styles):
            split = max(split, Split.TEST_STYLES, key=SPLITS.index)
        return Assignment(split, "+".join(composition.structure))

    def of_composition(self, composition: Composition) -> Split:
        """Return the split of a composition in styles that are not held out."""
        structure = composition.structure
        if len(structure) > TRAINED_PHASES:
            return Split.TEST_PHASES
        if any(map(self.is_held_out, itertools.pairwise(structure))):
            return Split.TEST_PAIRS
        if _greatest_level(composition) > TRAINED_LEVELS[1]:
            return Split.TEST_NUMBERS
        position = self._position(composition.id)
        if position < _TESTED:
            return Split.TEST
        return Split.VALIDATION if position < _TESTED + _VALIDATED else Split.TRAIN

    def is_held_out(self, pair: tuple[str, str]) -> bool:
        """Return whether no composition of training has this pair of successive phases."""
        return self._position("+".join(pair)) < _PAIRS

    def _position(self, name: str) -> float:
        """Return a number from 0 to 1 that depends on the seed and the name alone."""
        return int.from_bytes(hashlib.sha256(f"{self._seed}:{name}".encode()).digest()[:8]) / 2**64


def _greatest_level(composition: Composition) -> Fraction:
    """Return the greatest multiplier of a composition: only those drawn outside of the trained ranges exceed 1."""
    peaks = [phase.peak for phase in composition.phases if phase.shape is Shape.TRIANGULAR]
    return max(*(max(phase.start, phase.end) for phase in composition.phases), *peaks, Fraction(0))
