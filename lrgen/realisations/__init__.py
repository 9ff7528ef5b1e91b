"""Compositions in code: one composition, several ways to write it."""

from lrgen.realisations.realisation import Call, Interface, Realisation, Style

__all__ = ["Call", "Interface", "Realisation", "Style"]
