"""Hostile files in each kind of sandbox: none harms the machine, another file or its own verdict."""

import contextlib
import functools
import os
import re
import signal
import socket
import textwrap
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from lrgen import catalogue as catalogues
from lrgen import curves
from lrgen.records import Candidate, Outcome, Stage, Status, VerifySettings
from lrgen.verify import isolation
from lrgen.verify.candidate import candidate_of
from lrgen.verify.engines import local
from lrgen.verify.limits import Limits
from lrgen.verify.nursery_process import Nursery
from lrgen.verify.sandbox import Mechanism
from tests.paths import FIXTURES
from tests.verify.processes import children_of

GOOD = (FIXTURES / "training/passes_epoch_unit.py").read_text(encoding="utf-8")
CONTRACT = VerifySettings(stage=Stage.CONTRACT)
TIMEOUT = 60.0
SANDBOXES = [Mechanism.NAMESPACES, Mechanism.LANDLOCK]


@functools.cache
def refusal_of(mechanism: Mechanism) -> str:
    return isolation.refusal_of(mechanism)


@pytest.fixture(params=SANDBOXES, ids=lambda mechanism: mechanism.value)
def mechanism(request: pytest.FixtureRequest) -> Mechanism:
    """Each kind of sandbox that this machine provides."""
    if reason := refusal_of(request.param):
        pytest.skip(f"this machine provides no {request.param}: {reason}")
    return request.param


def hostile(harm: str, name: str = "hostile", folder: Path = Path("/files"), source: str = GOOD) -> Candidate:
    """A good file, or this one, whose constructor also runs this code."""
    marker = "class ConvBlock"
    call = "        super().__init__()\n        self.device"
    assert source.count(call) == 1
    source = source.replace(
        marker, f"def harm() -> None:\n{textwrap.indent(textwrap.dedent(harm), '    ')}\n\n\n{marker}"
    )
    source = source.replace(call, call.replace("\n", "\n        harm()\n", 1))
    variant = catalogues.load().variant(1)
    return replace(candidate_of(folder / f"{name}.py", source.encode(), variant=variant), prm={"lr": 0.1})


@pytest.fixture
def end_of(nursery: Nursery) -> Callable[..., Outcome]:
    """The outcome of a file whose constructor runs this code."""

    def end_of(
        harm: str, mechanism: Mechanism, folder: Path = Path("/files"), source: str = GOOD, **limits: float
    ) -> Outcome:
        bounds = Limits(**{"seconds": TIMEOUT, "check_seconds": TIMEOUT} | limits)  # type: ignore[arg-type]
        files = [hostile(harm, folder=folder, source=source)]
        [outcome] = local.run(files, CONTRACT, None, limits=bounds, mechanism=mechanism, nursery=nursery)
        assert outcome.isolation == mechanism
        return outcome

    return end_of


def test_a_harmless_file_passes(end_of, mechanism):
    """A file that satisfies the contract passes in a sandbox."""
    outcome = end_of("pass", mechanism)
    assert outcome.status is Status.PASSED, outcome.reason


def test_a_sandboxed_file_is_checked_against_the_curve_of_a_user(nursery, mechanism, tmp_path):
    """The curve in the user's folder is loaded before the sandbox hides that folder."""
    curve = "def flat(step, horizon):\n    return 0 * step + 1\n"
    (tmp_path / "curves.py").write_text(curve)
    shipped = catalogues.load().variant(1)
    own = replace(shipped, family="mine", curve="flat", constants={}, hyperparameters=(), curves_folder=tmp_path)
    assert curves.exists(own)
    candidate = replace(hostile("pass"), variant=own)
    [outcome] = local.run([candidate], VerifySettings(stage=Stage.SCHEDULE), None, mechanism=mechanism, nursery=nursery)
    assert outcome.status is Status.FAILED
    assert outcome.stage is Stage.SCHEDULE
    assert re.fullmatch(
        r"the learning rate at step \d+ .*is \S+, expected 0\.1 \(A0_001 StepLR_default\)", outcome.reason
    ), outcome.reason


READS = """
    for path in {paths!r}:
        try:
            print(open(path).read())
        except OSError as error:
            print(type(error).__name__)
"""


