"""Training scripts of a person who tries a file: what shows a fault of a kind, and in which order it is tried."""

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass

from lrgen.finetune import checker
from lrgen.finetune.corpus import VerifiedFile
from lrgen.records import Metric, PracticeKind, Variant


@dataclass(frozen=True)
class Scenario:
    """A script ``train.py`` with its conditions in words; ``light`` if its output does not depend on the network.

    ``logs`` describes a line of its output.
    """

    name: str
    conditions: str
    logs: str
    text: str
    light: bool = True


_BATCHES, _BATCH = 4, 2
_IMAGES, _BATCH_OF_PRACTICE = 18, 4  # of a practice: the last batch has fewer, and so has the last update
_EPOCHS_OF_PRACTICE = 12  # three of them are averaged
_LR = 0.1
_LR_OF_REGRESSION = 0.02
_REGRESSIONS = 0.4  # of the schedules whose curve is wrong
_NO_OPTIONS: Mapping[str, float] = {}
_RATES = "a line for each epoch with the learning rate of each update"

_TRAINING = """\
import torch
from model import Net, supported_hyperparameters

prm = {prm}
unknown = set(prm) - supported_hyperparameters() - {{"momentum", "dropout", "epoch_max"}}
assert not unknown, unknown
torch.manual_seed(0)
images, labels = torch.randn({images}, {channels}, {size}, {size}), torch.arange({images}) % {classes}
{overflow}train_data = list(zip(images.split({batch}), labels.split({batch})))
rates = []


def log_rate(optimizer, *_):
    rates.append(f"{{optimizer.param_groups[0]['lr']:.4g}}")


net = Net(({batch}, {channels}, {size}, {size}), ({classes},), prm, torch.device("cpu"))
net.train_setup(prm)
net.optimizer.register_step_pre_hook(log_rate)
for epoch in range(1, {last}):
    rates.clear()
    accuracy, loss = net.learn(train_data)
    print(f"epoch {{epoch}}: {report}")
"""
_REPORT_RATES = "{' '.join(rates)}"
_REPORT_RESULTS = "accuracy {accuracy:.4f}, loss {loss:.4f}, sum of weights {sum(map(torch.sum, net.parameters())):.6f}"
_REPORT_OPTIONS = (
    "{' '.join(rates)}, momentum {net.optimizer.param_groups[0].get('momentum')}, "
    "weight decay {net.optimizer.param_groups[0]['weight_decay']}"
)
_OVERFLOW = "images[{at}] *= 1e6\n"
_RESUMED = """\
    if epoch == {half}:
        state = [net.state_dict(), net.optimizer.state_dict(), net.scheduler.state_dict()]
{saved}\
        net = Net(({batch}, {channels}, {size}, {size}), ({classes},), prm, torch.device("cpu"))
        net.train_setup(prm)
        net.optimizer.register_step_pre_hook(log_rate)
        net.load_state_dict(state[0])
        net.optimizer.load_state_dict(state[1])
        net.scheduler = make_scheduler(net.optimizer, {total}, prm)
        net.scheduler.load_state_dict(state[2])
{loaded}\
"""
_CURVE = """\
import torch
from model import make_scheduler

weights = [torch.nn.Parameter(torch.zeros(1)) for _ in range(2)]
groups = [{{"params": weights[:1]{first}}}, {{"params": weights[1:], "lr": 0.02{second}}}]
optimizer = torch.optim.SGD(groups, lr=0.1, momentum=0.9)
scheduler = make_scheduler(optimizer, {horizon}, {prm})
{metrics}for step in range({steps}):
    print(f"step {{step}}:", *(f"{{group['lr']:.4g}}" for group in optimizer.param_groups))
    optimizer.step()
    scheduler.step({metric})
"""
_REGRESSION = """\
import torch
from model import make_scheduler

torch.manual_seed(0)
inputs = torch.randn(64, 8)
targets = inputs @ torch.randn(8, 1)
layer = torch.nn.Linear(8, 1)
groups = [{{"params": [layer.weight]{first}}}, {{"params": [layer.bias]{second}}}]
optimizer = torch.optim.SGD(groups, lr={lr})
scheduler = make_scheduler(optimizer, {horizon}, {prm})
for {unit} in range({steps}):
    optimizer.zero_grad()
    loss = torch.nn.functional.mse_loss(layer(inputs), targets)
    loss.backward()
    optimizer.step()
    print(f"{unit} {{{unit}}}: lr {{optimizer.param_groups[1]['lr']:.4g}}, loss {{loss.item():.4f}}")
    scheduler.step({metric})
"""

