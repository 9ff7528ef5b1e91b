"""A plan is made from the settings and the request, before any file is read."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lrgen.config import Settings
from lrgen.errors import ConfigError, DeviceError, UnknownNameError
from lrgen.records import Outcome, Policy, Stage, Status, VerifySettings
from lrgen.verify import plan as planning
from lrgen.verify import run, verdicts
from lrgen.verify.candidate import candidate_of
from lrgen.verify.engines import ray
from lrgen.verify.isolation import Isolation
from lrgen.verify.plan import VerifyRequest, plan

ON_CPU = Settings(device="cpu")
ON_GPU = Settings(device="cuda")


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight cores, one GPU with memory for five files."""
    monkeypatch.setattr(planning, "cores", lambda: 8)
    monkeypatch.setattr(planning, "cuda_devices", lambda: 1)
    monkeypatch.setattr(planning, "free_slots", lambda device: 5)


def test_the_default_plan_runs_one_file_per_core(machine):
    """The default plan has the settings of lrgen.toml, one seed, and a worker with one thread per core."""
    made = plan(ON_CPU, VerifyRequest())
    assert made.settings == (VerifySettings(),)
    assert (made.workers, made.timeout, made.force, made.isolation, made.engine) == (
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
def test_workers_share_the_machine(settings, request_, workers, threads):
    """On the CPU the workers share the cores; a GPU has a worker per slot."""
    made = plan(settings, VerifyRequest(**request_))
    assert (made.workers, made.settings[0].threads) == (workers, threads)


@pytest.mark.parametrize(("workers", "planned"), [(0, 12), (4, 4), (40, 12)])
def test_the_slots_of_a_cluster_limit_the_workers(monkeypatch, workers, planned):
    """A cluster runs at most as many workers as it has slots, on a GPU that this machine need not have."""
    calls: list[Any] = []
    monkeypatch.setattr(ray, "slots", lambda *arguments: calls.append(arguments) or 12)
    monkeypatch.setattr(planning, "cuda_devices", lambda: 0)
    settings = Settings(device="cuda:3", workers=workers)
    made = plan(settings, VerifyRequest(engine="ray", address="there:1", slots=2))
    assert (made.workers, made.settings[0].device, made.engine, made.address) == (planned, "cuda:0", "ray", "there:1")
    assert calls == [("there:1", "cuda:0", made.settings[0].threads, 2)]


def test_seeds_are_consecutive():
    """The settings of the runs differ only in the seed."""
    made = plan(Settings(device="cpu", seed=7, epochs=3), VerifyRequest(seeds=3, full=True, compile=True))
    first = VerifySettings(seed=7, epochs=3, full=True, compile=True)
    assert made.settings == (first, replace(first, seed=8), replace(first, seed=9))


def test_options_and_settings_are_passed_to_the_plan():
    """Stage, policy, isolation, time limit and data options are those of the request and the settings."""
    settings = Settings(device="cpu", timeout=5.0, data_root=Path("there"), enable_database_caching=False)
    made = plan(settings, VerifyRequest(stage="contract", policy="strict", isolation="sandbox", download=True))
    assert (made.settings[0].stage, made.settings[0].policy) == (Stage.CONTRACT, Policy.STRICT)
    assert (made.isolation, made.download, made.data_root) == (Isolation.SANDBOX, True, Path("there"))
    assert (made.timeout, made.force) == (5.0, True)
    assert plan(ON_CPU, VerifyRequest(force=True)).force


@pytest.mark.parametrize(
    ("request_", "error", "message"),
    [
        ({"stage": "trainning"}, UnknownNameError, "unknown stage 'trainning': did you mean training?"),
        ({"policy": "stric"}, UnknownNameError, "unknown policy 'stric': did you mean strict?"),
        ({"isolation": "docker"}, UnknownNameError, "unknown isolation 'docker': known: process, sandbox"),
        ({"engine": "slurm"}, UnknownNameError, "unknown engine 'slurm': known: local, ray"),
        ({"address": "a:1"}, ConfigError, "--address a:1 requires --engine ray"),
        (
            {"case_seed": 2**63},
            ConfigError,
            "case seed: expected an integer from 0 to 9223372036854775807, got 9223372036854775808",
        ),
        ({"case_seed": True}, ConfigError, "case seed: expected an integer from 0 to 9223372036854775807, got True"),
        ({"slots": 2}, ConfigError, "--slots 2 requires a GPU: on the CPU, use --workers"),
        (
            {"seeds": 2, "stage": "schedule"},
            ConfigError,
            "--seeds 2 repeats the training check, which --stage schedule does not reach",
        ),
    ],
)
def test_an_impossible_request_is_an_error(request_, error, message):
    """The error names the option and its value."""
    with pytest.raises(error) as raised:
        plan(ON_CPU, VerifyRequest(**request_))
    assert str(raised.value) == message


def test_an_unknown_dataset_is_an_error():
    """An unknown dataset is an error even if the stage does not train."""
    with pytest.raises(
        UnknownNameError, match="^unknown dataset 'imagenet': known: digits, cifar-10, cifar-20, cifar-100$"
    ):
        plan(Settings(device="cpu", dataset="imagenet"), VerifyRequest(stage="syntax"))


def test_a_plan_is_executed_seed_by_seed(monkeypatch, tmp_path):
    """Each outcome has its seed, and there are at most as many workers as files."""
    calls: list[tuple[int, dict[str, Any]]] = []

    def verify(candidates: Any, settings: VerifySettings, store: Any, **options: Any) -> Any:
        calls.append((settings.seed, options))
        yield from (Outcome(candidate, Status.FAILED, Stage.SYNTAX, "", 1.0) for candidate in candidates)

    monkeypatch.setattr(run, "verify", verify)
    files, store = [candidate_of(tmp_path / name, b"") for name in ("a.py", "b.py")], verdicts.cache_in(tmp_path)
    executed = list(run.execute(plan(ON_CPU, VerifyRequest(seeds=2, force=True, case_seed=7)), files, store))
    assert [(outcome.candidate, seed) for outcome, seed in executed] == [
        (file, seed) for seed in (0, 1) for file in files
    ]
    names = ("workers", "force", "timeout", "case_seed")
    assert [(seed, *(options[name] for name in names)) for seed, options in calls] == [
        (0, 2, True, 900.0, 7),
        (1, 2, True, 900.0, 7),
    ]


# Devices.


@pytest.mark.parametrize(
    ("name", "count", "resolved"),
    [("auto", 0, "cpu"), ("auto", 2, "cuda:0"), ("cpu", 2, "cpu"), ("cuda", 1, "cuda:0"), ("cuda:1", 2, "cuda:1")],
)
def test_a_device_is_resolved(monkeypatch, name, count, resolved):
    """``auto`` is the first GPU, or the CPU if there is no GPU."""
    monkeypatch.setattr(planning, "cuda_devices", lambda: count)
    assert planning.resolve_device(name) == resolved


@pytest.mark.parametrize(
    ("name", "message"),
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
def test_an_invalid_or_missing_device_is_an_error(monkeypatch, name, message):
    """The error names the device that does not exist or is malformed."""
    monkeypatch.setattr(planning, "cuda_devices", lambda: 0)
    with pytest.raises(DeviceError) as raised:
        planning.resolve_device(name)
    assert str(raised.value) == message
