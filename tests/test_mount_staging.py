# SPDX-License-Identifier: MIT OR Apache-2.0
"""The limit of staged memory: it counts what is not in the log, and who meets it changes nothing."""
import ctypes
import errno
import mmap
import os
import random
from contextlib import ExitStack

import pytest

import peek

KIB = 1024
LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_long, ctypes.c_long]
KEEP_SIZE, PUNCH_HOLE, ZERO_RANGE = 1, 2, 16


def fallocate(fd, mode, offset, length):
    if LIBC.fallocate(fd, mode, offset, length):
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def data(letter, size):
    return b"".join(b"%c%07d" % (letter, i) for i in range(size // 8 + 1))[:size]


def memory(m):
    with open(f"/proc/{m.pid}/status", encoding="ascii") as file:
        return next(int(line.split()[1]) * KIB for line in file if line.startswith("VmRSS"))


def no_space(call, *args):
    with pytest.raises(OSError) as caught:
        call(*args)
    assert caught.value.errno == errno.ENOSPC


@pytest.mark.sanitize
@pytest.mark.clause("S8b")
def test_what_is_in_the_log_does_not_count_whether_open_or_closed(mount):
    m = mount(None, "staging=1M")
    contents = {}
    with ExitStack() as stack:
        for i in range(6):
            contents[i] = data(65 + i, 600 * KIB)
            file = stack.enter_context(open(m / f"f{i}", "w+b", buffering=0))
            file.write(contents[i])
            os.fsync(file.fileno())
            if i % 2:
                file.close()
            else:  # and changed in place
                file.seek(7)
                file.write(b"change")
                contents[i] = contents[i][:7] + b"change" + contents[i][13:]
                os.fsync(file.fileno())
        for i, content in contents.items():
            assert (m / f"f{i}").read_bytes() == content
    m.remount()
    assert all((m / f"f{i}").read_bytes() == content for i, content in contents.items())


@pytest.mark.clause("S8b")
def test_what_is_in_the_log_leaves_memory_when_room_is_needed(mount):
    m = mount(None, "staging=4M")
    content = os.urandom(1000 * KIB)
    with ExitStack() as stack:
        for i in range(70):
            file = stack.enter_context(open(m / f"f{i}", "w+b", buffering=0))
            file.write(content)
            os.fsync(file.fileno())
        assert memory(m) < 48 << 20
        assert all((m / f"f{i}").read_bytes() == content for i in range(70))


@pytest.mark.clause("S8b")
def test_what_is_not_in_the_log_counts_as_it_is_and_not_more(mount):
    """Also a file just above a power of two."""
    m = mount(None, "staging=1M")
    fds = [os.open(m / name, os.O_CREAT | os.O_WRONLY) for name in "ab"]
    for fd, size in zip(fds, (516 * KIB, 508 * KIB)):
        assert os.write(fd, bytes(size)) == size
    no_space(os.write, fds[1], b"x")
    os.close(fds[0])
    no_space(os.close, fds[1])


@pytest.mark.clause("S8b", "S7a")
def test_renaming_needs_no_room_for_the_value(datawal, logdir, mount):
    m = mount(logdir)
    content = data(b"c"[0], 300 * KIB)
    (m / "d").mkdir()
    for path in (m / "f", m / "d/f"):
        path.write_bytes(content)
    m.remount("staging=64K")
    with open(m / "other", "wb", buffering=0) as other:
        other.write(bytes(64 * KIB))
        os.rename(m / "f", m / "g")
        os.rename(m / "d", m / "e")
        os.rename(m / "e/f", m / "g")
        no_space(os.truncate, m / "g", 10)
        assert (m / "g").read_bytes() == content
    os.truncate(m / "g", 10)  # that is all that is needed
    assert (m / "g").read_bytes() == content[:10]
    m.unmount()
    assert peek.get(logdir, "g") == content[:10]


def far_beyond(fd):
    os.pwrite(fd, b"y" * 100, 2 << 20)


def just_beyond(fd):
    os.pwrite(fd, b"y" * 100, 64 * KIB)


def grown(fd):
    os.ftruncate(fd, 2 << 20)


def allocated(fd):
    fallocate(fd, 0, 0, 2 << 20)


def zeroed(fd):
    fallocate(fd, ZERO_RANGE, 5, 2 << 20)


def allocated_unseen(fd):
    fallocate(fd, ZERO_RANGE | KEEP_SIZE, 5, 20)


FAILING = (far_beyond, just_beyond, grown, allocated, zeroed)


@pytest.mark.sanitize
@pytest.mark.clause("S8b", "S4d")
@pytest.mark.parametrize("act", FAILING, ids=lambda f: f.__name__)
@pytest.mark.parametrize("size", [100, 5000, 64 * KIB])
def test_what_fails_on_the_limit_changes_nothing(logdir, mount, size, act):
    m = mount(logdir, "staging=64K")
    content = data(b"o"[0], size)
    (m / "f").write_bytes(content)
    for more in (b"", b"z"):  # nothing changed yet, or something
        fd = os.open(m / "f", os.O_RDWR)
        os.write(fd, more)
        content = more + content[len(more):]
        no_space(act, fd)
        assert os.fstat(fd).st_size == size
        assert os.pread(fd, 2 * size, 0) == content
        os.write(fd, b"x" * 5)
        content = content[:len(more)] + b"x" * 5 + content[len(more) + 5:]
        os.close(fd)
        assert peek.get(logdir, "f") == content


@pytest.mark.clause("S8b")
def test_a_larger_file_than_the_limit_can_be_read_and_not_changed(mount):
    m = mount()
    content = data(b"o"[0], 100 * KIB)
    (m / "f").write_bytes(content)
    m.remount("staging=64K")
    fd = os.open(m / "f", os.O_RDWR)
    for act in (*FAILING, lambda fd: os.write(fd, b"x"), allocated_unseen,
                lambda fd: fallocate(fd, PUNCH_HOLE | KEEP_SIZE, 0, 10)):
        no_space(act, fd)
    with open(m / "f", "ab", buffering=0) as file:
        no_space(file.write, b"x")
    assert os.pread(fd, 1 << 20, 0) == content
    with mmap.mmap(fd, 0) as mapped:
        mapped[0:1] = b"x"
        no_space(mapped.flush)
    os.close(fd)
    m.remount()
    assert (m / "f").read_bytes() == content


# ---------------------------------------------------------------------- against a model

class Model:
    """A file, and its content as every call that succeeded says it must be."""

    def __init__(self, path):
        self.path = path
        self.fd = os.open(path, os.O_CREAT | os.O_RDWR)
        self.content = b""
        os.fsync(self.fd)  # published: from here on no change is a fresh one

    def write(self, offset, payload):
        done = os.pwrite(self.fd, payload, offset)
        filled = self.content.ljust(offset, b"\0")
        self.content = filled[:offset] + payload[:done] + filled[offset + done:]

    def truncate(self, size):
        os.ftruncate(self.fd, size)
        self.content = self.content[:size].ljust(size, b"\0")

    def allocate(self, mode, offset, length):
        fallocate(self.fd, mode, offset, length)
        end = offset + length
        if not mode & KEEP_SIZE:
            self.content = self.content.ljust(end, b"\0")
        if mode & (PUNCH_HOLE | ZERO_RANGE):
            end = min(end, len(self.content))
            if offset < end:
                self.content = self.content[:offset] + bytes(end - offset) + self.content[end:]

    def sync(self):
        os.fsync(self.fd)

    def reopen(self):
        os.close(self.fd)
        self.fd = os.open(self.path, os.O_RDWR)

    def rename(self):
        path = self.path.with_name(self.path.name + "x")
        os.rename(self.path, path)
        self.path = path

    def act(self, rng):
        def size():
            return rng.choice((rng.randrange(100), rng.randrange(9000), rng.randrange(40_000)))

        choice = rng.randrange(12)
        if choice < 5:
            self.write(size(), rng.randbytes(1 + size()))
        elif choice < 7:
            self.truncate(1 + size())
        elif choice < 9:
            self.allocate(rng.choice((0, KEEP_SIZE, ZERO_RANGE, ZERO_RANGE | KEEP_SIZE,
                                      PUNCH_HOLE | KEEP_SIZE)), size(), 1 + size())
        else:
            rng.choice((self.sync, self.reopen, self.rename))()


@pytest.mark.sanitize
@pytest.mark.clause("S8b", "S5a")
@pytest.mark.parametrize("seed", range(3))
def test_with_little_room_each_call_does_what_it_says(mount, seed):
    m = mount(None, "staging=40K")
    rng = random.Random(seed)
    files = [Model(m / f"f{i}") for i in range(4)]
    refused = 0
    for _ in range(400):
        file = rng.choice(files)
        try:
            file.act(rng)
        except OSError as error:
            assert error.errno == errno.ENOSPC
            refused += 1
        assert os.pread(file.fd, 1 << 20, 0) == file.content
        assert os.fstat(file.fd).st_size == len(file.content)
    assert 20 < refused < 380
    for file in files:
        os.close(file.fd)
    m.remount()
    for file in files:
        assert file.path.read_bytes() == file.content
