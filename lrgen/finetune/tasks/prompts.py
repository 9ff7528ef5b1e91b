"""Texts in which a network is marked and a learning rate stands → both, as ``lrgen.extraction`` reads them.

The settings are the shipped ones, whatever lrgen.toml says, so that the examples are the same everywhere.
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
SUMMARY = "A text → the network that is active in it, and the learning rate, as JSON."
EVIDENCE = ("read_by",)
PER_PATTERN = 8
SETTINGS = Settings()

_DETECTION, _RATES = SETTINGS.prompt.model_detection, SETTINGS.prompt.lr_extraction
_NO_RATE = f"{_RATES.default_lr:g} if no rate from {_RATES.lr_range[0]:g} to {_RATES.lr_range[1]:g} is given"
_TYPES = {"model": (str, type(None)), "learning_rate": (int, float)}
_WITHIN = (0.001, 0.002, 0.003, 0.005, 0.01, 0.02, 0.025, 0.03, 0.05, 0.1, 0.2, 0.25, 0.3, 0.5)
_OUTSIDE = ("2", "5.0", "10", "1e-4", "3e-5", "0.0005", "0")
_EPOCHS = (5, 10, 20, 30, 50, 90, 100, 150, 200, 300)
_REQUESTS = (
    f"Which network is this about, and with which learning rate? Answer with a JSON object with the keys `model` (null "
    f"if none is named, or several alike) and `learning_rate` ({_NO_RATE}).",
    f'Extract {{"model": …, "learning_rate": …}} from the text. `model` is null when it is not clear which one is '
    f"meant; `learning_rate` is a number, {_NO_RATE}.",
    f"Read the model and the learning rate off the following. JSON only: model (or null), learning_rate "
    f"(a number; {_NO_RATE}).",
)


@dataclass(frozen=True)
class Pattern:
    """A text with places for names (``{active}``, ``{other}``, ``{third}``), rates (``{lr}``, and ``{outside}`` the
    range) and a number of epochs.

    ``names`` says whether ``{active}`` is the answer, or no network is; ``rate`` whether ``{lr}`` is, or the default.
    """

    text: str
    names: bool = True
    rate: bool = True


def examples(task_input: TaskInput) -> Iterator[Example]:
    """Up to ``PER_PATTERN`` texts of each pattern, no two alike.

    Raises:
        DatasetError: when ``lrgen.extraction`` reads something else in a text than what was put there.
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
                    f"pattern {number} of task {NAME}: {(model, rate)} was put there, {read} read: {text!r}"
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
    """No file: the text is read again."""
    return None


def grade(row: Row, completion: str, reference: Reference, outcome: Outcome | None) -> Grade:
    """Right when it is a JSON object with the two keys alone, and the values that ``lrgen.extraction`` reads."""
    text = row["prompt"].partition("\n\n")[2]
    right = {
        "model": extraction.detect_model(text, SETTINGS, _networks()),
        "learning_rate": extraction.extract_lr(text, SETTINGS),
    }
    try:
        found = json.loads(completion)
    except (ValueError, RecursionError):
        return Grade(False, "it is not JSON")
    if not isinstance(found, dict) or found.keys() != right.keys():
        return Grade(False, f"it is not a JSON object with the keys {wording.listed(sorted(right))}")
    wrong = [name for name, value in right.items() if type(found[name]) not in _TYPES[name] or found[name] != value]
    if not wrong:
        return Grade.correct()
    told = wording.listed([f"{name} is {right[name]!r}, not {found[name]!r}"[:200] for name in wrong])
    return Grade(False, told, EXTRACTED, 1 - len(wrong) / len(right))


@functools.cache
def _networks() -> list[str]:
    """The names of the networks that lrgen ships."""
    return [one.name for one in catalogue.of(SETTINGS).architectures]


def written(pattern: Pattern, names: list[str], chance: random.Random) -> tuple[str, str | None, float]:
    """A text of the pattern, the network that is active in it and the learning rate that it gives."""
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
    """A name as people write it: ``ResNet18``, ``resnet18``, ``ResNet-18``."""
    return chance.choice((name, name, name.lower(), re.sub(r"(?<=[a-z])(?=\d+$)", "-", name)))


