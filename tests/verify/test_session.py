"""Processes of files: what they find, what they can break, and how each of them ends."""

import contextlib
import inspect
import itertools
import os
import signal
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import lrgen
from lrgen.curves import composed
from lrgen.errors import IsolationError
from lrgen.records import Status
from lrgen.verify import isolation, messages
from lrgen.verify.limits import Limits
from lrgen.verify.nursery_process import Nursery
from lrgen.verify.sandbox import Mechanism
from lrgen.verify.sandbox.processes import waited_seconds
from lrgen.verify.session import Ended, FileRaised, Place, Session
from tests.verify.processes import has_exited, wait_for

PLACE = Place(Mechanism.PROCESS, Limits())
PACKAGE = str(Path(lrgen.__file__).parent)
# Finds the channel, writes frames to it by hand, and tells the examiner text.
TOOLS = """
import os, stat, struct

def is_socket(descriptor):
    try:
        return stat.S_ISSOCK(os.fstat(descriptor).st_mode)
    except OSError:
        return False

channel = next(descriptor for descriptor in range(3, 1024) if is_socket(descriptor))

def write(data):
    while data:
        data = data[os.write(channel, data):]

def frame(header, body=b"", size=None):
    write(struct.pack(">II", len(header), len(body) if size is None else size) + header + body)

def tell(*texts):
    global supported_hyperparameters
    supported_hyperparameters = lambda: {str(text) for text in texts}
"""


@contextlib.contextmanager
def session_of(nursery: Nursery, place: Place = PLACE) -> Iterator[Session]:
    """A session that gives up after a minute."""
    with nursery.session(place) as session:
        session.allow(time.monotonic() + 60, "the test takes longer than a minute")
        yield session


def load(session: Session, code: str) -> messages.Loaded:
    """Run code as a file."""
    source = TOOLS + textwrap.dedent(code)
    return session.call("load", messages.Loaded, source=source, path="file.py", absent=[])[0]


def answers(nursery: Nursery, code: str, place: Place = PLACE) -> list[str]:
    """What the code of a file tells with ``tell``."""
    with session_of(nursery, place) as session:
        names = load(session, code).hyperparameters
    assert names is not None
    return names


def end_of(nursery: Nursery, code: str, place: Place = PLACE) -> Ended:
    """The end of a file that does not survive its code, or the next command."""
    with session_of(nursery, place) as session, pytest.raises(Ended) as ended:
        [load(session, text) for text in (code, "")]
    assert "\n" not in ended.value.reason
    assert len(ended.value.reason) < 1000
    return ended.value


def assert_serves(nursery: Nursery) -> None:
    """The nursery runs the next file as if nothing had happened."""
    assert answers(nursery, "tell('fine')") == ["fine"]


@pytest.fixture(scope="module")
def sandboxed() -> Place:
    """The strongest sandbox of this machine."""
    try:
        return Place(isolation.available(), Limits())
    except IsolationError as error:
        pytest.skip(str(error))


# What a file finds.


def test_nothing_of_lrgen_can_be_imported(nursery):
    """No module of lrgen is loaded in the process of a file or can be imported there."""
    code = """
    import importlib, sys
    found = [name for name in sys.modules if name.partition(".")[0] in ("lrgen", "tests", "pydantic")]
    for name in ("lrgen.version", "lrgen.curves", "lrgen.verify.session", "tests.corpus"):
        try:
            importlib.import_module(name)
        except ImportError:
            continue
        found.append(name)
    tell("nothing", *found)
    """
    assert answers(nursery, code) == ["nothing"]


def test_no_path_of_lrgen_is_in_the_process(nursery):
    """The folder of lrgen is not in sys.path, the environment, the arguments, the memory map or an open descriptor."""
    code = f"""
    import sys
    package = {PACKAGE!r}
    places = {{
        "sys.path": repr(sys.path), "sys.argv": repr(sys.argv), "environment": repr(dict(os.environ)),
        "maps": open("/proc/self/maps").read(), "arguments": open("/proc/self/cmdline").read(),
        "environ": open("/proc/self/environ").read(), "working directory": os.getcwd(),
    }}
    for descriptor in os.listdir("/proc/self/fd"):
        try:
            places["descriptor " + descriptor] = os.readlink("/proc/self/fd/" + descriptor)
        except OSError:
            pass
    tell("nothing", *[place for place, text in places.items() if package in text])
    """
    assert answers(nursery, code) == ["nothing"]


