"""Texts that name a model and a learning rate, in the forms of mails, commands, configurations and logs."""

import random
import re
from dataclasses import dataclass

from lrgen.config import Settings

SETTINGS = Settings()
"""The default settings, not those of lrgen.toml: the texts are the same everywhere."""

_DETECTION, _RATES = SETTINGS.prompt.model_detection, SETTINGS.prompt.lr_extraction
_WITHIN = (0.001, 0.002, 0.003, 0.005, 0.01, 0.02, 0.025, 0.03, 0.05, 0.1, 0.2, 0.25, 0.3, 0.5)
_OUTSIDE = ("2", "5.0", "10", "1e-4", "3e-5", "0.0005", "0")
_EPOCHS = (5, 10, 20, 30, 50, 90, 100, 150, 200, 300)


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
    # Notes, documents and code.
    Pattern(
        "Subject: GPU booking\n\nI need a node on Monday, for {active}. The learning rate is {lr}.\n\nRegards, Tim"
    ),
    Pattern("Train {active} with label smoothing; lr {lr} as in the last release."),
    Pattern(
        "BUG-{epochs}: {active} does not converge\n\nSteps to reproduce: start the run with learning rate {lr} and "
        "batch size 256."
    ),
    Pattern("cfg = dict(model='{active}', lr='{lr}', epochs={epochs})"),
    Pattern("{active}, torch.optim.SGD with lr={lr}, momentum=0.9 and nesterov=True"),
    Pattern("Meeting notes\n- baseline: {active}\n- learning rate: {lr}\n- next: a longer warm-up"),
    Pattern("{active} again, same seed, lr → {lr}"),
    Pattern(
        "Abstract. We train {active} on CIFAR-100 for {epochs} epochs with SGD, an initial learning rate of {lr} and "
        "step decay."
    ),
    Pattern('git commit -m "{active}: lr {lr}, cosine decay"'),
    Pattern("export MODEL_NAME={active}\nexport LR={lr}\nsbatch run.sh"),
    Pattern("model={active} optimizer.lr={lr} trainer.max_epochs={epochs}"),
    Pattern("How do I reproduce the numbers of {active}? Set the learning rate to {lr} and train for {epochs} epochs."),
    Pattern("Reminder: the sweep over {active} ends tonight, best lr: {lr}."),
    Pattern("docker run trainer --net {active} --lr {lr} --amp"),
    Pattern("ok so take {active} and um set the learning rate to {lr} and let it run over the weekend"),
    Pattern("Plan for this quarter: 1. {active} with a learning rate of {lr}. 2. Ablate the augmentation."),
    Pattern("Same as yesterday but with {active}. lr {lr}. Thx"),
    Pattern("[{epochs}] {active} | val 0.71 | lr {lr} | 38 s"),
    # Marks before prefixes, the first of several learning rates.
    Pattern("{prefix}{other}\n{active} {mark}\nlr = {lr}"),
    Pattern("{other} / {active} {mark} / {third}, lr={lr}"),
    Pattern("warm-up: lr {outside}\npeak: lr {lr}\nmodel: {active}"),
    Pattern("{active}: lr {lr} for the backbone, lr 0.7 for the head"),
    # No learning rate.
    Pattern("Restart {active} from the last snapshot, everything else as before.", rate=False),
    Pattern("{active} runs out of memory with batch size 512; please use 256.", rate=False),
    Pattern("{active}: weight decay {outside}, dropout 0.2, {epochs} epochs", rate=False),
    # No model that could be meant, or several.
    Pattern("Would you train the big model with lr {lr}, or is that too much?", names=False),
    Pattern("Either {active} with lr {lr}, or {other} with the same.", names=False),
    Pattern("We fine-tune {active} and {other} with lr {lr}.", names=False),
    Pattern("{epochs} epochs at lr {lr}, please.", names=False),
    Pattern("Nothing to train today. The table of learning rates is attached.", names=False, rate=False),
)
