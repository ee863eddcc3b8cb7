# SPDX-License-Identifier: MIT OR Apache-2.0
"""A segment that cannot be synced: no call says that it has done what may be lost. And one that takes
long: nobody waits for it who need not. tests/preload/gate.c stands between the daemon and the disk."""
import errno
import fcntl
import mmap
import os
import stat
import threading

import pytest

import mountctl
import mounting

pytestmark = pytest.mark.thread

ROTATE = 0x80044401  # MOUNTCTL_ROTATE


def prepare(m):
    """A file in every state, and descriptors of them."""
    for name in "fgh":
        (m / name).write_bytes(b"the old value")
        os.setxattr(m / name, "user.x", b"old")
    for name in ("d", "e"):
        (m / name).mkdir()
    (m / "d/inner").write_bytes(b"inner")
    fds = {
        "clean": os.open(m / "f", os.O_RDWR),
        "staged": os.open(m / "g", os.O_RDWR),
        "new": os.open(m / "new", os.O_RDWR | os.O_CREAT, 0o644),
        "root": os.open(m, os.O_RDONLY | os.O_DIRECTORY),
    }
    os.pwrite(fds["staged"], b"THE", 0)
    os.pwrite(fds["new"], b"new", 0)
    return fds


def create(path):
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o644))


def empty(path):
    os.close(os.open(path, os.O_WRONLY | os.O_TRUNC))


def store(fd):
    with mmap.mmap(fd, 13) as view:
        view[0:3] = b"THE"
        view.flush()


def changes(m, fds):
    """Name and call, of everything that changes or promises something."""
    me = (os.getuid(), os.getgid())
    for name in ("f", "g", "new"):
        path = m / name
        yield f"chmod {name}", os.chmod, path, 0o600
        yield f"chown {name}", os.chown, path, *me
        yield f"utime {name}", os.utime, path, (5, 5)
        yield f"setxattr {name}", os.setxattr, path, "user.y", b"new"
        yield f"truncate {name}", os.truncate, path, 2
    for name in ("f", "g"):
        yield f"removexattr {name}", os.removexattr, m / name, "user.x"
    for name in ("clean", "staged", "new"):
        yield f"fchmod {name}", os.fchmod, fds[name], 0o600
        yield f"write {name}", os.pwrite, fds[name], b"x", 0
        yield f"ftruncate {name}", os.ftruncate, fds[name], 1
        yield f"fallocate {name}", os.posix_fallocate, fds[name], 0, 100
        yield f"fsync {name}", os.fsync, fds[name]
        yield f"fdatasync {name}", os.fdatasync, fds[name]
    yield "fsync of the directory", os.fsync, fds["root"]
    yield "store and msync", store, fds["clean"]
    yield "create", create, m / "another"
    yield "O_TRUNC", empty, m / "h"
    yield "mkdir", os.mkdir, m / "dir"
    yield "mkdir below", os.mkdir, m / "d/dir"
    yield "rmdir", os.rmdir, m / "e"
    yield "symlink", os.symlink, "target", m / "link"
    yield "mkfifo", os.mkfifo, m / "fifo"
    yield "mknod", os.mknod, m / "node", stat.S_IFREG | 0o644
    yield "rename", os.rename, m / "h", m / "i"
    yield "rename over", os.rename, m / "h", m / "f"
    yield "rename staged", os.rename, m / "g", m / "i"
    yield "rename new", os.rename, m / "new", m / "i"
    yield "rename a directory", os.rename, m / "d", m / "i"
    yield "unlink", os.unlink, m / "h"
    yield "unlink new", os.unlink, m / "new"
    yield "rotate", fcntl.ioctl, fds["root"], ROTATE, bytes(4)
    yield "close staged", os.close, fds["staged"]
    yield "close new", os.close, fds["new"]


def failure(call, *args):
    try:
        call(*args)
    except OSError as error:
        return error.errno
    return None


def poison(gates, fd):
    (gates.directory / "broken").touch()
    os.pwrite(fd, b"t", 0)  # so that there is something to sync
    assert failure(os.fsync, fd) == errno.EIO
    (gates.directory / "broken").unlink()  # what is synced from now on would succeed


def end_with_trouble(m):
    """Unmounts; the daemon must say that something was lost."""
    mounting.wait_for(m._try_unmount, "the unmount")
    m.wait_end(status=1)
    m.process = None


@pytest.mark.clause("S2i")
@pytest.mark.parametrize("option", ["commit=1000", "sync"])
def test_once_a_sync_has_failed_every_change_fails_and_changes_nothing(gated, option):
    m, gates = gated(option)
    fds = prepare(m)
    poison(gates, fds["clean"])
    before = {path.name: path.read_bytes() for path in m.log.iterdir()}
    said = {name: failure(*call) for name, *call in changes(m, fds)}
    assert {name: error for name, error in said.items() if error != errno.EIO} == {}
    assert {path.name: path.read_bytes() for path in m.log.iterdir()} == before
    assert (m / "h").read_bytes() == b"the old value"
    assert "nothing is written any more" in (m / ".log/recovery").read_text()
    for name in ("clean", "root"):
        os.close(fds[name])
    end_with_trouble(m)


