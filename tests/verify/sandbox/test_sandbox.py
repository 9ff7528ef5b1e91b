"""A sandboxed child reads, writes, connects to and starts only what it was given."""

import contextlib
import ctypes
import errno
import fcntl
import importlib
import json
import os
import re
import resource
import select
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import termios
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lrgen.errors import IsolationError, LrgenError
from lrgen.verify import isolation, visible
from lrgen.verify.sandbox import Bounds, Mechanism, privileges, seccomp, syscalls
from tests.verify.sandbox.kinds import (
    KINDS,
    NAMESPACES,
    PACKAGE,
    ROOT,
    TIMEOUT,
    UNPRIVILEGED,
    error_of,
    fresh_caches,
    is_closed,
    libc,
    only_landlock,
    only_namespaces,
    open_pipe,
    result_of,
    start_in,
    system_call,
)

LONG = 60.0  # seconds that a process sleeps which the test must see end earlier
SITE_PACKAGES = Path(pytest.__file__).resolve().parent.parent

CLONE_NEWUSER = 0x10000000
MS_REMOUNT, MS_BIND = 1 << 5, 1 << 12


@pytest.fixture
def secrets(tmp_path: Path) -> dict[str, Path]:
    """Files that a file under test must not read: a key in a home folder, a database."""
    (tmp_path / "home" / ".ssh").mkdir(parents=True)
    paths = {"key": tmp_path / "home" / ".ssh" / "id_ed25519", "database": tmp_path / "ab.nn.db"}
    for path in paths.values():
        path.write_text("secret")
        path.chmod(0o666)
    return paths


def status_of(pid: int) -> dict[str, str]:
    text = Path(f"/proc/{pid}/status").read_text()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in text.splitlines())}


# Reading.


def test_other_files_cannot_be_read(inside, secrets, kind):
    """Keys, databases and the rest of the repository cannot be read, not even through a link in the scratch folder."""
    places = [*secrets.values(), PACKAGE.parent / "pyproject.toml", Path("/etc/passwd")]

    def read() -> list[str]:
        for number, place in enumerate(places):
            Path(f"link{number}").symlink_to(place)
        links = [Path(f"link{number}") for number in range(len(places))]
        return [error_of(Path.read_bytes, place) for place in [*places, *links]]

    expected = "ENOENT" if kind in NAMESPACES else "EACCES"
    assert inside(read) == [expected] * 2 * len(places)


def test_other_folders_cannot_be_listed(inside, secrets, kind):
    """Listing a folder outside the readable paths is an error."""
    folders = [secrets["key"].parent, secrets["database"].parent / "home", Path("/etc/ssl"), Path("/var")]
    assert set(inside(lambda: [error_of(os.listdir, folder) for folder in folders])) <= {"ENOENT", "EACCES"}


@only_namespaces
def test_namespaces_contain_no_other_files(inside, scratch, secrets):
    """The file system contains only the readable paths, the scratch folder and the folders that lead to them."""

    home = Path.home().resolve()

    def look() -> dict[str, list[str]]:
        folders = {"root": "/", "above": "/..", "beside": scratch.parent, "dev": "/dev", "home": home}
        return {name: os.listdir(folder) if os.path.exists(folder) else [] for name, folder in folders.items()}

    seen = inside(look)
    readable = [Path(path) for path in isolation.view()["readable"]]
    leading = {path.parts[1] for path in (*readable, scratch)}
    assert set(seen["root"]) <= leading | {
        "bin",
        "sbin",
        "lib",
        "lib32",
        "lib64",
        "libx32",
        "etc",
        "dev",
        "proc",
        "sys",
    }
    assert sorted(seen["above"]) == sorted(seen["root"])
    assert seen["beside"] == ["scratch"]
    assert set(seen["home"]) <= {path.relative_to(home).parts[0] for path in readable if home in path.parents}
    assert set(seen["dev"]) == {"null", "full", "random", "urandom", "shm"}