def test_the_environment_is_almost_empty(nursery):
    """A file sees the variables that its process needs, and none of the user's."""
    names = answers(nursery, "tell(*os.environ)")
    assert "PATH" in names
    assert "PYTEST_CURRENT_TEST" in os.environ
    assert not [name for name in names if name.startswith(("LRGEN", "PYTEST", "PYTHON", "HOME", "USER"))]


def test_no_object_of_the_examiner_is_in_the_process(nursery):
    """Among all objects of the process there is no text with a formula of the curves, and no class of lrgen."""
    line = next(line.strip() for line in inspect.getsource(composed).splitlines() if line.strip().startswith("return "))
    code = f"""
    import gc
    half, rest = {line[:7]!r}, {line[7:]!r}
    def holds(value):
        return isinstance(value, str) and half + rest in value
    found = []
    for thing in gc.get_objects():
        if isinstance(thing, type) and str(thing.__module__).startswith("lrgen"):
            found.append(thing.__name__)
        values = thing.values() if isinstance(thing, dict) else thing if isinstance(thing, (list, tuple)) else ()
        found += ["text" for value in list(values) if holds(value)]
    tell("nothing", *found)
    """
    assert answers(nursery, code) == ["nothing"]


SEARCH = """
import re
def found(first, second):
    # The two halves stand apart in this text: where they touch, they are not from here.
    count = 0
    with open("/proc/self/mem", "rb", buffering=0) as memory:
        for line in open("/proc/self/maps"):
            start, end, access, rest = re.match(r"(\\w+)-(\\w+) (\\S+)(.*)", line).groups()
            start, end = int(start, 16), int(end, 16)
            if access[0] != "r" or "/" in rest or "[v" in rest or end - start > 1 << 28:
                continue
            try:
                memory.seek(start)
                data = memory.read(end - start)
            except (OSError, OverflowError):
                continue
            at = data.find(first)
            while at >= 0:
                count += data.startswith(second, at + len(first))
                at = data.find(first, at + 1)
    return count
"""


def test_no_bytes_of_a_formula_or_a_label_are_in_memory(nursery):
    """The memory of a file's process holds what was sent to it, but no text of the curves and no held-out label."""
    from sklearn.datasets import load_digits

    formula = inspect.getsource(composed).encode()
    labels = load_digits().target[-300:].astype("int64").tobytes()
    present = inspect.getsource(Nursery.__init__.__globals__["wire"]).encode()
    code = SEARCH
    for name, needle in {"formula": formula, "labels": labels, "present": present}.items():
        # From the middle: a text begins and ends like others.
        middle = len(needle) // 2
        code += f"{name} = found({needle[middle - 60 : middle]!r}, {needle[middle : middle + 60]!r})\n"
    code += 'tell(f"formula {formula}", f"labels {labels}", f"present {present > 0}")'
    with session_of(nursery) as session:
        loaded = session.call("load", messages.Loaded, source=TOOLS + code, path="file.py", absent=[])[0]
    assert loaded.hyperparameters == ["formula 0", "labels 0", "present True"]


def test_lrgen_and_the_digits_cannot_be_read_in_a_sandbox(nursery, sandboxed):
    """In a sandbox neither lrgen's files and templates nor scikit-learn's digits can be read."""
    templates = Path(PACKAGE).parent / "templates"
    code = f"""
    found = []
    for path in ({PACKAGE + "/curves/composed.py"!r}, {PACKAGE + "/__init__.py"!r}, {str(templates)!r}):
        try:
            os.listdir(path) if os.path.isdir(path) else open(path).read()
        except OSError:
            continue
        found.append(path)
    try:
        from sklearn.datasets import load_digits
        load_digits()
        found.append("digits")
    except (ImportError, OSError):
        pass
    tell("nothing", *found)
    """
    assert answers(nursery, code, sandboxed) == ["nothing"]


def test_a_process_has_four_descriptors(nursery):
    """A file's process has its standard streams and its channel; another session's descriptors are not among them."""
    code = """
    def is_open(descriptor):
        try:
            os.fstat(descriptor)
        except OSError:
            return False
        return True
    tell(*[d for d in range(1024) if is_open(d) and d not in (0, 1, 2, channel)], "others")
    """
    with session_of(nursery) as other:
        load(other, "tell('there')")
        assert answers(nursery, code) == ["others"]
        assert load(other, "tell('still there')").hyperparameters == ["still there"]


