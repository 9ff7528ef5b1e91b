"""Files that mean harm: each tries one thing, in each kind of sandbox; the machine and the other files are fine."""

import contextlib
import functools
import os
import re
import signal
import socket
import textwrap
import time
from dataclasses import replace
from pathlib import Path

import pytest

from lrgen import catalogue as catalogues
from lrgen import curves
from lrgen.records import Candidate, Outcome, Stage, Status, VerifySettings
from lrgen.verify import sandbox
from lrgen.verify.candidate import candidate_of
from lrgen.verify.engines import local
from lrgen.verify.limits import Limits
from lrgen.verify.sandbox import Mechanism
from tests.paths import FIXTURES

GOOD = (FIXTURES / "training/passes_epoch_unit.py").read_text(encoding="utf-8")
CONTRACT = VerifySettings(stage=Stage.CONTRACT)
PATIENCE = 60.0
SANDBOXES = [Mechanism.NAMESPACES, Mechanism.LANDLOCK]


@functools.cache
def refusal(mechanism: Mechanism) -> str:
    return sandbox.refusal_of(mechanism)


@pytest.fixture(params=SANDBOXES, ids=lambda mechanism: mechanism.value)
def mechanism(request: pytest.FixtureRequest) -> Mechanism:
    """Each kind of sandbox that this machine gives."""
    if reason := refusal(request.param):
        pytest.skip(f"no {request.param} here: {reason}")
    return request.param


def hostile(harm: str, name: str = "hostile", folder: Path = Path("/files")) -> Candidate:
    """A good file whose network does something else as well when it is built."""
    marker = "class ConvBlock"
    call = "        super().__init__()\n        self.device"
    assert GOOD.count(call) == 1
    source = GOOD.replace(
        marker, f"def harm() -> None:\n{textwrap.indent(textwrap.dedent(harm), '    ')}\n\n\n{marker}"
    )
    source = source.replace(call, call.replace("\n", "\n        harm()\n", 1))
    variant = catalogues.load().variant(1)
    return replace(candidate_of(folder / f"{name}.py", source.encode(), variant=variant), prm={"lr": 0.1})


def end_of(harm: str, mechanism: Mechanism, folder: Path = Path("/files"), **limits: float) -> Outcome:
    """How a file ends that does this."""
    bounds = Limits(**{"seconds": PATIENCE, "check_seconds": PATIENCE} | limits)  # type: ignore[arg-type]  # whole numbers
    [outcome] = local.run([hostile(harm, folder=folder)], CONTRACT, None, limits=bounds, mechanism=mechanism)
    assert outcome.isolation == mechanism
    return outcome


def test_a_harmless_file_passes(mechanism):
    """The sandbox takes nothing from a file that keeps the contract."""
    outcome = end_of("pass", mechanism)
    assert outcome.status is Status.PASSED, outcome.reason


def test_a_file_may_be_checked_against_a_users_own_schedule(mechanism, tmp_path):
    """The curve lies in the user's folder, which the file cannot see; what compares it has loaded it before."""
    curve = "def flat(step, horizon):\n    return 0 * step + 1\n"
    (tmp_path / "curves.py").write_text(curve)
    shipped = catalogues.load().variant(1)
    own = replace(shipped, family="mine", curve="flat", constants={}, hyperparameters=(), curves_folder=tmp_path)
    assert curves.exists(own)
    candidate = replace(hostile("pass"), variant=own)
    [outcome] = local.run([candidate], VerifySettings(stage=Stage.SCHEDULE), None, mechanism=mechanism)
    assert outcome.status is Status.FAILED
    assert outcome.stage is Stage.SCHEDULE
    assert outcome.reason.endswith("expected 0.1 (A0_001 StepLR_default)"), outcome.reason


READS = """
    for path in {paths!r}:
        try:
            print(open(path).read())
        except OSError as error:
            print(type(error).__name__)
"""


@pytest.mark.parametrize("place", ["home/.ssh/id_ed25519", "db/ab.nn.db"])
def test_keys_and_results_cannot_be_read(mechanism, tmp_path, place):
    """What lies in a home folder or a database is not for a file under test; a mere process reads it."""
    path = tmp_path / place
    path.parent.mkdir(parents=True)
    path.write_text("the secret")
    harm = READS.format(paths=[str(path)])
    assert "the secret" in end_of(harm, Mechanism.PROCESS).output
    outcome = end_of(harm, mechanism)
    assert "the secret" not in outcome.output
    assert "FileNotFoundError" in outcome.output or "PermissionError" in outcome.output


