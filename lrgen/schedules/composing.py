"""Schedulers of compositions: schedules of phases, as ``lrgen compose`` draws them or as phases that are written out.

The formulas of the shapes are those of docs/compositions.md. In a phase of n steps, the step u = 0 … n - 1 has the
progress p = u / n; the phase begins at ``start`` and approaches ``end``.
"""

import contextlib
import hashlib
import itertools
import json
import math
import re
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from lrgen.errors import ParameterError, UnknownNameError, shown
from lrgen.schedules._resumable import ResumableLambdaLR
from lrgen.schedules.lookup import check_count

SHAPES = (
    *("hold", "linear", "cosine", "polynomial", "exponential", "one_minus_sqrt", "inverse_sqrt"),
    *("steps", "triangular", "sawtooth", "cosine_cycles"),
)

_MOST = 1000  # stages or cycles of a phase, repeats
_LARGEST, _DECIMALS = 10**9, 30  # of numbers: value, decimal exponent
_BITS = 128  # of the numerator and of the denominator of a decay, whose powers are exact
_EXPONENT = re.compile(r"e([+-]?[0-9_]+)$", re.IGNORECASE)

Number = Fraction | float | str
"""A number; a text is exact, such as ``"1/3"``."""

_Phase = dict[str, Any]
_KEYS = ("phases", "unit", "horizon", "fixed", "repeats", "repeat_decay", "groups", "base_lr")


def phase(
    shape: str,
    length: Number,
    start: Number = 1,
    end: Number | None = None,
    *,
    count: int = 1,
    power: Number = 1,
    decay: Number = 1,
    peak: Number = 1,
) -> dict[str, Any]:
    """Return a phase of a composition, for ``compose``.

    Args:
        shape: one of ``SHAPES``.
        length: the fraction of the horizon (or of a repeat) that the phase takes.
        start: the multiplier of the base learning rate at the first step.
        end: the multiplier that the phase approaches; by default what follows from the other numbers, or ``start``.
        count: the number of stages (``steps``) or cycles.
        power: the exponent of ``polynomial``.
        decay: the factor from one stage (``steps``) or cycle to the next.
        peak: the multiplier in the middle of a cycle (``triangular``).

    Raises:
        UnknownNameError: if there is no such shape.
        ParameterError: if a number is out of range for the shape.
    """
    if shape not in SHAPES:
        raise UnknownNameError("shape", shape, SHAPES)
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= _MOST:
        raise ParameterError(f"{shape}: count must be a whole number from 1 to {_MOST}, got {shown(count)}")
    named = {"length": length, "start": start, "power": power, "decay": decay, "peak": peak}
    values = {name: _number(f"{shape}: {name}", value) for name, value in named.items()}
    last_factor = _last_factor(f"{shape}: decay", values["decay"], count)
    own_end = values["start"] * last_factor if shape == "steps" else values["start"]
    values["end"] = own_end if end is None else _number(f"{shape}: end", end)
    if not 0 < values["length"] <= 1:
        raise ParameterError(f"{shape}: length must lie in (0, 1], got {length}")
    for name in ("start", "end", "peak"):
        if values[name] < 0:
            raise ParameterError(f"{shape}: {name} must be at least 0, got {values[name]}")
    if values["power"] <= 0:
        raise ParameterError(f"{shape}: power must be above 0, got {values['power']}")
    if shape in ("exponential", "inverse_sqrt") and min(values["start"], values["end"]) == 0:
        raise ParameterError(f"{shape}: start and end must be above 0, got {values['start']} and {values['end']}")
    if shape == "inverse_sqrt" and values["end"] >= values["start"]:
        raise ParameterError(f"{shape}: end must be below start, got {values['end']} and {values['start']}")
    if shape in ("hold", "triangular", "steps") and values["end"] != own_end:
        raise ParameterError(f"{shape}: end must be {own_end}, got {values['end']}")
    return {"shape": shape, "count": count, **values}


