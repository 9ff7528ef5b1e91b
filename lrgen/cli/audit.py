"""``lrgen audit``: one page on a folder of other people's files."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from lrgen import catalogue as catalogues
from lrgen import config
from lrgen.catalogue import Catalogue
from lrgen.cli.diagnoses import diagnosis_row
from lrgen.cli.options import AsJson, Database
from lrgen.cli.printing import Progress, console, counted, print_json
from lrgen.records import Policy, Stage
from lrgen.verify import plan as planning
from lrgen.verify.plan import VerifyRequest

if TYPE_CHECKING:
    from lrgen.verify.audit.summary import Audit, Audited

_ROWS = 8  # of a table
_REASON = 78  # characters


def audit(
    folder: Annotated[Path, typer.Argument(help="Folder of Python files; its subfolders are searched as well.")],
    workers: Annotated[
        int | None, typer.Option(help="Number of files to run in parallel. (default: number of cores)")
    ] = None,
    db: Database = None,
    force: Annotated[bool, typer.Option("--force", help="Ignore cached results.")] = False,
    as_json: AsJson = False,
) -> None:
    """Audit a folder of other people's files: which run, what their learning rates do, which are duplicates.

    The files are networks as LEMUR and NNGPT have them, or scripts with a function that makes a scheduler. None needs a
    claim; each is executed in a sandbox, up to the schedule check.

    Example: lrgen audit synth_nn

    Example: lrgen audit nn-dataset/ab/nn/nn --json
    """
    settings = config.load({"workers": workers, "db": db, "device": "cpu"})
    request = VerifyRequest(stage=Stage.SCHEDULE, policy=Policy.LEMUR, force=force)
    plan = planning.plan(settings, request)
    from lrgen.store import Store
    from lrgen.verify.audit import collection, summary

    catalogue = catalogues.load()
    files, skipped = collection.collect(folder)
    with Progress("auditing", len(files)) as progress:
        audited = summary.audit(
            catalogue,
            folder,
            files,
            skipped,
            plan.settings[0],
            Store(settings.db),
            workers=plan.workers,
            timeout=plan.timeout,
            force=plan.force,
            advance=progress.advance,
        )
    if as_json:
        print_json(_document(audited))
    else:
        _print_page(audited, catalogue)


def _document(audited: "Audit") -> dict[str, Any]:
    return {
        "folder": str(audited.folder),
        "counts": audited.counts,
        "schedules": dict(audited.schedules.most_common()),
        "files": [_row(file) for file in audited.files],
        "same_curve": audited.same_curve,
        "same_code": audited.same_code,
        "skipped": [asdict(skipped) for skipped in audited.skipped],
    }


def _row(file: "Audited") -> dict[str, Any]:
    return {
        "name": file.name,
        "sha256": file.sha256,
        "runs": file.runs,
        "reason": file.reason,
        "says": list(file.said),
        "deviates": file.deviates,
        "never_changes": file.constant,
        "code": file.code,
        "diagnosis": diagnosis_row(file.diagnosis),
    }


def _print_page(audited: "Audit", catalogue: Catalogue) -> None:
    out, counts = console(), audited.counts
    skipped = f"; {counts['skipped']} skipped" if counts["skipped"] else ""
    out.print(
        f"[bold]{counted(counts['files'], 'file')} under {escape(str(audited.folder))}[/]: "
        f"{counts['run']} run, {counts['do_not_run']} do not{skipped}"
    )
    out.print(f"{counted(counts['distinct_curves'], 'distinct curve')} of {counts['with_a_curve']} files that have one")
    out.print(f"{counts['never_change']} never change the learning rate")
    out.print(f"{counts['deviate']} deviate from the name that they carry")
    out.print(f"{counts['with_practices']} use or name a practice")
    out.print(f"{counts['same_curve']} have the curve of another, {counts['same_code']} its code up to names\n")
    schedules = [(key, catalogue.variant(key).name, str(count)) for key, count in audited.schedules.most_common()]
    _print_table("nearest schedules", ("variant", "name", "files"), schedules, right=(2,))
    _print_table(
        "deviate from their name",
        ("file", "says", "is"),
        [(file.name, ", ".join(file.said), _nearest(file)) for file in audited.files if file.deviates],
    )
    _print_table(
        "never change the learning rate",
        ("file", "seen"),
        [(file.name, "; ".join(file.diagnosis.findings)) for file in audited.files if file.constant and file.diagnosis],
    )
    _print_table(
        "practices",
        ("file", "seen"),
        [(file.name, sentence) for file in audited.files for sentence in file.practices],
    )
    reasons = Counter(file.reason for file in audited.files if not file.runs)
    first = {file.reason: file.name for file in reversed(audited.files)}
    _print_table(
        "do not run",
        ("reason", "files", "first"),
        [(_cut(reason), str(count), first[reason]) for reason, count in reasons.most_common()],
        right=(1,),
    )
    for title, groups in (("same curve", audited.same_curve), ("same code up to names", audited.same_code)):
        rows = [(str(len(group)), _cut(", ".join(group[:3]) + (", …" if len(group) > 3 else ""))) for group in groups]
        _print_table(title, ("files", "names"), rows, right=(0,))
    _print_table("skipped", ("path", "reason"), [(entry.path, entry.reason) for entry in audited.skipped])


def _print_table(title: str, headings: Sequence[str], rows: Sequence[Sequence[str]], right: Iterable[int] = ()) -> None:
    """Print the first rows of a table, and how many more there are; nothing without a row."""
    if not rows:
        return
    out = console()
    table = Table(box=None, pad_edge=False, header_style="bold", title=title, title_justify="left")
    for at, heading in enumerate(headings):
        table.add_column(heading, justify="right" if at in right else "left", overflow="fold")
    for row in rows[:_ROWS]:
        table.add_row(*map(escape, row))
    out.print(table)
    if len(rows) > _ROWS:
        out.print(f"and {len(rows) - _ROWS} more (--json has all)")
    out.print()


def _nearest(file: "Audited") -> str:
    nearest = file.diagnosis.nearest[0] if file.diagnosis and file.diagnosis.nearest else None
    return "–" if nearest is None else f"{nearest.words} ({nearest.distance:.3f})"


def _cut(text: str) -> str:
    return text if len(text) <= _REASON else f"{text[: _REASON - 1]}…"