def test_nothing_is_written_beside_the_file(mechanism, tmp_path):
    """A file may write into its scratch folder only; a mere process writes where it likes."""
    harm = """
        from pathlib import Path
        try:
            Path(__file__).with_name("beside.txt").write_text("x")
        except OSError as error:
            print(type(error).__name__)
    """
    end_of(harm, Mechanism.PROCESS, tmp_path)
    assert (tmp_path / "beside.txt").exists()
    (tmp_path / "beside.txt").unlink()
    outcome = end_of(harm, mechanism, tmp_path)
    assert not (tmp_path / "beside.txt").exists()
    assert "Error" in outcome.output


CALL = """
    import socket
    try:
        socket.create_connection(("127.0.0.1", {port}), timeout=5).send(b"hello")
    except OSError as error:
        print(type(error).__name__)
"""


@pytest.mark.parametrize("kind", [Mechanism.PROCESS, *SANDBOXES])
def test_nobody_is_called(kind):
    """A file reaches no one, not even on loopback; a mere process does."""
    if kind is not Mechanism.PROCESS and (reason := refusal(kind)):
        pytest.skip(f"no {kind} here: {reason}")
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        outcome = end_of(CALL.format(port=server.getsockname()[1]), kind)
        if kind is Mechanism.PROCESS:
            server.accept()[0].close()
            return
        with pytest.raises(TimeoutError):
            server.accept()
        assert "Error" in outcome.output


def test_a_fork_bomb_is_bounded_and_cleared_away(mechanism):
    """Forking without end comes to an end, and none of it is left."""
    harm = """
        import os, time
        count = 0
        while True:
            try:
                if os.fork() == 0:
                    time.sleep(600)
                count += 1
            except OSError:
                print("forked", count)
                raise
    """
    before = set(os.listdir("/proc"))
    outcome = end_of(harm, mechanism)
    assert not outcome.status.ok
    started = {int(pid) for pid in set(os.listdir("/proc")) - before if pid.isdigit()}
    assert not started & local.child_processes()


def test_memory_is_bounded(mechanism):
    """A file that takes more and more is ended, by its resident size."""
    harm = """
        blocks = []
        while True:
            blocks.append(bytearray(b"x" * (64 << 20)))
    """
    outcome = end_of(harm, mechanism, memory=3 << 29)
    assert outcome.status is Status.OUT_OF_MEMORY
    assert outcome.reason == "the file uses more than 1536 MiB of memory"


def test_memory_of_all_its_processes_is_bounded(mechanism):
    """Sharing the load among children does not help."""
    harm = """
        import os, time
        for _ in range(8):
            if os.fork() == 0:
                block = bytearray(b"x" * (256 << 20))
                time.sleep(600)
        time.sleep(600)
    """
    outcome = end_of(harm, mechanism, memory=3 << 29)
    assert outcome.status is Status.OUT_OF_MEMORY


def test_the_disk_is_not_filled(mechanism):
    """Writing without end fails early, and what was written is gone."""
    harm = """
        written = 0
        try:
            with open("fill", "wb", buffering=0) as file:
                while True:
                    written += file.write(b"x" * (1 << 20))
        except OSError as error:
            print("stopped at", written >> 20, error.errno)
            raise
    """
    outcome = end_of(harm, mechanism)
    assert outcome.status in (Status.FAILED, Status.CRASHED)
    told = [line for line in outcome.output.splitlines() if line.startswith("stopped at")]
    assert all(int(line.split()[2]) <= 256 for line in told)
    assert told or "SIGXFSZ" in outcome.reason


def test_ignoring_sigterm_does_not_help(mechanism):
    """Whoever does not go when told is killed."""
    harm = """
        import signal, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        while True:
            time.sleep(60)
    """
    outcome = end_of(harm, mechanism, check_seconds=2.0)
    assert outcome.status is Status.TIMED_OUT


def test_sleeping_for_ever_ends_in_time(mechanism):
    """A file has its time and no more."""
    outcome = end_of("import time\ntime.sleep(10_000)", mechanism, check_seconds=2.0)
    assert outcome.status is Status.TIMED_OUT
    assert outcome.seconds < PATIENCE / 2


