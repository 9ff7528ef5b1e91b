"""Drawn cases: they depend on the case seed and the file alone, cover their domain, and are unlikely to be passed."""

import math
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lrgen.catalogue import Catalogue
from lrgen.catalogue import load as load_catalogue
from lrgen.records import Metric, Unit, Variant
from lrgen.verify import case_seed
from lrgen.verify.checks import draw, drawn_metrics
from lrgen.verify.checks.cases import Case, Run
from lrgen.verify.checks.reference import wrong_depths

SHA = "0123456789abcdef" * 4
VARIANTS = load_catalogue().schedules
SEEDS = st.integers(0, case_seed.CASE_SEED_LIMIT - 1)
SHAS = st.text("0123456789abcdef", min_size=64, max_size=64)

drawn = settings(max_examples=20, deadline=None, derandomize=True, database=None)


def variant_of(catalogue: Catalogue, kind: str) -> Variant:
    """A variant with two hyperparameters, which is of this kind."""
    kinds: dict[str, Callable[[Variant], bool]] = {
        "epoch": lambda v: v.unit is Unit.EPOCH and not v.layerwise,
        "layer-wise": lambda v: v.layerwise,
        "loss": lambda v: v.metric is Metric.LOSS,
    }
    return next(v for v in catalogue.schedules if kinds[kind](v) and len(v.hyperparameters) >= 2)


def cases(variant: Variant, seed: int = 0, count: int = draw.CASES, sha256: str = SHA) -> list[Case]:
    """The drawn traces of a file."""
    return list(draw.schedule_cases(variant, draw.draw_for(seed, sha256).stream("make_scheduler"), count))


def runs(variant: Variant, seed: int = 0, *, large: bool = False) -> list[Run]:
    """The drawn runs of a file."""
    return draw.learn_cases(variant, draw.draw_for(seed, SHA).stream("learn"), large=large)


# Streams.


@drawn
@given(seed=SEEDS, sha256=SHAS)
def test_draws_are_repeated_by_the_seed_and_the_hash(seed, sha256):
    """The same case seed and hash yield the same cases, whatever was drawn for other purposes; others yield others."""
    first = draw.draw_for(seed, sha256)
    second = draw.draw_for(seed, sha256)
    second.random()
    second.stream("weights").random()
    for purpose in ("make_scheduler", "learn", "weights"):
        assert [first.stream(purpose).random() for _ in range(2)] == [second.stream(purpose).random()] * 2
    numbers = {
        draw.draw_for(*names).stream(*purpose).getrandbits(64)
        for names in ((seed, sha256), (seed ^ 1, sha256), (seed, sha256[::-1] + "0"))
        for purpose in (("make_scheduler",), ("learn",), ("weights", 1), ("weights", 11))
    }
    assert len(numbers) == 12


def test_a_recorded_seed_repeats_its_cases_in_later_versions(catalogue):
    """These cases of seed 7 are what an outcome with that case seed stands for."""
    first, *_ = cases(variant_of(catalogue, "layer-wise"), 7)
    lrs = (3.7723385292973346e-05, 0.849, 0.00011551559856357008)
    assert first == Case(93, 0.849, (0, 1, 1), lrs, past_end=4)
    run = runs(variant_of(catalogue, "layer-wise"))[-1]
    assert run == Run(36, 36, 1, 5, 5, 1.17e-05)
    assert [at.tolist() for at in draw.positions(draw.draw_for(7, SHA), [(1000,), (4,)], 4)] == [[208, 901], [1]]
    assert drawn_metrics.metrics(Metric.LOSS, 7, 2) == [5.463896508177091, 5.463792661959378]


def test_a_stream_is_uniform():
    """Numbers are in [0, 1), each tenth of it has as many, and successive numbers are not correlated."""
    source = draw.draw_for(0, SHA)
    numbers = np.array([source.random() for _ in range(20_000)])
    assert 0 <= numbers.min() < numbers.max() < 1
    assert np.abs(np.histogram(numbers, 10, (0, 1))[0] / len(numbers) - 0.1).max() < 0.01
    assert abs(np.corrcoef(numbers[:-1], numbers[1:])[0, 1]) < 0.03
    assert {source.getrandbits(1) for _ in range(50)} == {0, 1}
    assert source.getrandbits(2000).bit_length() > 1900


