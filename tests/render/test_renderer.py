"""The rendered files: their behaviour, their text and LEMUR's static contract.

A few files under tests/render/golden are compared byte by byte. After an intended change of the templates, update them
in the repository's folder and review the diff::

    python -m tests.render.test_renderer
"""

import ast
import functools
import hashlib
import inspect
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

import black
import numpy as np
import pytest
import torch
from torch.nn import functional as F

from lrgen import catalogue as catalogues
from lrgen import curves, files, limited
from lrgen.catalogue import FIRST_USER_NUMBER
from lrgen.errors import CatalogueError
from lrgen.records import Architecture, PracticeKind, Unit, Variant
from lrgen.render import output
from lrgen.render.renderer import Renderer
from lrgen.verify.checks.reference import metrics_of
from tests import paths
from tests.each import check_each, for_each
from tests.paths import REPOSITORY

CATALOGUE = catalogues.load()
GOLDEN = [("ResNet", 1), ("ResNet", 13), ("ResNet", 31), ("ResNet18", 37)]

# Every unit, the longest and the shortest schedules and two networks, for checks that take minutes on all files.
SAMPLE = [("ResNet", n) for n in (1, 12, 20, 31, 35, 43)] + [("ResNet18", n) for n in (10, 13, 41)]
# One schedule of each unit, for properties that depend on the unit alone.
OF_EACH_UNIT = [(architecture.name, n) for architecture in CATALOGUE.architectures for n in (1, 31, 37)]

FIXED_NAMES = {"epoch", "epoch_max"}
DEPTHS = (0, 1, 2)
ADVANCES = {
    (Unit.EPOCH, None, None): "The schedule advances once per epoch.",
    (Unit.BATCH, None, None): "The schedule advances once per batch.",
    (
        Unit.METRIC,
        "epoch",
        "loss",
    ): "The schedule advances once per epoch, driven by the mean training loss of the epoch.",
    (
        Unit.METRIC,
        "epoch",
        "accuracy",
    ): "The schedule advances once per epoch, driven by the training accuracy of the epoch.",
    (
        Unit.METRIC,
        "batch",
        "loss",
    ): "The schedule advances once per batch, driven by the mean training loss of the batch.",
}


def name_of(pair: tuple[str, int]) -> str:
    """The name of a file in test IDs."""
    return f"{pair[0]}-{pair[1]:03d}"


ALL = output.pairs(CATALOGUE.architectures, CATALOGUE.variants)
WHOLE = ("ResNet", "ResNet18")  # the fast tests render these networks with every schedule
every_schedule = for_each("variant", {variant.key: variant for variant in CATALOGUE.schedules})


def of_files(fast: Sequence[tuple[str, int]], slow: Sequence[tuple[str, int]] = ()) -> Any:
    """Parametrize a test over files; those in ``slow`` alone are marked as slow."""
    parameters = []
    quick = set(fast)
    for name, number in [*fast, *(pair for pair in slow if pair not in quick)]:
        marks = [] if (name, number) in quick else [pytest.mark.slow]
        file = CATALOGUE.architecture(name), CATALOGUE.variant(number)
        parameters.append(pytest.param(*file, id=name_of((name, number)), marks=marks))
    return pytest.mark.parametrize(("architecture", "variant"), parameters)


# A file is composed of a schedule, a network and the training methods of a unit. The fast tests cover each of these,
# the slow tests each combination.
PARTS = [("ResNet", variant.number) for variant in CATALOGUE.variants]
PARTS += [pair for pair in OF_EACH_UNIT if pair not in PARTS]


@functools.cache
def code_of(path: Path) -> CodeType:
    """The compiled text of a file, which no test changes."""
    return compile(path.read_text(encoding="utf-8"), path, "exec")


def module_from(path: Path) -> ModuleType:
    """Import a file as a module of its own, under a unique name."""
    module = ModuleType(f"rendered_{path.parent.name}_{path.stem}")
    module.__file__ = str(path)
    exec(code_of(path), module.__dict__)
    return module


@pytest.fixture
def module(rendered: Path, architecture: Architecture, variant: Variant) -> ModuleType:
    """The imported file of a pair."""
    return module_from(output.path_of(rendered, architecture, variant))


@pytest.fixture
def text(rendered: Path, architecture: Architecture, variant: Variant) -> str:
    """The text of the file of a pair."""
    return output.path_of(rendered, architecture, variant).read_text(encoding="utf-8")


FILE_ARGUMENTS: dict[str, Callable[[Path, Architecture, Variant], Any]] = {
    "architecture": lambda _, architecture, variant: architecture,
    "variant": lambda _, architecture, variant: variant,
    "text": lambda *file: output.path_of(*file).read_text(encoding="utf-8"),
    "module": lambda *file: module_from(output.path_of(*file)),
}


def every_file(test: Callable[..., None]) -> Callable[..., None]:
    """Make a test of one file a single test of all ``PARTS``, which names the files that fail."""
    arguments = set(inspect.signature(test).parameters)
    cases = {name_of(pair): (CATALOGUE.architecture(pair[0]), CATALOGUE.variant(pair[1])) for pair in PARTS}

    @functools.wraps(test)
    def run(rendered: Path, **fixtures: Any) -> None:
        def check(pair: tuple[Architecture, Variant]) -> None:
            of_file = {name: FILE_ARGUMENTS[name](rendered, *pair) for name in arguments & FILE_ARGUMENTS.keys()}
            test(**of_file, **fixtures, **({"rendered": rendered} if "rendered" in arguments else {}))

        check_each(cases, check)

    names = ["rendered", *sorted(arguments - FILE_ARGUMENTS.keys() - {"rendered"})]
    parameters = [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY) for name in names]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return run