def test_the_interpreter_works_in_the_sandbox(inside):
    """Modules of the standard library and numpy can be imported, and threads run."""

    def work() -> list[Any]:
        for name in ("wave", "sqlite3", "decimal", "xml.dom.minidom"):
            importlib.import_module(name)
        import numpy

        sums: list[float] = []
        threads = [threading.Thread(target=lambda: sums.append(float(numpy.ones(10).sum()))) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return [sums, os.cpu_count() or 0]

    assert inside(work) == [[10.0] * 4, os.cpu_count()]


def test_system_programs_run(inside):
    """A sandboxed child can run a program of the system."""
    assert inside(lambda: subprocess.check_output(["/bin/echo", "hello"], text=True)) == "hello\n"


def test_a_symbolic_link_in_sys_path_works(inside, tmp_path, monkeypatch):
    """Modules in a folder that sys.path names by a symbolic link can be imported."""
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "answer.py").write_text("VALUE = 42\n")
    (tmp_path / "names").mkdir()
    (tmp_path / "names" / "link").symlink_to(tmp_path / "real")
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path / "names" / "link")])
    with fresh_caches():
        assert inside(lambda: importlib.import_module("answer").VALUE) == 42


# Writing.


def test_nothing_is_created_outside_the_scratch_folder(inside, scratch):
    """No file, folder, pipe or link can be created beside it, among the packages, in lrgen or in a system folder."""
    folders = [SITE_PACKAGES, PACKAGE, scratch.parent, *map(Path, ("/", "/etc", "/usr", "/tmp", "/dev"))]
    name = f"lrgen-{os.getpid()}"

    def make() -> dict[str, list[str]]:
        Path("mine").write_text("x")
        calls = (Path.touch, os.mkdir, os.mkfifo)
        moves = (os.symlink, os.link, os.rename)
        return {
            str(folder): [error_of(call, folder / name) for call in calls]
            + [error_of(move, "mine", folder / name) for move in moves]
            for folder in folders
        }

    results = inside(make)
    created = [folder / name for folder in folders if os.path.lexists(folder / name)]
    for path in created:
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
    assert created == []
    assert [error for errors in results.values() for error in errors if error == "nothing"] == []


def test_nothing_is_changed_outside_the_scratch_folder(inside, secrets, tmp_path, monkeypatch):
    """Packages and databases cannot be written, truncated, moved, linked or given another mode, time or owner."""
    # A folder of packages made for this test: a failure must not damage the real ones.
    module = tmp_path / "packages" / "module.py"
    module.parent.mkdir()
    module.write_text("VALUE = 1\n")
    module.chmod(0o666)
    monkeypatch.setattr(sys, "path", [*sys.path, str(module.parent)])
    files = [module, secrets["database"]]
    before = [(path.read_bytes(), path.stat()) for path in files]

    def change() -> list[str]:
        calls: list[Callable[[Path], Any]] = [
            lambda path: path.write_text("x"),
            lambda path: os.open(path, os.O_RDONLY | os.O_TRUNC),
            lambda path: os.truncate(path, 0),
            lambda path: os.chmod(path, 0),
            lambda path: os.utime(path, (0, 0)),
            lambda path: os.chown(path, os.getuid(), os.getgid()),
            lambda path: os.setxattr(path, "user.lrgen", b"x"),
            lambda path: os.link(path, "linked"),
            lambda path: os.rename(path, "taken"),
            os.unlink,
        ]
        return [error_of(call, path) for path in files for call in calls]

    with fresh_caches():
        assert "nothing" not in inside(change)
    for path, (content, then) in zip(files, before, strict=True):
        now = path.stat()
        assert path.read_bytes() == content
        assert (now.st_mode, now.st_uid, now.st_mtime, now.st_nlink) == (
            then.st_mode,
            then.st_uid,
            then.st_mtime,
            then.st_nlink,
        )


