"""The exceptions of lrgen; a message names the argument, the value and the place."""

import reprlib
from collections.abc import Iterable
from difflib import get_close_matches


def first_line(error: object) -> str:
    """Return the first line of an error's message that is not empty, or the name of its type."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


_REPR = reprlib.Repr()  # of a value that may be as long and as nested as its author likes
_REPR.maxstring = _REPR.maxother = _REPR.maxlong = 80


def shown(value: object) -> str:
    """Return a value as a message shows it: its Python literal, cut off where it is long or nested."""
    try:
        return _REPR.repr(value)
    except ValueError:  # Python writes no whole number of more than 4,300 digits
        return "a number of thousands of digits"


class LrgenError(Exception):
    """The base class of lrgen's errors; the command line prints the message and exits with 2."""


class CatalogueError(LrgenError):
    """A file under ``templates/`` is invalid; the message names the file, the key and the value."""


class UnknownNameError(LrgenError):
    """A model, variant, family, dataset or stage does not exist; the message suggests similar names."""

    def __init__(self, kind: str, value: object, known: Iterable[object]) -> None:
        names = [str(name) for name in known]
        folded = {name.casefold(): name for name in names}
        close = get_close_matches(str(value).casefold(), folded, n=3, cutoff=0.5)
        if close:
            hint = f"did you mean {' or '.join(folded[name] for name in close)}?"
        elif names:
            hint = f"known: {', '.join(names[:8])}{', …' if len(names) > 8 else ''}"
        else:
            hint = "there are none"
        super().__init__(f"unknown {kind} {shown(str(value))}: {hint}")


class ParameterError(LrgenError, ValueError):
    """A horizon, a step or a hyperparameter is out of its range; the message names it, its value and the variant."""


class StyleError(LrgenError):
    """A style cannot express a composition; the message names both and the reason."""


class ConfigError(LrgenError):
    """A value in lrgen.toml, in the environment or in a flag cannot be used."""


class OutputError(LrgenError):
    """A file cannot be read or written."""


class EditedFileError(OutputError):
    """A rendered file was changed by hand and would be overwritten."""


class StaleFileError(OutputError):
    """A rendered file on disk differs from what the catalogue renders."""


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


class ScoreError(LrgenError):
    """Completions cannot be read or scored, or results cannot be resumed or compared; the message names the place."""


class IsolationError(LrgenError):
    """This machine offers no sandbox, or a child process cannot enter it."""


class EngineError(LrgenError):
    """The engine is not installed, or has no resources for the files."""
