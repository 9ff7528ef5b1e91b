"""What every test of a network begins with."""

import pytest
import torch


@pytest.fixture(autouse=True)
def seeded() -> None:
    """Fresh weights are the same in every run: a reference that is drawn badly says nothing, and not every time."""
    torch.manual_seed(0)
