"""Task infill: fill-in-the-middle of make_scheduler."""

import hashlib

from lrgen.finetune import wording
from lrgen.finetune.example import Scope
from lrgen.finetune.tasks import infill
from lrgen.source import sections


def test_the_completion_completes_the_file(full_input):
    """The incomplete file of the prompt has no make_scheduler; with the completion it is the verified file."""
    examples = list(infill.examples(full_input))
    assert len(examples) == len(full_input.files)
    for example in examples:
        incomplete = wording.quoted(example.prompt)
        assert "def make_scheduler" not in incomplete
        completed = sections.complete(incomplete, example.completion)
        digest = hashlib.sha256(completed.encode()).hexdigest()
        assert digest == example.files[0].sha256 == example.evidence["infilled"]
        assert example.scope is Scope.FILE
