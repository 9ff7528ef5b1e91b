"""Phases in words: as a predicate (``rises linearly from zero to 0.1``) and as a noun (``a linear warm-up …``)."""

import random
from fractions import Fraction

from lrgen.curves.compositions import Phase, Shape
from lrgen.finetune.instructions.compositions import numbers
from lrgen.finetune.instructions.compositions.terms import Terms
from lrgen.finetune.phrasing import phrase

_SILENT = 0.4  # of the phases that begin at the end of the one before do not say where they begin

_SHRINKING = (
    ", with the distance from {centre} multiplied by {decay} [from one cycle to the next|after each cycle]",
    ", with an amplitude (measured from {centre}) that is multiplied by {decay} at each new cycle",
)
_DOWN_TO_ZERO = (
    ", with the peak multiplied by {decay} [after each cycle|from one cycle to the next]",
    ", each cycle {decay} times the one before",
    ", with the amplitude multiplied by {decay} at each new cycle",
)

# The subject is the learning rate. ``{range}`` is "from … to …" or "to …".
_PREDICATES: dict[str, tuple[str, ...]] = {
    "hold": (
        "[stays|remains] at {start}",
        "is [held|kept] [constant |]at {start}",
        "is constant at {start}",
    ),
    "linear": (
        "[decreases|decays|falls|drops] linearly {range}",
        "[is annealed|is reduced] linearly {range}",
        "goes down in a straight line {range}",
    ),
    "linear_up": (
        "[rises|increases|grows] linearly {range}",
        "is ramped up linearly {range}",
        "goes up in a straight line {range}",
    ),
    "linear_first": (
        "[rises|increases|grows] linearly {range}",
        "[is warmed up|warms up] linearly {range}",
        "[is warmed up|is ramped up] in a straight line {range}",
    ),
    "cosine": (
        "[decays|decreases|falls|is annealed] along a cosine {range}",
        "follows a cosine {range}",
        "[decays|anneals] with a cosine {range}",
    ),
    "cosine_up": ("[rises|increases] along a cosine {range}", "follows a rising cosine {range}"),
    "cosine_first": ("[rises|increases|is warmed up] along a cosine {range}", "warms up along a cosine {range}"),
    "polynomial": (
        "[decays|decreases] polynomially with power {power} {range}",
        "[decays|falls] as a polynomial of power {power} {range}",
        "follows a polynomial decay (power {power}) {range}",
    ),
    "polynomial_up": (
        "[rises|increases] polynomially with power {power} {range}",
        "follows a polynomial (power {power}) up, {range}",
    ),
    "exponential": (
        "[decays|decreases|falls] exponentially {range}",
        "is multiplied by a constant factor at each {step}, {whole_range}",
        "[decays|goes down] geometrically {range}",
    ),
    "exponential_up": (
        "[rises|grows|increases] exponentially {range}",
        "is multiplied by a constant factor at each {step}, {whole_range}",
    ),
    "exponential_first": ("is warmed up exponentially {range}", "[rises|grows] exponentially {range}"),
    "one_minus_sqrt": (
        "[decays|falls|is cooled down] as 1 - sqrt {range}",
        "follows a 1-sqrt [cooldown|decay] {range}",
        "decreases with the square root of the progress {range}",
    ),
    "one_minus_sqrt_up": (
        "[rises|increases] with the square root of the progress {range}",
        "goes up as the square root of the progress, {range}",
    ),
    "inverse_sqrt": (
        "[decays|decreases] with the inverse square root {range}",
        "follows an inverse-square-root decay {range}",
    ),
    "steps": (
        "starts at {start} and goes through {stages} stages of equal length, each {decay} times the one before",
        "starts at {start} and is multiplied by {decay} {times}, {intervals} ({stages} stages)",
        "is a staircase of {stages} equal stages from {start}, a factor of {decay} from one to the next",
    ),
    "triangular": (
        "[runs through|makes] {cycles} triangular {cycle_s} {up_range} and back{shrinking}",
        "goes linearly {peak_range} and back in {cycles} {cycle_s}{shrinking}",
        "rises linearly {peak_range} and falls back in {cycles} {cycle_s}{shrinking}",
    ),
    "triangular_down": ("[runs through|makes] {cycles} triangular {cycle_s} {down_range} and back{shrinking}",),
    "sawtooth": (
        "[goes|runs] linearly {whole_range} {times} in a row, restarting at the start of each of {cycles} equal cycles"
        "{shrinking}",
        "is a sawtooth of {cycles} equal cycles, each linear {whole_range}{shrinking}",
    ),
    "cosine_cycles": (
        "follows a cosine {whole_range} {times} in a row, with a warm restart at each of {cycles} equal cycles"
        "{shrinking}",
        "is annealed along a cosine {whole_range} in each of {cycles} cycles of equal length, with warm restarts"
        "{shrinking}",
    ),
}
_NOUNS: dict[str, tuple[str, ...]] = {
    "hold": ("constant at {start}", "plateau at {start}", "hold at {start}", "constant learning rate, {start}"),
    "linear": ("linear decay {range}", "linear decrease {range}", "linear annealing {range}"),
    "linear_up": ("linear increase {range}", "linear ramp {range}", "linear rise {range}"),
    "linear_first": ("linear warm-up {range}", "linear warmup {range}", "linear ramp {range}"),
    "cosine": ("cosine decay {range}", "cosine annealing {range}", "cosine {range}"),
    "cosine_up": ("cosine increase {range}", "cosine ramp {range}"),
    "cosine_first": ("cosine warm-up {range}", "cosine-shaped warm-up {range}", "cosine ramp {range}"),
    "polynomial": (
        "polynomial decay {range} (power {power})",
        "polynomial decay, power {power}, {range}",
        "polynomial decay of power {power} {range}",
    ),
    "polynomial_up": ("polynomial increase {range} (power {power})", "polynomial increase of power {power} {range}"),
    "exponential": ("exponential decay {range}", "geometric decay {range}"),
    "exponential_up": ("exponential increase {range}", "geometric increase {range}"),
    "exponential_first": ("exponential warm-up {range}", "geometric warm-up {range}"),
    "one_minus_sqrt": ("1-sqrt decay {range}", "1-sqrt cooldown {range}", "decay by 1 - sqrt(progress) {range}"),
    "one_minus_sqrt_up": ("square-root increase {range}", "1-sqrt curve upwards, {range}"),
    "inverse_sqrt": ("inverse-square-root decay {range}", "inverse square root {range}"),
    "steps": (
        "step decay from {start}: {stages} equal stages, factor {decay}",
        "{stages} equal steps from {start}, each {decay} times the one before",
        "staircase from {start} with {stages} stages and gamma {decay}",
    ),
    "triangular": (
        "{cycles} triangular {cycle_s} {peaks}, beginning at {start}{shrinking}",
        "{cycles} linear {cycle_s} {up_range} and back{shrinking}",
    ),
    "triangular_down": ("{cycles} linear {cycle_s} {down_range} and back{shrinking}",),
    "sawtooth": (
        "sawtooth with {cycles} equal linear cycles, each {whole_range}{shrinking}",
        "{cycles} linear cycles of equal length {whole_range}, with restarts{shrinking}",
    ),
    "cosine_cycles": (
        "{cycles} cosine cycles of equal length with warm restarts, each {whole_range}{shrinking}",
        "cosine annealing with warm restarts {whole_range}, {cycles} equal cycles{shrinking}",
    ),
}