_WIRING = (
    *("stepped once per batch", "stepped once per epoch", "stepped before the optimizer", "stepped before the epoch"),
    *("stepped twice", "never stepped", "stepped without its metric", "created every epoch"),
    *("created before the number of batches is known", "created before the optimizer", "scheduler not assigned"),
    *("horizon of one epoch", "horizon in epochs", "hard-coded number of epochs", "horizon one epoch too long"),
    *("list instead of set", "return after the first batch", "loss not returned", "missing parameter groups"),
    *("missing criterion", "device not stored", "arguments swapped", "missing super().__init__()", "missing import"),
    *("numpy instead of math", "missing colon", "missing parenthesis"),
)
_RESULTS = ("gradients not zeroed", "missing backward pass", "optimizer never stepped", "accuracy in percent")
_OPTIONS = (
    *("hard-coded learning rate", "hard-coded momentum", "hard-coded weight decay", "misspelt hyperparameter"),
    "hyperparameter not read",
)
_CURVES = (
    *("horizon one step too short", "hard-coded horizon", "fraction used as a number of steps"),
    *("number of steps used as a fraction", "missing guard against zero steps", "not held after the horizon"),
    *("minimum added to the full range", "ratio used as a learning rate", "default learning rate for every group"),
    *("one minimum for all groups", "warm-up one step early", "warm-up over all of training"),
    *("decay measured from the start", "off-by-one boundary", "floor division", "caret instead of power"),
    *("full cosine period", "cosine without pi", "wrong mode", "multiplies the previous learning rate"),
    *("chained instead of sequential", "scheduler not returned", "wrong default", "hyperparameter without default"),
)
OF_PRACTICES = (
    *("without autocast", "autocast around the loss alone", "autocast around the backward pass", "other 16-bit type"),
    *("weights in 16 bits", "float16 without a scaler", "loss not scaled", "optimizer stepped without the scaler"),
    *("scale not updated", "scheduler stepped with a skipped update", "scale read after the update"),
    *("all examples from the start", "other order of the examples", "losses in training mode"),
    *("pacing one epoch early", "number of examples rounded down", "window does not slide"),
    *("epoch not restored", "weights differentiated"),
    *("average never updated", "average updated before the optimizer", "decay and its complement swapped"),
    *("training continues from the average", "number of updates not restored", "trained weights not restored"),
    *("averaged one epoch early", "parts of average and epoch swapped"),
    *("labels not smoothed", "probability of the label smoothed away"),
    *("labels not mixed", "images not mixed", "weights of the labels swapped", "weight of the box itself"),
    *("weights of the labels do not add up to one", "images of the loader changed"),
    *("gradients of batches summed", "gradients kept after the update", "last batches without an update"),
    *("scheduler stepped for each accumulated batch", "horizon in batches instead of updates"),
    *("gradients not clipped", "clipped after the update", "clipped before the backward pass"),
    *("other limit of clipping", "maximum norm clipped", "setting of training not read", "wrong default of a setting"),
)
"""The mutations of a practice that are used: what must be in their place follows from the practice in words."""
_RESUMED_PRACTICES = (
    *("epoch not restored", "number of updates not restored", "trained weights not restored"),
    *("training continues from the average",),
)
KINDS = (
    *(*_WIRING, *_RESULTS, *_OPTIONS, *_CURVES),
    *("state not restored", "schedule not recorded", "Nesterov without momentum"),
    *("hard-coded number of channels", "hard-coded number of classes"),
    *OF_PRACTICES,
)
"""The mutations whose symptoms a script shows, and whose repair follows from the question."""


