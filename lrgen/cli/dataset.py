"""``lrgen dataset``: fine-tuning datasets made from verified files."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from lrgen import catalogue as catalogues
from lrgen import config
from lrgen.cli.options import All, AsJson, Database, Families, Models, Templates, Variants, select
from lrgen.cli.printing import Progress, console, counted, print_json
from lrgen.errors import ConfigError, CorpusError, UnknownNameError
from lrgen.verify import plan as planning

if TYPE_CHECKING:
    from lrgen.finetune.build import Built
    from lrgen.finetune.corpus import IneligibleFile
    from lrgen.finetune.example import Task

dataset = typer.Typer(
    no_args_is_help=True, help="Build fine-tuning datasets from verified files, check them and view samples."
)

_Folder = Annotated[Path, typer.Argument(help="Folder of the dataset.")]
_Workers = Annotated[
    int | None, typer.Option(help="Number of files to execute in parallel. (default: number of cores)")
]
_SHOWN = 20


@dataset.command("build")
def dataset_build(
    out: Annotated[Path, typer.Option("--out", help="Folder to create.", metavar="DIR")],
    task: Annotated[
        list[str] | None, typer.Option("--task", help="Task to include; repeatable. (default: all)")
    ] = None,
    form: Annotated[
        list[str] | None,
        typer.Option("--format", help="Format to write; repeatable. Parquet is always written. (default: all)"),
    ] = None,
    select_all: All = False,
    model: Models = None,
    variant: Variants = None,
    family: Families = None,
    level: Annotated[
        str, typer.Option(help="Last check that every file must have passed.", metavar="contract|schedule|training")
    ] = "training",
    limit: Annotated[int | None, typer.Option(min=1, help="Maximum number of rows, divided among the tasks.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of wordings and splits. (default: 0)")] = None,
    holdout_family: Annotated[
        list[str] | None,
        typer.Option("--holdout-family", help="Family held out for testing; repeatable.", metavar="NAME"),
    ] = None,
    holdout_model: Annotated[
        list[str] | None,
        typer.Option("--holdout-model", help="Architecture held out for testing; repeatable.", metavar="NAME"),
    ] = None,
    tokenizer: Annotated[Path | None, typer.Option(help="tokenizer.json for counting tokens.", metavar="FILE")] = None,
    max_tokens: Annotated[
        int | None, typer.Option(min=1, help="Maximum length of a row; longer rows are written to too_long.jsonl.")
    ] = None,
    decontaminate: Annotated[
        list[Path] | None,
        typer.Option(help="Benchmark; rows that overlap with it are left out; repeatable.", metavar="FILE.jsonl"),
    ] = None,
    skip_ineligible: Annotated[
        bool, typer.Option("--skip-ineligible", help="Leave out files that did not pass instead of failing.")
    ] = False,
    files: Annotated[
        Path | None,
        typer.Option("--files", help="Folder of the rendered files. (default: generated)", metavar="DIR"),
    ] = None,
    cache: Annotated[Path, typer.Option(help="Folder for cached outcomes of mutants.", metavar="DIR")] = Path(".lrgen"),
    workers: _Workers = None,
    templates: Templates = None,
    db: Database = None,
    as_json: AsJson = False,
) -> None:
    """Build a dataset from the selected files (default: the active model).

    An interrupted build continues when the same command is run again.

    Example: lrgen dataset build --out out/resnet --level schedule

    Example: lrgen dataset build --out out/all --all --holdout-family wsd --holdout-model VGG --format messages
    """
    flags = {"db": db, "out": files, "seed": seed, "workers": workers}
    settings = _settings(flags | {"templates": tuple(templates) if templates else None})
    from lrgen.finetune import build as building
    from lrgen.finetune import corpus, formats
    from lrgen.finetune.example import TaskInput
    from lrgen.finetune.mutants import RunContext
    from lrgen.store import Store
    from lrgen.verify import verdicts

    if level not in list(corpus.Level):
        raise UnknownNameError("level", level, list(corpus.Level))
    formats.named(form or ())
    catalogue = catalogues.of(settings)
    plan = building.Plan(
        tasks=_tasks(task or ()),
        formats=tuple(form or formats.NAMES),
        level=corpus.Level(level),
        seed=settings.seed,
        limit=limit,
        holdout_families=tuple(holdout_family or ()),
        holdout_architectures=tuple(holdout_model or ()),
        tokenizer=tokenizer,
        max_tokens=max_tokens,
        benchmarks=tuple(decontaminate or ()),
    )
    store = Store(settings.db)
    pairs = select(catalogue, settings, select_all, model, variant, family)
    verified, ineligible = corpus.collect(store, pairs, settings.out, plan.level, verdicts.check_version())
    _require_eligible(ineligible, len(verified), skip_ineligible, level)
    context = RunContext(cache, settings.workers or planning.cores(), accuracies=store.best_of_runs)
    with Progress("rows", 0) as progress:
        built = building.build(
            TaskInput(catalogue, verified, plan.seed),
            plan,
            out,
            context=context,
            ineligible=len(ineligible),
            advance=progress.advance,
        )
    _print_built(built, len(ineligible), as_json)


@dataset.command("check")
def dataset_check(
    folder: _Folder,
    sample: Annotated[
        int | None, typer.Option(min=0, help="Number of files and of traces to execute again. (default: all)")
    ] = None,
    workers: _Workers = None,
    templates: Templates = None,
    db: Annotated[
        str | None, typer.Option("--db", help="Results database to look up the runs of the rows.", metavar="URL")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check a dataset: hashes, columns, splits, formats, and completions, which are executed again.

    Example: lrgen dataset check out/resnet --sample 50
    """
    settings = _settings({"workers": workers, "templates": tuple(templates) if templates else None})
    from lrgen.finetune.check import check
    from lrgen.store import Store

    with Progress("checking", 0) as progress:
        checked = check(
            folder,
            catalogues.of(settings),
            sample=sample,
            store=None if db is None else Store(db),
            workers=settings.workers or planning.cores(),
            timeout=settings.timeout,
            advance=progress.advance,
        )
    if as_json:
        print_json(
            {
                "folder": str(folder),
                "rows": checked.rows,
                "executed": checked.executed,
                "traced": checked.traced,
                "problems": checked.problems,
            }
        )
    else:
        for problem in checked.problems[:_SHOWN]:
            console().print(f"[red]{escape(problem)}[/]", soft_wrap=True)
        if len(checked.problems) > _SHOWN:
            print(f"… and {counted(len(checked.problems) - _SHOWN, 'more problem')}")
        problems = counted(len(checked.problems), "problem") if checked.problems else "no problems"
        print(
            f"{folder}: {counted(checked.rows, 'row')}, {counted(checked.executed, 'file')} and "
            f"{counted(checked.traced, 'trace')} executed, {problems}"
        )
    if checked.problems:
        raise typer.Exit(1)


