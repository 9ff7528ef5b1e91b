"""No memory of a sandboxed child is hidden from its limits, and torch works within them."""

import contextlib
import ctypes
import errno
import mmap
import os
import resource
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lrgen.verify import isolation
from lrgen.verify.sandbox import Bounds, Mechanism, cgroups, syscalls
from tests.verify.sandbox.kinds import (
    NAMESPACES,
    error_of,
    in_a_nursery,
    libc,
    one_of_each,
    result_of,
    start_in,
    system_call,
)

MEBIBYTES = 1 << 20
EVERY_MECHANISM = pytest.mark.parametrize("mechanism", list(Mechanism))
IPC_CREAT = 0o1000


@pytest.fixture
def inside_each(mechanism: Mechanism, tmp_path: Path) -> Callable[..., Any]:
    """Runs a function in a child of each mechanism, also without a sandbox."""
    if mechanism is not Mechanism.PROCESS and (reason := isolation.refusal_of(mechanism)):
        pytest.skip(reason)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    return lambda function, **options: result_of(*start_in(mechanism, scratch, function, **options))


# Memory that no resident set shows.


@EVERY_MECHANISM
def test_memory_without_a_mapping_is_refused(inside_each):
    """Files in memory, System V segments and queues of messages are refused, whichever mechanism isolates the file."""
    name = ctypes.create_string_buffer(b"held")
    calls = {
        "memfd_create": (ctypes.addressof(name), 0),
        "memfd_secret": (0,),
        "shmget": (0, MEBIBYTES, IPC_CREAT | 0o600),
        "shmat": (0, 0, 0),
        "msgget": (0, IPC_CREAT | 0o600),
        "semget": (0, 1, IPC_CREAT | 0o600),
    }
    refused = inside_each(lambda: {call: system_call(call, *values) for call, values in calls.items()})
    assert refused == dict.fromkeys(calls, "EPERM")


def test_a_driver_of_a_device_may_use_such_memory(tmp_path):
    """Without a sandbox nothing is refused, and no memory limited, where the file computes on a device."""

    def create() -> list[Any]:
        os.close(os.memfd_create("held"))
        return list(resource.getrlimit(resource.RLIMIT_DATA))

    options = {"bounds": Bounds(memory=MEBIBYTES), "devices": ("/dev/null",)}
    assert result_of(*start_in(Mechanism.PROCESS, tmp_path, create, **options)) == list(
        resource.getrlimit(resource.RLIMIT_DATA)
    )


def test_shared_memory_is_bounded(inside, kind):
    """The folder for shared memory cannot be written, or is a small file system of the child's own."""

    def fill() -> list[Any]:
        written, error = 0, "nothing"
        try:
            for number in range(100):
                written += Path(f"/dev/shm/{os.getpid()}-{number}").write_bytes(bytes(4 * MEBIBYTES))
        except OSError as refused:
            error = errno.errorcode[refused.errno or 0]
        return [written <= 64 * MEBIBYTES, error]

    assert inside(fill) == [True, "ENOSPC" if kind in NAMESPACES else "EACCES"]


@one_of_each
def test_anonymous_memory_cannot_be_shared(inside):
    """Shared anonymous memory, which may be held and not be resident, is refused; private memory is not."""

    def map_it() -> list[str]:
        results = []
        for flags in (mmap.MAP_SHARED, mmap.MAP_PRIVATE):
            results.append(error_of(mmap.mmap, -1, MEBIBYTES, flags | mmap.MAP_ANONYMOUS))
        return results

    assert inside(map_it) == ["EPERM", "nothing"]


# The hard limit.


@EVERY_MECHANISM
def test_an_allocation_beyond_the_limit_fails_at_once(inside_each):
    """No process has to be seen by a poll: the allocation itself fails, and the child goes on."""
    bounds = Bounds(memory=256 * MEBIBYTES, processes=4)

    def allocate() -> list[Any]:
        held = [bytearray(128 * MEBIBYTES)]
        with contextlib.suppress(MemoryError):
            while len(held) < 20:
                held.append(bytearray(64 * MEBIBYTES))
        return [2 <= len(held) <= 6]

    assert inside_each(allocate, bounds=bounds) == [True]