def scenarios(file: VerifiedFile, mutation: str, chance: random.Random) -> list[Scenario]:
    """Return the scripts that may show a mutation, in the order in which they are tried."""
    epochs = chance.choice((4, 5, 6, 8, 10))
    training = _training(file, "training", epochs)
    curves = [_curve(file, horizon) for horizon in (*chance.sample((16, 20, 24), 1), 3, 1)]
    if chance.random() < _REGRESSIONS and file.variant.metric is not Metric.ACCURACY:
        curves.insert(0, _regression(file, chance.choice((20, 25, 30))))
    match mutation:
        case "state not restored" | "schedule not recorded":
            return [_training(file, "resumed", epochs, resumed=True)]
        case "Nesterov without momentum":
            return [_training(file, "without momentum", epochs, options={"momentum": 0.0})]
        case "hard-coded number of channels":
            return [_training(file, "grayscale", 2, channels=1)]
        case "hard-coded number of classes":
            return [_training(file, "classes", 2, classes=20, images=40)]
        case _ if mutation in _RESULTS:
            return [_training(file, "results", 3, report=_REPORT_RESULTS, batch=4, options={"lr": 0.01})]
        case _ if mutation in _OPTIONS:
            own = {each.name: checker.other_value(each) for each in file.variant.hyperparameters}
            options = {"lr": 0.05, "momentum": 0.5}
            if '"weight_decay"' in file.source:
                options["weight_decay"] = 0.001
            return [
                _training(file, "options", epochs, report=_REPORT_OPTIONS, options=options),
                *([_training(file, "options", 8, options=own), _curve(file, 24, own)] if own else []),
            ]
        case "missing import":
            return [training, _training(file, "resumed", epochs, resumed=True)]
        case _ if mutation in _WIRING:
            return [training]
        case _ if mutation in OF_PRACTICES:
            return _of_practice(file, mutation)
    return [*curves, training]


def _of_practice(file: VerifiedFile, mutation: str) -> list[Scenario]:
    """Return the training that shows the learning rates, and that which shows the results of the whole loop."""
    practice = file.variant.practice
    assert practice is not None
    epochs, images, batch = _EPOCHS_OF_PRACTICE, _IMAGES, _BATCH_OF_PRACTICE
    options: dict[str, float] = {"lr": 0.01}
    if mutation == "setting of training not read":
        options |= {each.name: checker.other_value(each) for each in practice.hyperparameters}
    overflows = practice.kind is PracticeKind.PRECISION and bool(practice.constants["scaled"])
    return [
        _training(file, "training", epochs, images=images, batch=batch, overflows=overflows, light=not overflows),
        _training(
            file,
            "results",
            epochs,
            report=_REPORT_RESULTS,
            options=options,
            resumed=mutation in _RESUMED_PRACTICES,
            images=images,
            batch=batch,
        ),
    ]


