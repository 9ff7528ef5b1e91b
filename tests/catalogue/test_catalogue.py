"""The catalogue: the shipped variants and architectures, a user's own, and the errors of invalid TOML."""

import importlib.util
import re
import shutil
from collections import Counter
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from types import ModuleType

import pytest

from lrgen import catalogue as catalogues
from lrgen import curves
from lrgen.catalogue import loader
from lrgen.errors import CatalogueError, ParameterError, UnknownNameError
from lrgen.records import PastEnd
from lrgen.render import output
from lrgen.render.renderer import Renderer

# Number: name, unit (E epoch, B batch, M metric), and the variant to which it is equivalent.
FIRST_FIFTY: dict[int, tuple[str, str, int | None]] = {
    1: ("StepLR_default", "E", None),
    2: ("MultiStepLR_milestones", "E", None),
    3: ("ExponentialLR_default", "E", None),
    4: ("PolynomialLR_quadratic", "E", None),
    5: ("PolynomialLR_cubic", "E", None),
    6: ("CosineAnnealingLR_default", "E", None),
    7: ("CosineAnnealingLR_with_min_lr", "E", None),
    8: ("CosineAnnealingWarmRestarts_T0_small", "E", None),
    9: ("CosineAnnealingWarmRestarts_T0_large", "E", None),
    10: ("CyclicLR_triangular", "B", None),
    11: ("CyclicLR_triangular2", "B", None),
    12: ("CyclicLR_exp_range", "B", None),
    13: ("OneCycleLR_default", "B", None),
    14: ("OneCycleLR_aggressive", "B", None),
    15: ("LinearLR_warmup", "E", None),
    16: ("ConstantLR_warmup", "E", None),
    17: ("LambdaLR_linear_decay", "E", None),
    18: ("LambdaLR_power_decay", "E", 4),
    19: ("MultiplicativeLR_exponential", "E", 3),
    20: ("ChainedScheduler_step_then_cosine", "E", None),
    21: ("SequentialLR_warmup_decay", "E", None),
    22: ("LambdaLR_exponential_decay", "E", 3),
    23: ("LambdaLR_cosine_like", "E", 6),
    24: ("StepLR_long_decay", "E", None),
    25: ("MultiStepLR_four_milestones", "E", None),
    26: ("CosineAnnealingLR_high_min", "E", None),
    27: ("OneCycleLR_linear_anneal", "B", None),
    28: ("CyclicLR_small_cycle", "B", None),
    29: ("PolynomialLR_power_4", "E", None),
    30: ("LambdaLR_step_like", "E", None),
    31: ("ReduceLROnPlateau_patience_5", "M", None),
    32: ("ReduceLROnPlateau_patience_10", "M", None),
    33: ("ReduceLROnPlateau_aggressive", "M", None),
    34: ("cosine_anneal_to_constant", "E", None),
    35: ("warmup_anneal_to_constant", "E", None),
    36: ("HF_linear_warmup", "B", None),
    37: ("HF_cosine_warmup", "B", None),
    38: ("HF_cosine_hard_restarts", "B", 37),
    39: ("HF_polynomial_warmup", "B", None),
    40: ("HF_constant_warmup", "B", None),
    41: ("HF_constant", "B", None),
    42: ("HF_inverse_sqrt_warmup", "B", None),
    43: ("HF_cosine_min_lr_warmup", "B", None),
    44: ("HF_linear_decay", "B", None),
    45: ("HF_cosine_hard_restarts_2cycles", "B", None),
    46: ("HF_cosine_hard_restarts_3cycles", "B", None),
    47: ("HF_polynomial_power_1", "B", 36),
    48: ("HF_polynomial_power_3", "B", None),
    49: ("HF_constant_with_long_warmup", "B", None),
    50: ("HF_constant_with_short_warmup", "B", None),
}
HOLDING = {*range(4, 8), *range(13, 19), 20, 23, 26, 27, 29, *range(34, 42), *range(43, 51)}

# Defaults that the names of the first fifty imply; their other numbers are constants.
DEFAULTS: dict[int, dict[str, Fraction]] = {
    1: {"step_fraction": Fraction(1, 3), "gamma": Fraction(1, 10)},
    3: {"gamma": Fraction(95, 100)},
    7: {"min_lr_ratio": Fraction(1, 100)},
    8: {"first_cycle_fraction": Fraction(1, 9)},
    9: {"first_cycle_fraction": Fraction(2, 9)},
    10: {"min_lr_ratio": Fraction(1, 10), "half_cycle_fraction": Fraction(1, 10)},
    24: {"step_fraction": Fraction(1, 2), "gamma": Fraction(1, 10)},
    28: {"min_lr_ratio": Fraction(1, 10), "half_cycle_fraction": Fraction(1, 20)},
    31: {"patience_fraction": Fraction(5, 90)},
    32: {"patience_fraction": Fraction(10, 90)},
    33: {"patience_fraction": Fraction(3, 90)},
    41: {},
    49: {"warmup_fraction": Fraction(1, 5)},
    50: {"warmup_fraction": Fraction(1, 20)},
}

