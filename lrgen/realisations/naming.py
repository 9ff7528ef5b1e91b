"""Names as people give them: of steps, of phases and of the steps at which phases end."""

import itertools
from collections.abc import Sequence
from fractions import Fraction

from lrgen.curves.compositions import Phase, Shape
from lrgen.realisations.choices import Choices
from lrgen.records import Unit

STEPS = {
    Unit.BATCH: (
        ("step", "total_steps", "steps"),
        ("step", "total_steps", "steps"),
        ("step", "num_steps", "steps"),
        ("step", "max_steps", "steps"),
        ("current_step", "num_training_steps", "steps"),
        ("global_step", "total_steps", "steps"),
        ("step", "n_steps", "steps"),
        ("it", "max_iters", "iters"),
        ("iteration", "total_iters", "iters"),
        ("iteration", "num_iterations", "iterations"),
        ("i", "total_steps", "steps"),
    ),
    Unit.EPOCH: (
        ("epoch", "total_epochs", "epochs"),
        ("epoch", "num_epochs", "epochs"),
        ("epoch", "max_epochs", "epochs"),
        ("epoch", "epochs", "epochs"),
        ("epoch", "n_epochs", "epochs"),
        ("current_epoch", "total_epochs", "epochs"),
        ("ep", "num_epochs", "epochs"),
    ),
}
"""The step, the horizon, and the noun that ends other names."""

_LABELS = {
    Shape.HOLD: ("hold", "constant", "plateau", "stable", "flat"),
    Shape.LINEAR: ("decay", "linear", "anneal", "linear_decay"),
    Shape.COSINE: ("cosine", "decay", "anneal", "cos"),
    Shape.POLYNOMIAL: ("poly", "decay", "polynomial", "poly_decay"),
    Shape.EXPONENTIAL: ("exp", "decay", "exponential", "exp_decay"),
    Shape.ONE_MINUS_SQRT: ("sqrt", "decay", "sqrt_decay"),
    Shape.INVERSE_SQRT: ("inv_sqrt", "decay", "rsqrt", "inverse_sqrt"),
    Shape.STEPS: ("staircase", "stage", "step_decay", "drop"),
    Shape.TRIANGULAR: ("triangle", "cyclic", "triangular", "wave"),
    Shape.SAWTOOTH: ("saw", "sawtooth", "linear_restarts"),
    Shape.COSINE_CYCLES: ("cyclic", "cosine_cycle", "sgdr", "cosine_restarts"),
}
_UP = {
    Shape.LINEAR: ("ramp", "rise", "rewarm", "ramp_up"),
    Shape.COSINE: ("cosine_up", "rise", "rewarm"),
    Shape.POLYNOMIAL: ("poly_up", "rise", "ramp"),
    Shape.EXPONENTIAL: ("exp_up", "rise", "growth"),
    Shape.ONE_MINUS_SQRT: ("sqrt_up", "rise"),
    Shape.STEPS: ("stairs_up", "staircase"),
}
_TORCH = ("ConstantLR", "LinearLR", "PolynomialLR", "ExponentialLR", "CyclicLR", "StepLR", "LRScheduler")
_FIRST_UP = ("warmup", "warmup", "warmup", "ramp", "warm_up")
_COOLDOWN = ("cooldown", "decay", "anneal", "cooldown", "final_decay")
_ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth")


def labels(choices: Choices, phases: Sequence[Phase]) -> tuple[str, ...]:
    """A name for each phase; all differ."""
    taken: list[str] = []
    for i, phase in enumerate(phases):
        options: Sequence[str] = _LABELS[phase.shape]
        if phase.rises:
            options = _FIRST_UP if i == 0 else _UP.get(phase.shape, _LABELS[phase.shape])
        elif phase.shape in (Shape.LINEAR, Shape.ONE_MINUS_SQRT) and i and i == len(phases) - 1:
            options = _COOLDOWN
        label = choices.pick(f"label.{phase.shape}.{phase.rises}.{i == 0}", options)
        if label in taken:
            label = next((option for option in options if option not in taken), label)
        if label in taken:
            count = 1 + sum(name == label or name.endswith(f"_{label}") for name in taken)
            label = f"{_ORDINALS[count - 1]}_{label}" if count <= len(_ORDINALS) else f"{label}_{count}"
        if label in taken:
            label = f"{label}_{i + 1}"
        taken.append(label)
    return tuple(taken)


def ends(choices: Choices, labels: Sequence[str], noun: str) -> tuple[str, ...]:
    """A name for the step at which each phase but the last ends."""
    scheme = choices.pick("ends", ("end", "end", "start", "mixed", "until"))
    names = []
    for i, (label, after) in enumerate(itertools.pairwise(labels)):
        if i == 0 and (scheme != "start" or label.startswith("warm")):
            names.append(f"{label}_{noun}")
        elif scheme == "start" or (scheme == "mixed" and i == len(labels) - 2):
            names.append(f"{after}_start")
        elif scheme == "until":
            names.append(f"{label}_until")
        else:
            names.append(f"{label}_end")
    return tuple(names)


def levels(choices: Choices, phases: Sequence[Phase], labels: Sequence[str], absolute: bool) -> dict[Fraction, str]:
    """Names of the levels that a reader would look for; 0 and 1 have none."""
    suffix = "lr" if absolute else choices.pick("level.suffix", ("factor", "factor", "ratio", "scale", "level"))
    named: dict[Fraction, str] = {}
    values = [value for phase in phases for value in (phase.start, phase.end)]
    values += [phase.peak for phase in phases if phase.shape is Shape.TRIANGULAR]
    top, last = max(values), phases[-1].end

    def add(value: Fraction, name: str) -> None:
        if value not in named and value != 0 and (absolute or value != 1) and name not in named.values():
            named[value] = name

    if absolute or top != 1:
        add(top, f"{choices.pick('level.top', ('peak', 'max', 'peak'))}_{suffix}")
    add(last, f"{choices.pick('level.last', ('min', 'final', 'end', 'min'))}_{suffix}")
    if phases[0].rises:
        add(phases[0].start, f"{choices.pick('level.first', ('start', 'init', 'initial', 'warmup_start'))}_{suffix}")
    for phase, label in zip(phases, labels, strict=True):
        if phase.shape is Shape.HOLD:
            add(phase.start, f"{label}_{suffix}")
    return named


def is_repeated(label: str, before: Sequence[str]) -> bool:
    """Whether a label says what another one says: ``cos`` after ``cosine``, ``linear_decay`` after ``decay``."""
    parts = [part for other in before for part in other.split("_")]
    return any(own.startswith(part) or part.startswith(own) for own in label.split("_") for part in parts)


def class_name(choices: Choices, labels: Sequence[str], suffixes: Sequence[str]) -> str:
    """A class named for its first phases, or plainly."""
    suffix = choices.pick("class.suffix", suffixes)
    if choices.odds("class.plain", 0.3):
        return choices.pick("class.prefix", ("Phased", "Piecewise", "Custom", "Staged", "Training")) + suffix
    own = labels[: choices.pick("class.length", (1, 2, 2, 3))]
    if len(own) == 1 and own[0] in _FIRST_UP:
        own = labels[:2]  # a warm-up alone is not what the schedule is known for
    own = [label.removeprefix("final_") for label in own]
    own = [label for i, label in enumerate(own) if not is_repeated(label, own[:i])]
    name = "".join(part.capitalize() for label in own for part in label.split("_")) + suffix
    return f"Custom{name}" if name in _TORCH else name
