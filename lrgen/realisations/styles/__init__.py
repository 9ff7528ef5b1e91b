"""The styles, one module each."""

from types import ModuleType

from lrgen.realisations.realisation import Style
from lrgen.realisations.styles import function, lambda_, lightning, loop, sequential, subclass, table, transformers

STYLES: dict[Style, ModuleType] = {
    Style.LAMBDA: lambda_,
    Style.SEQUENTIAL: sequential,
    Style.SUBCLASS: subclass,
    Style.FUNCTION: function,
    Style.TABLE: table,
    Style.TRANSFORMERS: transformers,
    Style.LIGHTNING: lightning,
    Style.LOOP: loop,
}
