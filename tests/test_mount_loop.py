# SPDX-License-Identifier: MIT OR Apache-2.0
"""The loop that takes requests: several at once, whatever one of them waits for, also where others
want the CPUs; and none is looked for where none comes."""
import contextlib
import os
import signal
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mounting import wait_for

pytestmark = pytest.mark.thread

CLIENTS = 8
FILES = 40
SERVED = 10  # requests at once
SECONDS = 20


def work_of(pid):
    """Seconds of the CPU of all its threads so far, and how often each got one."""
    stats = [(task / "schedstat").read_text().split()
             for task in Path(f"/proc/{pid}/task").iterdir()]
    return sum(int(s[0]) for s in stats) / 1e9, sum(int(s[2]) for s in stats)


def workers(pid):
    return sum((task / "comm").read_text() == "worker\n"
               for task in Path(f"/proc/{pid}/task").iterdir())


def assert_sleeps(m):
    """Soon after the last request no thread of it wakes any more, or nearly."""
    def sleeps_for_half_a_second():
        before = work_of(m.pid)
        time.sleep(0.5)
        seconds, times = (now - then for now, then in zip(work_of(m.pid), before))
        return seconds < 0.01 and times < 10
    wait_for(sleeps_for_half_a_second, "the daemon's sleep", SECONDS)


@contextlib.contextmanager
def busy_cpus():
    """More programs that compute than there are CPUs for them."""
    with contextlib.ExitStack() as stack:
        for _ in range(2 * len(os.sched_getaffinity(0))):
            loop = subprocess.Popen(["sh", "-c", "while :; do :; done"])
            stack.callback(loop.wait)
            stack.callback(loop.kill)
        yield


def use(m, number):
    """One client's work, of which each result is looked at."""
    for i in range(FILES):
        path = m / f"{number}.{i}"
        path.write_bytes(f"{number} {i}".encode())
        path.rename(m / f"{number}.{i}.new")
        assert (m / f"{number}.{i}.new").read_bytes() == f"{number} {i}".encode()
        if i % 2:
            (m / f"{number}.{i}.new").unlink()


def used(clients):
    return {f"{number}.{i}.new" for number in range(clients) for i in range(0, FILES, 2)}


def use_at_once(m):
    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(lambda number: use(m, number), range(CLIENTS)))
    assert set(os.listdir(m)) - {".log"} == used(CLIENTS)


def test_a_mount_that_nobody_uses_any_more_sleeps(mount):
    m = mount(None)
    use(m, 0)
    assert_sleeps(m)
    use_at_once(m)
    assert_sleeps(m)


@pytest.mark.clause("S28c")
@pytest.mark.deadline(120)
def test_where_others_want_the_cpus_requests_are_served(mount):
    m = mount(None)
    with busy_cpus():
        use(m, 0)
        use_at_once(m)
    assert_sleeps(m)


@contextlib.contextmanager
def sync_that_waits(m, gates, name):
    """A thread of the daemon waits in it, and another one takes the requests."""
    with (m / name).open("wb", buffering=0) as file, gates.held("sync"):
        file.write(b"value")
        sync = threading.Thread(target=os.fsync, args=(file.fileno(),))
        sync.start()
        gates.wait("sync")
        gates.let_others("sync")
        yield sync
    sync.join(SECONDS)
    assert not sync.is_alive()


@pytest.mark.parametrize("end", ["unmount", "terminate"])
def test_it_ends_while_a_thread_waits_for_requests_and_another_for_its_turn(gated, end):
    m, gates = gated()
    with sync_that_waits(m, gates, "f"):
        use(m, 0)
    assert workers(m.pid) > 1
    getattr(m, end)()


@pytest.mark.clause("S28c")
def test_requests_that_take_long_keep_others_waiting_for_a_moment_only(gated):
    m, gates = gated()
    files = []
    for number in range(SERVED - 1):
        (m / f"f{number}").write_bytes(b"old")
        files.append((m / f"f{number}").open("r+b", buffering=0))
    with ThreadPoolExecutor(SERVED) as pool:
        for file in files:
            file.write(b"new")
        for file in files:
            file.write(b"er")  # so that the kernel asks
        assert_sleeps(m)
        with gates.held("attr"):
            racing = [pool.submit(os.fstat, file.fileno()) for file in files]
            for _ in files:
                gates.wait("attr")
            gates.let_others("attr")
            begun = time.monotonic()
            use(m, 0)
            assert time.monotonic() - begun < SECONDS
            assert not any(future.done() for future in racing)
        assert all(future.result(SECONDS).st_size == 5 for future in racing)
    for file in files:
        file.close()


@pytest.mark.clause("S28c")
def test_a_sync_keeps_nobody_waiting(gated):
    m, gates = gated()
    with sync_that_waits(m, gates, "f") as sync:
        use(m, 0)
        assert sync.is_alive()


@pytest.mark.sanitize
@pytest.mark.clause("S28c")
def test_who_waits_no_more_leaves_nothing_behind(gated):
    """The kernel says so when the request is served, and nothing else comes then."""
    m, gates = gated(args=["-d"])
    with gates.held("interrupt"):
        with gates.held("append"):
            writer = subprocess.Popen(["sh", "-c", "echo value >f"], cwd=m)
            gates.wait("append")
            writer.terminate()
            gates.wait("interrupt")
        assert writer.wait(SECONDS) == -signal.SIGTERM
    assert (m / "f").read_bytes() == b"value\n"
    m.unmount()
    assert "opcode: FLUSH" in m.stderr and "INTERRUPT" not in m.stderr
