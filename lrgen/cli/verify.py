"""``lrgen verify``: runs the checks on files and records the results."""

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from lrgen import catalogue as catalogues
from lrgen import config
from lrgen.catalogue import Catalogue
from lrgen.catalogue.pairwise import COVERS, cover
from lrgen.cli.options import (
    All,
    AsJson,
    Database,
    DataRoot,
    Families,
    Models,
    Out,
    Practices,
    Templates,
    Variants,
    architectures,
    numbers,
    select,
)
from lrgen.cli.printing import Progress, outcome_row, print_json, print_outcomes
from lrgen.errors import ConfigError, UnknownNameError
from lrgen.records import Architecture, Outcome, Policy, Status, Variant
from lrgen.render.output import Pair
from lrgen.verify import plan as planning
from lrgen.verify.case_seed import parse_case_seed
from lrgen.verify.given import check_given
from lrgen.verify.plan import VerifyRequest


def verify(
    path: Annotated[
        list[Path] | None, typer.Argument(help="Files or folders. (default: the selected rendered files)")
    ] = None,
    claimed: Annotated[
        str | None,
        typer.Option(
            "--as",
            help="Variant that the files are checked against, or model and variant: ResNet/StepLR_default. "
            "(default: the variant of a file that lrgen rendered)",
            metavar="[MODEL/]VARIANT",
        ),
    ] = None,
    as_model: Annotated[
        str | None,
        typer.Option(help="Model whose parameters and outputs the networks of the files must have.", metavar="MODEL"),
    ] = None,
    select_all: All = False,
    model: Models = None,
    variant: Variants = None,
    family: Families = None,
    practice: Practices = None,
    out: Out = None,
    templates: Templates = None,
    covering: Annotated[
        str | None,
        typer.Option(
            "--cover",
            help="Sample of the grid: pairwise (every architecture with every family, unit, kind of schedule and kind "
            "of practice) or families (every architecture with one variant of each family).",
            metavar="pairwise|families",
        ),
    ] = None,
    stage: Annotated[
        str, typer.Option(help="Last check: syntax, policy, contract, schedule or training.")
    ] = "training",
    policy: Annotated[
        str | None,
        typer.Option(
            help="Code that the files may contain: strict (what lrgen renders) or lemur (what people write). "
            "(default: lemur for paths, any code for rendered files)",
            metavar="strict|lemur",
        ),
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option(help="Dataset of the training check: digits, cifar-10, cifar-20 or cifar-100. (default: digits)"),
    ] = None,
    data_root: DataRoot = None,
    download: Annotated[
        bool, typer.Option("--download", help="Download the dataset with torchvision if it is missing.")
    ] = False,
    epochs: Annotated[
        int | None,
        typer.Option(
            help="Number of epochs of the training check, twice as many for a schedule that only rises. (default: 5)"
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the training check. (default: 0)")] = None,
    seeds: Annotated[
        int, typer.Option(min=1, help="Number of consecutive seeds, each a run of its own (see lrgen results compare).")
    ] = 1,
    case_seed: Annotated[
        str | None,
        typer.Option(
            help="Seed of the drawn cases; it repeats an earlier run. (default: a new one for each run)",
            metavar="INTEGER",
        ),
    ] = None,
    values: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="Value of a hyperparameter that every file gets in prm, an integer or a real number; repeatable. "
            "(default: values of the checks)",
            metavar="NAME=VALUE",
        ),
    ] = None,
    full: Annotated[
        bool,
        typer.Option("--full", help="Train large networks in full, instead of overfitting a small subset on a CPU."),
    ] = False,
    compiled: Annotated[bool, typer.Option("--compile", help="Train with torch.compile.")] = False,
    autocast: Annotated[bool, typer.Option("--autocast", help="Train with autocast to bfloat16.")] = False,
    device: Annotated[str | None, typer.Option(help="Device: auto, cpu, cuda or cuda:N. (default: auto)")] = None,
    workers: Annotated[
        int | None, typer.Option(help="Number of files to run in parallel on the CPU. (default: number of cores)")
    ] = None,
    slots: Annotated[
        int | None,
        typer.Option(
            min=1, help="Number of files to run in parallel on one GPU. (default: as many as fit its free memory)"
        ),
    ] = None,
    isolation: Annotated[
        str | None,
        typer.Option(
            help="Isolation of the files. (default: a sandbox for files that lrgen did not render)",
            metavar="process|sandbox",
        ),
    ] = None,
    engine: Annotated[
        str,
        typer.Option(help="Engine that runs the files: local (this machine) or ray (a cluster).", metavar="local|ray"),
    ] = "local",
    address: Annotated[
        str | None, typer.Option(help="Address of the Ray cluster. (default: found by Ray)", metavar="HOST:PORT")
    ] = None,
    since: Annotated[
        list[Path] | None,
        typer.Option(
            help="Verify only files that this earlier manifest does not have; repeatable.", metavar="MANIFEST"
        ),
    ] = None,
    db: Database = None,
    whole: Annotated[
        bool,
        typer.Option("--whole", help="Execute each file whole, also where its parts were executed in other files."),
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Ignore cached results.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 unless every file is verified.")] = False,
    as_json: AsJson = False,
) -> None:
    """Run the checks on files and record the results.

    Without paths or a selection, the files of the active model are verified.

    Example: lrgen verify --model ResNet --variant 1-50

    Example: lrgen verify my_file.py --as StepLR_default --stage schedule

    Example: lrgen verify my_file.py --as ResNet/StepLR_default

    Example: lrgen verify my_file.py --set step_size=10 --stage schedule

    Example: lrgen verify answers/ --policy strict --stage policy

    Example: lrgen verify --cover pairwise --model VGG

    Example: lrgen verify --variant 1 --variant 41 --seeds 5

    Example: lrgen verify --all --since old/ResNet/manifest.json

    Example: lrgen verify --all --engine ray --address 10.0.0.1:6379
    """
    flags: dict[str, Any] = {"out": out, "dataset": dataset, "epochs": epochs, "seed": seed, "device": device}
    flags |= {"workers": workers, "db": db, "templates": tuple(templates) if templates else None}
    flags["data_root"] = data_root
    settings = config.load(flags)
    given = numbers(values)
    plan = planning.plan(
        settings,
        VerifyRequest(
            stage=stage,
            policy=policy or (Policy.LEMUR if path else None),
            seeds=seeds,
            case_seed=None if case_seed is None else parse_case_seed(case_seed),
            given=given,
            full=full,
            compile=compiled,
            autocast=autocast,
            whole=whole,
            slots=slots,
            isolation=isolation,
            engine=engine,
            address=address,
            download=download,
            force=force,
        ),
    )
    from lrgen.store import Store
    from lrgen.verify import run

    catalogue = catalogues.of(settings)
    if path:
        if select_all or model or variant or family or practice or covering is not None:
            raise ConfigError("paths and a selection exclude each other")
        candidates = run.from_paths(catalogue, path, settings.out, *_claims(catalogue, claimed, as_model))
    else:
        for option, value in (("--as", claimed), ("--as-model", as_model)):
            if value is not None:
                raise ConfigError(f"{option} needs a path: rendered files are checked against what lrgen rendered")
        if covering is not None:
            pairs = _covered(catalogue, settings, covering, model, bool(select_all or variant or family or practice))
        else:
            pairs = select(catalogue, settings, select_all, model, variant, family, practice)
        candidates = run.from_selection(catalogue, pairs, settings.out)
    check_given(given, candidates)
    if since:
        candidates = run.changed_since(candidates, since)
    store = Store(settings.db)
    ended: list[tuple[Outcome, int]] = []
    begun = time.monotonic()
    with Progress("verifying", len(candidates) * seeds) as progress:
        for outcome, run_seed in run.execute(plan, candidates, store, started=progress.begin):
            ended.append((outcome, run_seed))
            progress.outcome(outcome)
    order = {id(candidate): index for index, candidate in enumerate(candidates)}
    ended.sort(key=lambda run: order[id(run[0].candidate)])
    if as_json:
        print_json([outcome_row(outcome, run_seed) for outcome, run_seed in ended])
    else:
        print_outcomes(ended, time.monotonic() - begun, settings.db)
    if any(not outcome.status.ok or (strict and outcome.status is not Status.VERIFIED) for outcome, _ in ended):
        raise typer.Exit(1)


def _claims(
    catalogue: Catalogue, claimed: str | None, as_model: str | None
) -> tuple[Variant | None, Architecture | None]:
    """The variant and the architecture that files are claimed to have.

    Raises:
        UnknownNameError: if there is no such variant or architecture.
        ConfigError: if two architectures are claimed.
    """
    model, slash, variant = (claimed or "").rpartition("/")
    if slash and as_model not in (None, model):
        raise ConfigError(f"--as {claimed} and --as-model {as_model} name two models")
    name = model if slash else as_model
    return (
        None if claimed is None else catalogue.variant(variant),
        None if name is None else catalogue.architecture(name),
    )


def _covered(
    catalogue: Catalogue, settings: config.Settings, kind: str, models: list[str] | None, selected: bool
) -> list[Pair]:
    """The files of a cover; without a model, those of every architecture.

    Raises:
        UnknownNameError: if there is no such cover.
        ConfigError: if variants are selected as well.
    """
    if kind not in COVERS:
        raise UnknownNameError("cover", kind, COVERS)
    if selected:
        raise ConfigError("--cover selects the variants: it can be combined with --model only")
    chosen = architectures(catalogue, settings, not models, models)
    return cover(catalogue, "pairwise" if kind == "pairwise" else "families", chosen)
