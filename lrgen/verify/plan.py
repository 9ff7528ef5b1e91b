"""What a verification is asked for → how it is run: on which device, how many files at a time, under which seeds."""

import os
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from lrgen.config import Settings
from lrgen.errors import ConfigError, DeviceError, UnknownNameError
from lrgen.records import Stage, VerifySettings
from lrgen.verify.sandbox import Isolation

ENGINES = ("local", "ray")
# Bytes of a GPU that a file may need: its context, and the largest network at 224 pixels.
_SLOT = 4 << 30


@dataclass(frozen=True)
class VerifyRequest:
    """What a caller asks for, beside what stands in lrgen.toml; names as they were typed.

    ``seeds`` are consecutive ones, from that of lrgen.toml on. ``slots`` are files at a time on one GPU (None: as many
    as its free memory holds). Without ``isolation`` the files that lrgen did not render run in a sandbox. ``address``
    is that of a Ray cluster. ``force`` ignores recorded results.
    """

    stage: str = Stage.TRAINING
    seeds: int = 1
    full: bool = False
    compile: bool = False
    autocast: bool = False
    slots: int | None = None
    isolation: str | None = None
    engine: str = "local"
    address: str | None = None
    download: bool = False
    force: bool = False


@dataclass(frozen=True)
class VerifyPlan:
    """How files are run, whichever they are: once under each of the ``settings``, which differ in their seed."""

    settings: tuple[VerifySettings, ...]
    workers: int
    timeout: float
    force: bool
    isolation: Isolation | None
    engine: str
    address: str | None
    data_root: Path
    download: bool


def plan(settings: Settings, request: VerifyRequest) -> VerifyPlan:
    """Everything that is decided before the files are known.

    Raises:
        UnknownNameError: for a stage, an isolation, an engine or a dataset that does not exist.
        ConfigError: when options exclude each other, or a feature is switched off.
        DeviceError: when the device is not here, or cannot be used.
        EngineError: when there is no cluster at the address.
    """
    _check(request)
    from lrgen import data

    data.check_name(settings.dataset, settings.enable_extended_classes)
    # The driver of a cluster need not have the GPUs that its nodes have.
    elsewhere = request.engine == "ray" and settings.device.startswith("cuda")
    device = "cuda:0" if elsewhere else resolve_device(settings.device)
    threads = max(1, cores() // (settings.workers or cores()))
    asked = VerifySettings(
        stage=Stage(request.stage),
        dataset=settings.dataset,
        epochs=settings.epochs,
        batch_size=settings.batch_size,
        device=device,
        threads=threads,
        full=request.full,
        compile=request.compile,
        autocast=request.autocast,
    )
    return VerifyPlan(
        settings=tuple(replace(asked, seed=settings.seed + more) for more in range(request.seeds)),
        workers=_at_a_time(settings, request, device, threads),
        timeout=settings.timeout,
        force=request.force or not settings.enable_database_caching,
        isolation=Isolation(request.isolation) if request.isolation else None,
        engine=request.engine,
        address=request.address,
        data_root=settings.data_root,
        download=request.download,
    )


def _check(request: VerifyRequest) -> None:
    if request.stage not in list(Stage):
        raise UnknownNameError("stage", request.stage, list(Stage))
    if request.seeds > 1 and request.stage != Stage.TRAINING:
        raise ConfigError(
            f"--seeds repeats the training check: with --stage {request.stage} each run would be the same"
        )
    if request.isolation is not None and request.isolation not in list(Isolation):
        raise UnknownNameError("isolation", request.isolation, list(Isolation))
    if request.engine not in ENGINES:
        raise UnknownNameError("engine", request.engine, ENGINES)
    if request.address and request.engine != "ray":
        raise ConfigError("--address is that of a Ray cluster: it needs --engine ray")


def _at_a_time(settings: Settings, request: VerifyRequest, device: str, threads: int) -> int:
    """How many files run at a time: the workers or slots that were asked for, or as many as there is room for."""
    if device == "cpu" and request.slots:
        raise ConfigError("--slots is for a GPU: on the CPU --workers says how many files run at a time")
    if request.engine == "ray":
        from lrgen.verify.engines import ray

        room = ray.slots(request.address, device, threads, request.slots or 1)
        return min(settings.workers or room, room)
    if device != "cpu":
        return request.slots or free_slots(device)
    return settings.workers or cores()


def resolve_device(name: str) -> str:
    """``auto`` → ``cuda:0`` or ``cpu``; a device that is not there is an error.

    Raises:
        DeviceError: when torch has no such device here.
    """
    kind, _, index = name.partition(":")
    if kind not in ("auto", "cpu", "cuda") or (index and not (kind == "cuda" and index.isdigit())):
        raise DeviceError(f"device must be auto, cpu, cuda or cuda:N, got {name!r}")
    if kind == "cpu":
        return "cpu"
    count = cuda_devices()
    if kind == "auto":
        return "cuda:0" if count else "cpu"
    if int(index or 0) >= count:
        raise DeviceError(f"device {name} is not here: torch sees {count} CUDA device{'s' * (count != 1)}")
    return f"cuda:{int(index or 0)}"


def cores() -> int:
    """The processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def free_slots(device: str) -> int:
    """How many files a GPU has free memory for at a time, at most one a core.

    Asked in a process of its own: whoever looks at a GPU keeps a context on it, and cannot fork any more.
    """
    index = int(device.partition(":")[2] or 0)
    code = f"import torch; print(torch.cuda.mem_get_info({index})[0])"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    if answer.returncode:
        raise DeviceError(f"device {device} cannot be used: {answer.stderr.strip().splitlines()[-1]}")
    return max(1, min(int(answer.stdout) // _SLOT, cores()))


def cuda_devices() -> int:
    if not list(Path("/dev").glob("nvidia[0-9]*")):
        return 0
    import torch

    return torch.cuda.device_count()
