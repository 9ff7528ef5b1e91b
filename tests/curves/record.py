"""Writes recorded.json: learning rates of libraries that cannot be installed in the same environment.

They pin another version of torch, have no build for this version of Python, or are too large. Their published archives
are opened without being installed; the module with the schedules is loaded with stubs for its other imports, and its
learning rates are recorded. To record them again, run in an empty folder::

    python -m pip download --no-deps ai2-olmo-core==3.0.0 ai2-olmo==0.6.0 axolotl==0.19.0 allennlp==2.10.1 \
        fairseq==0.12.2 espnet==202511 deepspeed==0.19.8 diffusers==0.42.1
    python -m tests.curves.record FOLDER
"""

import contextlib
import enum
import json
import math
import sys
import tarfile
import types
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from transformers import get_cosine_schedule_with_warmup

LR = 0.1
HORIZONS = (40, 100, 300)
RECORDED = Path(__file__).parent / "recorded.json"


def source_of(folder: Path, package: str, module: str) -> tuple[str, str]:
    """The source of a module in a downloaded archive, and the version of the archive."""
    (archive,) = [path for path in folder.iterdir() if path.name.lower().startswith(f"{package}-")]
    version = archive.name.removesuffix(".tar.gz").removesuffix(".whl").split("-")[1]
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as opened:
            return opened.read(module).decode(), version
    with tarfile.open(archive) as opened:
        member = opened.extractfile(f"{archive.name.removesuffix('.tar.gz')}/{module}")
        assert member is not None
        return member.read().decode(), version


class Base:
    """Stub of a configuration base class."""

    def __init__(self, *args: Any, **kwargs: Any) -> None: ...


class Registry:
    """Stub of a base class with a registry."""

    @classmethod
    def register(cls, name: str) -> Callable[[type], type]:
        """A decorator that returns the class unchanged."""
        return lambda registered: registered


class FairseqScheduler:
    """Stub of fairseq's base class."""

    def __init__(self, cfg: Any, optimizer: Any) -> None:
        self.cfg = cfg
        self.optimizer = optimizer


@contextlib.contextmanager
def stubbed(modules: dict[str, dict[str, Any]]) -> Iterator[None]:
    """Put modules with nothing but the given names, and their parent packages, into ``sys.modules``."""
    names = {".".join(name.split(".")[:count]) for name in modules for count in range(1, name.count(".") + 2)}
    before = {name: sys.modules.get(name) for name in names}
    try:
        for name in names:
            module = types.ModuleType(name)
            module.__path__ = []  # makes it a package
            vars(module).update(modules.get(name, {}))
            sys.modules[name] = module
        yield
    finally:
        for name, module in before.items():
            sys.modules.pop(name) if module is None else sys.modules.__setitem__(name, module)


def load(name: str, source: str, modules: dict[str, dict[str, Any]]) -> types.ModuleType:
    """A module from its source, with stubs for its imports."""
    module = types.ModuleType(name)
    module.__package__ = name.rpartition(".")[0]
    with stubbed(modules):
        sys.modules[name] = module
        exec(compile(source, f"{name}.py", "exec"), vars(module))
    sys.modules[name] = module  # dataclasses look up their module
    return module


def optimizer_of(groups: int = 1) -> torch.optim.Optimizer:
    """SGD with one dummy parameter per group."""
    return torch.optim.SGD([{"params": [torch.nn.Parameter(torch.zeros(1))]} for _ in range(groups)], lr=LR)


def stepped(make: Callable[[torch.optim.Optimizer], Any], count: int) -> list[float]:
    """The learning rates of a scheduler with torch's interface."""
    optimizer = optimizer_of()
    scheduler = make(optimizer)
    rates = []
    for _ in range(count):
        rates.append(float(optimizer.param_groups[0]["lr"]))
        optimizer.step()
        scheduler.step()
    return rates


