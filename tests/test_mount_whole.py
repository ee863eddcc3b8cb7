# SPDX-License-Identifier: MIT OR Apache-2.0
"""Operations are whole: a log that is cut at any byte shows the state before an operation of the
mount or behind it, and the next writer sees what every reader does."""
import os
import subprocess

import pytest

SEGMENT = "00000001.dwal"


def create_for_oneself(m):
    old = os.umask(0o077)
    (m / "d/private").write_bytes(b"nobody else's")
    os.umask(old)


def overwrite(m):
    (m / "d/kept").write_bytes(b"another value")


def rename_over(m):
    os.rename(m / "d/kept", m / "d/replaced")


def rename_into_another_directory(m):
    os.rename(m / "d/replaced", m / "e/moved")


def rename_directory(m):
    os.rename(m / "d", m / "e/d")


def chmod_and_write(m):
    with open(m / "e/moved", "r+b", buffering=0) as file:
        file.write(b"secret")
        os.fchmod(file.fileno(), 0o600)


def symlink(m):
    os.symlink("target", m / "e/link")


def fifo(m):
    os.mkfifo(m / "e/fifo", 0o600)


def mkdir(m):
    os.mkdir(m / "e/new", 0o700)


def set_attribute(m):
    os.setxattr(m / "e/moved", "user.colour", b"red")


def chmod(m):
    os.chmod(m / "e/moved", 0o400)


def set_time(m):
    os.utime(m / "e", ns=(1, 1_500_000_000_000_000_001))


def truncate(m):
    os.truncate(m / "e/d/private", 3)


def rename_onto_private(m):
    """Of what everybody may read onto what nobody else may: never the one's content with the
    other's mode."""
    os.rename(m / "e/d/old", m / "e/d/private")


def unlink(m):
    os.unlink(m / "e/moved")


def rmdir(m):
    os.rmdir(m / "e/new")


ACTS = [create_for_oneself, overwrite, rename_over, rename_into_another_directory, rename_directory,
        chmod_and_write, symlink, fifo, mkdir, set_attribute, chmod, set_time, truncate,
        rename_onto_private, unlink, rmdir]


def operations(datawal, logdir):
    """(where it begins, where it ends) of each operation in the log."""
    found = []
    records = datawal.scan(logdir, headers=True)
    while records:
        header, *records = records
        lines = header.payload.decode().splitlines()
        n = int(lines[2].removeprefix("n=")) if header.is_header() else 0
        last = records[n - 1] if n else header
        found.append((header.offset, last.offset + last.length))
        records = records[n:]
    return found


def digests(build, segment, scratch, first, last, *writer):
    done = subprocess.run([build / "tests/tree_at", segment, scratch, str(first), str(last), *writer],
                          capture_output=True, text=True, check=True, timeout=300)
    return {int(at): digest for at, digest in (line.split() for line in done.stdout.splitlines())}


@pytest.fixture
def history(mount, datawal, logdir):
    """A log, and where the operation of each act is in it."""
    m = mount(logdir)
    for name in ("d", "e"):
        (m / name).mkdir()
    for name in ("d/kept", "d/replaced", "d/old"):
        (m / name).write_bytes(b"value of " + name.encode())
    os.chmod(m / "d/replaced", 0o640)
    size = [(logdir / SEGMENT).stat().st_size]
    for act in ACTS:
        act(m)
        size.append((logdir / SEGMENT).stat().st_size)
    m.unmount()
    whole = operations(datawal, logdir)
    for act, begin, end in zip(ACTS, size, size[1:]):
        assert (begin, end) in whole, f"{act.__name__} is not one operation"
    return list(zip(ACTS, size, size[1:]))


def check(seen, history):
    for act, begin, end in history:
        assert seen[begin] != seen[end], f"{act.__name__} changes nothing"
        for at in range(begin, end):
            assert seen[at] == seen[begin], f"{act.__name__}, cut at byte {at - begin}"


@pytest.mark.clause("S7a", "S7d", "S15b")
def test_a_cut_log_shows_the_state_before_or_behind_each_operation(build, logdir, history, tmp_path):
    check(digests(build, logdir / SEGMENT, tmp_path / "cut", history[0][1], history[-1][2]), history)


@pytest.mark.slow
@pytest.mark.clause("S7a", "S7d", "S15b")
def test_the_next_writer_sees_the_same_of_a_cut_log(build, logdir, history, tmp_path):
    check(digests(build, logdir / SEGMENT, tmp_path / "cut", history[0][1], history[-1][2],
                  "writer"), history)
