"""``lrgen report``: the results, or scored runs, as a static page."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lrgen import catalogue as catalogues
from lrgen import config
from lrgen.cli.options import AsJson, Database, Models, Practices
from lrgen.cli.printing import Progress, counted, print_json
from lrgen.errors import ConfigError, ScoreError

if TYPE_CHECKING:
    from lrgen.report.scores.contents import Comparison, Run
    from lrgen.score.results import Scored

_LONGEST = 200  # characters of the name of a run


def report(
    out: Annotated[Path, typer.Option("--out", help="Folder for the page.", metavar="DIR")] = Path("report"),
    model: Models = None,
    dataset: Annotated[list[str] | None, typer.Option(help="Dataset by name; repeatable.", metavar="NAME")] = None,
    practice: Practices = None,
    scores: Annotated[
        list[Path] | None,
        typer.Option(
            help="Folder of results of lrgen score; repeatable: the page compares these runs with the first.",
            metavar="DIR",
        ),
    ] = None,
    db: Database = None,
    as_json: AsJson = False,
) -> None:
    """Write a static page of the results: leaderboards, plots, classes, failures, and the source of each number.

    With --scores, the page compares scored runs instead, and has a browser of their samples with the reasons.

    Example: lrgen report --dataset digits --out report

    Example: lrgen report --scores runs/base --scores runs/tuned
    """
    if scores:
        if model or dataset or practice or db:
            raise ConfigError(
                "--scores excludes --model, --dataset, --practice and --db: the page has scored runs only"
            )
        _report_scores(scores, out, as_json)
        return
    settings = config.load({"db": db})
    from lrgen.report import contents
    from lrgen.report import page as pages
    from lrgen.store import Store

    catalogue = catalogues.load(settings.templates)
    gathered = contents.gather(Store(settings.db), catalogue, model or (), dataset or (), practice or ())
    with Progress("plotting", len(gathered.boards)) as progress:
        page = pages.render(gathered, catalogue, progress.advance)
    path = pages.write(page, out)
    counts = {
        "files": sum(gathered.files.values()),
        "runs": gathered.runs,
        "leaderboards": len(gathered.boards) + gathered.boards_left_out,
        "failures": len(gathered.failures) + gathered.failures_left_out,
    }
    if as_json:
        _print_written(path, page, counts)
    else:
        print(f"{path}: {', '.join(counted(count, name.removesuffix('s')) for name, count in counts.items())}")


def _report_scores(folders: Sequence[Path], out: Path, as_json: bool) -> None:
    from lrgen.report import page as pages
    from lrgen.report.scores import contents
    from lrgen.report.scores import page as scores_page
    from lrgen.score import results
    from lrgen.score.verdict import CHECKS

    scored = [results.read(folder, longest=contents.MAX_ANSWER + 1) for folder in folders]
    names = _names(folders)
    with Progress("comparing", len(scored)) as progress:
        runs, comparisons = [], []
        for name, run in zip(names, scored, strict=True):
            runs.append(_run(name, run))
            if run is not scored[0]:
                comparisons.append(_comparison(name, scored[0], run))
            progress.advance()
    gathered = contents.gather(runs, comparisons, CHECKS)
    page = scores_page.render(gathered, CHECKS)
    path = pages.write(page, out, scores_page.FILE_NAME)
    browser = gathered.browser
    if as_json:
        counts = {"runs": len(runs), "samples": browser.total, "samples_on_page": browser.shown}
        _print_written(path, page, counts)
    else:
        shown = f", {browser.shown} of them on the page" if browser.shown < browser.total else ""
        print(f"{path}: {counted(len(runs), 'run')}, {counted(browser.total, 'sample')}{shown}")


def _run(name: str, scored: "Scored") -> "Run":
    from lrgen.report.scores.contents import Run, Sample
    from lrgen.score import summary

    ks = summary.ks_of(Counter(verdict.row_id for verdict in scored.verdicts).values())
    fields = Sample.__dataclass_fields__
    return Run(
        name=name,
        conditions=asdict(scored.conditions),
        all=summary.group_of(scored.verdicts, ks),
        by_task=summary.by_task(scored.verdicts, ks),
        samples=[Sample(**{field: getattr(verdict, field) for field in fields}) for verdict in scored.verdicts],
    )


def _comparison(name: str, first: "Scored", second: "Scored") -> "Comparison":
    from lrgen.report.scores.contents import Comparison
    from lrgen.score import compare

    try:
        return Comparison(name, asdict(compare.compare(first, second)))
    except ScoreError as error:
        return Comparison(name, None, str(error))


def _names(folders: Sequence[Path]) -> list[str]:
    """Return a name for each folder: its own, else the path as given where two have the same, numbered if need be."""
    from lrgen.report.scores.contents import visible

    own = [folder.resolve().name for folder in folders]
    paths = [
        visible(name if own.count(name) == 1 else str(folder), _LONGEST)
        for name, folder in zip(own, folders, strict=True)
    ]
    return [
        path if paths.count(path) == 1 else f"{path} ({paths[: number + 1].count(path)})"
        for number, path in enumerate(paths)
    ]


def _print_written(path: Path, page: str, counts: dict[str, int]) -> None:
    print_json({"path": str(path), "bytes": len(page.encode())} | counts)
