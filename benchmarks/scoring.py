"""Scoring: verdicts a second, a batch of a trainer, the start of the pool, and the memory of its caller."""

import re
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from lrgen.catalogue import Catalogue
from lrgen.finetune.example import Row, TaskInput
from lrgen.finetune.tasks import explain, infill, write
from lrgen.score.pool import Pool, PoolSettings
from lrgen.verify import plan
from tests import corpus
from tests.score.rows import row_of

ANSWERS = 20  # of each kind
NUMBERS = range(1, 17)
BATCH = 512
COMPLETIONS = 10_000
IMPORTS = 3
SECONDS = 10.0  # limit of a check


def bench(catalogue: Catalogue) -> None:
    """Print the table ``score``."""
    task_input = corpus.task_input(catalogue, NUMBERS, "ResNet")
    schedules = rows_of(infill, task_input)
    files = rows_of(write, task_input)
    facts = rows_of(explain, task_input)
    imported = statistics.median(
        seconds_of([sys.executable, "-c", "import torch, torchvision"]) for _ in range(IMPORTS)
    )
    pool = Pool(PoolSettings(case_seed=1, seconds=SECONDS))
    begun = time.perf_counter()
    pool.score(facts[:1], [""])
    started = time.perf_counter() - begun
    print(f"score: {plan.cores()} workers, ResNet at 32 pixels")
    print(f"  {'the pool is ready':<44}{started:8.2f} s, {started - imported:.2f} s after torch's own {imported:.2f} s")
    for name, rows in (("schedules alone", schedules), ("whole files", files)):
        half = len(rows) // 2
        rate(pool, f"{name}, right", rows, [in_other_words(row["completion"]) for row in rows])
        rate(pool, f"{name}, of another row", rows, [row["completion"] for row in [*rows[half:], *rows[:half]]])
    batch(pool, schedules)
    hung(pool, schedules)
    memory(pool, facts)
    pool.close()
    print()


def in_other_words(code: str) -> str:
    """Code that does the same and stands nowhere else: another name in the network, or a constant more."""
    if "shortcut" in code:
        return code.replace("shortcut", "skipped")
    return f"BENCHMARK = True\n\n\n{code}"


def rows_of(task: object, task_input: TaskInput) -> list[Row]:
    """Up to ANSWERS rows of a task."""
    return [row_of(example) for example in task.examples(task_input)][:ANSWERS]  # type: ignore[attr-defined]


def seconds_of(command: Sequence[str]) -> float:
    """The wall time of a command."""
    begun = time.perf_counter()
    subprocess.run(command, check=True)
    return time.perf_counter() - begun


def rate(pool: Pool, name: str, rows: Sequence[Row], answers: Sequence[str]) -> None:
    """Print the number of verdicts in a second."""
    begun = time.perf_counter()
    verdicts = pool.score(rows, answers)
    seconds = time.perf_counter() - begun
    passed = sum(verdict is not None and verdict.passed for verdict in verdicts)
    print(f"  {name:<44}{len(rows) / seconds:8.2f} verdicts/s, {passed} of {len(rows)} passed")


def batch(pool: Pool, rows: Sequence[Row]) -> None:
    """Print the seconds of BATCH completions in groups of eight a row, as a trainer draws them."""
    given = [rows[number // 8 % len(rows)] for number in range(BATCH)]
    forms = (
        "{0}",
        "Here it is:\n```python\n{0}```\n",
        "{0}\n# end\n",
        "I do not know.",
        "",
        "{1}",
        "{2}",
        "{0}\n#{3}\n",
    )
    texts = []
    for number, row in enumerate(given):
        right = row["completion"]
        other = rows[(number // 8 + 1) % len(rows)]["completion"]
        texts.append(forms[number % 8].format(right, other, right[: len(right) // 2], number))
    begun = time.perf_counter()
    verdicts = pool.score(given, texts)
    seconds = time.perf_counter() - begun
    missing = sum(verdict is None for verdict in verdicts)
    print(f"  {f'a batch of {BATCH} schedules, 8 a row':<44}{seconds:8.1f} s, {missing} without a verdict")


def hung(pool: Pool, rows: Sequence[Row]) -> None:
    """Print the delay of a batch by an answer that never ends."""
    texts = [f"ALONE = True\n\n\n{row['completion']}" for row in rows[:8]]
    begun = time.perf_counter()
    pool.score(rows[:8], texts)
    without = time.perf_counter() - begun
    texts = [f"BESIDE = True\n\n\n{row['completion']}" for row in rows[:8]]
    begun = time.perf_counter()
    endless = re.sub(
        r"(def make_scheduler\(.*?\).*?:\n)",
        r"\1    while total_steps:\n        pass\n",
        rows[8]["completion"],
        flags=re.DOTALL,
    )
    pool.score([*rows[:8], rows[8]], [*texts, endless])
    delay = time.perf_counter() - begun - without
    print(f"  {'delay by an answer that never ends':<44}{delay:8.1f} s, its limit is {SECONDS:.0f} s")


def memory(pool: Pool, rows: Sequence[Row]) -> None:
    """Print the growth of this process over COMPLETIONS completions."""
    texts = [f"I do not know {number}." for number in range(500)]
    given = [rows[number % len(rows)] for number in range(len(texts))]
    pool.score(given, texts)
    before = resident()
    for _ in range(COMPLETIONS // len(texts)):
        pool.score(given, texts)
    growth = (resident() - before) / 2**20
    print(f"  {f'growth over {COMPLETIONS:,} completions':<44}{growth:8.1f} MiB")


def resident() -> int:
    """The resident memory of this process in bytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()
