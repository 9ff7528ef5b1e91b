"""The process of a pool (score.pool): it reads requests from its standard input until that ends.

Requests are graded one after the other, each in batches, so that verdicts come early. A request that nobody waits for
any more is left.
"""

import json
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
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


class _Requests:
    """The requests that arrive; ``forgotten`` are the numbers of those that nobody waits for."""

    def __init__(self, stream: BinaryIO) -> None:
        self.arrived: SimpleQueue[dict[str, Any] | None] = SimpleQueue()
        self.forgotten: set[int] = set()
        self._stream = stream

    def read(self) -> None:
        """Read until the owner closes the stream."""
        for line in self._stream:
            message = json.loads(line)
            if "forget" in message:
                self.forgotten.add(message["forget"])
            else:
                self.arrived.put(message)
        self.arrived.put(None)


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
        while (request := requests.arrived.get()) is not None:
            _grade(scorer, request, requests, answers)


def _grade(scorer: Scorer, request: Mapping[str, Any], requests: _Requests, answers: BinaryIO) -> None:
    number = request["request"]

    def answer(message: Mapping[str, Any]) -> None:
        answers.write(json.dumps({"request": number, **message}).encode() + b"\n")
        answers.flush()

    def advance(_: int) -> None:
        if number in requests.forgotten:
            raise _ForgottenError

    samples = [(row, Completion(str(row["id"]), 0, text, "")) for row, text in request["samples"]]
    try:
        for index, verdict in enumerate(scorer.score(samples, advance)):
            answer({"index": index, "verdict": asdict(verdict)})
    except _ForgottenError:
        requests.forgotten.discard(number)
    except LrgenError as error:
        answer({"error": str(error)})
    except Exception:  # noqa: BLE001  a fault of lrgen must not end a training
        traceback.print_exc()
        _grade_alone(scorer, samples, answer)


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
