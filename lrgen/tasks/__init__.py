"""One kind of training example a module; ``TASKS`` are all of them, in the order in which they are built."""

from lrgen.tasks import convert, edit, explain, infill, judge, prefer, prompts, repair, trace, write
from lrgen.tasks.example import Task

TASKS: tuple[Task, ...] = (write, infill, edit, repair, trace, explain, convert, prefer, judge, prompts)
