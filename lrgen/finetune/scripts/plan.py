"""The shape of a training script: the names and habits of its author, drawn once."""

import random
from dataclasses import dataclass

_PARTS = ("accuracy", "evaluate", "freeze", "meter", "count", "main", "weights")
_FUNCTIONS = ("train", "fit", "train_model", "run_training", "training_loop", "train_net", "run", "optimize")
_MODELS = ("model", "model", "net", "network")
_LOADERS = ("loader", "train_loader", "train_loader", "data", "dataloader", "train_data", "batches")
_EPOCHS = ("epochs", "epochs", "num_epochs", "n_epochs", "max_epochs")
_RATES = ("lr", "lr", "learning_rate", "base_lr")
_OPTIMIZERS = ("optimizer", "optimizer", "optimizer", "opt", "optim")
_BATCHES = (("images", "labels"), ("inputs", "targets"), ("x", "y"), ("xb", "yb"), ("data", "target"), ("imgs", "lbls"))
_OUTPUTS = ("outputs", "logits", "preds", "out", "pred", "scores")
_CRITERIA = ("criterion", "loss_fn", "loss_func", "criterion")
_TOTALS = ("running_loss", "total_loss", "epoch_loss", "loss_sum", "train_loss")
_COUNTS = ("i", "step", "batch_idx", "it", "n")


@dataclass(frozen=True)
class Plan:
    """The shape of a script.

    Attributes:
        in_class: whether a class trains, which the function creates.
        takes_lr: whether the base learning rate is an argument; else a constant of the script.
        device: the name of an argument with a device, or of a variable; empty without one.
        index: the name of the number of the batch; empty without one.
        first: the number of the first epoch.
        parts: other functions and classes of the module.
        before: whether these stand before the training function.
    """

    function: str
    trainer: str
    model: str
    loader: str
    epochs: str
    lr: str
    optimizer: str
    x: str
    y: str
    out: str
    criterion: str
    total: str
    index: str
    device: str
    first: int
    takes_lr: bool
    in_class: bool
    hints: bool
    docstring: str
    optimizer_call: str
    optimizer_class: str
    smoothing: float
    functional: bool
    zero_first: bool
    to_none: bool
    clip: float
    counts_correct: bool
    logs_every: int
    report: int
    keeps_history: bool
    parts: tuple[str, ...]
    before: bool


_DOCSTRINGS = (
    "",
    "",
    "",
    "Train {model} and return it.",
    "Train for a number of epochs.",
    "The training loop.",
    "Standard supervised training.",
    "Trains the model in place.",
    "Fit the network to the data.",
)
_CALLS = (
    ("SGD", ", momentum=0.9"),
    ("SGD", ", momentum=0.9, weight_decay=5e-4"),
    ("SGD", ", momentum=0.9, nesterov=True, weight_decay=1e-4"),
    ("SGD", ", momentum=0.9, weight_decay=1e-4"),
    ("SGD", ""),
    ("Adam", ""),
    ("Adam", ", betas=(0.9, 0.99)"),
    ("AdamW", ", weight_decay=0.01"),
    ("AdamW", ", weight_decay=0.05"),
    ("AdamW", ", betas=(0.9, 0.95), weight_decay=0.1"),
    ("AdamW", ""),
    ("RMSprop", ", momentum=0.9"),
)


def draw(chance: random.Random) -> Plan:
    """Return the shape of a script."""
    x, y = chance.choice(_BATCHES)
    optimizer_class, options = chance.choice(_CALLS)
    loader = chance.choice([name for name in _LOADERS if name not in (x, y)])
    count = chance.choice((0, 1, 1, 2, 2, 3))
    report = chance.randrange(6)
    model = chance.choice(_MODELS)
    return Plan(
        function=chance.choice(_FUNCTIONS),
        trainer=chance.choice(("Trainer", "Trainer", "Runner", "Experiment", "Learner")),
        model=model,
        loader=loader,
        epochs=chance.choice(_EPOCHS),
        lr=chance.choice(_RATES),
        optimizer=chance.choice(_OPTIMIZERS),
        x=x,
        y=y,
        out=chance.choice(_OUTPUTS),
        criterion=chance.choice(_CRITERIA),
        total=chance.choice(_TOTALS),
        index=chance.choice(_COUNTS) if chance.random() < 0.35 else "",
        device=chance.choice(("", "", "device", "device", "dev")),
        first=chance.choice((0, 0, 0, 1)),
        takes_lr=chance.random() < 0.75,
        in_class=chance.random() < 0.25,
        hints=chance.random() < 0.4,
        docstring=chance.choice(_DOCSTRINGS).format(model=model),
        optimizer_call=options,
        optimizer_class=optimizer_class,
        smoothing=chance.choice((0.0, 0.0, 0.0, 0.1)),
        functional=chance.random() < 0.35,
        zero_first=chance.random() < 0.7,
        to_none=chance.random() < 0.3,
        clip=chance.choice((0.0, 0.0, 0.0, 1.0, 5.0)),
        counts_correct=chance.random() < 0.4,
        logs_every=chance.choice((0, 0, 0, 50, 100, 200)),
        report=report,
        keeps_history=chance.random() < 0.3,
        parts=tuple(chance.sample(_PARTS, count)),
        before=chance.random() < 0.5,
    )
