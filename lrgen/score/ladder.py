"""The reward of a grade: partial credit, in steps that each check of a file takes further.

| last check that passed | reward |
|---|---|
| none: the text has no answer in the requested form | 0 |
| extracted | 0.05 |
| syntax, policy | 0.1 |
| contract | 0.3 + 0.6 × the fraction of the telling cases that are right (``partial``) |
| schedule, where the training was asked for | 0.95 |
| all that were asked for | 1 |

The cases count half where ``make_scheduler`` is right and ``learn`` is not, and do not count where ``learn`` never
changes the learning rate. A case tells if neither a constant learning rate nor the family with its default numbers has
it right. The answer of a task that is graded without executing a file gets 0.05 for its form, and up to 0.85 more for
the fraction of its facts or steps that is right. Only an answer that passes gets more than 0.95. Other numbers are
another ``VERSION``.
"""

from lrgen.finetune.example import EXTRACTED, Grade
from lrgen.records import Stage

VERSION = 1

_EXTRACTED, _PARSED, _CONTRACT, _SCHEDULE = 0.05, 0.1, 0.3, 0.95
_CASES = 0.6  # of the telling cases
_FACTS = 0.85  # of a task without a file


def reward_of(grade: Grade) -> float:
    """The reward of a grade, between 0 and 1."""
    if grade.passed:
        return 1.0
    fraction = min(1.0, max(0.0, grade.fraction))
    match grade.check:
        case "":
            return 0.0
        case Stage.SYNTAX | Stage.POLICY:
            return _PARSED
        case Stage.CONTRACT:
            return _CONTRACT + _CASES * fraction
        case Stage.SCHEDULE | Stage.TRAINING:
            return _SCHEDULE
        case _:
            assert grade.check == EXTRACTED
            return _EXTRACTED + _FACTS * fraction
