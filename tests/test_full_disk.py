# SPDX-License-Identifier: MIT OR Apache-2.0
"""A log on a small, real, full ext4."""
import errno
import os
import subprocess

import pytest

import full_disk
import privileged
from mounting import wait_for

pytestmark = pytest.mark.sanitize


@pytest.fixture
def disk(tmp_path, request):
    with privileged.small_disk(tmp_path / "disk", 24) as directory:
        yield directory


@pytest.fixture
def full(disk, mount):
    """A mount with a file `f`, on a disk on which fill() leaves no block free, nor room in the log."""
    m = mount(disk / "log", "history=all")
    (m / "f").write_bytes(b"the old value")
    m.filler = disk / "filler"

    def fill():
        full_disk.fill(m.filler)
        full_disk.stuff(m.path)

    m.fill = fill
    yield m
    # before the disk goes
    assert m.clean_up() == []


@pytest.mark.clause("S4b", "S4c", "S3")
def test_an_overwrite_that_does_not_fit_fails_and_keeps_the_old_value(datawal, full):
    full.fill()
    before = datawal.scan(full.log)
    with pytest.raises(OSError) as caught:
        fd = os.open(full / "f", os.O_WRONLY | os.O_TRUNC)
        try:
            os.write(fd, b"x" * 100_000)
        finally:
            os.close(fd)
    assert caught.value.errno == errno.ENOSPC
    assert (full / "f").read_bytes() == b"the old value"
    assert datawal.scan(full.log) == before
    full.remount()
    assert (full / "f").read_bytes() == b"the old value"


@pytest.mark.clause("S4b")
@pytest.mark.parametrize("command", ["cp /etc/login.defs f", "dd if=/etc/login.defs of=f status=none",
                                     "cat /etc/login.defs | tee f", "sort -o f /etc/login.defs",
                                     "install -m 644 /etc/login.defs f", "mv {host}/big f"])
def test_programs_see_the_full_disk_and_the_old_value_stays(full, command, host_dir):
    (host_dir / "big").write_bytes(b"y" * 50_000)
    full.fill()
    done = subprocess.run(["bash", "-c", "set -o pipefail; " + command.format(host=host_dir)],
                          cwd=full.path, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode != 0
    assert "No space left" in done.stderr
    if not command.startswith(("install", "mv")):  # these remove the target first
        assert (full / "f").read_bytes() == b"the old value"


@pytest.mark.clause("S4b")
def test_work_goes_on_once_there_is_space(datawal, full):
    full.fill()
    with pytest.raises(OSError):
        (full / "g").write_bytes(b"x" * 100_000)
    os.unlink(full.filler)
    (full / "g").write_bytes(b"x" * 100_000)
    fd = os.open(full / "f", os.O_WRONLY | os.O_TRUNC)
    os.write(fd, b"the new value")
    os.fsync(fd)
    os.close(fd)
    full.remount()
    assert (full / "f").read_bytes() == b"the new value"
    assert (full / "g").read_bytes() == b"x" * 100_000
    assert datawal.json("report", full.log)[0]["tail_truncated"] == 0


@pytest.mark.clause("S4b", "S7a")
def test_a_rename_that_does_not_fit_leaves_both_names(full):
    (full / "big").write_bytes(b"x" * 100_000)
    full.fill()
    with pytest.raises(OSError) as caught:
        os.rename(full / "big", full / "f")
    assert caught.value.errno == errno.ENOSPC
    assert (full / "f").read_bytes() == b"the old value"
    assert (full / "big").read_bytes() == b"x" * 100_000


@pytest.mark.clause("S2f")
def test_a_publication_nobody_waits_for_is_reported_and_tried_again(datawal, full):
    """A mapped write behind the last close fails on the full disk; fsync reports it, and the bytes
    are still there when there is space."""
    import mmap
    (full / "m").write_bytes(bytes(100_000))
    fd = os.open(full / "m", os.O_RDWR)
    view = mmap.mmap(fd, 100_000)
    os.close(fd)
    full.fill()
    view[0:4] = b"late"
    view.close()
    fd = os.open(full / "m", os.O_RDWR)
    with pytest.raises(OSError) as caught:
        os.fsync(fd)
    assert caught.value.errno == errno.ENOSPC
    assert "m" in (full / ".log/recovery").read_text()
    os.unlink(full.filler)
    os.fsync(fd)
    os.close(fd)
    assert datawal.get(full.log, "m")[:4] == b"late"


@pytest.mark.clause("S4d", "S21b")
@pytest.mark.parametrize("commit, when", [(1, "by itself"), (1000, "at the unmount")])
def test_a_change_in_place_that_did_not_fit_is_published_once_there_is_space(datawal, full, commit,
                                                                            when):
    full.remount("history=all", f"commit={commit}")
    full.fill()
    fd = os.open(full / "f", os.O_WRONLY)
    os.pwrite(fd, b"x" * 100_000, 4)
    with pytest.raises(OSError) as caught:
        os.close(fd)
    assert caught.value.errno == errno.ENOSPC
    value = b"the " + b"x" * 100_000
    assert (full / "f").read_bytes() == value
    assert datawal.get(full.log, "f") == b"the old value"
    os.unlink(full.filler)
    if when == "by itself":
        wait_for(lambda: datawal.get(full.log, "f") == value, "the value in the log", 20)
    else:
        full.unmount()
        assert datawal.get(full.log, "f") == value