def _rate_written(rate: float, chance: random.Random) -> str:
    """A rate as people write it: ``0.01``, ``1e-2``, ``0,01``, ``.01``, ``1%``."""
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
    # Mails and chat: one name, one rate.
    Pattern(
        "Hi Anna,\n\ncould you start the {active} run again tonight? Please take a learning rate of {lr} this "
        "time, the last one diverged.\n\nThanks\nJonas"
    ),
    Pattern(
        "Subject: training tomorrow\n\nDear all,\nwe train {active} on CIFAR-10 from now on. lr = {lr}\n\nBest, Mira"
    ),
    Pattern("can someone rerun {active}? lr {lr} pls, everything else as before"),
    Pattern("@ops {active} is flat since epoch {epochs}. Restarting it with learning rate {lr}."),
    Pattern("Let us try {active}. The learning rate is {lr}, and we keep the cosine."),
    Pattern("Thanks for the plots! For {active} I would set the learning rate to {lr} and train again."),
    Pattern("Quick question: is {active} stable at a learning-rate of {lr}, or does it need a warm-up?"),
    Pattern("{active}, initial lr about {lr}, SGD with momentum. That is all I changed."),
    # Commands and configuration.
    Pattern("python train.py --model {active} --lr {lr} --epochs {epochs}"),
    Pattern("python -m train --arch={active} --learning-rate={lr} --momentum 0.9"),
    Pattern("torchrun --nproc_per_node 4 main.py -a {active} --batch-size 256 --learning_rate {lr}"),
    Pattern("model: {active}\nlearning_rate: {lr}\nmomentum: 0.9\nepochs: {epochs}\n"),
    Pattern("optimizer:\n  name: sgd\n  lr: {lr}\n  momentum: 0.9\nmodel:\n  name: {active}\n"),
    Pattern('{{"model": "{active}", "learning_rate": "{lr}", "batch": 128}}'),
    Pattern('[train]\narchitecture = "{active}"\nlr = "{lr}"\nweight_decay = 5e-4\n'),
    Pattern("MODEL={active} LR={lr} make train"),
    # Lists with the active one marked.
    Pattern("model_{other}\nmodel_{active} {mark}\nmodel_{third}\n\nlearning_rate = {lr}"),
    Pattern("Models: {other}, {active} {mark}, {third}\nlr: {lr}"),
    Pattern("- {other}\n- {third}\n- {active} {mark}\n\nThe learning rate is {lr}."),
    Pattern("| {other} | done |\n| {active} | {mark} |\n| {third} | queued |\nlr={lr}"),
    Pattern("1) {active}   {mark}\n2) {other}\nlr {lr}, batch 128"),
    # A name with the prefix counts for more than one without.
    Pattern("{prefix}{active} against a {other} baseline, lr={lr}"),
    Pattern("Load {prefix}{active}. Compare with {other}. Learning rate: {lr}"),
    # A name in a sentence with a keyword counts for more than one elsewhere.
    Pattern("Compare with {other}.\nThe checkpoint is that of {active}.\nlr = {lr}"),
    Pattern("We fine-tune {active} at a learning rate of {lr}. {other} comes later."),
    Pattern("{other} is our baseline. Fine-tune {active}. The learning rate was {lr}."),
    # Logs: numbers that are no learning rates around the one that is.
    Pattern(
        "[12:04:31] loading {active}\n[12:04:40] epoch 1/{epochs} loss 2.3026 lr {lr}\n"
        "[12:05:12] epoch 2/{epochs} loss 1.9127"
    ),
    Pattern("INFO {active}: 50000 images, batch 128, lr={lr}, momentum=0.9, weight_decay=0.0005"),
    Pattern("step 391 | model {active} | loss 1.204 | acc 0.56 | learning_rate {lr} | 0.41 s"),
    Pattern("wandb: {active} batch=128 dropout=0.2 lr={lr}"),
    # Several rates: the first that lies within the range.
    Pattern("{active} diverged at lr {outside}, so I went to lr {lr}."),
    Pattern("{active}: lr={outside} was a typo, it should read lr={lr}."),
    Pattern("{active} with lr={lr} in the stages; the head has lr={outside}."),
    # No rate, or none within the range.
    Pattern("Please train {active} for {epochs} epochs with momentum 0.9.", rate=False),
    Pattern("{active} at lr={outside}, just to see it fail.", rate=False),
    Pattern("--model {active} --epochs {epochs} --momentum 0.9 --weight-decay 5e-4", rate=False),
    Pattern("{active} {mark}\nThe learning rate is still to be tuned.", rate=False),
    # No network, or several alike.
    Pattern("Train the usual network with lr={lr}.", names=False),
    Pattern("compare {active} and {other}, both at lr {lr}", names=False),
    Pattern("{active} {mark}\n{other} {mark}\nlr: {lr}", names=False),
    Pattern("{prefix}{active} or {prefix}{other}? learning rate {lr} either way", names=False),
    Pattern("The checkpoint of {active} is older than that of {other}. learning_rate={lr}", names=False),
    Pattern("We take the big one from torchvision, with a warm-up of {epochs} epochs.", names=False, rate=False),
    Pattern("{active}, {other} and {third} were trained last week; the curves are attached.", names=False, rate=False),
    Pattern("learning_rate: {outside}\nmodel: (to be decided)\n", names=False, rate=False),
)
