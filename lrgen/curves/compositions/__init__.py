"""Compositions: schedules of phases, drawn without end, with their curves."""

from lrgen.curves.compositions.composition import Composition
from lrgen.curves.compositions.drawing import draw
from lrgen.curves.compositions.phases import Phase, Shape

__all__ = ["Composition", "Phase", "Shape", "draw"]
