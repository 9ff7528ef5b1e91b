"""System calls by name (Linux on x86_64 and aarch64)."""

import ctypes
import errno
import os
import platform
import signal
import sys

AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
MACHINE = platform.machine()


def _numbers(table: str) -> dict[str, int]:
    """Parse a table of system calls: name, number on x86_64, number on aarch64 (``-``: it does not exist)."""
    rows = (entry.split() for entry in table.split(","))
    numbers = {name: dict(zip(AUDIT_ARCH, values, strict=True)).get(MACHINE, "-") for name, *values in rows}
    return {name: int(number) for name, number in numbers.items() if number != "-"}


REFUSED = _numbers("""
unshare 272 97, setns 308 268, mount 165 40, umount2 166 39, pivot_root 155 41, chroot 161 51, move_mount 429 429,
open_tree 428 428, open_tree_attr 467 467, fsopen 430 430, fsconfig 431 431, fsmount 432 432, fspick 433 433,
mount_setattr 442 442, ptrace 101 117, process_vm_readv 310 270, process_vm_writev 311 271, pidfd_getfd 438 438,
kcmp 312 272, process_madvise 440 440, process_mrelease 448 448, migrate_pages 256 238, move_pages 279 239,
bpf 321 280, io_uring_setup 425 425, io_uring_enter 426 426, io_uring_register 427 427,
userfaultfd 323 282, perf_event_open 298 241, fanotify_init 300 262, keyctl 250 219, add_key 248 217,
request_key 249 218, kexec_load 246 104, kexec_file_load 320 294, init_module 175 105, finit_module 313 273,
delete_module 176 106, reboot 169 142, swapon 167 224, swapoff 168 225, acct 163 89, quotactl 179 60,
quotactl_fd 443 443, syslog 103 116, iopl 172 -, ioperm 173 -, modify_ldt 154 -, open_by_handle_at 304 265,
sethostname 170 161
""")
# Memory that no resident set and no file system shows, and the queues of System V, which hold messages in the kernel.
REFUSED_MEMORY = _numbers("""
memfd_create 319 279, memfd_secret 447 447, vmsplice 278 75, shmget 29 194, shmat 30 196, shmctl 31 195,
msgget 68 186, msgsnd 69 189, msgrcv 70 188, msgctl 71 187, semget 64 190, semop 65 193, semtimedop 220 192,
semctl 66 191, mq_open 240 180, mq_unlink 241 181
""")
# Without namespaces the sockets and files of the machine are reachable, and Landlock has no right for modes or watches.
# The processes of a file are found by their group.
REFUSED_TO_LANDLOCK = _numbers("""
socket 41 198, truncate 76 45, chmod 90 -, fchmod 91 52,
fchmodat 268 53, fchmodat2 452 452, chown 92 -, lchown 94 -, fchown 93 55, fchownat 260 54, setxattr 188 5,
lsetxattr 189 6, fsetxattr 190 7, setxattrat 463 463, removexattr 197 14, lremovexattr 198 15, fremovexattr 199 16,
removexattrat 466 466, utime 132 -, utimes 235 -, futimesat 261 -, utimensat 280 88, file_setattr 469 469,
inotify_init 253 -, inotify_init1 294 26, setsid 112 157, setpgid 109 154
""")
_USED = _numbers("""
capget 125 90, capset 126 91, clone 56 220, clone3 435 435, fcntl 72 25, ioctl 16 29, ioprio_set 251 30, kill 62 129,
landlock_add_rule 445 445, landlock_create_ruleset 444 444, landlock_restrict_self 446 446, mmap 9 222, open 2 -,
openat 257 56, openat2 437 437, pidfd_send_signal 424 424, prctl 157 167, prlimit64 302 261, rt_sigqueueinfo 129 138,
rt_tgsigqueueinfo 297 240, sched_setaffinity 203 122, sched_setattr 314 274, sched_setparam 142 118,
sched_setscheduler 144 119, seccomp 317 277, setpriority 141 140, socketpair 53 199, tgkill 234 131, tkill 200 130
""")
SYSCALLS = REFUSED | REFUSED_MEMORY | REFUSED_TO_LANDLOCK | _USED
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_KEEPCAPS, PR_CAPBSET_DROP = 1, 4, 8, 24
PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL = 36, 38, 47, 4
_libc = ctypes.CDLL(None, use_errno=True)


def call(name: str, *arguments: int | bytes | ctypes.Array[ctypes.c_char] | None) -> int:
    """Make a system call by its name.

    Raises:
        OSError: if the call fails, or does not exist on this machine; it names the call.
    """
    if name not in SYSCALLS:
        raise OSError(errno.ENOSYS, f"unknown on {sys.platform} {MACHINE}", name)
    values = [ctypes.c_long(value) if isinstance(value, int) else value for value in arguments]
    result = int(_libc.syscall(ctypes.c_long(SYSCALLS[name]), *values))
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), name)
    return result


def set_parent_death_signal(parent: int) -> None:
    """Have the kernel kill this process when its parent ends.

    Raises:
        OSError: if the parent has already ended.
    """
    call("prctl", PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        raise OSError(errno.ESRCH, "the parent has ended", "getppid")


def adopt_orphans() -> None:
    """Become the parent of the processes that the descendants of this process leave running."""
    call("prctl", PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
