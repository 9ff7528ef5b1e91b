"""A Ray cluster that loses a node or an actor."""

import os
import re
from collections import Counter

import pytest

from lrgen.records import Stage, Status, VerifySettings
from lrgen.verify.engines import ray as cluster
from lrgen.verify.limits import Limits
from tests.verify.engines.test_every_engine import SECONDS, with_harm


@pytest.mark.slow
def test_a_lost_node_costs_no_outcome():
    """After one of two nodes is killed during a run, every file has one outcome."""
    ray = pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    second = nodes.add_node(num_cpus=1)
    try:
        ray.init(address=nodes.address, log_to_driver=False)
        files = [with_harm(f"import time; time.sleep(0.2)  # {index}", f"file{index}") for index in range(24)]
        outcomes = []
        options = {"workers": 2, "limits": Limits(seconds=SECONDS), "address": nodes.address}
        killed = False
        for batch in cluster.run(files, VerifySettings(stage=Stage.CONTRACT), **options):
            outcomes += batch
            if len(outcomes) >= 8 and not killed:
                nodes.remove_node(second, allow_graceful=False)
                killed = True
        assert Counter(id(outcome.candidate) for outcome in outcomes) == Counter(map(id, files))
        assert {outcome.status for outcome in outcomes} == {Status.PASSED}
    finally:
        ray.shutdown()
        nodes.shutdown()
        os.environ.pop("RAY_ADDRESS", None)


@pytest.mark.slow
def test_a_killed_actor_is_replaced():
    """A file that kills its actor three times is not accepted, and the other files are verified."""
    ray = pytest.importorskip("ray")
    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False)
    try:
        # The parent of the file's process is the nursery, and that of the nursery is the actor.
        actor = "int(open(f'/proc/{os.getppid()}/stat').read().split()[3])"
        harm = with_harm(f"import os, signal; os.kill({actor}, signal.SIGKILL)", "kills")
        files = [harm, with_harm("pass", "good")]
        settings, limits = VerifySettings(stage=Stage.CONTRACT), Limits(seconds=SECONDS)
        outcomes = [outcome for batch in cluster.run(files, settings, workers=1, limits=limits) for outcome in batch]
        by_name = {outcome.candidate.path.stem: outcome for outcome in outcomes}
        assert by_name["good"].status is Status.PASSED
        killing = by_name["kills"]
        assert killing.status in (Status.CRASHED, Status.FAILED)  # the kernel may refuse the signal
        if killing.status is Status.CRASHED:
            assert re.fullmatch(r"the Ray actor that ran the file was lost 3 times: \w+", killing.reason)
    finally:
        ray.shutdown()
