"""Translation of the values that earlier versions of lrgen wrote to databases and exports.

The migrations translate stored rows, and ``db import`` translates the rows of an old export. No other module has the
old values; ``old_names`` has the old names of hyperparameters and variants.
"""

import json
from collections.abc import Mapping
from typing import Any

from lrgen import old_names

TRAININGS = {"memorised": "overfit"}
# Columns that the exports of earlier versions do not have.
ADDED = {"case_seed", "evidence", "claimed_model", "architecture", "diagnosis"}

_STAGES = ("syntax", "contract", "schedule", "training")
_NEED_A_CLAIM = ("schedule", "training")


def run(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row of ``lrgen_runs`` with current values; a current row stays unchanged.

    The old status ``unproven`` meant files without a claim and files that ``--stage`` checked in part; the settings
    distinguish them.
    """
    new = dict(row)
    if row["status"] == "proved":
        new |= {"status": "verified", "stage": "training"}
    elif row["status"] == "unproven":
        stage = _stage_of(row["settings"])
        unclaimed = row["variant"] is None and stage in _NEED_A_CLAIM
        new |= {"status": "unclaimed"} if unclaimed else {"status": "passed", "reason": ""}
        new["stage"] = stage
    elif row["status"] == "crashed" and row["stage"] is None:  # lost before the first check
        new["stage"] = "syntax"
    if row.get("variant_name") in old_names.VARIANTS:
        new["variant_name"] = old_names.VARIANTS[row["variant_name"]]
    return new | _training(row)


def result(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row of ``scheduler_results`` with current values; a current row stays unchanged."""
    prm = row["hyperparameters"]
    return {**row, **_training(row), "hyperparameters": prm and old_names.translated(row["scheduler_type"], prm)}


def _training(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the current kind of training of a row of ``lrgen_runs`` or ``scheduler_results``."""
    return {"training": TRAININGS.get(row["training"], row["training"])}


def _stage_of(settings: str) -> str:
    """Return the last requested check of a run, or the first check when the settings have none."""
    try:
        values = json.loads(settings)
        values = json.loads(values["settings"]) if "settings" in values else values
        stage = values["stage"]
    except (ValueError, KeyError, TypeError):
        stage = None
    return stage if stage in _STAGES else "syntax"