def test_the_scratch_folder_is_writable(inside, scratch, kind):
    """It is the current, home and temporary folder, in which files and folders can be created, moved and removed."""

    def work() -> list[str]:
        with tempfile.NamedTemporaryFile() as file:
            temporary = file.name
        Path("a/b").mkdir(parents=True)
        Path("a/b/file").write_text("text")
        Path("a/b/file").rename("a/file")
        Path("a/b").rmdir()
        return [os.getcwd(), str(Path.home()), str(Path(temporary).parent), Path("a/file").read_text()]

    assert inside(work) == [str(scratch)] * 3 + ["text"]
    assert list(scratch.iterdir()) == ([] if kind in NAMESPACES else [scratch / "a"])


@only_namespaces
def test_the_size_of_the_scratch_folder_is_limited(inside):
    """Many small files cannot fill the disk."""

    def fill() -> list[Any]:
        written = 0
        try:
            for number in range(100):
                written += Path(str(number)).write_bytes(bytes(1 << 18))
        except OSError as error:
            return [written, errno.errorcode[error.errno or 0]]
        return [written, "nothing"]

    written, error = inside(fill, bounds=Bounds(scratch_bytes=2 << 20))
    assert error == "ENOSPC"
    assert 1 << 20 <= written <= 2 << 20


def test_the_size_of_a_file_is_limited(inside):
    """A write beyond the limit fails with EFBIG."""
    bounds = Bounds(file_bytes=1 << 20)
    assert inside(lambda: error_of(Path.write_bytes, Path("small"), bytes(1 << 20)), bounds=bounds) == "nothing"
    assert inside(lambda: error_of(Path.write_bytes, Path("large"), bytes((1 << 20) + 1)), bounds=bounds) == "EFBIG"


# Sockets and other processes.


def test_no_socket_can_connect(inside, tmp_path):
    """No address family connects to a port of this machine or to a socket in a folder."""
    with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(socket.AF_UNIX) as unix:
        path, address = str(tmp_path / "socket"), tcp.getsockname()
        unix.bind(path)
        unix.listen()
        os.chmod(path, 0o777)

        def connect() -> dict[str, str]:
            def over(family: int, address: Any, type_: int = socket.SOCK_STREAM) -> None:
                with socket.socket(family, type_) as client:
                    client.settimeout(1)
                    client.connect(address)

            return {
                "tcp": error_of(over, socket.AF_INET, address),
                "udp": error_of(over, socket.AF_INET, address, socket.SOCK_DGRAM),
                "ipv6": error_of(over, socket.AF_INET6, ("::1", address[1])),
                "unix": error_of(over, socket.AF_UNIX, path),
                "netlink": error_of(over, socket.AF_NETLINK, (0, 0), socket.SOCK_RAW),
            }

        errors = inside(connect)
        assert not select.select([tcp, unix], [], [], 0)[0]
    assert errors.pop("unix") in ("ENOENT", "EPERM")
    assert set(errors.values()) == {"EPERM"}


@only_namespaces
def test_the_network_namespace_has_no_interface(inside, monkeypatch):
    """Without the seccomp filter, the network is still unreachable."""
    monkeypatch.setattr(seccomp, "RULES", ())
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = server.getsockname()
        error = inside(lambda: error_of(socket.create_connection, address, 1))
        assert not select.select([server], [], [], 0)[0]
    assert error == "ENETUNREACH"


@only_landlock
def test_only_pairs_of_stream_sockets_are_allowed(inside):
    """A pair of stream sockets can be created; one of datagram sockets, which can be reconnected, cannot."""

    def pair() -> list[str]:
        return [error_of(socket.socketpair, socket.AF_UNIX, type_) for type_ in (socket.SOCK_STREAM, socket.SOCK_DGRAM)]

    assert inside(pair) == ["nothing", "EPERM"]


