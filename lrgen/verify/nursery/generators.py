"""The generators of random numbers that a file may use."""

import contextlib
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

_RANDOM = (
    *("uniform_", "normal_", "trunc_normal_", "orthogonal_", "sparse_"),
    *("kaiming_uniform_", "kaiming_normal_", "xavier_uniform_", "xavier_normal_"),
)


def seed_all(seed: int) -> None:
    """Seed the generators of torch, Python and NumPy.

    Without a context on a GPU, ``torch.manual_seed`` would note the stack for it, which takes longer than the rest.
    """
    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]  # torch does not annotate it
        torch.cuda.manual_seed_all(seed)
    random.seed(seed)
    np.random.seed(seed % (1 << 32))


@contextlib.contextmanager
def without_random_numbers() -> Iterator[None]:
    """Let torch's random initialisations fill tensors with zeros, which takes less time."""
    initialisations = {name: getattr(torch.nn.init, name) for name in _RANDOM}
    for name in initialisations:
        setattr(torch.nn.init, name, _zeros)
    try:
        yield
    finally:
        for name, function in initialisations.items():
            setattr(torch.nn.init, name, function)


def _zeros(tensor: Tensor, *_: Any, **__: Any) -> Tensor:
    with torch.no_grad():
        return tensor.zero_()
