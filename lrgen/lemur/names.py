"""LEMUR: what our files are called there, and the rows of its own database."""

import hashlib
import importlib
import re
from collections.abc import Collection
from typing import Any

from lrgen import old_names
from lrgen.errors import LrgenError

ACCURACY = "acc"  # what LEMUR calls the metric
_OURS = re.compile(r"([A-Za-z][A-Za-z0-9-]*)-(A0-\d{3,})")


def name_of(model_name: str, scheduler_type: str, sha256: str) -> str:
    """A file's name in LEMUR, which splits its names at the underscores: ``ResNet-A0-001``; of a foreign file its stem
    and eight digits of its sha256.
    """
    last = sha256[:8] if scheduler_type.startswith("file-") else scheduler_type
    return f"{model_name}-{last}".replace("_", "-")


def key_of(name: str, sha256: str) -> tuple[str, str]:
    """The (model_name, scheduler_type) of a name in LEMUR; of one that is not ours the name itself and ``file-`` with
    eight digits of its code's sha256.
    """
    ours = _OURS.fullmatch(name)
    if ours is None:
        return name, f"file-{sha256[:8]}"
    return ours[1].replace("-", "_"), ours[2].replace("-", "_")


def lemur_rows(
    epoch_max: int | None = None,
    models: Collection[str] | None = None,
    dataset: str | None = None,
    task: str | None = None,
    metric: str = "accuracy",
) -> list[dict[str, Any]]:
    """The best epoch up to ``epoch_max`` of each network in LEMUR's database, best first; of networks with the same
    code, on one dataset, the best.

    ``models`` are names of LEMUR or of our architectures. Without a database in the current folder LEMUR's client
    downloads one.

    Raises:
        LrgenError: when the client is not installed.
    """
    name = ACCURACY if metric == "accuracy" else metric
    found: list[dict[str, Any]] = []
    seen: set[tuple[str, ...]] = set()
    for row in sorted(_api().data(task=task, dataset=dataset, metric=name).to_dict("records"), key=_best_first):
        if epoch_max is not None and row["epoch"] > epoch_max:
            continue
        sha256 = hashlib.sha256(row["nn_code"].encode()).hexdigest()
        model_name, scheduler_type = key_of(row["nn"], sha256)
        if models is not None and not {row["nn"], model_name} & set(models):
            continue
        where = (row["dataset"], row["task"])
        same = {(sha256, *where), (row["nn"], *where)}
        if seen.isdisjoint(same):
            found.append(
                {
                    "model_name": model_name,
                    "scheduler_type": "" if model_name == row["nn"] else scheduler_type,
                    "dataset": row["dataset"],
                    "task": row["task"],
                    "epoch": row["epoch"],
                    "accuracy": row["accuracy"] if name == ACCURACY else None,
                    "loss": None,
                    "metric_value": row["accuracy"],
                    "hyperparameters": old_names.translated(scheduler_type, row["prm"]),
                    "source_sha256": sha256,
                    "path": None,
                    "status": "lemur",
                }
            )
        seen |= same
    return found


def _best_first(row: dict[str, Any]) -> tuple[float, int, str]:
    return -row["accuracy"], row["epoch"], row["nn"]


def _api() -> Any:
    try:
        return importlib.import_module("ab.nn.api")
    except ModuleNotFoundError as error:
        if not "ab.nn.api".startswith(str(error.name)):
            raise
        raise LrgenError("LEMUR's database needs the package nn-dataset: pip install nn-dataset") from error
