"""The verdict on a completion."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Verdict:
    """The verdict on a completion of the prompt of a row.

    Attributes:
        row_id: the id of the row in the dataset.
        sample: the number of the completion within its row, from 0, in input order.
        task: the task of the row; ``split``, ``family`` and ``architecture`` are the row's as well.
        check: the last check that it passed: "", extracted, syntax, policy, contract, schedule, training.
        fraction: the fraction of the answer that is correct.
        reward: the reward on the ladder.
        passed: whether the answer passed all requested checks.
        reason: why it did not pass; empty when it did.
        seconds: the time that the verdict took.
        sha256: the sha256 of the completion's text.
        form: the form in which the completion has its answer: raw, fence, tag or prose.
        answer: the text that was graded.
    """

    row_id: str
    sample: int
    task: str
    split: str
    family: str
    architecture: str
    check: str
    fraction: float
    reward: float
    passed: bool
    reason: str
    seconds: float
    sha256: str
    form: str
    answer: str


CHECKS = ("", "extracted", "syntax", "policy", "contract", "schedule", "training")
"""The values of ``Verdict.check``, in their order; the first is that of a completion without an answer."""
