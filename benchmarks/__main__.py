"""``make bench``: benchmarks against peers in one run, reported as ratios.

``python -m benchmarks render queue`` prints these tables only. The table ``instrument`` compares with the checkout of
``--against`` and is left out without it. benchmarks/RESULTS.md records earlier results.
"""

import argparse
import functools
import hashlib
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import NoReturn

import black

from benchmarks import audit, datasets, instrument, nursery, results, scoring
from lrgen import catalogue as catalogues
from lrgen.records import Outcome, VerifySettings
from lrgen.render import output, renderer
from lrgen.verify import plan

BLACK_SAMPLE = 30
VERIFIED = (1, 4, 7, 13, 17, 20, 24, 27, 31, 36, 37, 41, 44, 47, 49, 50)
EPOCHS = 1
COMMAND_RUNS = 7
LONG = 10_000
SINGLE = 10


def main() -> None:
    """Print the tables named on the command line; by default all."""
    arguments = arguments_of(sys.argv[1:])
    tables: dict[str, Callable[[Path], object]] = {
        "commands": bench_commands,
        "curves": lambda folder: bench_curves(),
        "render": bench_render,
        "queue": bench_queue,
        "nursery": nursery.bench,
        "audit": audit.bench,
        "score": lambda folder: scoring.bench(catalogues.load()),
        "instrument": functools.partial(bench_instrument, arguments),
        "results": lambda folder: results.bench(folder, catalogues.load()),
        "dataset": lambda folder: datasets.bench(folder, catalogues.load()),
        "data": lambda folder: bench_data(),
        "verify": bench_verify,  # last: its bare loop starts threads, after which no fork is possible
    }
    if unknown := set(arguments.tables) - tables.keys():
        refuse(f"unknown table: {', '.join(sorted(unknown))}; known: {', '.join(tables)}")
    if arguments.against is None:
        if "instrument" in arguments.tables:
            refuse("the table instrument needs --against CHECKOUT, a folder with the lrgen to compare with")
        del tables["instrument"]
    elif not instrument.is_checkout(arguments.against):
        refuse(f"--against {arguments.against}: the folder is no checkout of lrgen, it has no package lrgen")
    processor = f"{platform.machine()}, {platform.processor() or cpu()}, {plan.cores()} cores"
    print(f"{processor}, Python {platform.python_version()}")
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("lrgen", "torch", "black", "jinja2"))
    print(f"{versions}; {time.strftime('%Y-%m-%d')}\n")
    for name, bench in tables.items():
        if name in arguments.tables or not arguments.tables:
            with tempfile.TemporaryDirectory() as folder:
                bench(Path(folder))


def arguments_of(words: list[str]) -> argparse.Namespace:
    """The command line: tables, and the options of the table ``instrument``."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.partition("\n")[0])
    parser.add_argument("tables", nargs="*", metavar="table")
    parser.add_argument("--against", type=Path, metavar="CHECKOUT", help="checkout to compare with (instrument)")
    parser.add_argument(
        "--stage", action="append", choices=list(instrument.COPIES), help="repeatable; default: schedule"
    )
    parser.add_argument("--variant", action="append", type=int, metavar="NUMBER", help="repeatable (instrument)")
    parser.add_argument("--rounds", type=int, default=instrument.ROUNDS, help="rounds of the table instrument")
    arguments = parser.parse_args(words)
    if arguments.rounds < 1:
        refuse(f"--rounds must be at least 1, got {arguments.rounds}")
    return arguments


def refuse(reason: str) -> NoReturn:
    """End with one sentence and exit code 2."""
    print(f"error: {reason}", file=sys.stderr)
    sys.exit(2)


def bench_instrument(arguments: argparse.Namespace, folder: Path) -> None:
    """A file's checks here, against those of another checkout, for each stage."""
    checkouts = instrument.HERE, arguments.against.resolve()
    for stage in arguments.stage or ["schedule"]:
        instrument.bench(folder, checkouts, stage, arguments.variant or instrument.VARIANTS, arguments.rounds)