VARIANT = """
[[variant]]
number = {own}
name = "Triangle"
title = "one triangle"
summary = "The learning rate increases linearly to ``lr`` at ``peak`` of training, then decays linearly to zero."
formula = "t / p if t < p else (T - t) / (T - p), p = peak * T"
unit = "epoch"
past_end = "hold"
template = "triangle"
curve = "triangle"
source = "a user"
constants = { end_lr = 0.0 }

[variant.hyperparameters]
peak = { default = "1/2", meaning = "fraction of training after which the learning rate is at its peak" }
"""
FAMILY = 'title = "Triangles"\nsummary = "Linear warm-up and linear decay."\n' + VARIANT
SCHEDULE = '''from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler

class Triangle:
    """Linear warm-up to the peak, then linear decay to zero."""

    def __init__(self, total_steps: int, peak: float) -> None:
        self.total_steps = total_steps
        self.peak = peak * total_steps

    def __call__(self, step: int) -> float:
        if step < self.peak:
            return step / self.peak
        return max(0.0, (self.total_steps - step) / (self.total_steps - self.peak))

def make_scheduler(optimizer: Optimizer, total_steps: int, prm: dict) -> LRScheduler:
    return LambdaLR(optimizer, Triangle(total_steps, {{ prm("peak") }}))
'''
CURVE = '''"""The curve of the triangle."""

import numpy as np


def triangle(t, T, *, peak, end_lr):
    return np.interp(t, [0, peak * T, T], [0, 1, end_lr])
'''
ARCHITECTURE = """title = "Linear"
summary = "A linear classifier of the pixels."
paper = "https://example.org/linear"
reference = "a textbook"
parameters = 30730
reference_pixels = 32
reference_classes = 10
smallest_input = 1
layers = ["fc"]
{TEMPLATE}
[recipe]
optimizer = "sgd"
lr = 0.1
batch = 32
source = "a textbook"
"""
NETWORK = '''import torch
from torch import Tensor, nn

class Net(nn.Module):
    """One linear map from the pixels to the classes."""

    def __init__(self, in_shape: tuple, out_shape: tuple, prm: dict, device: torch.device) -> None:
        super().__init__()
        self.device = device
        self.fc = nn.Linear(in_shape[1] * in_shape[2] * in_shape[3], out_shape[0])

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(x.flatten(1))
'''


# The first number of a user's variant.
OWN = "900"


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A user's folder of templates with the family ``triangle`` and the architecture ``Linear``."""
    root = tmp_path / "own"
    for path, text in {
        "schedulers/triangle/family.toml": FAMILY.replace("{own}", OWN),
        "schedulers/triangle/triangle.py.jinja": SCHEDULE,
        "schedulers/triangle/curves.py": CURVE,
        "architectures/Linear/architecture.toml": ARCHITECTURE.replace("{TEMPLATE}", ""),
        "architectures/Linear/network.py.jinja": NETWORK,
    }.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    return root


