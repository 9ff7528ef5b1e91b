"""Architectures from Python."""

from lrgen import config
from lrgen.api import current


def get_active_model() -> str:
    """The architecture that commands work on when none is named.

    It stands in lrgen.toml (``active_model``), or in the environment as ``LRGEN_ACTIVE_MODEL``.

    Raises:
        ConfigError: when the configuration cannot be read.
        UnknownNameError: when there is no such architecture.
    """
    settings = config.load()
    return current.catalogue(settings).architecture(settings.active_model).name


def set_active_model(model_name: str) -> bool:
    """Make an architecture the active one, in the nearest lrgen.toml or a new one in the current folder.

    Returns:
        True: what cannot be set raises.

    Raises:
        UnknownNameError: when there is no such architecture; the file stays as it was.
        ConfigError, OutputError: when lrgen.toml cannot be read or written.
    """
    config.keep("active_model", current.catalogue().architecture(model_name).name)
    return True
