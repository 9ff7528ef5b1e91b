"""The table of renamed hyperparameters: complete for every variant, and the same wherever an old name turns up."""

import re

import pytest

from lrgen import catalogue as catalogues
from lrgen import curves, old_names
from lrgen.errors import ParameterError

VARIANTS = {variant.number: variant for variant in catalogues.load().schedules}

# The hyperparameters of each variant as they were called before 0.2, in their order, and the variants that had them.
OLD = {
    "step_fraction gamma": "1 20 24 66",
    "gamma": "2 3 19 22 25 61 64 67 68",
    "min_lr_ratio": "7 17 26 69 70 78 86 90 97 98 154 155",
    "first_cycle": "8 9 107",
    "min_lr_ratio half_cycle": "10 11 28 117-119 121",
    "min_lr_ratio half_cycle final_amplitude": "12",
    "warmup": "13-16 27 36-40 42 44-50 52 53 55-57 84 85 95 96 101 103 104 124 129 147 176 177",
    "warmup step_fraction gamma": "21",
    "drop_at gamma": "30",
    "patience": "31-33 157",
    "swa_start swa_ratio": "34 170",
    "warmup swa_start swa_ratio": "35",
    "warmup min_lr_ratio": "43 72 94 105 125",
    "warmup factor": "51",
    "warmup gamma": "58 63",
    "warmup start_factor": "59",
    "beta2": "60",
    "warmup decay": "62 130 132-134 136 137 144 145",
    "rebound min_lr_ratio": "65",
    "final_lr_ratio": "71 73 75 81 91 92",
    "initial_lr_ratio": "74",
    "step_fraction decay_rate": "76",
    "power": "77 83 93",
    "horizon_ratio min_lr_ratio": "79 80",
    "midpoint": "82",
    "first_cycle min_lr_ratio": "87 108 111 115",
    "beta": "88",
    "warmup beta": "89",
    "warmup decay_end min_lr_ratio": "99 100",
    "warmup min_lr_ratio decay": "102",
    "warmup warmup_lr_ratio min_lr_ratio": "106",
    "first_cycle gamma": "109",
    "first_cycle gamma min_lr_ratio": "110",
    "echo_start echo_peak echo_warmup": "112",
    "warmup first_cycle restart_warmup": "113",
    "first_cycle shortest_cycle": "114",
    "min_lr_ratio cycle rise": "116",
    "peak min_lr_ratio cycle": "120",
    "min_lr_ratio cycle": "122",
    "min_lr_ratio cycle final_amplitude": "123",
    "warmup decay knee_lr_ratio": "126",
    "peak_at min_lr_ratio": "127",
    "valley_at min_lr_ratio second_peak": "128",
    "half_cycle min_lr_ratio decay_rate": "131",
    "warmup decay min_lr_ratio": "135 138 143",
    "warmup hold min_lr_ratio": "139",
    "flat": "140 149",
    "warmup explore": "141",
    "warmup plateau decay": "142 146",
    "warmup timescale decay": "148",
    "warmup amplitude exponent": "150",
    "warmup exponent decay": "151",
    "warmup hold exponent": "152",
    "warmup lr_batches lr_epochs": "153",
    "power_t": "156",
    "patience cooldown min_lr_ratio": "158",
    "warmup patience": "159",
    "patience smoothing": "160",
    "start patience min_lr_ratio": "161",
    "patience decay": "162",
    "window patience": "163",
    "gamma threshold patience": "164",
    "start growth": "165",
    "smallest_curvature": "166",
    "noise_start noise_pct": "167",
    "warmup final_ratio": "168",
    "warmup drop_at gamma": "169",
    "warmup first_level second_level": "171",
    "warmup layer_decay": "172",
    "warmup min_lr_ratio layer_decay": "173",
    "unfrozen_by": "174",
    "t_0": "175",
}

# Names that end neither in _fraction nor in _ratio: neither lengths of training nor ratios of learning rates, or words
# of the schedule's reference.
OTHER = {
    "beta": "shape of a decay",
    "beta2": "Adam's own",
    "decay_rate": "inverse time decay of Keras",
    "ema_decay": "weight of a moving average",
    "exponent": "exponent of a power law",
    "factor": "torch's ConstantLR",
    "gamma": "torch's StepLR, MultiStepLR and ExponentialLR",
    "growth": "relative increase after an improvement",
    "layer_decay": "timm's layer-wise decay",
    "power": "torch's PolynomialLR",
    "power_t": "scikit-learn's SGDClassifier",
    "start_factor": "torch's LinearLR",
    "t_0": "the paper's (FreezeOut)",
    "threshold": "torch's ReduceLROnPlateau",
}
FRACTION = re.compile(r"^(minimum )?fraction of |^ratio of the length of training to ")
RATIO = re.compile(r"^ratio of (?!the length of training)")


# Names of hyperparameters that were current for a while before 0.2, and the variants that had them.
SHORT_LIVED = {"swa_start_fraction": [34, 35, 170]}


def numbers(text: str) -> list[int]:
    """``10-12 28`` → [10, 11, 12, 28]."""
    bounds = (part.partition("-") for part in text.split())
    return [number for first, _, last in bounds for number in range(int(first), int(last or first) + 1)]