def compose(composition: Any, optimizer: Optimizer, total_steps: int | None = None) -> LRScheduler:
    """Return the scheduler of a composition.

    Args:
        composition: phases in sequence, whose lengths sum to 1; or a composition as JSON text, as JSON values, or as an
            object with ``to_json()``, which ``lrgen compose --json`` and ``lrgen.curves.compositions`` give.
        optimizer: the learning rate of each parameter group is its base learning rate, a float or a tensor; that of
            the composition is not used. A composition with several groups needs as many parameter groups.
        total_steps: the planned number of steps; by default the horizon of the composition.

    Raises:
        ParameterError: if this is no composition, or it cannot have this number of steps or of parameter groups.

    Example:
        >>> warmup = phase("linear", 0.05, start=0, end=1)
        >>> scheduler = compose([warmup, phase("hold", 0.75), phase("cosine", 0.2, end=0)], optimizer, 1000)
    """
    values = _values(composition)
    phases = [_read(given) for given in values["phases"]]
    repeats, repeat_decay = values.get("repeats", 1), _number("repeat_decay", values.get("repeat_decay", 1))
    given_groups = values.get("groups", (1,))
    if not _is_list(given_groups):
        raise ParameterError(f"groups must be a list of numbers, got {shown(given_groups)}")
    groups = [_number("groups", group) for group in given_groups]
    if sum(given["length"] for given in phases) != 1:
        lengths = ", ".join(str(given["length"]) for given in phases)
        raise ParameterError(f"lengths of the phases must sum to 1, got {lengths} (a third is the text '1/3')")
    check_count("repeats", repeats)
    if repeats > _MOST:
        raise ParameterError(f"repeats must be at most {_MOST}, got {shown(repeats)}")
    _last_factor("repeat_decay", repeat_decay, repeats)
    if min(groups) < 0:
        raise ParameterError(f"groups must be at least 0, got {min(groups)}")
    if len(groups) not in (1, len(optimizer.param_groups)):
        given = len(optimizer.param_groups)
        raise ParameterError(f"the composition has {len(groups)} groups, the optimizer {given} parameter groups")
    horizon: Any = values.get("horizon") if total_steps is None else total_steps
    bounds = _bounds(phases, horizon, repeats)
    if values.get("fixed") and horizon != values.get("horizon"):
        raise ParameterError(
            f"total_steps of this composition must be {shown(values.get('horizon'))}, got {shown(horizon)}"
        )
    played = [{name: _plain(value) for name, value in given.items()} for given in phases]
    multipliers: list[Callable[[int], float]] = [
        Composed(played, bounds, repeats, float(repeat_decay), float(group)) for group in groups
    ]
    scheduler = ResumableLambdaLR(optimizer, multipliers if len(groups) > 1 else multipliers[0])
    digest = hashlib.sha256(json.dumps([played, repeats, str(repeat_decay), list(map(str, groups))]).encode())
    scheduler.schedule = (f"the composition {digest.hexdigest()[:12]}", horizon)
    return scheduler


class Composed:
    """The multiplier of the base learning rate: the phases, played ``repeats`` times; then the last level is kept."""

    def __init__(
        self, phases: list[_Phase], bounds: list[int], repeats: int, repeat_decay: float, scale: float
    ) -> None:
        self.phases = phases
        self.bounds = bounds
        self.repeats = repeats
        self.repeat_decay = repeat_decay
        self.scale = scale

    def __call__(self, step: int) -> float:
        repeat, within = divmod(step, self.bounds[-1])
        if repeat >= self.repeats:
            return self.scale * self.phases[-1]["end"] * self.repeat_decay ** (self.repeats - 1)
        index = bisect_right(self.bounds, within) - 1
        begin, end = self.bounds[index : index + 2]
        return self.scale * _multiplier(self.phases[index], within - begin, end - begin) * self.repeat_decay**repeat


