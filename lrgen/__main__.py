"""The command line as a process of its own: ``lrgen`` and ``python -m lrgen``.

SIGINT, SIGTERM and SIGHUP interrupt it with exit code 130: at once while modules are imported, and by KeyboardInterrupt
during the work, so that child processes end and finished results are kept. After the work they change nothing. This
module imports little: before it runs, Python itself answers an interrupt, with a traceback.
"""

import io
import os
import signal
import sys
from types import FrameType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_INTERRUPTED = 130
_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


def main() -> None:
    """Run the command in ``sys.argv`` and exit with its exit code."""
    signals = [number for number in _SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]  # else: nohup
    _handle(signals, _leave)
    _open_streams()
    from lrgen import cli  # takes half a second

    code = _INTERRUPTED
    try:
        _handle(signals, signal.default_int_handler)
        code = cli.run(sys.argv[1:])
        _handle(signals, signal.SIG_IGN)
    except KeyboardInterrupt:  # before or after ``run``, which handles any other
        _handle(signals, signal.SIG_IGN)
    sys.exit(code)


def _handle(signals: list[int], handler: "Callable[[int, FrameType | None], None] | signal.Handlers") -> None:
    for number in signals:
        signal.signal(number, handler)


def _leave(number: int, frame: FrameType | None) -> None:
    """Exit at once: there are neither results nor child processes yet."""
    os._exit(_INTERRUPTED)


def _open_streams() -> None:
    """Replace closed standard streams by the null device, so that no other file gets their descriptors.

    Standard output escapes what its encoding does not have, such as a file name that is not UTF-8.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115  open until the process ends
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


if __name__ == "__main__":
    main()
