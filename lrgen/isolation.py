"""Locks a forked child in before it runs code that nobody knows (Linux on x86_64 and aarch64).

The child keeps what the interpreter needs, read-only, and one scratch folder. It has no network, no privileges, few
processes and none of the parent's environment and descriptors. At the level ``namespaces`` everything else does not
exist for it; at the level ``landlock``, for machines that refuse namespaces, it exists and the kernel refuses it.

Nothing is executed anew: what the parent has imported stays imported. For the same reason the child's memory is a copy
of the parent's. A secret that the parent holds in memory is not protected from the child, only its ways out are.
"""

import contextlib
import ctypes
import errno
import functools
import os
import platform
import resource
import signal
import stat
import struct
import sys
import tempfile
import threading
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple, NoReturn

from lrgen.errors import IsolationError


class Isolation(StrEnum):
    """What a user asks for."""

    PROCESS = "process"
    SANDBOX = "sandbox"


class Level(StrEnum):
    """What was done; recorded with each result."""

    PROCESS = "process"
    NAMESPACES = "namespaces"
    LANDLOCK = "landlock"


@dataclass(frozen=True)
class Bounds:
    """How much one child may have: tasks (threads included), bytes of a file, of the scratch folder, open files."""

    processes: int = 64
    file_bytes: int = 64 << 20
    scratch_bytes: int = 256 << 20
    open_files: int = 256


_AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_MACHINE = platform.machine()


def _numbers(table: str) -> dict[str, int]:
    """The system calls of a table (name, number on x86_64, number on aarch64) that this machine has."""
    rows = (entry.split() for entry in table.split(","))
    numbers = {name: dict(zip(_AUDIT_ARCH, values, strict=True)).get(_MACHINE, "-") for name, *values in rows}
    return {name: int(number) for name, number in numbers.items() if number != "-"}


_REFUSED = _numbers("""
unshare 272 97, setns 308 268, mount 165 40, umount2 166 39, pivot_root 155 41, chroot 161 51, move_mount 429 429,
open_tree 428 428, open_tree_attr 467 467, fsopen 430 430, fsconfig 431 431, fsmount 432 432, fspick 433 433,
mount_setattr 442 442, ptrace 101 117, process_vm_readv 310 270, process_vm_writev 311 271, pidfd_getfd 438 438,
kcmp 312 272, bpf 321 280, io_uring_setup 425 425, io_uring_enter 426 426, io_uring_register 427 427,
userfaultfd 323 282, perf_event_open 298 241, fanotify_init 300 262, keyctl 250 219, add_key 248 217,
request_key 249 218, kexec_load 246 104, kexec_file_load 320 294, init_module 175 105, finit_module 313 273,
delete_module 176 106, reboot 169 142, swapon 167 224, swapoff 168 225, acct 163 89, quotactl 179 60,
quotactl_fd 443 443, syslog 103 116, iopl 172 -, ioperm 173 -, open_by_handle_at 304 265, sethostname 170 161
""")
# Without namespaces the machine's sockets, queues and files are in reach, and Landlock knows no right to change a mode.
_REFUSED_TO_LANDLOCK = _numbers("""
socket 41 198, shmget 29 194, msgget 68 186, semget 64 190, mq_open 240 180, truncate 76 45, chmod 90 -, fchmod 91 52,
fchmodat 268 53, fchmodat2 452 452, chown 92 -, lchown 94 -, fchown 93 55, fchownat 260 54, setxattr 188 5,
lsetxattr 189 6, fsetxattr 190 7, setxattrat 463 463, removexattr 197 14, lremovexattr 198 15, fremovexattr 199 16,
removexattrat 466 466, utime 132 -, utimes 235 -, futimesat 261 -, utimensat 280 88, file_setattr 469 469
""")
_USED = _numbers("""
capget 125 90, capset 126 91, clone 56 220, clone3 435 435, ioctl 16 29, kill 62 129, landlock_add_rule 445 445,
landlock_create_ruleset 444 444, landlock_restrict_self 446 446, pidfd_send_signal 424 424, prctl 157 167,
prlimit64 302 261, rt_sigqueueinfo 129 138, rt_tgsigqueueinfo 297 240, seccomp 317 277, socketpair 53 199,
tgkill 234 131, tkill 200 130
""")
_SYSCALLS = _REFUSED | _REFUSED_TO_LANDLOCK | _USED


