"""Writing a composition in a style."""

import random

from lrgen.curves.compositions import Composition
from lrgen.errors import StyleError
from lrgen.realisations.choices import Choices
from lrgen.realisations.layout import fits
from lrgen.realisations.realisation import Realisation, Style
from lrgen.realisations.styles import STYLES

_ATTEMPTS = 6


def write(composition: Composition, style: Style, chance: random.Random) -> Realisation:
    """The composition in code.

    The names, the numbers and the form of the code are drawn from ``chance``; two compositions that are written in one
    style with equal chances are written in the same wording.

    Raises:
        StyleError: when the style cannot express the composition exactly; the message says which phase, and why.
    """
    module = STYLES[style]
    module.check(composition)
    choices = Choices(chance.getrandbits(64))
    for attempt in range(_ATTEMPTS):
        realisation: Realisation = module.write(
            composition, choices.other(f"attempt {attempt}") if attempt else choices
        )
        if fits(realisation.code):
            return realisation
    return realisation


def styles_of(composition: Composition) -> tuple[Style, ...]:
    """The styles that express the composition exactly."""
    return tuple(style for style in STYLES if _expresses(style, composition))


def _expresses(style: Style, composition: Composition) -> bool:
    try:
        STYLES[style].check(composition)
    except StyleError:
        return False
    return True
