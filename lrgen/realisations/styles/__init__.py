"""The styles, one module each."""

from types import ModuleType

from lrgen.realisations.realisation import Style
from lrgen.realisations.styles import function, lambda_, subclass

STYLES: dict[Style, ModuleType] = {
    Style.LAMBDA: lambda_,
    Style.SUBCLASS: subclass,
    Style.FUNCTION: function,
}
