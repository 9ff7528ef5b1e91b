"""What may be published: the epochs that lrgen evaluated, each with the very code that they were measured with."""

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

Row = dict[str, Any]

_QUOTED = re.compile(rb"""["'](\w+)["']""")


@dataclass(frozen=True)
class Measured:
    """The newest run of a file on a dataset: its code, and a row of the store for each of its epochs.

    ``name`` is the file's name outside. ``prm`` is what the file was trained with; its order is that of the names.
    """

    name: str
    model_name: str
    scheduler_type: str
    task: str
    dataset: str
    code: bytes
    prm: dict[str, Any]
    epoch_max: int
    epochs: tuple[Row, ...]


class Reason(StrEnum):
    """Why a run is not published."""

    OVERFIT = "only overfit a few images"
    OTHER_CODE = "the code that was measured is not there"


@dataclass(frozen=True)
class LeftOut:
    """A run that is not published."""

    model_name: str
    scheduler_type: str
    dataset: str
    reason: Reason


def collect(rows: Iterable[Row], files: Path) -> tuple[list[Measured], list[LeftOut]]:
    """What of the store's epochs (Store.epochs, of checked runs) may be published, and what may not.

    The code is looked for where it was verified, and under the folder of the rendered ``files``; of two versions of a
    file the newer run's is published. Code of an earlier version keeps the hyperparameters that it reads, under the
    names that they had.
    """
    measured: list[Measured] = []
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
        read = old_names.as_read(key[1], first["hyperparameters"], set(_QUOTED.findall(code)))
        prm = read | {"batch": settings["batch_size"]}
        prm = {name: prm[name] for name in sorted(prm)}
        measured.append(Measured(name, *key, first["task"], first["dataset"], code, prm, settings["epochs"], epochs))
    measured.sort(key=lambda run: (run.name, run.dataset))
    return measured, left_out


def _code(row: Row, files: Path) -> bytes | None:
    """The code of a run, byte by byte; None when it is not there any more."""
    for path in (Path(row["path"]), files / row["model_name"] / f"{row['scheduler_type']}.py"):
        try:
            code = path.read_bytes()
        except OSError:
            continue
        if hashlib.sha256(code).hexdigest() == row["source_sha256"]:
            return code
    return None
