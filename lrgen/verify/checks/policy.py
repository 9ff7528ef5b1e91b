"""The policy check: the file contains only code that its policy allows (``static.rules``).

It reads the text of the file and runs nothing of it. Without a policy it accepts any code: the files that the catalogue
renders are known byte for byte, and a test shows that the strict policy accepts them.
"""

from lrgen.records import Stage
from lrgen.verify.checks.examination import Examination
from lrgen.verify.checks.failure import CheckFailure
from lrgen.verify.static.parsing import LOCK
from lrgen.verify.static.rules import reason_for

STAGE = Stage.POLICY


def run(examination: Examination) -> None:
    """Check the source against the policy of the settings.

    Raises:
        CheckFailure: at the first construct that the policy does not allow.
    """
    policy = examination.settings.policy
    with LOCK:
        reason = "" if policy is None else reason_for(examination.candidate.source, policy)
    if reason:
        raise CheckFailure(reason)
