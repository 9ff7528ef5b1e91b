"""Decay that does not depend on how many steps are still to come."""

import numpy as np

from lrgen.curves import Rates


def inverse_sqrt(step: Rates, horizon: int, *, warmup: float) -> Rates:
    """``t / W``, then ``sqrt(s / (t - W + s))`` with ``s = max(1, W)`` (transformers ``inverse_sqrt``)."""
    climb = round(warmup * horizon)
    timescale = max(1, climb)
    decay = np.sqrt(timescale / np.maximum(step - climb + timescale, 1))
    return np.where(step < climb, step / timescale, decay)
