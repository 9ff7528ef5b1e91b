"""A state of a network, handed over from one process of a file to another."""

from lrgen.verify import messages
from lrgen.verify.checks.failure import CheckFailure
from lrgen.verify.session import Session

_PART = 16 << 20  # bytes of a message
_SLACK = 64 << 20  # bytes of buffers beside those of parameters


def hand_over(source: Session, target: Session, name: str, weights: int) -> None:
    """Copy a kept state; it may be four times as large as its ``weights`` in float32.

    Raises:
        CheckFailure: if it is larger.
    """
    entries = source.call("entries", messages.Entries, name=name)[0].entries
    size = sum(entry.size for entry in entries)
    if size > 16 * weights + _SLACK:
        raise CheckFailure(f"the state of the network has {size} bytes, it has {weights} weights")
    target.call("new_state", messages.Nothing, name=name, entries=[entry.model_dump() for entry in entries])
    for start in range(0, size, _PART):
        length = min(_PART, size - start)
        _, [part] = source.call("read_state", messages.Nothing, name=name, start=start, length=length)
        target.call("write_state", messages.Nothing, [part], name=name, start=start)
    source.call("drop_state", messages.Nothing, name=name)
