"""One file through the checks, in a child process.

What the child has to say goes over one descriptor as JSON, a line each, signed with the child's secret (``by``)::

    {"start": "contract"}                            the check that is now responsible for whatever happens
    {"end": "contract", "reason": "", "seconds": 0.4, "measurement": {...}}
    {"memory": "..."}                                a check ran out of memory
    {"done": true}                                   the file is over, the child goes on with the next (``serve``)
"""

import gc
import json
import os
import sys
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from lrgen.data import Dataset
from lrgen.records import Candidate, VerifySettings
from lrgen.verify.checks import up_to
from lrgen.verify.checks.subject import CheckFailure, Subject, forget, global_state
from lrgen.verify.checks.tamper import SEAL


class Channel:
    """Where the messages go. Made before the file runs, and known to nothing that the file is given."""

    __slots__ = ("_dumps", "_pipe", "_secret", "_write")

    def __init__(self, pipe: int, secret: str) -> None:
        self._pipe, self._secret = pipe, secret
        self._dumps, self._write = json.dumps, os.write

    def send(self, **message: Any) -> None:
        """Write one message, whole."""
        data = (self._dumps(message | {"by": self._secret}) + "\n").encode()
        while data:
            data = data[self._write(self._pipe, data) :]


def run(candidate: Candidate, settings: VerifySettings, dataset: Dataset | None, channel: Channel) -> bool:
    """Measure and judge one check after the other, until one fails; never raises for what the file does.

    Returns whether the file passed them all and left the process as it was.
    """
    warnings.simplefilter("ignore")
    torch.set_num_threads(settings.threads)
    send, changed, clock = channel.send, SEAL.changed, time.perf_counter
    subject = Subject(candidate, settings, dataset)
    for check in up_to(settings.stage):
        send(start=check.STAGE.value)
        started = clock()
        measurement: dict[str, Any] = {}
        try:
            measurement = check.measure(subject)
            reason = check.judge(candidate, settings, measurement)
        except CheckFailure as failure:
            reason = str(failure)
        except (MemoryError, torch.OutOfMemoryError) as error:
            send(memory=subject.explain(error))
            return False
        except RuntimeError as error:
            if "can't allocate memory" not in str(error):
                raise
            send(memory=subject.explain(error))
            return False
        except SystemExit as error:
            reason = f"the file calls sys.exit({error.code!r}){subject.where(error)}"
        if patched := changed():
            reason = f"the file replaces {patched}, which the checks use"
        reason = reason or _left_behind()
        send(end=check.STAGE.value, reason=reason, seconds=clock() - started, measurement=measurement)
        if reason:
            return False
    return True


def serve(
    candidates: Sequence[Candidate],
    settings: VerifySettings,
    dataset: Dataset | None,
    channel: Channel,
    orders: int,
    first: int,
) -> None:
    """One file after the other in one process, which keeps its CUDA context: the first, then each that is ordered.

    An order is a line of JSON: the file's index among the candidates and the folder to work in. The process ends
    with the first file that does not pass, and with the first that leaves it other than it was.
    """
    before = global_state()
    with os.fdopen(orders, encoding="utf-8") as lines:
        index = first
        while run(candidates[index], settings, dataset, channel):
            sys.stdout.flush()
            sys.stderr.flush()
            forget()
            gc.collect()
            if settings.device != "cpu":
                torch.cuda.empty_cache()
            if global_state() != before:
                return
            channel.send(done=True)
            line = lines.readline()
            if not line:
                return
            order = json.loads(line)
            index = order["file"]
            os.chdir(order["folder"])


def _left_behind() -> str:
    """The file must not leave processes of its own behind."""
    children = Path(f"/proc/self/task/{os.getpid()}/children")
    try:
        count = len(children.read_text().split())
    except OSError:  # a kernel without the file: the parent looks as well
        return ""
    return f"the file leaves {count} process{'es' * (count > 1)} of its own running" if count else ""
