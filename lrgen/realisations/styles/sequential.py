"""Schedulers of torch, one after another in SequentialLR."""

import math
from fractions import Fraction

from lrgen.curves.compositions import Composition, Phase, Shape
from lrgen.errors import StyleError
from lrgen.realisations.branches import is_held
from lrgen.realisations.choices import Choices
from lrgen.realisations.comments import docstring, of_phase
from lrgen.realisations.containers import constants, groups_of, returns, sequence
from lrgen.realisations.draft import Draft, draft
from lrgen.realisations.expressions import Expr
from lrgen.realisations.formulas import needs_steps
from lrgen.realisations.layout import assembled, called, indented, signature, wrapped
from lrgen.realisations.realisation import Call, Interface, Realisation, Style
from lrgen.realisations.styles.lambda_ import BUILDERS


def check(composition: Composition) -> None:
    """Each phase must be one that a scheduler of torch has.

    Raises:
        StyleError: naming the first phase that none has, and why.
    """
    if composition.repeat_decay != 1:
        raise StyleError("repeats that decay cannot be written as sequential: schedulers start from the base rate")
    for number, phase in enumerate(composition.phases, 1):
        reason = _reason(phase, composition)
        if reason:
            raise StyleError(f"phase {number} ({phase.shape}) cannot be written as sequential: {reason}")


def _reason(phase: Phase, composition: Composition) -> str:
    """The reason for which no scheduler of torch has the phase; empty if one has."""
    shape, groups = phase.shape, composition.groups
    if max(phase.start, phase.end) > 1:
        return "factors of torch's schedulers are at most 1"
    if shape is Shape.STEPS and phase.count > 1 and not composition.fixed:
        return "the steps at which its stages begin depend on the horizon"
    if shape in (Shape.HOLD, Shape.LINEAR):
        return ""
    if shape in (Shape.ONE_MINUS_SQRT, Shape.INVERSE_SQRT, Shape.TRIANGULAR, Shape.SAWTOOTH):
        return "torch has no such scheduler"
    if phase.start != 1:
        return f"torch's scheduler starts at the base rate, not at {phase.start} of it"
    if shape is Shape.POLYNOMIAL and phase.end != 0:
        return "PolynomialLR ends at 0"
    if shape is Shape.COSINE_CYCLES and phase.decay != 1:
        return "CosineAnnealingWarmRestarts does not decay"
    if shape is Shape.COSINE_CYCLES and not composition.fixed:
        return "the number of steps of a cycle depends on the horizon"
    if shape is Shape.COSINE_CYCLES:
        n = phase.length * composition.horizon / composition.repeats
        if (n / phase.count).denominator != 1:
            return "its cycles have no whole number of steps"
    if shape in (Shape.COSINE, Shape.COSINE_CYCLES) and phase.end != 0 and groups != (Fraction(1),):
        return "eta_min is one learning rate for all parameter groups"
    return ""


