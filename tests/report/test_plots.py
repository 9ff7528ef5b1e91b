"""``lrgen show`` and ``lrgen plot`` present the schedules of the catalogue."""

import json
import re
import subprocess
import sys
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from lrgen import catalogue as catalogues
from lrgen import curves
from lrgen.errors import OutputError, ParameterError
from lrgen.records import Metric, Unit
from lrgen.report import plots

VARIANTS = catalogues.load().schedules
LAST_OF_FAMILIES = [family.variants[-1] for family in catalogues.load().families]
every_variant = pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.key)
shown = pytest.mark.parametrize(  # the fast tests show a schedule of each family
    "variant",
    [pytest.param(variant, marks=[] if variant in LAST_OF_FAMILIES else [pytest.mark.slow]) for variant in VARIANTS],
    ids=lambda variant: variant.key,
)
LAYERWISE = next(variant for variant in VARIANTS if variant.layerwise)


@every_variant
def test_a_sample_is_the_curve(variant):
    """A sample has the curve's learning rates at steps 0 to T, with a row for each depth of a layer-wise schedule."""
    drawn = plots.sample(variant, 50)
    assert drawn.rates.shape == (len(plots.DEPTHS) if variant.layerwise else 1, 51)
    assert drawn.rates.min() >= 0
    assert drawn.rates.max() <= 1 + 1e-12
    if variant.unit is Unit.METRIC:
        assert drawn.metrics is not None
        assert (drawn.rates[0] == curves.rates(variant, None, 50, metrics=drawn.metrics.tolist())).all()
    else:
        assert (drawn.rates[-1] == curves.rates(variant, range(51), 50)).all()


@every_variant
def test_a_chart_fits_a_terminal(variant):
    """The chart of every schedule is not empty and has eight rows and an axis of at most 80 columns."""
    lines = plots.chart(plots.sample(variant, 100)).splitlines()
    assert len(lines) == 10
    assert max(map(len, lines)) <= 80
    assert "T = 100" in lines[-1]
    assert sum(len(line.split("│")[-1].strip()) for line in lines[:8]) > 60


def test_a_chart_shows_the_shape():
    """A constant fills the chart, a linear decay half of it; a schedule over decades has a logarithmic axis."""

    def filled(number: int) -> float:
        rows = plots.chart(plots.sample(next(v for v in VARIANTS if v.number == number), 100)).splitlines()[:8]
        cells = "".join(row.split("│")[1].ljust(64) for row in rows)
        return sum(" ▁▂▃▄▅▆▇█".index(cell) for cell in cells) / 8 / len(cells)

    assert filled(41) == 1.0
    assert filled(44) == pytest.approx(0.5, abs=0.03)
    exponential = plots.chart(plots.sample(VARIANTS[2], 100))
    assert exponential.splitlines()[1].split("│")[0].strip() == "log"
    assert filled(3) == pytest.approx(0.5, abs=0.03)  # a straight line on that axis


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_a_plot_has_the_format_of_its_suffix(tmp_path, suffix):
    """Each suffix gives a file of its format."""
    catalogue = catalogues.load()
    path = tmp_path / "new folder" / f"curves{suffix}"
    plots.save(catalogue.families, catalogue.select(["1", "31"]), path, horizon=20)
    if suffix == ".png":
        with Image.open(path) as image:
            assert min(image.size) > 200
            assert len(set(image.convert("L").tobytes())) > 10
    elif suffix == ".svg":
        assert ElementTree.parse(path).getroot().tag.endswith("svg")
    else:
        assert path.read_bytes().startswith(b"%PDF-")


def texts_of(path) -> list[str]:
    """Return the texts of an SVG."""
    elements = ElementTree.parse(path).iter("{http://www.w3.org/2000/svg}text")
    return ["".join(element.itertext()).strip() for element in elements]


def test_a_plot_has_a_panel_for_each_schedule_under_its_family(lrgen, tmp_path):
    """Small multiples show the number and name of each schedule and the titles of the families."""
    code, out, _ = lrgen("plot", *(variant.name for variant in LAST_OF_FAMILIES), "--out", "all.svg", "--horizon", "20")
    assert (code, out) == (0, f"{len(LAST_OF_FAMILIES)} curves plotted in all.svg\n")
    texts = texts_of(tmp_path / "all.svg")
    for family, variant in zip(catalogues.load().families, LAST_OF_FAMILIES, strict=True):
        assert family.title in texts
        assert any(text.startswith(f"{variant.number:03d} ") for text in texts)


def test_a_comparison_has_one_panel_and_a_legend(lrgen, tmp_path):
    """``--compare`` draws all curves in one panel, with number and full name in the legend."""
    assert lrgen("plot", "6", "37", LAYERWISE.key, "--compare", "--out", "all.svg", "--horizon", "20")[0] == 0
    texts = texts_of(tmp_path / "all.svg")
    names = ["006 CosineAnnealingLR_default", "037 HF_cosine_warmup", f"{LAYERWISE.number:03d} {LAYERWISE.name}"]
    assert [text for text in texts if re.match(r"\d{3} ", text)] == names


def test_a_layerwise_panel_has_a_line_for_each_depth(lrgen, tmp_path):
    """The panel of a layer-wise schedule has a legend with all depths."""
    assert lrgen("plot", LAYERWISE.key, "--out", "first.svg", "--horizon", "20")[0] == 0
    texts = texts_of(tmp_path / "first.svg")
    assert "depth" in texts
    assert {str(depth) for depth in plots.DEPTHS} <= set(texts)


