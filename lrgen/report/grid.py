"""The outcomes of the grid, counted by network and family of schedules."""

from collections.abc import Iterable, Mapping
from typing import Any

from lrgen.records import Status, Variant

PRACTICES = "practices"  # in the place of a family
_OK = {status.value for status in Status if status.ok}


def grid(rows: Iterable[Mapping[str, Any]], variants: Iterable[Variant]) -> list[dict[str, Any]]:
    """Count the newest outcomes of the files of known variants.

    Args:
        rows: the newest run of each file and dataset (Store.newest_runs), in the order in which they are recorded.
        variants: of the catalogue.

    Returns:
        A row for each network and family with outcomes, sorted: the files that ``passed`` their checks, ``all`` of
        them, and the ``schedules`` (A0_NNN) that did not pass. Files with a practice are counted under ``practices``,
        and not with the family of their schedule.
    """
    columns = {variant.key: PRACTICES if variant.practice else variant.family for variant in variants}
    counts: dict[tuple[str, str], dict[str, bool]] = {}
    for row in rows:
        family = columns.get(row["scheduler_type"])
        if family is not None:
            files = counts.setdefault((row["model_name"], family), {})
            files[row["scheduler_type"]] = row["status"] in _OK
    return [
        {
            "model_name": model,
            "family": family,
            "passed": sum(files.values()),
            "all": len(files),
            "schedules": [name for name, passed in sorted(files.items()) if not passed],
        }
        for (model, family), files in sorted(counts.items())
    ]
