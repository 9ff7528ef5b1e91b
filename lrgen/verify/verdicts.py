"""What a verdict depends on, so that it is looked up and never computed twice; the results database is the one cache.

A verdict is keyed by content: the file's sha256, the claim (the variant with its numbers, and the ``curves.py`` of a
user's own family), the file's ``prm`` and budget, the settings, the version of the checks, torch and the kind of device
(store.Store.reusable). Verification, the mutants of a dataset and the grading of completions all ask it through
``run.verify``; those that need no results database of their own keep one in a folder (``cache_in``).
"""

import hashlib
import json
from dataclasses import asdict
from importlib import metadata
from pathlib import Path

from lrgen.records import VerifySettings
from lrgen.store import Conditions, Store
from lrgen.version import __version__

PACKAGE = Path(__file__).resolve().parent.parent
# The code that decides how a file ends, and what it imports: a change of it makes every verdict one of other checks.
DECIDES = ("verify/**/*.py", "curves/*.py", "data/*.py", "records.py", "errors.py", "old_names.py")
_CACHE = "verdicts.db"


def cache_in(folder: Path) -> Store:
    """A cache of verdicts in a folder, made when the first is recorded; to be closed by who asked for it."""
    return Store(f"sqlite:///{folder / _CACHE}")


def conditions_of(settings: VerifySettings) -> Conditions:
    """Everything besides the files and their claims that decides how they end."""
    return Conditions(
        settings=json.dumps(asdict(settings), sort_keys=True),
        check_version=check_version(),
        torch=metadata.version("torch"),
        device=settings.device.split(":")[0],
        dataset=settings.dataset,
        seed=settings.seed,
        lrgen=__version__,
    )


def check_version() -> str:
    """A digest of the code that decides: the checks, the curves, the data and what runs them."""
    digest = hashlib.sha256()
    for path in deciding_files():
        digest.update(path.relative_to(PACKAGE).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def deciding_files() -> list[Path]:
    """The files of lrgen of which ``check_version`` is the digest."""
    return sorted(path for pattern in DECIDES for path in PACKAGE.glob(pattern))
