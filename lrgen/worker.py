"""One file through the checks, in a child process.

What the child has to say goes over one descriptor as JSON, a line each::

    {"start": "contract"}                            the check that is now responsible for whatever happens
    {"end": "contract", "reason": "", "seconds": 0.4, "measurement": {...}}
    {"memory": "..."}                                a check ran out of memory
"""

import json
import os
import time
import warnings
from pathlib import Path
from typing import Any

import torch

from lrgen.checks import up_to
from lrgen.checks.subject import CheckFailure, Subject
from lrgen.data import Dataset
from lrgen.records import Candidate, VerifySettings


def run(candidate: Candidate, settings: VerifySettings, dataset: Dataset | None, pipe: int) -> None:
    """Measure and judge one check after the other, until one fails; never raises for what the file does."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(settings.threads)
    subject = Subject(candidate, settings, dataset)
    for check in up_to(settings.stage):
        _send(pipe, start=check.STAGE.value)
        started = time.perf_counter()
        measurement: dict[str, Any] = {}
        try:
            measurement = check.measure(subject)
            reason = check.judge(candidate, settings, measurement)
        except CheckFailure as failure:
            reason = str(failure)
        except (MemoryError, torch.OutOfMemoryError) as error:
            _send(pipe, memory=subject.explain(error))
            return
        except RuntimeError as error:
            if "can't allocate memory" not in str(error):
                raise
            _send(pipe, memory=subject.explain(error))
            return
        except SystemExit as error:
            reason = f"the file calls sys.exit({error.code!r}){subject.where(error)}"
        reason = reason or _left_behind()
        seconds = time.perf_counter() - started
        _send(pipe, end=check.STAGE.value, reason=reason, seconds=seconds, measurement=measurement)
        if reason:
            return


def _send(pipe: int, **message: Any) -> None:
    data = (json.dumps(message) + "\n").encode()
    while data:
        data = data[os.write(pipe, data) :]


def _left_behind() -> str:
    """The file must not leave processes of its own behind."""
    children = Path(f"/proc/self/task/{os.getpid()}/children")
    try:
        count = len(children.read_text().split())
    except OSError:  # a kernel without the file: the parent looks as well
        return ""
    return f"the file leaves {count} process{'es' * (count > 1)} of its own running" if count else ""
