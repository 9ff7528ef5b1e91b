"""Examples of task infill about compositions: code with a hole → the missing lines or expression."""

import json
from collections.abc import Iterator

from lrgen.finetune import holes, wording
from lrgen.finetune.example import Example, Row, Scope, TaskInput
from lrgen.finetune.instructions.realised import infill as instructions
from lrgen.finetune.realised import settings
from lrgen.realisations import write
from lrgen.verify import generated

_TRIED = 4  # holes of a realisation


def examples(task_input: TaskInput, name: str) -> Iterator[Example]:
    """Yield an example of each composition, in code that is written for it and executed.

    Raises:
        CorpusError: when the learning rates of the code differ from the curve.
    """
    for realised in task_input.compositions:
        composition = realised.composition
        chance = task_input.chance(name, realised.number)
        style = settings.style_of([each.style for each in realised.realisations], chance)
        realisation = write(composition, style, chance)
        hole = next(
            filter(None, (holes.cut(realisation.code, chance, realisation.interface.entry) for _ in range(_TRIED))),
            None,
        )
        if hole is None:
            continue
        generated.check(realisation, composition, chance)
        yield Example(
            task=name,
            key=settings.key_of(realised),
            prompt=instructions.request(realisation, composition, hole, chance),
            completion=hole.answer,
            scope=Scope.SCHEDULE,
            evidence={"infilled": composition.id, "placeholder": hole.placeholder},
            composition=realised,
            styles=(style,),
            interface=realisation.interface,
        )


def filled(row: Row, completion: str) -> str:
    """Return the code of a row's prompt with a completion in place of the placeholder.

    Raises:
        DatasetError: when the prompt has no placeholder.
    """
    placeholder = json.loads(row["evidence"])["placeholder"]
    blocks = wording.blocks(row["prompt"])  # the words for the schedule may have one, too
    code = next((block for block in blocks if placeholder in block), "")
    return holes.filled(code, placeholder, completion)
