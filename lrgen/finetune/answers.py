"""What the answers of a dataset claim, put so that it can be executed or computed again."""

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson

from lrgen import curves
from lrgen.catalogue import Catalogue
from lrgen.errors import DatasetError
from lrgen.finetune import wording
from lrgen.finetune.corpus import Level, ProvedFile
from lrgen.finetune.rows import Row
from lrgen.render.renderer import Renderer
from lrgen.source import diffs, sections
from lrgen.verify import trace

# What a row's evidence says of its answer, and the file that comes of it.
_MADE: dict[str, Callable[[Row], str]] = {
    "equals": lambda row: row["completion"],
    "fills": lambda row: sections.fill(wording.quoted(row["prompt"]), row["completion"]),
    "gives": lambda row: diffs.apply(row["completion"], wording.quoted(row["prompt"])),
}
_RATE = re.compile(r"^(?:\| )?(\d+)(?:: | \| )(\S+)", re.MULTILINE)
_DIGITS = 1e-5  # of a rate: six are written


# What the evidence of a task's rows must say, one of these.
_WANTED = {
    "write": ("equals",),
    "infill": ("fills",),
    "edit": ("equals", "gives"),
    "repair": ("equals", "gives"),
    "convert": ("equals", "schedule_of"),
    "trace": ("traced",),
    "explain": ("described_by",),
    "prompts": ("read_by",),
}


def missing(row: Row) -> str:
    """What a row should say of how its answer was verified, and does not; empty when it says it."""
    evidence = orjson.loads(row["evidence"])
    wanted = _WANTED.get(row["task"], ())
    if wanted and not any(claim in evidence for claim in wanted):
        return f"its evidence says none of {', '.join(wanted)}"
    if row["label"] is not None and ("failed" in evidence) == row["label"]:
        return f"its label is {row['label']}, and its evidence says the opposite"
    if row["rejected"] is not None and not {"failed", "difference"} & evidence.keys():
        return "nothing says why its worse answer is worse"
    return ""


def files_of(row: Row, renderer: Renderer, catalogue: Catalogue) -> Iterator[tuple[str, bool]]:
    """The whole files that the answers are, fill in or patch, and whether each is said to pass the checks. A schedule
    that stands alone is put into the file that the catalogue renders with it.

    Raises:
        DatasetError: when an answer does not fit its question, or does not give the file that the evidence names.
    """
    evidence = orjson.loads(row["evidence"])
    for claim, make in _MADE.items():
        if claim in evidence:
            text = make(row)
            if hashlib.sha256(text.encode()).hexdigest() != evidence[claim]:
                raise DatasetError(f"it does not give the file {evidence[claim][:12]}… that its evidence names")
            yield text, True
    if "schedule_of" in evidence:
        architecture, variant = catalogue.architecture(row["architecture"]), catalogue.variant(row["variant"])
        around = sections.cut(renderer.render(architecture, variant).text)
        yield f"{around.head}{row['completion']}\n\n{around.network}", True
    if "failed" in evidence:
        if row["rejected"] is not None:
            yield row["rejected"], False
        elif row["label"] is False:
            yield row["completion"], False


def course_of(row: Row, renderer: Renderer, catalogue: Catalogue) -> tuple[ProvedFile, trace.Course, int] | None:
    """What it takes to execute an answer about learning rates again: the code, its course, and the parameter group that
    is asked for. None for other answers.

    Raises:
        DatasetError: when the question shows other code than this catalogue renders, which is not ours to run.
    """
    evidence = orjson.loads(row["evidence"])
    if "traced" not in evidence:
        return None
    architecture, variant = catalogue.architecture(row["architecture"]), catalogue.variant(row["variant"])
    rendered = renderer.render(architecture, variant)
    if wording.quoted(row["prompt"]) not in (rendered.text, sections.cut(rendered.text).alone):
        raise DatasetError(f"the code of its question is not what lrgen renders as {variant.key}, and was not run")
    file = ProvedFile(
        architecture=architecture,
        variant=variant,
        source=rendered.text,
        sha256=rendered.sha256,
        path=Path(f"{architecture.name}/{variant.key}.py"),
        result_id=row["result_id"] or 0,
        level=Level.SCHEDULE,
        accuracy=None,
        trace=None,
    )
    metrics, depths = evidence.get("metrics"), tuple(evidence.get("depths", ()))
    course = trace.Course(
        horizon=evidence["horizon"],
        prm=evidence["prm"],
        at=tuple(evidence["steps"]),
        metrics=tuple(metrics) if metrics is not None else None,
        depths=depths,
    )
    return file, course, depths.index(evidence["depth"]) if depths else 0


def compare(row: Row, rates: Sequence[float]) -> None:
    """Hold the learning rates that an answer names to others, those of its steps.

    Raises:
        DatasetError: when they differ; names the step.
    """
    written = {int(step): float(rate) for step, rate in _RATE.findall(row["completion"])}
    lr = orjson.loads(row["evidence"])["prm"]["lr"]
    for (step, rate), right in zip(written.items(), rates, strict=True):
        if not abs(rate - right) <= _DIGITS * abs(right) + _DIGITS**2 * lr:
            raise DatasetError(f"the rate at step {step} is said to be {rate:g}, and is {right:g}")


def compute(row: Row, catalogue: Catalogue) -> None:
    """Compare the learning rates of an answer, if it is about any, with the curve.

    Raises:
        DatasetError: when they differ; names the step.
        LrgenError: when there is no such curve.
    """
    evidence = orjson.loads(row["evidence"])
    if "traced" not in evidence:
        return
    written = [int(step) for step, _ in _RATE.findall(row["completion"])]
    if written != evidence["steps"]:
        raise DatasetError(f"it has the steps {written}, and {evidence['steps']} were asked for")
    compare(row, _rates(row["variant"], evidence, catalogue))


def _rates(name: str, evidence: dict[str, Any], catalogue: Catalogue) -> list[float]:
    """What the curve has at the steps that were asked for."""
    variant = catalogue.variant(name)
    folder = catalogue.user_folder(variant)
    prm = {key: value for key, value in evidence["prm"].items() if key != "lr"}
    horizon, lr, steps = evidence["horizon"], evidence["prm"]["lr"], evidence["steps"]
    if "metrics" in evidence:
        followed = curves.follow(variant, evidence["metrics"], horizon, lr, prm, folder)
        return [float(followed[step]) for step in steps]
    depths = tuple(evidence.get("depths", (0,)))
    group = depths.index(evidence.get("depth", 0))
    return [float(rate) for rate in curves.rates(variant, steps, horizon, lr, prm, folder, depths)[group]]
