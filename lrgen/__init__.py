"""lrgen renders, proves and publishes PyTorch training modules: one architecture with one schedule each."""

__version__ = "0.1.0"