# Behaviour.


@every_file
def test_a_file_imports_nothing_but_torch_and_the_standard_library(text):
    """A file imports torch and the standard library alone."""
    imported = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            imported |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            imported.add(str(node.module).split(".")[0])
    assert "torch" in imported
    assert imported - {"torch"} <= sys.stdlib_module_names


def state_of_the_process() -> dict[str, object]:
    """The global state that an import might change."""
    return {
        "files": sorted(Path().rglob("*")),
        "folder": Path.cwd(),
        "environment": dict(os.environ),
        "path": list(sys.path),
        "random": random.getstate(),
        "numpy": np.random.get_state()[1].tobytes(),
        "torch": torch.get_rng_state().tolist(),
        "dtype": torch.get_default_dtype(),
        "threads": (torch.get_num_threads(), threading.active_count()),
        "gradients": torch.is_grad_enabled(),
        "deterministic": (torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark),
        "warnings": list(warnings.filters),
        "signals": [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)],
    }


@every_file
def test_importing_a_file_has_no_side_effect(rendered, architecture, variant, tmp_path, monkeypatch, capfd):
    """Importing a file prints nothing, writes nothing and changes no global state."""
    monkeypatch.chdir(tmp_path)
    before = state_of_the_process()
    module_from(output.path_of(rendered, architecture, variant))
    assert state_of_the_process() == before
    assert capfd.readouterr() == ("", "")


@every_file
def test_a_file_holds_definitions_only(text):
    """A file has a docstring, imports, functions and classes; ``torch.no_grad`` is its only decorator."""
    docstring, *body = ast.parse(text).body
    assert isinstance(docstring, ast.Expr)
    assert isinstance(docstring.value, ast.Constant)
    for node in body:
        assert isinstance(node, (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef))
        members = node.body if isinstance(node, ast.ClassDef) else [node]
        for member in members:
            if isinstance(member, ast.FunctionDef):
                assert {ast.unparse(decorator) for decorator in member.decorator_list} <= {"torch.no_grad()"}
                assert all(isinstance(default, ast.Constant) for default in member.args.defaults)
            elif isinstance(member, ast.AnnAssign):  # the type of an attribute
                assert member.value is None
            elif isinstance(member, ast.Assign):
                assert isinstance(member.value, ast.Constant)
            elif member is not node:
                assert isinstance(member, ast.Expr)
                assert isinstance(member.value, ast.Constant)


@every_file
def test_the_supported_hyperparameters_are_those_of_the_recipe_and_the_variant(module, architecture, variant):
    """A file supports exactly lr, its recipe's hyperparameters and those that the variant declares."""
    expected = {"lr"} | set(variant.defaults) | (set(variant.practice.defaults) if variant.practice else set())
    expected |= {"momentum"} if architecture.recipe.optimizer == "sgd" or variant.optimizer else set()
    expected |= {"weight_decay"} if architecture.recipe.weight_decay else set()
    expected |= {"dropout"} if architecture.recipe.dropout else set()
    assert module.supported_hyperparameters() == expected


