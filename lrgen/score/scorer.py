"""The core of scoring: many completions in, a verdict on each out; ``lrgen score`` and the rewards call it."""

import ast
import contextlib
import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace

from lrgen.finetune import grading
from lrgen.finetune.example import Grade, Reference, Row
from lrgen.finetune.grading import Key, Submission
from lrgen.records import Candidate, Outcome, Policy, Stage, Status, VerifySettings
from lrgen.score import ladder, partial, schedule_answers
from lrgen.score.answers import Answer, answer_of
from lrgen.score.completions import Completion
from lrgen.score.verdict import Verdict
from lrgen.store import Store
from lrgen.verify import nursery_process, run
from lrgen.verify.checks import learn_reasons, make_scheduler_trace
from lrgen.verify.isolation import Isolation

_REMEMBERED = 1000  # files that passed
BATCH = 64  # completions whose files are verified in one call


@dataclass(frozen=True)
class ScoreSettings:
    """The way completions are graded.

    ``seconds`` is the limit of a check of one file. The ``case_seed`` determines its drawn cases: the same completions
    and case seed give the same verdicts.
    """

    case_seed: int
    stage: Stage = Stage.SCHEDULE
    policy: Policy = Policy.STRICT
    seconds: float = 30.0
    workers: int = 1
    isolation: Isolation | None = None
    engine: str = "local"
    address: str | None = None

    @property
    def verification(self) -> VerifySettings:
        """The settings of the checks."""
        return VerifySettings(stage=self.stage, policy=self.policy)