def write(composition: Composition, choices: Choices) -> Realisation:
    """A function that makes the schedulers and joins them."""
    d = draft(composition, choices, places=("local", "module"))
    entry = d.fresh("entry", BUILDERS)
    base = d.fresh("name.base", ("base_lr", "lr", "peak_lr", "max_lr"))
    needs_base = any(p.shape in (Shape.COSINE, Shape.COSINE_CYCLES) and p.end for p in d.phases)
    takes_lr = True
    lr = ""
    if needs_base:
        form = choices.pick("base", ("group", "defaults", "literal", "group"))
        lr = {"group": 'optimizer.param_groups[0]["lr"]', "defaults": 'optimizer.defaults["lr"]', "literal": ""}[form]
        takes_lr = form != "literal"
    setup = d.setup
    count = len(d.phases)
    alone = count == 1 and _holds(d)
    named = choices.odds("schedulers.named", 0.6) and composition.repeats == 1 and not alone
    schedulers: list[str] = []
    lines: list[str] = []
    for i in range(count):
        n = d.span(i)
        scheduler = _scheduler(d, i, n, base if takes_lr else "")
        if named:
            own = d.labels[i] if d.labels[i] not in d.used else f"{d.labels[i]}_scheduler"
            d.used.add(own)
            comment = of_phase(d, i)
            lines += [*([comment] if comment else []), *called(f"{own} = {scheduler[0]}", scheduler[1], depth=1)]
            schedulers.append(own)
        else:
            is_returned = alone and composition.repeats == 1
            head, depth = (
                (f"return {scheduler[0]}", 1) if is_returned else (scheduler[0], 2 + (composition.repeats > 1))
            )
            schedulers.append("\n".join(called(head, scheduler[1], depth=depth)))
    milestones = [end.text for end in d.ends[:-1]]
    tail = None if _holds(d) else _tail(d)
    multipliers = groups_of(d)
    ends = milestones if tail is None and composition.repeats == 1 else [*milestones, d.length.text]
    d.forget_unused([*lines, *schedulers, *ends, tail or ""])
    body: list[str] = [*(d.lines_of_settings() if d.place == "local" else []), *setup]
    if multipliers is not None:
        group, own = (
            d.fresh("name.group", ("group", "param_group", "pg")),
            d.fresh("name.m", ("m", "multiplier", "mult")),
        )
        body += [
            f"for {group}, {own} in zip(optimizer.param_groups, {sequence(d, multipliers)}):",
            f'    {group}["lr"] *= {own}',
        ]
    if lr:
        body.insert(0, f"{base} = {lr}")
    joined = _repeated if composition.repeats > 1 else _joined
    body += [*lines, *joined(d, schedulers, milestones, tail)]
    parameters = [d.parameter("optimizer", "Optimizer")]
    if d.takes_total:
        parameters.append(d.parameter(d.total, "int"))
    kind = returns(
        d, "SequentialLR" if len(schedulers) + (tail is not None) > 1 or composition.repeats > 1 else "LRScheduler"
    )
    function = [*signature(entry, parameters, kind), *indented([*docstring(d), *body])]
    code = assembled([constants(d), [line for part in function for line in part.split("\n")]])
    return Realisation(
        Style.SEQUENTIAL, code, Interface(Call.SCHEDULER, entry, takes_horizon=d.takes_total, takes_lr=takes_lr)
    )


def _joined(d: Draft, schedulers: list[str], milestones: list[str], tail: str | None) -> list[str]:
    if tail is not None:
        schedulers, milestones = [*schedulers, tail], [*milestones, d.length.text]
    if len(schedulers) == 1:
        return schedulers[0].split("\n")
    flat = ", ".join(schedulers)
    form = d.choices.pick("joined", ("keywords", "keywords", "positional", "lists"))
    short = "\n" not in flat and len(flat) < 50
    listed = [f"[{flat}]"] if short else ["[", *indented([f"{each}," for each in schedulers]), "]"]
    if form == "lists" or not short:
        own = d.fresh("name.schedulers", ("schedulers", "phases", "stages"))
        lines = [f"{own} = {listed[0]}", *_inner(schedulers, short)]
        return [*lines, *called("return SequentialLR", ["optimizer", own, *_milestones(d, milestones, form)], depth=1)]
    first = f"schedulers={listed[0]}" if form == "keywords" else listed[0]
    return called("return SequentialLR", ["optimizer", first, *_milestones(d, milestones, form)], depth=1)


def _inner(schedulers: list[str], short: bool) -> list[str]:
    if short:
        return []
    lines: list[str] = []
    for scheduler in schedulers:
        parts = scheduler.split("\n")
        lines += indented([*parts[:-1], f"{parts[-1]},"])
    return [*lines, "]"]


def _milestones(d: Draft, milestones: list[str], form: str) -> list[str]:
    text = f"[{', '.join(milestones)}]"
    return [text if form == "positional" else f"milestones={text}"]


def _repeated(d: Draft, schedulers: list[str], milestones: list[str], tail: str | None) -> list[str]:
    """The schedulers once for each repeat, in a loop."""
    own, ends = (
        d.fresh("name.schedulers", ("schedulers", "phases")),
        d.fresh("name.milestones", ("milestones", "switches")),
    )
    begin = d.fresh("name.begin", ("begin", "start", "offset"))
    index = d.fresh("name.repeat", ("repeat", "cycle", "k"))
    length = d.length
    lines = [f"{own}, {ends} = [], []", f"for {index} in range({d.composition.repeats}):"]
    if len(schedulers) == 1:
        inner = called(f"{own}.append", schedulers, depth=2)
        if "\n" in schedulers[0]:
            inner = [f"{own}.append(", *indented(schedulers[0].split("\n")), ")"]
        inner.append(f"{ends}.append(({index} + 1) * {length.text})")
    else:
        inner = [f"{begin} = {index} * {length.text}"]
        inner += [f"{own} += [", *_inner(schedulers, False)]
        points = [f"{begin} + {end}" for end in milestones] + [f"{begin} + {length.text}"]
        inner += wrapped(f"{ends} += [", points, "]", 2)
    lines += indented(inner)
    if tail is not None:
        lines.append(f"{own}.append({tail})")
        return [*lines, f"return SequentialLR(optimizer, {own}, {ends})"]
    return [*lines, f"return SequentialLR(optimizer, {own}, {ends}[:-1])"]