def reads(text: str) -> Iterator[tuple[str, ast.expr | None]]:
    """The name and the default of each read from ``prm`` or ``self.prm``."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Subscript):
            source, arguments = node.value, [node.slice]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "get":
            source, arguments = node.func.value, node.args
        else:
            continue
        if ast.unparse(source) in ("prm", "self.prm"):
            assert isinstance(arguments[0], ast.Constant)
            yield str(arguments[0].value), arguments[1] if len(arguments) > 1 else None


@every_file
def test_every_hyperparameter_is_read_and_every_read_one_is_declared(text, module):
    """``prm`` is read for exactly the supported hyperparameters and the number of epochs."""
    assert {name for name, _ in reads(text)} - FIXED_NAMES == module.supported_hyperparameters()


@every_file
def test_every_default_stands_in_the_file_as_a_number(text, architecture, variant):
    """Each default is a number, or a fraction of two numbers, at the place where it is used."""
    expected = variant.defaults | (variant.practice.defaults if variant.practice else {})
    if architecture.recipe.weight_decay:
        expected["weight_decay"] = (variant.optimizer or architecture.recipe).weight_decay
    if architecture.recipe.dropout:
        expected["dropout"] = architecture.recipe.dropout
    defaults = {name: default for name, default in reads(text) if name not in {*FIXED_NAMES, "lr", "momentum"}}
    assert defaults.keys() == expected.keys()
    for name, default in defaults.items():
        parts = [default.left, default.right] if isinstance(default, ast.BinOp) else [default]
        assert all(isinstance(part, ast.Constant) and type(part.value) in (int, float) for part in parts)
        assert eval(ast.unparse(default)) == expected[name]


def trace(make: Callable[..., Any], variant: Variant, horizon: int, steps: int, prm: dict, lr: float = 0.1) -> list:
    """The learning rates of each step, for one parameter per depth if the schedule is layer-wise.

    A metric-driven schedule gets metrics that improve, stall and worsen.
    """
    depths: list[dict[str, Any]] = [{"depth": depth} for depth in DEPTHS] if variant.layerwise else [{}]
    groups = [{"params": [torch.nn.Parameter(torch.zeros(1))], **depth} for depth in depths]
    optimizer = torch.optim.SGD(groups, lr=lr)
    scheduler = make(optimizer, horizon, prm)
    rates = []
    for metric in metrics_of(variant, steps):
        rates.append([group["lr"] for group in optimizer.param_groups])
        optimizer.step()
        scheduler.step(*([metric] if variant.unit is Unit.METRIC else []))
    return rates


@every_schedule
@pytest.mark.parametrize("horizon", [1, 2, 7, 90])
def test_a_rendered_schedule_follows_its_curve(rendered, variant, horizon):
    """The learning rates of ``make_scheduler`` are those of the curve, also past the horizon."""
    module = module_from(rendered / "ResNet" / f"{variant.key}.py")
    steps = 2 * horizon + 3
    if variant.unit is Unit.METRIC:
        expected = curves.rates(variant, None, horizon, 0.1, metrics=metrics_of(variant, steps)[:-1])
    else:
        expected = curves.rates(variant, range(steps), horizon, 0.1, depths=DEPTHS if variant.layerwise else [0])
    rates = trace(module.make_scheduler, variant, horizon, steps, {})
    assert np.abs(np.array(rates).T - expected).max() <= variant.tolerance * 0.1


def test_the_schedule_of_a_practice_is_the_schedule_alone(catalogue, rendered):
    """The code of the schedule in a file with a practice is that of the file without it, to the byte."""
    renderer = Renderer(catalogue)
    with_practice = [variant for variant in catalogue.variants if variant.practice]
    assert with_practice
    for variant in with_practice:
        code = renderer.parts(catalogue.architecture("ResNet"), catalogue.variant(variant.schedule)).schedule.code
        assert code.strip() in (rendered / "ResNet" / f"{variant.key}.py").read_text(encoding="utf-8"), variant.key


TUNABLE = {
    f"{variant.key}-{parameter.name}": (variant, parameter)
    for variant in CATALOGUE.schedules
    for parameter in variant.hyperparameters
}


@for_each("tunable", TUNABLE)
def test_a_hyperparameter_has_the_variants_default_and_changes_the_behaviour(rendered, tunable):
    """Leaving a hyperparameter out means its declared default, and some other value gives other learning rates."""
    variant, parameter = tunable
    make = module_from(rendered / "ResNet" / f"{variant.key}.py").make_scheduler
    ends = (parameter.low, parameter.high)
    other_values = {*ends, *((parameter.default + end) / 2 for end in ends)} - {parameter.default}
    steps = 400 if variant.unit is Unit.METRIC else 95  # the minimum learning rate is reached late
    left_out = trace(make, variant, 90, steps, {})
    assert trace(make, variant, 90, steps, {parameter.name: parameter.default}) == left_out
    assert any(trace(make, variant, 90, steps, {parameter.name: other}) != left_out for other in other_values)


def batches(sizes: Sequence[int], pixels: int = 32, classes: int = 10) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Batches of random images with these sizes."""
    torch.manual_seed(0)
    return [(torch.randn(size, 3, pixels, pixels), torch.randint(classes, (size,))) for size in sizes]


def net_of(module: ModuleType, classes: int = 10, **prm: float) -> Any:
    """The network of a file, built and set up for training as LEMUR does."""
    torch.manual_seed(0)
    values = {"lr": 0.01, "momentum": 0.9, "dropout": 0.2, **prm}
    net = module.Net((2, 3, 32, 32), (classes,), values, torch.device("cpu"))
    net.train_setup(values)
    return net


class Recorder:
    """Records the horizon of a file's scheduler and the order of scheduler and optimizer steps."""

    def __init__(self, module: ModuleType) -> None:
        self.horizons: list[int] = []
        self.events: list[str] = []
        self.metrics: list[tuple] = []
        self._make = module.make_scheduler
        module.make_scheduler = self.make  # type: ignore[attr-defined]

    def make(self, optimizer: torch.optim.Optimizer, total_steps: int, prm: dict) -> Any:
        """Replace ``make_scheduler``."""
        scheduler = self._make(optimizer, total_steps, prm)
        self.horizons.append(total_steps)
        optimizer.register_step_post_hook(lambda *_: self.events.append("optimizer"))
        step = scheduler.step

        def recorded(*metric: float) -> None:
            self.events.append("scheduler")
            self.metrics.append(metric)
            step(*metric)

        scheduler.step = recorded
        return scheduler


OTHER_BATCHES = {  # their updates are not those of the batches that ``learn`` is given
    variant.number
    for kind in (PracticeKind.ACCUMULATION, PracticeKind.CURRICULUM)
    for variant in CATALOGUE.of_practice(kind)
}


