"""The subject of the checks: the file under test, its loaded module, and ways to build its network."""

import ast
import sys
import traceback
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import torch

from lrgen.data import Dataset
from lrgen.records import Candidate, Policy, VerifySettings
from lrgen.verify.static.imports import builtins_without, optional

_MODULE = "candidate"


class CheckFailure(Exception):
    """A failed check; the message is the reason, which people and models act on."""


class Prm(dict[str, Any]):
    """Hyperparameters that record which of them were read."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.read: set[str] = set()

    def __getitem__(self, key: str) -> Any:
        self.read.add(key)
        return super().__getitem__(key)

    def get(self, key: str, default: Any = None) -> Any:
        self.read.add(key)
        return super().get(key, default)

    def pop(self, key: str, *default: Any) -> Any:
        self.read.add(key)
        return super().pop(key, *default)


@dataclass
class Subject:
    """A file under test; the syntax check sets its ``tree``, the contract check its ``module``."""

    candidate: Candidate
    settings: VerifySettings
    dataset: Dataset | None = None
    tree: ast.Module | None = None
    module: ModuleType | None = None
    notes: dict[str, Any] = field(default_factory=dict)

    @property
    def device(self) -> torch.device:
        """The device that the file is checked on."""
        return torch.device(self.settings.device)

    @property
    def declared(self) -> list[str]:
        """The names that ``supported_hyperparameters`` returns, sorted."""
        assert self.module is not None
        return sorted(self.module.supported_hyperparameters())

    def load(self) -> ModuleType:
        """Execute the file as a module, from the source that was hashed and not from the disk.

        Under the policy ``lemur`` the packages that it can do without are missing.
        """
        path = str(self.candidate.path)
        module = ModuleType(_MODULE)
        module.__file__ = path
        sys.modules[_MODULE] = module
        if self.settings.policy is Policy.LEMUR and self.tree is not None:
            module.__dict__["__builtins__"] = builtins_without(optional(self.tree))
        exec(compile(self.candidate.source, path, "exec"), module.__dict__)
        self.module = module
        return module

    def prm(self, **values: Any) -> Prm:
        """The hyperparameters of a caller that passes LEMUR's three and the given ones."""
        return Prm({"lr": 0.01, "momentum": 0.9, "dropout": 0.2, **values})

    def network(self, prm: Prm, channels: int = 3, size: int = 32, classes: int = 10, batch: int = 2) -> Any:
        """Build a ``Net`` with a fixed seed."""
        assert self.module is not None
        torch.manual_seed(0)
        return self.module.Net((batch, channels, size, size), (classes,), prm, self.device).to(self.device)

    def where(self, error: BaseException) -> str:
        """`` (line 12)``: the last line of the file under test in the traceback of an error, or nothing."""
        path = str(self.candidate.path)
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == path]
        return f" (line {lines[-1]})" if lines else ""

    def explain(self, error: BaseException) -> str:
        """``ValueError: message (line 12)``: the error on one line of bounded length."""
        message = " ".join(str(error).split())[:300]
        return f"{type(error).__name__}{': ' if message else ''}{message}{self.where(error)}"


def global_state() -> dict[str, object]:
    """The global state of torch by name, without its random number generators."""
    return {
        "number of threads": torch.get_num_threads(),
        "default dtype": torch.get_default_dtype(),
        "grad mode": torch.is_grad_enabled(),
        "deterministic mode": torch.are_deterministic_algorithms_enabled(),
    }


def unload() -> None:
    """Remove the loaded file from ``sys.modules``."""
    sys.modules.pop(_MODULE, None)


def random_batches(count: int, size: int, channels: int, pixels: int, classes: int, device: torch.device) -> list[Any]:
    """Batches of random images with labels, from a fixed seed."""
    generator = torch.Generator().manual_seed(0)
    batches = []
    for index in range(count):
        images = torch.randn(size, channels, pixels, pixels, generator=generator)
        labels = (torch.arange(size) + index) % classes
        batches.append((images.to(device), labels.to(device)))
    return batches
