"""Examples of task trace about compositions: their code and some steps → the learning rates."""

import random
from collections.abc import Iterator

from lrgen.errors import CorpusError
from lrgen.finetune.compositions import RealisedComposition
from lrgen.finetune.example import Example, Scope, TaskInput
from lrgen.finetune.instructions.realised import trace as instructions
from lrgen.finetune.instructions.realised.calls import Setting
from lrgen.finetune.instructions.trace import FORMS
from lrgen.finetune.realised import settings
from lrgen.realisations import Style
from lrgen.verify import generated

_WEIGHTS = (4, 4, 2, 2, 2, 2, 1)  # of the forms of an answer
_COUNTS = (3, 12)  # of steps
_TRIED = 4  # settings of a composition
_EXACT = 1e-9  # of the base learning rate
_LONGEST = {Style.SEQUENTIAL: 1000, Style.LOOP: 200}  # the horizons of code that executes all steps before one


def examples(task_input: TaskInput, name: str) -> Iterator[Example]:
    """Yield an example of each composition, most of them with a learning rate that changes.

    Raises:
        CorpusError: when the learning rates of the code differ from the curve.
    """
    for realised in task_input.compositions:
        chance = task_input.chance(name, realised.number)
        for _ in range(_TRIED):
            setting = settings.drawn(realised, chance.choice(realised.realisations), chance)
            if setting.horizon > _LONGEST.get(setting.realisation.style, setting.horizon):
                continue
            steps = settings.steps_of(setting, chance, chance.randint(*_COUNTS))
            answer = _answer(setting, steps)
            if len(set(answer.values())) > 1:
                yield _example(realised, name, setting, answer, chance)
                break


def _answer(setting: Setting, steps: list[int]) -> dict[int, str]:
    """Return the digits of the learning rate at steps where execution and curve give equal digits."""
    executed = generated.rates(
        setting.realisation.code,
        setting.interface,
        setting.composition,
        horizon=setting.horizon,
        steps=steps,
        base_lr=setting.lr,
        jumps=setting.realisation.style is not Style.SEQUENTIAL,
    )[setting.group].tolist()
    answer = {}
    for step, rate, expected in zip(steps, executed, settings.curve(setting, steps), strict=True):
        if not abs(rate - expected) <= _EXACT * setting.lr:
            raise CorpusError(
                f"composition {setting.composition.id} as {setting.realisation.style}: at step {step} of horizon "
                f"{setting.horizon} the rate is {rate:g}, but its curve gives {expected:g}"
            )
        text = settings.digits(rate, setting.lr)
        if text == settings.digits(expected, setting.lr):
            answer[step] = text
    return answer


def _example(
    realised: RealisedComposition, name: str, setting: Setting, answer: dict[int, str], chance: random.Random
) -> Example:
    form = chance.choices(FORMS, _WEIGHTS)[0]
    return Example(
        task=name,
        key=settings.key_of(realised),
        prompt=instructions.question(setting, list(answer), form, chance),
        completion=form.write(answer),
        scope=Scope.SCHEDULE,
        evidence={
            "traced": setting.composition.id,
            "horizon": setting.horizon,
            "lr": setting.lr,
            "group": setting.group,
            "steps": list(answer),
        },
        composition=realised,
        styles=(setting.realisation.style,),
    )