def test_a_stream_has_no_state_to_copy():
    """A stream is built again with its names; a copied state would be Python's generator."""
    with pytest.raises(NotImplementedError):
        draw.draw_for(0, SHA).getstate()
    with pytest.raises(NotImplementedError):
        draw.draw_for(0, SHA).setstate(())


# Traces of make_scheduler.


@drawn
@given(seed=SEEDS, variant=st.sampled_from(VARIANTS))
def test_traces_stay_in_the_domain(seed, variant):
    """Horizons, learning rates, hyperparameters, groups, resumptions and lengths are in the stated ranges."""
    for case in cases(variant, seed, 30):
        assert 1 <= case.horizon <= 3000
        assert case.horizon < case.steps <= max(4 * case.horizon + 1, case.horizon + 5)
        assert all(1e-5 <= lr <= 1 for lr in (case.base_lr, *case.base_lrs))
        assert 1 <= len(case.base_lrs) <= 4
        assert not case.lrs or not case.depths or len(case.lrs) == len(case.depths)
        assert bool(case.depths) == variant.layerwise
        assert wrong_depths(variant, list(case.depths)) == ""
        assert len(case.resume) <= 2
        assert list(case.resume) == sorted(set(case.resume))
        assert all(0 <= step < case.steps for step in case.resume)
        assert not case.tensor or (case.lrs and case.steps <= 120)
        ranges = {p.name: p for p in variant.hyperparameters}
        assert all(ranges[name].low <= value <= ranges[name].high for name, value in case.prm.items())
        assert (case.metric_seed is not None) == (case.metrics(variant) is not None) == (variant.unit is Unit.METRIC)


def test_traces_cover_the_domain(catalogue):
    """Long and short horizons, both ends of ranges, each number of groups and each place of a resumption are drawn."""
    variant = variant_of(catalogue, "layer-wise")
    pool = cases(variant, count=6000)
    horizons = np.array([case.horizon for case in pool])
    steps = np.array([case.steps for case in pool])
    assert horizons.mean() < 230
    assert steps.mean() < 400
    assert (horizons > 1000).mean() > 0.055
    assert (horizons <= 10).mean() > 0.13
    assert {1, 2, 3, 10} < set(horizons.tolist())
    assert horizons.max() > 2900
    assert (steps > 2 * horizons).mean() > 0.15
    assert (steps > 3.5 * horizons).mean() > 0.03
    lrs = np.log10([case.base_lr for case in pool])
    assert np.abs(np.histogram(lrs, 5, (-5, 0))[0] / len(lrs) - 0.2).max() < 0.03
    for parameter in variant.hyperparameters:
        values = [case.prm[parameter.name] for case in pool if parameter.name in case.prm]
        assert 0.45 < len(values) / len(pool) < 0.55
        assert {parameter.low, parameter.high, parameter.default} < set(values)
        assert np.histogram(values, 10, (parameter.low, parameter.high))[0].min() > 0.04 * len(values)
    assert {len(case.depths) for case in pool} == {2, 3, 4}
    assert {(0, 1), (1, 0), (0, 0, 1), (0, 1, 2, 3), (0, 1, 1, 1)} < {case.depths for case in pool}
    assert {len(case.resume) for case in pool} == {0, 1, 2}
    for place in (0, -1, 1):
        at = [case for case in pool if (case.horizon + place if place else 0) in case.resume]
        assert len(at) > 0.01 * len(pool), place
    plain = cases(variant_of(catalogue, "epoch"), count=2000)
    assert {len(case.base_lrs) for case in plain} == {1, 2, 3, 4}
    assert any(not case.lrs for case in plain)


# The probability of passing.


