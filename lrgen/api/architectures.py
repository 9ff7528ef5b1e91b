"""Architectures of the catalogue: lookups, facts and code, and the active model."""

from dataclasses import dataclass

from lrgen import config
from lrgen.api import current
from lrgen.records import Architecture


@dataclass(frozen=True, repr=False)
class ArchitectureEntry:
    """An architecture of the catalogue, as returned by ``get_architecture``."""

    architecture: Architecture

    def __repr__(self) -> str:
        return f"<architecture {self.name}>"

    @property
    def name(self) -> str:
        """The name, which never changes."""
        return self.architecture.name

    @property
    def summary(self) -> str:
        """A description in a few sentences."""
        return self.architecture.summary

    @property
    def paper(self) -> str:
        """The paper that introduced the architecture."""
        return self.architecture.paper

    @property
    def reference(self) -> str:
        """The implementation that the network equals, or the text that it follows."""
        return self.architecture.reference

    @property
    def parameters(self) -> int:
        """The number of parameters at the input size and the number of classes of the reference."""
        return self.architecture.parameters

    @property
    def smallest_input(self) -> int:
        """The minimum height and width of an image, in pixels."""
        return self.architecture.smallest_input

    def code(self) -> str:
        """Return the source code of the network with its imports, without the training methods.

        Example:
            >>> source = lrgen.get_architecture("ResNet18").code()
            >>> "class BasicBlock(nn.Module):" in source
            True
        """
        return current.renderer().network(self.architecture)


def get_architecture(model: str) -> ArchitectureEntry:
    """Return an architecture of the catalogue with its paper, reference and code.

    Args:
        model: the name of the architecture, as in ``list_architectures()``.

    Raises:
        UnknownNameError: if there is no such architecture; the message suggests similar names.

    Example:
        >>> resnet = lrgen.get_architecture("ResNet18")
        >>> resnet.parameters
        11689512
        >>> resnet.paper
        'https://arxiv.org/abs/1512.03385'
    """
    return ArchitectureEntry(current.catalogue().architecture(model))


def list_architectures() -> list[str]:
    """Return the names of all architectures in alphabetical order.

    Example:
        >>> len(lrgen.list_architectures())
        38
        >>> lrgen.list_architectures()[:3]
        ['AirNet', 'AirNext', 'AlexNet']
    """
    return sorted((architecture.name for architecture in current.catalogue().architectures), key=str.lower)


def get_active_model() -> str:
    """Return the name of the active model, the architecture on which commands without a model work.

    It is ``active_model`` of lrgen.toml, or ``LRGEN_ACTIVE_MODEL`` of the environment.

    Raises:
        ConfigError: if the configuration cannot be read.
        UnknownNameError: if there is no such architecture.
    """
    settings = config.load()
    return current.catalogue(settings).architecture(settings.active_model).name


def set_active_model(model_name: str) -> bool:
    """Make an architecture the active model, in the nearest lrgen.toml or in a new one in the current folder.

    Returns:
        True. A failure raises an error.

    Raises:
        UnknownNameError: if there is no such architecture; lrgen.toml is not changed.
        ConfigError, OutputError: if lrgen.toml cannot be read or written.
    """
    config.write_setting("active_model", current.catalogue().architecture(model_name).name)
    return True
