"""``make docs``: writes the references of the command line, schedules, architectures and recipes, and the figures.

A test compares the committed documents with the output of this module.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from lrgen import catalogue as catalogues
from lrgen.catalogue import Catalogue
from lrgen.cli.models import facts, recipe_summary
from lrgen.curves import pairs
from lrgen.records import Architecture, Family, Practice, PracticeKind, Variant
from lrgen.report import plots, practice_plots

HERE = Path(__file__).parent
COMMANDS = (
    (),
    ("render",),
    ("verify",),
    ("audit",),
    ("show",),
    ("plot",),
    ("compose",),
    ("list", "models"),
    ("list", "schedules"),
    ("list", "families"),
    ("list", "practices"),
    ("report",),
    ("db", "info"),
    ("db", "check"),
    ("db", "backup"),
    ("db", "export"),
    ("db", "import"),
    ("dataset", "build"),
    ("dataset", "check"),
    ("dataset", "sample"),
    ("score", "completions"),
    ("score", "compare"),
    ("export", "lemur"),
    ("export", "nngpt"),
    ("export", "schedules"),
    ("import", "lemur"),
    ("model", "show"),
    ("model", "use"),
    ("results", "grid"),
    ("results", "best"),
    ("results", "classes"),
    ("results", "confusion"),
    ("results", "compare"),
    ("results", "failures"),
    ("doctor",),
)
HORIZON = 240
SHORT = (1, 2, 3, 5, 10, 20, 50, 90)
NOTATION = """Written by `make docs` from the catalogue.

T is the number of scheduler steps planned, in the schedule's unit; t counts steps from 0; W is the number of warm-up
steps. Formulas are multiples of `lr`, except for metric-driven schedules, where eta is the current learning rate. The
figures show the learning rate over training, on a logarithmic axis where it spans decades. Metric-driven schedules are
drawn for a metric that improves, stalls, improves and stalls (dotted), and layer-wise schedules with one curve per
depth, 0 for the layer next to the input. `lrgen show NAME --code` prints the code of a schedule, ready to paste into
any project.
"""
RECIPES = """Written by `make docs` from the catalogue.

Each network is trained with the recipe of its paper, or of a repository that trains it on small images; the last
column says whose the numbers are. A file reads `lr`, `momentum`, `dropout` and `weight_decay` from `prm`, as far as its
recipe has them; the other numbers are written out.

