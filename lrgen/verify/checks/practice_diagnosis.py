"""The practices of a file that claims no variant, in sentences: which it uses or names, and what to do about them.

They are read from the text of the file: a practice is checked only in a file that claims a variant with it.
"""

import ast
import functools
from collections.abc import Collection, Iterator, Sequence

from lrgen import catalogue
from lrgen.records import NearestSchedule, PracticeKind, Unit, Variant
from lrgen.source.practice_faults import faults, guards_skipped_updates
from lrgen.source.practice_signs import Sign, signs
from lrgen.source.practice_words import TITLES, said
from lrgen.verify.messages import printable

_SAME = 0.01  # distance of a schedule that a file has
_LONGEST = 60  # characters of code in a sentence


def sentences(
    tree: ast.Module,
    name: str,
    nearest: Sequence[NearestSchedule] = (),
    *,
    unit: Unit | None = None,
    batches_per_update: float = 0.0,
    steps_per_update: float = 0.0,
) -> Iterator[str]:
    """Sentences on the practices of a file.

    Args:
        name: of the file, without its suffix.
        nearest: the schedules of the catalogue that are nearest to that of the file.
        unit: of its schedule.
        batches_per_update: as observed; 0 if that is unknown.
        steps_per_update: of the schedule, as observed; 0 if that is unknown.
    """
    seen = signs(tree)
    keys = [
        key for schedule in nearest if schedule.distance <= _SAME for key in (schedule.variant, *schedule.equivalents)
    ]
    same = {number for key, number in _numbers().items() if key in keys}
    for sign in seen:
        yield _used(sign, same, batches_per_update)
    kinds = {sign.kind for sign in seen}
    for kind, words in said(tree, name).items():
        if kind not in kinds:
            yield (
                f"its name or a docstring says {printable(words, _LONGEST)}, and no code of {TITLES[kind]} was found: "
                "add the code, or correct the text"
            )
    yield from faults(tree)
    by_batch = unit is Unit.BATCH
    if by_batch and any(sign.words == "GradScaler" for sign in seen) and not guards_skipped_updates(tree):
        yield (
            "the schedule also advances when the gradient scaler skips an update: call scheduler.step() only if "
            "scaler.get_scale() has not become smaller"
        )
    if PracticeKind.ACCUMULATION in kinds and 0 < batches_per_update < 1.01:
        yield "learn makes one update a batch, although it can accumulate gradients: check the number of batches"
    if by_batch and batches_per_update > 1.3 and steps_per_update > 1.3:
        yield (
            f"the schedule advances {steps_per_update:.3g} times for each update: call scheduler.step() once after "
            "optimizer.step()"
        )


def _used(sign: Sign, same: Collection[int], batches_per_update: float) -> str:
    """The sentence on a practice that a file uses, with the variant that checks it if there is one."""
    practice = sign.practice
    if sign.kind is PracticeKind.ACCUMULATION:
        every = round(batches_per_update)
        practice = next((name for name, count in _accumulated().items() if count == every), "")
    words = " ".join(printable(sign.words).split())
    shown = words if len(words) <= _LONGEST else f"{words[: _LONGEST - 1]}…"
    title = "CutMix" if practice == "cutmix" else TITLES[sign.kind]
    begin = f"it uses {title} ({shown}, line {sign.line}), which is checked only with a claim: "
    fitting = [
        variant
        for variant in _with_practice()
        if variant.practice is not None and variant.practice.name == practice and variant.schedule in same
    ]
    if fitting:
        return f"{begin}--as {fitting[0].name}"
    return f"{begin}--as one of lrgen list schedules --practice {practice or sign.kind}"


@functools.cache
def _numbers() -> dict[str, int]:
    """The number of each shipped schedule by its key."""
    return {variant.key: variant.number for variant in catalogue.load().schedules}


@functools.cache
def _with_practice() -> tuple[Variant, ...]:
    """The shipped variants with a practice."""
    return catalogue.load().with_practice


def _accumulated() -> dict[str, int]:
    """The practices of accumulation, and the number of batches of an update of each."""
    return {
        variant.practice.name: variant.batches_per_update
        for variant in _with_practice()
        if variant.practice is not None and variant.practice.kind is PracticeKind.ACCUMULATION
    }
