"""Text → the model and the learning rate that it names, as ``lrgen.extraction`` reads them.

The examples use the default settings, not lrgen.toml, so that they are the same everywhere.
"""

import functools
import json
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass

from lrgen import catalogue, extraction
from lrgen.config import Settings
from lrgen.errors import DatasetError
from lrgen.finetune import wording
from lrgen.finetune.example import EXTRACTED, Example, Grade, Reference, Row, Scope, TaskInput
from lrgen.records import Outcome

NAME = "prompts"
SUMMARY = "A text → the active model and the learning rate that it names, as JSON."
EVIDENCE = ("read_by",)
PER_PATTERN = 8
SETTINGS = Settings()

_DETECTION, _RATES = SETTINGS.prompt.model_detection, SETTINGS.prompt.lr_extraction
_NO_RATE = f"{_RATES.default_lr:g} if the text has none between {_RATES.lr_range[0]:g} and {_RATES.lr_range[1]:g}"
_TYPES = {"model": (str, type(None)), "learning_rate": (int, float)}
_WITHIN = (0.001, 0.002, 0.003, 0.005, 0.01, 0.02, 0.025, 0.03, 0.05, 0.1, 0.2, 0.25, 0.3, 0.5)
_OUTSIDE = ("2", "5.0", "10", "1e-4", "3e-5", "0.0005", "0")
_EPOCHS = (5, 10, 20, 30, 50, 90, 100, 150, 200, 300)
_REQUESTS = (
    f"Which model and which learning rate does this text name? Answer with a JSON object with the keys `model` (null "
    f"if the text names none or is ambiguous) and `learning_rate` ({_NO_RATE}).",
    f'Extract {{"model": …, "learning_rate": …}} from the text. `model` is null if the text names none or is '
    f"ambiguous; `learning_rate` is a number, {_NO_RATE}.",
    f"Extract the model and the learning rate from the following text. Answer in JSON only: model (null if none or "
    f"ambiguous), learning_rate (a number; {_NO_RATE}).",
)


@dataclass(frozen=True)
class Pattern:
    """A template with the fields ``{active}``, ``{other}``, ``{third}``, ``{lr}``, ``{outside}`` and ``{epochs}``.

    Attributes:
        text: the template; ``{outside}`` is a learning rate outside the accepted range.
        names: whether the model of the answer is ``{active}``; otherwise it is null.
        rate: whether the learning rate of the answer is ``{lr}``; otherwise it is the default.
    """

    text: str
    names: bool = True
    rate: bool = True


def examples(task_input: TaskInput) -> Iterator[Example]:
    """Yield up to ``PER_PATTERN`` distinct texts of each pattern.

    Raises:
        DatasetError: when ``lrgen.extraction`` disagrees with the values in a text.
    """
    names = _networks()
    for number, pattern in enumerate(PATTERNS, start=1):
        seen: set[str] = set()
        for turn in range(1, PER_PATTERN + 1):
            key = f"{number:02d}/{turn}"
            chance = task_input.chance(NAME, key)
            text, model, rate = written(pattern, names, chance)
            if text in seen:
                continue
            seen.add(text)
            read = extraction.detect_model(text, SETTINGS, names), extraction.extract_lr(text, SETTINGS)
            if read != (model, rate):
                raise DatasetError(
                    f"pattern {number} of task {NAME}: expected {(model, rate)}, extraction returns {read}: {text!r}"
                )
            yield Example(
                task=NAME,
                key=key,
                prompt=f"{chance.choice(_REQUESTS)}\n\n{text}",
                completion=json.dumps({"model": model, "learning_rate": rate}),
                scope=Scope.NONE,
                evidence={"read_by": "lrgen.extraction"},
            )


def assemble(row: Row, completion: str, reference: Reference) -> None:
    """Return None: the text of the prompt is read again."""
    return None


