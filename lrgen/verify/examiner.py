"""The examiner: it runs the checks of one file and turns whatever happens into one outcome.

The file runs in processes of its own (``session``). Everything that it is compared with, and every comparison, is here.
"""

import time
from dataclasses import dataclass

from lrgen.data import Dataset
from lrgen.errors import EngineError
from lrgen.records import Candidate, CheckReport, Outcome, Stage, Status, VerifySettings
from lrgen.verify.checks import Check, up_to
from lrgen.verify.checks.draw import draw_for
from lrgen.verify.checks.examination import Examination
from lrgen.verify.checks.failure import CheckFailure
from lrgen.verify.checks.training_plan import budget_of
from lrgen.verify.messages import printable
from lrgen.verify.nursery_process import Nursery
from lrgen.verify.parts.checks import PartChecks, separate
from lrgen.verify.parts.evidence import Evidence
from lrgen.verify.parts.shared import SharedProcesses
from lrgen.verify.session import Ended, Place, Session

_MAX_REASON = 1000  # characters


@dataclass(frozen=True)
class Examiner:
    """Examines files one after another; several examiners may share a nursery.

    ``case_seed`` and the hash of a file determine its drawn cases. With ``evidence`` the parts of rendered files are
    executed once, where they are separate; files whose parts were executed use ``shared`` processes.
    """

    settings: VerifySettings
    dataset: Dataset | None
    nursery: Nursery
    place: Place
    case_seed: int
    evidence: Evidence | None = None
    shared: SharedProcesses | None = None

    def examine(self, candidate: Candidate) -> Outcome:
        """Run the checks of a file in their order, until one fails.

        Raises:
            EngineError: if the nursery cannot be started again.
        """
        parts = None
        whole = self.settings.whole or self.settings.given
        if self.evidence is not None and not whole and separate(candidate):
            parts = PartChecks(self.evidence, self.case_seed)
            if self.shared is not None and parts.is_wired_alone(candidate):
                session, files = self.shared.take()
                outcome = self._examine(candidate, parts, session)
                if outcome.status.ok:
                    self.shared.give_back(session, files + 1)
                    return outcome
                session.close()  # what went before may be the cause: the file gets a process of its own
        return self._examine(candidate, parts)

    def _examine(self, candidate: Candidate, parts: PartChecks | None, lent: Session | None = None) -> Outcome:
        started = time.monotonic()
        examination = Examination(
            candidate,
            self.settings,
            self.nursery,
            self.place,
            draw_for(self.case_seed, candidate.sha256),
            self.dataset,
            lent=lent,
        )
        stage, status, reason = Stage.SYNTAX, Status.PASSED, ""
        try:
            for check in up_to(self.settings.stage, candidate):
                stage = check.STAGE
                status, reason = self._run(check, examination, parts)
                if status is not Status.PASSED:
                    break
        finally:
            examination.close()
        passed = status is Status.PASSED
        if passed and examination.orphans:
            status, reason = Status.FAILED, "the file leaves processes of its own running"
        elif (
            passed
            and candidate.variant is None
            and candidate.claim is None
            and stage in (Stage.SCHEDULE, Stage.TRAINING)
        ):
            status, reason = Status.UNCLAIMED, "there is no variant to compare its schedule with"
        elif passed and stage is Stage.TRAINING:
            status = Status.VERIFIED
        return Outcome(
            candidate=candidate,
            status=status,
            stage=stage,
            reason=reason,
            seconds=time.monotonic() - started,
            checks=tuple(examination.checks),
            epochs=examination.epochs,
            accuracy=max((epoch.accuracy for epoch in examination.epochs), default=None),
            training=examination.training if examination.epochs else None,
            base_lr=examination.base_lr if examination.epochs else None,
            output=printable_output(examination.output),
            isolation=self.place.mechanism.value,
            trace=examination.trace,
            case_seed=self.case_seed,
            evidence=tuple(dict.fromkeys(examination.evidence)),
            architecture=examination.architecture,
            diagnosis=examination.diagnosis,
        )

    def _run(self, check: Check, examination: Examination, parts: PartChecks | None) -> tuple[Status, str]:
        """Run one check; returns the status and the reason, which is empty if the file passed."""
        examination.begin(check.STAGE, budget_of(examination.candidate, self.settings))
        began = time.monotonic()
        try:
            if parts is not None and check.STAGE in (Stage.CONTRACT, Stage.SCHEDULE):
                _run_parts(check, examination, parts)
            else:
                check.run(examination)
        except CheckFailure as failure:
            reason = printable(str(failure), _MAX_REASON)
            examination.checks.append(CheckReport(check.STAGE, False, reason, time.monotonic() - began))
            return Status.FAILED, reason
        except Ended as end:
            return end.status, printable(end.reason, _MAX_REASON)
        except EngineError:
            raise
        except Exception as error:  # noqa: BLE001  whatever a file's answers do to a comparison ends that file alone
            return Status.CRASHED, printable(
                f"the {check.STAGE} check cannot use the answers of the file: {type(error).__name__}: {error}",
                _MAX_REASON,
            )
        examination.checks.append(CheckReport(check.STAGE, True, "", time.monotonic() - began))
        return Status.PASSED, ""


def _run_parts(check: Check, examination: Examination, parts: PartChecks) -> None:
    """Run a check by the parts of a file; a drawn file is also executed whole, which must end in the same way."""
    parts.run(check.STAGE, examination)
    if parts.is_beside(examination.candidate):
        before = examination.trace
        try:
            check.run(examination)
        except CheckFailure as failure:
            raise CheckFailure(f"executed whole it fails, unlike its parts: {failure}") from failure
        if check.STAGE is Stage.SCHEDULE and examination.trace != before:
            raise CheckFailure("executed whole it has other learning rates than its schedule alone")
        examination.evidence.append("executed whole as well")


def printable_output(output: bytes) -> str:
    """The output of a file, with its line breaks and without other control characters."""
    return "\n".join(printable(line, len(line)) for line in output.decode(errors="replace").split("\n"))
