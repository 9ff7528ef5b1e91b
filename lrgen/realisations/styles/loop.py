"""The schedule in a plain training loop."""

from lrgen.curves.compositions import Composition
from lrgen.errors import StyleError
from lrgen.realisations.bodies import body
from lrgen.realisations.branches import Assigning
from lrgen.realisations.choices import Choices
from lrgen.realisations.comments import docstring
from lrgen.realisations.containers import FACTORS, arguments, constants, free, groups_of, local_settings, returns
from lrgen.realisations.draft import Draft, draft
from lrgen.realisations.layout import assembled, called, indented, signature, wrapped
from lrgen.realisations.realisation import Call, Interface, Realisation, Style
from lrgen.realisations.styles.function import base_names, loop_over_groups
from lrgen.realisations.styles.lightning import OPTIMIZERS
from lrgen.records import Unit

_PARTS = ("backbone", "head")
_BATCHES = (("inputs", "targets"), ("images", "labels"), ("x", "y"), ("data", "target"), ("xb", "yb"))
_OUTPUTS = ("outputs", "logits", "pred", "out", "output")


def check(composition: Composition) -> None:
    """Each parameter group is a part of the model.

    Raises:
        StyleError: when there are more groups than the model has parts.
    """
    if len(composition.groups) > len(_PARTS):
        raise StyleError(
            f"{len(composition.groups)} parameter groups cannot be written as loop: the model has a backbone and a head"
        )


def write(composition: Composition, choices: Choices) -> Realisation:
    """A function that trains a model, and sets the learning rate before each epoch or batch."""
    absolute = choices.odds("absolute", 0.35)
    per_batch = composition.unit is Unit.BATCH
    d = draft(composition, choices, absolute=absolute, places=("module", "local"))
    inputs, targets = choices.pick("batch", _BATCHES)
    d.used |= {
        inputs,
        targets,
        "outputs",
        "logits",
        "pred",
        "out",
        "output",
        "loss",
        "criterion",
        "optimizer",
        "groups",
    }
    model = d.fresh("name.model", ("model", "net", "network", "model"))
    loader = d.fresh("name.loader", ("loader", "train_loader", "dataloader", "data_loader", "batches"))
    if per_batch:
        d.step = "step" if d.step in ("i", "it") else d.step
        epochs = d.fresh("name.epochs", ("epochs", "num_epochs", "n_epochs", "max_epochs"))
        epoch = d.choices.pick("name.epoch", ("epoch", "_", "_"))
    else:
        epochs, epoch = d.total if d.takes_total else d.fresh("name.epochs", ("epochs", "num_epochs")), d.step
    entry = choices.pick("entry", ("train", "train", "fit", "train_model", "run_training"))
    base = "" if absolute else d.fresh("name.base", base_names(d))
    optimizer = _optimizer(d, model, base or d.numbers.real(composition.base_lr).text)
    parameters = [model, loader, epochs, *([base] if base else [])]
    if d.hints:
        kinds = {model: "nn.Module", loader: "DataLoader", epochs: "int", base: "float"}
        parameters = [f"{each}: {kinds[each]}" for each in parameters]
    above: list[list[str]] = []
    lr = d.fresh("name.lr", ("new_lr", "rate", "current_lr", "step_lr") if base == "lr" else ("lr", "lr", "current_lr"))
    total: list[str] = []
    if per_batch and d.takes_total:
        count = f"len({loader})"
        total = [
            f"{d.total} = {epochs} * {count}" if choices.odds("total.order", 0.6) else f"{d.total} = {count} * {epochs}"
        ]
    repeats = d.composition.repeats > 1
    inline = not repeats and choices.odds("inline", 0.55)
    if inline:
        d.keeps_step = True
        d.stays_within = d.takes_total
        setting = _inline(d, base, lr)
        setup = [*local_settings(d), *total, *d.setup]
    else:
        inner = d.fresh("inner", FACTORS if base else ("lr_at", "learning_rate", "lr_schedule", "compute_lr"))
        d.place = "module" if d.place == "module" else "local"
        above = [free(d, inner)]
        value = f"{inner}({', '.join(arguments(d))})"
        value = f"{base} * {value}" if base else value
        setting = [f"{lr} = {value}", *loop_over_groups(d, lr, per_step=True)]
        setup = total
    lines = [*optimizer, *setup, *_loop(d, model, loader, epochs, epoch, setting, per_batch)]
    function = [*signature(entry, parameters, returns(d, "None")), *indented([*_documented(d), *lines])]
    return Realisation(
        Style.LOOP,
        assembled([constants(d), *above, function]),
        Interface(Call.LOOP, entry, takes_horizon=d.takes_total, takes_lr=not absolute),
    )