@dataset.command("sample")
def dataset_sample(
    folder: _Folder,
    count: Annotated[int, typer.Option("-n", "--number", min=1, help="Number of rows.")] = 3,
    task: Annotated[list[str] | None, typer.Option("--task", help="Show only this task; repeatable.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show some rows of a dataset.

    Example: lrgen dataset sample out/resnet -n 1 --task repair
    """
    _settings({})
    from lrgen.finetune.sample import sample

    rows = sample(folder, count, task or ())
    if as_json:
        print_json(rows)
        return
    for row in rows:
        _print_row(row)


def _settings(flags: dict[str, Any]) -> config.Settings:
    settings = config.load(flags)
    if not settings.enable_fine_tuning:
        raise ConfigError("datasets are disabled: enable_fine_tuning is false")
    return settings


def _tasks(names: Sequence[str]) -> "tuple[Task, ...]":
    from lrgen.finetune.tasks import TASKS

    known = [task.NAME for task in TASKS]
    for name in names:
        if name not in known:
            raise UnknownNameError("task", name, known)
    return tuple(task for task in TASKS if not names or task.NAME in names)


def _require_eligible(ineligible: "Sequence[IneligibleFile]", verified: int, skip: bool, level: str) -> None:
    """Raise CorpusError for ineligible files, unless they are skipped and eligible files remain."""
    from lrgen.finetune.corpus import summarise

    reasons = "; ".join(summarise(ineligible))
    if ineligible and not skip:
        files = counted(len(ineligible) + verified, "file")
        raise CorpusError(
            f"{len(ineligible)} of {files} did not pass up to {level}: {reasons}. "
            "Run lrgen verify, or leave them out with --skip-ineligible"
            + ("" if level == "contract" else ", or ask for a lower --level")
        )
    if not verified:
        raise CorpusError(f"no file passed up to {level}: {reasons}" if ineligible else "no file is selected")


def _print_built(built: "Built", ineligible: int, as_json: bool) -> None:
    tally, counts = built.tally, built.counts
    summary = {
        "out": str(built.out),
        "files": built.files,
        "ineligible": ineligible,
        **tally.counts(),
        "too_long": counts.too_long,
        "left_out": dict(counts.left_out),
    }
    if as_json:
        print_json(summary)
        return
    splits = ", ".join(f"{count} {split}" for split, count in tally.by_split().items())
    print(f"{counted(tally.total, 'row')} of {counted(built.files, 'file')} written to {built.out}: {splits}")
    left_out = [f"{count} {reason}" for reason, count in counts.left_out.items()]
    left_out += [counted(ineligible, "ineligible file")] if ineligible else []
    if left_out:
        print(f"left out: {', '.join(left_out)}")
    if counts.too_long:
        print(f"longer than --max-tokens: {counted(counts.too_long, 'row')}, written to too_long.jsonl")


def _print_row(row: dict[str, Any]) -> None:
    from rich.rule import Rule

    out = console()
    out.print(Rule(f"{row['task']} · {row['split']} · {row['id']}"))
    facts = ("architecture", "variant", "variant_name", "level", "accuracy", "evidence")
    shown = (f"{name}: {row[name]}" for name in facts if row[name] not in (None, ""))
    out.print(escape("  ".join(shown)), soft_wrap=True)
    for name in ("prompt", "completion", "rejected", "label"):
        if row[name] is not None:
            out.print(f"\n[bold]{name}[/]\n{escape(str(row[name]))}", soft_wrap=True)
    out.print()
