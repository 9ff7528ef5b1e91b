"""What can be rendered: families with their variants, architectures with their recipes; read from ``templates/``."""

from lrgen.catalogue.loader import OWN_NUMBERS, SHIPPED, Catalogue, load, of

__all__ = ["OWN_NUMBERS", "SHIPPED", "Catalogue", "load", "of"]