def grade(row: Row, completion: str, reference: Reference, outcome: Outcome | None) -> Grade:
    """Grade the JSON object by the values that ``lrgen.extraction`` reads in the text."""
    text = row["prompt"].partition("\n\n")[2]
    expected = {
        "model": extraction.detect_model(text, SETTINGS, _networks()),
        "learning_rate": extraction.extract_lr(text, SETTINGS),
    }
    try:
        answer = json.loads(completion)
    except (ValueError, RecursionError):
        return Grade(False, "it is not JSON")
    if not isinstance(answer, dict) or answer.keys() != expected.keys():
        return Grade(False, f"it is not a JSON object with the keys {wording.listed(sorted(expected))}")
    wrong = [
        name for name, value in expected.items() if type(answer[name]) not in _TYPES[name] or answer[name] != value
    ]
    if not wrong:
        return Grade.correct()
    reason = wording.listed([f"{name} is {expected[name]!r}, not {answer[name]!r}"[:200] for name in wrong])
    return Grade(False, reason, EXTRACTED, 1 - len(wrong) / len(expected))


@functools.cache
def _networks() -> list[str]:
    """Return the names of lrgen's architectures."""
    return [architecture.name for architecture in catalogue.of(SETTINGS).architectures]


def written(pattern: Pattern, names: list[str], chance: random.Random) -> tuple[str, str | None, float]:
    """Return a text of the pattern with its model and learning rate."""
    active, other, third = chance.sample(names, 3)
    rate = chance.choice(_WITHIN)
    text = pattern.text.format(
        active=_spelled(active, chance) if pattern.text.count("{active}") == 1 else active,
        other=other,
        third=third,
        lr=_rate_written(rate, chance),
        outside=chance.choice(_OUTSIDE),
        epochs=chance.choice(_EPOCHS),
        mark=_DETECTION.active_indicator,
        prefix=_DETECTION.prefix,
    )
    return text, active if pattern.names else None, rate if pattern.rate else _RATES.default_lr


def _spelled(name: str, chance: random.Random) -> str:
    """Return a spelling of a name: ``ResNet18``, ``resnet18``, ``ResNet-18``."""
    return chance.choice((name, name, name.lower(), re.sub(r"(?<=[a-z])(?=\d+$)", "-", name)))


def _rate_written(rate: float, chance: random.Random) -> str:
    """Return a spelling of a learning rate: ``0.01``, ``1e-2``, ``0,01``, ``.01``, ``1%``."""
    digits = f"{rate:g}"
    mantissa, exponent = f"{rate:e}".split("e")
    return chance.choice(
        (
            digits,
            digits,
            f"{float(mantissa):g}e{int(exponent)}",
            f"{float(mantissa):g}E{int(exponent):+03d}",
            digits.replace(".", ","),
            digits.removeprefix("0"),
            f"{100 * rate:g}%",
        )
    )


