"""The policy check: the file contains only code that its policy allows (``static.rules``).

It reads the text of the file and runs nothing of it. Without a policy it accepts any code: the files that the catalogue
renders are known byte for byte, and a test shows that the strict policy accepts them.
"""

from typing import Any

from lrgen.records import Candidate, Stage, VerifySettings
from lrgen.verify.checks.subject import Subject
from lrgen.verify.static.rules import reason_for

STAGE = Stage.POLICY


def measure(subject: Subject) -> dict[str, Any]:
    """Return no measurement: ``judge`` needs the source alone."""
    return {}


def judge(candidate: Candidate, settings: VerifySettings, measurement: dict[str, Any]) -> str:
    """Check the source against the policy of the settings."""
    return "" if settings.policy is None else reason_for(candidate.source, settings.policy)