def test_other_processes_are_neither_signalled_nor_read(inside, kind):
    """The parent and a sibling of the same user cannot be signalled, limited or inspected."""
    sibling = subprocess.Popen(["sleep", "600"])
    others = (os.getpid(), sibling.pid)

    def try_all() -> list[list[str]]:
        return [
            [
                error_of(os.kill, pid, 0),
                error_of(os.kill, pid, signal.SIGTERM) if pid != others[0] else "",
                error_of(resource.prlimit, pid, resource.RLIMIT_CPU),
                error_of(Path.read_bytes, Path(f"/proc/{pid}/environ")),
                error_of(os.listdir, f"/proc/{pid}/fd"),
            ]
            for pid in others
        ]

    try:
        results = inside(try_all)
        assert sibling.poll() is None
    finally:
        sibling.kill()
        sibling.wait()
    allowed = {"", "ESRCH", "ENOENT", "EPERM"} if kind in NAMESPACES else {"", "EPERM", "EACCES"}
    assert {error for row in results for error in row} <= allowed


# Environment, descriptors and devices.


def test_only_listed_environment_variables_are_kept(inside, scratch, monkeypatch):
    """A child keeps only the variables that computing needs."""
    monkeypatch.setenv("LRGEN_DATABASE", "postgresql://user:password@host/db")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("NVIDIA_VISIBLE_DEVICES", "all")
    variables = inside(lambda: dict(os.environ))
    assert variables["HOME"] == variables["TMPDIR"] == str(scratch)
    assert (variables["OMP_NUM_THREADS"], variables["NVIDIA_VISIBLE_DEVICES"]) == ("1", "all")
    own = {"HOME", "TMPDIR", "USER", "LOGNAME", "NVIDIA_VISIBLE_DEVICES"}
    assert set(variables) <= own | set(privileges.ENVIRONMENT.split())


FIRST_ENVIRONMENT = """
import ctypes, os, sys
from pathlib import Path
from lrgen.verify import isolation, sandbox

def block():
    start, end = map(int, Path("/proc/self/stat").read_text().rpartition(")")[2].split()[47:49])
    return ctypes.string_at(start, end - start)

assert b"hunter2" in block()
sandbox.enter(sys.argv[1], sys.argv[2], set(), sandbox.Bounds(), isolation.view())
print(b"hunter2" in block(), "TOKEN" in os.environ)
"""


def test_the_environment_is_not_left_in_memory(kind, scratch):
    """The kernel's block of a process's first variables is overwritten."""
    arguments = [sys.executable, "-c", FIRST_ENVIRONMENT, KINDS[kind], str(scratch)]
    environment = os.environ | {"TOKEN": "hunter2", "PYTHONPATH": str(PACKAGE.parent)}
    done = subprocess.run(
        arguments, env=environment, check=False, capture_output=True, text=True, start_new_session=True
    )
    assert (done.stdout, done.stderr) == ("False False\n", "")


def test_only_the_kept_descriptors_stay_open(inside, tmp_path):
    """A database and a pipe that the parent has open are closed, and a kept descriptor still works."""

    def open_descriptors(kept: int) -> Callable[[], list[int]]:
        def function() -> list[int]:
            os.write(kept, b"kept")
            return [number for number in range(256) if error_of(os.fstat, number) == "nothing"]

        return function

    with open_pipe() as (reading, writing), (tmp_path / "database").open("w"), open_pipe() as (_, other):
        os.set_inheritable(other, True)
        still_open = inside(open_descriptors(writing), keep=(writing,))
        assert os.read(reading, 4) == b"kept"
        assert writing in still_open
        assert len(set(still_open) - {0, 1, 2, writing}) == 1  # the pipe of the result


def test_only_named_devices_can_be_opened(inside, kind):
    """The harmless devices work; any other device must be named."""

    def use() -> list[Any]:
        os.close(os.open("/dev/null", os.O_RDWR))
        random = os.read(os.open("/dev/urandom", os.O_RDONLY), 8)
        return [len(random), error_of(os.open, "/dev/tty", os.O_RDWR)]

    # A session without a terminal has none to open: that answer is the device's own.
    assert inside(use) == [8, "ENOENT" if kind in NAMESPACES else "EACCES"]
    assert inside(use, devices=("/dev/tty",)) == [8, "ENXIO"]


