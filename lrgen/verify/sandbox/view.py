"""The part of the disk that a sandboxed process sees."""

from typing import TypedDict

# Information about the machine.
MACHINE_PATHS = ("/sys/devices/system/cpu", "/sys/devices/system/node")
PROCESS_PATHS = ("/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/proc/version")  # for a child without its own /proc
DEVICES = ("/dev/null", "/dev/full", "/dev/random", "/dev/urandom")  # a shared mapping of /dev/zero is hidden memory


class View(TypedDict):
    """The paths that can be read, as plain JSON: a process that knows nothing of lrgen gets them as an argument.

    ``readable`` are resolved paths, none inside another, and ``hidden`` those below them that must not be read.
    ``listed`` and ``granted`` express the same for Landlock, which cannot subtract: folders of which only the names can
    be read, and the paths in them that are not hidden. ``links`` are symbolic links and their targets. ``imports`` are
    the entries of ``sys.path`` that can be read.
    """

    readable: list[str]
    hidden: list[str]
    listed: list[str]
    granted: list[str]
    links: list[tuple[str, str]]
    imports: list[str]
