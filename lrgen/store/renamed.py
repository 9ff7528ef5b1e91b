"""Words that earlier versions of lrgen wrote into a database or an export, and today's words for the same.

The migrations translate stored rows, ``db import`` those of an old export; nothing else knows the old words, except
for the hyperparameters' (old_names).
"""

import json
from collections.abc import Mapping
from typing import Any

from lrgen import old_names

TRAININGS = {"memorised": "overfit"}

_STAGES = ("syntax", "contract", "schedule", "training")
_NEED_A_CLAIM = ("schedule", "training")


def run(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of ``lrgen_runs`` in today's words; a row of today stays as it is.

    "unproven" were files without a claim as well as those that ``--stage`` checked in part: the settings tell which.
    """
    new = dict(row)
    if row["status"] == "proved":
        new |= {"status": "verified", "stage": "training"}
    elif row["status"] == "unproven":
        stage = _stage_of(row["settings"])
        unclaimed = row["variant"] is None and stage in _NEED_A_CLAIM
        new |= {"status": "unclaimed"} if unclaimed else {"status": "passed", "reason": ""}
        new["stage"] = stage
    elif row["status"] == "crashed" and row["stage"] is None:  # lost before any check began
        new["stage"] = "syntax"
    return new | _training(row)


def result(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of ``scheduler_results`` in today's words; a row of today stays as it is."""
    prm = row["hyperparameters"]
    return {**row, **_training(row), "hyperparameters": prm and old_names.translated(row["scheduler_type"], prm)}


def _training(row: Mapping[str, Any]) -> dict[str, Any]:
    """The kind of training of a row of ``lrgen_runs`` or ``scheduler_results``, in today's word."""
    return {"training": TRAININGS.get(row["training"], row["training"])}


def _stage_of(settings: str) -> str:
    """The last check that a run was asked for; the first one where its settings do not say so."""
    try:
        asked = json.loads(settings)
        asked = json.loads(asked["settings"]) if "settings" in asked else asked
        stage = asked["stage"]
    except (ValueError, KeyError, TypeError):
        stage = None
    return stage if stage in _STAGES else "syntax"