class _Rule(NamedTuple):
    """A call that is allowed only when its masked argument is the value (or, not ``equal``, only when it is not)."""

    call: str
    argument: int
    mask: int
    value: int
    equal: bool = True


_ALL_BITS = 0xFFFFFFFF
_CLONE_NEW = 0x7E020000  # every kind of namespace
_AF_UNIX, _SOCK_STREAM, _SOCK_TYPE = 1, 1, 0xF
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C
_RULES = (
    _Rule("clone", 0, _CLONE_NEW, 0),
    _Rule("socket", 0, _ALL_BITS, _AF_UNIX),
    _Rule("prlimit64", 0, _ALL_BITS, 0),  # only a process's own limits
    _Rule("ioctl", 1, _ALL_BITS, _TIOCSTI, equal=False),
    _Rule("ioctl", 1, _ALL_BITS, _TIOCLINUX, equal=False),
)
_RULES_OF_LANDLOCK = (_Rule("socketpair", 1, _SOCK_TYPE, _SOCK_STREAM),)  # a datagram one could still be connected
_SIGNALLING_A_PROCESS = ("kill", "tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo")  # their first argument
_SIGNALLING_A_THREAD_OR_HANDLE = ("tkill", "pidfd_send_signal")

# What every program may read, and what it may look at of the machine.
_SYSTEM = """
/usr /bin /sbin /lib /lib32 /lib64 /libx32 /nix/store /gnu/store /etc/alternatives /etc/ld.so.cache /etc/localtime
"""
_MACHINE_VIEWS = ("/sys/devices/system/cpu", "/sys/devices/system/node")
_PROCESS_VIEWS = ("/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/proc/version")  # without a /proc of its own
_DEVICES = tuple(map(Path, ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")))
_ENVIRONMENT = """
PATH LANG LC_ALL TZ OMP_NUM_THREADS MKL_NUM_THREADS OPENBLAS_NUM_THREADS CUBLAS_WORKSPACE_CONFIG CUDA_VISIBLE_DEVICES
"""
_ENVIRONMENT_PREFIX = "NVIDIA_"

_SHARED_MEMORY = 64 << 20
_FILES_OF_A_TMPFS = 1 << 14
_FAILED = 70
_OUTSIDE = 0  # the number of a parent that is outside the namespace

_OWN_IDS = 2_000_000_000  # uids and gids from here on are nobody's; the process id is added
_WHOLE_MAP = ["0", "0", str(2**32 - 1)]
_NO_CAPS, _CAP_DAC_READ_SEARCH = 0, 1 << 2
_CAPS_TO_CHANGE_IDS = 1 << 0 | 1 << 6 | 1 << 7 | 1 << 8  # CHOWN, SETGID, SETUID, SETPCAP
_CAP_SYS_ADMIN = 1 << 21
_CAP_VERSION = struct.pack("Ii", 0x20080522, 0)

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_KEEPCAPS, _PR_CAPBSET_DROP = 1, 4, 8, 24
_PR_SET_CHILD_SUBREAPER, _PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL = 36, 38, 47, 4

_NEW_MOUNTS_PIDS_NETWORK_IPC_NAMES = 0x00020000 | 0x20000000 | 0x40000000 | 0x08000000 | 0x04000000
_NEW_USERS = 0x10000000
_MS_RDONLY, _MS_NOSUID, _MS_NODEV, _MS_NOEXEC = 1, 2, 4, 8  # the attributes of mount_setattr have the same values
_MS_BIND, _MS_REC, _MS_PRIVATE = 1 << 12, 1 << 14, 1 << 18
_MNT_DETACH, _AT_FDCWD, _AT_RECURSIVE = 2, -100, 0x8000

_LANDLOCK_VERSION, _LANDLOCK_BENEATH = 1, 1
_RIGHTS_OF_ABI = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}  # as many bits
_EXECUTE, _WRITE, _READ, _LIST, _TRUNCATE, _IOCTL = 1 << 0, 1 << 1, 1 << 2, 1 << 3, 1 << 14, 1 << 15
_MAKE_DEVICES = 1 << 6 | 1 << 11
_RIGHTS_OF_FILES = _EXECUTE | _WRITE | _READ | _TRUNCATE | _IOCTL
_BIND_AND_CONNECT, _ABI_NETWORK = 0b11, 4
_SIGNALS_AND_ABSTRACT_SOCKETS, _ABI_SCOPES = 0b11, 6

_libc = ctypes.CDLL(None, use_errno=True)


def _call(name: str, *arguments: int | bytes | ctypes.Array[ctypes.c_char] | None) -> int:
    """A system call by its name; an OSError that says which one failed."""
    if name not in _SYSCALLS:
        raise OSError(errno.ENOSYS, f"unknown on {sys.platform} {_MACHINE}", name)
    values = [ctypes.c_long(value) if isinstance(value, int) else value for value in arguments]
    result = int(_libc.syscall(ctypes.c_long(_SYSCALLS[name]), *values))
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), name)
    return result


