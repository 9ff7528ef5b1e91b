"""Where the tests find what they read."""

from pathlib import Path

TESTS = Path(__file__).resolve().parent
REPOSITORY = TESTS.parent
GENERATED = REPOSITORY / "generated"
GOLDEN = TESTS / "render" / "golden"
FIXTURES = TESTS / "verify" / "checks"  # a folder a check: passes_….py and fails_….py
CASES = TESTS / "verify" / "cases"  # files that want to be accepted, and honest ones
TINY = TESTS / "tiny"  # templates of a network that is small enough for everything
OWN_LOSSES = TESTS / "own_losses"  # templates of networks whose training adds to the loss of their logits
NETWORKS = TESTS / "verify" / "networks"  # networks that are claimed to be ResNet or SqueezeNet, and are or are not
STRANGERS = TESTS / "verify" / "strangers"  # files as people write them: those to accept, and those to reject
