"""The version of lrgen, in a module that imports nothing, since every package may need it."""

__version__ = "0.1.0"