def cpu() -> str:
    """Return the name of the processor on Linux."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "unknown")


def seconds(work: Callable[[], object]) -> float:
    """Return the wall time of one call."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def bench_commands(folder: Path) -> None:
    """Run time of light commands, against an empty Python process and one that imports torch."""
    python = sys.executable
    commands = {
        "python -c pass": [python, "-c", "pass"],
        "lrgen list schedules": [python, "-m", "lrgen", "list", "schedules"],
        "lrgen show 13": [python, "-m", "lrgen", "show", "13"],
        "lrgen show 13 --code": [python, "-m", "lrgen", "show", "13", "--code"],
        "lrgen render --variant 13 (first)": [python, "-m", "lrgen", "render", "--variant", "13", "--out", "OUT"],
        "lrgen render --variant 13 (unchanged)": [python, "-m", "lrgen", "render", "--variant", "13", "--out", "kept"],
        "python -c 'import torch'": [python, "-c", "import torch"],
    }
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}

    def once(words: list[str], out: str) -> float:
        command = [out if word == "OUT" else word for word in words]
        return seconds(
            lambda: subprocess.run(command, cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)
        )

    for words in commands.values():
        once(words, "kept")  # caches bytecode and formatted fragments, and writes the unchanged file
    print(f"commands: median of {COMMAND_RUNS} runs, in turn")
    taken: dict[str, list[float]] = {name: [] for name in commands}
    for run in range(COMMAND_RUNS):
        for name, words in commands.items():
            taken[name].append(once(words, f"run{run}"))
    medians = {name: statistics.median(times) for name, times in taken.items()}
    for name, median in medians.items():
        print(f"  {name:<42}{median:9.3f} s")
    print(
        f"  slowest lrgen / import torch:     {max(list(medians.values())[1:-1]) / list(medians.values())[-1]:8.2f}\n"
    )


