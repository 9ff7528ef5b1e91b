"""A small process that ends all processes of a run when the examiner ends, however that happens.

The process that lrgen starts becomes the guardian, and its child is the host of the files. The guardian adopts orphans:
whatever a file starts, in whichever session and behind however many forks, remains its descendant, and becomes its
child when the host is killed. It waits for the end of the host, and for the end of the examiner: then a pipe closes
whose only writing end the examiner holds.
"""

import os
import select
import signal
from pathlib import Path
from typing import NoReturn

from .cgroups import remove_groups
from .privileges import close_all_but, dump_no_core
from .processes import FAILED, exit_as, kill_descendants
from .removal import remove_unlocked
from .syscalls import PR_SET_DUMPABLE, adopt_orphans, call, set_parent_death_signal


def guard(lifeline: int, scratch: str | Path) -> None:
    """Return in a new child of this process, which is the host; this process becomes the guardian and never returns.

    ``lifeline`` is the reading end of the examiner's pipe, to which nothing is written. The host does not keep it; it
    has all other descriptors, the session and the signals of before. When the lifeline closes, or the host ends, the
    guardian kills all its descendants, removes ``scratch``, unless a living process holds the lock of that folder, and
    ends as the host did, or with exit code 0 if it ended the host.

    The process has one thread, and should not have imported torch yet: the guardian keeps what it has.

    Raises:
        OSError: in the host, if the guardian has already ended.
    """
    guardian = os.getpid()
    adopt_orphans()
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    host = os.fork()
    if host:
        _watch(host, lifeline, scratch)
    os.close(lifeline)
    set_parent_death_signal(guardian)
    adopt_orphans()
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _watch(host: int, lifeline: int, scratch: str | Path) -> NoReturn:
    """Wait for the end of the examiner or of the host, and end the rest."""
    status = 0
    try:
        handle = os.pidfd_open(host)
        close_all_but({lifeline, handle})  # the pipes of the host close when it ends
        os.chdir("/")
        dump_no_core()
        call("prctl", PR_SET_DUMPABLE, 0, 0, 0, 0)  # a process of the same user cannot trace it and thereby stop it
        poll = select.poll()
        poll.register(lifeline, select.POLLIN)
        poll.register(handle, select.POLLIN)
        poll.poll()
        _, status = os.waitpid(host, os.WNOHANG)
        kill_descendants()
        remove_groups(host)
        remove_unlocked(scratch)
    except BaseException:  # noqa: BLE001  it must not return into the code of the host
        os._exit(FAILED)
    exit_as(status)
