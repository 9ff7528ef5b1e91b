"""The diagnosis of a file without a claim, as lines and as JSON."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.markup import escape

from lrgen.records import Diagnosis, NearestSchedule, Outcome

_FILES = 20  # whose diagnoses are printed
_SAME, _CLOSE = 0.01, 0.1  # distances


def diagnosis_row(diagnosis: Diagnosis | None) -> dict[str, Any] | None:
    """A diagnosis as an object of JSON."""
    return None if diagnosis is None else asdict(diagnosis)


def print_diagnoses(out: Console, outcomes: Iterable[Outcome]) -> None:
    """Print the diagnosis of each file that has one, of the first ones if there are many."""
    by_file = {id(outcome.candidate): outcome for outcome in outcomes if outcome.diagnosis is not None}
    diagnosed = list(by_file.values())
    for outcome in diagnosed[:_FILES]:
        assert outcome.diagnosis is not None
        out.print(f"[yellow]{escape(outcome.candidate.model_name)}[/]")
        for line in lines_of(outcome.diagnosis):
            out.print(f"  {escape(line)}")
    if len(diagnosed) > _FILES:
        out.print(f"and {len(diagnosed) - _FILES} more: see them with --json, or all at once with lrgen audit")


def lines_of(diagnosis: Diagnosis) -> Iterator[str]:
    """Lines on what was seen, on the nearest schedules, and on practices."""
    yield "; ".join(diagnosis.findings)
    for position, schedule in enumerate(diagnosis.nearest):
        if position and (diagnosis.nearest[0].distance <= _SAME or schedule.distance > _CLOSE):
            break
        yield nearness(schedule)
    yield from diagnosis.practices


def nearness(schedule: NearestSchedule) -> str:
    """``like A0_001 StepLR_default (StepLR: ×0.1 every 10 epochs), distance 0.000``."""
    close = "close to" if schedule.distance <= _CLOSE else "nearest, but not near:"
    near = "like" if schedule.distance <= _SAME else close
    return f"{near} {schedule.variant} {schedule.name} ({schedule.words}), distance {schedule.distance:.3f}"
