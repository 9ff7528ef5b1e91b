"""Every architecture passes the checks before training with every variant."""

import pytest

from lrgen import catalogue as catalogues
from lrgen.records import Stage, Status, VerifySettings
from lrgen.render.output import pairs
from lrgen.verify import run
from lrgen.verify.engines import local

CATALOGUE = catalogues.load()


@pytest.mark.slow
@pytest.mark.parametrize("name", [architecture.name for architecture in CATALOGUE.architectures])
def test_every_variant_of_an_architecture_passes_up_to_the_schedule_check(name, tmp_path):
    """No file of the grid fails the syntax, contract or schedule check."""
    selection = pairs([CATALOGUE.architecture(name)], CATALOGUE.variants)
    candidates = run.from_selection(CATALOGUE, selection, tmp_path / "out")
    outcomes = list(local.run(candidates, VerifySettings(stage=Stage.SCHEDULE), None))
    assert len(outcomes) == len(CATALOGUE.variants)
    reasons = {
        outcome.candidate.scheduler_type: outcome.reason for outcome in outcomes if outcome.status is not Status.PASSED
    }
    assert reasons == {}
