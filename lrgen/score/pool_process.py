"""The process of a pool (score.pool): it reads requests from its standard input until that ends.

Requests that have arrived are graded together, in batches: some trainers ask once for each completion. A request that
nobody waits for any more is left.
"""

import json
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from queue import SimpleQueue
from typing import Any, BinaryIO

from lrgen import catalogue as catalogues
from lrgen.errors import LrgenError
from lrgen.finetune.example import Reference, Row
from lrgen.records import Policy, Stage
from lrgen.score.completions import Completion
from lrgen.score.scorer import Scorer, ScoreSettings
from lrgen.verify import nursery_process, plan, scratch, verdicts
from lrgen.verify.case_seed import new_case_seed
from lrgen.verify.sandbox.syscalls import set_parent_death_signal


class _ForgottenError(Exception):
    """Nobody waits for a request any more."""


@dataclass(frozen=True)
class _Request:
    """A request for verdicts on some completions."""

    number: int
    samples: tuple[tuple[Row, Completion], ...]


class _Requests:
    """The requests that arrive; ``forgotten`` are the numbers of those that nobody waits for."""

    def __init__(self, stream: BinaryIO) -> None:
        self.forgotten: set[int] = set()
        self._arrived: SimpleQueue[_Request | None] = SimpleQueue()
        self._stream = stream

    def read(self) -> None:
        """Read until the owner closes the stream."""
        for line in self._stream:
            message = json.loads(line)
            if "forget" in message:
                self.forgotten.add(message["forget"])
            else:
                samples = ((row, Completion(str(row["id"]), 0, text, "")) for row, text in message["samples"])
                self._arrived.put(_Request(message["request"], tuple(samples)))
        self._arrived.put(None)

    def take(self) -> list[_Request] | None:
        """Wait for a request, and take all that have arrived; None once the owner has closed the stream."""
        arrived = [self._arrived.get()]
        while not self._arrived.empty():
            arrived.append(self._arrived.get())
        return None if None in arrived else [request for request in arrived if request is not None]


def main(options: Mapping[str, Any]) -> None:
    """Grade the requests of the owner."""
    set_parent_death_signal(options["owner"])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the owner's terminal sends it, too
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print is no answer
    requests = _Requests(sys.stdin.buffer)
    threading.Thread(target=requests.read, daemon=True).start()
    case_seed = options["case_seed"]
    settings = ScoreSettings(
        case_seed=new_case_seed() if case_seed is None else case_seed,
        stage=Stage(options["stage"]),
        policy=Policy(options["policy"]),
        seconds=options["seconds"],
        workers=options["workers"] or plan.cores(),
    )
    with scratch.run_folder() as folder, nursery_process.kept():
        with nursery_process.leased():
            pass  # torch is loaded before the first request
        scorer = Scorer(Reference(catalogues.load()), settings, verdicts.cache_in(folder))
        while (arrived := requests.take()) is not None:
            _grade(scorer, arrived, requests, answers)


def _grade(scorer: Scorer, arrived: Sequence[_Request], requests: _Requests, answers: BinaryIO) -> None:
    """Grade the samples of some requests together, and answer each."""

    def answer(request: _Request, message: Mapping[str, Any]) -> None:
        answers.write(json.dumps({"request": request.number, **message}).encode() + b"\n")
        answers.flush()

    def advance(_: int) -> None:
        if all(request.number in requests.forgotten for request in arrived):
            raise _ForgottenError

    places = [(request, index) for request in arrived for index in range(len(request.samples))]
    samples = [sample for request in arrived for sample in request.samples]
    try:
        for (request, index), verdict in zip(places, scorer.score(samples, advance), strict=True):
            answer(request, {"index": index, "verdict": asdict(verdict)})
    except _ForgottenError:
        pass
    except Exception as error:  # noqa: BLE001  a fault of lrgen must not end a training
        if len(arrived) > 1:  # only the request that is at fault may suffer
            for request in arrived:
                _grade(scorer, [request], requests, answers)
            return
        [request] = arrived
        if isinstance(error, LrgenError):
            answer(request, {"error": str(error)})
        else:
            traceback.print_exc()
            _grade_alone(scorer, samples, lambda message: answer(request, message))
    finally:
        requests.forgotten -= {request.number for request in arrived}


def _grade_alone(
    scorer: Scorer, samples: Sequence[tuple[Row, Completion]], answer: Callable[[Mapping[str, Any]], None]
) -> None:
    """Grade completions one by one; one that cannot be graded has no verdict."""
    for index, sample in enumerate(samples):
        try:
            [verdict] = scorer.batch([sample])
        except Exception:  # noqa: BLE001  as above
            traceback.print_exc()
            answer({"index": index, "verdict": None})
        else:
            answer({"index": index, "verdict": asdict(verdict)})


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
