"""The verified files that the tests of tasks share."""

import pytest

from lrgen.catalogue import Catalogue
from lrgen.finetune.example import TaskInput
from tests.corpus import verified

# Two models with each unit, equivalents, layer-wise schedules and optimizers of the variant; the others add AdamW,
# Nesterov momentum, label smoothing, gradient clipping and a recipe without weight decay.
OTHERS = (
    *((model, number) for model in ("AlexNet", "SqueezeNet") for number in (1, 3, 19, 31, 37, 38, 160, 172, 177)),
    *(("ConvNeXt", 1), ("ConvNeXt", 177), ("ComplexNet", 1), ("BayesianNet", 1)),
)


@pytest.fixture(scope="session")
def full_input(catalogue: Catalogue) -> TaskInput:
    """Every schedule with ResNet, in the order of the numbers, and some schedules with other models."""
    files = [verified(catalogue, number) for number in sorted(variant.number for variant in catalogue.schedules)]
    files += [verified(catalogue, number, model) for model, number in OTHERS]
    return TaskInput(catalogue, files, seed=0)