# What the machine gives.


@functools.cache
def available() -> Level:
    """The strongest sandbox of this machine; each is tried in a short-lived child.

    Raises:
        IsolationError: there is none; says what is missing.
    """
    readable(), _links()  # kept from now on: a child has another current folder
    refusals = []
    for level in (Level.NAMESPACES, Level.LANDLOCK):
        if not (refusal := _attempt(level)):
            return level
        refusals.append(f"{level}: {refusal}")
    raise IsolationError(
        f"this machine gives no sandbox ({'; '.join(refusals)}): it takes a Linux kernel that lets this user make "
        "namespaces (5.14 or later), or one with Landlock (5.13 or later); --isolation process runs the files "
        "without one and accepts the risk"
    )


def _attempt(level: Level) -> str:
    """What refused a level, or nothing when a child could lock itself in and live there."""
    with tempfile.TemporaryDirectory(prefix="lrgen-") as scratch:
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            _rehearse(level, Path(scratch), writing)
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe:
            refusal = pipe.read().decode(errors="replace")
        _, status = os.waitpid(pid, 0)
    return refusal or (f"the child ends with wait status {status}" if status else "")


def _rehearse(level: Level, scratch: Path, pipe: int) -> NoReturn:
    """Enter, and do what every file does: read the library, write to the scratch folder, start a thread."""
    code = _FAILED
    try:
        os.setsid()
        enter(level, scratch, {pipe}, Bounds())
        Path(os.__file__).read_bytes()
        Path("rehearsal").write_bytes(b"x")
        thread = threading.Thread(target=os.getpid)
        thread.start()
        thread.join()
        code = 0
    except BaseException as error:  # noqa: BLE001  a child must not return into the parent's code
        os.write(pipe, str(error).encode())
    finally:
        os._exit(code)


@functools.cache
def readable() -> tuple[Path, ...]:
    """What the interpreter needs, without links and without folders inside others. Found once, by the parent."""
    found = sorted({path.resolve() for path in _needed()})
    return tuple(path for path in found if not any(path != other and path.is_relative_to(other) for other in found))


