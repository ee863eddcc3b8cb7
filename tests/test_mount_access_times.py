# SPDX-License-Identifier: MIT OR Apache-2.0
"""What changes the time of access and what does not, and a time that was set against bytes that arrive
after it."""
import mmap
import os
import time

import pytest

pytestmark = pytest.mark.sanitize


def atime(path):
    return os.lstat(path).st_atime_ns


def read_file(path):
    path.read_bytes()


def list_directory(path):
    os.listdir(path)


def read_link(path):
    os.readlink(path)


def append(m):
    with open(m / "f", "ab") as file:
        file.write(b"more")


CHANGES = {
    "append": append,
    "overwrite": lambda m: (m / "f").write_bytes(b"other"),
    "truncate": lambda m: os.truncate(m / "f", 1),
    "chmod": lambda m: os.chmod(m / "f", 0o600),
    "rename": lambda m: (os.rename(m / "f", m / "g"), os.rename(m / "g", m / "f")),
    "make and remove": lambda m: ((m / "d/x").write_bytes(b"1"), os.unlink(m / "d/x")),
    "mkdir and rmdir": lambda m: ((m / "d/y").mkdir(), (m / "d/y").rmdir()),
    "move in": lambda m: (os.rename(m / "f", m / "d/f"), os.rename(m / "d/f", m / "f")),
}


@pytest.mark.clause("S16g")
@pytest.mark.parametrize("read_before", [False, True])
def test_no_change_is_an_access(mount, read_before):
    m = mount()
    (m / "f").write_bytes(b"value")
    (m / "d").mkdir()
    if read_before:
        read_file(m / "f")
        list_directory(m / "d")
    for name, change in CHANGES.items():
        before = [atime(path) for path in (m / "f", m / "d", m)]
        change(m)
        assert [atime(path) for path in (m / "f", m / "d", m)] == before, name
    assert os.stat(m / "f").st_mtime_ns > atime(m / "f") or read_before


@pytest.mark.clause("S16g")
@pytest.mark.parametrize("option, files, directories", [
    ("relatime", True, True), ("nodiratime", True, False), ("noatime", False, False)])
def test_reading_is_an_access_once_after_a_change(mount, option, files, directories):
    m = mount(None, option)
    (m / "f").write_bytes(b"value")
    (m / "d").mkdir()
    os.symlink("f", m / "l")
    for path, read, change, counts in ((m / "f", read_file, append, files),
                                       (m / "l", read_link, None, files),
                                       (m / "d", list_directory, CHANGES["make and remove"],
                                        directories)):
        for _ in range(2):
            before = atime(path)
            read(path)
            first = atime(path)
            assert (first > before) == counts, path
            read(path)
            assert atime(path) == first
            if not change:
                break
            change(m)
        os.utime(path, ns=(5, 6), follow_symlinks=False)
        read(path)
        assert (atime(path) != 5) == counts


@pytest.mark.clause("S16g")
def test_a_time_of_access_that_was_set_survives_a_change_and_a_remount(mount):
    m = mount()
    (m / "f").write_bytes(b"value")
    os.utime(m / "f", ns=(5, 6))
    append(m)
    assert atime(m / "f") == 5
    m.remount()
    assert atime(m / "f") == 5


@pytest.mark.clause("S16f")
@pytest.mark.parametrize("when", [(5, 5), None], ids=["given", "now"])
@pytest.mark.parametrize("published", [False, True])
def test_a_time_set_after_a_store_through_a_mapping_stays(mount, published, when):
    m = mount()
    fd = os.open(m / "f", os.O_CREAT | os.O_RDWR, 0o644)
    os.ftruncate(fd, 10)
    if published:
        os.fsync(fd)
    view = mmap.mmap(fd, 10)
    view[0:1] = b"q"
    os.utime(m / "f", when)
    is_set = os.stat(m / "f").st_mtime_ns
    view.close()
    os.close(fd)
    assert os.stat(m / "f").st_mtime_ns == is_set
    m.remount()
    assert (m / "f").read_bytes() == b"q" + bytes(9)
    if when:
        assert os.stat(m / "f").st_mtime_ns == is_set
    else:
        assert os.stat(m / "f").st_mtime_ns // 10**9 == is_set // 10**9


@pytest.mark.clause("S16f")
@pytest.mark.parametrize("end", ["fsync", "close"])
def test_behind_the_next_close_or_fsync_a_store_sets_the_time(mount, end):
    m = mount()
    (m / "f").write_bytes(bytes(10))
    fd, other = (os.open(m / "f", os.O_RDWR) for _ in range(2))
    view = mmap.mmap(fd, 10)
    view[0:1] = b"q"
    os.utime(m / "f", (5, 5))
    if end == "fsync":
        os.fsync(fd)
    else:
        os.close(other)
    assert os.stat(m / "f").st_mtime == 5
    view[1:2] = b"r"
    view.flush()
    assert os.stat(m / "f").st_mtime > 5
    view.close()
    os.close(fd)
    if end == "fsync":
        os.close(other)


@pytest.mark.clause("S16f")
def test_a_write_call_behind_it_sets_the_time(mount):
    m = mount()
    (m / "f").write_bytes(bytes(10))
    fd = os.open(m / "f", os.O_RDWR)
    os.utime(m / "f", (5, 5))
    os.pwrite(fd, b"w", 0)
    assert os.stat(m / "f").st_mtime > 5
    os.close(fd)
    assert os.stat(m / "f").st_mtime > 5


@pytest.mark.clause("S16f")
def test_a_change_by_a_call_ends_a_set_time(mount):
    m = mount()
    fd = os.open(m / "f", os.O_CREAT | os.O_RDWR, 0o644)
    os.ftruncate(fd, 10)
    view = mmap.mmap(fd, 10)
    os.utime(fd, (5, 5))
    os.pwrite(fd, b"p", 1)
    written = os.fstat(fd).st_mtime_ns
    view[0:1] = b"q"
    view.flush()
    assert os.fstat(fd).st_mtime_ns > written > 5 * 10**9
    view.close()
    os.close(fd)