def _holds(d: Draft) -> bool:
    """Whether the scheduler of the last phase stays at its end."""
    last = d.phases[-1]
    return (
        is_held(d)
        or last.shape in (Shape.LINEAR, Shape.POLYNOMIAL)
        or (last.shape is Shape.STEPS and not needs_steps(last))
        or last.shape is Shape.STEPS
    )


def _tail(d: Draft) -> str:
    """A scheduler that stays at the level past the horizon."""
    return _constant(d, d.past, None)


def _constant(d: Draft, level: Fraction, n: Expr | None) -> str:
    if level == 0:
        return f"LambdaLR(optimizer, lambda _: {d.numbers.real(level).text})"
    text = d.level(level).text
    if level == 1:
        return (
            "LambdaLR(optimizer, lambda _: 1.0)" if d.choices.odds("one", 0.3) else "ConstantLR(optimizer, factor=1.0)"
        )
    if n is None:
        return f"LambdaLR(optimizer, lambda _: {text})"
    return f"ConstantLR(optimizer, factor={text}, total_iters={n.text})"


def _scheduler(d: Draft, i: int, n: Expr, base: str) -> tuple[str, list[str]]:
    """The class of a scheduler and its arguments."""
    phase = d.phases[i]
    last = i == len(d.phases) - 1
    real = d.numbers.real
    if phase.shape is Shape.HOLD or (phase.shape is Shape.STEPS and not needs_steps(phase)):
        constant = _constant(d, phase.start, None if last else n)
        return constant.split("(", 1)[0], _split(constant)
    if phase.shape is Shape.LINEAR and phase.start == 0:
        step = d.step
        ratio = f"{step} / {n.text}" if n.is_simple else f"{step} / ({n.text})"
        text = ratio if phase.end == 1 else f"{d.level(phase.end).text} * {ratio}"
        text = f"min({text}, {d.level(phase.end).text})" if last else text
        return "LambdaLR", ["optimizer", f"lambda {step}: {text}"]
    if phase.shape is Shape.LINEAR:
        arguments = ["optimizer", f"start_factor={d.level(phase.start).text}"]
        if phase.end != 1 or d.choices.odds("end_factor", 0.5):
            arguments.append(f"end_factor={d.level(phase.end).text}")
        return "LinearLR", [*arguments, f"total_iters={n.text}"]
    if phase.shape is Shape.POLYNOMIAL:
        exponent = str(phase.power) if phase.power.denominator == 1 else real(phase.power).text
        return "PolynomialLR", ["optimizer", f"total_iters={n.text}", f"power={exponent}"]
    if phase.shape is Shape.EXPONENTIAL:
        divisor = n.text if n.is_simple else f"({n.text})"
        return "ExponentialLR", ["optimizer", f"gamma={d.level(phase.end).text} ** (1 / {divisor})"]
    if phase.shape is Shape.STEPS:
        steps = d.bounds[i + 1] - d.bounds[i]
        if steps % phase.count == 0 and not last and d.choices.odds("StepLR", 0.6):
            size = d.numbers.integer(steps // phase.count).text
            return "StepLR", ["optimizer", f"step_size={size}", f"gamma={real(phase.decay).text}"]
        ends = [math.ceil(Fraction(k * steps, phase.count)) for k in range(1, phase.count)]
        listed = ", ".join(d.numbers.integer(end).text for end in ends)
        return "MultiStepLR", ["optimizer", f"milestones=[{listed}]", f"gamma={real(phase.decay).text}"]
    arguments = ["optimizer", f"T_max={n.text}"]
    own = "CosineAnnealingLR"
    if phase.shape is Shape.COSINE_CYCLES:
        own = "CosineAnnealingWarmRestarts"
        steps = (d.bounds[i + 1] - d.bounds[i]) // phase.count
        arguments = ["optimizer", f"T_0={d.numbers.integer(steps).text}"]
    if phase.end:
        low = f"{d.level(phase.end).text} * {base}" if base else real(phase.end * d.composition.base_lr).text
        arguments.append(f"eta_min={low}")
    return own, arguments


def _split(text: str) -> list[str]:
    return text.split("(", 1)[1].removesuffix(")").split(", ")