def predicate(terms: Terms, index: int, chance: random.Random) -> str:
    """Return a phase as a predicate of "the learning rate"."""
    return _lower(phrase(chance.choice(_PREDICATES[_kind(terms, index)]), chance, **_fields(terms, index, chance)))


def noun(terms: Terms, index: int, chance: random.Random) -> str:
    """Return a phase as a noun phrase."""
    return _lower(phrase(chance.choice(_NOUNS[_kind(terms, index)]), chance, **_fields(terms, index, chance)))


def follows(terms: Terms, index: int) -> bool:
    """Return whether a phase begins where the one before it plainly ends."""
    phases = terms.composition.phases
    before = phases[index - 1] if index else None
    if before is None or before.shape.is_cyclic or before.shape is Shape.STEPS:
        return False
    return before.end == phases[index].start


def name(phase: Phase) -> str:
    """Return the name of a shape with its numbers but the levels, as in a table: ``polynomial (power 2)``."""
    text = _NAMES.get(phase.shape, phase.shape.value)
    details = []
    if phase.shape is Shape.POLYNOMIAL:
        details.append(f"power {numbers.plain(phase.power)}")
    if phase.shape is Shape.STEPS:
        details += [f"{phase.count} equal stages", f"factor {numbers.plain(phase.decay)}"]
    if phase.shape.is_cyclic:
        details.append(f"{phase.count} equal cycle{'s' if phase.count > 1 else ''}")
        if phase.decay != 1:
            details.append(f"amplitude x {numbers.plain(phase.decay)} per cycle")
    return f"{text} ({', '.join(details)})" if details else text


_NAMES = {
    Shape.HOLD: "constant",
    Shape.ONE_MINUS_SQRT: "1-sqrt",
    Shape.INVERSE_SQRT: "inverse square root",
    Shape.STEPS: "step decay",
    Shape.COSINE_CYCLES: "cosine with warm restarts",
}


def _kind(terms: Terms, index: int) -> str:
    phase = terms.composition.phases[index]
    if phase.shape is Shape.TRIANGULAR:
        return "triangular_down" if phase.peak < phase.start else "triangular"
    first = f"{phase.shape}_first"
    if index == 0 and phase.rises and first in _NOUNS:
        return first
    return phase.kind if phase.kind in _NOUNS else phase.shape.value


def _fields(terms: Terms, index: int, chance: random.Random) -> dict[str, str]:
    phase = terms.composition.phases[index]
    whole_range = terms.pair(phase.start, phase.end)
    silent = follows(terms, index) and chance.random() < _SILENT
    centre = phase.start if phase.shape is Shape.TRIANGULAR else phase.end
    return {
        "range": f"to {terms.level(phase.end)}" if silent else whole_range,
        "whole_range": whole_range,
        "start": terms.level(phase.start),
        "peak_range": terms.pair(phase.start, phase.peak),
        "up_range": terms.pair(phase.start, phase.peak, ("from", "up to")),
        "down_range": terms.pair(phase.start, phase.peak, ("from", "down to")),
        "peaks": terms.pair(phase.start, phase.peak, ("between", "and")),
        "power": numbers.plain(phase.power),
        "decay": numbers.plain(phase.decay),
        "stages": numbers.counted(phase.count),
        "cycles": numbers.counted(phase.count),
        "cycle_s": "cycles of equal length" if phase.count > 1 else "cycle",
        "times": numbers.times(phase.count - 1 if phase.shape is Shape.STEPS else phase.count),
        "intervals": "halfway through" if phase.count == 2 else "at equal intervals",
        "step": terms.step,
        "shrinking": "" if phase.decay == 1 else _shrinking(terms, phase, centre, chance),
    }


def _shrinking(terms: Terms, phase: Phase, centre: Fraction, chance: random.Random) -> str:
    templates = _DOWN_TO_ZERO if centre == 0 else _SHRINKING
    return _lower(
        phrase(chance.choice(templates), chance, centre=terms.level(centre), decay=numbers.plain(phase.decay))
    )


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]
