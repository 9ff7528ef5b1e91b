"""The code, diffs and answers from which the tests make completions."""

from lrgen.source import diffs, sections

FILE = '''\
"""ResNet-20 trained with step decay.

The learning rate is multiplied by ``gamma`` after each third of training.
"""

from torch import nn
from torch.optim.lr_scheduler import StepLR


def supported_hyperparameters() -> set[str]:
    return {"lr", "gamma"}


def _step_size(total_steps):
    return max(1, total_steps // 3)


def make_scheduler(optimizer, total_steps, prm):
    return StepLR(optimizer, _step_size(total_steps), prm.get("gamma", 0.1))


class Net(nn.Module):
    def __init__(self, in_shape, out_shape, prm, device):
        super().__init__()

    def learn(self, train_data):
        self.scheduler.step()
'''

OTHER_FILE = FILE.replace("step decay", "constant learning rate").replace('prm.get("gamma", 0.1)', "1.0")
INCOMPLETE = sections.parse(FILE).incomplete
MIDDLE = sections.parse(FILE).middle
SCHEDULE = f"from torch.optim.lr_scheduler import StepLR\n\n\n{MIDDLE}"
OTHER_SCHEDULE = SCHEDULE.replace("StepLR", "LambdaLR")
DIFF = diffs.unified(FILE, OTHER_FILE)
# A hunk ends with an empty line of context.
DIFF_WITH_BLANK = diffs.unified(FILE, FILE.replace("class Net(nn.Module)", "class Net(nn.Sequential)"))

USAGE = "scheduler = make_scheduler(optimizer, 90, prm)\nscheduler.step()\n"
STUB = "def make_scheduler(optimizer, total_steps, prm): ...\n\n\nclass Net(nn.Module):\n    ...\n"
EMPTY = "def make_scheduler(optimizer, total_steps, prm): pass\n\n\nclass Net(nn.Module): pass\n"
OBJECT = '{"model": "ResNet18", "learning_rate": 0.01}'
RATES = "0: 0.1\n30: 0.01\n60: 0.001\n"
TABLE = "| step | learning rate |\n| ---: | ---: |\n| 0 | 0.1 |\n| 30 | 0.01 |\n"


def fenced(text: str, info: str = "python", mark: str = "```") -> str:
    """Return a text in a Markdown fence."""
    return f"{mark}{info}\n{text}{mark}\n"


def indented(text: str, by: str = "    ") -> str:
    """Return a text with each line indented that is not blank."""
    return "".join(f"{by}{line}" if line.strip() else line for line in text.splitlines(keepends=True))