@of_files([(name, number) for name, number in PARTS if name in WHOLE and number not in OTHER_BATCHES])
def test_learn_advances_the_schedule_in_the_unit_of_the_variant(module, variant):
    """``learn`` steps the scheduler per epoch or per batch, and the horizon counts the run in the same unit."""
    recorder = Recorder(module)
    net = net_of(module, epoch_max=4)
    # A cheap forward pass: the unit does not depend on the network.
    net.forward = lambda images: next(net.parameters()).sum() * images.mean((1, 2, 3))[:, None].expand(-1, 10)
    if variant.per_batch:
        assert (recorder.horizons, net.scheduler) == ([], None)
    losses = []
    net.criterion.register_forward_hook(lambda module, inputs, loss: losses.append(loss.item()))
    returned = [net.learn(batches([2, 2, 2])) for _ in range(2)]
    if variant.per_batch:
        assert recorder.horizons == [4 * 3]
        assert recorder.events == ["optimizer", "scheduler"] * 6
    else:
        assert recorder.horizons == [4]
        assert recorder.events == (["optimizer"] * 3 + ["scheduler"]) * 2
    metrics = {
        (None, None): [()] * len(recorder.metrics),
        ("epoch", "loss"): [(loss,) for _, loss in returned],
        ("epoch", "accuracy"): [(accuracy,) for accuracy, _ in returned],
        ("batch", "loss"): [(loss,) for loss in losses],
    }
    assert recorder.metrics == metrics[variant.cadence, variant.metric]


@of_files([pair for pair in OF_EACH_UNIT if pair[0] in WHOLE])
def test_learn_updates_the_network_and_returns_accuracy_and_loss(module):
    """``learn`` returns means over images, also for batches of different sizes, and updates every parameter."""
    sizes = [2, 5, 3]
    still = net_of(module, lr=0.0)
    loader = batches(sizes)
    accuracy, loss = still.learn(loader)
    with torch.no_grad():
        logits = torch.cat([still(images) for images, _ in loader])
    labels = torch.cat([labels for _, labels in loader])
    assert loss == pytest.approx(F.cross_entropy(logits, labels).item(), abs=1e-5)
    assert accuracy == pytest.approx((logits.argmax(1) == labels).double().mean().item())
    assert isinstance(accuracy, float)
    assert isinstance(loss, float)

    moving = net_of(module)
    before = {name: value.clone() for name, value in moving.named_parameters()}
    moving.eval()
    moving.learn(loader)
    assert moving.training
    moved = {name for name, value in moving.named_parameters() if not torch.equal(value, before[name])}
    assert moved == before.keys()


@of_files([("ResNet", number) for number in (1, 31, 37, 38, 170, 174, 176, 177)], OF_EACH_UNIT)
def test_learn_without_a_batch_raises_and_changes_nothing(module):
    """``learn`` refuses data without a batch, before the first epoch and after it; weights and schedule stay."""
    net = net_of(module, epoch_max=4)

    def state() -> tuple[list[torch.Tensor], str]:
        scheduler = net.scheduler and net.scheduler.state_dict()
        return [value.clone() for value in net.state_dict().values()], repr((net.optimizer.param_groups, scheduler))

    for _ in range(2):
        weights, others = state()
        with pytest.raises(ValueError, match="^train_data is empty$"):
            net.learn([])
        assert all(map(torch.equal, weights, state()[0]))
        assert others == state()[1]
        net.learn(batches([2]))


@of_files([pair for pair in OF_EACH_UNIT if pair[0] == "ResNet"], OF_EACH_UNIT)
@pytest.mark.parametrize(
    ("prm", "epochs"), [({"epoch_max": 7, "epoch": 3}, 7), ({"epoch": 3}, 3), ({}, 90)], ids=["max", "epoch", "neither"]
)
def test_the_horizon_is_epoch_max_else_epoch_else_ninety(module, variant, prm, epochs):
    """The number of epochs is ``epoch_max``, else ``epoch``, else 90: LEMUR's callers pass one or neither."""
    recorder = Recorder(module)
    net = net_of(module, **prm)
    net.learn(batches([2, 2]))
    assert recorder.horizons == [epochs * 2 if variant.per_batch else epochs]


@every_schedule
def test_a_schedule_runs_without_the_network(catalogue, variant):
    """The code of ``Renderer.schedule`` runs alone and gives the learning rates of the whole file."""
    renderer = Renderer(catalogue)
    alone = renderer.schedule(variant)
    namespace: dict[str, Any] = {}
    exec(compile(alone, variant.key, "exec"), namespace)
    whole: dict[str, Any] = {"__name__": variant.key}
    exec(compile(renderer.render(catalogue.architecture("ResNet"), variant).text, variant.key, "exec"), whole)
    assert "Net" not in namespace
    assert trace(namespace["make_scheduler"], variant, 30, 33, {}) == trace(
        whole["make_scheduler"], variant, 30, 33, {}
    )


# Rendering.


def test_rendering_in_another_order_gives_the_same_text(catalogue, grid, rendered):
    """The text of a file does not depend on the order of rendering."""
    renderer = Renderer(catalogue)
    for architecture, variant in reversed(grid):
        file = renderer.render(architecture, variant)
        assert file.text == output.path_of(rendered, architecture, variant).read_text(encoding="utf-8")
        assert file.sha256 == hashlib.sha256(file.text.encode()).hexdigest()


ELSEWHERE = {"PYTHONHASHSEED": "4242", "LC_ALL": "C", "TZ": "Asia/Tokyo"}