def bench_curves() -> None:
    """Curves as arrays against curves step by step, the traces of the schedule check, and all pairs of curves."""
    import numpy as np

    from lrgen import curves
    from lrgen.curves import pairs
    from lrgen.records import Unit
    from lrgen.verify.checks import make_scheduler_trace
    from lrgen.verify.checks.examination import prm_of
    from lrgen.verify.checks.reference import metrics_of
    from lrgen.verify.limits import Limits
    from lrgen.verify.messages import Loaded
    from lrgen.verify.nursery_process import Nursery
    from lrgen.verify.sandbox import Mechanism
    from lrgen.verify.session import Place

    catalogue = catalogues.load()
    network = catalogue.architecture("ResNet")
    render = renderer.Renderer(catalogue).render
    by_step = [variant for variant in catalogue.schedules if variant.unit is not Unit.METRIC]
    steps = np.arange(LONG)

    def arrays() -> None:
        for variant in by_step:
            curves.rates(variant, steps, LONG)

    def single() -> None:
        for variant in by_step[:: len(by_step) // SINGLE]:
            for step in range(0, LONG, 10):
                curves.rates(variant, step, LONG)

    def traced() -> None:
        place = Place(Mechanism.PROCESS, Limits())
        with Nursery() as nursery:
            for variant in catalogue.schedules:
                with nursery.session(place) as session:
                    source, path = render(network, variant).text, f"{variant.key}.py"
                    session.call("load", Loaded, source=source, path=path, absent=[])
                    metrics = metrics_of(variant, LONG) if variant.unit is Unit.METRIC else None
                    make_scheduler_trace.recorded(session, LONG, LONG, prm_of(lr=0.1), [{}], 0.1, metrics)

    as_arrays = seconds(arrays)
    step_by_step = seconds(single) * 10 * len(by_step) / len(by_step[:: len(by_step) // SINGLE])
    tracing = seconds(traced)
    comparing = seconds(lambda: pairs.distances(catalogue.schedules, pairs.FINE))
    count = len(catalogue.schedules)
    print(f"curves: {count} schedules, horizon {LONG}")
    print(f"  {f'{len(by_step)} curves as arrays':<46}{as_arrays:8.2f} s")
    print(f"  {f'the same step by step (from {SINGLE} curves, every 10th)':<46}{step_by_step:8.2f} s")
    print(f"  {f'{count} schedulers traced, each in its process':<46}{tracing:8.2f} s")
    print(f"  {f'all pairs of {count} at horizon {pairs.FINE}':<46}{comparing:8.2f} s")
    print(f"  step by step / arrays:            {step_by_step / as_arrays:8.0f}\n")


def bench_render(folder: Path) -> None:
    """First and unchanged renders of the grid, against black on each file and against writing the same bytes."""
    catalogue = catalogues.load()
    pairs = output.pairs(catalogue.architectures, catalogue.schedules)
    out = folder / "grid"

    def into(target: Path) -> None:
        renderer.clear_caches()
        output.generate(catalogue, pairs, target)

    os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
    first = seconds(lambda: into(folder / "first"))
    rendering = seconds(lambda: into(out))
    paths = [output.path_of(out, *pair) for pair in pairs]
    texts = [path.read_text() for path in paths]
    unchanged = seconds(lambda: output.generate(catalogue, pairs, out))
    hashing = seconds(lambda: [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths])

    def write() -> None:
        for index, text in enumerate(texts):
            (folder / f"{index}.py").write_text(text)

    writing = seconds(write)
    sample = texts[:: max(1, len(texts) // BLACK_SAMPLE)][:BLACK_SAMPLE]
    blackened = seconds(lambda: [black.format_str(text, mode=black.Mode()) for text in sample])
    per_file = blackened / len(sample) * len(texts)
    print(f"render: {len(pairs)} files, {sum(map(len, texts)) / len(texts):.0f} characters each")
    rows = [
        ("lrgen render, no fragments cached", first),
        ("lrgen render, fragments cached", rendering),
        ("lrgen render, nothing changed", unchanged),
        ("read and hash the same files", hashing),
        ("write the same bytes", writing),
        (f"black on each file (from {len(sample)} files)", per_file),
    ]
    for label, taken in rows:
        print(f"  {label:<42}{taken:9.2f} s{len(texts) / taken:12.0f} files/s")
    print(f"  black per file / first lrgen:     {per_file / first:8.1f}")
    print(f"  black per file / lrgen:           {per_file / rendering:8.1f}")
    print(f"  lrgen / writing the bytes:        {rendering / writing:8.1f}")
    print(f"  unchanged / reading and hashing:  {unchanged / hashing:8.1f}\n")


def bench_queue(folder: Path) -> None:
    """Overhead of the nursery, the engine and the store per file.

    The second part runs the grid twice; in the second run all results are cached.
    """
    from lrgen.records import Candidate, Stage
    from lrgen.store import Store
    from lrgen.verify import run as verify
    from lrgen.verify.engines import local
    from lrgen.verify.isolation import Isolation, available
    from lrgen.verify.limits import Limits
    from lrgen.verify.messages import Loaded
    from lrgen.verify.nursery_process import Nursery
    from lrgen.verify.sandbox import Mechanism
    from lrgen.verify.session import Place

    settings = VerifySettings(stage=Stage.SYNTAX)
    candidate = Candidate(Path("/x.py"), "x" * 7000, "", "net", "file", None, {"lr": 0.1})

    def resident() -> float:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE") / (1 << 20)

    def loaded(nursery: Nursery, mechanism: Mechanism, count: int) -> None:
        for _ in range(count):
            with nursery.session(Place(mechanism, Limits())) as session:
                session.call("load", Loaded, source="x = 1\n", path="x.py", absent=[])

    print("queue: files in processes of a nursery, one at a time, and files through the syntax check, two at a time")
    before = resident()
    with Nursery() as nursery:
        for mechanism in (Mechanism.PROCESS, available()):
            taken = seconds(functools.partial(loaded, nursery, mechanism, 100))
            print(f"  {f'a process each ({mechanism})':<32}{100:7} files{taken:9.2f} s{taken * 10:9.2f} ms/file")
    for count in (100, 1000):
        files = [replace(candidate, source=f"{candidate.source}{index}") for index in range(count)]
        queue = functools.partial(local.run, files, settings, None, workers=2, limits=Limits())
        taken = seconds(lambda queue=queue: all(queue()))
        grown = f"parent + {resident() - before:.0f} MiB"
        print(f"  {'the syntax check':<32}{count:7} files{taken:9.2f} s{taken / count * 1000:9.2f} ms/file   {grown}")

    catalogue = catalogues.load()
    pairs = output.pairs(catalogue.architectures, catalogue.schedules)
    candidates = verify.from_selection(catalogue, pairs, folder / "grid")
    store = Store(f"sqlite:///{folder}/results.db")
    options = {"workers": 2, "timeout": 60, "isolation": Isolation.PROCESS}
    first = seconds(lambda: all(verify.verify(candidates, settings, store, **options)))
    again = seconds(lambda: all(verify.verify(candidates, settings, store, **options)))
    selecting = seconds(lambda: verify.from_selection(catalogue, pairs, folder / "grid"))
    count = len(candidates)
    print(
        f"  {'the grid, a process each, recorded':<32}{count:7} files{first:9.2f} s{first / count * 1000:9.2f} ms/file"
    )
    print(f"  {'the grid again, nothing changed':<32}{count:7} files{again:9.2f} s{again / count * 1000:9.2f} ms/file")
    print(f"  {'  and comparing it with a render':<32}{count:7} files{selecting:9.2f} s\n")


def bench_data() -> None:
    """Augmented batches of CIFAR per second: lrgen's, against torchvision's transforms in a DataLoader."""
    import numpy as np
    import torch
    from torch.utils.data import DataLoader, Dataset
    from torchvision import transforms

    from lrgen.data.batches import Batches, Scale

    images = torch.randint(0, 256, (10_240, 3, 32, 32), dtype=torch.uint8)
    labels = torch.randint(0, 10, (len(images),))
    scale = Scale.of(images)

    class Cifar(Dataset[object]):
        def __init__(self) -> None:
            self.images = np.ascontiguousarray(images.permute(0, 2, 3, 1).numpy())
            steps = [transforms.ToPILImage(), transforms.RandomCrop(32, 4), transforms.RandomHorizontalFlip()]
            steps += [transforms.ToTensor(), transforms.Normalize(scale.mean.tolist(), scale.std.tolist())]
            self.transform = transforms.Compose(steps)

        def __len__(self) -> int:
            return len(self.images)

        def __getitem__(self, index: int) -> object:
            return self.transform(self.images[index]), int(labels[index])

    batch = 128
    batches = Batches(images, labels, batch, scale, seed=0, crop=4, flip=True)
    count = len(batches)
    print(f"data: {count} batches of {batch} images of 3 x 32 x 32, shifted by up to 4 pixels, mirrored, normalised")
    torch.set_num_threads(1)
    next(iter(batches))
    rounds = 10
    taken = seconds(lambda: all(len(labels) for _ in range(rounds) for _, labels in batches))
    rows = {"lrgen, one thread": taken / rounds}
    for workers in (0, 2):
        loader = DataLoader(Cifar(), batch, shuffle=True, num_workers=workers)
        name = f"torchvision and DataLoader, {workers} workers"
        rows[name] = seconds(lambda loader=loader: all(len(labels) for _, labels in loader))
    for name, taken in rows.items():
        print(f"  {name:<46}{taken:8.2f} s{count / taken:9.0f} batches/s")
    first, *others = rows.values()
    print(f"  torchvision's best / lrgen:       {min(others) / first:8.1f}\n")


def bench_verify(folder: Path) -> None:
    """All checks in forked processes, against a new process for each file and against one bare loop; one worker."""
    import torch

    from benchmarks.bare import train
    from lrgen import data
    from lrgen.verify import run as verifying
    from lrgen.verify.engines import local

    catalogue = catalogues.load()
    pairs = output.pairs([catalogue.architecture("ResNet")], [catalogue.variant(n) for n in VERIFIED])
    candidates = verifying.from_selection(catalogue, pairs, folder / "verify")
    digits = data.load("digits")
    paths = [str(candidate.path) for candidate in candidates]

    def cold() -> None:
        for path in paths:
            subprocess.run(
                [sys.executable, "-m", "benchmarks.bare", str(EPOCHS), path], check=True, stdout=subprocess.PIPE
            )

    settings = VerifySettings(epochs=EPOCHS, threads=1)
    outcomes: list[Outcome] = []

    def forked() -> None:
        outcomes.extend(local.run(candidates, settings, digits, workers=1))

    torch.set_num_threads(1)
    processes = seconds(cold)
    harnessed = seconds(forked)
    # The bare loop runs last: it starts threads, after which no fork is possible.
    one_loop = seconds(lambda: [train(Path(path), EPOCHS, digits) for path in paths])
    training = sum(check.seconds for outcome in outcomes for check in outcome.checks if check.stage == "training")
    others = sum(check.seconds for outcome in outcomes for check in outcome.checks if check.stage != "training")
    count = len(paths)
    print(f"verify: {count} ResNet files, {EPOCHS} epoch each, one thread, one at a time")
    rows = [
        ("a new process for each file, training only", processes),
        ("lrgen, all four checks", harnessed),
        ("  of which training", training),
        ("  of which the other checks", others),
        ("  of which the harness itself", harnessed - training - others),
        ("one bare loop in one process, training only", one_loop),
    ]
    for label, taken in rows:
        print(f"  {label:<46}{taken:8.2f} s{taken / count:9.3f} s/file")
    print(f"  new processes / lrgen:            {processes / harnessed:8.2f}")
    print(f"  lrgen's training / bare loop:     {training / one_loop:8.2f}")


if __name__ == "__main__":
    main()
