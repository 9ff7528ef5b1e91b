"""The plan of a verification: its device, the number of files at a time, and the settings of each seed."""

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from lrgen.config import SEED_LIMIT, Settings
from lrgen.errors import ConfigError, DeviceError, UnknownNameError, shown
from lrgen.records import Policy, Stage, VerifySettings
from lrgen.verify.case_seed import check_case_seed
from lrgen.verify.isolation import Isolation

ENGINES = ("local", "ray")
# Bytes of GPU memory that a file may need: its CUDA context and the largest network at 224 pixels.
_SLOT_BYTES = 4 << 30
_DEVICE = re.compile("auto|cpu|cuda(:[0-9]{1,4})?")


@dataclass(frozen=True)
class VerifyRequest:
    """The options of a verification besides those of lrgen.toml; names are not validated yet.

    ``seeds`` is the number of consecutive seeds, starting at the seed of lrgen.toml. ``slots`` is the number of files
    that share a GPU (None: as many as fit into its free memory). Without ``policy`` the files may contain any code.
    Without ``case_seed`` each run draws a new one. Without ``isolation``, files that the catalogue does not render run
    in a sandbox. ``address`` is that of a Ray cluster. ``force`` ignores cached results. ``given`` are hyperparameters
    that every file gets in ``prm``.
    """

    stage: str = Stage.TRAINING
    policy: str | None = None
    seeds: int = 1
    case_seed: int | None = None
    given: Mapping[str, int | float] = field(default_factory=dict)
    full: bool = False
    compile: bool = False
    autocast: bool = False
    whole: bool = False
    slots: int | None = None
    isolation: str | None = None
    engine: str = "local"
    address: str | None = None
    download: bool = False
    force: bool = False


@dataclass(frozen=True)
class VerifyPlan:
    """The plan of a run: each file is run once with each of the ``settings``, which differ in their seed."""

    settings: tuple[VerifySettings, ...]
    workers: int
    timeout: float
    force: bool
    case_seed: int | None
    isolation: Isolation | None
    engine: str
    address: str | None
    data_root: Path
    download: bool


def plan(settings: Settings, request: VerifyRequest) -> VerifyPlan:
    """Validate a request and resolve it to a plan, which does not depend on the files.

    Raises:
        UnknownNameError: if a stage, a policy, an isolation, an engine or a dataset does not exist.
        ConfigError: if options exclude each other, or a feature is switched off.
        DeviceError: if the device is missing or cannot be used.
        EngineError: if there is no cluster at the address.
    """
    _check(settings, request)
    from lrgen import data

    data.check_name(settings.dataset, settings.enable_extended_classes)
    # The driver of a cluster need not have the GPUs of its nodes.
    on_cluster = request.engine == "ray" and settings.device.startswith("cuda")
    device = "cuda:0" if on_cluster else resolve_device(settings.device)
    threads = max(1, cores() // (settings.workers or cores()))
    first = VerifySettings(
        stage=Stage(request.stage),
        policy=Policy(request.policy) if request.policy else None,
        dataset=settings.dataset,
        epochs=settings.epochs,
        batch_size=settings.batch_size,
        device=device,
        threads=threads,
        full=request.full,
        compile=request.compile,
        autocast=request.autocast,
        whole=request.whole,
        given=tuple(sorted(request.given.items())),
    )
    return VerifyPlan(
        settings=tuple(replace(first, seed=settings.seed + offset) for offset in range(request.seeds)),
        workers=_workers(settings, request, device, threads),
        timeout=settings.timeout,
        force=request.force or not settings.enable_database_caching,
        case_seed=request.case_seed,
        isolation=Isolation(request.isolation) if request.isolation else None,
        engine=request.engine,
        address=request.address,
        data_root=settings.data_root,
        download=request.download,
    )


def _check(settings: Settings, request: VerifyRequest) -> None:
    if request.stage not in list(Stage):
        raise UnknownNameError("stage", request.stage, list(Stage))
    if request.policy is not None and request.policy not in list(Policy):
        raise UnknownNameError("policy", request.policy, list(Policy))
    if request.seeds > 1 and request.stage != Stage.TRAINING:
        raise ConfigError(
            f"--seeds {request.seeds} repeats the training check, which --stage {request.stage} does not reach"
        )
    if settings.seed + request.seeds > SEED_LIMIT:
        raise ConfigError(f"seed: {settings.seed} and the {request.seeds - 1} after it must be less than {SEED_LIMIT}")
    if request.case_seed is not None:
        check_case_seed(request.case_seed)
    if request.isolation is not None and request.isolation not in list(Isolation):
        raise UnknownNameError("isolation", request.isolation, list(Isolation))
    if request.engine not in ENGINES:
        raise UnknownNameError("engine", request.engine, ENGINES)
    if request.address is not None and request.engine != "ray":
        raise ConfigError(f"--address {request.address} requires --engine ray")


def _workers(settings: Settings, request: VerifyRequest, device: str, threads: int) -> int:
    """The number of files that run at a time: the requested workers or slots, or as many as the device holds."""
    if device == "cpu" and request.slots:
        raise ConfigError(f"--slots {request.slots} requires a GPU: on the CPU, use --workers")
    if request.engine == "ray":
        from lrgen.verify.engines import ray

        available = ray.slots(request.address, device, threads, request.slots or 1)
        return min(settings.workers or available, available)
    if device != "cpu":
        return request.slots or free_slots(device)
    return settings.workers or cores()


def resolve_device(name: str) -> str:
    """Resolve ``auto`` and ``cuda`` to ``cpu`` or ``cuda:N``.

    Raises:
        DeviceError: if the name is not valid, or torch does not have the device.
    """
    if not _DEVICE.fullmatch(name):
        raise DeviceError(f"device must be auto, cpu, cuda or cuda:N, got {shown(name)}")
    kind, _, index = name.partition(":")
    if kind == "cpu":
        return "cpu"
    count = cuda_devices()
    if kind == "auto":
        return "cuda:0" if count else "cpu"
    if int(index or 0) >= count:
        raise DeviceError(f"device {name} does not exist: torch finds {count} CUDA device{'s' * (count != 1)}")
    return f"cuda:{int(index or 0)}"


def cores() -> int:
    """The number of CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def free_slots(device: str) -> int:
    """The number of files that fit into the free memory of a GPU, at most one per core.

    A separate process queries the GPU, because a process with a CUDA context can no longer fork.
    """
    index = int(device.partition(":")[2] or 0)
    code = f"import torch; print(torch.cuda.mem_get_info({index})[0])"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    if answer.returncode:
        raise DeviceError(f"device {device} cannot be used: {answer.stderr.strip().splitlines()[-1]}")
    return max(1, min(int(answer.stdout) // _SLOT_BYTES, cores()))


def cuda_devices() -> int:
    if not list(Path("/dev").glob("nvidia[0-9]*")):
        return 0
    import torch

    return torch.cuda.device_count()
