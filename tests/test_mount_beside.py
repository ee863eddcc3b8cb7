# SPDX-License-Identifier: MIT OR Apache-2.0
"""Each call is made while names come and go next to it: under ThreadSanitizer, what it does without
the tree's lock is found at once and not when two calls happen to meet."""
import itertools
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

pytestmark = pytest.mark.thread

SECONDS = 0.4  # for a call; it comes hundreds of times


def write_and_sync(d):
    fd = os.open(d / "kept", os.O_RDWR)
    os.pwrite(fd, b"x" * 100, 0)
    os.fsync(fd)
    os.ftruncate(fd, 10)
    os.lseek(fd, 0, os.SEEK_DATA)
    os.close(fd)


def sync_directory(d):
    fd = os.open(d, os.O_RDONLY)
    for _ in range(20):  # opening it takes the lock
        os.fsync(fd)
    os.close(fd)


def make_and_remove(d):
    os.mkdir(d / "made")
    os.symlink("kept", d / "made/link")
    os.readlink(d / "made/link")
    os.unlink(d / "made/link")
    os.rmdir(d / "made")


def move(d):
    (d / "moved").write_bytes(b"x")
    os.rename(d / "moved", d / "kept.old")


def set_attributes(d):
    os.setxattr(d / "kept", "user.x", b"v")
    os.getxattr(d / "kept", "user.x")
    os.listxattr(d)
    os.chmod(d, 0o700)
    os.utime(d / "kept")
    os.chown(d / "kept", -1, -1)


def read(d):
    (d / "kept").read_bytes()
    (d / "absent").exists()
    os.listdir(d)
    os.statvfs(d)
    (d.parent / ".log/recovery").read_bytes()


def come_and_go(directory, name, ended):
    """Every other one stays, as a node that is made anew is another case than one used again."""
    for i in itertools.takewhile(lambda _: not ended.is_set(), itertools.count()):
        path = directory / f"{name}{i}"
        path.write_bytes(b"x")
        if i % 2:
            os.unlink(path)


@pytest.mark.clause("S2d")
@pytest.mark.parametrize("call", [write_and_sync, sync_directory, make_and_remove, move,
                                  set_attributes, read], ids=lambda f: f.__name__)
def test_a_call_beside_names_that_come_and_go(mount, call):
    directory = mount() / "d"
    directory.mkdir()
    (directory / "kept").write_bytes(b"x")
    ended = threading.Event()
    with ThreadPoolExecutor() as pool:
        others = [pool.submit(come_and_go, directory, f"n{i}", ended) for i in range(3)]
        try:
            until = time.monotonic() + SECONDS
            while time.monotonic() < until:
                call(directory)
        finally:
            ended.set()
    for other in others:
        other.result()
