"""The packages that a file may import while it runs: the standard library, torch, and what torch itself needs.

LEMUR has no others. The text of a file shows what it imports at the top (checks.source); here it cannot import anything
else later.
"""

import sys
from collections.abc import Sequence
from types import ModuleType

# Packages that torch and torchvision import when they are first needed.
_OF_TORCH = """
torch torchvision torchgen functorch triton nvidia numpy PIL sympy mpmath networkx jinja2 markupsafe fsspec filelock
typing_extensions packaging setuptools _distutils_hack jaraco
more_itertools backports platformdirs importlib_metadata zipp wheel tomli autocommand
"""


class OtherPackages:
    """A finder that finds no package but those that were imported before, and those of torch."""

    def __init__(self) -> None:
        loaded = {name.partition(".")[0] for name in sys.modules}
        self._known = {*sys.stdlib_module_names, *loaded, *_OF_TORCH.split()}

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> None:
        """Raise ModuleNotFoundError for any other package; leave these to the other finders.

        Raises:
            ModuleNotFoundError: as for a package that is not installed.
        """
        if name.partition(".")[0] not in self._known:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def hide_others() -> None:
    """Hide all other packages from this process."""
    sys.meta_path.insert(0, OtherPackages())
