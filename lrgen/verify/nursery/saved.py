"""States of optimizers, schedulers and networks as ``torch.save`` writes them."""

import io
from typing import Any

import numpy as np
import torch


def saved(states: Any) -> np.ndarray[Any, Any]:
    """The bytes of states."""
    written = io.BytesIO()
    torch.save(states, written)
    return np.frombuffer(written.getvalue(), dtype=np.uint8)


def loaded(states: np.ndarray[Any, Any]) -> Any:
    """The states in these bytes; nothing but tensors, containers and numbers is unpickled."""
    return torch.load(io.BytesIO(states.tobytes()), weights_only=True)