def test_rendering_in_another_process_gives_the_same_bytes(rendered, tmp_path):
    """Hash seed, locale, time zone, folder, cache and order of selection do not change the rendered bytes."""
    both = [word for name in WHOLE for word in ("--model", name)]
    # The shared folder was rendered in a single selection.
    for selection in (["--variant", "31-50", "--model", WHOLE[-1]], both):
        render_in(tmp_path, *selection, **ELSEWHERE, XDG_CACHE_HOME=str(tmp_path / "cache"))
    for name in WHOLE:
        assert contents(tmp_path / "out" / name) == contents(rendered / name)


@pytest.mark.slow
def test_the_whole_grid_is_the_same_bytes_in_another_process(rendered, tmp_path):
    """Hash seed, locale, time zone, folder and cache change no byte of ``lrgen render --all``."""
    render_in(tmp_path, "--all", **ELSEWHERE, XDG_CACHE_HOME=str(tmp_path / "cache"))
    assert contents(tmp_path / "out") == contents(rendered)


def render_in(folder: Path, *selection: str, **environment: str) -> None:
    """Run ``lrgen render`` in a subprocess, into the folder's ``out``."""
    base = {name: value for name, value in os.environ.items() if not name.startswith("LRGEN_")}
    subprocess.run(
        [sys.executable, "-m", "lrgen", "render", *selection, "--out", "out"],
        cwd=folder,
        env=base | {"PYTHONPATH": str(REPOSITORY)} | environment,
        check=True,
        capture_output=True,
    )


def contents(folder: Path) -> dict[str, bytes]:
    """The bytes of every file under a folder."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@pytest.fixture
def cached(tmp_path: Path) -> Callable[..., str]:
    """Render ResNet's A0_001 with the cache under ``tmp_path``."""

    def run() -> str:
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
        render_in(tmp_path, "--variant", "1", XDG_CACHE_HOME=str(tmp_path / "cache"))
        return (tmp_path / "out" / "ResNet" / "A0_001.py").read_text(encoding="utf-8")

    return run