@only_namespaces
def test_the_host_name_is_hidden(inside):
    """A child sees another host name, and that of the machine does not change."""
    before = socket.gethostname()
    assert inside(socket.gethostname) == "sandbox"
    assert socket.gethostname() == before != "sandbox"


# Processes.


def test_the_number_of_processes_is_limited(inside, kind):
    """A loop that forks soon ends with EAGAIN."""
    if ROOT and kind in UNPRIVILEGED:
        pytest.skip("the kernel does not limit the tasks of root")

    def fork() -> list[Any]:
        reading, writing = os.pipe()
        count, error = 0, "nothing"
        while count < 400 and error == "nothing":
            try:
                pid = os.fork()
            except OSError as refused:
                error = errno.errorcode[refused.errno or 0]
                continue
            if pid == 0:
                os.close(writing)
                os.read(reading, 1)
                os._exit(0)
            count += 1
        os.close(writing)
        for _ in range(count):
            os.wait()
        return [count, error]

    count, error = inside(fork, bounds=Bounds(processes=10))
    assert error == "EAGAIN"
    assert 1 <= count <= (10 if ROOT or kind in NAMESPACES else 10 * (os.cpu_count() or 1))


@only_namespaces
def test_a_daemon_ends_with_the_child(inside):
    """A process behind a double fork and in a session of its own has ended when the child has."""

    def leave() -> str:
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                time.sleep(LONG)
            os._exit(0)
        return "left"

    with open_pipe() as (reading, writing):
        assert inside(leave, keep=(writing,)) == "left"
        os.close(writing)
        assert is_closed(reading, 0)


def test_an_orphan_becomes_a_child_of_the_file(inside):
    """The process that runs the file adopts an orphan, and a check can report it."""

    def leave() -> bool:
        reading, writing = os.pipe()
        middle = os.fork()
        if middle == 0:
            if os.fork() == 0:
                os.close(writing)
                os.read(reading, 1)
            os._exit(0)
        os.waitpid(middle, 0)
        children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
        os.close(writing)
        os.wait()
        return len(children) == 1

    assert inside(leave) is True


def test_core_dumps_and_open_files_are_limited(inside):
    """No core is dumped, not even to a program that collects them, and the number of open files is limited."""

    def look() -> list[Any]:
        return [resource.getrlimit(resource.RLIMIT_CORE), resource.getrlimit(resource.RLIMIT_NOFILE)]

    assert inside(look, bounds=Bounds(open_files=100)) == [[1, 1], [100, 100]]


# Privileges.


def test_there_are_no_privileges_and_none_can_be_gained(inside, kind):
    """A child holds no capability, cannot regain one, and cannot remove the filter."""

    def look() -> dict[str, str]:
        return status_of(os.getpid()) | {"Dumpable": str(libc.prctl(3, 0, 0, 0, 0))}  # PR_GET_DUMPABLE

    status = inside(look)
    # Processes of its user measure the memory of a child that has no uid of its own.
    assert status["Dumpable"] == ("1" if kind in UNPRIVILEGED or not ROOT else "0")
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    held = {status[name] for name in ("CapEff", "CapPrm", "CapInh", "CapAmb")}
    # As root, Landlock alone decides what may be read: the interpreter may lie in a folder without access for others.
    assert held <= {f"{0:016x}", f"{privileges.CAP_DAC_READ_SEARCH:016x}"}
    assert kind == "landlock" or held == {f"{0:016x}"}
    assert int(status["CapBnd"], 16) == 0 or not ROOT


