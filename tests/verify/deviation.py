"""How far the weights that a file trains are from those of an honest file, in a run as an ordinary caller makes it.

It is also a program: it reads ``[[file, control, {scenario}], ...]`` as JSON, and writes a deviation for each or the
reason why there is none. Files run in child processes that nothing protects this machine from: the cases that are given
to it change weights and learning rates only.
"""

import io
import json
import os
import resource
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
import torch._dynamo  # loaded once here, not in each child
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

CPU_SECONDS = 120
DEFAULTS = {"epochs": 6, "horizon": 0, "batches": 2, "size": 4, "pixels": 32, "resume": 0, "networks": 1, "shuffle": 0}
DEFAULTS |= {"seed": 0}
HYPERPARAMETERS = ("gamma", "step_fraction", "transform")

Weights = list[float]


def main() -> None:
    """Compare the pairs of files on standard input."""
    honest: dict[tuple[str, str], tuple[Weights, Weights] | str] = {}
    answers: list[float | str] = []
    for path, control, scenario in json.load(sys.stdin):
        key = control, json.dumps(scenario)
        if key not in honest:
            honest[key] = weights_of(control, scenario)
        answers.append(deviation(weights_of(path, scenario), honest[key]))
    json.dump(answers, sys.stdout)


def deviation(trained: tuple[Weights, Weights] | str, control: tuple[Weights, Weights] | str) -> float | str:
    """The distance of the final weights, as a fraction of the way of the control's weights; or why there is none."""
    if isinstance(trained, str) or isinstance(control, str):
        return trained if isinstance(trained, str) else str(control)
    (start, actual), (begin, expected) = trained, control
    if start != begin:
        return "the initial weights are not those of the control"
    return _distance(actual, expected) / _distance(begin, expected)


def _distance(first: Weights, second: Weights) -> float:
    return sum((left - right) ** 2 for left, right in zip(first, second, strict=True)) ** 0.5


def weights_of(path: str, scenario: dict[str, str]) -> tuple[Weights, Weights] | str:
    """The initial and the final weights of a file that is trained in a child process; or why there are none."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(read)
            os.dup2(2, 1)  # standard output has the answers
            resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
            with os.fdopen(write, "w", encoding="utf-8") as pipe:
                json.dump(_train(Path(path), scenario), pipe)
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read, encoding="utf-8") as pipe:
        text = pipe.read()
    os.waitpid(pid, 0)
    if not text:
        return f"{path} does not train"
    first, last = json.loads(text)
    return first, last


def _train(path: Path, scenario: dict[str, str]) -> tuple[Weights, Weights]:
    """The weights before and after the epochs of a scenario."""
    torch.set_num_threads(1)
    number = {name: int(scenario.get(name, default)) for name, default in DEFAULTS.items()}
    module = ModuleType("case")
    exec(compile(path.read_text(encoding="utf-8"), path, "exec"), module.__dict__)
    prm: dict[str, Any] = {"lr": float(scenario.get("lr", 0.1)), "momentum": 0.9, "dropout": 0.2}
    prm |= {"batch": number["size"], "epoch_max": number["horizon"] or number["epochs"]}
    prm |= {name: float(scenario[name]) for name in HYPERPARAMETERS if name in scenario}
    pixels, size = number["pixels"], number["size"]

    def network() -> Any:
        torch.manual_seed(number["seed"])
        return module.Net((size, 3, pixels, pixels), (10,), prm, torch.device("cpu"))

    for _ in range(number["networks"]):
        net = network()
    first = list(_values(net))
    net.train_setup(prm)
    data = TensorDataset(*_images(scenario.get("images", "noise"), number["batches"] * size, pixels))
    loader = DataLoader(data, size, bool(number["shuffle"]), generator=torch.Generator().manual_seed(1))
    for epoch in range(number["epochs"]):
        if epoch and epoch == number["resume"]:
            interrupted, net = net, network()
            net.train_setup(prm)
            _resume(net, interrupted)
        net.learn(loader)
    return first, list(_values(net))


def _values(net: Any) -> Iterator[float]:
    for param in net.parameters():
        yield from param.detach().flatten().tolist()


def _resume(net: Any, interrupted: Any) -> None:
    """Load the states of an interrupted run into a new network."""
    saved = io.BytesIO()
    torch.save([part.state_dict() for part in (interrupted, interrupted.optimizer, interrupted.scheduler)], saved)
    saved.seek(0)
    for part, state in zip((net, net.optimizer, net.scheduler), torch.load(saved), strict=True):
        part.load_state_dict(state)


def _images(kind: str, count: int, pixels: int) -> tuple[Tensor, Tensor]:
    """Images and labels: of noise, smooth ones, blank ones, or noise on a pattern for each label (``labels``)."""
    generator = torch.Generator().manual_seed(2)
    labels = torch.arange(count) % 10
    if kind == "blank":
        return torch.zeros(count, 3, pixels, pixels), labels
    if kind == "smooth":
        small = torch.randn(count, 3, 4, 4, generator=generator)
        return torch.nn.functional.interpolate(small, size=(pixels, pixels), mode="bilinear"), labels
    images = torch.randn(count, 3, pixels, pixels, generator=generator)
    if kind == "labels":
        patterns = torch.randn(10, 3, 8, 8, generator=generator)
        images += 3 * torch.nn.functional.interpolate(patterns, size=(pixels, pixels))[labels]
    return images, labels


if __name__ == "__main__":
    main()
