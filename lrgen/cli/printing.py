"""Output of the commands: tables of at most 100 columns, JSON, CSV and progress."""

import codecs
import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from lrgen.cli.diagnoses import diagnosis_row, print_diagnoses
from lrgen.cli.options import State
from lrgen.errors import ConfigError
from lrgen.records import Outcome, Status

WIDTH = 100
_INTERVAL = 5.0  # seconds between two lines of progress without a terminal


class Progress:
    """A progress bar on a terminal, plain lines elsewhere.

    The caller's loop draws the bar: a thread of Rich's would be running when a child is forked.
    """

    def __init__(self, action: str, total: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._action = action
        self._clock = clock
        self._total = total
        self._done = self._before = 0
        self._failed = 0
        self._console = Console(stderr=True, highlight=False)
        self._bar: Any = None
        self._begun = self._printed_at = clock()
        self._expected: dict[int, float] = {}
        self._mean = 0.0
        self._spent = 0.0

    def __enter__(self) -> "Progress":
        if self._console.is_terminal and not self._console.is_dumb_terminal and State.verbosity >= 0:
            from rich import progress as bars

            columns = (
                "{task.description}",
                bars.BarColumn(),
                bars.MofNCompleteColumn(),
                bars.TextColumn("{task.fields[failed]} failed{task.fields[remaining]}"),
            )
            self._bar = bars.Progress(*columns, console=self._console, auto_refresh=False, transient=True)
            self._task = self._bar.add_task(self._action, total=self._total or None, failed=0, remaining="")
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def restart(self, total: int, done: int) -> None:
        """Set the number of items, and how many are done already."""
        self._total, self._done = total, 0
        self._before, self._begun = done, self._clock()
        if self._bar is not None:
            self._bar.update(self._task, total=total or None)
        self.advance(done)

    def stage(self, action: str, total: int) -> None:
        """Begin something else, with a number of items; zero if it is not known."""
        self._action = action
        if self._bar is not None:
            self._bar.update(self._task, description=action)
        elif State.verbosity >= 0:
            self._console.print(action)
            self._printed_at = self._clock()
        self.restart(total, 0)

    def advance(self, count: int = 1) -> None:
        """Count further items as done; without a terminal, print a line at intervals."""
        step = max(1, self._total // 200)
        shown = self._done // step
        self._done += count
        if self._bar is not None:
            self._bar.update(self._task, completed=self._done, failed=self._failed, remaining=self._remaining())
            if self._done == self._total or self._done // step != shown:
                self._bar.refresh()
        elif State.verbosity >= 0 and self._clock() - self._printed_at > _INTERVAL:
            self._printed_at = self._clock()
            of_total = f" of {self._total}{self._remaining()}" if self._total else ""
            self._console.print(f"{self._action}: {self._done}{of_total}")

    def begin(self, count: int, expected: dict[int, float]) -> None:
        """Begin the runs of a seed: print the number of reused results, and keep the expected seconds of the others.

        Args:
            count: number of results that are reused.
            expected: id of a candidate → the seconds that it is expected to take.
        """
        self._expected = dict(expected)
        self._mean = sum(expected.values()) / max(1, len(expected))
        self._spent = 0.0
        self._begun = self._clock()
        if count and self._bar is None and State.verbosity >= 0:
            self._console.print(f"{count} of {counted(self._total, 'result')} cached and reused")

    def outcome(self, outcome: Outcome) -> None:
        """Count a file as done and print its outcome."""
        self._failed += not outcome.status.ok
        self._spent += self._expected.pop(id(outcome.candidate), 0.0)
        self._printed_at = self._clock()  # the line below reports the progress
        self.advance()
        if outcome.reused or State.verbosity < 0:
            return
        line = f"[{self._done}/{self._total}] {_name(outcome)} {_end(outcome)}"
        line += f" {outcome.accuracy:.3f}" if outcome.accuracy is not None else ""
        line += f" {outcome.seconds:.1f} s"
        line += f": {outcome.stage}: {outcome.reason}" if not outcome.status.ok else ""
        line += self._remaining() if self._done % max(1, self._total // 20) == 0 else ""
        if self._bar is None:
            self._console.print(escape(line), soft_wrap=True)
        if State.verbosity > 0 and outcome.output.strip():
            self._console.print(escape(outcome.output.rstrip()), soft_wrap=True)

    def _remaining(self) -> str:
        """``, 12 min left``, at the pace of what is done: of expected times where there are any, else of items."""
        if self._expected:
            later = self._total - self._done - len(self._expected)  # runs of later seeds
            rest, done = sum(self._expected.values()) + later * self._mean, self._spent
        else:
            rest, done = float(self._total - self._done), float(self._done - self._before)
        if not rest or not done:
            return ""
        seconds = (self._clock() - self._begun) * rest / done
        return f", {seconds / 60:.0f} min left" if seconds >= 90 else f", {seconds:.0f} s left"


def _name(outcome: Outcome) -> str:
    return f"{outcome.candidate.model_name}/{outcome.candidate.scheduler_type}"


def _end(outcome: Outcome) -> str:
    """The status, with the last check of a file that passed up to it: ``passed: schedule``."""
    return f"{outcome.status}: {outcome.stage}" if outcome.status is Status.PASSED else outcome.status.value


_COLOURS = {
    Status.VERIFIED: "green",
    Status.PASSED: "green",
    Status.UNCLAIMED: "yellow",
    Status.FAILED: "red",
    Status.TIMED_OUT: "red",
    Status.CRASHED: "red",
    Status.OUT_OF_MEMORY: "red",
}


def outcome_row(outcome: Outcome, seed: int) -> dict[str, Any]:
    """An outcome as an object of ``lrgen verify --json``."""
    candidate, variant = outcome.candidate, outcome.candidate.variant
    return {
        "path": str(candidate.path),
        "model_name": candidate.model_name,
        "scheduler_type": candidate.scheduler_type,
        "variant": variant.name if variant else None,
        "unit": variant.unit.value if variant else None,
        "claimed_model": candidate.reference.name if candidate.reference else None,
        "architecture": outcome.architecture.value if outcome.architecture else None,
        "sha256": candidate.sha256,
        "status": outcome.status.value,
        "stage": outcome.stage.value,
        "reason": outcome.reason,
        "accuracy": outcome.accuracy,
        "training": outcome.training.value if outcome.training else None,
        "seed": seed,
        "seconds": round(outcome.seconds, 3),
        "isolation": outcome.isolation,
        "case_seed": outcome.case_seed,
        "evidence": list(outcome.evidence),
        "diagnosis": diagnosis_row(outcome.diagnosis),
        "reused": outcome.reused,
    }


def print_outcomes(ended: list[tuple[Outcome, int]], seconds: float, db: str) -> None:
    """Print a row for each run, with its seed if there are several; then the reasons of failures, and the totals."""
    out = console()
    outcomes = [outcome for outcome, _ in ended]
    files = len({id(outcome.candidate) for outcome in outcomes})
    seeds = len({seed for _, seed in ended}) > 1
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("file", "schedule", "unit", "status"):
        table.add_column(heading, no_wrap=heading in ("unit", "status"), overflow="fold")
    table.add_column("training", no_wrap=True)
    for heading in (*(["seed"] if seeds else []), "accuracy", "seconds"):
        table.add_column(heading, justify="right")
    for outcome, seed in ended:
        variant = outcome.candidate.variant
        table.add_row(
            escape(_name(outcome)),
            variant.name if variant else "–",
            variant.unit.value if variant else "–",
            f"[{_COLOURS[outcome.status]}]{_end(outcome)}[/]",
            outcome.training or "–",
            *([str(seed)] if seeds else []),
            f"{outcome.accuracy:.3f}" if outcome.accuracy is not None else "–",
            "reused" if outcome.reused else f"{outcome.seconds:.1f}",
        )
    out.print(table)
    for outcome, seed in ended:
        if not outcome.status.ok:
            under = f"seed {seed}: " if seeds else ""
            out.print(f"[red]{escape(_name(outcome))}[/] {under}{outcome.stage}: {escape(outcome.reason)}")
    for outcome in outcomes:
        if outcome.architecture is not None:
            said = [evidence for evidence in outcome.evidence if evidence.startswith("architecture: ")]
            out.print(f"{escape(_name(outcome))} {escape(said[0] if said else outcome.architecture.value)}")
    if any(outcome.status is Status.UNCLAIMED for outcome in outcomes):
        out.print("unclaimed: there is no variant to check the schedule against; name one with --as VARIANT")
    print_diagnoses(out, outcomes)
    totals = [f"{count} {end}" for end, count in _totals(outcomes)] or ["nothing to verify"]
    reused = sum(outcome.reused for outcome in outcomes)
    runs = f" in {counted(len(outcomes), 'run')}" if seeds else ""
    drawn = {outcome.case_seed for outcome in outcomes if not outcome.reused}
    cases = f"case seed {drawn.pop()}; " if len(drawn) == 1 and None not in drawn else ""
    out.print(
        f"{counted(files, 'file')}{runs}: {', '.join(totals)}; {counted(reused, 'result')} reused; "
        f"{seconds:.0f} s; {cases}recorded in {escape(db)}"
    )


def _totals(outcomes: list[Outcome]) -> Iterator[tuple[str, int]]:
    """Yield the status and the number of the outcomes that have it, in the order of ``Status``."""
    for status in Status:
        ended = [outcome for outcome in outcomes if outcome.status is status]
        if ended:
            yield f"passed up to {ended[0].stage}" if status is Status.PASSED else status.value, len(ended)


def print_rows(
    rows: list[dict[str, Any]],
    columns: Iterable[str],
    as_json: bool,
    as_csv: bool = False,
    empty: str = "no rows",
    fields: Iterable[str] = (),
) -> None:
    """Print rows as a table with these columns, as JSON or as CSV.

    Args:
        rows: dicts with the same keys.
        columns: the keys that the table shows; JSON and CSV have all keys.
        as_json: whether to print JSON.
        as_csv: whether to print CSV.
        empty: the text instead of a table without rows.
        fields: the header of a CSV without rows; by default the columns.

    Raises:
        ConfigError: if both JSON and CSV are requested.
    """
    if as_json and as_csv:
        raise ConfigError("--json and --csv exclude each other")
    if as_json:
        print_json(rows)
        return
    if as_csv:
        import csv

        writer = csv.DictWriter(sys.stdout, list(rows[0]) if rows else list(fields or columns))
        writer.writeheader()
        for row in rows:
            writer.writerow(
                {name: json.dumps(value) if isinstance(value, (dict, list)) else value for name, value in row.items()}
            )
        return
    if not rows:
        print(empty)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    shown = list(columns)
    for column in shown:
        numeric = all(isinstance(row[column], (int, float)) and not isinstance(row[column], bool) for row in rows)
        table.add_column(column.replace("_", " "), justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(escape(_cell(row[column])) for column in shown))
    console().print(table)


def print_facts(facts: Mapping[str, Any]) -> None:
    """Print names and values as a table with two columns."""
    print_rows([{"fact": name, "value": value} for name, value in facts.items()], ("fact", "value"), False)


def _cell(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else ""
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def counted(count: int, noun: str) -> str:
    """A number and its noun, in the plural for every number but 1: ``1 file``, ``2 files``."""
    return f"{count} {noun}{'s' * (count != 1)}"


def console() -> Console:
    """A console on standard output, at most 100 columns wide."""
    plain = Console(highlight=False)
    return plain if plain.width <= WIDTH and plain.is_terminal else Console(highlight=False, width=WIDTH)


def print_json(value: object) -> None:
    """Print a value as one JSON document; if standard output is not UTF-8, in ASCII."""
    is_utf8 = codecs.lookup(sys.stdout.encoding or "utf-8").name == "utf-8"
    print(json.dumps(value, indent=1, default=str, ensure_ascii=not is_utf8))
