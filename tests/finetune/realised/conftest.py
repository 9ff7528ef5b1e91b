"""The compositions that the tests of this folder share."""

import random

import pytest

from lrgen.curves.compositions import drawing
from lrgen.finetune.compositions import RealisedComposition
from lrgen.finetune.example import TaskInput
from lrgen.realisations import styles_of, write

COUNT = 240


def _realised(number: int) -> RealisedComposition:
    """A composition in each of its styles, which is not executed here."""
    chance = random.Random(number)
    composition = drawing.draw(chance)
    realisations = tuple(write(composition, style, chance) for style in styles_of(composition))
    return RealisedComposition(composition, realisations, number)


@pytest.fixture(scope="session")
def realised_input(catalogue) -> TaskInput:
    """Drawn compositions."""
    return TaskInput(catalogue, (), 0, compositions=tuple(map(_realised, range(COUNT))))
