"""The exception tree: each error names the argument, the value and the place."""

from collections.abc import Iterable
from difflib import get_close_matches


def first_line(error: object) -> str:
    """The first line of what an error says, or its type when it says nothing."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


class LrgenError(Exception):
    """Anything that lrgen refuses to do; the command line prints it as one sentence and exits with 2."""


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
    """A horizon, a step or a hyperparameter that a curve cannot be computed for; names it, its value, the variant."""


class ConfigError(LrgenError):
    """A value in lrgen.toml, in the environment or in a flag cannot be used."""


class OutputError(LrgenError):
    """A file cannot be written or read where it was asked for."""


class EditedFileError(OutputError):
    """A rendered file was changed by hand and would be overwritten."""


class StaleFileError(OutputError):
    """A rendered file on disk is not what the catalogue renders today."""


class DataError(LrgenError):
    """A dataset is missing or is not what it should be."""


class DeviceError(LrgenError):
    """The device that was asked for is not usable on this machine."""


class StoreError(LrgenError):
    """The results database cannot be opened, read or written."""


class NoResultError(LrgenError):
    """A result was asked for that was never measured."""


class CorpusError(LrgenError):
    """A file that a dataset was to be made of is not there, or did not pass what was asked of it."""


class DatasetError(LrgenError):
    """A dataset cannot be built as it was asked for, or a published one is not what it says."""


class IsolationError(LrgenError):
    """No sandbox can be made on this machine, or a child could not lock itself in."""


class EngineError(LrgenError):
    """What was to run the files is not there, or has nothing to run them on."""
