"""A run of a rendered file is stopped and resumed in another process, as docs/resuming.md shows."""

import ast
import inspect
import io
import json
import re
import subprocess
import sys
import textwrap
from itertools import permutations, product
from types import ModuleType

import pytest
import torch

from lrgen import catalogue as catalogues
from lrgen.render.renderer import Renderer
from lrgen.verify.nursery import resuming
from tests.paths import REPOSITORY, TINY

SAVING, LOADING = re.findall(r"```python\n(.+?)```", (REPOSITORY / "docs" / "resuming.md").read_text(), re.DOTALL)
# A file of each unit: per epoch, per batch, driven by a metric per epoch and per batch, layer-wise, schedule-free.
NUMBERS = (7, 13, 159, 160, 172, 176)
EPOCHS = 4
STOPPED = 2  # the epochs before the interruption
BATCHES = 3
SETTING = f"""
import torch
in_shape, out_shape, device, epochs = (4, 3, 16, 16), (10,), torch.device("cpu"), {EPOCHS}
prm = {{"lr": 0.1, "momentum": 0.9, "dropout": 0.0, "warmup_fraction": 0.75, "epoch_max": epochs}}
generator = torch.Generator().manual_seed(0)
train_data = [(torch.randn(4, 3, 16, 16, generator=generator), torch.arange(4)) for _ in range({BATCHES})]
total_steps = epochs * len(train_data)
rates = []


def record(optimizer, *_):
    rates.append([group["lr"] for group in optimizer.param_groups])
"""
RUN = f"""
torch.manual_seed(0)
net = Net(in_shape, out_shape, prm, device)
net.train_setup(prm)
net.optimizer.register_step_pre_hook(record)
for epoch in range(epochs):
    net.learn(train_data)
    if epoch + 1 == {STOPPED}:
{textwrap.indent(SAVING, " " * 8)}
"""
*LOAD, LOOP, LEARN = LOADING.strip().split("\n")
RESUME = "\n".join([*LOAD, "net.optimizer.register_step_pre_hook(record)", LOOP, LEARN])
PROCESS = """
import json, os, sys
from pathlib import Path

results = {}
for file in map(Path, sys.argv[2:]):
    os.chdir(file.parent)
    names = {"__name__": "file"}
    for code in (file.read_text(), SETTING, RUN if sys.argv[1] == "run" else RESUME):
        exec(code, names)
    weights = [parameter.detach().double().sum().item() for parameter in names["net"].parameters()]
    results[file.parent.name] = {"rates": names["rates"], "weights": weights}
print(json.dumps(results))
"""


@pytest.fixture(scope="module")
def sources():
    """The files of the tiny network by number."""
    catalogue = catalogues.load([TINY])
    renderer = Renderer(catalogue)
    tiny = catalogue.architecture("Tiny")
    return {number: renderer.render(tiny, catalogue.variant(number)).text for number in NUMBERS}


@pytest.fixture(scope="module")
def runs(sources, tmp_path_factory):
    """The whole runs, and the runs that a new process resumes from their checkpoints."""
    folder = tmp_path_factory.mktemp("runs")
    files = []
    for number, source in sources.items():
        files.append(folder / str(number) / "file.py")
        files[-1].parent.mkdir()
        files[-1].write_text(source)

    def process(mode):
        code = f"SETTING, RUN, RESUME = {SETTING!r}, {RUN!r}, {RESUME!r}\n{PROCESS}"
        command = [sys.executable, "-W", "error", "-c", code, mode, *map(str, files)]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stderr
        return json.loads(ended.stdout)

    return process("run"), process("resume")


@pytest.mark.parametrize("number", NUMBERS)
def test_a_new_process_continues_the_run(runs, number):
    """The resumed run has the learning rates and the weights of the uninterrupted one."""
    whole, resumed = (run[str(number)] for run in runs)
    assert len(whole["rates"]) == EPOCHS * BATCHES
    assert resumed["rates"] == whole["rates"][STOPPED * BATCHES :]
    assert resumed["weights"] == pytest.approx(whole["weights"], rel=1e-6)


def test_the_check_resumes_as_the_documentation_shows():
    """The statements that resume a run beside the examiner are those of the documentation, in the same order."""
    check = ast.parse(textwrap.dedent(inspect.getsource(resuming.restore))).body[0].body[1:]
    shown = [ast.unparse(statement) for statement in ast.parse(LOADING).body]
    places = [shown.index(ast.unparse(statement)) for statement in check]
    assert places == list(range(places[0], places[0] + len(places)))


def started(source):
    """The names of a file in the setting of the tests."""
    module = ModuleType("file")
    exec(source, vars(module))
    exec(SETTING, vars(module))
    return module


def network(file):
    """A new network after ``train_setup``, whose learning rates are recorded in ``file.rates``."""
    torch.manual_seed(0)
    net = file.Net(file.in_shape, file.out_shape, file.prm, file.device)
    net.train_setup(file.prm)
    net.optimizer.register_step_pre_hook(file.record)
    return net


@pytest.mark.parametrize("number", NUMBERS)
def test_the_states_are_loaded_in_any_order(sources, number):
    """The order of loading and of make_scheduler does not matter, before and after the first learn."""
    file = started(sources[number])
    net = network(file)
    for _ in range(STOPPED):
        net.learn(file.train_data)
    checkpoint = {"optimizer": net.optimizer.state_dict(), "scheduler": net.scheduler.state_dict()}
    torch.save(checkpoint, saved := io.BytesIO())
    file.rates.clear()
    for _ in range(STOPPED, EPOCHS):
        net.learn(file.train_data)
    expected = [*file.rates]
    for order, learnt in product((*permutations("mos"),), (False, True)):
        if order.index("s") < order.index("m"):
            continue
        saved.seek(0)
        states = torch.load(saved, weights_only=True)
        net = network(file)
        if learnt:
            net.learn(file.train_data)
        for name in order:
            if name == "m" and net.scheduler is None:
                net.scheduler = file.make_scheduler(net.optimizer, file.total_steps, file.prm)
            elif name == "o":
                net.optimizer.load_state_dict(states["optimizer"])
            elif name == "s":
                net.scheduler.load_state_dict(states["scheduler"])
        file.rates.clear()
        for _ in range(STOPPED, EPOCHS):
            net.learn(file.train_data)
        assert file.rates == expected, (order, learnt)


@pytest.mark.parametrize("number", NUMBERS)
def test_an_optimizer_without_its_scheduler_is_refused(sources, number):
    """A run that resumes only the optimizer raises an error instead of starting the schedule again."""
    file = started(sources[number])
    net = network(file)
    for _ in range(STOPPED):
        net.learn(file.train_data)
    optimizer = net.optimizer.state_dict()
    net = network(file)
    net.optimizer.load_state_dict(optimizer)
    with pytest.raises(RuntimeError, match="without the scheduler|did not set the learning rate"):
        net.learn(file.train_data)