def test_formatted_fragments_are_cached(cached, tmp_path, rendered):
    """The second render reads the formatted fragments from the cache and writes the same file."""
    expected = (rendered / "ResNet" / "A0_001.py").read_text(encoding="utf-8")
    assert cached() == expected
    kept = [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    assert kept
    before = {path: path.stat().st_mtime_ns for path in kept}
    assert cached() == expected
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").rglob("*") if path.is_file()} == before
    for path in kept:
        text = path.read_text().partition("\n")[2].replace("total_steps", "horizon")
        path.write_text(f"{hashlib.sha256(text.encode()).hexdigest()}\n{text}")
    assert "horizon" in cached()


def test_a_corrupt_cache_is_ignored(cached, tmp_path, rendered):
    """A corrupt cache entry is not used, and the file is rendered as without a cache."""
    cached()
    damage = [b"", b"\xff\xfe", b"x = 1\n", b"0" * 64 + b"\nx = 1"]
    kept = [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    assert len(kept) >= len(damage)
    for number, path in enumerate(kept):
        path.write_bytes(damage[number % len(damage)])
    assert cached() == (rendered / "ResNet" / "A0_001.py").read_text(encoding="utf-8")


def test_rendering_works_without_a_writable_cache(cached, tmp_path, rendered):
    """A regular file in place of the cache folder neither stops a render nor is overwritten."""
    (tmp_path / "cache").write_text("mine")
    assert cached() == (rendered / "ResNet" / "A0_001.py").read_text(encoding="utf-8")
    assert (tmp_path / "cache").read_text() == "mine"


def test_rendering_works_without_a_home_folder(own, monkeypatch):
    """A user without a home folder, as in a container, can render."""

    def home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    wider = catalogues.load([own(PRM + " * 0.8125")])  # code that no other test has formatted
    monkeypatch.setattr(Path, "home", home)
    assert "0.8125" in Renderer(wider).render(wider.architecture("ResNet"), wider.variant("Mine")).text


@pytest.mark.parametrize(("name", "number"), GOLDEN, ids=map(name_of, GOLDEN))
def test_a_golden_file_is_rendered_byte_by_byte(rendered, name, number):
    """A golden file equals the rendered file byte by byte."""
    stem = f"A0_{number:03d}.py"
    assert (rendered / name / stem).read_bytes() == (paths.GOLDEN / name / stem).read_bytes()


def test_every_golden_file_is_compared():
    """Each golden file belongs to the list of compared files."""
    expected = {f"{name}/A0_{number:03d}.py" for name, number in GOLDEN}
    assert contents(paths.GOLDEN).keys() == expected


# Text.


@every_file
def test_the_docstring_says_which_model_which_schedule_and_which_unit(text, architecture, variant):
    """The first line names network, schedule and practice; paragraphs have the summaries of both and the unit."""
    first, *paragraphs = str(ast.get_docstring(ast.parse(text))).split("\n\n")
    assert first == f"{architecture.title} trained with {variant.full_title}."
    advances = ADVANCES[variant.unit, variant.cadence, variant.metric]
    if variant.batches_per_update > 1:
        advances = advances.replace("batch", "update")
    expected = [f"{variant.summary} {advances}", *([variant.practice.summary] if variant.practice else [])]
    assert [" ".join(paragraph.split()) for paragraph in paragraphs] == expected


@every_file
def test_a_file_reads_in_the_order_of_the_contract(text):
    """A file defines hyperparameters, schedule, blocks and Net, in this order."""
    body = ast.parse(text).body
    names = [node.name for node in body if isinstance(node, (ast.FunctionDef, ast.ClassDef))]
    assert names[0] == "supported_hyperparameters"
    assert names[-1] == "Net"
    schedule = names.index("make_scheduler")
    blocks = {
        node.name for node in body if isinstance(node, ast.ClassDef) and "nn.Module" in map(ast.unparse, node.bases)
    }
    assert all(names.index(block) > schedule for block in blocks)


@every_file
def test_no_line_is_longer_than_88_columns(text):
    """Lines have at most 88 columns and no trailing space; the file ends with a single line feed."""
    assert max(map(len, text.splitlines())) <= 88
    assert text.endswith("\n")
    assert not text.endswith("\n\n")
    assert not re.search(r"[ \t]$|\r|\t", text, re.MULTILINE)


@of_files(SAMPLE)
def test_black_leaves_a_file_unchanged(text):
    """A file composed of formatted fragments equals black's output for the whole file."""
    assert black.format_str(text, mode=black.Mode()) == text


@pytest.mark.slow
@pytest.mark.parametrize("name", [architecture.name for architecture in CATALOGUE.architectures])
def test_black_leaves_every_file_unchanged(rendered, name):
    """Each file of the grid equals black's output."""
    for path in sorted((rendered / name).glob("A0_*.py")):
        text = path.read_text(encoding="utf-8")
        assert black.format_str(text, mode=black.Mode()) == text, path.name


def run_tool(folder: Path, *command: str) -> str:
    """The output of a linter in a folder without configuration; fails when the linter does."""
    done = subprocess.run([sys.executable, "-m", *command], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
    return done.stdout


def test_files_are_clean_under_ruffs_default_rules(rendered):
    """No file violates ruff's default rules, PLR0402 excepted, and all imports are sorted."""
    # PLR0402 asks for ``from torch import nn``; torchvision and timm write ``import torch.nn as nn``.
    run_tool(rendered, "ruff", "check", "--isolated", "--no-cache", "--ignore", "PLR0402", ".")
    run_tool(rendered, "ruff", "check", "--isolated", "--no-cache", "--select", "I", "--target-version", "py311", ".")


def require_mypy_accepts(folder: Path, pairs: Sequence[tuple[Architecture, Variant]]) -> None:
    """Require that mypy accepts files, in one run with a persistent cache, since analysing torch takes long."""
    renderer = Renderer(CATALOGUE)
    for architecture, variant in pairs:
        path = folder / f"{architecture.name}_{variant.key}.py"
        path.write_text(renderer.render(architecture, variant).text, encoding="utf-8")
    cache = REPOSITORY / ".mypy_cache" / "rendered"
    accepted = run_tool(folder, "mypy", "--config-file=", f"--cache-dir={cache}", ".")
    assert accepted.strip().endswith(f"Success: no issues found in {len(pairs)} source files")


def has_own_training(name: str) -> bool:
    """Whether an architecture's loss is its own."""
    return (CATALOGUE.architecture(name).folder / "training.py.jinja").is_file()


def training_axes() -> set[tuple[str, int]]:
    """A file of each kind of recipe with each kind of schedule: every choice on every axis of the training loop."""
    recipes: dict[Any, str] = {}
    for architecture in reversed(CATALOGUE.architectures):
        recipe = architecture.recipe
        kind = recipe.optimizer, recipe.nesterov, recipe.label_smoothing > 0, recipe.clip_norm > 0
        recipes[kind] = architecture.name
    traits = ("unit", "cadence", "metric", "layerwise", "optimizer")
    schedules = {tuple(getattr(variant, name) for name in traits): variant.number for variant in CATALOGUE.variants}
    return {(name, number) for name in recipes.values() for number in schedules.values()}


def test_mypy_accepts_a_file_of_each_kind(tmp_path):
    """mypy's defaults accept each schedule template, network, own loss and choice on an axis of the training loop."""
    templates = {(variant.family, variant.template): variant for variant in reversed(CATALOGUE.variants)}
    sample = {("ResNet", variant.number) for variant in templates.values()}
    sample |= {(name, n) for name, n in OF_EACH_UNIT if n == 1 or name in WHOLE or has_own_training(name)}
    sample |= training_axes()
    require_mypy_accepts(
        tmp_path, [(CATALOGUE.architecture(name), CATALOGUE.variant(number)) for name, number in sample]
    )


@pytest.mark.slow
def test_mypy_accepts_every_file(tmp_path):
    """mypy's defaults accept every file of the grid."""
    require_mypy_accepts(tmp_path, ALL)


# Arguments that an interface requires: LEMUR's Net, make_scheduler, and torch's multipliers and optimizers.
REQUIRED = {("__init__", "prm"), ("make_scheduler", "prm"), ("make_scheduler", "total_steps")}
REQUIRED |= {("__call__", "step"), ("constant", "step"), ("step", "closure")}


def test_no_argument_is_unused(rendered):
    """Functions use all their arguments, except those that an interface requires."""
    command = [sys.executable, "-m", "ruff", "check", "--isolated", "--no-cache", "--select", "ARG"]
    done = subprocess.run([*command, "--output-format", "json", "."], cwd=rendered, capture_output=True, check=False)
    unused = set()
    for violation in json.loads(done.stdout):
        path, row = Path(violation["filename"]), violation["location"]["row"]
        functions = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)]
        owner = max((node for node in functions if node.lineno <= row), key=lambda node: node.lineno)
        argument = violation["message"].split("`")[1]
        if (owner.name, argument) not in REQUIRED:
            unused.add(f"{path}:{row}: {owner.name}({argument})")
    assert not unused


@every_file
def test_no_attribute_is_unused(text):
    """Every attribute that a file assigns is read."""
    attributes = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Attribute)]
    assigned = {node.attr for node in attributes if isinstance(node.ctx, ast.Store)}
    read = {node.attr for node in attributes if isinstance(node.ctx, ast.Load)}
    interfaces = {"last_epoch", "_last_lr", "criterion"}  # of torch's schedulers, and of LEMUR's networks
    assert assigned <= read | interfaces


