"""A run of a rendered file is stopped and resumed as docs/resuming.md shows."""

import ast
import inspect
import itertools
import re
import subprocess
import sys
import textwrap

import pytest
import torch

from lrgen.verify.checks import resuming
from tests.corpus import load_module
from tests.paths import REPOSITORY

BLOCKS = re.findall(r"```python\n(.+?)```", (REPOSITORY / "docs" / "resuming.md").read_text(), re.DOTALL)
EPOCHS = 4
PRM = {"lr": 0.1, "momentum": 0.9, "dropout": 0.0, "epoch_max": EPOCHS}
# A file of each unit: per epoch, per batch, driven by a metric per epoch and per batch, layer-wise, schedule-free.
NUMBERS = (7, 13, 159, 160, 172, 176)
START = f"""
import sys, json, torch
from pathlib import Path
torch.manual_seed(0)
source = Path(sys.argv[1]).read_text()
exec(compile(source, sys.argv[1], "exec"))
in_shape, out_shape, device, prm, epochs = (4, 3, 8, 8), (10,), torch.device("cpu"), {PRM}, {EPOCHS}
generator = torch.Generator().manual_seed(0)
train_data = [(torch.randn(4, 3, 8, 8, generator=generator), torch.arange(4)) for _ in range(3)]
total_steps = epochs * len(train_data)
rates = []
def follow(net):
    hook = lambda optimizer, *_: rates.append([group["lr"] for group in optimizer.param_groups])
    net.optimizer.register_step_pre_hook(hook)
"""
