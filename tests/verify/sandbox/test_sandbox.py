"""A child that has locked itself in reads, writes, reaches and starts nothing beyond what it was given."""

import contextlib
import ctypes
import errno
import fcntl
import functools
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
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lrgen.errors import IsolationError, LrgenError
from lrgen.verify import sandbox
from lrgen.verify.sandbox import Bounds, Mechanism, landlock, namespaces, privileges, readable_paths, seccomp, syscalls

BOUNDS = Bounds()
LONG = 60.0
PATIENCE = 20.0  # seconds until a test gives up waiting for something that must happen
PACKAGE = Path(sandbox.__file__).resolve().parents[2]
SITE_PACKAGES = Path(pytest.__file__).resolve().parent.parent
ROOT = os.getuid() == 0

# The ways in: with the privileges of root or as a user would; with a Landlock that has no scopes yet.
WAYS = {
    "namespaces": Mechanism.NAMESPACES,
    "user-namespaces": Mechanism.NAMESPACES,
    "landlock": Mechanism.LANDLOCK,
    "user-landlock": Mechanism.LANDLOCK,
    "old-landlock": Mechanism.LANDLOCK,
}
NAMESPACES = [way for way, mechanism in WAYS.items() if mechanism is Mechanism.NAMESPACES]
OF_USERS = ("user-namespaces", "user-landlock", "old-landlock")
LANDLOCK = [way for way, mechanism in WAYS.items() if mechanism is Mechanism.LANDLOCK]

libc = ctypes.CDLL(None, use_errno=True)


@functools.cache
def granted(way: str) -> bool:
    """Whether the machine gives what a way in is made of, found out by other means."""
    if way in LANDLOCK:
        return int(libc.syscall(444, None, ctypes.c_long(0), 1)) > 0
    users = ["--user", "--map-root-user"] if way in OF_USERS else []
    command = ["unshare", *users, "--mount", "--net", "--ipc", "--uts", "mount", "-t", "tmpfs", "none", "/usr"]
    try:
        return subprocess.run(command, check=False, capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """One way to lock a child in, where this machine has it."""
    if request.param in OF_USERS:
        monkeypatch.setattr(namespaces, "own_id", lambda *_: None)
        monkeypatch.setattr(landlock, "own_id", lambda *_: None)
    if request.param == "old-landlock":
        monkeypatch.setattr(landlock, "_ABI_SCOPES", 99)
    if request.param == "namespaces" and not ROOT:
        pytest.skip("namespaces without user namespaces are root's")
    if refusal := sandbox._attempt(WAYS[request.param]):
        message = f"{request.param}: {refusal}"
        pytest.fail(f"the machine grants what failed: {message}") if granted(request.param) else pytest.skip(message)
    return str(request.param)


only_namespaces = pytest.mark.parametrize("way", NAMESPACES, indirect=True)
only_landlock = pytest.mark.parametrize("way", LANDLOCK, indirect=True)


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    folder = tmp_path / "scratch"
    folder.mkdir(mode=0o700)
    return folder


@pytest.fixture
def start(way: str, scratch: Path) -> Callable[..., tuple[int, int]]:
    """Starts a child that locks itself in and runs a function; returns its process id and where its answer comes."""

    def start(function: Callable[[], Any], *, keep: tuple[int, ...] = (), bounds: Bounds = BOUNDS, **more: Any):
        reading, writing = os.pipe()
        pid = os.fork()
        if pid:
            os.close(writing)
            return pid, reading
        code = 99
        try:
            os.setsid()
            sandbox.enter(WAYS[way], scratch, {writing, *keep}, bounds, **more)
            answer = json.dumps(function()).encode()
            while answer:
                answer = answer[os.write(writing, answer) :]
            code = 0
        except BaseException as error:  # noqa: BLE001  a child must not return into pytest
            os.write(writing, json.dumps(f"{type(error).__name__}: {error}").encode())
        finally:
            os._exit(code)

    return start


@pytest.fixture
def inside(start: Callable[..., tuple[int, int]]) -> Callable[..., Any]:
    """What a function returns in a child that has locked itself in."""

    def inside(function: Callable[[], Any], **options: Any) -> Any:
        pid, reading = start(function, **options)
        with os.fdopen(reading, "rb") as pipe:
            text = pipe.read()
        _, status = os.waitpid(pid, 0)
        assert status == 0, text
        return json.loads(text)

    return inside


@pytest.fixture
def secrets(tmp_path: Path) -> dict[str, Path]:
    """What a file under test must not get: a key in somebody's home, a database."""
    (tmp_path / "home" / ".ssh").mkdir(parents=True)
    found = {"key": tmp_path / "home" / ".ssh" / "id_ed25519", "database": tmp_path / "ab.nn.db"}
    for path in found.values():
        path.write_text("secret")
        path.chmod(0o666)
    return found


def error_of(function: Callable[..., Any], *arguments: Any) -> str:
    """The name of the OSError that a call ends with; "nothing" when it succeeds."""
    try:
        function(*arguments)
    except OSError as error:
        return errno.errorcode[error.errno or 0]
    return "nothing"


def system_call(name: str, *arguments: int) -> str:
    """The same for a system call."""
    values = [ctypes.c_long(value) for value in arguments]
    if libc.syscall(ctypes.c_long(syscalls.SYSCALLS[name]), *values) < 0:
        return errno.errorcode[ctypes.get_errno()]
    return "nothing"


def is_closed(descriptor: int, patience: float = PATIENCE) -> bool:
    """Whether nobody holds the other end of a pipe any more."""
    return bool(select.select([descriptor], [], [], patience)[0]) and os.read(descriptor, 1) == b""


@contextlib.contextmanager
def a_pipe() -> Iterator[tuple[int, int]]:
    reading, writing = os.pipe()
    try:
        yield reading, writing
    finally:
        for descriptor in (reading, writing):
            with contextlib.suppress(OSError):
                os.close(descriptor)


def status_of(pid: int) -> dict[str, str]:
    text = Path(f"/proc/{pid}/status").read_text()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in text.splitlines())}


