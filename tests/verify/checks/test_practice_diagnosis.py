"""The sentences on practices in the diagnosis of a file without a claim, and what they say to do."""

import ast

import pytest

from lrgen.records import NearestSchedule, Unit
from lrgen.verify.checks import diagnosis, observation
from lrgen.verify.checks.practice_diagnosis import sentences
from tests.verify.written_schedules import STEP, Written

STEP_LR = "self.scheduler = lr_scheduler.StepLR(self.optimizer, 30)"
SCALED = (
    "scaler = GradScaler()\nscaler.scale(loss).backward()\nscaler.step(optimizer)\nscaler.update()\nscheduler.step()"
)
ACCUMULATED = "if (step + 1) % 2 == 0:\n    self.optimizer.step()"


def near(variant: str, distance: float = 0.0) -> NearestSchedule:
    """A schedule at a distance."""
    return NearestSchedule(variant, "", distance, {}, 90, "")


def of(text: str, *nearest: NearestSchedule, **observed) -> list[str]:
    """The sentences on a text."""
    return list(sentences(ast.parse(text), "net", nearest, **observed))


def test_the_variant_with_the_practice_and_the_schedule_is_named():
    """A file with a schedule of the catalogue is sent to the variant with both, an equivalent or a later one, too."""
    begin = "it uses mixed precision (GradScaler, line 1), which is checked only with a claim: --as "
    assert of("GradScaler().scale(1)", near("A0_001"))[0] == f"{begin}fp16_step"
    assert of("GradScaler().scale(1)", near("A0_005"), near("A0_141"))[0] == f"{begin}fp16_knee"


def test_without_a_variant_of_both_the_list_is_named():
    """A schedule that is not near, or that no variant with the practice has, is sent to the list of these variants."""
    end = "--as one of lrgen list schedules --practice fp16"
    assert of("GradScaler().scale(1)", near("A0_001", 0.2))[0].endswith(end)
    assert of("GradScaler().scale(1)", near("A0_100"))[0].endswith(end)
    assert of("make_curriculum(loader)", near("A0_001"))[0].endswith("--practice curriculum")


def test_the_number_of_accumulated_batches_tells_the_practice():
    """Gradients of 2 batches are accumulate_2; those of 3 are no practice of the catalogue, and the kind is named."""
    text = "if i % n == 0:\n    optimizer.step()"
    assert of(text, near("A0_001"), batches_per_update=2.0)[0].endswith("--as accumulate_2_step")
    assert of(text, near("A0_001"), batches_per_update=3.0)[0].endswith("--practice accumulation")


def test_a_practice_in_words_alone_is_said():
    """A file that names a practice and has no code of it says to add it, or to correct the text."""
    assert of('"""ResNet with mixup."""') == [
        "its name or a docstring says mixup, and no code of mixup was found: add the code, or correct the text"
    ]
    assert len(of('"""ResNet with mixup."""\nx = mixup_data(x)')) == 1


@pytest.mark.parametrize(("unit", "said"), [(Unit.BATCH, True), (Unit.EPOCH, False), (None, False)])
def test_a_schedule_that_ignores_skipped_updates_is_said(unit, said):
    """A schedule that advances within an epoch beside a gradient scaler must look at the scale; others need not."""
    words = "the schedule also advances when the gradient scaler skips an update"
    assert any(sentence.startswith(words) for sentence in of(SCALED, unit=unit)) is said
    guarded = SCALED.replace("scheduler.step()", "if scaler.get_scale() >= scale:\n    scheduler.step()")
    assert not any(sentence.startswith(words) for sentence in of(guarded, unit=unit))


def observed(examine, written: Written) -> tuple[str, ...]:
    """The sentences on a file that is executed."""
    examination = examine(written.text)
    examination.load(examination.session)
    seen = observation.observe(examination)
    assert not isinstance(seen, str), seen
    return diagnosis.diagnose(seen, ast.parse(written.text), "net").practices


def test_an_executed_file_gets_the_sentence(examine):
    """Accumulation over two batches is named with its variant, and a schedule that advances per batch is a fault."""
    [sentence] = observed(examine, Written((), STEP_LR, after=STEP, step=ACCUMULATED))
    assert sentence.startswith("it uses gradient accumulation (if (step + 1) % 2 == 0, line ")
    assert sentence.endswith("--as accumulate_2_step")
    _, fault = observed(examine, Written((), STEP_LR, last=STEP, step=ACCUMULATED))
    assert fault.startswith("the schedule advances 2 times for each update: ")


def test_an_executed_file_without_practices_gets_none(examine):
    """A plain file has no sentence on practices."""
    assert observed(examine, Written((), STEP_LR, after=STEP)) == ()
