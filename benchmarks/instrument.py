"""The instrument: what the verification of a file costs here, and with the lrgen of another checkout.

    python -m benchmarks instrument --against CHECKOUT [--stage schedule] [--stage training] [--variant 1] [--rounds 3]

Each checkout renders its own ResNet file of a variant and verifies copies of it with ``lrgen verify``, as many at a
time as there are cores: once one copy a core, once several. The difference belongs to the files alone. What the fewer
copies cost beyond that is the start: imports, processes that files are forked from, the database. Files that are given
by their paths go through the policy check as well, which ``make verify`` leaves out.

The other checkout runs in this environment. CPU time is that of ``lrgen`` and of all processes below it that have been
waited for, which are all.
"""

import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lrgen.verify import plan

HERE = Path(__file__).resolve().parent.parent
VARIANTS = (1, 41, 104, 160, 174)  # once an epoch, constant, once a batch, driven by a metric, layer-wise
COPIES = {"schedule": 5, "training": 3}  # a core; the differences must exceed the drift of the start
ROUNDS = 3
NEW, OLD = 0, 1
Array = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


class RunError(Exception):
    """A command of a checkout has failed."""


def is_checkout(path: Path) -> bool:
    """Whether a folder has a package ``lrgen`` that is a command; without both modules the installed one would run."""
    return all((path / "lrgen" / name).is_file() for name in ("__init__.py", "__main__.py"))


def bench(folder: Path, checkouts: tuple[Path, Path], stage: str, variants: Sequence[int], rounds: int) -> None:
    """Print the table of a stage: ``checkouts`` are this one and the other."""
    counts = plan.cores(), COPIES[stage] * plan.cores()
    print(f"instrument: ResNet files up to {stage}, {plan.cores()} at a time, new (here) against old ({checkouts[1]})")
    print(f"  seconds a file, from {counts[0]} and {counts[1]} copies in turn; medians, rounds: {rounds}")
    print(f"  {'':<14}{'CPU new':>10}{'old':>10}{'new/old':>9}{'wall new':>12}{'old':>10}{'new/old':>9}")
    ratios, starts = [], []
    for variant in variants:
        name = f"ResNet {variant}"
        try:
            taken = measured(folder, checkouts, variant, stage, counts, rounds)
        except RunError as error:
            print(f"  {name:<14}  not measured: {error}")
            continue
        files = per_file(taken, counts)
        ratios.append(row(name, files))
        starts.append(taken[:, :, 0] - counts[0] * files)
    if ratios:
        cpu, wall = np.median(ratios, axis=0)
        print(f"  {'median ratio':<34}{cpu:9.2f}{'':22}{wall:9.2f}")
        row("the start", np.concatenate(starts))
    print()


def measured(
    folder: Path, checkouts: tuple[Path, Path], variant: int, stage: str, counts: tuple[int, int], rounds: int
) -> Array:
    """The CPU and the wall time of each run; axes: round, checkout, number of copies, CPU and wall time."""
    copies = [rendered(folder / f"{side}-{variant}", checkouts[side], variant, max(counts)) for side in (NEW, OLD)]
    taken = np.zeros((rounds, 2, 2, 2))
    for turn in range(rounds):
        for index, count in enumerate(counts):
            for side in (NEW, OLD):
                database = f"sqlite:///{folder}/{stage}-{variant}-{turn}-{count}-{side}.db"
                words = ["verify", *copies[side][:count], "--stage", stage, "--db", database]
                taken[turn, side, index] = cost(checkouts[side], words, folder)
    return taken


def rendered(folder: Path, checkout: Path, variant: int, count: int) -> list[str]:
    """Copies of the file of a variant, each in a folder with its manifest, so that they count as rendered."""
    first = folder / "0"
    if not first.exists():
        cost(checkout, ["render", "--model", "ResNet", "--variant", str(variant), "--out", str(first)], folder.parent)
    copies = [first, *(folder / str(number) for number in range(1, count))]
    for copy in copies:
        if not copy.exists():
            shutil.copytree(first, copy)
    return [str(copy / "ResNet") for copy in copies]


def cost(checkout: Path, words: Sequence[str], folder: Path) -> tuple[float, float]:
    """CPU and wall time of a command of a checkout and of all its processes.

    Raises:
        RunError: if it fails.
    """
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment |= {"PYTHONPATH": str(checkout), "XDG_CACHE_HOME": str(folder / "cache")}
    command = [sys.executable, "-m", "lrgen", *words]
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    wall, after = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        [*_, last] = (done.stderr.strip() or done.stdout.strip() or "no message").splitlines()
        raise RunError(f"lrgen {words[0]} of {checkout} ends with {done.returncode}: {last}")
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime, wall


def per_file(taken: Array, counts: tuple[int, int]) -> Array:
    """The cost of one more file, without that of the start; axes: round, checkout, CPU and wall time."""
    fewer, more = counts
    return (taken[:, :, 1] - taken[:, :, 0]) / (more - fewer)


def row(name: str, taken: Array) -> Array:
    """Print the medians of both checkouts, and the median of the ratios, which is returned for CPU and wall time."""
    (new_cpu, new_wall), (old_cpu, old_wall) = np.median(taken, axis=0)
    cpu, wall = ratio = np.median(taken[:, NEW] / taken[:, OLD], axis=0)
    print(f"  {name:<14}{new_cpu:10.2f}{old_cpu:10.2f}{cpu:9.2f}{new_wall:12.2f}{old_wall:10.2f}{wall:9.2f}")
    return ratio