def _documented(d: Draft) -> list[str]:
    unit = "batch" if d.composition.unit is Unit.BATCH else "epoch"
    return docstring(
        d,
        "docstring.loop",
        odds=0.25,
        lead=f"Train with a schedule that is stepped per {unit}: ",
        title=f"Train with a schedule that is stepped per {unit}.",
    )


def _inline(d: Draft, base: str, lr: str) -> list[str]:
    if not base:
        return [*body(d, Assigning(lr)), *loop_over_groups(d, lr, per_step=True)]
    value = d.fresh("name.value", ("factor", "scale", "mult", "multiplier"))
    lines = body(d, Assigning(value))
    if groups_of(d) is None:
        return [*lines, *loop_over_groups(d, f"{base} * {value}", per_step=True)]
    return [*lines, f"{lr} = {base} * {value}", *loop_over_groups(d, lr, per_step=True)]


def _optimizer(d: Draft, model: str, lr: str) -> list[str]:
    own, options = d.choices.pick("optimizer", OPTIMIZERS)
    if len(d.composition.groups) == 1:
        return called(f"optimizer = {own}", [f"{model}.parameters()", f"lr={lr}", *options], depth=1)
    groups = [f'{{"params": {model}.{part}.parameters()}}' for part in _PARTS]
    return [
        *wrapped("groups = [", groups, "]", 1),
        *called(f"optimizer = {own}", ["groups", f"lr={lr}", *options], depth=1),
    ]


def _loop(d: Draft, model: str, loader: str, epochs: str, epoch: str, setting: list[str], per_batch: bool) -> list[str]:
    inputs, targets = d.choices.pick("batch", _BATCHES)
    outputs = d.choices.pick("outputs", _OUTPUTS)
    loss = d.choices.pick("loss", ("functional", "criterion", "inline"))
    before: list[str] = []
    if d.choices.odds("train.mode", 0.5):
        before.append(f"{model}.train()")
    if loss == "criterion":
        before.append("criterion = nn.CrossEntropyLoss()")
    update = ["optimizer.zero_grad()"]
    if loss == "inline":
        update.append(f"loss = F.cross_entropy({model}({inputs}), {targets})")
    elif loss == "criterion":
        update += [f"{outputs} = {model}({inputs})", f"loss = criterion({outputs}, {targets})"]
    else:
        update += [f"{outputs} = {model}({inputs})", f"loss = F.cross_entropy({outputs}, {targets})"]
    if d.choices.odds("zero.late", 0.4):
        update = [*update[1:], update[0]]
    update += ["loss.backward()", "optimizer.step()"]
    if not per_batch:
        return [
            *before,
            f"for {epoch} in range({epochs}):",
            *indented([*setting, f"for {inputs}, {targets} in {loader}:", *indented(update)]),
        ]
    form = d.choices.pick("counter", ("plus", "plus", "enumerate"))
    if form == "enumerate" and d.composition.repeats == 1:
        epoch = "epoch"
        index = d.fresh("name.batch", ("batch_idx", "i", "batch_index", "b"))
        return [
            *before,
            f"for {epoch} in range({epochs}):",
            f"    for {index}, ({inputs}, {targets}) in enumerate({loader}):",
            *indented([f"{d.step} = {epoch} * len({loader}) + {index}", *setting, *update], 2),
        ]
    return [
        f"{d.step} = 0",
        *before,
        f"for {epoch} in range({epochs}):",
        f"    for {inputs}, {targets} in {loader}:",
        *indented([*setting, *update, f"{d.step} += 1"], 2),
    ]