# What it may read.


def test_what_lies_elsewhere_cannot_be_read(inside, secrets, way):
    """Neither keys nor databases nor the rest of the repository can be read, not even through a link in the scratch."""
    places = [*secrets.values(), PACKAGE.parent / "pyproject.toml", Path("/etc/passwd")]

    def read() -> list[str]:
        for number, place in enumerate(places):
            Path(f"link{number}").symlink_to(place)
        links = [Path(f"link{number}") for number in range(len(places))]
        return [error_of(Path.read_bytes, place) for place in [*places, *links]]

    expected = "ENOENT" if way in NAMESPACES else "EACCES"
    assert inside(read) == [expected] * 2 * len(places)


def test_folders_elsewhere_cannot_be_listed(inside, secrets, way):
    """The names of files elsewhere are not told."""
    folders = [secrets["key"].parent, secrets["database"].parent / "home", Path("/etc/ssl"), Path("/var")]
    assert set(inside(lambda: [error_of(os.listdir, folder) for folder in folders])) <= {"ENOENT", "EACCES"}


@only_namespaces
def test_what_lies_elsewhere_is_not_even_seen(inside, scratch, secrets):
    """There is no file system but what may be read, the scratch folder, and the empty folders that lead there."""

    home = Path.home().resolve()

    def look() -> dict[str, list[str]]:
        folders = {"root": "/", "above": "/..", "beside": scratch.parent, "dev": "/dev", "home": home}
        return {name: os.listdir(folder) if os.path.exists(folder) else [] for name, folder in folders.items()}

    seen = inside(look)
    leading = {path.parts[1] for path in (*sandbox.readable(), scratch)}
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
    assert set(seen["home"]) <= {path.relative_to(home).parts[0] for path in sandbox.readable() if home in path.parents}
    assert set(seen["dev"]) == {"null", "zero", "full", "random", "urandom", "shm"}


