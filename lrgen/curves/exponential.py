"""Exponential and rational decay."""

import numpy as np

from lrgen.curves import Rates


def exponential(step: Rates, horizon: int, *, gamma: float) -> Rates:
    """``gamma ** t`` (torch ``ExponentialLR``)."""
    return np.power(gamma, step)
