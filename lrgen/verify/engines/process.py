"""A harness in its own process, for callers with threads, a CUDA context or an event loop.

The process is started by exec, has the module search path of its caller, and keeps one nursery over its requests.
Requests and answers are lines of JSON. A request contains the source of its files, and the answer contains
their outcomes in the same order::

    {"setup": {"settings": {...}, "limits": {...}, ...}, "candidates": [{"source": "...", ...}]}
    {"outcomes": [{"status": "failed", "stage": "contract", ...}]}
    {"error": "DataError", "reason": "..."}
"""

import contextlib
import functools
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn, Self

from lrgen.errors import DataError, DeviceError, EngineError, IsolationError, LrgenError
from lrgen.limited import Pipes
from lrgen.records import Candidate, Outcome, Stage, VerifySettings
from lrgen.verify import codec, isolation
from lrgen.verify.limits import Limits
from lrgen.verify.nursery_process import Nursery
from lrgen.verify.sandbox import Mechanism
from lrgen.verify.sandbox.syscalls import PR_SET_PDEATHSIG, call

PROGRAM = f"import sys; sys.path[:] = sys.argv[1:]; from {__name__} import serve; serve()"
_ERRORS = {error.__name__: error for error in (DataError, DeviceError, EngineError, IsolationError)}
_GRACE = 10.0  # seconds that a terminated harness has to end its children


@dataclass(frozen=True)
class Setup:
    """The settings with which a harness runs the files of a request, one after the other.

    Without a ``mechanism`` they run in the strongest sandbox that is available on its machine. Without a ``case_seed``
    each request draws a new one.
    """

    settings: VerifySettings
    limits: Limits
    mechanism: Mechanism | None
    data_root: Path
    case_seed: int | None = None
    download: bool = False


class Harness:
    """The caller's end of a harness.

    The process ends when the context exits or the thread that started it ends (Linux).
    """

    def __init__(self) -> None:
        paths = [path for path in sys.path if isinstance(path, str)]
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  closed by ``close``
        self._process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, *paths],
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            start_new_session=True,  # an interrupt from the keyboard goes to the caller, which ends the harness
        )
        self._pipes = Pipes(self._process)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @property
    def pid(self) -> int:
        """The process id of the harness."""
        return self._process.pid

    def answers(self, setup: Setup, candidates: Sequence[Candidate]) -> list[dict[str, Any]]:
        """The outcomes of the files in their order, each as JSON (``outcome_of``).

        Raises:
            DataError: if the dataset is missing, cannot be downloaded, or is damaged.
            DeviceError: if the machine does not have the device.
            IsolationError: if the machine provides no sandbox.
            EngineError: if the harness has exited, or cannot start a nursery.
        """
        try:
            with contextlib.suppress(BrokenPipeError):  # it has exited, and there is no answer
                self._pipes.send(codec.encode({"setup": setup, "candidates": candidates}))
            answer = json.loads(self._pipes.receive_line())
        except EOFError as error:
            raise EngineError(f"the harness exited with code {self._process.wait()}{self._last_error()}") from error
        if "error" in answer:
            raise _ERRORS.get(answer["error"], EngineError)(answer["reason"])
        outcomes: list[dict[str, Any]] = answer["outcomes"]
        return outcomes

    def close(self) -> None:
        """Terminate the process and its children, wait, and kill it if it still runs."""
        self._process.terminate()
        try:
            self._process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._errors):
            assert stream is not None
            with contextlib.suppress(BrokenPipeError):
                stream.close()

    def _last_error(self) -> str:
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        return f": {lines[-1][:300]}" if lines else ""


def run(candidates: Sequence[Candidate], setup: Setup) -> list[Outcome]:
    """Verify files in a separate process, and return their outcomes in the same order.

    Raises:
        DataError, DeviceError, EngineError, IsolationError: as ``Harness.answers``.
    """
    with Harness() as harness:
        answers = harness.answers(setup, candidates)
    return [outcome_of(candidate, answer) for candidate, answer in zip(candidates, answers, strict=True)]


def answer_of(outcome: Outcome) -> dict[str, Any]:
    """An outcome as JSON, without its candidate."""
    return {name: value for name, value in asdict(outcome).items() if name != "candidate"}


def outcome_of(candidate: Candidate, answer: dict[str, Any]) -> Outcome:
    """The outcome of a candidate from its JSON form."""
    return codec.decode(Outcome, answer | {"candidate": candidate})


def serve() -> None:
    """Run the harness: answer requests until standard input ends or the caller terminates it."""
    call("prctl", PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)  # a killed caller cannot close the harness
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    signal.signal(signal.SIGTERM, _interrupt)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # other output must not look like an answer
    with contextlib.suppress(KeyboardInterrupt), contextlib.ExitStack() as kept:
        nursery = functools.cache(lambda: kept.enter_context(Nursery()))
        for line in sys.stdin.buffer:
            request = json.loads(line)
            setup = codec.decode(Setup, request["setup"])
            candidates = [codec.decode(Candidate, entry) for entry in request["candidates"]]
            answers.write(codec.encode(_answer(setup, candidates, nursery)))
            answers.flush()


def _answer(setup: Setup, candidates: Sequence[Candidate], nursery: Callable[[], Nursery]) -> dict[str, Any]:
    from lrgen.verify.engines import local

    settings = setup.settings
    try:
        mechanism = setup.mechanism or isolation.available()
        dataset = None
        if settings.stage is Stage.TRAINING:
            dataset = _dataset(settings.dataset, setup.data_root, setup.download)
        outcomes = local.run(
            candidates,
            settings,
            dataset,
            limits=setup.limits,
            mechanism=mechanism,
            case_seed=setup.case_seed,
            nursery=nursery(),
        )
        answers = {id(outcome.candidate): answer_of(outcome) for outcome in outcomes}
    except LrgenError as error:
        return {"error": type(error).__name__, "reason": str(error)}
    return {"outcomes": [answers[id(candidate)] for candidate in candidates]}


@functools.lru_cache(maxsize=1)
def _dataset(name: str, root: Path, download: bool) -> Any:
    from lrgen import data

    return data.load(name, root, download)


def _interrupt(number: int, frame: object) -> NoReturn:
    raise KeyboardInterrupt
