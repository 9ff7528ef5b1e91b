"""The audit of a folder: ``lrgen audit`` over files that people could have written, in NNGPT's layout."""

import itertools
import json
import os
import re
import resource
import subprocess
import sys
import time
from pathlib import Path

from lrgen.verify import plan
from tests.verify.written_schedules import WRITTEN

FILES = 500
REPOSITORY = Path(__file__).resolve().parent.parent
_NUMBER = re.compile(r"\b(10|12|15|20|25|30|40|50|60|70)\b")


def bench(folder: Path) -> None:
    """Audit FILES files with other numbers each, and name the seconds of a file."""
    root = folder / "synth_nn"
    write(root, FILES)
    command = [
        sys.executable,
        "-m",
        "lrgen",
        "-q",
        "audit",
        str(root),
        "--db",
        f"sqlite:///{folder}/audit.db",
        "--json",
    ]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True)
    wall, after = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    counts = json.loads(done.stdout)["counts"]
    print(f"audit: {FILES} files up to schedule, {plan.cores()} at a time: {counts}")
    print(f"  {'wall':<30}{wall:10.1f} s{wall / FILES:10.3f} s a file")
    print(f"  {'CPU':<30}{cpu:10.1f} s{cpu / FILES:10.3f} s a file\n")


def write(root: Path, count: int) -> None:
    """Write files as NNGPT does: a folder each, with ``new_nn.py`` and ``hp.txt``."""
    for number, (name, written) in zip(range(count), itertools.cycle(WRITTEN.items()), strict=False):
        more = number // len(WRITTEN)
        text = written.text.replace("Conv2d(in_shape[1], 8,", f"Conv2d(in_shape[1], {8 + more},")
        text = text.replace("nn.Linear(8,", f"nn.Linear({8 + more},")
        text = _NUMBER.sub(lambda match, more=more: str(int(match[0]) + more), text)  # type: ignore[misc]
        folder = root / f"B{number}_{name}"
        folder.mkdir(parents=True)
        (folder / "new_nn.py").write_text(text)
        (folder / "hp.txt").write_text(json.dumps({"lr": 0.01, "momentum": 0.9}))
