"""A pool scores in a process of its own, and gives exactly one verdict for a completion, whatever happens."""

import io
import json
import os
import signal
import threading

import pytest

from lrgen.errors import ScoreError
from lrgen.score import pool_process
from lrgen.score.completions import Completion
from lrgen.score.pool import Pool, PoolSettings
from lrgen.score.verdict import Verdict
from tests.score.rows import CASE_SEED, rows_of
from tests.verify.processes import has_exited, wait_for


@pytest.fixture(scope="module")
def pool():
    """A pool that has loaded torch once for this module."""
    with_seed = Pool(PoolSettings(case_seed=CASE_SEED, seconds=60.0))
    yield with_seed
    with_seed.close()


@pytest.fixture(scope="module")
def explained(catalogue):
    """A row whose answers are graded without executing a file."""
    return rows_of(catalogue, "explain", [1], "ResNet")[0]


def test_a_verdict_for_each_completion_in_their_order(pool, catalogue, explained):
    """Rows of several tasks are scored in one call, the right answers among the wrong ones."""
    [infill] = rows_of(catalogue, "infill", [1], "ResNet")
    rows = [explained, infill, explained]
    verdicts = pool.score(rows, ["I do not know.", infill["completion"], explained["completion"]])
    assert [verdict.passed for verdict in verdicts] == [False, True, True]
    assert [verdict.row_id for verdict in verdicts] == [row["id"] for row in rows]


def test_the_columns_that_a_trainer_hands_on_are_enough(pool, explained):
    """Without the column completion, which TRL keeps, a row is scored by its reference."""
    handed = {name: value for name, value in explained.items() if name != "completion"}
    [verdict] = pool.score([handed], [explained["completion"]])
    assert verdict.passed


def test_no_verdict_after_the_deadline(pool, catalogue, explained):
    """What is not graded in time is None, and the next call is not answered by the results of the former."""
    [executed] = rows_of(catalogue, "infill", [6], "ResNet")
    assert pool.score([executed], [executed["completion"]], deadline=0.0) == [None]
    assert [verdict.passed for verdict in pool.score([explained], ["I do not know."])] == [False]


def test_threads_share_a_pool(pool, explained):
    """Each of several threads gets the verdicts on its own completions."""
    ends = {}

    def score(number: int) -> None:
        text = explained["completion"] if number % 2 else "I do not know."
        [ends[number]] = pool.score([explained], [text])

    threads = [threading.Thread(target=score, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {number: verdict.passed for number, verdict in ends.items()} == {n: n % 2 == 1 for n in range(6)}


def test_the_pool_outlives_the_thread_that_started_it(explained):
    """An event loop ends its threads; the process that one of them started goes on."""
    started = Pool(PoolSettings(case_seed=CASE_SEED))
    thread = threading.Thread(target=started.score, args=([explained], [explained["completion"]]))
    thread.start()
    thread.join()
    pid = started.pid
    assert started.score([explained], [explained["completion"]])[0].passed
    assert started.pid == pid
    started.close()


def test_a_row_that_cannot_be_scored_is_an_error(pool, explained):
    """A task that does not exist is named, and the pool goes on."""
    with pytest.raises(ScoreError, match="unknown task 'sing'"):
        pool.score([{**explained, "task": "sing"}], ["la"])
    assert pool.score([explained], [explained["completion"]])[0].passed


def test_a_column_that_is_missing_is_an_error(pool, explained):
    """A dataset without the columns of scoring is named at once, and not rewarded with zeros."""
    handed = {name: value for name, value in explained.items() if name != "evidence"}
    with pytest.raises(ScoreError, match="the column evidence is missing or no text"):
        pool.score([handed], ["la"])


def test_a_fault_of_grading_has_no_verdict_and_ends_no_batch(explained):
    """A row that makes the grader itself raise gets None; the others of its batch get their verdicts."""
    answers = []

    class Failing:
        def batch(self, samples):
            [(row, _)] = samples
            if row["id"] == "bad":
                raise TypeError("a fault")
            return [verdict]

    verdict = Verdict("good", 0, "", "", "", "", "", 0.0, 0.0, False, "", 0.0, "", "", "")
    samples = [({"id": name}, Completion(name, 0, "", "")) for name in ("good", "bad", "good")]
    pool_process._grade_alone(Failing(), samples, answers.append)
    assert [answer["verdict"] and answer["verdict"]["row_id"] for answer in answers] == ["good", None, "good"]


def test_requests_that_wait_are_graded_together(explained):
    """Several requests are one batch; where one is at fault, each is graded by itself, and only that one is refused."""
    batches, written = [], io.BytesIO()

    class Recording:
        def score(self, samples, advance):
            batches.append([row["id"] for row, _ in samples])
            if "bad" in batches[-1]:
                raise ScoreError("row bad: no such task")
            return [verdict for _ in samples]

    def requests(*names):
        samples = (tuple((({"id": name}), Completion(name, 0, "", "")) for name in of_one) for of_one in names)
        return [pool_process._Request(number, each) for number, each in enumerate(samples)]

    verdict = Verdict("good", 0, "", "", "", "", "", 0.0, 0.0, False, "", 0.0, "", "", "")
    pool_process._grade(Recording(), requests(["a", "b"], ["c"]), pool_process._Requests(io.BytesIO()), written)
    assert batches == [["a", "b", "c"]]
    pool_process._grade(Recording(), requests(["a"], ["bad"]), pool_process._Requests(io.BytesIO()), written)
    assert batches[1:] == [["a", "bad"], ["a"], ["bad"]]
    answers = [json.loads(line) for line in written.getvalue().splitlines()]
    assert [(answer["request"], answer.get("index"), answer.get("error")) for answer in answers] == [
        (0, 0, None), (0, 1, None), (1, 0, None), (0, 0, None), (1, None, "row bad: no such task"),
    ]  # fmt: skip


def test_a_forked_process_has_a_pool_of_its_own(pool, explained):
    """A process that is forked while another thread holds the pool starts a pool of its own, and ends."""
    pool.start()
    with pool._lock:
        child = os.fork()
        if child == 0:
            signal.alarm(30)
            os._exit(0 if pool.pid is None and pool._lock.acquire(blocking=False) else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert pool.score([explained], [explained["completion"]])[0].passed


def test_as_many_completions_as_rows(pool, explained):
    """A batch of another length is refused before anything is scored."""
    with pytest.raises(ValueError, match="completions: expected 1, one for each row, got 2"):
        pool.score([explained], ["a", "b"])
    assert pool.score([], []) == []


def test_a_killed_pool_is_started_again(pool, explained):
    """The batch in flight has no verdicts, the next one has."""
    pool.start()
    before = pool.pid
    os.kill(before, signal.SIGKILL)
    wait_for(lambda: has_exited(before), "the end of the pool")
    assert pool.score([explained], [explained["completion"]])[0].passed
    assert pool.pid != before


def test_a_closed_pool_leaves_no_process(explained):
    """With its owner's end of the pipe, the process ends."""
    with_seed = Pool(PoolSettings(case_seed=CASE_SEED))
    with_seed.start()
    pid = with_seed.pid
    with_seed.close()
    assert has_exited(pid)