BEFORE = {number: names.split() for names, text in OLD.items() for number in numbers(text)}
CHANGED = [(number, name) for number, names in BEFORE.items() for name in names if name in old_names.RENAMED]


def test_every_old_name_becomes_the_name_of_today():
    """The old hyperparameters of a variant, translated, are those that it has today, in the same order."""
    for number, old in BEFORE.items():
        today = list(VARIANTS[number].defaults)
        assert list(old_names.translated(f"A0_{number:03d}", dict.fromkeys(old, 0.5))) == today, number


def test_the_table_lists_no_other_variant():
    """An entry of the table names exactly the variants that had the old name."""
    for old, (_, listed) in old_names.RENAMED.items():
        had = SHORT_LIVED.get(old) or [number for number, names in BEFORE.items() if old in names]
        assert set(numbers(listed)) == set(had), old


def test_the_former_names_of_variants_are_those_of_the_catalogue():
    """The table of renamed variants, which the store reads, and the catalogue agree."""
    former = {variant.former_name: variant.name for variant in VARIANTS.values() if variant.former_name}
    assert former == old_names.VARIANTS


def test_no_new_name_is_an_old_one():
    """A name of today is never translated again."""
    today = {name for variant in VARIANTS.values() for name in variant.defaults}
    assert today.isdisjoint(old_names.RENAMED)
    assert {new for new, _ in old_names.RENAMED.values()} <= today


@pytest.mark.parametrize(("number", "name"), CHANGED, ids=[f"{number}-{name}" for number, name in CHANGED])
def test_an_old_name_is_an_error_with_the_new_one(number, name):
    """A curve that is given a hyperparameter under its old name says what it is called now."""
    variant = VARIANTS[number]
    new = old_names.RENAMED[name][0]
    metrics = [1.0] if variant.metric else None
    with pytest.raises(ParameterError) as caught:
        curves.rates(variant, None, 10, prm={name: 0.5}, metrics=metrics)
    assert str(caught.value) == f"variant {number} has no hyperparameter {name}: it is called {new} now"


def test_a_name_that_the_variant_never_had_has_no_hint():
    """A variant without a warm-up does not suggest one."""
    with pytest.raises(ParameterError, match=r"^variant 1 has no hyperparameter warmup$"):
        curves.rates(VARIANTS[1], None, 10, prm={"warmup": 0.5})


@pytest.mark.parametrize(
    ("key", "before", "after"),
    [
        ("A0_037", {"lr": 0.1, "warmup": 0.2, "batch": 64}, {"lr": 0.1, "warmup_fraction": 0.2, "batch": 64}),
        ("A0_037", {"warmup_fraction": 0.2}, {"warmup_fraction": 0.2}),
        ("A0_037", {"warmup": 0.1, "warmup_fraction": 0.2}, {"warmup": 0.1, "warmup_fraction": 0.2}),
        ("A0_037", {"decay": 5e-4}, {"decay": 5e-4}),
        ("A0_144", {"decay": 0.3}, {"decay_fraction": 0.3}),
        ("A0_001", {"warmup": 0.1}, {"warmup": 0.1}),
        ("A0_901", {"warmup": 0.1}, {"warmup": 0.1}),
        ("file-0123abcd", {"warmup": 0.1}, {"warmup": 0.1}),
        ("A0_", {"warmup": 0.1}, {"warmup": 0.1}),
        ("37", {"warmup": 0.1}, {"warmup": 0.1}),
    ],
)
def test_a_result_is_translated_by_its_variant(key, before, after):
    """Only what the variant was called with changes; order, values and names of others stay."""
    assert list(old_names.translated(key, before).items()) == list(after.items())


def test_a_file_of_an_earlier_version_keeps_its_names():
    """Hyperparameters go to the names that a file's text quotes."""
    new, old = {"lr": 0.1, "warmup_fraction": 0.2}, {"lr": 0.1, "warmup": 0.2}
    assert old_names.as_read("A0_037", new, {b"lr", b"warmup"}) == old
    assert old_names.as_read("A0_037", new, {b"lr", b"warmup_fraction"}) == new
    assert old_names.as_read("A0_037", new, {b"warmup", b"warmup_fraction"}) == new
    assert old_names.as_read("A0_001", new, {b"warmup"}) == new


def test_names_say_what_is_a_fraction_and_what_is_a_ratio():
    """A fraction of training ends in ``_fraction``, a ratio of learning rates in ``_ratio``; no other name does."""
    used = set()
    for number, variant in VARIANTS.items():
        for parameter in variant.hyperparameters:
            place = f"variant {number}: {parameter.name}: {parameter.meaning}"
            suffix = parameter.name.rpartition("_")[2]
            if parameter.name in OTHER:
                used.add(parameter.name)
                assert not FRACTION.search(parameter.meaning), place
            else:
                assert suffix in ("fraction", "ratio"), place
                assert (FRACTION if suffix == "fraction" else RATIO).search(parameter.meaning), place
    assert used == OTHER.keys()
