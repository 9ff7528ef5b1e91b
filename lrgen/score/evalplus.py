"""The results in the shape of EvalPlus's own file, for the tools that read it.

What EvalPlus calls base is the contract, and plus is the schedule. The training check is a third entry, which its tools
do not read. The answers are in ``results.jsonl``.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lrgen.score.results import Conditions
from lrgen.score.summary import pass_at_ks, passed_of_rows
from lrgen.score.verdict import CHECKS, Verdict

STAGES = {"base": "contract", "plus": "schedule", "training": "training"}


def file_name(completions: Path) -> str:
    """Return the name of the file: that of the completions without its suffix, and ``_eval_results.json``."""
    return f"{completions.stem}_eval_results.json"


def document(
    verdicts: Sequence[Verdict], conditions: Conditions, ks: Sequence[int], now: datetime | None = None
) -> dict[str, Any]:
    """Return the content of the file; a stage above the requested one has no status, and only training has no entry."""
    requested = [name for name, stage in STAGES.items() if CHECKS.index(stage) <= CHECKS.index(conditions.stage)]
    samples: dict[str, list[dict[str, Any]]] = {}
    for verdict in verdicts:
        status = {"base_status": None, "plus_status": None} | {
            f"{name}_status": "pass" if _passed(verdict, STAGES[name]) else "fail" for name in requested
        }
        entry = {"task_id": verdict.row_id, **status, "reward": verdict.reward, "reason": verdict.reason}
        samples.setdefault(verdict.row_id, []).append(entry)
    return {
        "date": (now or datetime.now(UTC)).strftime("%Y-%m-%d %H:%M"),
        "hash": conditions.dataset,
        "eval": samples,
        "pass_at_k": {
            name: pass_at_ks(
                passed_of_rows((verdict.row_id, _passed(verdict, STAGES[name])) for verdict in verdicts).values(), ks
            )
            for name in requested
        },
    }


def _passed(verdict: Verdict, stage: str) -> bool:
    """Return whether a completion passed the checks up to a stage; an answer that is not a file passed all or none."""
    return verdict.passed or CHECKS.index(verdict.check) >= CHECKS.index(stage)
