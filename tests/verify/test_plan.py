"""What a verification is asked for decides how it is run, before any file is looked at."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lrgen.config import Settings
from lrgen.errors import ConfigError, DeviceError, UnknownNameError
from lrgen.records import Outcome, Stage, Status, VerifySettings
from lrgen.verify import plan as planning
from lrgen.verify import run, verdicts
from lrgen.verify.candidate import candidate_of
from lrgen.verify.engines import ray
from lrgen.verify.plan import VerifyRequest, plan
from lrgen.verify.sandbox import Isolation

ON_CPU = Settings(device="cpu")
ON_GPU = Settings(device="cuda")


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight cores, one GPU with memory for five files."""
    monkeypatch.setattr(planning, "cores", lambda: 8)
    monkeypatch.setattr(planning, "cuda_devices", lambda: 1)
    monkeypatch.setattr(planning, "free_slots", lambda device: 5)


def test_without_a_wish_every_core_has_a_file(machine):
    """What is asked for by default: the settings of lrgen.toml, one seed, one file a core with one thread."""
    found = plan(ON_CPU, VerifyRequest())
    assert found.settings == (VerifySettings(),)
    assert (found.workers, found.timeout, found.force, found.isolation, found.engine) == (
        8,
        900.0,
        False,
        None,
        "local",
    )


@pytest.mark.parametrize(
    ("settings", "request_", "workers", "threads"),
    [
        (ON_CPU, {}, 8, 1),
        (Settings(device="cpu", workers=2), {}, 2, 4),
        (Settings(device="cpu", workers=3), {}, 3, 2),
        (Settings(device="cpu", workers=20), {}, 20, 1),
        (ON_GPU, {}, 5, 1),
        (ON_GPU, {"slots": 2}, 2, 1),
        (Settings(device="cuda", workers=2), {"slots": 3}, 3, 4),
    ],
)
def test_the_machine_is_shared(settings, request_, workers, threads):
    """On the CPU the workers share the cores, on a GPU there are as many files as slots."""
    found = plan(settings, VerifyRequest(**request_))
    assert (found.workers, found.settings[0].threads) == (workers, threads)


@pytest.mark.parametrize(("workers", "taken"), [(0, 12), (4, 4), (40, 12)])
def test_a_cluster_says_how_much_room_it_has(monkeypatch, workers, taken):
    """Its slots bound the workers that were asked for; its GPU need not be on this machine."""
    asked: list[Any] = []
    monkeypatch.setattr(ray, "slots", lambda *how: asked.append(how) or 12)
    monkeypatch.setattr(planning, "cuda_devices", lambda: 0)
    settings = Settings(device="cuda:3", workers=workers)
    found = plan(settings, VerifyRequest(engine="ray", address="there:1", slots=2))
    assert (found.workers, found.settings[0].device, found.engine, found.address) == (taken, "cuda:0", "ray", "there:1")
    assert asked == [("there:1", "cuda:0", found.settings[0].threads, 2)]


def test_seeds_are_consecutive():
    """Each has settings of its own, alike but for the seed."""
    found = plan(Settings(device="cpu", seed=7, epochs=3), VerifyRequest(seeds=3, full=True, compile=True))
    first = VerifySettings(seed=7, epochs=3, full=True, compile=True)
    assert found.settings == (first, replace(first, seed=8), replace(first, seed=9))


def test_options_and_settings_end_in_the_plan():
    """What is not looked up is passed on."""
    settings = Settings(device="cpu", timeout=5.0, data_root=Path("there"), enable_database_caching=False)
    found = plan(settings, VerifyRequest(stage="contract", isolation="sandbox", download=True))
    assert found.settings[0].stage is Stage.CONTRACT
    assert (found.isolation, found.download, found.data_root) == (Isolation.SANDBOX, True, Path("there"))
    assert (found.timeout, found.force) == (5.0, True)
    assert plan(ON_CPU, VerifyRequest(force=True)).force