def module_from(path: Path) -> ModuleType:
    """Import a rendered file."""
    spec = importlib.util.spec_from_file_location(f"own_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# The shipped catalogue.


def test_the_first_fifty_variants_keep_their_numbers_and_names(catalogue):
    """A0_001 to A0_050 have the names of the table, and no number is missing."""
    numbers = [variant.number for variant in catalogue.variants]
    assert numbers == list(range(1, len(numbers) + 1))
    names = {variant.number: variant.name for variant in catalogue.variants if variant.number <= 50}
    assert names == {number: name for number, (name, _, _) in FIRST_FIFTY.items()}


def test_the_first_fifty_variants_advance_in_the_unit_of_the_table(catalogue):
    """Each schedule advances once per epoch, batch or metric, as in the table."""
    units = {number: catalogue.variant(number).unit.value[0].upper() for number in FIRST_FIFTY}
    assert units == {number: unit for number, (_, unit, _) in FIRST_FIFTY.items()}


@pytest.mark.parametrize(
    ("former", "number"), [("SWALR_cosine_base", 34), ("SWALR_linear_base", 35), ("cosine_then_swa_half", 170)]
)
def test_a_renamed_variant_is_known_by_its_former_name(catalogue, former, number):
    """A lookup with the name before 0.2 has the variant, whose name is the new one."""
    variant = catalogue.variant(former)
    assert (variant.number, variant.former_name) == (number, former)
    assert catalogue.select([former]) == (variant,)
    assert former not in {other.name for other in catalogue.variants}


def test_the_first_fifty_variants_hold_or_continue_as_in_the_table(catalogue):
    """Past the horizon, exactly the listed schedules hold their last learning rate."""
    holding = {number for number in FIRST_FIFTY if catalogue.variant(number).past_end is PastEnd.HOLD}
    assert holding == HOLDING


def test_only_the_equivalents_of_the_table_are_declared(catalogue):
    """Exactly the pairs of the table are declared as equivalents, A0_047 to within 1e-6 and the others to 1e-9."""
    declared = {number: catalogue.variant(number).equivalent_to for number in FIRST_FIFTY}
    assert declared == {number: other for number, (_, _, other) in FIRST_FIFTY.items()}
    assert {number for number in FIRST_FIFTY if catalogue.variant(number).equivalent_within != 1e-9} == {47}
    assert catalogue.variant(47).equivalent_within == 1e-6


@pytest.mark.parametrize("number", DEFAULTS, ids="A0_{:03d}".format)
def test_the_defaults_are_those_of_the_table(catalogue, number):
    """The hyperparameters and their defaults are exactly those of the table."""
    expected = {name: float(value) for name, value in DEFAULTS[number].items()}
    assert catalogue.variant(number).defaults == expected


def test_every_hyperparameter_is_in_the_unit_interval(catalogue):
    """Ranges and defaults are within [0, 1], where LEMUR samples hyperparameters."""
    for variant in catalogue.variants:
        for parameter in variant.hyperparameters:
            assert 0 <= parameter.low <= parameter.default <= parameter.high <= 1, (variant.key, parameter)


def test_the_catalogue_has_both_kinds_of_resnet(catalogue):
    """The CIFAR ResNet-20 and torchvision's ResNet-18 are in the catalogue."""
    assert {"ResNet", "ResNet18"} <= {architecture.name for architecture in catalogue.architectures}


def test_networks_without_an_equal_model_have_titles_of_their_own(catalogue):
    """The reference of all networks but six is one model of torchvision, timm or pytorchcv; of the six, only the
    ResNet-20 is that of its paper, and the titles of the others say what they are instead.
    """
    model = re.compile(r"(torchvision\.models\.|timm |pytorchcv\.model_provider )\w+")
    other = [architecture for architecture in catalogue.architectures if not model.fullmatch(architecture.reference)]
    assert {architecture.name: architecture.title for architecture in other} == {
        "BayesianNet": "Bayes by Backprop CNN",
        "ComplexNet": "Complex ResNet-14",
        "ConvNeXtTransformer": "ConvNeXt-Transformer",
        "Diffuser": "Small ADM classifier",
        "ICNet": "ICNet classifier",
        "ResNet": "ResNet-20",
    }


def test_the_digest_depends_on_the_templates_and_not_on_their_path(tmp_path, own, catalogue):
    """Templates have the same digest after a move and another digest after an edit."""
    first = catalogues.load([own]).digest
    moved = own.rename(tmp_path / "moved")
    assert catalogues.load([moved]).digest == first != catalogue.digest
    template = moved / "schedulers/triangle/triangle.py.jinja"
    template.write_text(template.read_text() + "\n")
    assert catalogues.load([moved]).digest != first


# Lookups.


@pytest.mark.parametrize("text", [7, "7", "007", "A0_007", "A0_7", " 7 ", "CosineAnnealingLR_with_min_lr"])
def test_a_variant_has_a_number_a_key_and_a_name(catalogue, text):
    """7, 007, A0_007 and the name look up the same variant."""
    assert catalogue.variant(text).number == 7


@pytest.mark.parametrize("text", ["0", "999", "-7", "7.0", "", "A0_", "³", "A0_007.py"])
def test_an_unknown_number_is_an_error(catalogue, text):
    """A number that no variant has is an error that names it."""
    with pytest.raises(UnknownNameError, match=f"^unknown variant '{re.escape(text.strip())}': "):
        catalogue.variant(text)


@pytest.mark.parametrize(
    ("kind", "name", "suggestion"),
    [
        ("variant", "StepLR_defualt", "StepLR_default"),
        ("variant", "onecyclelr_default", "OneCycleLR_default"),
        ("family", "cosin", "cosine"),
        ("architecture", "resnet", "ResNet"),
        ("architecture", "ResNet20", "ResNet"),
    ],
)
def test_a_misspelt_name_is_an_error_with_suggestions(catalogue, kind, name, suggestion):
    """The error of a misspelt name has the name and similar known names."""
    with pytest.raises(UnknownNameError) as caught:
        getattr(catalogue, kind)(name)
    assert f"'{name}'" in str(caught.value)
    assert suggestion in str(caught.value).partition("did you mean")[2]


def test_an_unknown_name_is_an_error_with_the_known_names(catalogue):
    """The error of a name that is similar to none lists the known names."""
    with pytest.raises(UnknownNameError, match="^unknown family 'zzzzzz': known: composed, constant, cosine, .*, …$"):
        catalogue.family("zzzzzz")


def test_a_range_includes_both_ends(catalogue):
    """``1-50`` selects fifty variants and ``7-7`` selects one."""
    assert [variant.number for variant in catalogue.select(["1-50"])] == list(range(1, 51))
    assert [variant.number for variant in catalogue.select(["7-7"])] == [7]
    assert [variant.number for variant in catalogue.select(["048-50"])] == [48, 49, 50]


@pytest.mark.parametrize(
    "text", ["50-1", "0-3", "45-900", "1-", "-5", "1-x", f"1-{'9' * 5000}", "9" * 5000, "²-³", "٣"]
)
def test_an_invalid_range_is_an_error(catalogue, text):
    """A descending range, a range without an end and a range beyond the last number are errors."""
    message = "variant: the range 50-1 ends before it begins$" if text == "50-1" else "unknown variant '"
    with pytest.raises((UnknownNameError, ParameterError), match=f"^{message}"):
        catalogue.select([text])


def test_a_selection_is_a_union_in_the_order_of_numbers(catalogue):
    """Names, numbers, ranges and families are united without duplicates; an empty selection has all variants."""
    selected = catalogue.select(["31", "StepLR_default", "2-3", "A0_002"], ["metric"])
    assert [variant.number for variant in selected if variant.number <= 50] == [1, 2, 3, 31, 32, 33]
    assert catalogue.select() == catalogue.variants


# A user's own templates.


def test_a_users_family_and_architecture_are_added_to_the_shipped_ones(own, catalogue):
    """A user's templates add a family, a variant and an architecture, and remove nothing."""
    extended = catalogues.load([own])
    assert extended.variants[:-1] == catalogue.variants
    assert extended.variants[-1].name == "Triangle"
    assert {architecture.name for architecture in extended.architectures} == {
        architecture.name for architecture in catalogue.architectures
    } | {"Linear"}
    assert {family.name for family in extended.families} == {family.name for family in catalogue.families} | {
        "triangle"
    }
    assert {variant.curves_folder for variant in catalogue.variants} == {None}
    assert extended.variants[-1].curves_folder == extended.family("triangle").folder


def test_a_users_file_renders_imports_and_follows_its_curve(lrgen, own, tmp_path):
    """``render --templates DIR`` writes a file of the user's architecture and schedule, whose trace is its curve."""
    code, _, err = lrgen("render", "--templates", own, "--model", "Linear", "--variant", "Triangle", "--out", "out")
    assert (code, err) == (0, "")
    extended = catalogues.load([own])
    variant = extended.variant("Triangle")
    module = module_from(tmp_path / "out" / "Linear" / f"{variant.key}.py")

    import torch

    net = module.Net((1, 3, 32, 32), (10,), {}, torch.device("cpu"))
    assert sum(parameter.numel() for parameter in net.parameters()) == extended.architecture("Linear").parameters
    net.train_setup({"lr": 0.1, "momentum": 0.9, "epoch_max": 7})
    batch = torch.randn(4, 3, 32, 32), torch.tensor([0, 1, 2, 3])
    rates = []
    for _ in range(9):
        rates.append(net.optimizer.param_groups[0]["lr"])
        net.learn([batch, batch])
    assert rates == pytest.approx(curves.rates(variant, range(9), 7, 0.1), abs=1e-10)
    assert max(rates) > 0.08


def test_the_shipped_files_are_the_same_beside_a_users_templates(own, catalogue, tmp_path):
    """A user's templates do not change a byte of the files of the shipped templates."""
    extended = catalogues.load([own])
    for name, loaded in (("alone", catalogue), ("beside", extended)):
        pairs = output.pairs([loaded.architecture("ResNet")], [loaded.variant(1), loaded.variant(37)])
        output.generate(loaded, pairs, tmp_path / name)
    for stem in ("A0_001", "A0_037"):
        assert (tmp_path / "alone/ResNet" / f"{stem}.py").read_bytes() == (
            tmp_path / "beside/ResNet" / f"{stem}.py"
        ).read_bytes()


def test_an_own_architecture_may_use_a_shared_template(own):
    """``template`` may be a network of another folder, shipped or the user's own."""
    toml = own / "architectures/Linear/architecture.toml"
    toml.write_text(ARCHITECTURE.replace("{TEMPLATE}", 'template = "_resnet/network.py.jinja"'))
    (own / "architectures/Linear/network.py.jinja").unlink()
    assert catalogues.load([own]).architecture("Linear").template == "architectures/_resnet/network.py.jinja"


@pytest.mark.parametrize("hidden", ["_partials", ".git", "__pycache__"])
def test_hidden_folders_and_files_are_no_families(own, hidden):
    """Partials, caches, hidden folders and files among the families need no family.toml."""
    (own / "schedulers" / hidden).mkdir()
    (own / "schedulers/README.md").write_text("notes")
    assert catalogues.load([own]).family("triangle").variants


# Invalid TOML. Each case edits the user's folder {own}; the message is the path of the file and the text of the case.

Edit = Callable[[Path], None]
FAMILY_TOML = "schedulers/triangle/family.toml"
ARCHITECTURE_TOML = "architectures/Linear/architecture.toml"


def swap(path: str, old: str, new: str) -> Edit:
    """Replace text in a file; ``{own}`` in the new text is the number of the user's variant."""

    def edit(root: Path) -> None:
        text = (root / path).read_text()
        assert old in text
        (root / path).write_text(text.replace(old, new.replace("{own}", OWN)))

    return edit


def in_family(old: str, new: str) -> tuple[str, Edit]:
    """A case in the user's family.toml."""
    return FAMILY_TOML, swap(FAMILY_TOML, old, new)


def in_architecture(old: str, new: str) -> tuple[str, Edit]:
    """A case in the user's architecture.toml."""
    return ARCHITECTURE_TOML, swap(ARCHITECTURE_TOML, old, new)


def renumbered(new: str) -> tuple[str, Edit]:
    """A case with another number of the user's variant."""

    def edit(root: Path) -> None:
        lines = (root / FAMILY_TOML).read_text().splitlines()
        lines = [f"number = {new}" if line.startswith("number") else line for line in lines]
        (root / FAMILY_TOML).write_text("\n".join(lines))

    return FAMILY_TOML, edit


def removed(path: str) -> Edit:
    """Remove a file."""
    return lambda root: (root / path).unlink()


def equivalent_of(number: int | str) -> tuple[str, Edit]:
    """A case with the user's variant declared as the equivalent of another one."""
    return in_family('curve = "triangle"', f'curve = "triangle"\nequivalent_to = {number}')


def doubled(root: Path) -> None:
    """Add the user's variant a second time, under another name."""
    text = (root / FAMILY_TOML).read_text()
    variant = text[text.index("[[variant]]") :]
    (root / FAMILY_TOML).write_text(text + variant.replace('"Triangle"', '"Other"'))


def renamed(kind: str, old: str, new: str, marker: str) -> tuple[str, Edit]:
    """A case with another name of the user's folder."""

    def edit(root: Path) -> None:
        (root / kind / old).rename(root / kind / new)

    return f"{kind}/{new}{marker}", edit


DEFAULT = 'default = "1/2"'
INVALID: dict[str, tuple[tuple[str, Edit], str]] = {
    "family is not TOML": (
        in_family("[[variant]]", "[[variant"),
        "not valid TOML: Expected ']]' at the end of an array declaration (at line 4, column 10)",
    ),
    "architecture is not TOML": (
        in_architecture("lr = 0.1", "lr ="),
        "not valid TOML: Invalid value (at line 13, column 5)",
    ),
    "family is not text": (
        (FAMILY_TOML, lambda root: (root / FAMILY_TOML).write_bytes(b'title = "\xff"')),
        "not valid TOML: 'utf-8' codec can't decode byte 0xff in position 9: invalid start byte",
    ),
    "key twice": (
        in_family('unit = "epoch"', 'unit = "epoch"\nunit = "batch"'),
        "not valid TOML: Cannot overwrite a value (at line 11, column 15)",
    ),
    "unknown key of a family": (in_family('title = "Triangles"', 'colour = 1\ntitle = "T"'), "colour: unknown key"),
    "unknown key of a variant": (in_family("constants", "konstants"), "variant.0.konstants: unknown key"),
    "unknown key of a hyperparameter": (
        in_family(DEFAULT, f"{DEFAULT}, colour = 1"),
        "variant.0.hyperparameters.peak.colour: unknown key",
    ),
    "unknown key of an architecture": (in_architecture("title", "colour = 1\ntitle"), "colour: unknown key"),
    "unknown key of a recipe": (in_architecture("lr = 0.1", "lr = 0.1\nrate = 1"), "recipe.rate: unknown key"),
    "missing key of a variant": (in_family('source = "a user"', ""), "variant.0.source: Field required"),
    "missing key of a recipe": (in_architecture("batch = 32", ""), "recipe.batch: Field required"),
    "missing recipe": (in_architecture("[recipe]", "[config]"), "recipe: Field required"),
    "family without variants": (
        (FAMILY_TOML, lambda root: (root / FAMILY_TOML).write_text('title = "T"\nsummary = "S"\nvariant = []')),
        "variant: List should have at least 1 item after validation, not 0, got []",
    ),
    "name is a number": (
        in_family('name = "Triangle"', "name = 5"),
        "variant.0.name: Input should be a valid string, got 5",
    ),
    "name is no identifier": (
        in_family('name = "Triangle"', 'name = "Tri-angle"'),
        "variant.0.name: String should match pattern '^[A-Za-z_][A-Za-z0-9_]*$', got 'Tri-angle'",
    ),
    "title is empty": (
        in_family('title = "one triangle"', 'title = ""'),
        "variant.0.title: String should have at least 1 character, got ''",
    ),
    "number is a word": (
        renumbered('"many"'),
        "variant.0.number: Input should be a valid integer, got 'many'",
    ),
    "number is zero": (renumbered("0"), "variant.0.number: Input should be greater than or equal to 1, got 0"),
    "parameters is a word": (
        in_architecture("parameters = 30730", 'parameters = "many"'),
        "parameters: Input should be a valid integer, got 'many'",
    ),
    "unknown optimizer": (
        in_architecture('"sgd"', '"lion"'),
        "recipe.optimizer: must be one of adamw, sgd, got 'lion'",
    ),
    "optimizer of a variant in a recipe": (
        in_architecture('"sgd"', '"own"'),
        "recipe.optimizer: must be one of adamw, sgd, got 'own'",
    ),
    "AdamW without weight decay": (
        in_architecture('"sgd"', '"adamw"'),
        "recipe.weight_decay: Value error, must be positive for AdamW, got 0.0",
    ),
    "learning rate of zero": (
        in_architecture("lr = 0.1", "lr = 0.0"),
        "recipe.lr: Input should be greater than 0, got 0.0",
    ),
    "unknown unit": (
        in_family('unit = "epoch"', 'unit = "week"'),
        "variant.0.unit: Input should be 'epoch', 'batch' or 'metric', got 'week'",
    ),
    "unknown past_end": (
        in_family('past_end = "hold"', 'past_end = "stop"'),
        "variant.0.past_end: Input should be 'hold' or 'continue', got 'stop'",
    ),
    "duplicate number": (renumbered("7"), "number: 7 (Triangle) is taken in {shipped}/schedulers/cosine/family.toml"),
    "duplicate number in one family": (
        (FAMILY_TOML, doubled),
        "number: 900 (Other) is taken in {own}/schedulers/triangle/family.toml",
    ),
    "reserved number": (renumbered("899"), "number: 899 is reserved for lrgen; user variants start at 900"),
    "duplicate name": (in_family('"Triangle"', '"StepLR_default"'), "name: StepLR_default is taken by variant 1"),
    "former name": (in_family('"Triangle"', '"SWALR_cosine_base"'), "name: SWALR_cosine_base is taken by variant 34"),
    "duplicate family": (
        renamed("schedulers", "triangle", "step", ""),
        "there is another family of this name at {shipped}/schedulers/step",
    ),
    "duplicate architecture": (
        renamed("architectures", "Linear", "ResNet", ""),
        "there is another architecture of this name at {shipped}/architectures/ResNet",
    ),
    "unknown equivalent": (equivalent_of(901), "variant 900: equivalent_to: there is no other variant 901"),
    "equivalent of itself": (equivalent_of("{own}"), "variant 900: equivalent_to: there is no other variant 900"),
    "equivalent of an equivalent": (equivalent_of(18), "variant 900: equivalent_to: 18 is itself an equivalent of 4"),
    "missing schedule template": (
        (FAMILY_TOML, removed("schedulers/triangle/triangle.py.jinja")),
        "variant 900: template: there is no triangle.py.jinja beside it",
    ),
    "missing network template": (
        (ARCHITECTURE_TOML, removed("architectures/Linear/network.py.jinja")),
        "template: there is no architectures/Linear/network.py.jinja",
    ),
    "missing family.toml": (("schedulers/triangle", removed(FAMILY_TOML)), "there is no family.toml"),
    "missing architecture.toml": (
        ("architectures/Linear", removed(ARCHITECTURE_TOML)),
        "there is no architecture.toml",
    ),
    "default above the range": (
        in_family(DEFAULT, "default = 1.5"),
        "variant 900: hyperparameters.peak.default: must lie in [0.0, 1.0], got 1.5",
    ),
    "default below its own range": (
        in_family(DEFAULT, "default = 0.1, low = 0.2"),
        "variant 900: hyperparameters.peak.default: must lie in [0.2, 1.0], got 0.1",
    ),
    "default is no number": (
        in_family(DEFAULT, "default = nan"),
        "variant 900: hyperparameters.peak.default: must lie in [0.0, 1.0], got nan",
    ),
    "negative default": (
        in_family(DEFAULT, 'default = "-1/2"'),
        "variant 900: hyperparameters.peak.default: must lie in [0.0, 1.0], got -0.5",
    ),
    "range beyond one": (
        in_family(DEFAULT, "default = 0.5, high = 2.0"),
        "variant.0.hyperparameters.peak.high: Input should be less than or equal to 1, got 2.0",
    ),
    "fraction by zero": (
        in_family(DEFAULT, 'default = "1/0"'),
        "variant 900: hyperparameters.peak.default: neither a number nor a fraction such as \"1/3\", got '1/0'",
    ),
    "fraction in words": (
        in_family(DEFAULT, 'default = "a half"'),
        "variant 900: hyperparameters.peak.default: neither a number nor a fraction such as \"1/3\", got 'a half'",
    ),
    "default is a list": (
        in_family(DEFAULT, "default = [0.5]"),
        "variant.0.hyperparameters.peak.default.int: Input should be a valid integer, got [0.5]",
    ),
    "hyperparameter and constant": (
        in_family("end_lr", "peak"),
        "variant 900: peak is both a hyperparameter and a constant",
    ),
    "number is a boolean": (renumbered("true"), "variant.0.number: Input should be a valid integer, got True"),
    "batch is a boolean": (
        in_architecture("batch = 32", "batch = true"),
        "recipe.batch: Input should be a valid integer, got True",
    ),
    "learning rate is a boolean": (
        in_architecture("lr = 0.1", "lr = true"),
        "recipe.lr: Input should be a valid number, got True",
    ),
    "learning rate is infinite": (
        in_architecture("lr = 0.1", "lr = inf"),
        "recipe.lr: Input should be a finite number, got inf",
    ),
    "equivalent of a boolean": (
        equivalent_of("true"),
        "variant.0.equivalent_to: Input should be a valid integer, got True",
    ),
    "fraction of a power": (
        in_family(DEFAULT, 'default = "1e999999999"'),
        "variant 900: hyperparameters.peak.default: neither a number nor a fraction such as \"1/3\", got '1e999999999'",
    ),
    "default beyond all floats": (
        in_family(DEFAULT, f"default = {'9' * 400}"),
        'variant 900: hyperparameters.peak.default: neither a number nor a fraction such as "1/3", '
        f"got {'9' * 38}...{'9' * 39}",
    ),
    "family is nested": (
        in_family("end_lr = ", f"nested = {'[' * 5000}\nend_lr = "),
        "not valid TOML: nested too deeply",
    ),
    "architecture has endless digits": (
        in_architecture("lr = 0.1", f"lr = {'9' * 5000}"),
        "not valid TOML: Exceeds the limit (4300 digits) for integer string conversion: value has 5000 digits; "
        "use sys.set_int_max_str_digits() to increase the limit",
    ),
    "tolerance of nothing": (
        in_family('unit = "epoch"', 'unit = "epoch"\ntolerance = 0.0'),
        "variant.0.tolerance: Input should be greater than 0, got 0.0",
    ),
}


@pytest.mark.parametrize(("case", "problem"), INVALID.values(), ids=INVALID)
def test_invalid_toml_is_an_error_and_nothing_is_rendered(lrgen, own, tmp_path, case, problem):
    """The error of an invalid catalogue file names file, key and value, and no file is written."""
    place, edit = case
    edit(own)
    with pytest.raises(CatalogueError) as caught:
        catalogues.load([own])
    message = f"{own / place}: {problem.replace('{own}', str(own)).replace('{shipped}', str(catalogues.SHIPPED))}"
    assert str(caught.value) == message
    code, out, err = lrgen("render", "--templates", own, "--model", "ResNet", "--out", "out")
    assert (code, out) == (2, "")
    assert place in err
    assert not (tmp_path / "out").exists()


def test_a_misspelt_key_is_named(own):
    """The error names the unknown key if a required key is misspelt."""
    swap(ARCHITECTURE_TOML, "parameters", "parametres")(own)
    with pytest.raises(CatalogueError, match=f"^{re.escape(str(own / ARCHITECTURE_TOML))}: parametres: unknown key$"):
        catalogues.load([own])


def test_a_boolean_default_is_an_error(own):
    """The default ``true`` is an error, not the number one."""
    swap(FAMILY_TOML, DEFAULT, "default = true")(own)
    with pytest.raises(
        CatalogueError, match=r"family\.toml: variant\.0\.hyperparameters\.peak\.default\.int: .*, got True$"
    ):
        catalogues.load([own])


def test_a_missing_folder_of_templates_is_named(lrgen, tmp_path):
    """``--templates`` with a missing folder exits with code 2 and names the folder."""
    code, _, err = lrgen("render", "--templates", tmp_path / "nowhere", "--variant", "1")
    assert code == 2
    assert err == f"lrgen: there is no folder of templates at {tmp_path / 'nowhere'}\n"
    assert not (tmp_path / "generated").exists()


def test_a_file_is_no_folder_of_templates(tmp_path):
    """A file in place of a folder of templates is an error that names it."""
    (tmp_path / "file").write_text("")
    with pytest.raises(
        CatalogueError, match=f"^there is no folder of templates at {re.escape(str(tmp_path / 'file'))}$"
    ):
        catalogues.load([tmp_path / "file"])


# Claims about the field.

ARXIV = r"\b\d{4}\.\d{4,5}\b"  # not within the longer numbers of a DOI
# Papers whose number, title and subject were looked up.
CONFIRMED = set(
    re.findall(
        r"[\d.]+",
        """
    1506.01186 1605.07648 1608.03983 1706.02677 1706.03762 1706.04983 1708.07120 1709.07417 1710.03740 1803.05407
    1803.09820 1806.01593 1905.12322 1908.03265 1910.04209 1910.10683 2003.03977 2004.05909 2106.04560 2106.08254
    2107.04197 2307.05695 1806.00187 1211.5063
    2308.04014 2403.14685 2404.06395 2405.15682 2405.18392 2407.15200 2408.13359 2410.05192 2502.15938 2503.02844
    2507.17634 2508.01483 2512.14527 2602.06797 2603.10301 1605.07146 2401.02954 1905.11946 1608.06993 1801.06146
    1802.10026 1910.07454 1704.00109 2103.01338 1512.00567 1710.09412 1905.04899 2012.03107
    """,
    )
)


def test_only_confirmed_papers_are_cited(catalogue):
    """Each arXiv number in the catalogue is in the list of papers that were looked up."""
    cited = {
        (variant.key, number)
        for variant in catalogue.variants
        for number in re.findall(ARXIV, f"{variant.paper} {variant.source} {variant.summary}")
    }
    for practice in catalogue.practices:
        text = f"{practice.paper} {practice.source} {practice.summary}"
        cited |= {(practice.name, number) for number in re.findall(ARXIV, text)}
    assert {(key, number) for key, number in cited if number not in CONFIRMED} == set()


def test_there_are_150_curves_in_12_families(catalogue):
    """The catalogue has twelve families and at least 150 distinct curves, without equivalents."""
    assert len(catalogue.families) == 12
    assert sum(variant.equivalent_to is None for variant in catalogue.schedules) >= 150


def test_every_scheduler_of_torch_is_in_the_catalogue():
    """Each class of torch.optim.lr_scheduler is the source of a variant and in its rendered code."""
    from torch.optim import lr_scheduler

    catalogue = catalogues.load()
    classes = {name for name in lr_scheduler.__all__ if name != "LRScheduler"}
    sources = {variant.source.rsplit(".", 1)[-1] for variant in catalogue.variants}
    assert classes - sources == set()
    renderer = Renderer(catalogue)
    for name in classes:
        users = [variant for variant in catalogue.variants if variant.source.endswith(f".{name}")]
        assert any(name in renderer.schedule(variant) for variant in users), name


def test_every_scheduler_type_of_transformers_is_in_the_catalogue(catalogue):
    """The function or class of each of transformers' scheduler types is the source of a variant."""
    from transformers.optimization import TYPE_TO_SCHEDULER_FUNCTION

    sources = {variant.source for variant in catalogue.variants}
    missing = {
        kind.value
        for kind, function in TYPE_TO_SCHEDULER_FUNCTION.items()
        if not sources & {f"transformers.{function.__name__}", CLASS_OF.get(kind.value)}
    }
    assert missing == set()


# Scheduler types whose function only constructs an object.
CLASS_OF = {
    "reduce_lr_on_plateau": "torch.optim.lr_scheduler.ReduceLROnPlateau",
    "greedy": "transformers.GreedyLR",
}


def test_every_variant_is_documented(catalogue):
    """Each variant has a summary, source, title and meanings, and no two but equivalents have the same description."""
    for variant in catalogue.variants:
        assert variant.summary.endswith("."), variant.key
        assert variant.source != "none", variant.key
        assert len(variant.title) <= 50, variant.key
        for parameter in variant.hyperparameters:
            assert 0 <= parameter.low < parameter.high <= 1, (variant.key, parameter.name)
            assert parameter.meaning[0].islower() or parameter.meaning[0].isdigit(), (variant.key, parameter.name)
    own = [variant for variant in catalogue.schedules if variant.equivalent_to is None]
    descriptions = Counter((variant.summary, variant.formula, tuple(variant.defaults.items())) for variant in own)
    assert max(descriptions.values()) == 1


def test_a_metric_driven_variant_names_its_metric(own):
    """A metric or cadence without the unit metric, and this unit without them, are errors."""
    toml = own / "schedulers/triangle/family.toml"
    text = toml.read_text()
    for old, new, message in (
        ('unit = "epoch"', 'unit = "metric"', "metric and cadence belong to unit metric"),
        ('unit = "epoch"', 'unit = "epoch"\nmetric = "loss"', "metric and cadence belong to unit metric"),
        ('unit = "epoch"', 'unit = "metric"\nmetric = "loss"\ncadence = "metric"', "cadence: must be epoch or batch"),
        ('unit = "epoch"', 'unit = "metric"\nmetric = "f1"\ncadence = "epoch"', "metric: Input should be 'loss'"),
        ('unit = "epoch"', 'unit = "week"', "unit: Input should be 'epoch', 'batch' or 'metric', got 'week'"),
    ):
        toml.write_text(text.replace(old, new))
        with pytest.raises(CatalogueError, match=re.escape(message)):
            catalogues.load([own])


def test_the_shipped_numbers_have_no_gaps(tmp_path, monkeypatch):
    """A missing number among the shipped variants is an error that names it."""
    shutil.copytree(catalogues.SHIPPED, tmp_path / "templates")
    monkeypatch.setattr(loader, "SHIPPED", tmp_path / "templates")
    last = max(variant.number for variant in catalogues.load().variants)
    for path in (tmp_path / "templates").rglob("practices.toml"):
        path.write_text(path.read_text().replace(f"number = {last}\n", f"number = {last + 1}\n"))
    with pytest.raises(
        CatalogueError, match=rf"/practices\.toml: number: {last + 1} leaves a gap, there is no variant {last}$"
    ):
        catalogues.load()


@pytest.mark.parametrize("layer", ["", "1st", "stage1.", "*", "conv1, bn1", "stage1.* fc"])
def test_an_invalid_layer_is_an_error(own, layer):
    """An entry of ``layers`` that is no list of module names is an error with the entry."""
    toml = own / "architectures/Linear/architecture.toml"
    toml.write_text(toml.read_text().replace('layers = ["fc"]', f'layers = ["{layer}"]'))
    with pytest.raises(CatalogueError, match=r"layers\.0: .*got "):
        catalogues.load([own])


def test_an_invalid_end_of_parameter_names_is_an_error(own):
    """An entry of ``no_decay`` that is no end of a parameter's name is an error with the entry."""
    toml = own / "architectures/Linear/architecture.toml"
    toml.write_text(toml.read_text().replace('layers = ["fc"]', 'layers = ["fc"]\nno_decay = ["pos_embedding", "a b"]'))
    with pytest.raises(CatalogueError, match=r"no_decay\.1: .*got 'a b'"):
        catalogues.load([own])
