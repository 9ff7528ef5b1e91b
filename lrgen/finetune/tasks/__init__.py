"""One kind of training example a module; ``TASKS`` are all of them, in the order in which they are built."""

from lrgen.finetune.example import Task
from lrgen.finetune.tasks import convert, edit, explain, infill, judge, prefer, prompts, repair, trace, write

TASKS: tuple[Task, ...] = (write, infill, edit, repair, trace, explain, convert, prefer, judge, prompts)
