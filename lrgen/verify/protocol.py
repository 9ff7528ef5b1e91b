"""What the child of one file says, as far as it is believed, and how the file ended.

A message is a line of JSON (see lrgen.verify.child). It is believed when it is signed with the secret that the child
was given before it ran anything, comes in the order of the checks, and claims nothing that the parent knows better: a
comparison is made again, a time is not longer than it was here.
"""

import hmac
import json
import os
import signal
import time
from dataclasses import dataclass, field
from typing import Any

from lrgen.records import Candidate, CheckReport, EpochReport, Outcome, Stage, Status, VerifySettings
from lrgen.verify.checks import schedule, training, up_to
from lrgen.verify.limits import Limits
from lrgen.verify.sandbox import Mechanism

# How much longer than here a check may claim to have taken: the clocks are read in two processes.
_SLACK = 1.0
_TAIL = 4096


@dataclass(eq=False)
class Account:
    """One file's verification as its child tells it. ``end`` is what the parent found to be wrong with the child."""

    candidate: Candidate
    settings: VerifySettings
    limits: Limits
    mechanism: Mechanism = Mechanism.PROCESS
    secret: str = field(default_factory=lambda: os.urandom(16).hex())
    stage: Stage = Stage.SYNTAX
    checks: list[CheckReport] = field(default_factory=list)
    epochs: tuple[EpochReport, ...] = ()
    trace: str | None = None
    end: tuple[Status, str] | None = None
    done: bool = False

    def __post_init__(self) -> None:
        self.plan = training.plan_of(self.candidate, self.settings)
        self.started = self._begun_at = time.monotonic()
        self.deadline = self.started + self.limits.of(Stage.SYNTAX, self.plan.budget)
        self._begun = 0
        self._buffer = bytearray()
        self._received = self._printed = 0
        self._tail = b""

    def hear(self, data: bytes) -> None:
        """Take in what came over the pipe of the messages; ``end`` says when it cannot be believed."""
        if self.end is not None:
            return
        self._received += len(data)
        unread = len(self._buffer)
        self._buffer += data
        if self._received > self.limits.messages:
            self.stop(Status.CRASHED, f"sends more than {self.limits.messages} bytes of results")
        while self.end is None and (cut := self._buffer.find(b"\n", unread)) >= 0:
            line = bytes(self._buffer[:cut])
            del self._buffer[: cut + 1]
            unread = 0
            try:
                self._understand(json.loads(line))
            except Exception as error:  # noqa: BLE001  a forged message may make the judge raise anything
                self.stop(Status.CRASHED, f"sends something that is not a result: {type(error).__name__}")

    def listen(self, data: bytes) -> None:
        """Take in what the file prints, and keep the end of it."""
        self._printed += len(data)
        self._tail = (self._tail + data)[-_TAIL:]
        if self._printed > self.limits.output:
            self.stop(Status.FAILED, f"prints more than {self.limits.output} bytes of output")

    def stop(self, status: Status, reason: str) -> None:
        """Say why the child must end; the first reason stands."""
        self.end = self.end or (status, reason)

    def watch(self, now: float, resident: int) -> None:
        """Stop the running child when it exceeds its time or its memory."""
        if now >= self.deadline:
            self.stop(Status.TIMED_OUT, f"takes longer than {self.limits.of(self.stage, self.plan.budget):g} s")
        elif self.limits.memory and resident > self.limits.memory:
            self.stop(Status.OUT_OF_MEMORY, f"uses more than {self.limits.memory >> 20} MiB of memory")

    def outcome(self, wait_status: int, left: int) -> Outcome:
        """How the file ended, ``left`` being the number of processes that it left running."""
        status, stage, reason = self.verdict(wait_status, left)
        return Outcome(
            candidate=self.candidate,
            status=status,
            stage=stage,
            reason=reason,
            seconds=time.monotonic() - self.started,
            checks=tuple(self.checks),
            epochs=self.epochs,
            accuracy=max((epoch.accuracy for epoch in self.epochs), default=None),
            training=self.plan.training if self.epochs else None,
            base_lr=self.plan.lr if self.epochs else None,
            output=self._tail.decode(errors="replace"),
            isolation=self.mechanism.value,
            trace=self.trace,
        )

    def verdict(self, wait_status: int, left: int) -> tuple[Status, Stage, str]:
        """The gravest finding: a limit, a failed check, a crash, what is left running; of a file that passed, whether
        all checks were run, and against a claim.
        """
        if self.end is not None:
            return self.end[0], self.stage, self.end[1]
        failed = next((report for report in self.checks if not report.passed), None)
        if failed is not None:
            return Status.FAILED, failed.stage, failed.reason
        wanted = list(Stage).index(self.settings.stage) + 1
        if os.WIFSIGNALED(wait_status):
            return Status.CRASHED, self.stage, _killed_by(os.WTERMSIG(wait_status))
        code = os.waitstatus_to_exitcode(wait_status)
        if code != 0 or len(self.checks) < wanted:
            lines = self._tail.decode(errors="replace").strip().splitlines()
            hint = f": {lines[-1][:300]}" if lines and code else ""
            return Status.CRASHED, self.stage, f"exits with code {code} before the check is over{hint}"
        if left:
            return Status.FAILED, self.stage, "leaves processes of its own running"
        stage = self.settings.stage
        if self.candidate.variant is None and stage in (Stage.SCHEDULE, Stage.TRAINING):
            return Status.UNCLAIMED, stage, "there is no variant to compare its schedule with"
        return Status.VERIFIED if stage is Stage.TRAINING else Status.PASSED, stage, ""

    def _understand(self, message: dict[str, Any]) -> None:
        if not hmac.compare_digest(str(message["by"]), self.secret):
            raise PermissionError("the message is not the check's own")
        if "start" in message:
            self._begin(Stage(message["start"]))
        elif "memory" in message:
            self.stop(Status.OUT_OF_MEMORY, _told(message["memory"])[:500])
        elif "done" in message:
            self.done = True
        else:
            self._judge(
                Stage(message["end"]), _told(message["reason"]), float(message["seconds"]), message["measurement"]
            )

    def _begin(self, stage: Stage) -> None:
        position = list(Stage).index(stage)
        if position < self._begun:  # a check begins once: saying so again does not win time
            return
        self._begun = position + 1
        self.stage = stage
        self._begun_at = time.monotonic()
        self.deadline = self._begun_at + self.limits.of(stage, self.plan.budget)

    def _judge(self, stage: Stage, reason: str, seconds: float, measurement: dict[str, Any]) -> None:
        check = up_to(self.settings.stage)[len(self.checks)]
        if check.STAGE is not stage:
            raise ValueError("the checks end in another order")
        if not 0 <= seconds <= time.monotonic() - self._begun_at + _SLACK:
            raise ValueError("a check claims more time than there was")
        epochs = training.reports(measurement) if check is training and measurement else ()
        if sum(epoch.seconds for epoch in epochs) > seconds + _SLACK:
            raise ValueError("the epochs claim more time than there was")
        reason = reason[:1000] or _told(check.judge(self.candidate, self.settings, measurement))
        self.checks.append(CheckReport(stage, not reason, reason, seconds))
        self.epochs = epochs or self.epochs
        if check is schedule and not reason:
            self.trace = schedule.trace_of(self.candidate, measurement)


def _told(text: object) -> str:
    """What a file says of itself, as text that any database takes."""
    return str(text).encode("utf-8", "backslashreplace").decode().replace("\0", "\\0")


def _killed_by(number: int) -> str:
    if number == signal.SIGKILL:
        return "was killed by SIGKILL, by itself or by a system short of memory"
    name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
    return f"was killed by {name}"