@pytest.mark.parametrize(
    ("request_", "error", "told"),
    [
        ({"stage": "trainning"}, UnknownNameError, "unknown stage 'trainning': did you mean training?"),
        ({"isolation": "docker"}, UnknownNameError, "unknown isolation 'docker': known: process, sandbox"),
        ({"engine": "slurm"}, UnknownNameError, "unknown engine 'slurm': known: local, ray"),
        ({"address": "a:1"}, ConfigError, "--address a:1 requires --engine ray"),
        ({"slots": 2}, ConfigError, "--slots 2 requires a GPU: on the CPU, use --workers"),
        (
            {"seeds": 2, "stage": "schedule"},
            ConfigError,
            "--seeds 2 repeats the training check, which --stage schedule does not reach",
        ),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_is_run(request_, error, told):
    """The error names the option and the value."""
    with pytest.raises(error) as raised:
        plan(ON_CPU, VerifyRequest(**request_))
    assert str(raised.value) == told


def test_an_unknown_dataset_is_refused():
    """Also when the stage that was asked for does not train."""
    with pytest.raises(UnknownNameError, match="unknown dataset 'imagenet'"):
        plan(Settings(device="cpu", dataset="imagenet"), VerifyRequest(stage="syntax"))


def test_a_plan_is_executed_seed_by_seed(monkeypatch, tmp_path):
    """Each outcome comes with its seed; no more files run at a time than there are."""
    calls: list[tuple[int, dict[str, Any]]] = []

    def verify(candidates: Any, settings: VerifySettings, store: Any, **how: Any) -> Any:
        calls.append((settings.seed, how))
        yield from (Outcome(one, Status.FAILED, Stage.SYNTAX, "", 1.0) for one in candidates)

    monkeypatch.setattr(run, "verify", verify)
    files = [candidate_of(tmp_path / name, b"") for name in ("a.py", "b.py")]
    found = list(run.execute(plan(ON_CPU, VerifyRequest(seeds=2, force=True)), files, verdicts.cache_in(tmp_path)))
    assert [(outcome.candidate, seed) for outcome, seed in found] == [(f, s) for s in (0, 1) for f in files]
    assert [(seed, how["workers"], how["force"], how["timeout"]) for seed, how in calls] == [
        (0, 2, True, 900.0),
        (1, 2, True, 900.0),
    ]


# Devices.


@pytest.mark.parametrize(
    ("name", "count", "resolved"),
    [("auto", 0, "cpu"), ("auto", 2, "cuda:0"), ("cpu", 2, "cpu"), ("cuda", 1, "cuda:0"), ("cuda:1", 2, "cuda:1")],
)
def test_a_device_is_resolved(monkeypatch, name, count, resolved):
    """``auto`` is the first GPU where there is one, else the processor."""
    monkeypatch.setattr(planning, "cuda_devices", lambda: count)
    assert planning.resolve_device(name) == resolved


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("cuda", "device cuda does not exist: torch finds 0 CUDA devices"),
        ("cuda:0", "device cuda:0 does not exist: torch finds 0 CUDA devices"),
        ("gpu", "device must be auto, cpu, cuda or cuda:N, got 'gpu'"),
        ("cuda:x", "device must be auto, cpu, cuda or cuda:N, got 'cuda:x'"),
        ("cuda:-1", "device must be auto, cpu, cuda or cuda:N, got 'cuda:-1'"),
        ("cpu:0", "device must be auto, cpu, cuda or cuda:N, got 'cpu:0'"),
        ("", "device must be auto, cpu, cuda or cuda:N, got ''"),
    ],
)
def test_a_device_that_is_not_there_is_named(monkeypatch, name, told):
    """A device that cannot be used is an error that names it, before any child is started."""
    monkeypatch.setattr(planning, "cuda_devices", lambda: 0)
    with pytest.raises(DeviceError) as raised:
        planning.resolve_device(name)
    assert str(raised.value) == told