def test_the_interpreter_is_at_home(inside):
    """Modules of the standard library and numpy can be imported, and threads run."""

    def work() -> list[Any]:
        for name in ("wave", "sqlite3", "decimal", "xml.dom.minidom"):
            importlib.import_module(name)
        import numpy

        found: list[float] = []
        threads = [threading.Thread(target=lambda: found.append(float(numpy.ones(10).sum()))) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return [found, os.cpu_count() or 0]

    assert inside(work) == [[10.0] * 4, os.cpu_count()]


def test_programs_of_the_system_run(inside):
    """A file may start a program; it is locked in as well."""
    assert inside(lambda: subprocess.check_output(["/bin/echo", "hello"], text=True)) == "hello\n"


def test_a_name_that_is_a_link_still_leads_there(inside, tmp_path, monkeypatch):
    """An entry of sys.path may be a link: its modules are found under the name that the interpreter knows."""
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "answer.py").write_text("VALUE = 42\n")
    (tmp_path / "names").mkdir()
    (tmp_path / "names" / "link").symlink_to(tmp_path / "real")
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path / "names" / "link")])
    with fresh_caches():
        assert inside(lambda: importlib.import_module("answer").VALUE) == 42


@contextlib.contextmanager
def fresh_caches() -> Iterator[None]:
    cached = (sandbox.readable, readable_paths.links, sandbox.available)
    for function in cached:
        function.cache_clear()
    try:
        yield
    finally:
        for function in cached:
            function.cache_clear()


def test_readable_is_what_the_interpreter_needs(monkeypatch, tmp_path):
    """The library, the packages, lrgen and its templates; never a home, the root, the current folder or what holds
    temporary files, though they stand in sys.path.
    """
    home, work, library, temporary = (tmp_path / name for name in ("home/user", "work", "library", "temporary"))
    for folder in (home, work / "inner", library / "inner", temporary):
        folder.mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(work / "inner")
    traps = ["", "/", home, home.parent, work, work / "inner", temporary, PACKAGE.parent]
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    monkeypatch.setattr(sys, "path", [*map(str, traps), str(library), str(library / "inner"), *sys.path])
    with fresh_caches():
        found = sandbox.readable()
    assert library.resolve() in found
    for needed in (Path(sys.prefix).resolve(), Path(os.__file__).resolve(), PACKAGE):
        assert any(needed.is_relative_to(path) for path in found)
    assert not {Path("/"), home, home.parent, work, work / "inner", temporary, PACKAGE.parent} & set(found)
    assert not any(home.is_relative_to(path) or work.is_relative_to(path) for path in found)
    assert all(path == path.resolve() and path.exists() for path in found)
    assert not any(one != other and one.is_relative_to(other) for one in found for other in found)


# What it may write.


def test_nothing_is_made_elsewhere(inside, scratch):
    """Nothing can be made beside the scratch folder, among the packages, in lrgen or in a folder of the system."""
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
    made = [folder / name for folder in folders if os.path.lexists(folder / name)]
    for path in made:
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
    assert made == []
    assert [error for errors in results.values() for error in errors if error == "nothing"] == []


def test_nothing_is_changed_elsewhere(inside, secrets, tmp_path, monkeypatch):
    """Neither a package nor a database is written, emptied, moved, linked or given another mode, time or owner."""
    # A folder of packages of this test's own: the real ones are not for trying out what may break them.
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


def test_the_scratch_folder_is_the_childs(inside, scratch, way):
    """It is the current folder, the home and the place of temporary files, and all may be done in it."""

    def work() -> list[str]:
        with tempfile.NamedTemporaryFile() as file:
            temporary = file.name
        Path("a/b").mkdir(parents=True)
        Path("a/b/file").write_text("text")
        Path("a/b/file").rename("a/file")
        Path("a/b").rmdir()
        return [os.getcwd(), str(Path.home()), str(Path(temporary).parent), Path("a/file").read_text()]

    assert inside(work) == [str(scratch)] * 3 + ["text"]
    assert list(scratch.iterdir()) == ([] if way in NAMESPACES else [scratch / "a"])


@only_namespaces
def test_the_scratch_folder_is_bounded(inside):
    """However many files are written, they cannot fill the disk."""

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


def test_a_file_is_bounded(inside):
    """One file cannot grow without end."""
    bounds = Bounds(file_bytes=1 << 20)
    assert inside(lambda: error_of(Path.write_bytes, Path("small"), bytes(1 << 20)), bounds=bounds) == "nothing"
    assert inside(lambda: error_of(Path.write_bytes, Path("large"), bytes((1 << 20) + 1)), bounds=bounds) == "EFBIG"


