"""Architectures from Python."""

from dataclasses import dataclass

from lrgen import config
from lrgen.api import current
from lrgen.records import Architecture


@dataclass(frozen=True, repr=False)
class ArchitectureEntry:
    """An architecture of the catalogue, by ``get_architecture``."""

    architecture: Architecture

    def __repr__(self) -> str:
        return f"<architecture {self.name}>"

    @property
    def name(self) -> str:
        """Its name, which never changes."""
        return self.architecture.name

    @property
    def summary(self) -> str:
        """A description in a few sentences."""
        return self.architecture.summary

    @property
    def paper(self) -> str:
        """The paper that introduced it."""
        return self.architecture.paper

    @property
    def reference(self) -> str:
        """The implementation that it is equal to, or the text that it follows."""
        return self.architecture.reference

    @property
    def parameters(self) -> int:
        """Number of parameters at the reference's input size and number of classes."""
        return self.architecture.parameters

    @property
    def smallest_input(self) -> int:
        """The fewest pixels a side that it accepts."""
        return self.architecture.smallest_input

    def code(self) -> str:
        """The source code of the network with its imports, without the methods that train it.

        Example:
            >>> source = lrgen.get_architecture("ResNet18").code()
            >>> "class BasicBlock(nn.Module):" in source
            True
        """
        return current.renderer().network(self.architecture)


def get_architecture(model: str) -> ArchitectureEntry:
    """An architecture of the catalogue, with its paper, its reference and its code.

    Raises:
        UnknownNameError: if there is no such architecture; the message suggests near ones.

    Example:
        >>> resnet = lrgen.get_architecture("ResNet18")
        >>> resnet.parameters
        11689512
        >>> resnet.paper
        'https://arxiv.org/abs/1512.03385'
    """
    return ArchitectureEntry(current.catalogue().architecture(model))


def list_architectures() -> list[str]:
    """The names of the catalogue's architectures, in alphabetical order.

    Example:
        >>> len(lrgen.list_architectures())
        38
        >>> lrgen.list_architectures()[:3]
        ['AirNet', 'AirNext', 'AlexNet']
    """
    return sorted((architecture.name for architecture in current.catalogue().architectures), key=str.lower)


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
