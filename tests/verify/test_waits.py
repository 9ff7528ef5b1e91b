"""No wait for a child process lasts longer than a limit, whatever has become of the child."""

from pathlib import Path
from typing import NamedTuple

import pytest

from lrgen.errors import CorpusError
from lrgen.records import Stage, VerifySettings
from lrgen.verify import isolation, trace
from lrgen.verify.limits import Limits
from lrgen.verify.sandbox import Mechanism
from tests.verify.processes import has_exited, wait_for

SYNTAX = VerifySettings(stage=Stage.SYNTAX)
SPEC = trace.TraceSpec(1, {"lr": 0.1}, (0,))


def test_a_sandbox_in_which_a_process_hangs_is_refused(monkeypatch):
    """A mechanism whose trial does not end is refused with the reason."""
    monkeypatch.setattr(isolation, "_TRIAL_SECONDS", 0.2)
    texts = isolation.texts()
    texts["__init__"] += "\nimport time\n\ndef enter(*arguments):\n    time.sleep(60)\n"
    monkeypatch.setattr(isolation, "texts", lambda: texts)
    assert isolation.refusal_of(Mechanism.LANDLOCK) == "landlock: the trial takes longer than 0.2 s"


class File(NamedTuple):
    """A file to trace."""

    source: str
    name: str = "a"
    path: Path = Path("a.py")


def traced(source: str) -> str:
    """The error of the trace of a file."""
    with pytest.raises(CorpusError) as raised:
        list(trace.run([(File(source), (SPEC,))], workers=1))
    return str(raised.value)


def test_a_trace_that_takes_too_long_is_an_error(monkeypatch):
    """A file whose schedule is not traced within the limit ends the build with its name."""
    monkeypatch.setattr(trace, "_LIMITS", Limits(check_seconds=0.2))
    assert traced("while True:\n    pass\n") == "a.py: cannot trace the schedule: it takes longer than 0.2 s"


def test_a_process_that_a_traced_file_leaves_is_not_waited_for(tmp_path):
    """A process that a traced file leaves ends with it, and does not delay the error that the file has exited."""
    leaves = (
        "import os, time\nif pid := os.fork():\n    open({!r}, 'w').write(str(pid))\n    os._exit(3)\ntime.sleep(1e6)\n"
    )
    reason = "the process of the file exits with code 3 before the check ends"
    assert traced(leaves.format(f"{tmp_path}/pid")) == f"a.py: cannot trace the schedule: {reason}"
    left = int((tmp_path / "pid").read_text())
    wait_for(lambda: has_exited(left), "the end of the process")
