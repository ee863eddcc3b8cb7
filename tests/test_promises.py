# SPDX-License-Identifier: MIT OR Apache-2.0
"""Promises of the mount that no everyday use shows broken."""
import contextlib
import ctypes
import errno
import mmap
import os
import stat
from pathlib import Path

import pytest

import gen_corpus
import peek
from mounting import wait_for

LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.mmap.restype = ctypes.c_void_p
LIMIT = 64 << 20  # the largest value


def fails_with(number, call, *args):
    with pytest.raises(OSError) as caught:
        call(*args)
    assert caught.value.errno == number, caught.value


@pytest.mark.sanitize
@pytest.mark.clause("S4c")
def test_a_change_given_up_leaves_the_value_published_last(datawal, logdir, mount):
    """Not the one that was there when the file was opened."""
    datawal.put(logdir, "f", b"when opened")
    m = mount(logdir)
    fd = os.open(m / "f", os.O_WRONLY)
    os.write(fd, b"published since")
    os.fsync(fd)
    os.ftruncate(fd, 0)
    fails_with(errno.EFBIG, os.pwrite, fd, b"x", LIMIT)
    fails_with(errno.EFBIG, os.close, fd)
    assert (m / "f").read_bytes() == b"published since"
    assert peek.records_of(logdir, "f") == ["Put", "Put"]
    m.remount()
    assert (m / "f").read_bytes() == b"published since"


@pytest.mark.sanitize
@pytest.mark.clause("S4c")
def test_of_a_change_given_up_no_byte_shows(mount):
    """Not from the kernel's cache either, whatever was cached when."""
    m = mount()
    old, new = b"o" * 20_000, b"n" * 20_000
    (m / "f").write_bytes(old)
    for _ in range(100):
        fd = os.open(m / "f", os.O_RDWR | os.O_TRUNC)
        os.write(fd, new)
        assert os.pread(fd, len(new), 0) == new
        fails_with(errno.EFBIG, os.pwrite, fd, b"x", LIMIT)
        fails_with(errno.EFBIG, os.close, fd)
        assert (m / "f").read_bytes() == old


def spoil(path, flags=os.O_TRUNC):
    """A descriptor of a change that began with nothing, and in which a write failed."""
    fd = os.open(path, os.O_WRONLY | flags)
    os.write(fd, b"a part")
    fails_with(errno.EFBIG, os.pwrite, fd, b"x", LIMIT)
    return fd


@pytest.mark.sanitize
@pytest.mark.clause("S4c")
@pytest.mark.parametrize("way", ["fsync", "rename", "rename of the directory", "unmount"])
def test_nothing_publishes_a_change_in_which_a_write_failed(datawal, logdir, mount, way):
    datawal.put(logdir, "d/f", b"the old value")
    m = mount(logdir)
    fd = spoil(m / "d/f")
    key = "d/f"
    if way == "fsync":
        fails_with(errno.EFBIG, os.fsync, fd)
    elif way == "rename":
        fails_with(errno.EFBIG, os.rename, m / "d/f", m / "d/g")
    elif way == "rename of the directory":
        os.rename(m / "d", m / "e")
        key = "e/f"
    else:
        m.terminate()
    assert peek.get(logdir, key) == b"the old value"
    if way == "unmount":
        with contextlib.suppress(OSError):
            os.close(fd)  # the mount is gone
        m.start()
    else:
        fails_with(errno.EFBIG, os.close, fd)
    assert (m / key).read_bytes() == b"the old value"
    assert peek.get(logdir, key) == b"the old value"


@pytest.mark.sanitize
@pytest.mark.clause("S4c")
def test_unmounting_makes_no_file_of_a_change_in_which_a_write_failed(datawal, logdir, mount):
    m = mount(logdir)
    fd = spoil(m / "new", os.O_CREAT | os.O_EXCL)
    m.terminate()
    with contextlib.suppress(OSError):
        os.close(fd)  # the mount is gone
    assert datawal.records_of(logdir, "new") == []


@pytest.mark.sanitize
@pytest.mark.clause("S2d", "S3")
def test_closing_a_descriptor_does_not_publish_what_another_one_has_only_emptied(datawal, logdir,
                                                                                 mount):
    m = mount(logdir)
    first = os.open(m / "f", os.O_CREAT | os.O_WRONLY, 0o644)
    os.write(first, b"the value")
    os.fsync(first)
    second = os.open(m / "f", os.O_WRONLY | os.O_TRUNC)
    os.close(first)
    assert peek.get(logdir, "f") == b"the value"
    os.write(second, b"the next")
    os.close(second)
    assert peek.get(logdir, "f") == b"the next"
    assert datawal.records_of(logdir, "f") == ["Put", "Put"]