class Libraries:
    """The modules with the schedules, loaded from archives in a folder."""

    def __init__(self, folder: Path) -> None:
        self.versions: dict[str, str] = {}

        def opened(package: str, module: str, stubs: dict[str, dict[str, Any]] | None = None) -> types.ModuleType:
            source, self.versions[package] = source_of(folder, package, module)
            return load(module.removesuffix(".py").replace("/", "."), source, stubs or {})

        self.olmo_core = opened(
            "ai2_olmo_core",
            "olmo_core/optim/scheduler.py",
            {
                "olmo_core.config": {"Config": Base, "Registrable": Registry, "StrEnum": enum.StrEnum},
                "olmo_core.distributed.utils": {"get_rank": lambda: 1},
                "olmo_core.exceptions": {"OLMoConfigurationError": ValueError},
                "olmo_core.optim.config": {"INITIAL_LR_FIELD": "initial_lr", "LR_FIELD": "lr"},
            },
        )
        self.olmo = opened(
            "ai2_olmo",
            "olmo/optim.py",
            {
                "olmo": {"LayerNormBase": Base},
                "olmo.config": dict.fromkeys(
                    ("OptimizerType", "SchedulerConfig", "SchedulerType", "TrainConfig"), Base
                ),
                "olmo.torch_util": dict.fromkeys(("get_default_device", "is_distributed")),
            },
        )
        self.axolotl = opened("axolotl", "axolotl/utils/schedulers.py")
        base = opened("allennlp", "allennlp/training/scheduler.py").Scheduler

        class LearningRateScheduler(base, Registry):  # type: ignore[misc, valid-type]
            def __init__(self, optimizer: torch.optim.Optimizer, last_epoch: int) -> None:
                super().__init__(optimizer, "lr", last_epoch)

        self.allennlp = opened(
            "allennlp",
            "allennlp/training/learning_rate_schedulers/slanted_triangular.py",
            {
                "allennlp.training.learning_rate_schedulers.learning_rate_scheduler": {
                    "LearningRateScheduler": LearningRateScheduler
                }
            },
        )
        self.fairseq = opened(
            "fairseq",
            "fairseq/optim/lr_scheduler/tri_stage_lr_scheduler.py",
            {
                "omegaconf": {"II": str},
                "fairseq.dataclass": {"FairseqDataclass": Base},
                "fairseq.optim.lr_scheduler": {
                    "FairseqLRScheduler": FairseqScheduler,
                    "register_lr_scheduler": lambda *_, **__: lambda scheduler: scheduler,
                },
            },
        )
        self.espnet = opened(
            "espnet",
            "espnet2/schedulers/noam_lr.py",
            {
                "typeguard": {"typechecked": lambda checked: checked},
                "espnet2.schedulers.abs_scheduler": {"AbsBatchStepScheduler": object},
            },
        )
        self.deepspeed = opened(
            "deepspeed",
            "deepspeed/runtime/lr_schedules.py",
            {"deepspeed.utils": {"logger": types.SimpleNamespace(warning=id)}},
        )
        source, self.versions["diffusers"] = source_of(folder, "diffusers", "diffusers/optimization.py")
        stubs = {"diffusers.utils": {"logging": types.SimpleNamespace(get_logger=id)}}
        self.diffusers = load("diffusers.optimization", source, stubs)