# What a file writes to its channel.

MALFORMED = {
    "garbage": "write(b'garbage' * 1000)",
    "half a frame": "write(struct.pack('>II', 100, 0) + b'{'); os._exit(0)",
    "a header that is too long": "frame(b'{}', size=0); write(struct.pack('>II', (8 << 20) + 1, 0))",
    "only a header that is too long": "write(struct.pack('>II', (8 << 20) + 1, 0))",
    "a body that is too large": "write(struct.pack('>II', 2, (32 << 20) + 1) + b'{}')",
    "nested lists": "frame(b'{\"children\": 0, \"arrays\": [], \"done\": ' + b'[' * 100000 + b']' * 100000 + b'}')",
    "nested objects": "frame(b'{\"done\":' * 100000 + b'0' + b'}' * 100000)",
    "lengths that are no numbers": 'frame(b\'{"children": 0, "done": {}, "arrays": [["float32", [NaN]]]}\')',
    "a number of 10,000 digits": "frame(b'{\"children\": ' + b'9' * 10000 + b', \"done\": {}, \"arrays\": []}')",
    "more children than there can be": 'frame(b\'{"children": 1e300, "done": {}, "arrays": []}\')',
    "an answer without values": 'frame(b\'{"children": 0, "arrays": []}\')',
    "a refusal without end": 'frame(b\'{"children": 0, "refused": "\' + b\'x\' * 100000 + b\'", "arrays": []}\')',
    "text with a lone surrogate": 'frame(b\'{"children": 0, "refused": "\\\\ud800", "arrays": []}\')',
    "an impossible array": 'frame(b\'{"children": 0, "done": {}, "arrays": '
    '[["float32", [0, 4294967295, 4294967295, 4294967295]]]}\')',
    "a closed channel": "os.close(channel)",
    "a channel that leads nowhere": "os.dup2(os.open(os.devnull, os.O_RDWR), channel)",
    "a channel that is shut": "import socket; socket.socket(fileno=os.dup(channel)).shutdown(socket.SHUT_RDWR)",
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_answer_ends_its_file_alone(nursery, name):
    """A file that breaks its channel has crashed, with one sentence, and the next file of the nursery runs."""
    ended = end_of(nursery, MALFORMED[name])
    assert ended.status is Status.CRASHED, ended.reason
    assert ended.reason.startswith("the process of the file ")
    assert_serves(nursery)


def test_a_stolen_duplicate_of_the_channel_does_not_outlive_its_file(nursery):
    """A child that keeps the channel open keeps neither the session nor the nursery from ending."""
    ended = end_of(
        nursery,
        """
        import time
        if os.fork() == 0:
            time.sleep(600)
        os._exit(0)
        """,
    )
    assert ended.status is Status.CRASHED
    assert ended.reason == "the process of the file exits with code 0 before the check ends"
    assert_serves(nursery)


# How a file ends.


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("os._exit(0)", "the process of the file exits with code 0 before the check ends"),
        ("os._exit(7)", "the process of the file exits with code 7 before the check ends"),
        ("import signal; os.kill(os.getpid(), signal.SIGSEGV)", "the process of the file was killed by SIGSEGV"),
        ("import signal; os.kill(os.getpid(), signal.SIGTERM)", "the process of the file was killed by SIGTERM"),
        ("os.abort()", "the process of the file was killed by SIGABRT"),
        (
            "import signal; os.kill(os.getpid(), signal.SIGKILL)",
            "the process of the file was killed by SIGKILL: by the file itself, or by the kernel for lack of memory",
        ),
        ("os.write(2, b'why\\n'); os._exit(3)", "the process of the file exits with code 3 before the check ends: why"),
    ],
)
def test_an_exit_is_a_crash_that_says_how(nursery, code, reason):
    """An exit code or a signal ends a file as crashed; the reason names it, with the last line of the output."""
    ended = end_of(nursery, code)
    assert (ended.status, ended.reason) == (Status.CRASHED, reason)


def test_sys_exit_is_an_exception_of_the_file(nursery):
    """sys.exit does not end the process: the exception is reported like any other, with its line."""
    with session_of(nursery) as session:
        with pytest.raises(FileRaised) as raised:
            load(session, "import sys\nsys.exit('done')")
        assert (raised.value.raised.type, raised.value.raised.message) == ("SystemExit", "'done'")
        assert raised.value.raised.line == TOOLS.count("\n") + 2
        assert load(session, "tell('alive')").hyperparameters == ["alive"]


