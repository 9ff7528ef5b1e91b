"""The parent's end of the protocol with a child: messages are validated and become the outcome of one file.

A message is a line of JSON (see lrgen.verify.child). The parent accepts it if it carries the secret that the child got
before it ran any file, follows the order of the checks, and agrees with what the parent can verify: the parent repeats
each comparison and measures the time itself.
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

# Seconds by which a claimed duration may exceed the parent's own: the clocks are read in two processes.
_SLACK = 1.0
_OUTPUT_TAIL = 4096  # bytes
_MAX_REASON = 1000  # characters


@dataclass(eq=False)
class ChildProtocol:
    """The verification of one file as its child reports it.

    ``end`` is the status and the reason with which the parent ends the child (None: it found no fault).
    """

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
        self._stages_begun = 0
        self._buffer = bytearray()
        self._received_bytes = self._output_bytes = 0
        self._output_tail = b""

    def receive(self, data: bytes) -> None:
        """Parse data from the pipe of the messages; sets ``end`` at the first invalid message."""
        if self.end is not None:
            return
        self._received_bytes += len(data)
        unread = len(self._buffer)
        self._buffer += data
        if self._received_bytes > self.limits.messages:
            self.stop(Status.CRASHED, f"the child process sends more than {self.limits.messages} bytes of results")
        while self.end is None and (newline := self._buffer.find(b"\n", unread)) >= 0:
            line = bytes(self._buffer[:newline])
            del self._buffer[: newline + 1]
            unread = 0
            try:
                self.receive_message(json.loads(line))
            except Exception as error:  # noqa: BLE001  a forged message may make a judge raise any exception
                self.stop(
                    Status.CRASHED, f"the child process sends a message that is not a result: {type(error).__name__}"
                )

    def receive_message(self, message: dict[str, Any]) -> None:
        """Record one message.

        Raises:
            PermissionError: if the message does not carry the child's secret.
            Exception: of any kind, if the message is malformed or contradicts what the parent measured.
        """
        if not hmac.compare_digest(str(message["by"]), self.secret):
            raise PermissionError("the message does not carry the secret of the child")
        if "start" in message:
            self._begin(Stage(message["start"]))
        elif "memory" in message:
            self.stop(Status.OUT_OF_MEMORY, _storable(message["memory"])[:_MAX_REASON])
        elif "done" in message:
            self.done = True
        else:
            self._judge(
                Stage(message["end"]), _storable(message["reason"]), float(message["seconds"]), message["measurement"]
            )

    def receive_output(self, data: bytes) -> None:
        """Count the output of the file, and keep the last bytes of it."""
        self._output_bytes += len(data)
        self._output_tail = (self._output_tail + data)[-_OUTPUT_TAIL:]
        if self._output_bytes > self.limits.output:
            self.stop(Status.FAILED, f"the file prints more than {self.limits.output} bytes")

    def stop(self, status: Status, reason: str) -> None:
        """Set the ``end`` of the child; the first call counts."""
        self.end = self.end or (status, reason)

    def check_limits(self, now: float, resident: int) -> None:
        """Stop the child if it exceeds its time or, with ``resident`` bytes, its memory."""
        if now >= self.deadline:
            seconds = self.limits.of(self.stage, self.plan.budget)
            self.stop(Status.TIMED_OUT, f"the {self.stage} check takes longer than {seconds:g} s")
        elif self.limits.memory and resident > self.limits.memory:
            self.stop(Status.OUT_OF_MEMORY, f"the file uses more than {self.limits.memory >> 20} MiB of memory")

    def outcome(self, wait_status: int, orphans: int) -> Outcome:
        """The outcome of the file, which left the number ``orphans`` of processes running."""
        status, stage, reason = self.verdict(wait_status, orphans)
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
            output=self._output_tail.decode(errors="replace"),
            isolation=self.mechanism.value,
            trace=self.trace,
        )

    def verdict(self, wait_status: int, orphans: int) -> tuple[Status, Stage, str]:
        """The status of the file, its last check and the reason.

        A file that did not pass has the first of these faults that applies: an exceeded limit, a failed check, a crash,
        processes left running.
        """
        if self.end is not None:
            return self.end[0], self.stage, self.end[1]
        failed = next((report for report in self.checks if not report.passed), None)
        if failed is not None:
            return Status.FAILED, failed.stage, failed.reason
        requested = len(up_to(self.settings.stage))
        if os.WIFSIGNALED(wait_status):
            return Status.CRASHED, self.stage, _killed_by(os.WTERMSIG(wait_status))
        code = os.waitstatus_to_exitcode(wait_status)
        if code != 0 or len(self.checks) < requested:
            lines = self._output_tail.decode(errors="replace").strip().splitlines()
            hint = f": {lines[-1][:300]}" if lines and code else ""
            return Status.CRASHED, self.stage, f"the child process exits with code {code} before the check ends{hint}"
        if orphans:
            return Status.FAILED, self.stage, "the file leaves processes of its own running"
        stage = self.settings.stage
        if self.candidate.variant is None and stage in (Stage.SCHEDULE, Stage.TRAINING):
            return Status.UNCLAIMED, stage, "there is no variant to compare its schedule with"
        return Status.VERIFIED if stage is Stage.TRAINING else Status.PASSED, stage, ""

    def _begin(self, stage: Stage) -> None:
        position = list(Stage).index(stage)
        if position < self._stages_begun:  # a repeated message must not extend the deadline
            return
        self._stages_begun = position + 1
        self.stage = stage
        self._begun_at = time.monotonic()
        self.deadline = self._begun_at + self.limits.of(stage, self.plan.budget)

    def _judge(self, stage: Stage, reason: str, seconds: float, measurement: dict[str, Any]) -> None:
        check = up_to(self.settings.stage)[len(self.checks)]
        if check.STAGE is not stage:
            raise ValueError(f"expected the end of the {check.STAGE} check, got that of the {stage} check")
        if not 0 <= seconds <= time.monotonic() - self._begun_at + _SLACK:
            raise ValueError(f"the {stage} check claims {seconds:g} s, more than have passed")
        epochs = training.reports(measurement) if check is training and measurement else ()
        if sum(epoch.seconds for epoch in epochs) > seconds + _SLACK:
            raise ValueError(f"the epochs claim more than the {seconds:g} s of the {stage} check")
        reason = (reason or _storable(check.judge(self.candidate, self.settings, measurement)))[:_MAX_REASON]
        self.checks.append(CheckReport(stage, not reason, reason, seconds))
        self.epochs = epochs or self.epochs
        if check is schedule and not reason:
            self.trace = schedule.trace_of(self.candidate, measurement)


def _storable(text: object) -> str:
    """Text from a child, in a form that every database accepts."""
    return str(text).encode("utf-8", "backslashreplace").decode().replace("\0", "\\0")


def _killed_by(number: int) -> str:
    if number == signal.SIGKILL:
        return "the child process was killed by SIGKILL: by the file itself, or by the kernel for lack of memory"
    name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
    return f"the child process was killed by {name}"
