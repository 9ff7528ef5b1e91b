"""The depths of the parameter groups of a layer-wise schedule, compared with the order in which layers are used."""

from collections.abc import Sequence
from itertools import pairwise

from lrgen.verify import messages
from lrgen.verify.checks.examination import build, prm_of, raising, random_batches
from lrgen.verify.checks.failure import CheckFailure
from lrgen.verify.session import Session


def check(session: Session, parameters: Sequence[messages.Parameter]) -> None:
    """Require depths of the parameter groups that increase from the input to the output.

    Raises:
        CheckFailure: if a layer is used before one of a smaller depth, or a depth has no layer that is used.
    """
    images, _ = random_batches([2], 1)
    build(session, "order", prm_of())
    with raising("forward"):
        order, _ = session.call("order", messages.Order, [images], net="order")
    with raising("train_setup"):
        set_up, _ = session.call("set_up", messages.SetUp, net="order")
    depths = {at: group.depth for group in set_up.groups for at in group.parameters}
    used = [at for at in order.used if at < len(parameters)]
    names = [messages.printable(parameter.name, 100) for parameter in parameters]
    for before, after in pairwise(used):
        first, second = depths.get(before, 0), depths.get(after, 0)
        if first > second:
            raise CheckFailure(
                f"the depths of the layers must increase from the input to the output: {names[before]} has depth "
                f"{first} and is used before {names[after]}, which has depth {second}"
            )
    unused = set(depths.values()) - {depths.get(at) for at in used}
    if unused:
        raise CheckFailure(f"no parameter of depth {min(unused)} is used by forward")
