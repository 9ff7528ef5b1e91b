"""The child process: it runs the checks of a file and reports their results to the parent.

The child writes its messages to one descriptor, a line of JSON each. Every message also carries the child's secret
(``by``)::

    {"start": "contract"}                            a check starts
    {"end": "contract", "reason": "", "seconds": 0.4, "measurement": {...}}
    {"memory": "..."}                                a check ran out of memory
    {"done": true}                                   the file passed, the child waits for the next (``serve``)
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
from lrgen.verify.checks.subject import CheckFailure, Subject, global_state, unload
from lrgen.verify.checks.tamper import SNAPSHOT


class Channel:
    """The pipe to the parent. It is created before the file runs, and the file gets no reference to it."""

    __slots__ = ("_dumps", "_write", "pipe", "secret")

    def __init__(self, pipe: int, secret: str) -> None:
        self.pipe, self.secret = pipe, secret
        self._dumps, self._write = json.dumps, os.write

    def send(self, **message: Any) -> None:
        """Write one complete message."""
        data = (self._dumps(message | {"by": self.secret}) + "\n").encode()
        while data:
            data = data[self._write(self.pipe, data) :]


def run(candidate: Candidate, settings: VerifySettings, dataset: Dataset | None, channel: Channel) -> bool:
    """Run the checks in their order until one fails, and send the result of each.

    Returns whether the file passed them all. An exception that the file raises is a reason, and is not raised here.
    """
    warnings.simplefilter("ignore")
    torch.set_num_threads(settings.threads)
    send, first_change, clock = channel.send, SNAPSHOT.first_change, time.perf_counter
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
        if replaced := first_change():
            reason = f"the file replaces {replaced}, which the checks use"
        reason = reason or _running_children()
        send(end=check.STAGE.value, reason=reason, seconds=clock() - started, measurement=measurement)
        if reason:
            return False
    return True


def serve(
    candidates: Sequence[Candidate],
    settings: VerifySettings,
    dataset: Dataset | None,
    channel: Channel,
    requests: int,
    first: int,
) -> None:
    """Run one file after the other in this process, which keeps its CUDA context.

    The index ``first`` is the first file; each request is a line of JSON with the index of the next one and its working
    directory. Returns after the first file that does not pass or that changes the global state of torch.
    """
    before = global_state()
    with os.fdopen(requests, encoding="utf-8") as lines:
        index = first
        while run(candidates[index], settings, dataset, channel):
            sys.stdout.flush()
            sys.stderr.flush()
            unload()
            gc.collect()
            if settings.device != "cpu":
                torch.cuda.empty_cache()
            if global_state() != before:
                return
            channel.send(done=True)
            line = lines.readline()
            if not line:
                return
            request = json.loads(line)
            index = request["file"]
            os.chdir(request["folder"])


def _running_children() -> str:
    """The reason why a file that leaves processes running fails, or nothing."""
    children = Path(f"/proc/self/task/{os.getpid()}/children")
    try:
        count = len(children.read_text().split())
    except OSError:  # the kernel does not have this file; the parent checks it, too
        return ""
    return f"the file leaves {count} process{'es' * (count > 1)} of its own running" if count else ""
