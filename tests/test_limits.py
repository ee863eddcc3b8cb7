# SPDX-License-Identifier: MIT OR Apache-2.0
"""Limits of the daemon's process: what it may not use, it does without."""
import errno
import os
import resource
import signal
import subprocess
from contextlib import suppress

import pytest


def lazy_unmount(m):
    subprocess.run(["fusermount3", "-u", "-z", m.path], check=True, timeout=20)


def terminate(m):
    os.kill(m.pid, signal.SIGTERM)
    os.kill(m.pid, signal.SIGINT)


def limit(m, what, most):
    """A limit of the daemon; gives the old one."""
    return resource.prlimit(m.pid, what, (most, resource.prlimit(m.pid, what)[1]))


@pytest.mark.clause("S21f")
@pytest.mark.parametrize("end", [lazy_unmount, terminate], ids=lambda f: f.__name__)
def test_without_a_descriptor_left_the_daemon_ends_in_order(datawal, mount, end):
    m = mount(None, "segment_size=64K", "commit=1000")
    (m / "f").write_bytes(bytes(40_000))
    staged = os.open(m / "g", os.O_WRONLY | os.O_CREAT, 0o644)
    os.write(staged, b"x" * 40_000)  # needs the next segment
    limit(m, resource.RLIMIT_NOFILE, 40)
    held = []
    with pytest.raises(OSError) as caught:
        while len(held) < 60:
            held.append(os.open(m / ".log/00000001.dwal", os.O_RDONLY))
    assert caught.value.errno == errno.EMFILE
    end(m)
    if end == terminate:
        m.wait_end()
        assert datawal.get(m.log, "g") == b"x" * 40_000
    for fd in (*held, staged):
        with suppress(OSError):  # the mount is gone, or just going
            os.close(fd)
    if end == lazy_unmount:
        m.wait_end()


@pytest.mark.clause("S4e")
def test_a_limit_of_file_size_is_no_more_than_a_limit_of_values(datawal, mount):
    m = mount()
    (m / "f").write_bytes(b"old")
    _, most = limit(m, resource.RLIMIT_FSIZE, 100_000)
    for call in (lambda: (m / "f").write_bytes(bytes(200_000)),
                 lambda: os.truncate(m / "f", 200_000)):
        with pytest.raises(OSError) as caught:
            call()
        assert caught.value.errno == errno.EFBIG
        assert (m / "f").read_bytes() == b"old"
    (m / "g").write_bytes(b"taken")
    limit(m, resource.RLIMIT_FSIZE, most)
    (m / "f").write_bytes(bytes(200_000))
    m.unmount()
    assert datawal.records_of(m.log, "f") == ["Put", "Put"]
    assert datawal.get(m.log, "g") == b"taken"


@pytest.mark.clause("S4e")
def test_under_a_limit_of_file_size_segments_stay_below_it(datawal, mount):
    m = mount(wait=False)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        m.start()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    for number in range(5):
        (m / f"f{number}").write_bytes(bytes(60_000))
    m.unmount()
    assert len(datawal.json("list", m.log)) == 5
    assert len(list(m.log.glob("*.dwal"))) == 5
