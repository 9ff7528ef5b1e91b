"""The catalogue of ``templates/``: families with their variants, and architectures with their recipes."""

from lrgen.catalogue.loader import FIRST_USER_NUMBER, SHIPPED, Catalogue, load, of

__all__ = ["FIRST_USER_NUMBER", "SHIPPED", "Catalogue", "load", "of"]
