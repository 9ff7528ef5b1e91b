"""The results in the shape of EvalPlus's own file, for the tools that read it.

What EvalPlus calls base is the contract, and plus is the schedule. The training check is a third entry, which its tools
do not read. The tests that a sample fails are the reason of its verdict.
"""

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lrgen.score.results import Results
from lrgen.score.summary import pass_at_ks, passed_of_rows
from lrgen.score.verdict import CHECKS, Verdict

STAGES = {"base": "contract", "plus": "schedule", "training": "training"}


def file_name(completions: Path) -> str:
    """Return the name of the file: that of the completions without its suffix, and ``_eval_results.json``."""
    return f"{completions.stem}_eval_results.json"


def write(
    results: Results, verdicts: Sequence[Verdict], ks: Sequence[int], name: str, now: datetime | None = None
) -> Path:
    """Write the file of a run beside its results, and return its path; it is written row by row.

    Raises:
        OutputError: if it cannot be written.
    """
    return results.write_parts(name, _parts(results, verdicts, ks, now or datetime.now(UTC)))


def _parts(results: Results, verdicts: Sequence[Verdict], ks: Sequence[int], now: datetime) -> Iterator[str]:
    requested = _requested(results.conditions.stage)
    head = json.dumps({"date": now.strftime("%Y-%m-%d %H:%M"), "hash": results.conditions.dataset})
    yield f'{head[:-1]}, "eval": {{'
    rows: dict[str, list[Verdict]] = {}
    for verdict in verdicts:
        rows.setdefault(verdict.row_id, []).append(verdict)
    for number, (row_id, of_row) in enumerate(rows.items()):
        entries = [_entry(verdict, results.answer((row_id, verdict.sample)), requested) for verdict in of_row]
        yield f"{',' if number else ''}\n{json.dumps(row_id)}: {json.dumps(entries, allow_nan=False)}"
    yield f'}}, "pass_at_k": {json.dumps({name: _pass_at_k(verdicts, STAGES[name], ks) for name in requested})}}}\n'


def _requested(stage: str) -> list[str]:
    """Return the entries of the checks up to a stage."""
    return [name for name, last in STAGES.items() if CHECKS.index(last) <= CHECKS.index(stage)]


def _entry(verdict: Verdict, answer: str, requested: Sequence[str]) -> dict[str, Any]:
    """Return a sample; a stage above the requested one has no status, and only training has no entry."""
    entry: dict[str, Any] = {"task_id": verdict.row_id, "solution": answer}
    for name in dict.fromkeys(("base", "plus", *requested)):
        passed = _passed(verdict, STAGES[name]) if name in requested else None
        entry[f"{name}_status"] = None if passed is None else "pass" if passed else "fail"
        entry[f"{name}_fail_tests"] = [verdict.reason] if passed is False else []
    return entry


def _pass_at_k(verdicts: Sequence[Verdict], stage: str, ks: Sequence[int]) -> dict[str, float | None]:
    counts = passed_of_rows((verdict.row_id, _passed(verdict, stage)) for verdict in verdicts)
    return pass_at_ks(counts.values(), ks)


def _passed(verdict: Verdict, stage: str) -> bool:
    """Return whether a completion passed the checks up to a stage; an answer that is not a file passed all or none."""
    return verdict.passed or CHECKS.index(verdict.check) >= CHECKS.index(stage)