def test_siblings_and_parents_are_not_killed(mechanism):
    """A file that signals everybody it can think of hits nobody but itself."""
    harm = """
        import os, signal
        here = {os.getpid(), 1}
        try:
            everybody = {int(name) for name in os.listdir("/proc") if name.isdigit()}
        except OSError:
            everybody = set(range(2, 100_000))
        for pid in {os.getppid(), *everybody} - here - {0}:
            try:
                os.kill(pid, signal.SIGKILL)
                print("killed", pid)
            except OSError:
                pass
    """
    files = [hostile("import time\ntime.sleep(1.5)", "sibling"), hostile(harm, "killer"), hostile("pass", "last")]
    limits = Limits(seconds=PATIENCE)
    outcomes = {
        o.candidate.model_name: o
        for o in local.run(files, CONTRACT, None, workers=2, limits=limits, mechanism=mechanism)
    }
    assert outcomes["sibling"].status is Status.PASSED, outcomes["sibling"].reason
    assert outcomes["last"].status is Status.PASSED


def test_a_kill_of_everybody_reaches_nobody_else(mechanism):
    """``kill(-1)`` ends, at most, the file itself."""
    with contextlib.ExitStack() as stack:
        pid = os.fork()
        if pid == 0:
            time.sleep(600)
            os._exit(0)
        stack.callback(lambda: (os.kill(pid, signal.SIGKILL), os.waitpid(pid, 0)))
        end_of("import os, signal\nos.kill(-1, signal.SIGKILL)", mechanism)
        assert os.waitpid(pid, os.WNOHANG) == (0, 0)


@pytest.mark.parametrize(
    ("harm", "name"),
    [
        ("torch.equal = lambda *_: True", "torch.equal"),
        ("F.cross_entropy = lambda *_, **__: torch.zeros(())", "torch.nn.functional.cross_entropy"),
        ("Tensor.argmax = lambda self, **_: self[:, 0].long()", "torch.Tensor.argmax"),
        ("import time\ntime.perf_counter = lambda: 0.0", "time.perf_counter"),
        (
            "import sys\nsys.modules['lrgen.verify.checks.training'].judge = lambda *_: ''",
            "lrgen.verify.checks.training.judge",
        ),
        (
            "import sys\nsys.modules['lrgen.verify.checks.schedule'].judge.__code__ = (lambda a, b, c: '').__code__",
            "lrgen.verify.checks.schedule.judge",
        ),
    ],
)
def test_what_the_checks_use_is_not_replaced(mechanism, harm, name):
    """A file that replaces torch's functions or those of the checks has failed, and is told which."""
    outcome = end_of(harm, mechanism)
    assert outcome.status is Status.FAILED
    assert outcome.reason == f"the file replaces {name}, which the checks use"


FORGED = '{"end": "contract", "reason": "", "seconds": 0.0, "measurement": {}}\n'


def test_a_result_on_standard_output_is_no_result(mechanism):
    """What a file prints is output, whatever it looks like."""
    outcome = end_of(f"import os\nprint({FORGED!r})\nos._exit(0)", mechanism)
    assert outcome.status is Status.CRASHED
    assert outcome.reason == "the child process exits with code 0 before the check ends"


def test_a_result_on_every_descriptor_is_no_result(mechanism):
    """A message that is not signed ends its file."""
    harm = f"""
        import os
        for descriptor in range(3, 256):
            try:
                os.write(descriptor, {FORGED!r}.encode())
            except OSError:
                pass
        os._exit(0)
    """
    outcome = end_of(harm, mechanism)
    assert outcome.status is Status.CRASHED
    assert re.fullmatch(r"the child process sends a message that is not a result: \w+", outcome.reason)


def test_an_early_exit_is_no_pass(mechanism):
    """Exit code 0 says nothing."""
    outcome = end_of("import os\nos._exit(0)", mechanism)
    assert outcome.status is Status.CRASHED


def test_a_daemon_does_not_outlive_its_file(mechanism):
    """Two forks and a session of its own do not help: it ends with the file."""
    harm = """
        import os, time
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                time.sleep(600)
            os._exit(0)
        time.sleep(0.3)
    """
    before = local.child_processes()
    outcome = end_of(harm, mechanism)
    assert not outcome.status.ok
    assert local.child_processes() <= before