@pytest.mark.skipif(not ROOT, reason="only root may change the uid of a child")
@pytest.mark.parametrize("kind", ["namespaces", "landlock"], indirect=True)
def test_a_child_of_root_has_a_uid_of_its_own(inside):
    """No other process has its uid, and it cannot become root again."""

    def look() -> list[Any]:
        return [os.getresuid(), os.getgroups(), error_of(os.setuid, 0)]

    before = os.getgroups()
    os.setgroups([1, 2])
    try:
        (first, groups, error), (second, _, _) = inside(look), inside(look)
    finally:
        os.setgroups(before)
    assert min(first) > 2_000_000_000
    assert first != second
    assert (groups, error) == ([], "EPERM")


def test_dangerous_system_calls_are_refused(inside):
    """A child cannot trace, read the memory of others, make namespaces or mount."""
    calls = {
        "ptrace": (0, 0, 0, 0),  # PTRACE_TRACEME
        "process_vm_readv": (os.getpid(), 0, 0, 0, 0, 0),
        "keyctl": (0, -3, 0),  # KEYCTL_GET_KEYRING_ID of the session
        "io_uring_setup": (1, 0),
        "userfaultfd": (1,),
        "unshare": (CLONE_NEWUSER,),
        "clone": (CLONE_NEWUSER | signal.SIGCHLD, 0, 0, 0, 0),
        "mount": (0, 0, 0, 0, 0),
        "umount2": (0, 0),
        "setns": (-1, 0),
        "pivot_root": (0, 0),
        "mount_setattr": (0, 0, 0, 0, 0),
        "fsopen": (0, 0),
        "open_tree": (0, 0, 0),
        "bpf": (0, 0, 0),
        "prlimit64": (1, 0, 0, 0),
    }
    assert inside(lambda: {name: system_call(name, *values) for name, values in calls.items()}) == dict.fromkeys(
        calls, "EPERM"
    )


def test_the_filter_covers_other_abis_clone3_and_terminals(inside):
    """System calls of another ABI are refused, clone3 is unknown, and no input can be pushed to a terminal."""
    x32_getpid = 0x40000000 | 39

    def look() -> list[str]:
        reading, _ = os.pipe()
        libc.syscall(ctypes.c_long(x32_getpid))
        x32 = errno.errorcode[ctypes.get_errno()]
        return [x32, system_call("clone3", 0, 0), error_of(fcntl.ioctl, reading, termios.TIOCSTI, b"x")]

    assert inside(look) == ["EPERM", "ENOSYS", "EPERM"]


def test_nothing_can_be_remounted(inside):
    """A read-only mount stays read-only."""

    def remount() -> str:
        libc.mount(None, b"/usr", None, ctypes.c_ulong(MS_REMOUNT | MS_BIND), None)
        return errno.errorcode[ctypes.get_errno()]

    assert inside(remount) == "EPERM"


HEADER = Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h")


@pytest.mark.skipif(not HEADER.exists() or syscalls.MACHINE != "x86_64", reason="needs the kernel's headers")
def test_the_numbers_of_system_calls_are_those_of_the_kernel():
    """Each number in the tables is that of the kernel's header, which knows nine in ten of the calls."""
    header = {name: int(number) for name, number in re.findall(r"__NR_(\w+) (\d+)", HEADER.read_text())}
    known = syscalls.SYSCALLS.keys() & header.keys()
    assert {name: syscalls.SYSCALLS[name] for name in known} == {name: header[name] for name in known}
    assert len(known) >= 0.9 * len(syscalls.SYSCALLS)


# Ends.

ENDS: dict[str, Callable[[], Any]] = {
    "exit 0": lambda: os._exit(0),
    "exit 3": lambda: os._exit(3),
    "exit 255": lambda: os._exit(255),
    "abort": os.abort,
    **{
        f"signal {number}": lambda number=number: os.kill(os.getpid(), number)
        for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV, signal.SIGUSR1, signal.SIGRTMIN + 5)
    },
}