def _needed() -> list[Path]:
    """The same under the names by which the interpreter knows it.

    Never a folder that has the user's home inside it, nor, for the sake of what else lies there, an entry of sys.path
    with the current folder, the folder for temporary files or lrgen itself in it: of that only the package and its
    templates.
    """
    package = Path(__file__).resolve().parent
    home = Path("~").expanduser().resolve()
    inside = (home, Path.cwd(), Path(tempfile.gettempdir()).resolve(), package)
    prefixes = [Path(prefix).absolute() for prefix in (sys.prefix, sys.base_prefix, sys.exec_prefix)]
    entries = [Path(entry).absolute() for entry in sys.path if entry and Path(entry).is_dir()]
    chosen = [path for path in prefixes if not home.is_relative_to(path.resolve())]
    chosen += [path for path in entries if not any(at.is_relative_to(path.resolve()) for at in inside)]
    chosen += [*map(Path, _SYSTEM.split()), package, package.parent / "templates"]
    return [path for path in chosen if path.exists()]


@functools.cache
def _links() -> tuple[tuple[Path, Path], ...]:
    """Names that are links, and what they lead to: /lib, a virtual environment behind a link."""
    return tuple((path, path.resolve()) for path in _needed() if path != path.resolve())


# Locking in.


def enter(level: Level, scratch: Path, keep: Collection[int], bounds: Bounds, devices: Sequence[Path] = ()) -> None:
    """Lock this process in; for a child that was just forked, has one thread and leads a session of its own.

    Returns in the process that may run the file. At the level ``namespaces`` that is a child of this one, which waits
    for it and ends as it ended. Of the descriptors 0, 1, 2 and ``keep`` stay. The number of tasks is not bounded for
    a root that cannot change its uid.

    Raises:
        IsolationError: something was refused; the process must not go on.
    """
    if level is Level.PROCESS:
        return
    scratch = scratch.resolve()
    try:
        _die_with(os.getppid())
        _forget_environment(scratch)
        _close_all_but({0, 1, 2, *keep})
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if level is Level.NAMESPACES:
            _enter_by_namespaces(scratch, bounds, devices)
        else:
            _enter_by_landlock(scratch, bounds, devices)
        os.chdir(scratch)
    except OSError as error:
        raise IsolationError(f"{level}: {error}") from error


def _enter_by_namespaces(scratch: Path, bounds: Bounds, devices: Sequence[Path]) -> None:
    own = _own_id(_CAP_SYS_ADMIN)
    _move_into_namespaces(own)
    _change_root(scratch, bounds, devices)
    _limit(bounds, bounds.processes)
    _drop_privileges(own)
    _lock(_OUTSIDE, _REFUSED.values(), _RULES)


