"""Compositions that tasks make examples from."""

from dataclasses import dataclass

from lrgen.curves.compositions import Composition
from lrgen.realisations import Realisation


@dataclass(frozen=True)
class RealisedComposition:
    """A composition with its realisations, which were executed and agree with its curve.

    ``number`` is its number in the stream of a build; with the seed it determines the composition.
    """

    composition: Composition
    realisations: tuple[Realisation, ...]
    number: int
