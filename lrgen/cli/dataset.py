"""``lrgen dataset``: fine-tuning datasets made from verified files."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from lrgen import catalogue as catalogues
from lrgen import config
from lrgen.cli.options import All, AsJson, Database, Families, Models, Practices, Templates, Variants, select
from lrgen.cli.printing import Progress, console, counted, print_json
from lrgen.errors import ConfigError, CorpusError, DatasetError, UnknownNameError
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
_HELD_OUT = ("lightning",)  # styles of compositions


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
    practice: Practices = None,
    level: Annotated[
        str, typer.Option(help="Last check that every file must have passed.", metavar="contract|schedule|training")
    ] = "training",
    limit: Annotated[
        int | None, typer.Option(min=1, help="Maximum number of rows, divided among tasks and splits.")
    ] = None,
    task_weight: Annotated[
        list[str] | None,
        typer.Option("--task-weight", help="Weight of a task; repeatable. (default: 1)", metavar="TASK=W"),
    ] = None,
    rows_per_file: Annotated[
        int, typer.Option(min=1, help="Number of rows of each file, in the tasks that ask for a file.")
    ] = 2,
    mutants_per_file: Annotated[
        int, typer.Option(min=1, help="Number of mutants of each file, in each task about mutants.")
    ] = 1,
    traces_per_file: Annotated[
        int, typer.Option(min=1, help="Number of questions about the learning rates of each schedule.")
    ] = 20,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of wordings and mutations. (default: 0)")] = None,
    split_seed: Annotated[int, typer.Option(min=0, help="Seed of the splits.")] = 0,
    holdout_family: Annotated[
        list[str] | None,
        typer.Option("--holdout-family", help="Family held out for testing; repeatable.", metavar="NAME"),
    ] = None,
    holdout_model: Annotated[
        list[str] | None,
        typer.Option(
            "--holdout-model",
            help="Architecture with its variations, held out for testing; repeatable.",
            metavar="NAME",
        ),
    ] = None,
    compositions: Annotated[
        int, typer.Option(min=0, help="Number of drawn compositions for the tasks about a schedule.")
    ] = 0,
    style: Annotated[
        list[str] | None,
        typer.Option("--style", help="Style that compositions are written in; repeatable. (default: all)"),
    ] = None,
    holdout_style: Annotated[
        list[str] | None,
        typer.Option("--holdout-style", help="Style held out for testing; repeatable. (default: lightning)"),
    ] = None,
    no_files: Annotated[bool, typer.Option("--no-files", help="Make rows of compositions alone.")] = False,
    tokenizer: Annotated[
        Path | None, typer.Option(help="tokenizer.json to count tokens with. (default: lrgen's)", metavar="FILE")
    ] = None,
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

    Example: lrgen dataset build --out out/compositions --no-files --compositions 10000
    """
    flags = {"db": db, "out": files, "seed": seed, "workers": workers}
    settings = _settings(flags | {"templates": tuple(templates) if templates else None})
    from lrgen.finetune import build as building
    from lrgen.finetune import corpus, formats
    from lrgen.finetune.example import TaskInput
    from lrgen.finetune.mutants import RunContext
    from lrgen.finetune.plan import Plan
    from lrgen.store import Store
    from lrgen.verify import verdicts

    if level not in list(corpus.Level):
        raise UnknownNameError("level", level, list(corpus.Level))
    formats.named(form or ())
    catalogue = catalogues.of(settings)
    plan = Plan(
        tasks=_tasks(task or ()),
        formats=tuple(form or formats.NAMES),
        level=corpus.Level(level),
        seed=settings.seed,
        split_seed=split_seed,
        limit=limit,
        weights=dict(map(_weight, task_weight or ())),
        rows_per_file=rows_per_file,
        mutants_per_file=mutants_per_file,
        traces_per_file=traces_per_file,
        holdout_families=tuple(holdout_family or ()),
        holdout_architectures=tuple(holdout_model or ()),
        tokenizer=tokenizer,
        max_tokens=max_tokens,
        benchmarks=tuple(decontaminate or ()),
        compositions=compositions,
        styles=tuple(style or ()),
        holdout_styles=tuple(holdout_style or (_HELD_OUT if compositions else ())),
    )
    plan.validate()
    workers = settings.workers or planning.cores()
    verified: list[corpus.VerifiedFile] = []
    ineligible: list[IneligibleFile] = []
    context = RunContext(cache, workers)
    if no_files:
        _require_compositions(compositions, select_all, model, variant, family, practice)
    else:
        store = Store(settings.db)
        pairs = select(catalogue, settings, select_all, model, variant, family, practice)
        verified, ineligible = corpus.collect(store, pairs, settings.out, plan.level, verdicts.check_version())
        _require_eligible(ineligible, len(verified), skip_ineligible, level)
        context = RunContext(cache, workers, plan.mutants_per_file, plan.traces_per_file, accuracies=store.best_of_runs)
    with Progress("rows", 0) as progress:
        built = building.build(
            TaskInput(catalogue, verified, plan.seed),
            plan,
            out,
            context=context,
            ineligible=len(ineligible),
            workers=workers,
            advance=progress.advance,
            stage=progress.stage,
        )
    _print_built(built, len(ineligible), as_json)


