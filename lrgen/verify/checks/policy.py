"""The policy check: the file contains only code that its policy allows (``static.rules``).

It reads the text of the file and runs nothing of it. Without a policy it accepts any code: the files that the catalogue
renders are known byte for byte, and a test shows that the strict policy accepts them.
"""

import ast
import warnings
from typing import Any

from lrgen.records import Candidate, Policy, Stage, VerifySettings
from lrgen.verify.checks.subject import Subject
from lrgen.verify.static import rules

STAGE = Stage.POLICY


def measure(subject: Subject) -> dict[str, Any]:
    """Return no measurement: ``judge`` needs the source alone."""
    return {}


def judge(candidate: Candidate, settings: VerifySettings, measurement: dict[str, Any]) -> str:
    """Check the source against the policy of the settings."""
    return "" if settings.policy is None else reason_for(candidate.source, settings.policy)


def reason_for(source: str, policy: Policy) -> str:
    """The first refusal of a policy with its line and its rule; empty if the policy accepts the source."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(source)
        refused = rules.refusals(tree, policy)
    except (RecursionError, MemoryError):
        return "the file is nested too deeply to be checked"
    except (SyntaxError, ValueError) as error:  # the syntax check reports it first
        return f"the file is not valid Python: {error}"
    if not refused:
        return ""
    others = f", and {len(refused) - 1} more" if len(refused) > 1 else ""
    return f"the policy {policy} refuses this file: {refused[0]}{others}"
