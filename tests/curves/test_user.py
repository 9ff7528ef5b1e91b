"""The curves of a user's own ``curves.py``: whatever they do, they end within limits, and in one CatalogueError."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from lrgen import catalogue as catalogues
from lrgen import curves, limited
from lrgen.errors import CatalogueError
from lrgen.records import Variant

Make = Callable[..., Variant]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Write a ``curves.py``; returns a variant with its curve ``f``. Its time limit is half a second."""
    monkeypatch.setattr(limited, "SECONDS", 0.5)
    catalogue = catalogues.load()

    def variant(text: str, number: int = 41) -> Variant:
        (tmp_path / "curves.py").write_text(text)
        own = {"family": "mine", "curve": "f", "constants": {}, "hyperparameters": (), "curves_folder": tmp_path}
        return replace(catalogue.variant(number), **own)

    return variant


def body(*lines: str) -> str:
    """A ``curves.py`` whose function ``f`` has these lines."""
    return "\n    ".join(("def f(step, horizon):", *lines)) + "\n"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (body("return 1 / 0"), "raises ZeroDivisionError: division by zero (line 2)"),
        (body("raise ValueError('a\\nb')"), "raises ValueError: a b (line 2)"),
        (body("raise SystemExit(3)"), "calls sys.exit(3)"),
        (body("raise KeyboardInterrupt"), "raises KeyboardInterrupt"),
        (body("import os", "os._exit(3)"), "ends its process with exit code 3"),
        (body("while True:", "    pass"), "takes longer than 0.5 s"),
        (body("return f(step, horizon)"), "is nested too deeply"),
        (body("return [0.5] * 10**11"), "needs more than 4 GiB of memory"),
        (body("return 'half'"), "returns str_, expected real numbers"),
        (body("return {}"), "returns object_, expected real numbers"),
        (body("return step + 1j"), "returns complex128, expected real numbers"),
        (body("return None"), "returns nan, expected finite numbers"),
        (body("return step * float('nan')"), "returns nan, expected finite numbers"),
        (body("return 1 / (step - 2)"), "returns inf, expected finite numbers"),
        (body("return step[1:]"), "returns an array of shape (4,), expected (5,)"),
        (
            "def f(step, horizon, *, x):\n    return x\n",
            "defines it with other parameters: missing a required argument: 'x'",
        ),
        ("1 / 0\n", "raises ZeroDivisionError: division by zero"),
        ("def f(:\n", "raises SyntaxError: invalid syntax (curves.py, line 1)"),
        ("import nothing_like_it\n", "raises ModuleNotFoundError: No module named 'nothing_like_it'"),
        ("import sys\nsys.exit()\n", "calls sys.exit(None)"),
        ("while True:\n    pass\n", "takes longer than 0.5 s"),
    ],
)
def test_a_curve_that_cannot_be_used_is_one_error(make, tmp_path, text, problem):
    """A curve that raises, exits, loops, grows or does not return finite numbers is a CatalogueError with a reason."""
    with pytest.raises(CatalogueError) as raised:
        curves.rates(make(text), None, 4)
    assert str(raised.value) == f"variant 41: curve f: {tmp_path}/curves.py {problem}"


def test_a_metric_driven_curve_returns_a_rate_after_each_metric(make, tmp_path):
    """A metric-driven curve whose result is too short is a CatalogueError as well."""
    text = "def f(metrics, horizon):\n    return [0.1] * len(metrics)\n"
    with pytest.raises(CatalogueError, match=r"returns an array of shape \(2,\), expected \(3,\)$"):
        curves.rates(make(text, 31), None, 4, metrics=[1.0, 2.0])
    longer = make(text.replace("len(metrics)", "(len(metrics) + 1)"), 31)
    assert curves.rates(longer, None, 4, metrics=[1.0]).tolist() == [0.1, 0.1]


@pytest.mark.parametrize("result", ["0.5", "[0.5] * 5", "step > -1", "(step * 0 + 5) // 10 + 1"])
def test_numbers_of_any_kind_are_accepted(make, result):
    """A curve may return one number for all steps, a list, whole numbers or truth values."""
    rates = curves.rates(make(body(f"return {result}")), None, 4)
    assert rates.dtype == "float64"
    assert rates.shape == (5,)
    assert len(set(rates)) == 1


def test_a_curve_is_read_again_when_it_changes(make):
    """A change of the file has an effect at the next call, also on whether the curve exists."""
    variant = make(body("return 0.5"))
    assert curves.rates(variant, [0], 4).tolist() == [0.5]
    make(body("return 0.25"))
    assert curves.rates(variant, [0], 4).tolist() == [0.25]
    make("")
    assert not curves.exists(variant)


def test_a_family_that_is_named_like_a_module_has_its_own_curves(make):
    """A user's family called ``cosine`` or ``pairs`` does not get a function of lrgen's module of that name."""
    for family in ("cosine", "pairs", "user"):
        variant = replace(make(body("return 0.5")), family=family)
        assert curves.rates(variant, [0], 4).tolist() == [0.5]


def test_shipped_curves_are_called_in_this_process(monkeypatch):
    """Only the curves of a user are called in a process of their own."""
    monkeypatch.setattr(limited, "call", lambda *_: pytest.fail("a shipped curve needs no limits"))
    assert curves.rates(catalogues.load().variant(1), [0], 4).tolist() == [1.0]


def test_a_loop_ends_a_command_with_one_sentence(lrgen, make, tmp_path):
    """``lrgen show`` of a curve that loops exits with 2 and one sentence."""
    folder = tmp_path / "own/schedulers/mine"
    folder.mkdir(parents=True)
    entry = (
        'title = "T"\nsummary = "S"\n[[variant]]\nnumber = 900\nname = "Mine"\ntitle = "t"\nsummary = "s"\n'
        'formula = "1"\nunit = "epoch"\npast_end = "hold"\ntemplate = "mine"\ncurve = "f"\nsource = "me"\n'
    )
    (folder / "family.toml").write_text(entry)
    (folder / "mine.py.jinja").write_text("")
    (folder / "curves.py").write_text(body("while True:", "    pass"))
    code, out, err = lrgen("show", "900", "--templates", "own")
    assert (code, out) == (2, "")
    assert err == "lrgen: variant 900: curve f: own/schedulers/mine/curves.py takes longer than 0.5 s\n"
