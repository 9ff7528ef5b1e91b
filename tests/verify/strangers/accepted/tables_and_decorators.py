# claim: -; kind: module level
import torch
import torch.nn as nn
import torch.optim as optim
import abc, enum, functools, logging, math, os, re, warnings
from typing import *
import typing as t


def supported_hyperparameters():
    return {"lr", "momentum"}


__all__ = ["Net", "supported_hyperparameters"]
__version__ = "1.0"
logger = logging.getLogger(__name__)
T = TypeVar("T")
Conv3 = functools.partial(nn.Conv2d, kernel_size=3, padding=1)
cfgs: Dict[str, List[Union[str, int]]] = {"A": [64, "M"], "B": [64, 64, "M"]}
PATTERN = re.compile(r"a+")
SCALE = math.sqrt(2.0) * torch.pi
DEBUG = os.environ.get("DEBUG", "0") == "1"
MEAN = torch.tensor([0.5, 0.5, 0.5]).view(1, 3, 1, 1)
loss_function = nn.CrossEntropyLoss()


class Mode(enum.Enum):
    TRAIN = enum.auto()
    EVAL = enum.auto()


class Base(abc.ABC):
    @abc.abstractmethod
    def f(self): ...


def register(table):
    def wrap(fn):
        table[fn.__name__] = fn
        return fn

    return wrap


TABLE = {}


@register(TABLE)
def relu(x):
    return torch.relu(x)


@torch.no_grad()
def init(module):
    if isinstance(module, nn.Linear):
        module.weight.normal_(0, 0.01)


if __name__ == "__main__":
    net = Net((1, 3, 32, 32), (10,), {"lr": 0.1, "momentum": 0.9}, torch.device("cpu"))
    print(net)


class Net(nn.Module):
    def __init__(self, in_shape: tuple, out_shape: tuple, prm: dict, device: torch.device) -> None:
        super().__init__()
        self.device = device

        self.body = nn.Sequential(
            nn.Conv2d(in_shape[1], 16, 3, stride=4),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )
        self.head = nn.Linear(16, out_shape[0])

    def forward(self, x):
        return self.head(self.body(x))

    def train_setup(self, prm):
        self.to(self.device)
        self.criterion = loss_function
        self.optimizer = optim.SGD(self.parameters(), lr=prm["lr"], momentum=prm["momentum"])
        self.scheduler = optim.lr_scheduler.StepLR(self.optimizer, step_size=30, gamma=0.1)

    def learn(self, train_data):
        self.train()
        for images, labels in train_data:
            images, labels = images.to(self.device), labels.to(self.device)
            self.optimizer.zero_grad()
            loss = self.criterion(self(images), labels)
            loss.backward()
            self.optimizer.step()
        self.scheduler.step()
