"""The contract and the schedule check of a rendered file whose parts are executed once."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from lrgen.records import Candidate, PartEvidence, Parts, Stage
from lrgen.verify.candidate import candidate_of
from lrgen.verify.checks import contract, learn_trace, make_scheduler_trace, practices, syntax, wiring
from lrgen.verify.checks.draw import draw_for
from lrgen.verify.checks.examination import Examination
from lrgen.verify.checks.failure import CheckFailure
from lrgen.verify.checks.schedule import digest_of
from lrgen.verify.parts.evidence import Evidence, Key, Kind, key_of
from lrgen.verify.parts.host import host_of
from lrgen.verify.parts.names import outputs_of
from lrgen.verify.parts.separate import why_whole

BESIDE = 1 / 500  # of the files, drawn: they are executed whole as well
_HOST = "a host network"
_WHAT = {
    Kind.CONTRACT: "the contract of the network",
    Kind.MAKE_SCHEDULER: "make_scheduler",
    Kind.LEARN: "learn with this schedule",
    Kind.TRAINING: "learn with this network",
}


@dataclass(frozen=True)
class PartChecks:
    """The checks of files by their parts; ``case_seed`` is that of the run."""

    evidence: Evidence
    case_seed: int

    def run(self, stage: Stage, examination: Examination) -> None:
        """Run the contract or the schedule check of a file.

        Raises:
            CheckFailure: at the first violation, in this file or in one of its parts.
        """
        parts = examination.candidate.parts
        assert parts is not None
        if stage is Stage.CONTRACT:
            self._contract(examination)
        else:
            self._schedule(examination, parts)

    def is_wired_alone(self, candidate: Candidate) -> bool:
        """Whether all that is executed in a file was executed in another one, but for the updates that wire it."""
        keys = (_key(kind, candidate) for kind in (Kind.CONTRACT, Kind.MAKE_SCHEDULER, Kind.TRAINING))
        return not self.is_beside(candidate) and self.evidence.has(*keys)

    def is_beside(self, candidate: Candidate) -> bool:
        """Whether a file is drawn to be executed whole as well."""
        return draw_for(self.case_seed, candidate.sha256).stream("beside").random() < BESIDE

    def _contract(self, examination: Examination) -> None:
        if not self._once(examination, Kind.CONTRACT, lambda: contract.run(examination)):
            contract.load(examination)

    def _schedule(self, examination: Examination, parts: Parts) -> None:
        def trace() -> None:
            variant = examination.candidate.variant
            assert variant is not None
            examination.trace = digest_of(variant, make_scheduler_trace.run(examination))

        self._once(examination, Kind.MAKE_SCHEDULER, trace)
        self._once(examination, Kind.LEARN, lambda: self._on_host(examination, parts))
        if not self._once(examination, Kind.TRAINING, lambda: wiring.run(examination, None)):
            wiring.run(examination, outputs_of(parts.training))
        examination.evidence.append(f"{wiring.UPDATES} updates of this network were compared")

    def _once(self, examination: Examination, kind: Kind, execute: Callable[[], None]) -> bool:
        """Execute some parts, unless there is evidence; whether they were executed. Adds the evidence to the file's."""
        executed = False

        def make() -> PartEvidence:
            nonlocal executed
            before = len(examination.evidence)
            execute()
            executed = True
            sentences = tuple(examination.evidence[before:])
            del examination.evidence[before:]
            place = _HOST if kind is Kind.LEARN else str(Path(*examination.candidate.path.parts[-2:]))
            return PartEvidence(*key, place, self.case_seed, sentences, examination.trace)

        key = _key(kind, examination.candidate)
        evidence = self.evidence.once(key, make)
        if kind is Kind.MAKE_SCHEDULER:
            examination.trace = evidence.trace
        place = "in this file" if executed and kind is not Kind.LEARN else f"in {evidence.executed_in}"
        examination.evidence.append(f"{_WHAT[kind]}: executed {place}, case seed {evidence.case_seed}")
        examination.evidence += evidence.sentences
        return executed

    def _on_host(self, examination: Examination, parts: Parts) -> None:
        """Run the contract and ``learn`` of the training methods and the schedule on a host."""
        candidate = candidate_of(Path("host.py"), host_of(parts).encode(), None, examination.candidate.variant)
        host = replace(
            examination,
            candidate=candidate,
            draw=draw_for(self.case_seed, candidate.sha256),
            tree=None,
            loaded=None,
            lent=None,
            checks=[],
            evidence=[],
            output=b"",
            _sessions=[],
        )
        try:
            host.begin(Stage.SCHEDULE, None)
            syntax.run(host)
            contract.run(host)
            if not practices.has_other_examples(candidate.variant):
                learn_trace.run(host)
            practices.check(host)
        except CheckFailure as failure:
            raise CheckFailure(f"on {_HOST}: {failure}") from failure
        finally:
            host.close()
        if host.orphans:
            raise CheckFailure(f"on {_HOST}: the file leaves processes of its own running")
        examination.evidence += host.evidence


def _key(kind: Kind, candidate: Candidate) -> Key:
    """The key of the parts that are executed, and of the curve with which they are compared."""
    parts = candidate.parts
    assert parts is not None
    return key_of(
        kind,
        *{
            Kind.CONTRACT: [parts.network],
            Kind.MAKE_SCHEDULER: [parts.schedule],
            Kind.LEARN: [parts.training, parts.schedule],
            Kind.TRAINING: [parts.network, parts.training],
        }[kind],
        curve=candidate.variant if kind in (Kind.MAKE_SCHEDULER, Kind.LEARN) else None,
    )


def separate(candidate: Candidate) -> bool:
    """Whether the parts of a file are executed once: they are lrgen's own, and its claims are those of its text."""
    variant = candidate.variant
    if (
        candidate.parts is None
        or variant is None
        or variant.curves_folder is not None
        or candidate.reference is not None
    ):
        return False
    return not why_whole(candidate.parts)