PATTERNS = (
    # Mail and chat: one name, one learning rate.
    Pattern(
        "Hi Anna,\n\ncould you restart the {active} run tonight? Please use a learning rate of {lr} this "
        "time, the last run diverged.\n\nThanks\nJonas"
    ),
    Pattern(
        "Subject: training tomorrow\n\nDear all,\nfrom now on we train {active} on CIFAR-10. lr = {lr}\n\nBest, Mira"
    ),
    Pattern("can someone rerun {active}? lr {lr} pls, everything else as before"),
    Pattern("@ops {active} has plateaued since epoch {epochs}. Restarting it with learning rate {lr}."),
    Pattern("Let's try {active}. The learning rate is {lr}, and we keep the cosine schedule."),
    Pattern("Thanks for the plots! For {active} I would set the learning rate to {lr} and train again."),
    Pattern("Quick question: is {active} stable at a learning-rate of {lr}, or does it need a warm-up?"),
    Pattern("{active}, initial lr about {lr}, SGD with momentum. That's all I changed."),
    # Commands and configuration.
    Pattern("python train.py --model {active} --lr {lr} --epochs {epochs}"),
    Pattern("python -m train --arch={active} --learning-rate={lr} --momentum 0.9"),
    Pattern("torchrun --nproc_per_node 4 main.py -a {active} --batch-size 256 --learning_rate {lr}"),
    Pattern("model: {active}\nlearning_rate: {lr}\nmomentum: 0.9\nepochs: {epochs}\n"),
    Pattern("optimizer:\n  name: sgd\n  lr: {lr}\n  momentum: 0.9\nmodel:\n  name: {active}\n"),
    Pattern('{{"model": "{active}", "learning_rate": "{lr}", "batch": 128}}'),
    Pattern('[train]\narchitecture = "{active}"\nlr = "{lr}"\nweight_decay = 5e-4\n'),
    Pattern("MODEL={active} LR={lr} make train"),
    # Lists that mark the active model.
    Pattern("model_{other}\nmodel_{active} {mark}\nmodel_{third}\n\nlearning_rate = {lr}"),
    Pattern("Models: {other}, {active} {mark}, {third}\nlr: {lr}"),
    Pattern("- {other}\n- {third}\n- {active} {mark}\n\nThe learning rate is {lr}."),
    Pattern("| {other} | done |\n| {active} | {mark} |\n| {third} | queued |\nlr={lr}"),
    Pattern("1) {active}   {mark}\n2) {other}\nlr {lr}, batch 128"),
    # A name with the prefix takes precedence over one without.
    Pattern("{prefix}{active} against a {other} baseline, lr={lr}"),
    Pattern("Load {prefix}{active}. Compare with {other}. Learning rate: {lr}"),
    # A name in a sentence with a keyword takes precedence over one elsewhere.
    Pattern("Compare with {other}.\nThe checkpoint is from {active}.\nlr = {lr}"),
    Pattern("We fine-tune {active} at a learning rate of {lr}. {other} comes later."),
    Pattern("{other} is our baseline. Fine-tune {active}. The learning rate was {lr}."),
    # Logs: the learning rate among other numbers.
    Pattern(
        "[12:04:31] loading {active}\n[12:04:40] epoch 1/{epochs} loss 2.3026 lr {lr}\n"
        "[12:05:12] epoch 2/{epochs} loss 1.9127"
    ),
    Pattern("INFO {active}: 50000 images, batch 128, lr={lr}, momentum=0.9, weight_decay=0.0005"),
    Pattern("step 391 | model {active} | loss 1.204 | acc 0.56 | learning_rate {lr} | 0.41 s"),
    Pattern("wandb: {active} batch=128 dropout=0.2 lr={lr}"),
    # Several learning rates: the first within the range.
    Pattern("{active} diverged at lr {outside}, so I switched to lr {lr}."),
    Pattern("{active}: lr={outside} was a typo, it should be lr={lr}."),
    Pattern("{active} with lr={lr} for the backbone and lr={outside} for the head."),
    # No learning rate, or none within the range.
    Pattern("Please train {active} for {epochs} epochs with momentum 0.9.", rate=False),
    Pattern("{active} at lr={outside}, just to see whether it diverges.", rate=False),
    Pattern("--model {active} --epochs {epochs} --momentum 0.9 --weight-decay 5e-4", rate=False),
    Pattern("{active} {mark}\nThe learning rate still needs tuning.", rate=False),
    # No model, or several candidates.
    Pattern("Train the usual network with lr={lr}.", names=False),
    Pattern("compare {active} and {other}, both at lr {lr}", names=False),
    Pattern("{active} {mark}\n{other} {mark}\nlr: {lr}", names=False),
    Pattern("{prefix}{active} or {prefix}{other}? learning rate {lr} either way", names=False),
    Pattern("The checkpoint of {active} is older than that of {other}. learning_rate={lr}", names=False),
    Pattern("We use the large model from torchvision, with a warm-up of {epochs} epochs.", names=False, rate=False),
    Pattern(
        "{active}, {other} and {third} were trained last week; the loss curves are attached.", names=False, rate=False
    ),
    Pattern("learning_rate: {outside}\nmodel: (to be decided)\n", names=False, rate=False),
)