def _training(
    file: VerifiedFile,
    name: str,
    epochs: int,
    *,
    report: str = _REPORT_RATES,
    resumed: bool = False,
    channels: int = 3,
    classes: int = 10,
    images: int = _BATCH * _BATCHES,
    batch: int = _BATCH,
    options: Mapping[str, float] = _NO_OPTIONS,
    overflows: bool = False,
    light: bool = True,
) -> Scenario:
    prm = {"lr": _LR, "momentum": 0.9, "dropout": 0.2, "epoch_max": epochs, **options}
    size = max(32, file.architecture.smallest_input)
    sizes = {"batch": batch, "channels": channels, "size": size, "classes": classes}
    overflow = _OVERFLOW.format(at=images // 2) if overflows else ""
    last = epochs + 1
    text = _TRAINING.format(prm=json.dumps(prm), images=images, last=last, report=report, overflow=overflow, **sizes)
    batches = f"{images // batch} batches" if images % batch == 0 else f"{images} images in batches of {batch}"
    conditions = f"{epochs} epochs of {batches} with `prm = {json.dumps(prm)}`"
    if overflows:
        conditions += f"; image {images // 2} is so bright that float16 overflows"
    if resumed:
        from lrgen.verify.checks.practices import updates_of  # checks import torch, and most tasks need none

        total = sum(updates_of(file.variant, epochs, images, batch)) if file.variant.per_batch else epochs
        text = text.replace("import Net, ", "import Net, make_scheduler, ")
        states = enumerate(file.variant.practice.states if file.variant.practice else (), start=3)
        saved, loaded = "", ""
        for at, name in states:
            saved += f"        state.append(net.{name}.state_dict())\n"
            loaded += f"        net.{name}.load_state_dict(state[{at}])\n"
        text += _RESUMED.format(half=epochs // 2, total=total, saved=saved, loaded=loaded, **sizes)
        conditions += f", saved after epoch {epochs // 2} and resumed from there"
    if channels != 3 or classes != 10:
        conditions += f"; the images have {channels} channel{'s' * (channels > 1)} and there are {classes} classes"
    logs = _RATES
    if report == _REPORT_RESULTS:
        logs = "a line for each epoch with the results of `learn` and the sum of all weights"
    if report == _REPORT_OPTIONS:
        logs = f"{_RATES}, and the settings of the optimizer"
    return Scenario(name, conditions, logs, text, light=light and report != _REPORT_RESULTS)


def _curve(file: VerifiedFile, horizon: int, prm: dict[str, float] | None = None) -> Scenario:
    variant = file.variant
    steps = horizon + 4
    metrics = ""
    if variant.metric is not None:
        metrics = f"metrics = {_metrics(variant, steps)}\n"
    depths = ({"first": ', "depth": 0', "second": ', "depth": 2'}) if variant.layerwise else {"first": "", "second": ""}
    given = json.dumps({"lr": _LR} | (prm or {}))
    text = _CURVE.format(
        horizon=horizon,
        prm=given,
        steps=steps,
        metrics=metrics,
        metric="metrics[step]" if metrics else "",
        **depths,
    )
    conditions = f"`make_scheduler(optimizer, {horizon}, {given})` with two parameter groups, `lr` 0.1 and 0.02"
    conditions += ", at depths 0 and 2" if variant.layerwise else ""
    conditions += f", stepped with {_metrics(variant, steps)}" if metrics else ""
    return Scenario("curve", conditions, "a line for each step with the learning rate of both groups", text)


def _regression(file: VerifiedFile, horizon: int) -> Scenario:
    unit = "step" if file.variant.per_batch else "epoch"
    text = _REGRESSION.format(
        horizon=horizon,
        steps=horizon + 3,
        unit=unit,
        lr=_LR_OF_REGRESSION,
        prm=json.dumps({"lr": _LR_OF_REGRESSION}),
        metric="" if file.variant.metric is None else "loss.item()",
        first=', "depth": 0' if file.variant.layerwise else "",
        second=', "depth": 1' if file.variant.layerwise else "",
    )
    conditions = f"a linear regression with `make_scheduler` over {horizon} {unit}s and `lr` {_LR_OF_REGRESSION}"
    return Scenario("regression", conditions, f"a line for each {unit} with learning rate and loss", text)


def _metrics(variant: Variant, steps: int) -> list[float]:
    """Return a metric that improves, then stalls."""
    losses = [round(max(1.0, 2.0 - 0.2 * step), 2) for step in range(steps)]
    return losses if variant.metric is Metric.LOSS else [round(1 - loss / 4, 3) for loss in losses]
