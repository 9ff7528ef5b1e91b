"""An instruction and a file → whether the file is a good one (KTO): verified files, and broken ones that failed."""

from collections.abc import Iterator

from lrgen.finetune.example import Example, Material, Scope
from lrgen.finetune.mutants import Workbench, failures
from lrgen.finetune.tasks import write

NAME = "judge"
SUMMARY = "An instruction and a file → whether it is a good one: as many good ones as bad ones."
NEEDS_BENCH = True


def examples(material: Material, bench: Workbench) -> Iterator[Example]:
    """For each file that the checks saw a mistake in: the file, and the file with the mistake, both asked for alike."""
    judged = ""
    for failure in failures(material, bench):
        file = failure.broken.file
        if file.name == judged:  # one mistake for one verified file
            continue
        judged = file.name
        asked = material.chance(NAME, file.name).choice(write.DETAILED)(file)
        bad = {"mistake": failure.broken.mistake, "failed": failure.stage.value, "reason": failure.reason}
        answers = ((file.source, True, {"equals": file.sha256}), (failure.broken.text, False, bad))
        for answer, label, evidence in answers:
            yield Example(
                task=NAME,
                key=f"{file.name}/{'good' if label else 'bad'}",
                prompt=asked,
                completion=answer,
                scope=Scope.FILE,
                files=(file,),
                label=label,
                evidence=evidence,
            )
