"""The requirements on a file, in many words: its interface, where the scheduler is created and where it is stepped."""

import random
from dataclasses import dataclass

from lrgen.finetune import wording
from lrgen.finetune.corpus import VerifiedFile
from lrgen.finetune.phrasing import phrase
from lrgen.records import Variant
from lrgen.source import sections


@dataclass(frozen=True)
class Requirements:
    """One or more sentences about each part of a file."""

    imports: str
    hyperparameters: str
    make_scheduler: str
    state: str
    net: str
    train_setup: str
    learn: str
    epochs: str
    prm: str
    stepping: str

    @property
    def all(self) -> list[str]:
        """The sentences in the order of a file."""
        return list(vars(self).values())


def requirements(file: VerifiedFile, chance: random.Random) -> Requirements:
    """Return the requirements on a file."""
    names = ", ".join(f'"{name}"' for name in sections.parse(file.source).hyperparameters)
    fields = {
        "names": f"{{{names}}}",
        "schedule": f'("{file.variant.title}", total_steps)',
        "attributes": wording.listed(_attributes(file.variant)),
        "epoch_max": "`prm['epoch_max']`",
        "epoch": "`prm['epoch']`",
    }
    return Requirements(
        stepping=stepping(file.variant, chance),
        **{name: phrase(template, chance, **fields) for name, template in _TEMPLATES.items()},
    )


def stepping(variant: Variant, chance: random.Random) -> str:
    """Describe where a file creates the scheduler and where it calls its ``step``."""
    step, metric = "`scheduler.step()`", ""
    if variant.metric and variant.cadence:
        step, metric = "`scheduler.step(metric)`", f" with {wording.DRIVEN_BY[variant.cadence, variant.metric]}"
    once = f" once,{metric}" if metric else " once"
    template = _PER_BATCH if variant.per_batch else _PER_EPOCH
    return phrase(template, chance, step=step, metric=metric, once=once, length="`len(train_data)`")


def _attributes(variant: Variant) -> list[str]:
    return ["`criterion`", "`optimizer`", *([] if variant.per_batch else ["`scheduler`"])]


_TEMPLATES = {
    "imports": "[The file imports only torch and the standard library.|Only torch and the standard library are "
    "imported."
    "|The file imports nothing but torch and the standard library.|No packages other than torch and the standard "
    "library are imported.]",
    "hyperparameters": "[`supported_hyperparameters()` returns the literal set {names}.|A function "
    "`supported_hyperparameters()` returns {names}, written as a set literal.|`supported_hyperparameters()` consists "
    "of "
    "one statement that returns the set literal {names}.]",
    "make_scheduler": "[`make_scheduler(optimizer, total_steps, prm)` is a [module-level|top-level] function; it "
    "raises a "
    "`ValueError` if `total_steps` is below 1.|A [module-level|top-level] function "
    "`make_scheduler(optimizer, total_steps, prm)` returns the scheduler, and raises a `ValueError` for a "
    "`total_steps` "
    "below 1.] [Each parameter group follows the schedule from its own initial learning rate.|Parameter groups may "
    "have "
    "different initial learning rates; each follows the schedule from its own.]",
    "state": "[`make_scheduler` sets `scheduler.schedule = {schedule}`[, and|;] `scheduler.load_state_dict` raises a "
    "`ValueError` for a state of another schedule or horizon.|The scheduler has the attribute "
    "`scheduler.schedule = {schedule}`; a state of another schedule or horizon makes `scheduler.load_state_dict` raise "
    "a "
    "`ValueError`.] [`scheduler.step` raises a `RuntimeError` if another object has set the learning rate.|If another "
    "object has set the learning rate, `scheduler.step` raises a `RuntimeError`.]",
    "net": "[`Net(in_shape, out_shape, prm, device)` is the constructor; `in_shape` is (batch, channels, height, "
    "width), "
    "`out_shape` is (classes,).|The network is the class `Net` with the constructor "
    "`Net(in_shape, out_shape, prm, device)`, where `in_shape` is (batch, channels, height, width) and `out_shape` is "
    "(classes,).|`Net` is built as `Net(in_shape, out_shape, prm, device)` from an `in_shape` of (batch, channels, "
    "height, width) and an `out_shape` of (classes,).]",
    "train_setup": "[`train_setup(prm)` sets the attributes {attributes}.|The method `train_setup(prm)` creates "
    "{attributes} as attributes.|`Net.train_setup(prm)` prepares training: it sets {attributes}.]",
    "learn": "[`learn(train_data)` trains for one epoch and returns the mean accuracy and loss.|One call of "
    "`learn(train_data)` is one epoch; it returns the mean training accuracy and the mean loss.|The method "
    "`learn(train_data)` runs one epoch and returns a pair, the mean accuracy and the mean loss.]",
    "epochs": "[The number of epochs is {epoch_max}, or {epoch} if that is missing, or 90.|Training lasts {epoch_max} "
    "epochs; without that key, {epoch} epochs; without either, 90.|{epoch_max} is the number of epochs; if it is "
    "missing, {epoch} is used, and 90 if that is missing, too.]",
    "prm": "[`prm` always contains `lr`, `momentum` and `dropout`; all other hyperparameters have defaults in the file."
    "|Callers always pass `lr`, `momentum` and `dropout` in `prm`. Every other hyperparameter has a default in the "
    "file."
    "|Of the hyperparameters only `lr`, `momentum` and `dropout` are guaranteed to be in `prm`; the file has defaults "
    "for the others.]",
}

_PER_BATCH = (
    "[`learn` calls {step}{metric} after each `optimizer.step()`.|After each `optimizer.step()`, `learn` calls "
    "{step}{metric}.] [The "
    "first "
    "call of `learn` creates the scheduler, because the number of batches per epoch is not known earlier; until then "
    "it is "
    "None.|The scheduler is None until the first call of `learn` creates it: the number of batches per epoch is not "
    "known "
    "earlier.] `total_steps` is the number of epochs times {length}. [If the optimizer was resumed without the "
    "scheduler, "
    "`learn` raises a `RuntimeError`.|`learn` raises a `RuntimeError` if the optimizer was resumed without the "
    "scheduler.]"
)
_PER_EPOCH = (
    "[Once per call, after the last batch, `learn` calls {step}{metric}.|After the last batch, `learn` calls "
    "{step}{once}.] "
    "[`train_setup` "
    "creates the scheduler with the number of epochs as `total_steps`.|The scheduler is created in `train_setup`; "
    "`total_steps` is the number of epochs.]"
)