**Weight decay applies to the weights of convolutions and linear layers.** Parameters with fewer than two dimensions
(biases, norms) and those in the column "no decay" are in a parameter group of their own with `weight_decay` 0; under a
layer-wise schedule, at each depth. Section 3.1 of [He et al. 2018](https://arxiv.org/abs/1812.01187) does so for
convolutional networks; timm and the repositories of ConvNeXt and Swin do so for theirs. A ✱ marks sources whose code
decays all parameters: the files differ from these.
"""
# Repositories whose code decays all parameters.
DECAY_ALL = (
    "weiaicunzai/pytorch-cifar100",
    "kuangliu/pytorch-cifar",
    "facebookresearch/pycls",
    "openai/guided-diffusion",
)
SCHEDULE_FREE = """
A schedule-free variant replaces the optimizer, its learning rate and its weight decay; the rest of the recipe stays.
The two numbers belong to the optimizer: schedule-free SGD adds the weight decay to the gradient as an L2 penalty,
schedule-free AdamW decouples it. Networks whose recipe has no weight decay have none here either.
"""
PRACTICES = """Written by `make docs` from the catalogue.

A practice is what a training loop does besides the schedule. A variant with a practice has the schedule of another
variant, with its formula and its hyperparameters; it has a number and files of its own. `lrgen list practices` lists
them, and `--practice` selects variants by a practice or by a kind: `lrgen render --practice bf16`.
"""
KINDS = {
    PracticeKind.PRECISION: """
The schedule check computes the gradients of an update again, in float32 and in 16 bits: those of the file must be those
in 16 bits. It then sends infinite gradients in one batch: weights and optimizer must stay as they are, the scale of the
loss is halved, and a schedule that advances once per batch does not advance. Gradients are clipped after they are
unscaled, and a resumed run has the scale of the interrupted one. On a device without the precision, `train_setup`
raises a RuntimeError. The figure shows the scale in an example: torch's scaler begins at 65,536, halves the scale when
gradients overflow, and doubles it after 2,000 updates.
""",
    PracticeKind.CURRICULUM: """
A paced curriculum computes the loss of every example before each epoch and trains on the first of them in its order,
each once. It holds the examples of an epoch in memory and takes one more forward pass over them, works with a list of
batches as well, and has no state of its own: the epoch follows from the scheduler. A schedule that advances once per
batch has as many steps as the examples in use fill batches. In self-paced learning the loss of an example in its own
batch decides how much it counts, from the second epoch on. On clean data sets random order does as well
(<https://arxiv.org/abs/2012.03107>): the mechanism is checked, and no gain in accuracy is claimed.

The schedule check knows images by their pixels. The examples of each epoch must be as many as the pacing function
says, those whose losses another process computes from the weights before the epoch, and each of them once; the updates
have the learning rates of the schedule and the gradients of their examples, or of the weighted losses. Resumed at each
quarter, or in the middle if it is self-paced, a run trains on the same examples with the same gradients. The figure
shows the examples in use with the defaults, over 90 epochs.
""",
    PracticeKind.ACCUMULATION: """
The schedule check compares the gradient of each update with the mean over the images of its batches, in epochs whose
last update has fewer batches and with batches of several sizes: a sum, a mean over batches, gradients that are zeroed
too often or too rarely, and a last update that is missing or wrongly scaled fail with that reason. A schedule that
advances within an epoch does so once per update; its horizon is the number of epochs times `len(train_data)`, divided
by the number of batches of an update and rounded up. The training check gives such a file smaller batches, so that an
update has as many images. The figure shows the learning rate of an example, a WSD schedule over three epochs of 11
batches: it changes with each update, and the last update of an epoch has the batches that are left.
""",
    PracticeKind.CLIPPING: """
The schedule check sends gradients far below the limit, near it and far above it, and compares those at each step of the
optimizer with those of the batch after clipping. Files that clip after the step, before the backward pass, with another
norm or limit, some parameters alone, or gradients below the limit fail with that reason. The practice replaces the
clipping of a network's recipe. The figure shows a gradient of two values that grows: clipping by norm keeps its
direction, clipping by value does not.
""",
    PracticeKind.EMA: """
Between two epochs the network has the averaged weights, which are evaluated and saved; training goes on from the
trained weights. The schedule check notes the weights and buffers after each update and computes the
recurrence from them, with the default decay and with a smaller one, also in a run that is resumed: the evaluated
weights and buffers must be the result. An average that is updated once per epoch or before the optimizer's step, that
begins with zeros or again in each epoch, or whose decay is swapped or constant from the first update on fails with
that reason. The figure shows how much the weights after each update count in the average with the default decay: in a
short run, only the last updates do.
""",
    PracticeKind.AVERAGING: """
The schedule check notes the weights at the end of each epoch: until the average begins, the network must be evaluated
with the trained weights, and then with the mean of those of the right epochs, also in a run that is resumed. Training
goes on from the trained weights. The statistics of batch norms must be those that a pass over the training data
computes for the averaged weights. The figure shows how much the weights at the end of each epoch count in the average,
with the default and 90 epochs.
""",
    PracticeKind.LABEL_SMOOTHING: """
The schedule check computes the targets of the loss from the gradients at the logits, which are softmax minus target,
and compares them with smoothed labels, for several numbers of classes and values of `label_smoothing`. Labels that are
not smoothed, smoothed twice, or by another value, and a smoothing that is spread over the other classes alone fail
with that reason. The practice replaces the label smoothing of a network's recipe. The figure shows the target of a
label among ten classes, and its loss where the other classes share the rest evenly: it is least at the target, above
which it punishes confidence.
""",
    PracticeKind.MIXUP: """
The schedule check computes the weight of each image from its pixels and that of its label from the gradients at the
logits, over hundreds of batches: both must be equal, with the same other image. Labels that are not mixed, swapped
weights, and the label of another image fail with that reason. The weights must have the distribution of the
hyperparameter, by a Kolmogorov-Smirnov test, and the images of a list of batches must stay as they are. The figure
shows the density of the drawn weight with the defaults: most images of mixup are mixed little. In CutMix the weight is
the fraction outside the box, which grows where the border of the image cuts the box.
""",
}
PAST_END = {"hold": "the last learning rate is kept", "continue": "the formula continues"}


def cli_text() -> str:
    """Return the help of every command, printed with 90 columns."""
    parts = ["# The command line\n\nWritten by `make docs` from the commands themselves.\n"]
    environment = {**os.environ, "COLUMNS": "90", "NO_COLOR": "1", "TERM": "dumb"}
    for command in COMMANDS:
        name = " ".join(("lrgen", *command))
        arguments = [sys.executable, "-m", "lrgen", *command, "--help"]
        shown = subprocess.run(arguments, env=environment, check=True, capture_output=True, text=True).stdout
        lines = "\n".join(line.rstrip() for line in shown.strip().splitlines())
        parts.append(f"## {name}\n\n```text\n{lines}\n```\n")
    return "\n".join(parts)


def schedules_text(catalogue: Catalogue) -> str:
    """Return every family with its figure, and the catalogue entry of every schedule."""
    distinct = sum(variant.equivalent_to is None for variant in catalogue.schedules)
    equivalents = len(catalogue.schedules) - distinct
    contents = (f"- [{family.title}](#{_anchor(family)}) ({len(family.variants)})" for family in catalogue.families)
    parts = [
        f"# The schedules\n\n{len(catalogue.schedules)} schedules in {len(catalogue.families)} families: {distinct} "
        f"distinct curves and {equivalents} equivalents, other APIs for one of these curves.\n",
        NOTATION,
        "\n".join(contents) + "\n",
    ]
    parts.append(_short_horizons(catalogue))
    for family in catalogue.families:
        parts.append(
            f"## {family.title}\n\n{family.summary}\n\n![Curves: {family.title}](families/{family.name}.svg)\n"
        )
        parts += [_entry(catalogue, variant) for variant in family.variants]
    return "\n".join(parts)


def _short_horizons(catalogue: Catalogue) -> str:
    """The number of pairs of schedules that trace alike at short horizons, by reason."""
    reasons = (pairs.SAMPLING, pairs.ROUNDING, pairs.METRIC)
    lines = [
        "## Short horizons\n\nNo two schedules trace alike unless one is equivalent to the other, but over a few steps "
        "some pairs coincide. The table counts them by reason:\n",
        f"| T | pairs alike | {' | '.join(reasons)} |\n|---:|---:|{'---:|' * len(reasons)}",
    ]
    for horizon in SHORT:
        counted = [collapse.reason for collapse in pairs.collapses(catalogue.schedules, horizon)]
        lines.append(f"| {horizon} | {len(counted)} | {' | '.join(str(counted.count(reason)) for reason in reasons)} |")
    return "\n".join(lines) + "\n"


def _anchor(family: Family) -> str:
    """The anchor that Markdown renderers give to the family's heading."""
    kept = "".join(letter for letter in family.title.lower() if letter.isalnum() or letter in " -")
    return kept.replace(" ", "-")


def _entry(catalogue: Catalogue, variant: Variant) -> str:
    unit = variant.unit.value
    if variant.metric and variant.cadence:
        unit = f"metric, the {variant.metric.value} of each {variant.cadence.value}"
    facts = [f"unit: {unit}", f"past the end: {PAST_END[variant.past_end.value]}", f"code: `{variant.source}`"]
    if variant.paper:
        facts.append(f"paper: <{variant.paper}>" if variant.paper.startswith("http") else f"paper: {variant.paper}")
    if variant.equivalent_to:
        facts.append(f"equivalent to {catalogue.variant(variant.equivalent_to).key}")
    if variant.layerwise:
        facts.append("layer-wise learning rates")
    if variant.optimizer:
        facts.append(f"optimizer: `{variant.optimizer.name}`")
    summary = variant.summary.replace("``", "`")
    lines = [
        f"### {variant.key} {variant.name}\n",
        f"{summary}\n",
        f"```text\n{variant.formula}\n```\n",
        "; ".join(facts),
    ]
    if variant.hyperparameters:
        lines.append("\n| hyperparameter | default | range | meaning |\n|---|---|---|---|")
        lines += [
            f"| `{parameter.name}` | {parameter.text} | {parameter.low:g} to {parameter.high:g} | {parameter.meaning} |"
            for parameter in variant.hyperparameters
        ]
    return "\n".join(lines) + "\n"


def architectures_text(catalogue: Catalogue) -> str:
    """Return a table of the architectures, and the catalogue entry of each."""
    parts = [
        f"# The architectures\n\n{len(catalogue.architectures)} networks, each written out as explicit PyTorch code; "
        "`lrgen model show NAME --code` prints the code of one network.\n\nWritten by `make docs` from the catalogue. "
        "Parameters are counted at the input size and the number of classes of the reference. Images of 32 pixels get "
        "the stem that the literature uses for small images. On a CPU `lrgen verify` trains a network in full, or lets "
        "it overfit a small subset, as the table shows.\n",
        "| architecture | network | parameters | smallest input | recipe | on a CPU |\n|---|---|---:|---:|---|---|",
    ]
    for architecture in catalogue.architectures:
        checked = "overfits" if architecture.budget else "in full"
        name, recipe = architecture.name, recipe_summary(architecture.recipe)
        parts[-1] += (
            f"\n| [{name}](#{name.lower()}) | {architecture.title} | {architecture.parameters:,} "
            f"| {architecture.smallest_input} | {recipe} | {checked} |"
        )
    parts[-1] += "\n"
    parts.append(_variations(catalogue))
    parts += [_network(architecture) for architecture in catalogue.architectures]
    return "\n".join(parts)


def _variations(catalogue: Catalogue) -> str:
    """A table of the variations of all architectures."""
    text = (
        "## Variations\n\nNetworks of the papers that differ from an architecture in numbers alone: depths, widths. "
        "They are no entries of the catalogue: `--all` leaves them out. `--model` takes their names and titles, as in "
        "`lrgen render --model ResNet-56`. All that the last column does not name is as in the architecture, also the "
        "recipe. `lrgen dataset build --holdout-model` holds out an architecture with its variations.\n\n"
        "| variation | network | of | parameters | reference | differs in |\n|---|---|---|---:|---|---|"
    )
    for architecture in catalogue.architectures:
        for variation in architecture.variations:
            text += (
                f"\n| {variation.name} | {variation.title} | [{architecture.name}](#{architecture.name.lower()}) "
                f"| {variation.parameters:,} | {variation.reference} | {_differences(architecture, variation)} |"
            )
    return text + "\n"


def _differences(architecture: Architecture, variation: Architecture) -> str:
    """The numbers of a variation that are not those of its architecture: ``depths 3, 3, 27, 3; drop_rate 0.4``."""
    recipe, other = asdict(variation.recipe), asdict(architecture.recipe)
    numbers = {key: value for key, value in variation.config.items() if value != architecture.config[key]}
    numbers |= {key: value for key, value in recipe.items() if value != other[key] and key != "source"}
    return "; ".join(
        f"{key} {', '.join(map(str, value)) if isinstance(value, list) else value}" for key, value in numbers.items()
    )


def recipes_text(catalogue: Catalogue) -> str:
    """Return a table of the recipes, and one of the optimizers that belong to a schedule."""
    table = (
        "| architecture | recipe | momentum | batch | label smoothing | dropout | no decay | from |\n"
        "|---|---|---:|---:|---:|---:|---|---|"
    )
    for architecture in catalogue.architectures:
        recipe = architecture.recipe
        momentum = f"{'Nesterov ' if recipe.nesterov else ''}{recipe.momentum:g}" if recipe.optimizer == "sgd" else ""
        cells = [
            architecture.name,
            recipe_summary(recipe),
            momentum,
            str(recipe.batch),
            f"{recipe.label_smoothing:g}" if recipe.label_smoothing else "",
            f"{recipe.dropout:g}" if recipe.dropout else "",
            ", ".join(f"`{suffix}`" for suffix in architecture.no_decay) if recipe.weight_decay else "",
            f"{recipe.source}{' ✱' if any(name in recipe.source for name in DECAY_ALL) else ''}",
        ]
        table += f"\n| {' | '.join(cells)} |"
    own = "| schedule | optimizer | lr | weight decay | from |\n|---|---|---:|---:|---|"
    for variant in catalogue.schedules:
        if variant.optimizer:
            optimizer = variant.optimizer
            own += f"\n| {variant.label} | `{optimizer.name}` | {optimizer.lr:g} | {optimizer.weight_decay:g} "
            own += f"| {optimizer.source} |"
    return f"# The recipes\n\n{RECIPES}\n{table}\n\n## Schedule-free optimizers\n{SCHEDULE_FREE}\n{own}\n"


def practices_text(catalogue: Catalogue) -> str:
    """Return every kind of practice with its figure, and each practice with the variants that have it."""
    count = len(catalogue.with_practice)
    parts = [f"# The practices\n\n{len(catalogue.practices)} practices in {count} variants.\n", PRACTICES]
    for kind in PracticeKind:
        members = [practice for practice in catalogue.practices if practice.kind is kind]
        if not members:
            continue
        title = "EMA" if kind is PracticeKind.EMA else kind.value.replace("_", " ").capitalize()
        parts.append(f"## {title}\n{KINDS[kind]}")
        if kind in practice_plots.DRAWINGS:
            parts.append(f"![{title}](practices/{kind}.svg)\n")
        parts += [_practice(catalogue, practice) for practice in members]
    return "\n".join(parts)


def _practice(catalogue: Catalogue, practice: Practice) -> str:
    facts = [f"asked for as: {practice.request}", f"code: `{practice.source}`"]
    if practice.paper:
        facts.append(f"paper: <{practice.paper}>")
    facts += [f"state in a checkpoint: `{name}`, {words}" for name, words in practice.states.items()]
    lines = [f"### {practice.name}\n", f"{practice.summary}\n", *(f"- {fact}" for fact in facts), ""]
    if practice.hyperparameters:
        lines.append("| hyperparameter | default | range | meaning |\n|---|---|---|---|")
        lines += [
            f"| `{parameter.name}` | {parameter.text} | {parameter.low:g} to {parameter.high:g} | {parameter.meaning} |"
            for parameter in practice.hyperparameters
        ]
        lines.append("")
    lines.append("| variant | schedule | unit |\n|---|---|---|")
    for variant in catalogue.of_practice(practice.name):
        if variant.practice == practice and variant.schedule:
            lines.append(f"| {variant.label} | {catalogue.variant(variant.schedule).label} | {variant.unit} |")
    return "\n".join(lines) + "\n"


def _network(architecture: Architecture) -> str:
    lines = [f"- {fact}: {_linked(text)}" for fact, text in facts(architecture)]
    return f"## {architecture.name}\n\n{architecture.summary}\n\n" + "\n".join(lines) + "\n"


def _linked(text: str) -> str:
    """A text as Markdown; an address becomes a link."""
    return f"<{text}>" if text.startswith("http") and " " not in text else text


def pictures(catalogue: Catalogue, folder: Path) -> None:
    """Draw the overview, a figure of each family, and one of each kind of practice."""
    plots.overview(catalogue.families, folder / "schedules.svg")
    for family in catalogue.families:
        plots.save([family], family.variants, folder / "families" / f"{family.name}.svg", horizon=HORIZON)
    practice_plots.save(catalogue.practices, folder / "practices")


def texts(catalogue: Catalogue) -> Iterator[tuple[str, str]]:
    """Yield the name and the text of each generated document."""
    yield "cli.md", cli_text()
    yield "schedules.md", schedules_text(catalogue)
    yield "architectures.md", architectures_text(catalogue)
    yield "recipes.md", recipes_text(catalogue)
    yield "practices.md", practices_text(catalogue)


if __name__ == "__main__":
    shipped = catalogues.load()
    for name, text in texts(shipped):
        (HERE / name).write_text(text, encoding="utf-8")
    for figures in ("families", "practices"):
        shutil.rmtree(HERE / figures, ignore_errors=True)
    pictures(shipped, HERE)