def deviations(variant: Variant) -> dict[str, Callable[[Case], bool]]:
    """Parts of the domain in which a file may leave its curve."""
    first, second = variant.hyperparameters[:2]
    middle = (first.low + first.high) / 2
    long = 3 if variant.layerwise else 1

    return {
        "horizon over 160": lambda c: c.horizon > 160,
        "horizon over 1000": lambda c: c.horizon > 1000,
        "horizon from 31 to 38": lambda c: 31 <= c.horizon <= 38,
        "horizon up to 2": lambda c: c.horizon <= 2,
        "learning rate over 0.65": lambda c: c.base_lr > 0.65,
        "learning rate under 1.5e-5": lambda c: c.base_lr < 1.5e-5,
        "lower half of a hyperparameter": lambda c: c.prm.get(first.name, middle) < middle,
        "a hyperparameter above 95%": lambda c: (
            c.prm.get(second.name, second.low) > second.low + 0.95 * (second.high - second.low)
        ),
        "two hyperparameters together": lambda c: {first.name, second.name} <= c.prm.keys() and c.horizon > 20,
        "resumed in the last quarter": lambda c: any(0.75 * c.horizon <= step < c.horizon for step in c.resume),
        "resumed past the end": lambda c: any(step >= c.horizon for step in c.resume),
        "resumed twice": lambda c: len(c.resume) == 2,
        "resumed at the first step": lambda c: 0 in c.resume,
        "beyond one horizon past the end": lambda c: c.steps > 2 * c.horizon + 5,
        "beyond two horizons past the end": lambda c: c.steps > 3.3 * c.horizon + 3,
        "three groups": lambda c: len(c.base_lrs) == 3,
        "groups with unequal learning rates": lambda c: len(set(c.base_lrs)) > long,
        "tensors": lambda c: c.tensor,
        "a small group beside a large one": lambda c: max(c.base_lrs) > 1000 * min(c.base_lrs),
        "step 300": lambda c: c.steps > 300,
    }


def hits(variant: Variant, draws: int) -> NDArray[np.bool_]:
    """Whether each case of the draws of ``draws`` case seeds is in each deviation (draws × cases × deviations)."""
    tests = deviations(variant).values()
    return np.array([[[test(case) for test in tests] for case in cases(variant, seed)] for seed in range(draws)])


