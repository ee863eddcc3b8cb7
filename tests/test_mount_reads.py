# SPDX-License-Identifier: MIT OR Apache-2.0
"""Values that one read does not take whole: read once from the log, checked before any of it is
handed out, and not kept for longer than that takes."""
import errno
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

from mounting import wait_for

MIB = 1 << 20
SIZES = (300_000, MIB - 30, 3_000_000, 20 * MIB)
SEGMENT = "00000001.dwal"

# what the daemon reads at places: the log, and nothing else
READ_COUNTER = r"""
#define _GNU_SOURCE
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>
static ssize_t note(int fd, void *buffer, size_t n, __off64_t offset)
{
	ssize_t got = syscall(SYS_pread64, fd, buffer, n, offset);
	dprintf(2, "read %zd\n", got);
	return got;
}
ssize_t preadv64v2(int fd, const struct iovec *iov, int n, __off64_t offset, int flags)
{
	ssize_t got = syscall(SYS_preadv2, fd, iov, n, offset, 0L, flags);
	if (got >= 0)
		dprintf(2, "read %zd\n", got);
	return got;
}
ssize_t pread(int fd, void *buffer, size_t n, off_t offset) { return note(fd, buffer, n, offset); }
ssize_t pread64(int fd, void *buffer, size_t n, __off64_t offset)
{
	return note(fd, buffer, n, offset);
}
"""


@pytest.fixture
def counted(mount, tmp_path, monkeypatch):
    """counted(log, "ro") mounts, and returns the mount and a function: bytes read so far."""
    def start(log, *options):
        (tmp_path / "count.c").write_text(READ_COUNTER)
        subprocess.run(["cc", "-shared", "-fPIC", "-o", tmp_path / "count.so",
                        tmp_path / "count.c"], check=True, timeout=30)
        with monkeypatch.context() as patched:
            patched.setenv("LD_PRELOAD", str(tmp_path / "count.so"))
            m = mount(log, *options)
        return m, lambda: sum(int(line.split()[1]) for line in m.stderr.splitlines()
                              if line.startswith("read "))

    return start


def put(datawal, logdir, size):
    content = os.urandom(size)
    datawal.put(logdir, "f", content)
    return content


def in_pieces(fd, size, piece=100_000):
    return b"".join(os.pread(fd, piece, at) for at in range(0, size, piece))


def memory(m):
    with open(f"/proc/{m.pid}/status", encoding="ascii") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmRSS"))


@pytest.mark.clause("S28b")
@pytest.mark.parametrize("size", SIZES)
def test_a_file_read_from_beginning_to_end_is_read_once_from_the_log(datawal, logdir, counted, size):
    content = put(datawal, logdir, size)
    m, read = counted(logdir)
    before = read()
    with open(m / "f", "rb", buffering=0) as file:
        assert in_pieces(file.fileno(), size) == content
    assert size <= read() - before <= 1.1 * size


@pytest.mark.clause("S28b")
def test_so_is_one_that_is_changed_after_a_look_at_it(datawal, logdir, counted):
    size = 3_000_000
    content = put(datawal, logdir, size)
    m, read = counted(logdir)
    before = read()
    with open(m / "f", "r+b", buffering=0) as file:
        assert os.pread(file.fileno(), 5, 7) == content[7:12]
        os.pwrite(file.fileno(), b"change", size // 2)
    assert read() - before <= 1.1 * size
    m.remount()
    assert (m / "f").read_bytes() == content[:size // 2] + b"change" + content[size // 2 + 6:]


@pytest.mark.sanitize
@pytest.mark.clause("S28b", "S8b")
def test_what_was_read_to_its_end_leaves_memory_while_it_is_open(datawal, logdir, mount):
    size = 32 * MIB
    content = put(datawal, logdir, size)
    m = mount(logdir, "commit=1")
    before = memory(m)
    with open(m / "f", "rb", buffering=0) as file:
        assert os.pread(file.fileno(), 100, 0) == content[:100]
        assert memory(m) - before > size // 2
        assert in_pieces(file.fileno(), size) == content
        wait_for(lambda: memory(m) - before < size // 2, "it is kept", seconds=12)  # S8b
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        assert os.pread(file.fileno(), 100, size // 2) == content[size // 2:][:100]
        assert memory(m) - before < size // 2


@pytest.mark.sanitize
@pytest.mark.clause("S28b", "S8b")
def test_without_room_it_is_read_without_being_kept(datawal, logdir, mount):
    size = 32 * MIB
    content = put(datawal, logdir, size)
    m = mount(logdir, "staging=4M")
    before = memory(m)
    with open(m / "f", "rb", buffering=0) as file:
        assert os.pread(file.fileno(), 100, 0) == content[:100]
        assert memory(m) - before < size // 2
        assert in_pieces(file.fileno(), size) == content
        (m / "g").write_bytes(bytes(3 * MIB))


@pytest.mark.clause("S28b", "S8b")
def test_what_was_only_begun_gives_way_to_what_is_written(datawal, logdir, mount):
    size = 3 * MIB
    content = put(datawal, logdir, size)
    m = mount(logdir, "staging=4M")
    with open(m / "f", "rb", buffering=0) as file:
        assert os.pread(file.fileno(), 100, 0) == content[:100]
        (m / "g").write_bytes(bytes(3 * MIB))
        assert in_pieces(file.fileno(), size) == content
    assert (m / "g").read_bytes() == bytes(3 * MIB)


def change_byte(log, at):
    with open(log / SEGMENT, "r+b", buffering=0) as file:
        byte = os.pread(file.fileno(), 1, at)
        os.pwrite(file.fileno(), bytes([byte[0] ^ 1]), at)


@pytest.mark.sanitize
@pytest.mark.clause("S28b", "S25d")
@pytest.mark.parametrize("options", [(), ("staging=64K",)], ids=["kept", "not_kept"])
@pytest.mark.parametrize("size", SIZES[:3])
def test_no_byte_is_handed_out_before_the_last_one_was_checked(datawal, logdir, mount, size,
                                                              options):
    put(datawal, logdir, size)
    m = mount(logdir, *options)
    start, length = (int(os.getxattr(m / "f", f"user.datawal.{what}")) for what in
                     ("offset", "length"))
    change_byte(logdir, start + length - 5)  # the last one of the value
    with open(m / "f", "rb", buffering=0) as file:
        for _ in range(2):
            with pytest.raises(OSError) as caught:
                os.pread(file.fileno(), 100, 0)
            assert caught.value.errno == errno.EIO


@pytest.mark.sanitize
@pytest.mark.clause("S28b")
@pytest.mark.parametrize("size", SIZES[:3])
def test_what_is_handed_out_is_what_was_checked(datawal, logdir, mount, size):
    content = put(datawal, logdir, size)
    m = mount(logdir)
    start = int(os.getxattr(m / "f", "user.datawal.offset"))
    with open(m / "f", "rb", buffering=0) as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_RANDOM)
        assert os.pread(file.fileno(), 100, 0) == content[:100]
        change_byte(logdir, start + size - 100)
        assert in_pieces(file.fileno(), size) == content


@pytest.mark.thread
@pytest.mark.clause("S28b")
def test_readers_side_by_side_see_the_same(datawal, logdir, mount):
    size = 3_000_000
    content = put(datawal, logdir, size)
    m = mount(logdir)

    def read(number):
        with open(m / "f", "rb", buffering=0) as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            return in_pieces(file.fileno(), size, 50_000 + 7919 * number) == content

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(read, range(12)))