# What it may reach.


def test_no_socket_reaches_anybody(inside, tmp_path):
    """Neither a port on this machine nor a socket in a folder can be connected to, over any family."""
    with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(socket.AF_UNIX) as unix:
        path, address = str(tmp_path / "socket"), tcp.getsockname()
        unix.bind(path)
        unix.listen()
        os.chmod(path, 0o777)

        def connect() -> dict[str, str]:
            def over(family: int, address: Any, kind: int = socket.SOCK_STREAM) -> None:
                with socket.socket(family, kind) as one:
                    one.settimeout(1)
                    one.connect(address)

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
def test_without_the_filter_the_network_is_empty(inside, monkeypatch):
    """The filter is not the only wall: there is no interface that a packet could leave by."""
    monkeypatch.setattr(namespaces, "RULES", ())
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = server.getsockname()
        error = inside(lambda: error_of(socket.create_connection, address, 1))
        assert not select.select([server], [], [], 0)[0]
    assert error == "ENETUNREACH"


@only_landlock
def test_a_pair_of_sockets_cannot_be_turned_outwards(inside):
    """A pair for talking to a child process can be made, one that could be connected to somebody else cannot."""

    def pair() -> list[str]:
        return [error_of(socket.socketpair, socket.AF_UNIX, kind) for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM)]

    assert inside(pair) == ["nothing", "EPERM"]


def test_others_are_neither_signalled_nor_read(inside, way):
    """The parent, and a sibling of the same user, cannot be ended, limited or looked at."""
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
    allowed = {"", "ESRCH", "ENOENT", "EPERM"} if way in NAMESPACES else {"", "EPERM", "EACCES"}
    assert {error for row in results for error in row} <= allowed


# What it is given.


def test_the_environment_is_a_short_list(inside, scratch, monkeypatch):
    """No variable comes along but those that computing needs."""
    monkeypatch.setenv("LRGEN_DATABASE", "postgresql://user:password@host/db")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("NVIDIA_VISIBLE_DEVICES", "all")
    found = inside(lambda: dict(os.environ))
    assert found["HOME"] == found["TMPDIR"] == str(scratch)
    assert (found["OMP_NUM_THREADS"], found["NVIDIA_VISIBLE_DEVICES"]) == ("1", "all")
    own = {"HOME", "TMPDIR", "USER", "LOGNAME", "NVIDIA_VISIBLE_DEVICES"}
    assert set(found) <= own | set(privileges._ENVIRONMENT.split())


FIRST_ENVIRONMENT = """
import ctypes, os, sys
from pathlib import Path
from lrgen.verify import sandbox

def block():
    start, end = map(int, Path("/proc/self/stat").read_text().rpartition(")")[2].split()[47:49])
    return ctypes.string_at(start, end - start)

assert b"hunter2" in block()
sandbox.enter(sandbox.Mechanism(sys.argv[1]), Path(sys.argv[2]), set(), sandbox.Bounds())
print(b"hunter2" in block(), "TOKEN" in os.environ)
"""


def test_the_environment_is_not_left_in_memory(way, scratch):
    """The block of variables that the kernel keeps for a process is overwritten as well."""
    arguments = [sys.executable, "-c", FIRST_ENVIRONMENT, WAYS[way], str(scratch)]
    environment = os.environ | {"TOKEN": "hunter2", "PYTHONPATH": str(PACKAGE.parent)}
    done = subprocess.run(
        arguments, env=environment, check=False, capture_output=True, text=True, start_new_session=True
    )
    assert (done.stdout, done.stderr) == ("False False\n", "")


def test_only_the_kept_descriptors_stay_open(inside, tmp_path):
    """A database or a pipe that the parent has open is closed; what is kept still works."""

    def look(kept: int) -> Callable[[], list[int]]:
        def function() -> list[int]:
            os.write(kept, b"kept")
            return [number for number in range(256) if error_of(os.fstat, number) == "nothing"]

        return function

    with a_pipe() as (reading, writing), (tmp_path / "database").open("w"), a_pipe() as (_, other):
        os.set_inheritable(other, True)
        found = inside(look(writing), keep=(writing,))
        assert os.read(reading, 4) == b"kept"
        assert {0, 1, 2, writing} <= {*found, 0, 1, 2}
        assert len(set(found) - {0, 1, 2, writing}) == 1  # the one of the answer


