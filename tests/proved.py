"""Files as they come out of a database that has verified them."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from lrgen.catalogue import Catalogue
from lrgen.finetune.corpus import Level, ProvedFile
from lrgen.finetune.example import Material
from lrgen.records import Architecture, Variant
from lrgen.render.renderer import Renderer


def proved(architecture: Architecture, variant: Variant, source: str) -> ProvedFile:
    """A file with some text, verified in the run of its number."""
    sha256 = hashlib.sha256(source.encode()).hexdigest()
    path = Path(architecture.name) / f"{variant.key}.py"
    return ProvedFile(architecture, variant, source, sha256, path, variant.number, Level.SCHEDULE, None, None)


def material_of(catalogue: Catalogue, model: str, numbers: Iterable[int], seed: int = 0) -> Material:
    """The rendered files of a network and some schedules."""
    renderer, architecture = Renderer(catalogue), catalogue.architecture(model)
    variants = [catalogue.variant(number) for number in numbers]
    files = [proved(architecture, one, renderer.render(architecture, one).text) for one in variants]
    return Material(catalogue, files, seed)
