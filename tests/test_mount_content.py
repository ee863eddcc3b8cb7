# SPDX-License-Identifier: MIT OR Apache-2.0
"""A file that is open, or just being opened, keeps its content whole, whatever becomes of its name.

The races are made certain: the daemon is stopped between the record and the tree, or with a request
in its hand."""
import contextlib
import mmap
import os
import stat
from concurrent import futures
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import pytest

import aio
import mounting

pytestmark = pytest.mark.thread

SECONDS = 20
# the new content is cut, or filled up, to the old length where sizes and bytes get mixed up
SIZES = ((10_000, 300), (300, 10_000))


def data(letter, size):
    return b"".join(b"%c%07d" % (letter, i) for i in range(size // 8 + 1))[:size]


def whole(fd):
    parts = []
    while part := os.read(fd, 1 << 16):
        parts.append(part)
    return b"".join(parts)


@contextlib.contextmanager
def descriptor(path, flags=os.O_RDONLY):
    fd = os.open(path, flags)
    try:
        yield fd
    finally:
        os.close(fd)


# ------------------------------------------------------------------------------- ways to read

def opened(path):
    with descriptor(path) as fd:
        return whole(fd)


def looked_at_first(path):
    """As much as stat(2) said, in one read."""
    size = os.stat(path).st_size
    with descriptor(path) as fd:
        return os.read(fd, size)


def mapped(path):
    with descriptor(path) as fd, mmap.mmap(fd, 0, prot=mmap.PROT_READ) as memory, \
            open(os.memfd_create("copy"), "r+b", buffering=0) as copy:
        copy.write(memory)  # a page fault in Python itself would stop all of its threads
        copy.seek(0)
        return copy.read()


class Way(NamedTuple):
    read: object
    request: str  # that brings it to the daemon
    make: object  # a file of such content


def make_file(path, content):
    path.write_bytes(content)


def make_link(path, content):
    os.symlink(content[:4000], os.fsencode(path))


def read_link(path):
    return os.readlink(os.fsencode(path))


WAYS = (Way(opened, "open", make_file), Way(looked_at_first, "open", make_file),
        Way(mapped, "open", make_file), Way(read_link, "readlink", make_link))


def reopened_later(path):
    """What a descriptor that can only find the file finds in it, then."""
    fd = os.open(path, os.O_PATH | os.O_NOFOLLOW)

    def read():
        try:
            is_link = stat.S_ISLNK(os.fstat(fd).st_mode)
            return os.readlink(b"", dir_fd=fd) if is_link else opened(path_of(fd))
        finally:
            os.close(fd)

    return read


def path_of(fd):
    return f"/proc/self/fd/{fd}"


# ------------------------------------------------------------------- ways to lose, or get, a name

class Place(NamedTuple):
    """Where the file is that is read, and another one."""
    file: object
    other: object


def replaced(place):
    os.rename(place.other, place.file)


def removed(place):
    os.unlink(place.file)


def moved(place):
    os.rename(place.file, place.file.with_name("moved"))


def moved_with_its_directory(place):
    os.rename(place.file.parent, place.file.parent.with_name(place.file.parent.name + "-moved"))


def replaced_across_directories(place):
    os.rename(place.other, place.file.parent.parent / place.other.name)
    os.rename(place.file.parent.parent / place.other.name, place.file)


CHANGES = (replaced, removed, moved, moved_with_its_directory, replaced_across_directories)


def places(m, change):
    """A file of each size for each way to read, with what must be read, all known to the kernel."""
    for way in WAYS:
        for old, new in SIZES:
            directory = m / f"{change.__name__}-{way.read.__name__}-{old}"
            directory.mkdir()
            place = Place(directory / "file", directory / "other")
            content = data(b"o"[0], old)
            way.make(place.file, content)
            way.make(place.other, data(b"n"[0], new))
            # what is held cannot drop out of the kernel's cache: a lookup would wait for the change
            with descriptor(place.file, os.O_PATH | os.O_NOFOLLOW), \
                    descriptor(place.other, os.O_PATH | os.O_NOFOLLOW):
                yield way, place, content[:4000] if way.make is make_link else content


@pytest.fixture
def pool():
    with ThreadPoolExecutor(4) as threads:
        yield threads


@pytest.mark.sanitize
@pytest.mark.clause("S7e")
@pytest.mark.parametrize("stop", ["append", "appended"])
@pytest.mark.parametrize("change", [replaced, removed, moved, moved_with_its_directory],
                         ids=lambda f: f.__name__)
def test_who_reads_while_the_record_is_written_sees_the_old_content(gated, pool, change, stop):
    m, gates = gated()
    gates.watch("open")
    gates.watch("readlink")
    for way, place, content in places(m, change):
        gates.forget()
        with gates.held(stop):
            changing = pool.submit(change, place)
            gates.wait(stop)
            reading = pool.submit(way.read, place.file)
            gates.wait(way.request)
            if change is not moved_with_its_directory and change is not moved:
                reading.result(SECONDS)  # waits for nobody
        assert reading.result(SECONDS) == content
        changing.result(SECONDS)


@pytest.mark.sanitize
@pytest.mark.clause("S7e")
@pytest.mark.parametrize("change", CHANGES, ids=lambda f: f.__name__)
def test_an_open_that_comes_late_sees_the_content_of_the_file_it_found(gated, pool, change):
    m, gates = gated()
    for way, place, content in places(m, change):
        gates.forget()
        with gates.held(way.request):
            reading = pool.submit(way.read, place.file)
            gates.wait(way.request)
            change(place)
        assert reading.result(SECONDS) == content


@pytest.mark.sanitize
@pytest.mark.clause("S7e")
@pytest.mark.parametrize("change", CHANGES, ids=lambda f: f.__name__)
def test_a_file_without_a_name_is_opened_again_with_its_content_and_size(mount, change):
    m = mount()
    for way, place, content in places(m, change):
        read = reopened_later(place.file)
        with descriptor(place.file, os.O_PATH | os.O_NOFOLLOW) as fd:
            change(place)
            assert os.fstat(fd).st_size == len(content)
            assert read() == content, way


@pytest.mark.clause("S7e")
@pytest.mark.parametrize("change", [replaced, removed], ids=lambda f: f.__name__)
def test_what_was_staged_when_the_name_went_stays_with_the_file(datawal, logdir, mount, change):
    m = mount()
    for i, staged in enumerate((b"staged", data(b"s"[0], 20_000))):
        directory = m / f"d{i}"
        directory.mkdir()
        place = Place(directory / "file", directory / "other")
        place.file.write_bytes(b"published before")
        place.other.write_bytes(b"other")
        with descriptor(place.file, os.O_PATH) as found:
            with open(place.file, "wb", buffering=0) as file:
                file.write(staged)
                change(place)
                assert opened(path_of(found)) == staged
            # nobody has it open
            assert opened(path_of(found)) == staged
            os.truncate(path_of(found), 3)
            assert opened(path_of(found)) == staged[:3]
            with open(path_of(found), "r+b", buffering=0) as file:
                file.write(b"S")
            assert os.fstat(found).st_size == 3
            assert opened(path_of(found)) == b"S" + staged[1:3]
    m.unmount()
    assert datawal("report", logdir).returncode == 0
    for value in (b"staged", b"Sta"):
        assert value not in b"".join(p.read_bytes() for p in logdir.glob("*.dwal"))


@pytest.mark.clause("S7e", "S2b")
@pytest.mark.parametrize("way", WAYS[:3], ids=lambda w: w.read.__name__)
def test_an_open_beside_a_commit_sees_the_new_content_whole(gated, pool, way):
    m, gates = gated()
    gates.watch("read")
    for old, new in SIZES:
        path = m / f"file{old}"
        for late in (False, True):
            path.write_bytes(data(b"o"[0], old))
            with contextlib.ExitStack() as stack:
                file = stack.enter_context(open(path, "r+b", buffering=0))
                file.truncate(new)
                file.write(data(b"n"[0], new))
                with gates.held("open" if late else "appended"):
                    if late:
                        reading = pool.submit(way.read, path)
                        gates.wait("open")
                        file.close()
                    else:
                        closing = pool.submit(file.close)
                        gates.wait("appended")
                        gates.forget()
                        reading = pool.submit(way.read, path)
                        gates.wait("read")
                if not late:
                    closing.result(SECONDS)
                assert reading.result(SECONDS) == data(b"n"[0], new)


@pytest.mark.clause("S7e")
@pytest.mark.parametrize("change", [replaced, removed], ids=lambda f: f.__name__)
def test_a_name_that_could_not_be_ended_keeps_its_content(gated, change):
    m, gates = gated()
    kept = []
    for way, place, content in places(m, change):
        (gates.directory / "full").touch()
        with pytest.raises(OSError, match="No space"):
            change(place)
        (gates.directory / "full").unlink()
        assert way.read(place.file) == content
        kept.append((way.read, place.file, content))
    m.remount()
    assert all(read(path) == content for read, path, content in kept)


@pytest.mark.slow
@pytest.mark.clause("S7e")
def test_thousands_of_files_without_a_name_keep_their_places_not_their_bytes(mount):
    m = mount(None, "staging=8M")
    content = data(b"o"[0], 400_000)
    held = []
    for i in range(500):
        path = m / f"f{i}"
        path.write_bytes(content)
        held.append(os.open(path, os.O_PATH))
        os.unlink(path)
    resident = mounting.wait_for(lambda: memory(m), "its memory")
    try:
        assert resident < 80 << 20  # of 200 MB
        assert all(opened(path_of(fd)) == content for fd in held)
    finally:
        for fd in held:
            os.close(fd)


def memory(m):
    with open(f"/proc/{m.pid}/status", encoding="ascii") as file:
        return next(int(line.split()[1]) << 10 for line in file if line.startswith("VmRSS"))


def directly(fd, memory, offset):
    return os.pwritev(fd, [memory], offset)


@pytest.mark.clause("S5e")
@pytest.mark.parametrize("write", [directly, aio.pwrite], ids=["pwrite", "io_submit"])
def test_what_was_read_during_a_direct_write_does_not_stay(gated, pool, write):
    if write is aio.pwrite and not aio.is_known():
        pytest.skip("numbers of io_submit(2) missing for this machine")
    m, gates = gated()
    path = m / "f"
    path.write_bytes(b"o" * 16384)
    with descriptor(path) as reader, descriptor(path, os.O_RDWR | os.O_DIRECT) as writer, \
            mmap.mmap(-1, 8192) as memory:
        memory.write(b"n" * 8192)
        with gates.held("write"):
            writing = pool.submit(write, writer, memory, 4096)
            gates.wait("write")
            os.pread(reader, 16384, 0)
        assert writing.result(SECONDS) == 8192
        assert os.pread(reader, 16384, 0) == b"o" * 4096 + b"n" * 8192 + b"o" * 4096


@pytest.mark.clause("S4c")
def test_after_a_failed_close_the_old_value_shows_with_its_own_size(gated, pool):
    """The kernel is to forget the staged size before the close returns. Later, it can happen while
    somebody reads, and the old value is filled up with zeros."""
    m, gates = gated()
    (m / "f").write_bytes(b"old value")
    fd = os.open(m / "f", os.O_WRONLY | os.O_TRUNC)
    os.write(fd, bytes(6000))
    with pytest.raises(OSError, match="too large"):
        os.pwrite(fd, b"x", 1 << 27)
    with gates.held("forget"):
        closing = pool.submit(os.close, fd)
        gates.wait("forget")
        early, _ = futures.wait([closing], 0.4)
    with pytest.raises(OSError, match="too large"):
        closing.result(SECONDS)
    assert not early
    assert opened(m / "f") == b"old value"