@pytest.mark.sanitize
@pytest.mark.clause("S7d")
def test_renaming_a_directory_publishes_what_is_staged_below_it(datawal, logdir, mount):
    datawal.put(logdir, "d/f", b"old")
    m = mount(logdir)
    fd = os.open(m / "d/f", os.O_WRONLY | os.O_TRUNC)
    os.write(fd, b"staged")
    os.rename(m / "d", m / "e")
    assert peek.get(logdir, "e/f") == b"staged"
    os.close(fd)
    m.unmount()
    assert datawal.records_of(logdir, "e/f") == ["Put"]


@pytest.mark.sanitize
@pytest.mark.clause("S6b")
def test_a_removed_file_or_directory_is_there_for_whoever_holds_it(mount):
    """Without an open file in the mount: only the kernel knows that it is held."""
    m = mount()
    (m / "f").write_bytes(b"value")
    (m / "d").mkdir()
    held = [os.open(m / name, os.O_PATH) for name in "fd"]
    before = [os.fstat(fd) for fd in held]
    os.unlink(m / "f")
    os.rmdir(m / "d")
    for number in range(100):  # that would take the place of what was freed
        (m / f"other{number}").write_bytes(b"another value")
    for fd, old in zip(held, before):
        now = os.fstat(fd)
        assert (now.st_ino, now.st_mode, now.st_size, now.st_nlink) == (
            old.st_ino, old.st_mode, old.st_size, 0)
        os.close(fd)


def resident_bytes(pid):
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def make_and_remove(m, count):
    for number in range(count):
        os.mknod(m / f"f{number}", stat.S_IFREG | 0o644)
    for number in range(count):
        os.unlink(m / f"f{number}")


@pytest.mark.clause("S6b")
def test_what_is_removed_and_forgotten_takes_no_memory(mount):
    """A node, with its name, is some hundred bytes. One thread: each new one takes a buffer."""
    rounds, count = 20, 1000
    m = mount(args=["-s"])
    for _ in range(5):
        make_and_remove(m, count)
    before = resident_bytes(m.pid)
    for _ in range(rounds):
        make_and_remove(m, count)
    assert resident_bytes(m.pid) - before < 100 * rounds * count


def shared_mapping(path, size):
    """Its address. Python's own mmap keeps a descriptor for as long as it maps."""
    fd = os.open(path, os.O_RDWR)
    address = LIBC.mmap(None, ctypes.c_size_t(size), mmap.PROT_READ | mmap.PROT_WRITE,
                        mmap.MAP_SHARED, fd, ctypes.c_long(0))
    os.close(fd)
    assert address != ctypes.c_void_p(-1).value, os.strerror(ctypes.get_errno())
    return address


@pytest.mark.sanitize
@pytest.mark.clause("S2e")
def test_a_mapping_without_a_descriptor_is_published_when_it_ends(datawal, logdir, mount):
    size = 8192
    m = mount(logdir)
    (m / "f").write_bytes(bytes(size))
    address = shared_mapping(m / "f", size)
    ctypes.memmove(address + 4096, b"late", 4)
    assert LIBC.munmap(ctypes.c_void_p(address), ctypes.c_size_t(size)) == 0
    wait_for(lambda: datawal.get(logdir, "f")[4096:4100] == b"late", "the mapped bytes in the log",
             10)


@pytest.mark.sanitize
@pytest.mark.clause("S11")
def test_what_was_listed_first_may_go_while_the_rest_is_listed(mount):
    m = mount()
    for number in range(2000):
        (m / f"f{number:04}").touch()
    listed = []
    with os.scandir(m) as entries:
        for entry in entries:
            if not listed:  # the first of many replies has come
                first = entry.name
                for name in os.listdir(m):
                    if name != ".log" and int(name[1:]) < 1000:
                        os.unlink(m / name)
            listed.append(entry.name)
    assert first == ".log" or int(first[1:]) < 1000
    stayed = [name for name in listed if name != ".log" and int(name[1:]) >= 1000]
    assert sorted(stayed) == [f"f{number:04}" for number in range(1000, 2000)]


@pytest.mark.clause("S15c")
@pytest.mark.parametrize("deleted", [False, True])
def test_attributes_that_came_before_their_value_end_with_a_delete(datawal, logdir, mount, deleted):
    m = mount(logdir, "noclock")
    (m / "f").write_bytes(b"value")
    os.chmod(m / "f", 0o600)
    m.unmount()
    attributes = datawal.scan(logdir)[-1]
    assert (attributes.type, attributes.key) == ("Raw", b"f")
    records = [(gen_corpus.RAW, b"f", attributes.payload), gen_corpus.put(b"f", b"value")]
    if deleted:
        records.insert(1, gen_corpus.delete(b"f"))
    (logdir / "00000001.dwal").write_bytes(gen_corpus.frames(*records))
    m.start()
    assert os.stat(m / "f").st_mode & 0o777 == (0o644 if deleted else 0o600)