@dataclass(frozen=True)
class Scorer:
    """Grades completions; outcomes are cached in ``store`` by the bytes of their files."""

    reference: Reference
    settings: ScoreSettings
    store: Store
    _passed: dict[Key, Outcome] = field(default_factory=dict)

    def score(
        self, samples: Iterable[tuple[Row, Completion]], advance: Callable[[int], None] = lambda count: None
    ) -> Iterator[Verdict]:
        """Yield a verdict on each completion, in order and in batches.

        Raises:
            DatasetError: if the task of a row is unknown.
            EngineError: if no file can be executed on this machine.
            IsolationError: if this machine has no sandbox.
            UnknownNameError: if the architecture or the variant of a row is unknown.
        """
        batch: list[tuple[Row, Completion]] = []
        with nursery_process.kept():
            for sample in samples:
                batch.append(sample)
                if len(batch) == BATCH:
                    yield from self.batch(batch, advance)
                    batch = []
            yield from self.batch(batch, advance)

    def batch(
        self, samples: Sequence[tuple[Row, Completion]], advance: Callable[[int], None] = lambda count: None
    ) -> list[Verdict]:
        """The verdicts on some completions, in their order.

        Raises:
            As ``score``.
        """
        answers = [answer_of_row(row, completion.text) for row, completion in samples]
        made: list[Candidate | Grade] = []
        for (row, _), answer in zip(samples, answers, strict=True):
            if answer is None:
                made.append(Grade(False, "it has no answer in the requested form"))
            else:
                made.append(grading.assembled(Submission(row, answer.text), self.reference))
        candidates = {grading.key_of(each): each for each in made if isinstance(each, Candidate)}
        advance(sum(isinstance(each, Grade) for each in made))
        outcomes = self._outcomes(list(candidates.values()), made, advance)
        fractions = self._fractions(outcomes)
        verdicts, seen = [], set[Key]()
        for (row, completion), answer, each in zip(samples, answers, made, strict=True):
            grade, seconds = each, 0.0
            if isinstance(each, Candidate):
                assert answer is not None
                key = grading.key_of(each)
                outcome = outcomes[key]
                grade = grading.grade(Submission(row, answer.text), self.reference, outcome)
                if not grade.passed and key in fractions:
                    grade = replace(grade, fraction=fractions[key])
                if key not in seen and not outcome.reused:
                    seconds = outcome.seconds
                seen.add(key)
            assert isinstance(grade, Grade)
            verdicts.append(verdict_of(row, completion, answer, grade, seconds))
        return verdicts

    def _outcomes(
        self, candidates: Sequence[Candidate], made: Sequence[Candidate | Grade], advance: Callable[[int], None]
    ) -> dict[Key, Outcome]:
        """The outcome of each file.

        A file that differs from one that passed in comments and layout alone has its outcome: samples of one row often
        do. One that failed says nothing about the others, whose cases are drawn anew.
        """
        copies = Counter(grading.key_of(each) for each in made if isinstance(each, Candidate))
        outcomes: dict[Key, Outcome] = {}
        waiting = list(candidates)
        while waiting:
            first: dict[Key, Candidate] = {}
            later = []
            for candidate in waiting:
                alike = self._code_of(candidate)
                if alike in self._passed:
                    outcomes[grading.key_of(candidate)] = replace(self._passed[alike], candidate=candidate, seconds=0.0)
                    advance(copies[grading.key_of(candidate)])
                elif first.setdefault(alike, candidate) is not candidate:
                    later.append(candidate)
            for outcome in self._run(list(first.values())):
                key = grading.key_of(outcome.candidate)
                outcomes[key] = outcome
                if outcome.status.ok:
                    self._passed[self._code_of(outcome.candidate)] = outcome
                    if len(self._passed) > _REMEMBERED:
                        del self._passed[next(iter(self._passed))]
                advance(copies[key])
            waiting = later
        return outcomes

    def _run(self, candidates: list[Candidate]) -> Iterator[Outcome]:
        if not candidates:
            return
        settings = self.settings
        running = run.verify(
            candidates,
            settings.verification,
            self.store,
            workers=min(settings.workers, len(candidates)),
            timeout=settings.seconds,
            case_seed=settings.case_seed,
            isolation=settings.isolation,
            engine=settings.engine,
            address=settings.address,
        )
        with closing(running):
            yield from running

    def _code_of(self, candidate: Candidate) -> Key:
        """Return what decides whether a file passes: its code under the policy strict, else its bytes."""
        sha256, *_ = key = grading.key_of(candidate)
        if self.settings.policy is Policy.STRICT:
            with contextlib.suppress(SyntaxError, ValueError, RecursionError, MemoryError):
                sha256 = sha256_of(ast.dump(ast.parse(candidate.source)))
        return (sha256, *key[1:])

    def _fractions(self, outcomes: dict[Key, Outcome]) -> dict[Key, float]:
        """The partial credit of the files that failed in the schedule check.

        Where ``make_scheduler`` is right and ``learn`` is not, the cases count half; if ``learn`` never changes the
        learning rate, they do not count.
        """
        failed = {
            key: outcome
            for key, outcome in outcomes.items()
            if outcome.stage is Stage.SCHEDULE and outcome.status is Status.FAILED
        }
        weights = {key: _weight(outcome) for key, outcome in failed.items()}
        traced = [key for key, weight in weights.items() if weight]
        settings = self.settings
        fractions = partial.fractions(
            [failed[key].candidate for key in traced],
            self.reference.catalogue,
            settings.case_seed,
            settings.workers,
            settings.isolation,
        )
        return {key: weights[key] * fraction for key, fraction in zip(traced, fractions, strict=True)}


def _weight(outcome: Outcome) -> float:
    """The weight of the telling cases of a file that failed in the schedule check."""
    if outcome.reason.startswith(learn_reasons.NEVER):
        return 0.0
    return 0.5 if any(sentence.startswith(make_scheduler_trace.FOLLOWED) for sentence in outcome.evidence) else 1.0


def answer_of_row(row: Row, text: str) -> Answer | None:
    """The answer in a completion of a row, as its task asks for it."""
    entry = schedule_answers.entry_of(row)
    return answer_of(row["task"], text) if entry is None else schedule_answers.answer_of(row["task"], entry, text)


def sha256_of(text: str) -> str:
    """The sha256 of a completion, which may hold lone surrogates."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def verdict_of(row: Row, completion: Completion, answer: Answer | None, grade: Grade, seconds: float = 0.0) -> Verdict:
    """The verdict of a grade."""
    return Verdict(
        row_id=row["id"],
        sample=completion.sample,
        task=row["task"],
        split=row["split"],
        family=row["family"],
        architecture=row["architecture"],
        check=grade.check,
        fraction=grade.fraction,
        reward=ladder.reward_of(grade),
        passed=grade.passed,
        reason=grade.reason,
        seconds=round(seconds, 3),
        sha256=sha256_of(completion.text),
        form=answer.form if answer else "",
        answer=answer.text if answer else "",
    )