def test_the_message_of_an_exception_is_printable(nursery):
    """Control and bidirectional characters of a file's exception are escaped in the reason."""
    with session_of(nursery) as session, pytest.raises(FileRaised, match=r"^ValueError: a\\x1bb\\u202ec \(line \d+\)$"):
        load(session, r"raise ValueError('a\x1bb\u202ec')")


def test_an_endless_loop_is_timed_out(nursery):
    """A file that does not answer is ended at its deadline, for the reason that was set with it."""
    with nursery.session(PLACE) as session:
        session.allow(time.monotonic() + 0.2, "the check takes longer than it may")
        with pytest.raises(Ended, match="the check takes longer than it may") as ended:
            load(session, "while True: pass")
    assert ended.value.status is Status.TIMED_OUT
    assert_serves(nursery)


class Killing:
    """A nursery whose process has ended as soon as it is killed."""

    folder = Path()

    def __init__(self) -> None:
        self.sessions: list[Session] = []

    def kill(self, number: int) -> None:
        for session in self.sessions:
            session.lose()


def test_the_time_on_a_busy_machine_does_not_count(monkeypatch):
    """A deadline moves by the time that a process waited for a core, and never beyond four times the limit."""
    clock = {"now": 100.0, "waited": 5.0}
    monkeypatch.setattr("lrgen.verify.session.time.monotonic", lambda: clock["now"])
    monkeypatch.setattr("lrgen.verify.session.processes.waited_seconds", lambda pid: clock["waited"])
    nursery = Killing()
    session = Session(nursery, 1, Place(Mechanism.PROCESS, Limits()))
    nursery.sessions.append(session)
    session.report({"pid": 1, "inherited": 0})
    session.allow(110.0, "too long")
    clock |= {"now": 113.0, "waited": 9.0}  # 4 of 13 seconds without a core
    session._check_limits()
    clock |= {"now": 115.0}
    with pytest.raises(Ended, match="too long"):
        session._check_limits()
    session.allow(125.0, "too long")
    clock |= {"now": 154.0, "waited": 1000.0}
    session._check_limits()
    clock |= {"now": 156.0, "waited": 2000.0}
    with pytest.raises(Ended, match="too long"):
        session._check_limits()


def test_a_process_that_never_waited_has_waited_no_time():
    """The kernel's count of the time without a core is read for this process, and is small beside its age."""
    assert 0 <= waited_seconds(os.getpid()) < 3600
    assert waited_seconds(2**22 + 1) == 0


def test_answers_do_not_extend_a_deadline(nursery):
    """Answers that lie ready after the deadline are not taken: the deadline counts, not the last answer."""
    code = """
    header = b'{"children": 0, "done": {"read": []}, "arrays": []}'
    write((struct.pack(">II", len(header), 0) + header) * 100)
    """
    with session_of(nursery) as session:
        session.call("load", messages.Read, source=TOOLS + textwrap.dedent(code), path="file.py", absent=[])
        session.call("reads", messages.Read)
        session.allow(time.monotonic() - 1, "too late")
        with pytest.raises(Ended, match="too late") as ended:
            session.call("reads", messages.Read)
    assert ended.value.status is Status.TIMED_OUT


def test_answers_do_not_hide_memory(nursery):
    """The memory of a file that answers without a pause is measured as well."""
    code = """
    header = b'{"children": 0, "done": {"read": []}, "arrays": []}'
    answer = struct.pack(">II", len(header), 0) + header
    held = []
    while True:
        if len(held) < 32:
            held.append(b"x" * (1 << 24))
        write(answer * 100)
    """
    with session_of(nursery, Place(Mechanism.PROCESS, Limits(memory=300 << 20))) as session:
        session.call("load", messages.Read, source=TOOLS + textwrap.dedent(code), path="file.py", absent=[])
        with pytest.raises(Ended) as ended:
            [session._receive(1 << 20) for _ in itertools.count()]
    assert ended.value.status is Status.OUT_OF_MEMORY


def test_a_file_that_prints_without_end_fails(nursery):
    """Output beyond its limit ends the file as failed, and only the end of it is kept."""
    place = Place(Mechanism.PROCESS, Limits(output=200_000))
    with session_of(nursery, place) as session, pytest.raises(Ended) as ended:
        load(session, "while True: os.write(1, b'x' * 4096)")
    assert (ended.value.status, ended.value.reason) == (Status.FAILED, "the file prints more than 200000 bytes")
    assert len(session.output) == 4096


