"""Names of lrgen's files in LEMUR, and queries of LEMUR's own database."""

import hashlib
import importlib
import re
from collections.abc import Collection
from typing import Any

from lrgen import old_names
from lrgen.errors import LrgenError

ACCURACY = "acc"  # LEMUR's name of the metric
_NAME = re.compile(r"([A-Za-z][A-Za-z0-9-]*)-(A0-\d{3,})")


def name_of(model_name: str, scheduler_type: str, sha256: str) -> str:
    """Return the name of a file in LEMUR, such as ``ResNet-A0-001``.

    A file from elsewhere is named by its stem and the first eight digits of its sha256. A name has no underscore,
    because LEMUR splits the names of its folders there.
    """
    suffix = sha256[:8] if scheduler_type.startswith("file-") else scheduler_type
    return f"{model_name}-{suffix}".replace("_", "-")


def key_of(name: str, sha256: str) -> tuple[str, str]:
    """Return the (model_name, scheduler_type) of a name in LEMUR.

    A name that lrgen did not give is the model name itself; its scheduler type is ``file-`` and the first eight digits
    of the code's sha256.
    """
    match = _NAME.fullmatch(name)
    if match is None:
        return name, f"file-{sha256[:8]}"
    return match[1].replace("-", "_"), match[2].replace("-", "_")


def lemur_rows(
    epoch_max: int | None = None,
    models: Collection[str] | None = None,
    dataset: str | None = None,
    task: str | None = None,
    metric: str = "accuracy",
) -> list[dict[str, Any]]:
    """Return the best epoch up to ``epoch_max`` of each network in LEMUR's database, best first.

    Of several networks with the same code, only the best on each dataset is returned. ``models`` are LEMUR's names of
    networks or lrgen's names of architectures. When the current folder has no database, LEMUR's client downloads one.

    Raises:
        LrgenError: when LEMUR's client is not installed.
    """
    metric_name = ACCURACY if metric == "accuracy" else metric
    best: list[dict[str, Any]] = []
    seen: set[tuple[str, ...]] = set()
    for row in sorted(_api().data(task=task, dataset=dataset, metric=metric_name).to_dict("records"), key=_best_first):
        if epoch_max is not None and row["epoch"] > epoch_max:
            continue
        sha256 = hashlib.sha256(row["nn_code"].encode()).hexdigest()
        model_name, scheduler_type = key_of(row["nn"], sha256)
        if models is not None and not {row["nn"], model_name} & set(models):
            continue
        setting = (row["dataset"], row["task"])
        identities = {(sha256, *setting), (row["nn"], *setting)}
        if seen.isdisjoint(identities):
            best.append(
                {
                    "model_name": model_name,
                    "scheduler_type": "" if model_name == row["nn"] else scheduler_type,
                    "dataset": row["dataset"],
                    "task": row["task"],
                    "epoch": row["epoch"],
                    "accuracy": row["accuracy"] if metric_name == ACCURACY else None,
                    "loss": None,
                    "metric_value": row["accuracy"],
                    "hyperparameters": old_names.translated(scheduler_type, row["prm"]),
                    "source_sha256": sha256,
                    "path": None,
                    "status": "lemur",
                }
            )
        seen |= identities
    return best


def _best_first(row: dict[str, Any]) -> tuple[float, int, str]:
    return -row["accuracy"], row["epoch"], row["nn"]


def _api() -> Any:
    try:
        return importlib.import_module("ab.nn.api")
    except ModuleNotFoundError as error:
        if not "ab.nn.api".startswith(str(error.name)):
            raise
        raise LrgenError("LEMUR's database needs the package nn-dataset: pip install nn-dataset") from error