@pytest.mark.parametrize("end", ENDS)
def test_a_child_ends_as_its_file_ends(start, end):
    """The parent sees the exit code or the signal of the file."""

    def die() -> None:
        for number in (signal.SIGSEGV, signal.SIGABRT):  # pytest's faulthandler has them
            signal.signal(number, signal.SIG_DFL)
        ENDS[end]()

    pid, reading = start(die)
    os.close(reading)
    status = os.waitpid(pid, 0)[1]
    if end.startswith("exit"):
        assert os.WEXITSTATUS(status) == int(end.split()[1])
    else:
        assert os.WTERMSIG(status) == int(end.replace("abort", str(int(signal.SIGABRT))).split()[-1])
        assert not os.WCOREDUMP(status)


def test_a_child_that_cannot_be_sandboxed_does_not_run_the_file(start, scratch):
    """It raises an error that names what was refused."""
    missing = "/dev/there-is-no-such-device"
    pid, reading = start(lambda: "ran", devices=(missing,))
    with os.fdopen(reading, "rb") as pipe:
        result = json.loads(pipe.read())
    assert os.WEXITSTATUS(os.waitpid(pid, 0)[1]) == 99
    assert result.startswith("SandboxError")
    assert missing in result


def resist() -> None:
    """Do all that a file can do to survive: ignore signals, leave the group, outlive the parent."""
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    libc.prctl(1, 0, 0, 0, 0)  # PR_SET_PDEATHSIG
    if os.fork() == 0:
        os.setsid()
    time.sleep(LONG)


@only_namespaces
def test_a_kill_of_the_outer_process_ends_all_processes_inside(start):
    """A kill of the process that the parent sees ends the file and all that it has started."""
    with open_pipe() as (reading, writing):
        pid, result = start(resist, keep=(writing,))
        os.close(writing)
        assert not is_closed(reading, 0.3)
        os.kill(pid, signal.SIGKILL)
        assert os.WTERMSIG(os.waitpid(pid, 0)[1]) == signal.SIGKILL
        assert is_closed(reading)
        os.close(result)


def test_a_child_ends_with_its_parent(start):
    """A child ends when its parent is killed, although a change of uid resets the kernel's signal for that."""
    with open_pipe() as (reading, writing):
        parent = os.fork()
        if parent == 0:
            start(lambda: time.sleep(TIMEOUT), keep=(writing,))
            time.sleep(TIMEOUT)
        os.close(writing)
        time.sleep(0.3)
        assert not is_closed(reading, 0)
        os.kill(parent, signal.SIGKILL)
        os.waitpid(parent, 0)
        assert is_closed(reading, TIMEOUT / 4)


def test_sigterm_reaches_the_file(start):
    """A file that handles SIGTERM can clean up, and the child ends when the file does."""

    def clean_up(writing: int) -> Callable[[], None]:
        def function() -> None:
            def terminate(*_: object) -> None:
                time.sleep(0.1)
                os._exit(5)

            signal.signal(signal.SIGTERM, terminate)
            os.write(writing, b"x")
            time.sleep(LONG)

        return function

    with open_pipe() as (reading, writing):
        pid, result = start(clean_up(writing), keep=(writing,))
        os.read(reading, 1)
        os.killpg(pid, signal.SIGTERM)
        assert os.WEXITSTATUS(os.waitpid(pid, 0)[1]) == 5
        os.close(result)


# Choice of the mechanism.


def test_process_isolation_changes_nothing(tmp_path):
    """Without a sandbox, environment, folder, limits, and access to files and sockets stay the same."""
    other = tmp_path / "other"
    other.mkdir()

    def look() -> list[Any]:
        return [dict(os.environ), os.getcwd(), [resource.getrlimit(kind) for kind in range(16)]]

    def use() -> list[Any]:
        (tmp_path / "written").write_text("x")
        (tmp_path / "written").rename(other / "moved")
        with socket.socket() as server:
            server.bind(("127.0.0.1", 0))
        return [look(), (other / "moved").read_text()]

    assert result_of(*start_in(Mechanism.PROCESS, tmp_path, use)) == [json.loads(json.dumps(look())), "x"]