def test_a_file_that_takes_too_much_memory_is_ended(nursery):
    """Memory beyond its limit ends the file as out of memory."""
    ended = end_of(
        nursery,
        "held = []\nwhile len(held) < 1000: held.append(b'x' * (1 << 24))",
        Place(Mechanism.PROCESS, Limits(memory=400 << 20)),
    )
    assert ended.status is Status.OUT_OF_MEMORY
    assert_serves(nursery)


def test_a_memory_error_of_the_file_is_out_of_memory(nursery):
    """An allocation that is refused ends the file as out of memory, not as an exception of its code."""
    ended = end_of(nursery, "bytearray(1 << 60)")
    assert ended.status is Status.OUT_OF_MEMORY
    assert ended.reason.startswith("MemoryError")


FORKS = """
import time
def leave(depth):
    reading, writing = os.pipe()
    if os.fork():
        os.read(reading, 1)  # until the last descendant runs
        return
    os.write(1, b"%d\\n" % os.getpid())
    if depth:
        os.setsid()
        leave(depth - 1)
    os.write(writing, b"x")
    time.sleep(600)
    os._exit(0)
"""


@pytest.mark.parametrize(("code", "count"), [("leave(0)", 1), ("for _ in range(20): leave(0)", 20), ("leave(1)", 2)])
def test_processes_that_a_file_leaves_running_end_with_it(nursery, code, count):
    """A file whose child, 20 children or grandchild in another session still run fails, and none of them survives."""
    with session_of(nursery) as session, pytest.raises(Ended) as ended:
        load(session, FORKS + code)
    assert ended.value.status is Status.FAILED
    assert ended.value.reason.startswith("the file leaves ")
    started = [int(line) for line in session.output.split()]
    assert len(started) == count
    for pid in started:
        wait_for(lambda pid=pid: has_exited(pid), f"the end of process {pid}")
    assert_serves(nursery)


def test_orphans_are_counted_when_their_file_has_ended(nursery):
    """A file that exits and leaves a process behind has orphans."""
    with session_of(nursery) as session, pytest.raises(Ended):
        load(session, FORKS + "leave(0)\nos._exit(0)")
    assert session.orphans > 0


# The nursery.


def test_a_nursery_that_is_killed_is_started_again():
    """The files in flight have crashed, and the next session runs in a new process."""
    with Nursery() as nursery:
        first = nursery.pid
        with session_of(nursery) as session:
            load(session, "tell('before')")
            os.kill(first, signal.SIGKILL)
            wait_for(lambda: has_exited(first), "the end of the nursery")
            with pytest.raises(Ended) as ended:
                load(session, "tell('after')")
        assert ended.value.status is Status.CRASHED
        assert ended.value.reason in (
            "the nursery of the file's process has ended",
            "the process of the file was killed by SIGKILL: by the file itself, or by the kernel for lack of memory",
        )
        assert_serves(nursery)
        assert nursery.pid != first
        # It is noticed as well where nothing was in flight, and whoever asks first.
        os.kill(nursery.pid, signal.SIGKILL)
        with contextlib.suppress(Ended):
            answers(nursery, "tell('at once')")
        assert_serves(nursery)


def test_a_closed_nursery_leaves_nothing_behind():
    """Closing ends the processes of files that still run, and removes their folders."""
    with Nursery() as nursery:
        folder, pid = nursery.folder, nursery.pid
        session = nursery.session(PLACE)
        [process] = load(session, "tell(os.getpid())").hyperparameters or []
    session.close()
    wait_for(lambda: has_exited(pid) and has_exited(int(process)), "the end of the processes")
    assert not Path(folder).exists()


def test_abandoned_sessions_end_as_crashed(nursery):
    """After ``abandon`` every session in flight has ended, and the nursery serves the next file."""
    sessions: dict[Session, int] = {}
    with contextlib.ExitStack() as stack:
        for _ in range(2):
            session = stack.enter_context(session_of(nursery))
            [process] = load(session, "tell(os.getpid())").hyperparameters or []
            sessions[session] = int(process)
        nursery.abandon()
        for session, pid in sessions.items():
            wait_for(lambda pid=pid: has_exited(pid), "the end of an abandoned process")
            with pytest.raises(Ended) as ended:
                load(session, "tell('after')")
            assert ended.value.status is Status.CRASHED
    assert_serves(nursery)
