"""Examinations of small files for the tests of the checks."""

import ast
from pathlib import Path
from typing import Protocol

from lrgen.records import Policy, Stage, Variant, VerifySettings
from lrgen.verify.candidate import candidate_of
from lrgen.verify.checks.draw import draw_for
from lrgen.verify.checks.examination import Examination
from lrgen.verify.limits import Limits
from lrgen.verify.nursery_process import Nursery
from lrgen.verify.sandbox import Mechanism
from lrgen.verify.session import Place

CASE_SEED = 1


class Examine(Protocol):
    """The fixture ``examine``: the examination of a file with this text, which is not loaded yet."""

    def __call__(self, code: str, variant: Variant | None = None, policy: Policy | None = None) -> Examination:
        """Begin the examination; it ends with the test."""


def examination_of(
    nursery: Nursery, code: str, variant: Variant | None = None, policy: Policy | None = None
) -> Examination:
    """The examination of a file with this text."""
    candidate = candidate_of(Path("file.py"), code.encode(), variant=variant)
    examination = Examination(
        candidate,
        VerifySettings(policy=policy),
        nursery,
        Place(Mechanism.PROCESS, Limits()),
        draw_for(CASE_SEED, candidate.sha256),
        tree=ast.parse(code),
    )
    examination.begin(Stage.CONTRACT, None)
    return examination
