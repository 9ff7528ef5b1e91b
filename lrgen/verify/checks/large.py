"""Networks that are so large that they get few updates."""

from lrgen.verify import messages
from lrgen.verify.checks.examination import Examination, build, prm_of

LARGE = 20_000_000  # parameters


def is_large(examination: Examination) -> bool:
    """Whether the network of a file is so large that it gets few updates."""
    parameters = build(examination.session, "size", prm_of(), initialised=False)
    examination.session.call("forget", messages.Nothing, net="size")
    return sum(parameter.count for parameter in parameters) > LARGE