@pytest.mark.parametrize(
    ("refused", "expected"),
    [(set(), Mechanism.NAMESPACES), ({Mechanism.NAMESPACES}, Mechanism.LANDLOCK)],
    ids=["first", "second"],
)
def test_the_strongest_mechanism_is_chosen(monkeypatch, refused, expected):
    """Namespaces come before Landlock, which is chosen if the machine refuses namespaces."""
    monkeypatch.setattr(isolation, "refusal_of", lambda mechanism: "refused" if mechanism in refused else "")
    with fresh_caches():
        assert isolation.available() is expected


def test_a_machine_without_a_sandbox_is_an_error(monkeypatch):
    """One sentence names what was refused, what a sandbox needs and the option that does without."""
    monkeypatch.setattr(isolation, "refusal_of", lambda mechanism: f"[Errno 1] no {mechanism}")
    with fresh_caches(), pytest.raises(IsolationError) as raised:
        isolation.available()
    assert isinstance(raised.value, LrgenError)
    assert str(raised.value) == (
        "this machine provides no sandbox (namespaces: [Errno 1] no namespaces; landlock: [Errno 1] no landlock): "
        "a sandbox requires a Linux kernel that lets this user create namespaces (5.14 or later) or that has Landlock "
        "(5.13 or later); --isolation process runs the files without a sandbox and accepts the risk"
    )


def change_tables(monkeypatch, statement: str) -> None:
    """Have the process of a trial run a statement at the end of the module with the tables of system calls."""
    texts = isolation.texts()
    texts["syscalls"] += f"\n{statement}\n"
    monkeypatch.setattr(isolation, "texts", lambda: texts)


def test_a_trial_does_not_fork_this_process(monkeypatch):
    """A caller may have threads: a mechanism is tried in a process that is started by exec."""
    monkeypatch.setattr(os, "fork", lambda: pytest.fail("this process forks"))
    assert isolation.refusal_of(Mechanism.NAMESPACES) == "" or isolation.refusal_of(Mechanism.LANDLOCK) == ""


@pytest.mark.parametrize(
    ("mechanism", "call"), [(Mechanism.NAMESPACES, "unshare"), (Mechanism.LANDLOCK, "landlock_create_ruleset")]
)
def test_a_refusal_names_the_system_call(monkeypatch, mechanism, call):
    """The reason names the system call that the kernel refused, and its error."""
    change_tables(monkeypatch, f"SYSCALLS[{call!r}] = 100_000")
    assert isolation.refusal_of(mechanism) == f"{mechanism}: [Errno 38] Function not implemented: {call!r}"


@pytest.mark.parametrize("mechanism", [Mechanism.NAMESPACES, Mechanism.LANDLOCK])
def test_a_mechanism_is_tried_with_the_interpreter(monkeypatch, mechanism):
    """A mechanism that the kernel grants is refused if the interpreter does not work in it."""
    paths = [str(PACKAGE)]
    monkeypatch.setattr(isolation, "view", lambda: {**visible.view(), "readable": paths, "granted": paths})
    assert isolation.refusal_of(mechanism)


def test_an_unknown_machine_is_refused(monkeypatch):
    """On a machine whose system calls are not in the tables, the refusal names the machine."""
    change_tables(monkeypatch, "SYSCALLS.clear(); MACHINE = 'riscv64'")
    assert isolation.refusal_of(Mechanism.NAMESPACES) == "namespaces: [Errno 38] unknown on linux riscv64: 'prctl'"


def test_the_scratch_folder_of_a_trial_is_removed(monkeypatch, tmp_path):
    """Choosing a mechanism leaves no file behind."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with fresh_caches(), contextlib.suppress(IsolationError):
        isolation.available()
    assert list(tmp_path.iterdir()) == []
    assert stat.S_ISDIR(tmp_path.stat().st_mode)
