"""The public functions and constants of ``import lrgen``."""