def _enter_by_landlock(scratch: Path, bounds: Bounds, devices: Sequence[Path]) -> None:
    parent = os.getppid()
    own = _own_id(_NO_CAPS, scratch)
    abi = _call("landlock_create_ruleset", None, 0, _LANDLOCK_VERSION)
    ruleset = _ruleset(abi, scratch, devices)
    _limit(bounds, bounds.processes if own else _tasks_of_user() + bounds.processes * (os.cpu_count() or 1))
    if own:
        os.chown(scratch, own, own)
    _drop_privileges(own, _CAP_DAC_READ_SEARCH)
    _call("prctl", _PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    _call("landlock_restrict_self", ruleset, 0)
    os.close(ruleset)
    refused = [*_REFUSED.values(), *_REFUSED_TO_LANDLOCK.values()]
    rules = [*_RULES, *_RULES_OF_LANDLOCK]
    if abi < _ABI_SCOPES and not own:  # nothing else keeps it from signalling its parent and its siblings
        refused += [_SYSCALLS[call] for call in _SIGNALLING_A_THREAD_OR_HANDLE]
        rules += [_Rule(call, 0, _ALL_BITS, os.getpid()) for call in _SIGNALLING_A_PROCESS]
    _lock(parent, refused, rules)


def _forget_environment(scratch: Path) -> None:
    """Keep a short list of variables, and overwrite the block in which the parent was given all of them."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in _ENVIRONMENT.split() or name.startswith(_ENVIRONMENT_PREFIX)
    }
    os.environ.clear()
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    start, end = map(int, fields[47:49])  # env_start, env_end: proc(5)
    if 0 < start < end:
        ctypes.memset(start, 0, end - start)
    os.environ.update(kept | {"HOME": str(scratch), "TMPDIR": str(scratch), "USER": "sandbox", "LOGNAME": "sandbox"})
    tempfile.tempdir = None


def _close_all_but(keep: Iterable[int]) -> None:
    low = 0
    for descriptor in sorted(keep):
        if low < descriptor:  # an empty range from 0 closes everything (CPython 3.11)
            os.closerange(low, descriptor)
        low = descriptor + 1
    os.closerange(low, 2**31 - 1)


def _limit(bounds: Bounds, tasks: int) -> None:
    """Set the limits of a process, never above those that it has."""
    for kind, wanted in (
        (resource.RLIMIT_FSIZE, bounds.file_bytes),
        (resource.RLIMIT_NOFILE, bounds.open_files),
        (resource.RLIMIT_NPROC, tasks),
    ):
        hard = resource.getrlimit(kind)[1]
        value = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(kind, (value, value))


def _tasks_of_user() -> int:
    """How many tasks the kernel counts for a uid that the child shares with others."""
    tasks = 0
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdigit() and folder.stat().st_uid == os.getuid():
                tasks += len(os.listdir(folder / "task"))
        except OSError:  # it has ended, or is another user's
            continue
    return tasks


def _lock(parent: int, refused: Iterable[int], rules: Iterable[_Rule]) -> None:
    """The last steps: no way back to privileges, an end with the parent, and the filter."""
    _call("prctl", _PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    _call("prctl", _PR_SET_DUMPABLE, 0, 0, 0, 0)
    _call("prctl", _PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)  # what the file leaves behind stays visible as its child
    _die_with(parent)  # again: a change of uid takes this back
    instructions = _filter(refused, rules)
    program = ctypes.create_string_buffer(b"".join(instructions))
    header = struct.pack("H6xQ", len(instructions), ctypes.addressof(program))
    _call("seccomp", 1, 0, header)


def _die_with(parent: int) -> None:
    """Be killed when the parent ends, or give up when it already has."""
    _call("prctl", _PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        raise OSError(errno.ESRCH, "the parent has ended", "getppid")


def _filter(refused: Iterable[int], rules: Iterable[_Rule]) -> list[bytes]:
    """A seccomp program: the architecture, the refused calls, those whose argument decides; the rest is allowed."""

    def step(code: int, value: int, then: int = 0, otherwise: int = 0) -> bytes:
        return struct.pack("HBBI", code, then, otherwise, value)

    load, equal, at_least, mask, end = 0x20, 0x15, 0x35, 0x54, 0x06
    number, architecture, arguments = 0, 4, 16  # offsets in struct seccomp_data
    kill, allow, refuse = (step(end, value) for value in (0x80000000, 0x7FFF0000, 0x50000 | errno.EPERM))
    unknown = step(end, 0x50000 | errno.ENOSYS)  # makes the C library fall back to clone, whose flags can be seen
    program = [step(load, architecture), step(equal, _AUDIT_ARCH[_MACHINE], 1), kill]
    program += [step(load, number), step(at_least, 0x40000000, 0, 1), refuse]  # the x32 calls
    program += [step(equal, _SYSCALLS["clone3"], 0, 1), unknown]
    for call in refused:
        program += [step(equal, call, 0, 1), refuse]
    for rule in rules:
        verdict = step(equal, rule.value, 1, 0) if rule.equal else step(equal, rule.value, 0, 1)
        argument = [step(load, arguments + 8 * rule.argument), step(mask, rule.mask)]
        block = [*argument, verdict, refuse, step(load, number)]
        program += [step(equal, _SYSCALLS[rule.call], 0, len(block)), *block]
    return [*program, allow]


# Privileges.


def _own_id(needed: int, scratch: Path | None = None) -> int | None:
    """A uid and gid for this child alone, which no limit and no signal of others counts for.

    None when the process cannot change its own, or could not find its files and the scratch folder with it.
    """
    held = _capabilities()
    if held & (wanted := needed | _CAPS_TO_CHANGE_IDS) != wanted:
        return None
    if Path("/proc/self/uid_map").read_text().split() != _WHOLE_MAP:
        return None
    if scratch and not held & _CAP_DAC_READ_SEARCH and not all(map(_open_to_all, (*readable(), scratch.parent))):
        return None
    return _OWN_IDS + os.getpid()


def _open_to_all(path: Path) -> bool:
    return all(folder.stat().st_mode & stat.S_IXOTH for folder in path.parents) and bool(
        path.stat().st_mode & stat.S_IROTH
    )


def _capabilities() -> int:
    """The effective ones, one bit each."""
    data = ctypes.create_string_buffer(24)
    _call("capget", _CAP_VERSION, data)
    words = struct.unpack("6I", data.raw)
    return int(words[0] | words[3] << 32)


def _drop_privileges(own: int | None, spared: int = 0) -> None:
    """Take the own ids, if any, and give up every capability but the spared ones that were held with them.

    What is spared is CAP_DAC_READ_SEARCH where Landlock decides what may be read: the interpreter of root may lie in
    a folder that is closed to others.
    """
    spared = _capabilities() & spared if own else 0
    _call("prctl", _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    try:
        for capability in range(64):
            _call("prctl", _PR_CAPBSET_DROP, capability, 0, 0, 0)
    except OSError as error:  # EINVAL: there are no more; EPERM: it holds none that it could drop
        if error.errno not in (errno.EINVAL, errno.EPERM):
            raise
    if own:
        _call("prctl", _PR_SET_KEEPCAPS, 1, 0, 0, 0)
        os.setgroups([])
        os.setresgid(own, own, own)
        os.setresuid(own, own, own)
    _call("capset", _CAP_VERSION, struct.pack("6I", spared, spared, 0, 0, 0, 0))


# Namespaces.


def _move_into_namespaces(own: int | None) -> None:
    """Return in a new process inside new namespaces; this one waits for it.

    The first process of a namespace takes all others with it when it ends, but no signal of theirs can end it, which
    a file would notice. So the first is one that only waits for this one's end, and the file runs in the second.
    """
    uid, gid = os.getuid(), os.getgid()
    _call("unshare", _NEW_MOUNTS_PIDS_NETWORK_IPC_NAMES | (0 if own else _NEW_USERS))
    if not own:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
        Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    lifeline, held = os.pipe()
    first = os.fork()
    if first == 0:
        _be_first(lifeline, own)
    inner = os.fork()
    if inner:
        _follow(inner, first, held)
    os.close(lifeline)
    os.close(held)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _be_first(lifeline: int, own: int | None) -> NoReturn:
    """Reap orphans, until the process outside closes its end of the pipe by ending."""
    try:
        _close_all_but({lifeline})
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        _drop_privileges(own)
        _call("prctl", _PR_SET_DUMPABLE, 0, 0, 0, 0)
        os.read(lifeline, 1)
    finally:
        os._exit(0)


def _follow(inner: int, first: int, held: int) -> NoReturn:
    """Wait for the inner process, end whatever it left behind, and end as it ended."""
    code = _FAILED
    try:
        _close_all_but({held})
        _, status = os.waitpid(inner, 0)
        os.kill(first, signal.SIGKILL)
        os.waitpid(first, 0)
        if os.WIFSIGNALED(status):
            number = os.WTERMSIG(status)
            if number != signal.SIGKILL:
                signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
        code = os.WEXITSTATUS(status)
    finally:
        os._exit(code)


def _change_root(scratch: Path, bounds: Bounds, devices: Sequence[Path]) -> None:
    """Make a file system of what may be read and the scratch folder, and leave the old one."""
    os.umask(0o022)
    links = _links()
    root = str(scratch)  # where the new root is put together
    _mount(None, "/", None, _MS_REC | _MS_PRIVATE)
    _tmpfs(root, 1 << 20, 755)
    for path in (*readable(), *filter(Path.exists, map(Path, _MACHINE_VIEWS))):
        _bind(path, root, _MS_RDONLY | _MS_NOSUID | _MS_NODEV)
    for device in (*_DEVICES, *devices):
        _bind(device, root, _MS_NOSUID | _MS_NOEXEC)
    _tmpfs(f"{root}/dev/shm", _SHARED_MEMORY)
    _tmpfs(f"{root}{scratch}", bounds.scratch_bytes)
    os.makedirs(f"{root}/proc")
    with contextlib.suppress(PermissionError):  # in a container that hides parts of its own: the folder stays empty
        _mount("proc", f"{root}/proc", "proc", _MS_RDONLY | _MS_NOSUID | _MS_NODEV | _MS_NOEXEC)
    os.chdir(root)
    _call("pivot_root", b".", b".")
    _call("umount2", b".", _MNT_DETACH)
    os.chdir("/")
    for name, target in links:
        if not os.path.lexists(name):
            name.parent.mkdir(parents=True, exist_ok=True)
            name.symlink_to(target)
    _set_attributes("/", _MS_RDONLY)
    _call("sethostname", b"sandbox", len(b"sandbox"))


def _mount(source: str | None, target: str, kind: str | None, flags: int, options: str = "") -> None:
    try:
        _call("mount", *(part.encode() if part else None for part in (source, target, kind)), flags, options.encode())
    except OSError as error:
        raise OSError(error.errno, error.strerror, f"mount {source} {target}") from error


def _tmpfs(target: str, size: int, mode: int = 1777) -> None:
    os.makedirs(target, exist_ok=True)
    _mount("tmpfs", target, "tmpfs", _MS_NOSUID | _MS_NODEV, f"size={size},nr_inodes={_FILES_OF_A_TMPFS},mode={mode}")


def _bind(path: Path, root: str, attributes: int) -> None:
    """Show a file or a folder, with all that is mounted in it, under the new root."""
    target = Path(f"{root}{path}")
    if path.is_dir():
        target.mkdir(parents=True, exist_ok=True)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.touch()
    _mount(str(path), str(target), None, _MS_BIND | _MS_REC)
    _set_attributes(str(target), attributes, _AT_RECURSIVE)


def _set_attributes(target: str, attributes: int, flags: int = 0) -> None:
    """Add attributes to a mount; those that it has, some of them locked, stay."""
    data = struct.pack("4Q", attributes, 0, 0, 0)
    _call("mount_setattr", _AT_FDCWD, target.encode(), flags, data, len(data))


# Landlock.


def _ruleset(abi: int, scratch: Path, devices: Sequence[Path]) -> int:
    """A descriptor of the rules: every right that the kernel knows is refused but for these paths."""
    known = (1 << _RIGHTS_OF_ABI[min(abi, max(_RIGHTS_OF_ABI))]) - 1
    network = _BIND_AND_CONNECT if abi >= _ABI_NETWORK else 0
    scopes = _SIGNALS_AND_ABSTRACT_SOCKETS if abi >= _ABI_SCOPES else 0
    handled = struct.pack("3Q", known, network, scopes)
    ruleset = _call("landlock_create_ruleset", handled, len(handled), 0)
    views = [Path(f"/proc/{os.getpid()}"), *map(Path, (*_PROCESS_VIEWS, *_MACHINE_VIEWS))]
    rules = {path: _READ | _LIST for path in views if path.exists()}
    rules |= dict.fromkeys(readable(), _EXECUTE | _READ | _LIST)
    rules |= dict.fromkeys((*_DEVICES, *devices), _READ | _WRITE | _IOCTL)
    rules[scratch] = known & ~_MAKE_DEVICES
    for path, rights in rules.items():
        possible = known if path.is_dir() else known & _RIGHTS_OF_FILES
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
        _call("landlock_add_rule", ruleset, _LANDLOCK_BENEATH, struct.pack("=Qi", rights & possible, descriptor), 0)
        os.close(descriptor)
    return ruleset