def recombined(hit: NDArray[np.bool_], draws: int) -> NDArray[np.int64]:
    """The number of draws that have no case in a deviation, for each of them.

    Each draw takes its cases at random from all drawn cases. That stands for a draw of its own because the cases of a
    draw are independent and have one distribution, and it takes a thousandth of the time.
    """
    pool = hit.reshape(-1, hit.shape[-1])
    bits = pool @ (1 << np.arange(pool.shape[1]))
    random, passed = np.random.RandomState(0), np.zeros(pool.shape[1], dtype=np.int64)
    for count in [1000] * (draws // 1000):
        seen = np.bitwise_or.reduce(bits[random.randint(len(bits), size=(count, draw.CASES))], axis=1)
        passed += (seen[:, None] >> np.arange(len(passed)) & 1 == 0).sum(axis=0)
    return passed


@pytest.mark.parametrize("kind", ["epoch", "layer-wise"])
@pytest.mark.parametrize(("draws", "simulated"), [(50, 5000), pytest.param(3000, 100_000, marks=pytest.mark.slow)])
def test_a_file_that_deviates_in_a_twentieth_of_the_domain_seldom_passes(catalogue, kind, draws, simulated):
    """Each of at least 12 deviations in at least 5% of the domain is passed by fewer than 1 in 1,000 draws."""
    variant = variant_of(catalogue, kind)
    hit = hits(variant, draws)
    fractions = hit.mean(axis=(0, 1))
    passed, simulations = (~hit.any(axis=1)).sum(axis=0), recombined(hit, simulated)
    wide = fractions >= 0.05
    assert wide.sum() >= 12
    for name, whole, simulation in zip(
        np.array(list(deviations(variant)))[wide], passed[wide], simulations[wide], strict=True
    ):
        # The draws themselves, of which hardly any is expected; then many more of the same cases.
        assert whole <= 2 + draws / 1000, name
        assert simulation < simulated / 1000, name


def test_the_number_of_cases_is_what_one_in_1_000_needs():
    """140 independent cases are passed with a probability below 1 in 1,000 if a case shows the fault in 5%."""
    assert 0.95**draw.CASES < 1 / 1000


def test_cases_of_a_draw_are_independent(catalogue):
    """A case in a part of the domain says nothing about the next one, so 140 cases multiply."""
    variant = variant_of(catalogue, "epoch")
    pool = cases(variant, 3, 8000)
    for name, test in deviations(variant).items():
        hits = np.array([test(case) for case in pool], dtype=float)
        assert abs(np.corrcoef(hits[:-1], hits[1:])[0, 1]) < 0.05, name


# Metrics.


@drawn
@given(seed=st.integers(0, 2**32 - 1), count=st.integers(1, 300), threshold=st.sampled_from([0.0, 1e-3, 0.5, 1.0]))
@pytest.mark.parametrize("metric", list(Metric))
def test_metrics_are_values_of_their_kind(metric, seed, count, threshold):
    """One finite number or NaN per step, not negative; an accuracy is at most 1; the seed repeats them."""
    values = drawn_metrics.metrics(metric, seed, count, threshold)
    assert len(values) == count
    numbers = [value for value in values if not math.isnan(value)]
    assert all(0 <= value <= (1 if metric is Metric.ACCURACY else 10) for value in numbers)
    assert np.array_equal(values, drawn_metrics.metrics(metric, seed, count, threshold), equal_nan=True)


@pytest.mark.parametrize("metric", list(Metric))
def test_metrics_contain_each_branch_of_a_schedule(metric):
    """There are improvements, ties, values near the threshold from either side, jumps, zeros and NaN, in many steps."""
    threshold = 0.01
    values = np.concatenate([drawn_metrics.metrics(metric, seed, 200, threshold) for seed in range(200)])
    change = np.diff(values) if metric is Metric.ACCURACY else -np.diff(values)
    relative = change / np.maximum(np.abs(values[:-1]), 1e-12)
    assert 0.001 < np.isnan(values).mean() < 0.05
    parts = {
        "ties": change == 0,
        "improvements": change > 0,
        "jumps": relative < -0.15,
        "just above": (change > threshold) & (change < 1.3 * threshold),
        "just below": (change < threshold) & (change > threshold / 1.3),
        "above torch's": (relative > 1e-4) & (relative < 1.3e-4),
        "below torch's": (relative < 1e-4) & (relative > 1e-4 / 1.3),
    }
    for name, hits in parts.items():
        assert hits.mean() > 0.003, name
    assert (values == (1 if metric is Metric.ACCURACY else 0)).mean() > 0.01
    assert not np.isclose(change, threshold, rtol=1e-6, atol=0).any()


# Runs of learn.


@drawn
@given(seed=SEEDS, variant=st.sampled_from(VARIANTS))
def test_runs_stay_in_the_domain_and_each_kind_is_among_them(seed, variant):
    """A run passes epoch 30, one is resumed, one has a smaller last batch, each hyperparameter is changed once."""
    drawn_runs = runs(variant, seed)
    for run in drawn_runs:
        assert 1 <= run.epochs_planned <= 90
        assert 1 <= run.epochs_run <= run.epochs_planned + 9
        assert 1 <= run.batches <= 200
        assert 2 <= run.last_batch <= run.batch_size <= 16
        assert run.batches > 1 or run.last_batch == run.batch_size
        assert 1e-5 <= run.base_lr <= 1
        assert run.resume_after is None or 1 <= run.resume_after < run.epochs_run
    assert any(run.epochs_planned > 30 and run.epochs_run > 32 and run.batches == 1 for run in drawn_runs)
    assert any(run.epochs_run > run.epochs_planned for run in drawn_runs)
    assert any(run.last_batch < run.batch_size for run in drawn_runs)
    assert sum(run.resume_after is not None for run in drawn_runs) == 1
    for parameter in variant.hyperparameters:
        values = [run.prm.get(parameter.name, parameter.default) for run in drawn_runs]
        assert any(value != parameter.default for value in values)
        assert all(parameter.low <= value <= parameter.high for value in values)


def test_runs_make_about_100_updates(catalogue):
    """The mean is near 100; 1, 2, 7 and up to 200 batches an epoch are drawn."""
    drawn_runs = [runs(variant_of(catalogue, "epoch"), seed) for seed in range(1000)]
    assert 65 < np.mean([sum(run.updates for run in several) for several in drawn_runs]) < 110
    every = [run for several in drawn_runs for run in several]
    batches = {run.batches for run in every}
    assert {1, 2, 7} < batches
    assert max(batches) > 180
    assert max(run.epochs_run for run in every) > 80


@drawn
@given(seed=SEEDS, variant=st.sampled_from(VARIANTS))
def test_a_large_network_makes_at_most_30_updates(seed, variant):
    """The short runs alone, still with a resumption and a smaller last batch."""
    drawn_runs = runs(variant, seed, large=True)
    assert sum(run.updates for run in drawn_runs) <= 30
    assert sum(run.resume_after is not None for run in drawn_runs) == 1
    assert any(run.last_batch < run.batch_size for run in drawn_runs)


# Positions of weights.


@drawn
@given(
    seed=SEEDS,
    shapes=st.lists(st.lists(st.integers(0, 40), max_size=4), max_size=60),
    at_most=st.sampled_from([1, 100, 4096]),
)
def test_positions_are_sorted_and_in_each_parameter(seed, shapes, at_most):
    """Each parameter has at least one position, each is in its range and there once, and all are at most 4,096."""
    source = draw.draw_for(seed, SHA).stream("weights")
    positions = draw.positions(source, shapes, at_most)
    assert len(positions) == len(shapes)
    for shape, at in zip(shapes, positions, strict=True):
        assert at.dtype == np.int64
        assert bool(len(at)) == bool(math.prod(shape))
        assert np.all(np.diff(at) > 0)
        assert not len(at) or 0 <= at[0] <= at[-1] < math.prod(shape)
    assert sum(map(len, positions)) <= max(at_most, len(shapes))


def test_positions_are_drawn_anew_and_reach_each_weight():
    """Another case has other positions, the same case has the same, and large parameters have more of them."""

    def at(case: int, shapes: Sequence[Sequence[int]], at_most: int = 4096) -> list[list[int]]:
        return [list(x) for x in draw.positions(draw.draw_for(5, SHA).stream("weights", case), shapes, at_most)]

    shapes = [(64, 3, 7, 7), (64,), (), (1000, 512)]
    assert at(0, shapes) == at(0, shapes) != at(1, shapes)
    counts = [len(positions) for positions in at(0, shapes)]
    assert counts[3] > counts[0] > counts[1] >= counts[2] == 1
    assert sum(counts) > 3500
    assert {positions[0] for case in range(300) for positions in at(case, [(10,)], 1)} == set(range(10))


# Modules.


@pytest.mark.parametrize("module", [draw, drawn_metrics, case_seed])
def test_drawing_needs_no_torch(module):
    """The modules that draw import neither torch nor an engine."""
    source = Path(module.__file__).read_text(encoding="utf-8")
    assert "torch." not in "".join(line for line in source.splitlines() if "import" in line)
    assert "import torch" not in source
    assert "engines" not in source


def test_cases_are_drawn_one_at_a_time(catalogue):
    """A case is drawn when it is asked for, and a longer draw begins with the same cases."""
    variant = variant_of(catalogue, "loss")
    source = draw.draw_for(0, SHA).stream("make_scheduler")
    assert list(islice(draw.schedule_cases(variant, source), 3)) == cases(variant)[:3]
    assert len(cases(variant)) == draw.CASES
