"""``make bench-gpu``: 16 bits against float32, files per minute by number of slots, and the time of the grid.

    python -m benchmarks.gpu [--device cuda:0] [--seconds 480] [--slots 1,2,4,8]

The first table is that of benchmarks.precision. The rest ends after ``--seconds``: half of the time is for 50 ResNet
files at each number of slots, the other half for the pairwise cover at the best number. The time of the other files is
extrapolated; the table has the number of files that were run.
"""

import argparse
import contextlib
import platform
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import torch

from lrgen import catalogue as catalogues
from lrgen import data
from lrgen.catalogue.pairwise import cover
from lrgen.errors import DeviceError
from lrgen.records import Candidate, Outcome, VerifySettings
from lrgen.render import output
from lrgen.render.output import Pair
from lrgen.verify import plan
from lrgen.verify import run as verify
from lrgen.verify.engines import local
from lrgen.verify.limits import Limits

RESNET_FILES = 50


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--seconds", type=float, default=480.0)
    parser.add_argument("--slots", default="1,2,4,8")
    arguments = parser.parse_args()
    try:
        device = plan.resolve_device(arguments.device)
    except DeviceError as error:
        parser.exit(2, f"error: {error}\n")
    slots = [int(count) for count in arguments.slots.split(",")]
    versions = f"Python {platform.python_version()}, torch {torch.__version__}"
    print(f"{_name(device)}, {plan.cores()} cores, {versions}")
    catalogue = catalogues.load()
    settings = VerifySettings(device=device)
    # In a process of its own: this one forks, and must not have a CUDA context.
    subprocess.run([sys.executable, "-m", "benchmarks.precision", "--device", device], check=False)
    with tempfile.TemporaryDirectory() as folder:
        resnet = output.pairs([catalogue.architecture("ResNet")], catalogue.schedules[:RESNET_FILES])
        files = verify.from_selection(catalogue, resnet, Path(folder))
        pace = {count: _pace(files, settings, count, arguments.seconds / 2 / len(slots)) for count in slots}
        best = max(pace, key=lambda count: pace[count])
        covered = _in_turn(cover(catalogue, "pairwise", catalogue.architectures))
        covering = verify.from_selection(catalogue, covered, Path(folder))
        outcomes, taken = _run(covering, settings, best, arguments.seconds / 2)
    print(f"pairwise cover at {best} slots: {len(outcomes)} of {len(covering)} files in {taken:.0f} s")
    seconds = defaultdict(list)
    for outcome in outcomes:
        seconds[outcome.candidate.model_name].append(outcome.seconds)
    if missing := [model.name for model in catalogue.architectures if model.name not in seconds]:
        print(f"  no file of {', '.join(missing)} ended in this time: the grid cannot be extrapolated")
        return
    grid = sum(sum(taken) / len(taken) * len(catalogue.variants) for taken in seconds.values()) / best
    count = len(catalogue.architectures) * len(catalogue.variants)
    print(f"  the grid of {count} files: {grid / 60:.0f} min, extrapolated from the mean of each architecture's files")


def _pace(files: list[Candidate], settings: VerifySettings, slots: int, seconds: float) -> float:
    """Print a row; returns the files per minute at this number of slots."""
    with _utilisation() as used:
        outcomes, taken = _run(files, settings, slots, seconds)
    ended = sum(outcome.status.ok for outcome in outcomes)
    busy = f"GPU {sum(used) / len(used):.0f} % busy" if used else "utilisation unknown"
    pace = 60 * ended / taken
    print(f"  {slots:3} slots {ended:4} of {len(files)} files in {taken:6.1f} s {pace:8.1f} files/min   {busy}")
    return pace


def _run(files: list[Candidate], settings: VerifySettings, slots: int, seconds: float) -> tuple[list[Outcome], float]:
    """The outcomes within these seconds, and the seconds until the last of them."""
    begun, outcomes, last = time.monotonic(), [], time.monotonic()
    dataset = data.load(settings.dataset)
    run = local.run(files, settings, dataset, workers=slots, limits=Limits())
    with contextlib.closing(run):
        for outcome in run:
            outcomes.append(outcome)
            last = time.monotonic()
            if last - begun > seconds:
                break
    return outcomes, last - begun


def _in_turn(pairs: list[Pair]) -> list[Pair]:
    """Pairs ordered by turns of the architectures; any slice then has files of all architectures."""
    rank: dict[str, int] = defaultdict(int)
    ranked = []
    for pair in pairs:
        rank[pair[0].name] += 1
        ranked.append((rank[pair[0].name], pair))
    return [pair for _, pair in sorted(ranked, key=lambda entry: entry[0])]


@contextlib.contextmanager
def _utilisation() -> Iterator[list[float]]:
    """Percentages of each second in which the GPU was busy, filled in at the end; none without ``nvidia-smi``."""
    used: list[float] = []
    command = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", "--loop=1"]
    try:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    except OSError:
        yield used
        return
    try:
        yield used
    finally:
        process.terminate()
        used += [float(line) for line in process.communicate()[0].split() if line.isdigit()]


def _name(device: str) -> str:
    """The name of the device, from nvidia-smi: this process needs to fork and must not have a CUDA context."""
    if device == "cpu":
        return "CPU"
    command = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip() or device


if __name__ == "__main__":
    main()