def test_a_plot_is_reproducible(tmp_path):
    """Drawing the same schedules twice gives the same bytes."""
    catalogue = catalogues.load()
    for name in ("first.svg", "second.svg"):
        plots.save(catalogue.families, catalogue.select(["1-5"]), tmp_path / name)
    assert (tmp_path / "first.svg").read_bytes() == (tmp_path / "second.svg").read_bytes()


def test_invalid_arguments_are_errors(tmp_path):
    """An unknown suffix, no schedule, a horizon of 0 and a wrong hyperparameter are errors, and write no file."""
    catalogue = catalogues.load()
    selected = catalogue.select(["1"])
    with pytest.raises(OutputError, match=r"/curves\.gif: the suffix must be one of \.png, \.svg, \.pdf, got '\.gif'$"):
        plots.save(catalogue.families, selected, tmp_path / "curves.gif")
    with pytest.raises(ParameterError, match="^variants: at least one schedule must be selected, got none$"):
        plots.save(catalogue.families, [], tmp_path / "curves.png")
    with pytest.raises(ParameterError, match=r"^horizon must be at least 1, got 0 \(variant 1\)$"):
        plots.save(catalogue.families, selected, tmp_path / "curves.png", horizon=0)
    with pytest.raises(ParameterError, match=r"^gamma must lie in \[0\.0, 1\.0\], got 2 \(variant 1\)$"):
        plots.save(catalogue.families, selected, tmp_path / "curves.png", prm={"gamma": 2})
    assert list(tmp_path.iterdir()) == []


def test_the_example_loss_has_two_plateaus():
    """The example loss decreases, stalls, decreases and stalls."""
    loss_driven = next(variant for variant in VARIANTS if variant.metric is Metric.LOSS)
    loss = plots.example_metrics(loss_driven, 100)
    assert (np.diff(loss)[[10, 60]] < 0).all()
    assert (np.diff(loss)[[30, 80]] == 0).all()


# lrgen show.


@shown
def test_show_prints_the_entry_of_the_catalogue(lrgen, variant):
    """``show`` prints names, formula, source, paper, unit, added groups, all hyperparameters, and the chart."""
    code, out, err = lrgen("show", variant.key)
    assert (code, err) == (0, "")
    printed = " ".join(out.split())
    joined = "".join(out.split())
    assert f"{variant.key} {variant.name}" in printed
    meanings = (hyperparameter.meaning for hyperparameter in variant.hyperparameters)
    for text in (variant.formula, variant.source, variant.paper, *meanings):
        assert set(text.split()) <= set(printed.split()) or "".join(text.split()) in joined
    for parameter in variant.hyperparameters:
        assert f"{parameter.name} {parameter.text} {parameter.low:g} to {parameter.high:g}" in printed
    assert variant.unit.value in printed
    assert f"added group {variant.added_group}" in printed
    assert (f"former name {variant.former_name}" if variant.former_name else "") in printed
    assert ("former name" in printed) == bool(variant.former_name)
    assert plots.chart(plots.sample(variant, 100)) in out
    assert max(map(len, out.splitlines())) <= 100


@shown
def test_shown_code_is_the_schedule_of_the_file(lrgen, rendered, variant):
    """``--code`` prints a standalone module: its imports, and the schedule exactly as in the rendered file."""
    code, out, err = lrgen("show", variant.name, "--code")
    assert (code, err) == (0, "")
    compile(out, variant.key, "exec")
    body = out.split("\n\n\n", 1)[1].rstrip("\n")
    assert body in (rendered / "ResNet" / f"{variant.key}.py").read_text()
    assert "def make_scheduler(" in body


def test_show_as_json_has_the_entry_and_the_curve(lrgen):
    """``--json`` prints one object with the catalogue's entry and the curve of the given hyperparameters."""
    code, out, _ = lrgen("show", "1", "--json", "--horizon", "4", "--set", "gamma=0.5", "--set", "step_fraction=0.5")
    shown = json.loads(out)
    assert code == 0
    assert (shown["key"], shown["unit"], shown["ranges"]["gamma"]) == ("A0_001", "epoch", [0.0, 1.0])
    assert shown["curve"] == {"horizon": 4, "multipliers": [1.0, 1.0, 0.5, 0.5, 0.25]}
    assert (shown["former_name"], shown["added_group"]) == (None, "raises RuntimeError")
    shown = json.loads(lrgen("show", "cosine_then_swa_half", "--json")[1])
    assert (shown["name"], shown["former_name"]) == ("cosine_anneal_to_half", "cosine_then_swa_half")
    shown = json.loads(lrgen("show", LAYERWISE.key, "--json", "--horizon", "4")[1])
    assert np.shape(shown["curve"]["multipliers"]) == (len(plots.DEPTHS), 5)


def test_show_imports_no_heavy_package(tmp_path):
    """``show`` imports numpy, ``show --code`` the renderer, and neither imports torch or matplotlib."""
    code = (
        "import sys\nfrom lrgen.cli import main\n"
        "try:\n    main(sys.argv[1:])\nfinally:\n    print(*sys.modules, file=sys.stderr)"
    )
    for arguments, absent in ((["show", "13"], {"black", "jinja2"}), (["show", "13", "--code"], {"numpy"})):
        command = [sys.executable, "-c", code, *arguments]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
        loaded = set(done.stderr.splitlines()[-1].split())
        assert loaded & ({"torch", "matplotlib", "pandas", "sqlalchemy", "scipy"} | absent) == set()