@EVERY_MECHANISM
def test_the_limit_does_not_count_what_was_inherited(inside_each):
    """A child of a process that holds more than the limit may use the whole limit."""
    held = bytearray(b"x" * (300 * MEBIBYTES))
    assert inside_each(lambda: len(bytearray(100 * MEBIBYTES)), bounds=Bounds(memory=128 * MEBIBYTES, processes=1))
    assert len(held)


def test_the_limit_holds_for_each_process_that_is_started(tmp_path):
    """The child of a child has the limit, which nobody in it can raise."""

    def look() -> bool:
        soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
        pid = os.fork()
        if pid == 0:
            os._exit(resource.getrlimit(resource.RLIMIT_DATA) != (soft, hard))
        return os.waitpid(pid, 0)[1] == 0 and soft == hard != resource.RLIM_INFINITY

    assert result_of(*start_in(Mechanism.PROCESS, tmp_path, look, bounds=Bounds(memory=MEBIBYTES))) is True


TRAINING = """
import io
sys.path[:] = given["view"]["imports"]
import torch
import torch._dynamo  # the first step of an optimizer would import it in each child
from torch.utils.data import DataLoader, TensorDataset
torch.set_num_threads(2)

def train():
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 16, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(14400, 4))
    data = TensorDataset(torch.rand(64, 3, 32, 32), torch.randint(4, (64,)))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    for images, labels in DataLoader(data, batch_size=16, shuffle=True, num_workers=0):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(net(images), labels).backward()
        optimizer.step()
    torch.save(net.state_dict(), "net.pt")
    net.load_state_dict(torch.load("net.pt", weights_only=True))
    torch.save(optimizer.state_dict(), io.BytesIO())
    try:
        torch.empty(4 << 30, dtype=torch.uint8)
    except RuntimeError as error:
        return "cannot allocate" if "allocate memory" in str(error) else str(error)

for mechanism, scratch in given["places"].items():
    result, result_in = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.setsid()
            bounds = nursery_sandbox.Bounds(memory=1 << 30)
            nursery_sandbox.enter(mechanism, scratch, {result_in}, bounds, given["view"])
            os.chdir(scratch)
            text = str(train())
        except BaseException as error:
            text = f"{type(error).__name__}: {error}"
        os.write(result_in, text.encode())
        os._exit(0)
    os.close(result_in)
    print(mechanism, os.read(result, 1000).decode(), os.waitpid(pid, 0)[1])
"""


def test_torch_trains_loads_and_saves_within_the_limit(tmp_path):
    """Threads, a DataLoader without workers, torch.save and torch.load work; a tensor beyond the limit is an error."""
    places = {}
    for mechanism in Mechanism:
        if mechanism is Mechanism.PROCESS or not isolation.refusal_of(mechanism):
            places[mechanism.value] = str(tmp_path / mechanism)
            (tmp_path / mechanism).mkdir()
    output = in_a_nursery(TRAINING, places=places)
    assert output.splitlines() == [f"{mechanism} cannot allocate 0" for mechanism in places]


# Control groups.


def test_the_control_groups_of_a_process_are_found():
    """The group itself and the one above it, relative to the root of the mount; none without cgroup v2."""
    mounts = textwrap.dedent("""\
        24 1 0:22 / /sys rw,nosuid shared:7 - sysfs sysfs rw
        30 24 0:26 {root} /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate
    """)

    def visible(membership: str, root: str = "/") -> list[str]:
        return list(map(str, cgroups._visible(membership, mounts.format(root=root))))

    assert visible("0::/") == ["/sys/fs/cgroup"]
    assert visible("0::/a/b") == ["/sys/fs/cgroup/a/b", "/sys/fs/cgroup/a"]
    assert visible("4:memory:/x\n0::/docker/1/x", "/docker/1") == ["/sys/fs/cgroup/x", "/sys/fs/cgroup"]
    assert visible("0::/elsewhere", "/docker/1") == []
    assert visible("0::/../outside") == []
    assert visible("4:memory:/x") == []
    assert cgroups._visible("0::/", "24 1 0:22 / /sys rw - sysfs sysfs rw\n") == []