def _multiplier(given: _Phase, u: int, n: int) -> float:
    """The multiplier of a phase at step u of n."""
    shape, a, b, count = given["shape"], given["start"], given["end"], given["count"]
    p = u / n
    if shape == "hold":
        return a
    if shape == "linear":
        return a + (b - a) * p
    if shape == "cosine":
        return b + (a - b) * (1 + math.cos(math.pi * p)) / 2
    if shape == "polynomial":
        return b + (a - b) * (1 - p) ** given["power"]
    if shape == "exponential":
        return a * (b / a) ** p
    if shape == "one_minus_sqrt":
        return b + (a - b) * (1 - math.sqrt(p))
    if shape == "inverse_sqrt":
        return a / math.sqrt(1 + ((a / b) ** 2 - 1) * p)
    cycle, rest = divmod(u * count, n)  # in whole numbers: no rounding decides which stage or cycle a step is in
    x, factor = rest / n, given["decay"] ** cycle
    if shape == "steps":
        return a * factor
    if shape == "triangular":
        return a + (given["peak"] - a) * (1 - abs(2 * x - 1)) * factor
    if shape == "sawtooth":
        return b + (a - b) * (1 - x) * factor
    return b + (a - b) * (1 + math.cos(math.pi * x)) / 2 * factor


def _values(composition: Any) -> Mapping[str, Any]:
    """A composition as JSON values."""
    if isinstance(composition, str):
        try:
            composition = json.loads(composition)
        except (ValueError, RecursionError) as error:
            raise ParameterError(f"not a composition: not JSON: {error}") from error
    values = composition.to_json() if hasattr(composition, "to_json") else composition
    if not isinstance(values, Mapping):
        values = {"phases": values}
    if not _is_list(values.get("phases")):
        raise ParameterError(f"not a composition: expected phases, got {shown(composition)}")
    for name in values:
        if name not in _KEYS:
            raise UnknownNameError("key of a composition", name, _KEYS)
    return values


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes)) and len(value) > 0


def _read(given: Any) -> _Phase:
    """A phase of JSON values, or of ``phase``."""
    try:
        return phase(**given)
    except TypeError as error:
        raise ParameterError(f"not a phase: {shown(given)}: {error}") from error


def _bounds(phases: Sequence[_Phase], horizon: Any, repeats: int) -> list[int]:
    """The first step of each phase within a repeat, and the number of steps of a repeat; halves are rounded to even.

    Raises:
        ParameterError: if the horizon is no number of steps, or does not give each phase a step.
    """
    check_count("total_steps", horizon)
    length = horizon // repeats
    ends = itertools.accumulate(given["length"] for given in phases)
    bounds = [0, *(round(end * length) for end in ends)]
    if any(after <= before for before, after in itertools.pairwise(bounds)):
        raise ParameterError(f"total_steps must give each of {len(phases) * repeats} phases a step, got {horizon}")
    return bounds


def _last_factor(name: str, decay: Fraction, count: int) -> Fraction:
    """The factor of the last of ``count`` stages, cycles or repeats.

    Raises:
        ParameterError: if the decay is not above 0, has too many digits for exact powers, or grows without bound.
    """
    if max(abs(decay.numerator), decay.denominator).bit_length() > _BITS:
        raise ParameterError(f"{name} must be a ratio of whole numbers below 2**{_BITS}, got {shown(decay)}")
    if decay <= 0:
        raise ParameterError(f"{name} must be above 0, got {decay}")
    factor = decay ** (count - 1)
    if factor > _LARGEST:
        raise ParameterError(f"{name} must reach at most {_LARGEST} in {count} stages, got {decay}")
    return factor


def _number(name: str, value: Any) -> Fraction:
    """A number without rounding: a float is the decimal number that it is written as.

    Raises:
        ParameterError: if it is no number, or one that is too large or has too large an exponent.
    """
    number = value if isinstance(value, Fraction) else None
    if isinstance(value, (int, float, str)) and not isinstance(value, bool):
        with contextlib.suppress(ValueError, ZeroDivisionError):
            text = str(value).strip()
            exponent = _EXPONENT.search(text)
            # A text with another exponent could have so many digits that no memory holds them.
            number = Fraction(text) if exponent is None or abs(int(exponent[1])) <= _DECIMALS else None
    if number is None:
        raise ParameterError(f"{name} must be a number (an exponent of at most {_DECIMALS}), got {shown(value)}")
    if abs(number) > _LARGEST:
        raise ParameterError(f"{name} must be at most {_LARGEST}, got {shown(value)}")
    return number


def _plain(value: Any) -> Any:
    """A value as a checkpoint can contain it."""
    return float(value) if isinstance(value, Fraction) else value
