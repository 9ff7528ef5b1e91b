"""The page of scores as one HTML file.

Its script is the only one that the page's policy admits, by its hash. The samples are data of the page, and the script
shows them as text: markup in what a model wrote is never interpreted.
"""

import base64
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2.utils import htmlsafe_json_dumps
from markupsafe import Markup

from lrgen.report import page as pages
from lrgen.report.scores import contents, drawing
from lrgen.report.scores.contents import Comparison, Run, Scores

FILE_NAME = "scores.html"
_EDGES = (0.01, 0.05, 0.1, 0.25, 0.5)  # between the shades of a fraction


def render(scores: Scores, checks: Sequence[str]) -> str:
    """Return the page, which depends on its arguments alone."""
    here = Path(__file__).parent
    jinja = pages.environment()
    jinja.filters |= {"shade": _shade, "signed": _signed, "interval": _interval, "p": _p}
    style = (here.parent / "page.css").read_text(encoding="utf-8") + (here / "page.css").read_text(encoding="utf-8")
    script = (here / "browser.js").read_text(encoding="utf-8")
    fractions = {run.name: contents.ends(run, checks) for run in scores.runs}
    return jinja.get_template("scores/page.html.jinja").render(
        scores=scores,
        mark=Markup(pages.MARK),
        style=Markup(style),
        script=Markup(script),
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        document=htmlsafe_json_dumps(scores.browser.document),
        axis=drawing.rates(),
        plotted=scores.runs[: contents.MAX_PLOTTED],
        fractions=fractions,
        ends=[end for end in next(iter(fractions.values()), {}) if any(of.get(end) for of in fractions.values())],
        conditions=_conditions(scores.runs),
        compared=[(comparison, _axis(comparison)) for comparison in scores.comparisons],
    )


def _conditions(runs: Sequence[Run]) -> dict[str, list[str]]:
    """Return the values of each condition, in the order of the runs and each once."""
    names = dict.fromkeys(name for run in runs for name in run.conditions)
    return {name: list(dict.fromkeys(str(run.conditions.get(name, "–")) for run in runs)) for name in names}


def _axis(comparison: Comparison) -> drawing.Axis:
    numbers: Any = comparison.numbers
    groups = [numbers["all"], *numbers["by_task"].values()] if numbers else []
    return drawing.differences([group["pass_rate"]["interval"] for group in groups])


def _shade(fraction: float) -> int:
    return sum(fraction >= edge for edge in _EDGES)


def _signed(value: float) -> Markup:
    """Return a difference with its sign and three decimals for people, and all decimals for machines."""
    return Markup('<data value="{}">{:+.3f}</data>').format(value, value)


def _interval(interval: tuple[float, float], signed: bool = False) -> str:
    low, high = interval
    return f"{low:+.3f}…{high:+.3f}" if signed else f"{low:.3f}…{high:.3f}"


def _p(value: float) -> str:
    return f"{value:.3f}" if value >= 0.001 else "<0.001"