DURABLE = {
    "close": lambda m: (m / "f").write_bytes(b"x"),
    "close of nothing new": lambda m: create(m / "another"),
    "O_TRUNC": lambda m: empty(m / "f"),
    "mkdir": lambda m: os.mkdir(m / "dir"),
    "rmdir": lambda m: os.rmdir(m / "e"),
    "symlink": lambda m: os.symlink("target", m / "link"),
    "mkfifo": lambda m: os.mkfifo(m / "fifo"),
    "rename": lambda m: os.rename(m / "f", m / "i"),
    "rename of a directory": lambda m: os.rename(m / "d", m / "i"),
    "truncate": lambda m: os.truncate(m / "f", 2),
    "unlink": lambda m: os.unlink(m / "f"),
    "chmod": lambda m: os.chmod(m / "f", 0o600),
    "setxattr": lambda m: os.setxattr(m / "f", "user.y", b"new"),
    "removexattr": lambda m: os.removexattr(m / "f", "user.x"),
}


@pytest.mark.clause("S2h", "S2i")
@pytest.mark.parametrize("name", DURABLE)
def test_with_sync_a_change_whose_sync_fails_fails(gated, name):
    m, gates = gated("sync")
    for fd in prepare(m).values():
        os.close(fd)
    (gates.directory / "broken").touch()
    assert failure(DURABLE[name], m) == errno.EIO
    end_with_trouble(m)


@pytest.mark.clause("S2d", "S2i")
@pytest.mark.parametrize("place", ["root", "d"])
def test_fsync_of_a_directory_means_the_files_made_in_it_too(gated, place):
    """Also those of which nobody could be told that they were not published."""
    m, gates = gated("commit=1000")
    (m / "d").mkdir()
    directory = m.path if place == "root" else m / place
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    (gates.directory / "full").touch()
    create(directory / "made")
    assert failure(os.fsync, fd) == errno.ENOSPC
    (gates.directory / "full").unlink()
    os.fsync(fd)
    os.close(fd)
    m.kill9()
    gates.forget()
    m.start()
    assert (directory / "made").read_bytes() == b""


SIZE = 64 << 10


def unrelated(m):
    (m / "g").write_bytes(b"small")
    os.unlink(m / "h")
    os.rename(m / "i", m / "j")
    os.rename(m / "d", m / "k")
    os.mkdir(m / "l")
    os.rmdir(m / "e")
    os.symlink("target", m / "link")
    os.chmod(m / "j", 0o600)
    os.setxattr(m / "j", "user.x", b"1")
    os.truncate(m / "j", 1)


@pytest.mark.clause("S24i")
def test_a_name_of_a_moment_is_synced_where_that_was_asked_for(gated):
    m, gates = gated("commit=1000")
    (m / "f").write_bytes(b"value")
    (gates.directory / "broken").touch()
    assert failure(mountctl.tag, m, b"written") is None
    assert failure(mountctl.tag, m, b"durable", 0, mountctl.TAG_SYNC) == errno.EIO
    end_with_trouble(m)


@pytest.mark.clause("S2j")
@pytest.mark.deadline(20)
@pytest.mark.parametrize("by", ["close", "truncate", "rename", "rename of a directory", "rotate"])
def test_nobody_waits_for_the_sync_of_a_rotation_but_who_rotates(datawal, gated, by):
    m, gates = gated("commit=1000", f"segment_size={SIZE}")
    for name in ("h", "i", "d/inner"):
        (m / name).parent.mkdir(exist_ok=True)
        (m / name).write_bytes(b"value")
    (m / "e").mkdir()
    (m / "big/c").mkdir(parents=True)
    (m / "big/c/a").write_bytes(bytes(40_000))
    root = os.open(m, os.O_RDONLY)
    rotate = {
        "close": lambda: (m / "big/b").write_bytes(bytes(40_000)),
        "truncate": lambda: os.truncate(m / "big/c/a", 30_000),
        # the kernel itself keeps others out of the directory meanwhile
        "rename": lambda: os.rename(m / "big/c/a", m / "big/c/b"),
        "rename of a directory": lambda: os.rename(m / "big/c", m / "big/b"),
        "rotate": lambda: fcntl.ioctl(root, ROTATE, bytes(4)),
    }[by]
    with gates.held("sync"):
        rotating = threading.Thread(target=rotate)
        rotating.start()
        gates.wait("sync")
        unrelated(m)
        assert rotating.is_alive()
    rotating.join()
    os.close(root)
    assert (m / "j").read_bytes() == b"v"
    m.remount()
    assert (m / "k/inner").read_bytes() == b"value"
    assert [path.name for path in sorted(m.log.glob("*.dwal"))] == ["00000001.dwal",
                                                                    "00000002.dwal"]
    assert all(path.stat().st_size <= SIZE for path in m.log.glob("*.dwal"))
    if by == "close":
        assert datawal.records_of(m.log, "big/b") == ["Put"]