def test_a_group_without_memory_is_refused(tmp_path):
    """Where the parent does not distribute memory, no group is left behind, and no file is made up."""
    with pytest.raises(FileNotFoundError):
        cgroups.MemoryGroup.create(tmp_path, MEBIBYTES)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("events", "expected"), [("oom 1\noom_kill 2\n", True), ("oom 0\noom_kill 0\n", False)])
def test_the_kernel_says_whether_a_group_was_exceeded(tmp_path, events, expected):
    """A process that was killed because of the limit is counted; a group that is gone has none."""
    (tmp_path / "memory.events").write_text(events)
    assert cgroups.MemoryGroup(tmp_path).was_exceeded() is expected
    assert cgroups.MemoryGroup(tmp_path / "gone").was_exceeded() is False


@pytest.fixture
def parent() -> Path:
    """The control group in which this process may create others."""
    parent = cgroups.parent_of_groups()
    if parent is None:
        pytest.skip("this user may not create a cgroup v2 that limits memory")
    return parent


def test_all_processes_of_a_group_share_its_limit(parent, tmp_path):
    """Two processes that together exceed the limit are killed, and the group says so."""
    group = cgroups.MemoryGroup.create(parent, 256 * MEBIBYTES)
    try:

        def allocate() -> None:
            pid = os.fork()
            held = bytearray(b"x" * (160 * MEBIBYTES))
            if pid:
                os.waitpid(pid, 0)
            assert len(held)

        pid = os.fork()
        if pid == 0:
            try:
                os.setsid()
                group.enter()
                allocate()
            finally:
                os._exit(0)
        assert os.WIFSIGNALED(os.waitpid(pid, 0)[1])
        assert group.was_exceeded()
    finally:
        group.kill()
        assert group.wait_until_empty(60)
        assert group.remove()


def test_groups_of_a_process_that_has_ended_are_removed(parent):
    """The groups of a host are removed after its end, others stay."""
    pid = os.fork()
    if pid == 0:
        cgroups.MemoryGroup.create(parent, MEBIBYTES)
        os._exit(0)
    os.waitpid(pid, 0)
    group = cgroups.MemoryGroup.create(parent, MEBIBYTES)
    try:
        assert list(parent.glob(f"lrgen-{pid}-*"))
        cgroups.remove_groups(pid)
        assert not list(parent.glob(f"lrgen-{pid}-*"))
        assert group.folder.exists()
    finally:
        assert group.remove()


def test_a_group_is_killed_at_once():
    """All processes of a group end, and the group can be removed; no controller is needed for that."""
    candidates = list(cgroups._candidates())
    if not candidates or not os.access(candidates[0], os.W_OK):
        pytest.skip("this user may not create a cgroup v2")
    group = cgroups.MemoryGroup(candidates[0] / f"lrgen-test-{os.getpid()}")
    group.folder.mkdir()
    if not (group.folder / "cgroup.kill").exists():
        group.remove()
        pytest.skip("the kernel cannot kill a cgroup")
    ready, ready_in = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.setsid()
            group.enter()
            os.fork()
            os.write(ready_in, b"x")
            libc.pause()
        finally:
            os._exit(0)
    os.close(ready_in)
    assert os.read(ready, 1)
    assert not group.remove()
    group.kill()
    assert os.WIFSIGNALED(os.waitpid(pid, 0)[1])
    os.close(ready)
    assert group.wait_until_empty(60)
    assert group.remove()


def test_every_refused_call_has_a_number():
    """A call that is missing in the tables would not be refused."""
    assert {"memfd_create", "memfd_secret", "shmget", "shmat", "vmsplice"} <= syscalls.REFUSED_MEMORY.keys()
