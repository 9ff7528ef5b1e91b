"""The whole grid, every architecture with every variant, through the checks that need no training."""

import pytest

from lrgen import catalogue as catalogues
from lrgen.records import Stage, Status, VerifySettings
from lrgen.render.output import pairs
from lrgen.verify import run
from lrgen.verify.engines import local

CATALOGUE = catalogues.load()


@pytest.mark.slow
@pytest.mark.parametrize("name", [one.name for one in CATALOGUE.architectures])
def test_every_variant_of_a_network_passes_syntax_contract_and_schedule(name, tmp_path):
    """No file of the grid is stopped by a check; training is for ``lrgen verify``."""
    selection = pairs([CATALOGUE.architecture(name)], CATALOGUE.variants)
    candidates = run.from_selection(CATALOGUE, selection, tmp_path / "out")
    outcomes = list(local.run(candidates, VerifySettings(stage=Stage.SCHEDULE), None))
    assert len(outcomes) == len(CATALOGUE.variants)
    wrong = {one.candidate.scheduler_type: one.reason for one in outcomes if one.status is not Status.PASSED}
    assert wrong == {}
