"""Verdicts and conditions for the tests of results."""

import hashlib
from dataclasses import replace
from typing import Any

from lrgen.score.results import Conditions
from lrgen.score.verdict import Verdict

CONDITIONS = Conditions("0.1.0", 1, "d" * 64, "test", "all", 2, stage="schedule", policy="strict", case_seed=7)
_FAILED = {"check": "contract", "fraction": 0.5, "reward": 0.6, "reason": "the learning rate at step 3 is 0.1"}


def verdict(row_id: str = "a", sample: int = 0, passed: bool = True, **values: Any) -> Verdict:
    """Return a verdict on a completion that passed the schedule check, or failed there with half of its cases."""
    whole = Verdict(
        row_id=row_id,
        sample=sample,
        task="write",
        split="test",
        family="cosine",
        architecture="ResNet",
        check="schedule",
        fraction=1.0,
        reward=1.0,
        passed=passed,
        reason="",
        seconds=0.25,
        sha256=hashlib.sha256(f"{row_id} {sample}".encode(errors="surrogatepass")).hexdigest(),
        form="fence",
        answer="import torch\n",
    )
    return replace(whole, **({} if passed else _FAILED) | values)