def test_devices_are_given_one_by_one(inside, way):
    """The harmless devices work; another one is reached only when it was named."""

    def use() -> list[Any]:
        os.close(os.open("/dev/null", os.O_RDWR))
        random = os.read(os.open("/dev/urandom", os.O_RDONLY), 8)
        zeros = os.read(os.open("/dev/zero", os.O_RDONLY), 2)
        return [len(random), zeros == bytes(2), error_of(os.open, "/dev/tty", os.O_RDWR)]

    # A session without a terminal has none to open: that answer is the device's own.
    assert inside(use) == [8, True, "ENOENT" if way in NAMESPACES else "EACCES"]
    assert inside(use, devices=(Path("/dev/tty"),)) == [8, True, "ENXIO"]


@only_namespaces
def test_the_machine_has_another_name(inside):
    """The name of the machine is not told, nor changed."""
    before = socket.gethostname()
    assert inside(socket.gethostname) == "sandbox"
    assert socket.gethostname() == before != "sandbox"


# What it may start.


def test_processes_are_bounded(inside, way):
    """A loop that forks ends with an error, and soon."""
    if ROOT and way in OF_USERS:
        pytest.skip("the kernel bounds no tasks of root's uid")

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
    assert 1 <= count <= (10 if ROOT or way in NAMESPACES else 10 * (os.cpu_count() or 1))


@only_namespaces
def test_a_daemon_dies_with_the_child(inside):
    """What hides behind a double fork and a session of its own is gone when the child has ended."""

    def leave() -> str:
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                time.sleep(LONG)
            os._exit(0)
        return "left"

    with a_pipe() as (reading, writing):
        assert inside(leave, keep=(writing,)) == "left"
        os.close(writing)
        assert is_closed(reading, 0)


def test_what_is_left_behind_is_seen_as_a_child(inside):
    """An orphan comes to the process that runs the file, so that a check can say that it was left."""

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


def test_limits_are_set(inside):
    """No core is dumped, and few files can be open."""

    def look() -> list[Any]:
        return [resource.getrlimit(resource.RLIMIT_CORE), resource.getrlimit(resource.RLIMIT_NOFILE)]

    assert inside(look, bounds=Bounds(open_files=100)) == [[0, 0], [100, 100]]


# Privileges.


def test_there_are_no_privileges_and_no_way_to_them(inside, way):
    """No capability is held or can be had again, and the filter is in force for good."""

    def look() -> dict[str, str]:
        return status_of(os.getpid()) | {"Dumpable": str(libc.prctl(3, 0, 0, 0, 0))}  # PR_GET_DUMPABLE

    found = inside(look)
    assert found["Dumpable"] == "0"
    assert (found["NoNewPrivs"], found["Seccomp"]) == ("1", "2")
    held = {found[name] for name in ("CapEff", "CapPrm", "CapInh", "CapAmb")}
    # As root Landlock alone says what may be read: the interpreter may lie in a folder that is closed to others.
    assert held <= {f"{0:016x}", f"{privileges.CAP_DAC_READ_SEARCH:016x}"}
    assert way == "landlock" or held == {f"{0:016x}"}
    assert int(found["CapBnd"], 16) == 0 or not ROOT


@pytest.mark.skipif(not ROOT, reason="a uid of its own is root's to give")
@pytest.mark.parametrize("way", ["namespaces", "landlock"], indirect=True)
def test_roots_child_has_a_uid_of_its_own(inside):
    """No other process has the same one, and there is no way back."""

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


