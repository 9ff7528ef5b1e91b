"""A schedule with its numbers in a reader's words: ``StepLR: ×0.1 every 10 epochs``."""

from collections.abc import Callable, Mapping
from typing import Any

from lrgen.records import Unit, Variant

Numbers = Mapping[str, Any]


def sentence(variant: Variant, numbers: Numbers, horizon: int, unit: Unit) -> str:
    """A schedule with its numbers, in steps of the observed unit."""
    steps = Steps(horizon, unit)
    described = _WORDS.get((variant.family, variant.curve))
    if described is not None:
        return described(numbers, steps)
    fitted = {parameter.name for parameter in variant.hyperparameters}
    parts = [_part(name, value, steps) for name, value in numbers.items() if name in fitted]
    return f"{variant.title} over {steps.whole}{', ' * bool(parts)}{', '.join(parts)}"


def is_common(variant: Variant) -> bool:
    """Whether a schedule is one of those that most people use."""
    return (variant.family, variant.curve) in _WORDS


class Steps:
    """A horizon in its unit."""

    def __init__(self, horizon: int, unit: Unit) -> None:
        self.horizon = horizon
        self._noun = "update" if unit is Unit.BATCH else "epoch"

    @property
    def whole(self) -> str:
        """``90 epochs``."""
        return self.count(self.horizon)

    @property
    def noun(self) -> str:
        """The unit."""
        return self._noun

    @property
    def several(self) -> str:
        """The unit, in the plural."""
        return f"{self._noun}s"

    def count(self, steps: int) -> str:
        """A number of steps: ``1 epoch``, ``30 epochs``."""
        return f"{steps} {self._noun}{'s' * (steps != 1)}"

    def of(self, fraction: float, least: int = 0) -> str:
        """A fraction of the horizon as a number of steps."""
        return self.count(max(least, round(fraction * self.horizon)))

    def at(self, fractions: list[float]) -> str:
        """Fractions of the horizon as steps: ``epoch 30``, ``epochs 30, 60``."""
        marks = [str(max(1, round(fraction * self.horizon))) for fraction in fractions]
        return f"{self._noun}{'s' * (len(marks) != 1)} {', '.join(marks)}"


def _part(name: str, value: Any, steps: Steps) -> str:
    if name.endswith("_fraction"):
        return f"{name.removesuffix('_fraction').replace('_', ' ')} {steps.of(value)}"
    return f"{name.replace('_', ' ')} {value:.3g}"


def _every(phase: str) -> Callable[[Numbers, Steps], str]:
    return lambda n, steps: f"StepLR: ×{n['gamma']:.3g} every {steps.of(n[phase], 1)}"


def _to(numbers: Numbers, name: str = "min_lr_ratio") -> str:
    value = numbers.get(name, 0.0)
    return "to 0" if value < 5e-6 else f"to {value:.3g} of the highest learning rate"


def _after_warmup(rest: str) -> Callable[[Numbers, Steps], str]:
    def described(n: Numbers, steps: Steps) -> str:
        warmup = round(n.get("warmup_fraction", 0.0) * steps.horizon)
        end = _to(n)
        power = f"{n['power']:.3g}" if "power" in n else ""
        cycles = f"{n['cycles']}" if "cycles" in n else ""
        body = rest.format(end=end, power=power, cycles=cycles)
        over = f", over {steps.whole}" if "constant" not in rest else ""
        start = n.get("warmup_from_ratio", 0.0)
        rise = f"linear warm-up{f' from {start:.3g}' if start else ''} over {steps.count(warmup)}, then "
        return f"{rise if warmup else ''}{body}{over}"

    return described


def _multistep(n: Numbers, steps: Steps) -> str:
    within = [milestone for milestone in n["milestones"] if milestone < 1] or n["milestones"]
    return f"MultiStepLR: ×{n['gamma']:.3g} at {steps.at(within)}"


def _plateau(n: Numbers, steps: Steps) -> str:
    patience = steps.of(n["patience_fraction"], 1)
    return f"ReduceLROnPlateau: ×{n['factor']:.3g} after more than {patience} without improvement"


def _one_cycle(n: Numbers, steps: Steps) -> str:
    shape = "cosine" if n.get("anneal", "cos") == "cos" else "linear"
    first = f"1/{n['div_factor']:.3g}"
    rise = steps.of(n["warmup_fraction"])
    return f"OneCycleLR ({shape}): from {first} up in {rise}, then down, over {steps.whole}"


def _cyclic(n: Numbers, steps: Steps) -> str:
    half = steps.of(n["half_cycle_fraction"], 1)
    low = f"{n['min_lr_ratio']:.3g}"
    return f"CyclicLR ({n['mode']}): between {low} and 1 of the highest learning rate, half a cycle in {half}"


def _restarts(n: Numbers, steps: Steps) -> str:
    growing = f", each ×{n['cycle_factor']} as long" if n["cycle_factor"] != 1 else ""
    return f"CosineAnnealingWarmRestarts: cosine cycles, the first of {steps.of(n['first_cycle_fraction'], 1)}{growing}"


# The commonest curves in the words of their readers; the others are described by their titles.
_WORDS: dict[tuple[str, str], Callable[[Numbers, Steps], str]] = {
    ("constant", "constant"): lambda n, steps: "a constant learning rate",
    ("constant", "warmup"): _after_warmup("constant"),
    ("cosine", "cosine_decay"): lambda n, steps: f"cosine decay {_to(n)} over {steps.whole}",
    ("cosine", "warmup_cosine"): _after_warmup("cosine decay {end}"),
    ("exponential", "exponential"): lambda n, steps: f"ExponentialLR: ×{n['gamma']:.4g} every {steps.noun}",
    ("constant", "linear_warmup"): lambda n, steps: (
        f"LinearLR: from {n['start_factor']:.3g} up in {steps.of(n['warmup_fraction'])}, then constant"
    ),
    ("horizon_free", "inverse_sqrt"): lambda n, steps: (
        f"linear warm-up over {steps.of(n['warmup_fraction'])}, then inverse square root decay"
    ),
    ("horizon_free", "noam"): lambda n, steps: f"the Noam schedule with a warm-up of {steps.of(n['warmup_fraction'])}",
    ("metric", "plateau"): _plateau,
    ("metric", "accuracy_plateau"): lambda n, steps: f"{_plateau(n, steps)} of the accuracy",
    ("onecycle", "one_cycle"): _one_cycle,
    ("polynomial", "linear_floor"): lambda n, steps: f"linear decay {_to(n)} over {steps.whole}",
    ("polynomial", "linear_to"): lambda n, steps: f"linear decay {_to(n, 'final_lr_ratio')} over {steps.whole}",
    ("polynomial", "polynomial"): lambda n, steps: f"polynomial decay with power {n['power']:.3g} over {steps.whole}",
    ("polynomial", "warmup_linear"): _after_warmup("linear decay to 0"),
    ("polynomial", "warmup_polynomial"): _after_warmup("polynomial decay with power {power}"),
    ("restarts", "warm_restarts"): _restarts,
    ("cyclic", "cyclic"): _cyclic,
    ("step", "multistep"): _multistep,
    ("step", "single_drop"): lambda n, steps: f"×{n['gamma']:.3g} once, after {steps.of(n['milestone_fraction'])}",
    ("step", "step_decay"): _every("step_fraction"),
}
