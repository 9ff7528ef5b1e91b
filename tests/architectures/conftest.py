"""The seed of every test of a network."""

import pytest
import torch


@pytest.fixture(autouse=True)
def seeded() -> None:
    """Seed torch, so that random weights and inputs are the same in every run."""
    torch.manual_seed(0)
