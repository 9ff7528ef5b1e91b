"""The tasks, one in each module; ``TASKS`` lists them in build order."""

from lrgen.finetune.example import Task
from lrgen.finetune.tasks import (
    convert,
    critique,
    edit,
    explain,
    feedback,
    infill,
    inject,
    judge,
    prefer,
    prompts,
    repair,
    schedule,
    trace,
    worked,
    write,
)

TASKS: tuple[Task, ...] = (
    write,
    infill,
    edit,
    repair,
    trace,
    explain,
    convert,
    prefer,
    feedback,
    judge,
    prompts,
    schedule,
    worked,
    inject,
    critique,
)