@pytest.mark.parametrize("place", ["home/.ssh/id_ed25519", "db/ab.nn.db"])
def test_keys_and_databases_cannot_be_read(end_of, mechanism, tmp_path, place):
    """A sandboxed file cannot read a key or a database; a plain process can."""
    path = tmp_path / place
    path.parent.mkdir(parents=True)
    path.write_text("the secret")
    harm = READS.format(paths=[str(path)])
    assert "the secret" in end_of(harm, Mechanism.PROCESS).output
    outcome = end_of(harm, mechanism)
    assert "the secret" not in outcome.output
    assert "FileNotFoundError" in outcome.output or "PermissionError" in outcome.output


def test_no_file_is_written_outside_the_scratch_folder(end_of, mechanism, tmp_path):
    """A sandboxed file cannot write beside itself; a plain process can."""
    harm = f"""
        from pathlib import Path
        try:
            Path({str(tmp_path / "beside.txt")!r}).write_text("x")
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
def test_no_connection_is_made(end_of, kind):
    """A sandboxed file cannot connect to loopback; a plain process can."""
    if kind is not Mechanism.PROCESS and (reason := refusal_of(kind)):
        pytest.skip(f"this machine provides no {kind}: {reason}")
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        outcome = end_of(CALL.format(port=server.getsockname()[1]), kind)
        if kind is Mechanism.PROCESS:
            server.accept()[0].close()
            return
        with pytest.raises(TimeoutError):
            server.accept()
        assert "Error" in outcome.output


def test_a_fork_bomb_ends_with_all_its_processes(end_of, nursery, mechanism):
    """Endless forking fails, and no process of it remains."""
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
    outcome = end_of(harm, mechanism)
    assert not outcome.status.ok
    assert children_of(nursery.pid) == set()


def test_the_memory_of_a_file_is_limited(end_of, mechanism):
    """A file that allocates without end is out of memory."""
    harm = """
        blocks = []
        while True:
            blocks.append(bytearray(b"x" * (64 << 20)))
    """
    outcome = end_of(harm, mechanism, memory=3 << 29)
    assert outcome.status is Status.OUT_OF_MEMORY
    assert outcome.reason == "the file uses more than 1536 MiB of memory"


def test_the_memory_of_all_processes_of_a_file_is_limited(end_of, mechanism):
    """The memory of the children counts as that of the file."""
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


def test_the_disk_cannot_be_filled(end_of, mechanism):
    """Endless writing fails after at most 256 MiB."""
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
    reports = [line for line in outcome.output.splitlines() if line.startswith("stopped at")]
    assert all(int(line.split()[2]) <= 256 for line in reports)
    assert reports or outcome.reason == "the process of the file was killed by SIGXFSZ"


def test_a_file_that_ignores_sigterm_is_killed(end_of, mechanism):
    """A file that ignores SIGTERM is killed when its time is over."""
    harm = """
        import signal, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        while True:
            time.sleep(60)
    """
    outcome = end_of(harm, mechanism, check_seconds=2.0)
    assert outcome.status is Status.TIMED_OUT


def test_a_file_that_sleeps_is_timed_out(end_of, mechanism):
    """A file that sleeps ends at its time limit."""
    outcome = end_of("import time\ntime.sleep(10_000)", mechanism, check_seconds=2.0)
    assert outcome.status is Status.TIMED_OUT


def test_other_processes_cannot_be_killed(nursery, mechanism):
    """A file that kills every process that it can name ends no other file."""
    harm = """
        import os, signal
        here = {os.getpid(), 1}
        try:
            others = {int(name) for name in os.listdir("/proc") if name.isdigit()}
        except OSError:
            others = set(range(2, 100_000))
        for pid in {os.getppid(), *others} - here - {0}:
            try:
                os.kill(pid, signal.SIGKILL)
                print("killed", pid)
            except OSError:
                pass
    """
    files = [hostile("import time\ntime.sleep(1.5)", "sibling"), hostile(harm, "killer"), hostile("pass", "last")]
    limits = Limits(seconds=TIMEOUT)
    outcomes = {
        outcome.candidate.model_name: outcome
        for outcome in local.run(files, CONTRACT, None, workers=2, limits=limits, mechanism=mechanism, nursery=nursery)
    }
    assert outcomes["sibling"].status is Status.PASSED, outcomes["sibling"].reason
    assert outcomes["last"].status is Status.PASSED


def test_a_kill_of_all_processes_ends_only_the_file(end_of, mechanism):
    """``kill(-1)`` in a sandbox does not end a process outside it."""
    with contextlib.ExitStack() as stack:
        pid = os.fork()
        if pid == 0:
            time.sleep(600)
            os._exit(0)
        stack.callback(lambda: (os.kill(pid, signal.SIGKILL), os.waitpid(pid, 0)))
        end_of("import os, signal\nos.kill(-1, signal.SIGKILL)", mechanism)
        assert os.waitpid(pid, os.WNOHANG) == (0, 0)


FAULTY = (FIXTURES / "contract/fails_optimizer_never_stepped.py").read_text(encoding="utf-8")
REPLACED = {
    "torch.equal": "torch.equal = lambda *_: True",
    "cross entropy": "F.cross_entropy = lambda *_, **__: torch.zeros(())",
    "numpy's comparisons": "import numpy\nnumpy.allclose = numpy.array_equal = lambda *_, **__: True",
    "the clock": "import time\ntime.perf_counter = time.monotonic = lambda: 0.0",
    "json": "import json\njson.dumps = lambda *_, **__: '{}'",
    "the digest of weights": "import sys, zlib\nzlib.crc32 = lambda *_: 1\nsys.modules['beside.watch'].digest_of = id",
    "the driver": "import sys\nsys.modules['beside.driver'].Driver.do_learn = lambda *_, **__: {}",
    "the watch": "import sys\nsys.modules['beside.watch'].Watch._note = lambda *_, **__: None",
    "the frames": "import sys\nsys.modules['beside.wire'].encode = lambda *_, **__: b'xxxxxxxx'",
    "gradients": "torch.autograd.backward = Tensor.backward = lambda *_, **__: None",
}


@pytest.mark.parametrize("harm", REPLACED.values(), ids=REPLACED)
def test_nothing_that_a_file_replaces_in_its_process_changes_the_verdict(end_of, harm):
    """A file that does not update its weights is not accepted, whatever functions around it are replaced."""
    outcome = end_of(harm, Mechanism.PROCESS, source=FAULTY)
    assert outcome.status in (Status.FAILED, Status.CRASHED)


def test_a_file_that_replaces_what_it_does_not_use_is_judged_by_what_it_does(end_of):
    """A file that satisfies the contract passes, though it replaces comparisons: the examiner has its own."""
    assert end_of(REPLACED["torch.equal"], Mechanism.PROCESS).status is Status.PASSED


FORGED = '{"done": {"parameters": []}, "children": 0, "arrays": []}'


def test_a_forged_answer_on_standard_output_is_ignored(end_of, mechanism):
    """What is written to standard output is no answer."""
    outcome = end_of(f"import os\nprint({FORGED!r})\nos._exit(0)", mechanism)
    assert outcome.status is Status.CRASHED
    assert outcome.reason == "the process of the file exits with code 0 before the check ends"


@pytest.mark.parametrize(
    ("forged", "reason"),
    [
        (FORGED, "the process of the file exits with code 0 before the check ends"),
        ('{"verdict": "passed"}', "the process of the file sends an answer that is none: FrameError"),
    ],
)
def test_a_forged_answer_on_every_descriptor_is_a_crash(end_of, mechanism, forged, reason):
    """A file that answers in place of the driver answers one command, and crashes at the next."""
    harm = f"""
        import os, struct
        for descriptor in range(3, 256):
            try:
                os.write(descriptor, struct.pack(">II", {len(forged)}, 0) + {forged!r}.encode())
            except OSError:
                pass
        os._exit(0)
    """
    outcome = end_of(harm, mechanism)
    assert outcome.status is Status.CRASHED
    assert outcome.reason == reason


def test_an_early_exit_is_a_crash(end_of, mechanism):
    """A file that exits with code 0 before its checks end has crashed."""
    outcome = end_of("import os\nos._exit(0)", mechanism)
    assert outcome.status is Status.CRASHED
    assert outcome.reason == "the process of the file exits with code 0 before the check ends"


def test_a_daemon_ends_with_its_file(end_of, nursery, mechanism):
    """A process behind a double fork and in its own session ends with the file."""
    harm = """
        import os, time
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                time.sleep(600)
            os._exit(0)
        time.sleep(0.3)
    """
    outcome = end_of(harm, mechanism)
    assert not outcome.status.ok
    assert children_of(nursery.pid) == set()