@dataset.command("check")
def dataset_check(
    folder: _Folder,
    sample: Annotated[
        int, typer.Option(min=0, help="Number of drawn files and of drawn mutants to execute again.")
    ] = 50,
    execute_all: Annotated[bool, typer.Option("--all", help="Execute all files and mutants again.")] = False,
    case_seed: Annotated[
        int | None, typer.Option(help="Seed of what is drawn; it repeats an earlier check. (default: a new one)")
    ] = None,
    tokenizer: Annotated[
        Path | None, typer.Option(help="tokenizer.json that the build was given.", metavar="FILE")
    ] = None,
    decontaminate: Annotated[
        list[Path] | None, typer.Option(help="Benchmark that the build was given; repeatable.", metavar="FILE.jsonl")
    ] = None,
    workers: _Workers = None,
    templates: Templates = None,
    db: Annotated[
        str | None, typer.Option("--db", help="Results database to look up the runs of the rows.", metavar="URL")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check a dataset: build it again, compare every byte, and execute the files of its corpus.

    Example: lrgen dataset check out/resnet --sample 50
    """
    settings = _settings({"workers": workers, "templates": tuple(templates) if templates else None})
    from lrgen.finetune.check import check
    from lrgen.store import Store

    with Progress("checking", 0) as progress:
        checked = check(
            folder,
            catalogues.of(settings),
            tasks=_tasks(()),
            sample=None if execute_all else sample,
            case_seed=case_seed,
            store=None if db is None else Store(db),
            workers=settings.workers or planning.cores(),
            timeout=settings.timeout,
            tokenizer=tokenizer,
            benchmarks=tuple(decontaminate or ()),
            advance=progress.advance,
            stage=progress.stage,
        )
    if as_json:
        print_json(
            {
                "folder": str(folder),
                "rows": checked.rows,
                "executed": checked.executed,
                "case_seed": checked.case_seed,
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
            f"{folder}: {counted(checked.rows, 'row')} built again, {counted(checked.executed, 'file')} of the corpus "
            f"executed, {problems}; case seed {checked.case_seed}"
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


def _weight(option: str) -> tuple[str, float]:
    """Return the task and the weight of ``TASK=W``."""
    name, _, text = option.partition("=")
    try:
        return name, float(text)
    except ValueError as error:
        raise ConfigError(f"--task-weight {option}: expected TASK=W with a number W, such as write=2") from error


def _require_compositions(count: int, *selections: object) -> None:
    """Raise DatasetError if no rows of files are wanted, and there is nothing else or files are selected."""
    if not count:
        raise DatasetError("--no-files without --compositions N: there would be no row")
    if any(selections):
        raise DatasetError(
            "--no-files makes rows of compositions alone: it takes no --all, --model, --variant, --family, --practice"
        )


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
    for reason, count in sorted(counts.left_out.items()):
        print(f"left out: {reason}: {count}")
    if ineligible:
        print(f"left out: {counted(ineligible, 'ineligible file')}")
    if counts.too_long:
        print(f"longer than --max-tokens: {counted(counts.too_long, 'row')}, written to too_long.jsonl")


def _print_row(row: dict[str, Any]) -> None:
    from rich.rule import Rule

    out = console()
    out.print(Rule(f"{row['task']} · {row['split']} · {row['id']}"))
    facts = ("architecture", "variant", "variant_name", "level", "accuracy", "evidence")
    shown = (f"{name}: {row[name]}" for name in facts if row[name] not in (None, ""))
    out.print(escape("  ".join(shown)), soft_wrap=True)
    for name in ("system", "prompt", "completion", "rejected", "label"):
        if row[name] is not None:
            out.print(f"\n[bold]{name}[/]\n{escape(str(row[name]))}", soft_wrap=True)
    out.print()
