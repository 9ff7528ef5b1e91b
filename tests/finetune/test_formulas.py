"""Formulas in texts are compared with curves by their values."""

import pytest

from lrgen.finetune import formulas
from lrgen.records import Unit
from tests.curves.comparison import variants

STEP, COSINE, LINEAR_WARMUP, CONSTANT = 1, 6, 37, 41

RIGHT = [
    (STEP, "lr(t) = lr * gamma ** floor(t / s), where s = max(1, round(step_fraction * T))"),
    (STEP, "eta_t = eta_0 * gamma^floor(t / s)\ns = round(step_fraction * T)"),
    (STEP, "$\\eta_t = lr \\cdot \\gamma^{\\lfloor t / s \\rfloor}$ with $s = step_fraction \\cdot T$"),
    (STEP, "The factor is `0.1 ** (step // step_size)` with step_size = total_steps / 3."),
    (STEP, "factor = prm.get('gamma', 0.1) ** (epoch // s), s = round(prm['step_fraction'] * total_steps)"),
    (COSINE, "lr * 0.5 * (1 + math.cos(math.pi * step / total_steps))"),
    (COSINE, "At step t, lr(t) = 0.5 · lr · (1 + cos(π·t/T))"),
    (
        COSINE,
        "\\[ \\eta_t = \\frac{\\eta_0}{2} \\cdot (1 + \\cos(\\frac{\\pi * t}{T})) \\]".replace("\\eta_0", "eta_0"),
    ),
    (COSINE, "    cos(pi * t / (2 * T)) ** 2"),
    (COSINE, "The multiplier is (1 + cos(pi p)) / 2; or, with p = t / T, lr * (1 + cos(pi * p)) / 2."),
    (LINEAR_WARMUP, "t / W for t < W, (1 + cos(pi * (t - W) / (T - W))) / 2 otherwise, where W = warmup_fraction * T"),
    (LINEAR_WARMUP, "lr * t / W if t < W else lr * (1 + cos(pi * p)) / 2, p = (t - W) / (T - W), W = round(0.1 * T)"),
    (CONSTANT, "    1"),
    (CONSTANT, "lr(t) = lr"),
]
WRONG = [
    (STEP, "gamma ** floor(t / s)"),  # without s
    (STEP, "lr * gamma ** floor(t / s), s = round(0.5 * T)"),
    (STEP, "lr * gamma ** floor(t / s), s = round(step_fraction * T) + 1"),
    (STEP, "lr * 0.5 ** floor(t / s), s = round(step_fraction * T)"),
    (COSINE, "(1 + cos(pi * t / T))"),
    (COSINE, "(1 + sin(pi * t / T)) / 2"),
    (COSINE, "1 - t / T"),
    (COSINE, "__import__('os').system('true')"),
    (COSINE, "(lambda: 0.5)() * t"),
    (COSINE, "a(t) = a(t + 1), a(t)"),
    (COSINE, "9 ** 9 ** 9 ** 9 ** 9 * t"),
    (COSINE, "((((((" * 500 + "t"),
    (COSINE, ""),
    (COSINE, ", ".join(["a0", *(f"a{n} = {'+'.join([f'a{n + 1}'] * 50)}" for n in range(11)), "a11 = t"])),
    (COSINE, "t if t, " * 2000),
    (COSINE, "(1 where " * 2000),
    (COSINE, "\\frac{" * 2000),
    (LINEAR_WARMUP, "t / W if t < W else (1 + cos(pi * t / T)) / 2, W = round(warmup_fraction * T)"),
    (CONSTANT, "There is 1 group."),
]


@pytest.mark.parametrize(("number", "text"), RIGHT)
def test_a_formula_in_another_notation_is_correct(number, text):
    """Other names, LaTeX, code, numbers instead of hyperparameters and equal expressions state the formula."""
    assert formulas.states(variants()[number], text)


@pytest.mark.parametrize(("number", "text"), WRONG)
def test_another_formula_is_incorrect(number, text):
    """Other values, missing definitions and what is no expression do not; nothing is executed or takes long."""
    assert not formulas.states(variants()[number], text)


def test_the_formulas_of_the_catalogue_are_read():
    """Of the formulas that a text of the catalogue gives, all but those in words have the values of their curve."""
    with_curves = [variant for variant in variants().values() if variant.unit is not Unit.METRIC]
    in_words = [variant.number for variant in with_curves if not formulas.is_equalled(variant, variant.formula)]
    assert len(with_curves) - len(in_words) >= 140
    assert not any(formulas.is_contradicted(variant, f"    {variant.formula}") for variant in with_curves)


def test_a_formula_beside_one_in_words_is_a_contradiction():
    """A line that is a formula in the step and has other values contradicts the schedule."""
    multi_step = variants()[2]
    assert not formulas.is_equalled(multi_step, multi_step.formula)
    assert formulas.is_contradicted(multi_step, "It drops at 30%, 60% and 80%:\n\n    0.5 * t")
    assert not formulas.is_contradicted(multi_step, "It drops at 30%, 60% and 80% of `T`.")
