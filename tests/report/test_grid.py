"""The table of outcomes by network and family counts the newest outcome of each file."""

import json
from pathlib import Path

from lrgen.records import Outcome, Stage, Status, VerifySettings
from lrgen.render.renderer import Renderer
from lrgen.report.grid import grid
from lrgen.store import Store
from lrgen.verify.candidate import candidate_of
from lrgen.verify.verdicts import conditions_of


def row(model: str, schedule: str, status: Status) -> dict[str, str]:
    return {"model_name": model, "scheduler_type": schedule, "status": status.value}


def test_outcomes_are_counted_by_network_and_family(catalogue):
    """A later outcome of a file replaces an earlier one, and files of no known schedule are left out."""
    first, other = catalogue.variant(1), catalogue.variant(6)
    rows = [
        row("ResNet", first.key, Status.FAILED),
        row("ResNet", first.key, Status.PASSED),
        row("ResNet", other.key, Status.TIMED_OUT),
        row("my_net", "file-0123abcd", Status.UNCLAIMED),
    ]
    cells = {(cell["model_name"], cell["family"]): cell for cell in grid(rows, catalogue.schedules)}
    assert cells.keys() == {("ResNet", first.family), ("ResNet", other.family)}
    assert (cells["ResNet", first.family]["passed"], cells["ResNet", first.family]["all"]) == (1, 1)
    assert cells["ResNet", other.family]["schedules"] == [other.key]


def test_files_with_a_practice_have_a_column_of_their_own(catalogue):
    """A file with a practice is not counted with the family of its schedule."""
    schedule, practice = catalogue.variant("StepLR_default"), catalogue.variant("bf16_step")
    rows = [row("ResNet", schedule.key, Status.VERIFIED), row("ResNet", practice.key, Status.FAILED)]
    cells = {cell["family"]: cell for cell in grid(rows, catalogue.variants)}
    assert {family: (cell["passed"], cell["all"]) for family, cell in cells.items()} == {
        "step": (1, 1),
        "practices": (0, 1),
    }


def test_the_table_fits_100_columns(lrgen, catalogue):
    """With the longest name and every family, no line of the table is cut or wrapped."""
    store = Store("sqlite:///grid.db")
    renderer, settings = Renderer(catalogue), VerifySettings(stage=Stage.SCHEDULE)
    longest = max(catalogue.architectures, key=lambda architecture: len(architecture.name))
    variants = {variant.family: variant for variant in catalogue.schedules}
    variants["practices"] = catalogue.with_practice[0]
    candidates = [
        candidate_of(Path(f"{variant.key}.py"), renderer.render(longest, variant).text.encode(), longest, variant)
        for variant in variants.values()
    ]
    outcomes = [Outcome(candidate, Status.PASSED, Stage.SCHEDULE, "", 1.0) for candidate in candidates]
    store.prepare()
    store.save_all(
        [*outcomes[1:], Outcome(candidates[0], Status.FAILED, Stage.SCHEDULE, "why", 1.0)], conditions_of(settings), ()
    )
    store.close()
    code, out, _ = lrgen("results", "grid", "--db", "sqlite:///grid.db")
    header, line, *_ = out.splitlines()
    assert code == 0
    assert line.split() == [longest.name, *("0/1" if f == next(iter(variants)) else "1" for f in sorted(variants))]
    assert max(map(len, out.splitlines())) <= 100
    assert len(header.split()) == 1 + len(variants)
    code, out, _ = lrgen("results", "grid", "--db", "sqlite:///grid.db", "--json")
    assert sum(cell["passed"] for cell in json.loads(out)) == len(variants) - 1
