"""The key of a cached verdict: the conditions under which a file ends the same way again.

The results database is the only cache. Its key consists of the file's sha256, the claim (the variant with its numbers,
and the ``curves.py`` of a user's own family), the file's ``prm`` and budget, the settings, the version of the checks,
the version of torch and the kind of device (store.Store.reusable). Verification, the mutants of a dataset and the
grading of completions use the cache through ``run.verify``. Callers without a results database keep one in a folder
(``cache_in``).
"""

import hashlib
import json
from dataclasses import asdict
from importlib import metadata
from pathlib import Path

from lrgen.records import Stage, VerifySettings
from lrgen.store import Conditions, Store
from lrgen.version import __version__

PACKAGE = Path(__file__).resolve().parent.parent
# The code that decides the outcome of a file. A change of this code invalidates every cached verdict.
DECIDES = (
    *("verify/**/*.py", "curves/**/*.py", "catalogue/*.py", "data/*.py"),
    *("limited.py", "records/*.py", "errors.py", "old_names.py", "realisations/**/*.py", "source/*.py"),
)
_CACHE = "verdicts.db"


def cache_in(folder: Path) -> Store:
    """A cache of verdicts in a folder, created with the first verdict; the caller closes it."""
    return Store(f"sqlite:///{folder / _CACHE}")


def conditions_of(settings: VerifySettings) -> Conditions:
    """The conditions of a verdict other than the file and its claim."""
    return Conditions(
        settings=json.dumps(asdict(settings), sort_keys=True),
        check_version=check_version(),
        torch=metadata.version("torch"),
        device=settings.device.split(":")[0],
        dataset=settings.dataset,
        seed=settings.seed,
        lrgen=__version__,
    )


def conditions_of_parts(settings: VerifySettings) -> Conditions:
    """The conditions of evidence on parts, which does not depend on the training check."""
    return conditions_of(VerifySettings(stage=Stage.SCHEDULE, policy=settings.policy, device=settings.device))


def check_version() -> str:
    """A digest of the code that decides the outcome of a file (``DECIDES``)."""
    digest = hashlib.sha256()
    for path in deciding_files():
        digest.update(path.relative_to(PACKAGE).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def deciding_files() -> list[Path]:
    """The files of lrgen that ``check_version`` hashes."""
    return sorted(path for pattern in DECIDES for path in PACKAGE.glob(pattern))