def test_dangerous_calls_are_refused(inside):
    """What an ordinary process may do, and this one need not: trace, read others' memory, make namespaces, mount."""
    calls = {
        "ptrace": (0, 0, 0, 0),  # PTRACE_TRACEME
        "process_vm_readv": (os.getpid(), 0, 0, 0, 0, 0),
        "keyctl": (0, -3, 0),  # KEYCTL_GET_KEYRING_ID of the session
        "io_uring_setup": (1, 0),
        "userfaultfd": (1,),
        "unshare": (namespaces._NEW_USERS,),
        "clone": (namespaces._NEW_USERS | signal.SIGCHLD, 0, 0, 0, 0),
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


def test_the_filter_leaves_no_back_door(inside):
    """The calls of another ABI are refused, clone3 is unknown, and nothing is typed into a terminal."""
    x32_getpid = 0x40000000 | 39

    def look() -> list[str]:
        reading, _ = os.pipe()
        libc.syscall(ctypes.c_long(x32_getpid))
        x32 = errno.errorcode[ctypes.get_errno()]
        return [x32, system_call("clone3", 0, 0), error_of(fcntl.ioctl, reading, seccomp._TIOCSTI, b"x")]

    assert inside(look) == ["EPERM", "ENOSYS", "EPERM"]


def test_nothing_is_remounted(inside):
    """What is mounted read-only stays so."""

    def remount() -> str:
        flags = 32 | namespaces._MS_BIND  # MS_REMOUNT
        libc.mount(None, b"/usr", None, ctypes.c_ulong(flags), None)
        return errno.errorcode[ctypes.get_errno()]

    assert inside(remount) == "EPERM"


HEADER = Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h")


@pytest.mark.skipif(not HEADER.exists() or syscalls.MACHINE != "x86_64", reason="needs the kernel's headers")
def test_the_numbers_of_the_calls_are_the_kernels():
    """Each number in the tables is that of the kernel's own header, as far as it knows the call."""
    kernels = {name: int(number) for name, number in re.findall(r"__NR_(\w+) (\d+)", HEADER.read_text())}
    known = syscalls.SYSCALLS.keys() & kernels.keys()
    assert {name: syscalls.SYSCALLS[name] for name in known} == {name: kernels[name] for name in known}
    assert len(known) >= 0.9 * len(syscalls.SYSCALLS)


# How it ends.

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
def test_the_end_of_the_file_is_the_end_of_the_child(start, end):
    """The exit code or the signal is seen from outside as if nothing stood in between."""

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


def test_a_refusal_is_told(start, scratch):
    """A child that cannot lock itself in raises the error and does not run the file."""
    missing = Path("/dev/there-is-no-such-device")
    pid, reading = start(lambda: "ran", devices=(missing,))
    with os.fdopen(reading, "rb") as pipe:
        answer = json.loads(pipe.read())
    assert os.WEXITSTATUS(os.waitpid(pid, 0)[1]) == 99
    assert answer.startswith("IsolationError")
    assert str(missing) in answer


def hold_on() -> None:
    """Whatever a file can do in order to stay: refuse signals, leave the group, forget the parent."""
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    libc.prctl(1, 0, 0, 0, 0)  # PR_SET_PDEATHSIG
    if os.fork() == 0:
        os.setsid()
    time.sleep(LONG)


@only_namespaces
def test_the_end_of_the_process_outside_is_the_end_of_all_inside(start):
    """Whoever kills the one process that is seen from outside has killed the file and all that it started."""
    with a_pipe() as (reading, writing):
        pid, answer = start(hold_on, keep=(writing,))
        os.close(writing)
        assert not is_closed(reading, 0.3)
        os.kill(pid, signal.SIGKILL)
        assert os.WTERMSIG(os.waitpid(pid, 0)[1]) == signal.SIGKILL
        assert is_closed(reading)
        os.close(answer)


def test_the_end_of_the_parent_is_the_end_of_the_child(start):
    """A child whose parent was killed does not run on, though a change of uid makes the kernel forget that."""
    with a_pipe() as (reading, writing):
        parent = os.fork()
        if parent == 0:
            start(lambda: time.sleep(PATIENCE), keep=(writing,))
            time.sleep(PATIENCE)
        os.close(writing)
        time.sleep(0.3)
        assert not is_closed(reading, 0)
        os.kill(parent, signal.SIGKILL)
        os.waitpid(parent, 0)
        assert is_closed(reading, PATIENCE / 4)


def test_the_group_is_terminated_before_it_is_killed(start):
    """SIGTERM to the child's group reaches the file, which may tidy up, and the child ends when it has."""

    def tidy(writing: int) -> Callable[[], None]:
        def function() -> None:
            def obey(*_: object) -> None:
                time.sleep(0.1)
                os._exit(5)

            signal.signal(signal.SIGTERM, obey)
            os.write(writing, b"x")
            time.sleep(LONG)

        return function

    with a_pipe() as (reading, writing):
        pid, answer = start(tidy(writing), keep=(writing,))
        os.read(reading, 1)
        os.killpg(pid, signal.SIGTERM)
        assert os.WEXITSTATUS(os.waitpid(pid, 0)[1]) == 5
        os.close(answer)


# Which mechanism there is.


def test_the_level_of_a_process_locks_nothing(tmp_path):
    """Who asks for a process alone gets what was there before."""
    before = (dict(os.environ), os.getcwd(), resource.getrlimit(resource.RLIMIT_NOFILE))
    sandbox.enter(Mechanism.PROCESS, tmp_path, set(), Bounds())
    assert (dict(os.environ), os.getcwd(), resource.getrlimit(resource.RLIMIT_NOFILE)) == before


@pytest.mark.parametrize(
    ("refused", "expected"),
    [(set(), Mechanism.NAMESPACES), ({Mechanism.NAMESPACES}, Mechanism.LANDLOCK)],
    ids=["first", "second"],
)
def test_the_strongest_level_is_taken(monkeypatch, refused, expected):
    """Namespaces come before Landlock, and what a machine refuses is passed over."""
    monkeypatch.setattr(sandbox, "_attempt", lambda mechanism: "refused" if mechanism in refused else "")
    with fresh_caches():
        assert sandbox.available() is expected


def test_a_machine_without_a_sandbox_is_told_what_is_missing(monkeypatch):
    """One sentence says what was refused, what it takes and how to do without."""
    monkeypatch.setattr(sandbox, "_attempt", lambda mechanism: f"[Errno 1] no {mechanism}")
    with fresh_caches(), pytest.raises(IsolationError) as caught:
        sandbox.available()
    text = str(caught.value)
    assert isinstance(caught.value, LrgenError)
    for part in ("[Errno 1] no namespaces", "[Errno 1] no landlock", "5.13", "--isolation process"):
        assert part in text
    assert "\n" not in text


@pytest.mark.parametrize(
    ("mechanism", "call"), [(Mechanism.NAMESPACES, "unshare"), (Mechanism.LANDLOCK, "landlock_create_ruleset")]
)
def test_what_the_kernel_refuses_is_named(monkeypatch, mechanism, call):
    """The reason for passing over a mechanism is the system call and its error."""
    monkeypatch.setattr(syscalls, "SYSCALLS", {**syscalls.SYSCALLS, call: 100_000})
    refusal = sandbox._attempt(mechanism)
    assert call in refusal
    assert "Function not implemented" in refusal


@pytest.mark.parametrize("mechanism", [Mechanism.NAMESPACES, Mechanism.LANDLOCK])
def test_a_mechanism_is_tried_for_real(monkeypatch, mechanism):
    """A mechanism in which the interpreter could not live is passed over, though the kernel grants it."""
    monkeypatch.setattr(namespaces, "readable", lambda: (PACKAGE,))
    monkeypatch.setattr(landlock, "readable", lambda: (PACKAGE,))
    assert sandbox._attempt(mechanism)


def test_other_machines_are_told(monkeypatch):
    """On a machine whose system calls are not in the tables nothing is tried."""
    monkeypatch.setattr(syscalls, "SYSCALLS", {})
    monkeypatch.setattr(syscalls, "MACHINE", "riscv64")
    assert "riscv64" in sandbox._attempt(Mechanism.NAMESPACES)


def test_the_scratch_folder_of_a_trial_is_removed(monkeypatch, tmp_path):
    """Asking what a machine gives leaves nothing behind."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with fresh_caches(), contextlib.suppress(IsolationError):
        sandbox.available()
    assert list(tmp_path.iterdir()) == []
    assert stat.S_ISDIR(tmp_path.stat().st_mode)