@every_file
def test_a_file_looks_written_by_hand(text):
    """A file has no banner and no word about its generation."""
    assert not re.search(
        r"generated|lrgen|jinja|template|catalogue|do not edit|todo|fixme|\{\{|\{%", text, re.IGNORECASE
    )


# LEMUR's static contract.


@every_file
def test_lemurs_static_reader_accepts_a_file(text):
    """Imports come first, ``supported_hyperparameters`` returns a literal set, and each key is quoted twice."""
    tree = ast.parse(text)
    assert re.search(r"^(import|from) ", text, re.MULTILINE).start() < text.index("def ")
    [supported] = [
        node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "supported_hyperparameters"
    ]
    assert isinstance(supported.body[0], ast.Return)
    assert isinstance(supported.body[0].value, ast.Set)
    quoted = Counter(re.findall(r"""["'](\w+)["']""", text))
    for key in ast.literal_eval(supported.body[0].value):
        assert quoted[key] >= 2, key


@every_file
def test_nngpts_validator_finds_its_imports(text):
    """The literal texts that NNGPT's validator looks for are in every file."""
    assert "import torch\n" in text
    assert "import torch.nn" in text


@every_file
def test_net_has_the_methods_that_lemur_calls(text, module):
    """Net has LEMUR's methods and signatures, and ``learn`` has a variable ``loss``."""
    expected = {
        "__init__": ["self", "in_shape", "out_shape", "prm", "device"],
        "train_setup": ["self", "prm"],
        "learn": ["self", "train_data"],
        "forward": ["self", "x"],
    }
    signatures = {name: list(inspect.signature(getattr(module.Net, name)).parameters) for name in expected}
    assert signatures == expected
    assert issubclass(module.Net, torch.nn.Module)
    assert list(inspect.signature(module.make_scheduler).parameters) == ["optimizer", "total_steps", "prm"]
    learn = ast.parse(textwrap.dedent(inspect.getsource(module.Net.learn)))
    assert "loss" in {
        node.id for node in ast.walk(learn) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }
    setup = ast.parse(textwrap.dedent(inspect.getsource(module.Net.train_setup)))
    kept = {
        node.attr for node in ast.walk(setup) if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)
    }
    assert kept >= {"criterion", "optimizer", "scheduler"}


def test_lemurs_identity_of_every_file_is_unique(grid, rendered):
    """LEMUR's identity, the MD5 of the text without white space, is unique among the rendered files."""
    identities = Counter(
        hashlib.md5(re.sub(r"\s", "", path.read_text()).encode()).hexdigest() for path in rendered.rglob("A0_*.py")
    )
    assert len(identities) == len(grid)


def test_no_two_schedules_have_the_same_code(catalogue):
    """Any two variants differ in the code of the schedule or in the unit."""
    renderer = Renderer(catalogue)
    codes = Counter((renderer.schedule(variant), variant.unit) for variant in catalogue.schedules)
    assert [code for code, count in codes.items() if count > 1] == []


# Broken templates.

FAMILY = """title = "Mine"
summary = "Mine."

[[variant]]
number = {number}
name = "Mine"
title = "a schedule of mine"
summary = "The learning rate is constant."
formula = "1"
unit = "epoch"
past_end = "hold"
template = "mine"
curve = "mine"
source = "me"

[variant.hyperparameters]
factor = {{ default = 0.5, meaning = "Ratio of the learning rate to `lr`." }}
"""
SCHEDULE = """from torch.optim import Optimizer
from torch.optim.lr_scheduler import ConstantLR, LRScheduler

def make_scheduler(optimizer: Optimizer, total_steps: int, prm: dict[str, float]) -> LRScheduler:
    return ConstantLR(optimizer, total_iters=total_steps, factor={body})
"""


@pytest.fixture
def own(tmp_path: Path) -> Callable[[str], Path]:
    """Make a folder with a family of one variant, with a piece of its template."""

    def make(body: str) -> Path:
        folder = tmp_path / "own" / "schedulers" / "mine"
        folder.mkdir(parents=True)
        folder.joinpath("family.toml").write_text(FAMILY.format(number=FIRST_USER_NUMBER))
        folder.joinpath("mine.py.jinja").write_text(SCHEDULE.replace("{body}", body))
        return tmp_path / "own"

    return make


