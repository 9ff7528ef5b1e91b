"""The catalogue and the renderer of the current configuration, cached until a template changes."""

import functools
from pathlib import Path
from typing import TYPE_CHECKING

from lrgen import catalogue as catalogues
from lrgen import config
from lrgen.catalogue import Catalogue
from lrgen.config import Settings

if TYPE_CHECKING:
    from lrgen.render.renderer import Renderer


def catalogue(settings: Settings | None = None) -> Catalogue:
    """Return the catalogue of the configuration; it is read again after a change of templates or configuration.

    Raises:
        CatalogueError: if a template or catalogue file is invalid.
        ConfigError: if the configuration cannot be read.
    """
    return _catalogue(*_key(settings or config.load()))


def renderer() -> "Renderer":
    """Return the renderer of this catalogue, which caches formatted fragments."""
    return _renderer(*_key(config.load()))


@functools.lru_cache(maxsize=1)
def _catalogue(templates: tuple[Path, ...], hugging_face: bool, stamp: int) -> Catalogue:
    return catalogues.of(Settings(templates=templates, enable_huggingface_schedulers=hugging_face))


@functools.lru_cache(maxsize=1)
def _renderer(templates: tuple[Path, ...], hugging_face: bool, stamp: int) -> "Renderer":
    from lrgen.render.renderer import Renderer

    return Renderer(_catalogue(templates, hugging_face, stamp))


def _key(settings: Settings) -> tuple[tuple[Path, ...], bool, int]:
    """The values that determine the catalogue; the last is a hash of the templates' paths and modification times."""
    templates = tuple(Path(folder).absolute() for folder in settings.templates)
    files = (path for folder in (catalogues.SHIPPED, *templates) for path in folder.rglob("*"))
    stamps = frozenset((path, path.stat().st_mtime_ns) for path in files if path.suffix in (".toml", ".jinja"))
    return templates, settings.enable_huggingface_schedulers, hash(stamps)
