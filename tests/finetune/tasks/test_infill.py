"""Task infill: fill-in-the-middle of make_scheduler."""

import hashlib
import random

from lrgen.finetune import wording
from lrgen.finetune.example import Scope
from lrgen.finetune.instructions import infill as instructions
from lrgen.finetune.instructions import schedule
from lrgen.finetune.tasks import infill
from lrgen.source import sections


def test_the_completion_completes_the_file(full_input):
    """The incomplete file of the prompt has no make_scheduler; with the completion it is the verified file."""
    examples = list(infill.examples(full_input))
    assert len(examples) == full_input.rows_per_file * len(full_input.files)
    for example in examples:
        incomplete = wording.quoted(example.prompt)
        assert "def make_scheduler" not in incomplete
        completed = sections.complete(incomplete, example.completion)
        digest = hashlib.sha256(completed.encode()).hexdigest()
        assert digest == example.files[0].sha256 == example.evidence["infilled"]
        assert example.scope is Scope.FILE


def test_request_and_system_message_define_the_schedule(full_input):
    """Formula, unit, end, defaults and the interface of make_scheduler stand in the request or the system's message."""
    for number, file in enumerate(full_input.files):
        instruction = instructions.instruction(file, random.Random(number))
        code = wording.fenced(sections.parse(file.source).incomplete)
        text, variant = f"{instruction.system}\n{instruction.prompt.replace(code, '')}", file.variant
        assert variant.formula in text
        assert ("completed batches" in text or "of batches" in text or "T batches" in text) == variant.per_batch
        assert "the same rule" in text.lower() or "final value" in text or "learning rate is constant" in text
        assert f'scheduler.schedule = ("{variant.title}", total_steps)' in text
        assert wording.contract(file)[2] in text
        for parameter in variant.hyperparameters:
            forms = (wording.number(parameter), *schedule.numerals(parameter))
            assert any(form in text for form in forms), parameter


def test_a_request_asks_for_the_missing_code_alone(full_input):
    """Each request says that the answer is the missing code, not the whole file."""
    for number, file in enumerate(full_input.files):
        prompt = instructions.instruction(file, random.Random(number)).prompt
        request = prompt.replace(wording.fenced(sections.parse(file.source).incomplete), "")
        assert any(
            words in request for words in ("missing code", "code for the TODO", "code that replaces", "the rest of")
        )