PRM = '{{ prm("factor") }}'
BROKEN = {
    "declared and never read": ("0.5", "factor is declared and never read"),
    "read by template and not declared": (PRM + ' * {{ prm("other") }}', "declares no hyperparameter 'other'"),
    "read by code and not declared": (PRM + ' * prm.get("other", 1.0)', "other is read and not declared"),
    "indexed and not declared": (PRM + ' * prm["other"]', "other is read and not declared"),
    "unknown word": (PRM + " * {{ other }}", "'other' is undefined"),
    "not a template": (PRM + " * {{ other", "mine.py.jinja"),
    "unknown filter": (PRM + " * {{ 1 | other }}", "other"),
    "missing part": (PRM + '{% include "nothing.jinja" %}', "nothing.jinja"),
    "not Python": (PRM + " +", "does not render Python"),
    "unterminated text": (PRM + ' + """', "does not render Python"),
}


@pytest.mark.parametrize(("body", "fragment"), BROKEN.values(), ids=BROKEN)
def test_a_broken_template_is_an_error_and_nothing_is_written(lrgen, own, tmp_path, body, fragment):
    """An invalid template ends with exit code 2 and its name, and no file is written."""
    code, out, err = lrgen("render", "--templates", own(body), "--variant", "1", "--variant", "Mine", "--out", "out")
    assert (code, out) == (2, "")
    assert fragment in err
    assert "mine" in err or f"variant {FIRST_USER_NUMBER}" in err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ('{{ prm("start") }}', "the variant declares no hyperparameter 'start'"),
        ('prm.get("start", 0.5)', "hyperparameter start is read and not declared in mine"),
    ],
)
def test_a_template_that_reads_an_old_name_is_an_error_with_the_new_one(own, body, problem):
    """A template that was copied before a hyperparameter was renamed says what it is called now."""
    folder = own(body)
    family = folder / "schedulers" / "mine" / "family.toml"
    family.write_text(family.read_text().replace("factor =", "initial_lr_ratio ="))
    wider = catalogues.load([folder])
    with pytest.raises(CatalogueError, match=f"{re.escape(problem)}: it is called initial_lr_ratio now"):
        Renderer(wider).render(wider.architecture("ResNet"), wider.variant("Mine"))


def test_a_family_of_a_users_own_may_use_an_old_name(own):
    """What lrgen renamed in its variants is a name like any other in a user's."""
    folder = own('{{ prm("start") }}')
    family = folder / "schedulers" / "mine" / "family.toml"
    family.write_text(family.read_text().replace("factor =", "start ="))
    wider = catalogues.load([folder])
    text = Renderer(wider).render(wider.architecture("ResNet"), wider.variant("Mine")).text
    assert 'prm.get("start", 0.5)' in text


@pytest.mark.parametrize("expression", ["1 / 0", "1 + 'a'", "'a' | number"])
def test_an_expression_that_fails_while_rendering_is_a_broken_template(own, expression):
    """An expression that fails is a CatalogueError that names the template."""
    wider = catalogues.load([own(PRM + " * {{ " + expression + " }}")])
    with pytest.raises(CatalogueError, match=r"^schedulers/mine/mine\.py\.jinja: cannot be rendered: "):
        Renderer(wider).render(wider.architecture("ResNet"), wider.variant("Mine"))


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        ("{% for i in range(10**12) %}{% endfor %}", "takes longer than 0.5 s"),
        ("{% for i in range(10**6) %}{% for j in range(10**6) %}x{% endfor %}{% endfor %}", "takes longer than 0.5 s"),
        ("{{ 'x' * 10**11 }}", "needs more than 4 GiB of memory"),
        ("{{ 'x' * 10**7 }}", "renders 10,000,283 characters, the maximum is 1,000,000"),
        ("{% include 'schedulers/mine/mine.py.jinja' %}", "is nested too deeply"),
        ("{{ cycler.__init__.__globals__['os']._exit(3) }}", "ends its process with exit code 3"),
    ],
)
def test_a_template_that_never_ends_is_a_broken_template(own, monkeypatch, expression, problem):
    """A template that loops, builds gigabytes, recurses or exits is one CatalogueError, within a stated time."""
    monkeypatch.setattr(limited, "SECONDS", 0.5)
    wider = catalogues.load([own(PRM + expression)])
    with pytest.raises(CatalogueError) as raised:
        Renderer(wider).render(wider.architecture("ResNet"), wider.variant("Mine"))
    assert str(raised.value) == f"schedulers/mine/mine.py.jinja: {problem}"


def test_shipped_files_are_rendered_in_this_process(monkeypatch):
    """Only the templates of a user are rendered in a process of their own."""
    monkeypatch.setattr(limited, "call", lambda *_: pytest.fail("a shipped template needs no limits"))
    assert Renderer(CATALOGUE).render(CATALOGUE.architecture("ResNet"), CATALOGUE.variant(1)).text


def test_a_read_over_two_lines_is_recognised(own):
    """A hyperparameter counts as read when black splits the read over two lines."""
    long = "something_that_takes_a_long_name(" * 2 + "prm.get('factor', " + "1 + " * 16 + "0.5)))"
    wider = catalogues.load([own(long)])
    text = Renderer(wider).render(wider.architecture("ResNet"), wider.variant("Mine")).text
    assert "prm.get(\n" in text


if __name__ == "__main__":
    for model, chosen in GOLDEN:
        golden = Renderer(CATALOGUE).render(CATALOGUE.architecture(model), CATALOGUE.variant(chosen))
        target = output.path_of(paths.GOLDEN, golden.architecture, golden.variant)
        files.write_atomically(target, golden.text)
