"""The exception tree: each error names the argument, the value and the place."""

from collections.abc import Iterable
from difflib import get_close_matches


def first_line(error: object) -> str:
    """The first line of an error's message, or its type if it has no message."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


class LrgenError(Exception):
    """The base class of all errors; the command line prints one as one sentence and exits with 2."""


class CatalogueError(LrgenError):
    """A file under ``templates/`` is broken: names the file, the key and the value."""


class UnknownNameError(LrgenError):
    """A model, variant, family, dataset, device or stage that does not exist."""

    def __init__(self, kind: str, value: object, known: Iterable[object]) -> None:
        names = [str(name) for name in known]
        folded = {name.casefold(): name for name in names}
        close = get_close_matches(str(value).casefold(), folded, n=3, cutoff=0.5)
        if close:
            hint = f"did you mean {' or '.join(folded[name] for name in close)}?"
        elif names:
            hint = f"known: {', '.join(names[:8])}{', …' if len(names) > 8 else ''}"
        else:
            hint = "there is none"
        super().__init__(f"unknown {kind} '{value}': {hint}")


class ParameterError(LrgenError, ValueError):
    """A horizon, a step or a hyperparameter is out of its range: names it, its value and the variant."""


class ConfigError(LrgenError):
    """A value in lrgen.toml, in the environment or in a flag cannot be used."""


class OutputError(LrgenError):
    """A file cannot be written or read."""


class EditedFileError(OutputError):
    """A rendered file was changed by hand and would be overwritten."""


class StaleFileError(OutputError):
    """A rendered file on disk is not what the catalogue renders today."""


class DataError(LrgenError):
    """A dataset is missing or damaged."""


class DeviceError(LrgenError):
    """The requested device cannot be used on this machine."""


class StoreError(LrgenError):
    """The results database cannot be opened, read or written."""


class NoResultError(LrgenError):
    """The requested result was never measured."""


class CorpusError(LrgenError):
    """A file of the corpus is missing, or did not pass the checks that a dataset requires."""


class DatasetError(LrgenError):
    """A dataset cannot be built as requested, or a published one contradicts its manifest."""


class IsolationError(LrgenError):
    """No sandbox can be made on this machine, or a child could not lock itself in."""


class EngineError(LrgenError):
    """The engine that runs the files is missing, or has no resources to run them on."""
