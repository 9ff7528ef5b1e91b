"""The catalogue and the renderer of the current configuration, kept until a template changes."""

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
    """The catalogue that the configuration describes; read again only when a template or the configuration changes.

    Raises:
        CatalogueError: for anything that is wrong with the templates.
        ConfigError: when the configuration cannot be read.
    """
    return _catalogue(*_key(settings or config.load()))


def renderer() -> "Renderer":
    """The renderer of that catalogue, with the fragments that it has formatted."""
    return _renderer(*_key(config.load()))


@functools.lru_cache(maxsize=1)
def _catalogue(templates: tuple[Path, ...], hugging_face: bool, stamp: int) -> Catalogue:
    return catalogues.of(Settings(templates=templates, enable_huggingface_schedulers=hugging_face))


@functools.lru_cache(maxsize=1)
def _renderer(templates: tuple[Path, ...], hugging_face: bool, stamp: int) -> "Renderer":
    from lrgen.render.renderer import Renderer

    return Renderer(_catalogue(templates, hugging_face, stamp))


def _key(settings: Settings) -> tuple[tuple[Path, ...], bool, int]:
    """The arguments that determine the catalogue; the last changes when a template is added, removed or written."""
    templates = tuple(Path(folder).absolute() for folder in settings.templates)
    files = (path for folder in (catalogues.SHIPPED, *templates) for path in folder.rglob("*"))
    stamps = frozenset((path, path.stat().st_mtime_ns) for path in files if path.suffix in (".toml", ".jinja"))
    return templates, settings.enable_huggingface_schedulers, hash(stamps)
