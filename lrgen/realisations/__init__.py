"""Compositions in code: one composition, several ways to write it."""

from lrgen.realisations.realisation import Call, Interface, Realisation, Style
from lrgen.realisations.writing import styles_of, write

__all__ = ["Call", "Interface", "Realisation", "Style", "styles_of", "write"]
