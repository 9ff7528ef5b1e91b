"""Datasets: rows per second of a build, against writing the same lines only."""

import itertools
import os
import resource
import time
from collections.abc import Iterator
from pathlib import Path

import orjson

from lrgen.catalogue import Catalogue
from lrgen.finetune import formats
from lrgen.finetune.build import build
from lrgen.finetune.corpus import Level
from lrgen.finetune.example import Example, Scope, TaskInput
from lrgen.finetune.formats import parquet
from lrgen.finetune.plan import Plan
from tests import corpus

SIZES = (1_000, 10_000, 100_000)
LARGE = 1_000_000
VARIANTS = 60
QUESTION = "Code:\n\n{code}\n\nWhat is the learning rate at step {step} of {horizon}, if lr is {lr}?"


class Questions:
    """A task whose examples are cheap to make and as long as those of traces."""

    NAME = "questions"
    SUMMARY = "a schedule and a step → a number"

    def __init__(self, count: int) -> None:
        self._count = count

    def examples(self, task_input: TaskInput) -> Iterator[Example]:
        """Yield ``count`` questions about the files in turn."""
        codes = [file.source[:1500] for file in task_input.files]
        for number in range(self._count):
            at = number % len(codes)
            yield Example(
                task=self.NAME,
                key=str(number),
                prompt=QUESTION.format(code=codes[at], step=number, horizon=2 * number + 1, lr=0.1),
                completion=f"{number}: {1 / (number + 1):.6g}\n",
                scope=Scope.SCHEDULE,
                files=(task_input.files[at],),
                evidence={"steps": [number]},
            )


def bench(folder: Path, catalogue: Catalogue) -> None:
    """Print the table; the largest size only if LRGEN_BENCH_LARGE is set."""
    task_input = corpus.task_input(catalogue, [variant.number for variant in catalogue.schedules[:VARIANTS]])
    form = formats.LINES[0]
    print(f"dataset: rows of about {_length(task_input):,} characters into Parquet and {form.NAME}")
    print(f"  {'rows':>9}{'build':>10}{'rows/s':>10}{'lines alone':>14}{'ratio':>8}{'memory':>12}")
    for count in (*SIZES, *([LARGE] if os.environ.get("LRGEN_BENCH_LARGE") else [])):
        plan = Plan((Questions(count),), (form.NAME,), Level.SCHEDULE)
        begun = time.perf_counter()
        build(task_input, plan, folder / str(count))
        taken = time.perf_counter() - begun
        alone = _lines_alone(folder, count, form)
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
        print(
            f"  {count:>9,}{taken:>8.1f} s{count / taken:>10,.0f}{alone:>12.2f} s{taken / alone:>8.1f}{memory:>8} MiB"
        )
    print()


def _lines_alone(folder: Path, count: int, form: formats.Lines) -> float:
    """Seconds to write this number of lines from rows in memory."""
    rows = list(itertools.islice(parquet.read(folder / str(count), "train"), 500))
    begun = time.perf_counter()
    with (folder / "alone.jsonl").open("wb") as lines:
        for row in itertools.islice(itertools.cycle(rows), count):
            lines.write(orjson.dumps(form.line(row), option=orjson.OPT_APPEND_NEWLINE))
    return time.perf_counter() - begun


def _length(task_input: TaskInput) -> int:
    examples = list(Questions(VARIANTS).examples(task_input))
    return sum(len(example.prompt) + len(example.completion) for example in examples) // len(examples)
