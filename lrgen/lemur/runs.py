"""Runs that may be published: epochs that lrgen evaluated, each with exactly the code that was measured."""

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

from lrgen import old_names
from lrgen.lemur.names import name_of
from lrgen.records import Training
from lrgen.store import StoredRow

_QUOTED = re.compile(rb"""["'](\w+)["']""")


@dataclass(frozen=True)
class MeasuredRun:
    """The newest run of a file on a dataset: its code, and a row of the store for each of its epochs.

    ``name`` is the file's name in LEMUR. ``prm`` holds the hyperparameters of the training, sorted by name.
    """

    name: str
    model_name: str
    scheduler_type: str
    task: str
    dataset: str
    code: bytes
    prm: dict[str, Any]
    epoch_max: int
    epochs: tuple[StoredRow, ...]


class Reason(StrEnum):
    """The reason why a run is not published."""

    OVERFIT = "only overfit a few images"
    OTHER_CODE = "the code that was measured no longer exists"


@dataclass(frozen=True)
class LeftOut:
    """A run that is not published."""

    model_name: str
    scheduler_type: str
    dataset: str
    reason: Reason


def collect(rows: Iterable[StoredRow], files: Path) -> tuple[list[MeasuredRun], list[LeftOut]]:
    """Return the runs that may be published, and those that may not, from the rows of ``Store.epochs(checked=True)``.

    The code is read from the path where it was verified, or else from ``files``, the folder of rendered files. Of two
    versions of a file, the one of the newer run is published. Hyperparameters have the names that the code reads, which
    are the old names in a file of an earlier version.
    """
    measured: list[MeasuredRun] = []
    left_out: list[LeftOut] = []
    published: dict[str, bytes] = {}
    newest_first = sorted(rows, key=lambda row: -row["run_id"])
    for _, group in groupby(newest_first, key=itemgetter("run_id")):
        epochs = tuple(group)
        first = epochs[0]
        key = (first["model_name"], first["scheduler_type"])
        name = name_of(*key, first["source_sha256"])
        if first["training"] == Training.OVERFIT:
            left_out.append(LeftOut(*key, first["dataset"], Reason.OVERFIT))
            continue
        code = _code(first, files)
        if code is None or published.setdefault(name, code) != code:
            left_out.append(LeftOut(*key, first["dataset"], Reason.OTHER_CODE))
            continue
        settings = json.loads(json.loads(first["settings"])["settings"])
        renamed = old_names.as_read(key[1], first["hyperparameters"], set(_QUOTED.findall(code)))
        prm = renamed | {"batch": settings["batch_size"]}
        prm = {name: prm[name] for name in sorted(prm)}
        measured.append(MeasuredRun(name, *key, first["task"], first["dataset"], code, prm, settings["epochs"], epochs))
    measured.sort(key=lambda run: (run.name, run.dataset))
    return measured, left_out


def _code(row: StoredRow, files: Path) -> bytes | None:
    """Return the code of a run, byte for byte; None when it no longer exists."""
    for path in (Path(row["path"]), files / row["model_name"] / f"{row['scheduler_type']}.py"):
        try:
            code = path.read_bytes()
        except OSError:
            continue
        if hashlib.sha256(code).hexdigest() == row["source_sha256"]:
            return code
    return None