def record(libraries: Libraries) -> Iterator[tuple[int, str, Callable[[int], list[Any]]]]:
    """(number of the variant, name of the reference, its learning rates for a horizon), with the variant's defaults."""

    def core(scheduler: Any, count: int, horizon: int) -> list[float]:
        return [float(scheduler.get_lr(LR, step, horizon)) for step in range(count)]

    def deepspeed(make: Callable[[torch.optim.Optimizer], Any], count: int) -> list[float]:
        optimizer = optimizer_of()
        scheduler = make(optimizer)
        rates = []
        for _ in range(count):
            scheduler.step()  # DeepSpeed sets the first learning rate in step()
            rates.append(float(optimizer.param_groups[0]["lr"]))
        return rates

    yield (
        53,
        "deepspeed WarmupLR(log)",
        lambda T: deepspeed(lambda opt: libraries.deepspeed.WarmupLR(opt, 0.0, LR, round(0.2 * T), "log"), T),
    )
    yield (
        65,
        "diffusers get_piecewise_constant_schedule",
        lambda T: stepped(
            lambda opt: libraries.diffusers.get_piecewise_constant_schedule(
                opt, f"1:{round(0.1 * T)},0.3:{round(0.5 * T)},0.6:{round(0.6 * T)},0.05"
            ),
            T,
        ),
    )
    yield (
        89,
        "axolotl RexLR, whose first rate is that of step 1",
        lambda T: [
            math.nan,
            *stepped(
                lambda opt: libraries.axolotl.RexLR(opt, LR, 0.0, total_steps=T, num_warmup_steps=round(0.05 * T)), T
            ),
        ],
    )
    yield (
        100,
        "axolotl get_cosine_schedule_with_warmup_decay_constant",
        lambda T: stepped(
            lambda opt: libraries.axolotl.get_cosine_schedule_with_warmup_decay_constant(
                opt, round(0.05 * T), T, 0.6, 0.1
            ),
            T + 5,
        ),
    )
    yield (
        101,
        "olmo CosLinearEnvelope",
        lambda T: core(
            libraries.olmo.CosLinearEnvelope(None, None, 0.0, warmup_steps=round(0.05 * T), alpha_f=0.0), T + 5, T
        ),
    )
    yield (
        102,
        "olmo_core CosWithWarmupAndLinearDecay",
        lambda T: core(
            libraries.olmo_core.CosWithWarmupAndLinearDecay(warmup=round(0.05 * T), alpha_f=0.3, decay_fraction=0.15),
            T + 1,
            T,
        ),
    )
    yield (
        105,
        "olmo_core HalfCosWithWarmup",
        lambda T: core(libraries.olmo_core.HalfCosWithWarmup(warmup=round(0.05 * T), alpha_f=0.1), T + 5, T),
    )
    yield (
        113,
        "axolotl JaggedLRRestartScheduler over transformers' cosine, which begins at step 1",
        lambda T: [
            math.nan,
            *stepped(
                lambda opt: libraries.axolotl.JaggedLRRestartScheduler(
                    opt, get_cosine_schedule_with_warmup(opt, round(0.05 * T), T), round(0.25 * T), round(0.02 * T)
                ),
                T,
            ),
        ],
    )
    yield 125, "allennlp SlantedTriangular", lambda T: by_batch(libraries.allennlp.SlantedTriangular, 1, T)[0]
    yield (
        131,
        "deepspeed OneCycle",
        lambda T: stepped(
            lambda opt: libraries.deepspeed.OneCycle(
                opt,
                cycle_min_lr=0.1 * LR,
                cycle_max_lr=LR,
                decay_lr_rate=0.5,
                cycle_first_step_size=round(0.3 * T),
                decay_step_size=round(0.05 * T),
                cycle_momentum=False,
            ),
            T + 5,
        ),
    )
    yield (
        138,
        "olmo_core WSDS",
        lambda T: core(
            libraries.olmo_core.WSDS(
                period_lengths=[round(T / 3), round(2 * T / 3) - round(T / 3), T - round(2 * T / 3)],
                warmup=round(0.05 * T),
                decay_fraction=0.2,
                decay_min_lr=0.1 * LR,
            ),
            T + 5,
            T,
        ),
    )
    yield 139, "fairseq tri_stage", lambda T: tri_stage(libraries.fairseq, T)
    yield (
        147,
        "espnet NoamLR, scaled to its peak",
        lambda T: stepped(
            lambda opt: libraries.espnet.NoamLR(opt, model_size=1 / round(0.04 * T), warmup_steps=round(0.04 * T)),
            2 * T,
        ),
    )
    yield (
        151,
        "olmo_core PowerLR",
        lambda T: core(libraries.olmo_core.PowerLR(b=-0.51, warmup=round(0.05 * T), decay_fraction=0.1), T + 1, T),
    )
    yield (
        155,
        "deepspeed LRRangeTest(staircase)",
        lambda T: stepped(
            lambda opt: libraries.deepspeed.LRRangeTest(
                opt, 0.1 * LR, T // 20, 0.9 / 1.9, lr_range_test_staircase=True
            ),
            T,
        ),
    )
    yield (
        173,
        "allennlp SlantedTriangular(discriminative_fine_tuning)",
        lambda T: by_batch(
            libraries.allennlp.SlantedTriangular, 4, T, discriminative_fine_tuning=True, decay_factor=10 / 26
        ),
    )


def by_batch(make: Callable[..., Any], groups: int, horizon: int, **options: Any) -> list[list[float]]:
    """The learning rates of an AllenNLP scheduler for an epoch of ``horizon`` batches, one row per group."""
    optimizer = optimizer_of(groups)
    scheduler = make(optimizer, 1, horizon, **options)
    rows = []
    for step in range(horizon):
        rows.append([float(group["lr"]) for group in optimizer.param_groups])
        scheduler.step_batch(step + 1)
    return [list(row) for row in zip(*rows, strict=True)]


def tri_stage(fairseq: types.ModuleType, horizon: int) -> list[float]:
    """fairseq's tri-stage schedule: warm-up from 0.01 over 0.1 T, constant for 0.4 T, decay to 0.05 over 0.5 T."""
    optimizer = types.SimpleNamespace(lr=0.0)
    optimizer.set_lr = lambda lr: setattr(optimizer, "lr", lr)
    config = types.SimpleNamespace(
        lr=[LR],
        phase_ratio=None,
        init_lr_scale=0.01,
        final_lr_scale=0.05,
        warmup_steps=round(0.1 * horizon),
        hold_steps=round(0.4 * horizon),
        decay_steps=horizon - round(0.1 * horizon) - round(0.4 * horizon),
    )
    scheduler = fairseq.TriStageLRSchedule(config, optimizer)
    return [scheduler.step_update(step) for step in range(horizon + 5)]


def main(folder: Path) -> None:
    """Record the learning rates of the libraries in the folder."""
    warnings.simplefilter("ignore")
    libraries = Libraries(folder)
    rates = [
        {"number": number, "code": code, "horizon": horizon, "rates": trace(horizon)}
        for number, code, trace in record(libraries)
        for horizon in HORIZONS
    ]
    text = json.dumps({"lr": LR, "versions": libraries.versions, "traces": rates}, indent=None)
    RECORDED.write_text(text.replace('{"number"', '\n{"number"') + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
