"""The seeds of the generators of random numbers that a file may use."""

import random

import numpy as np
import torch


def seed_all(seed: int) -> None:
    """Seed the generators of torch, Python and NumPy.

    Without a context on a GPU, ``torch.manual_seed`` would note the stack for it, which takes longer than the rest.
    """
    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]  # torch does not annotate it
        torch.cuda.manual_seed_all(seed)
    random.seed(seed)
    np.random.seed(seed % (1 << 32))
