# SPDX-License-Identifier: MIT OR Apache-2.0
"""Owners, modes, times, sizes and numbers in stat(2)."""
import os
import subprocess
import time

import pytest

from mounting import wait_for

pytestmark = pytest.mark.sanitize


def clock_records(datawal, logdir):
    return [r for r in datawal.scan(logdir) if r.type == "Raw" and r.key == b"datawalfs.clock"]


def seconds_of(record):
    digits = bytes(b if chr(b).isdigit() else 32 for b in record.payload).split()
    return max(int(d) for d in digits)


def next_second():
    """Returns when a new second has begun, also by clocks that tick each 10 ms, as time(2)."""
    now = int(time.time())
    return wait_for(lambda: int(time.time() - 0.02) > now and int(time.time()), "a new second", 5)


@pytest.mark.clause("S15a")
def test_files_and_directories_belong_to_the_mounting_user(datawal, logdir, mount):
    datawal.put(logdir, "d/f", b"value")
    m = mount(logdir)
    file, directory, root = ((m / n).stat() for n in ("d/f", "d", "."))
    assert (file.st_uid, file.st_gid) == (os.getuid(), os.getgid())
    assert (directory.st_uid, root.st_uid) == (os.getuid(), os.getuid())
    umask = os.umask(0)
    os.umask(umask)
    assert file.st_mode == 0o100644 & ~umask
    assert directory.st_mode == 0o040755 & ~umask
    assert file.st_nlink == 1


@pytest.mark.root
@pytest.mark.clause("S15a")
def test_owner_and_umask_can_be_given_at_the_mount(datawal, logdir, mount):
    datawal.put(logdir, "d/f", b"value")
    m = mount(logdir, "uid=1234", "gid=2345", "umask=077")
    file, directory = ((m / n).stat() for n in ("d/f", "d"))
    assert (file.st_uid, file.st_gid, file.st_mode) == (1234, 2345, 0o100600)
    assert (directory.st_uid, directory.st_mode) == (1234, 0o040700)


@pytest.mark.clause("S15b")
def test_changed_attributes_show_until_the_unmount(mount, host_dir):
    m = mount()
    (host_dir / "old").write_bytes(b"value")
    os.utime(host_dir / "old", (1_000_000_000, 1_000_000_000))
    (m / "f").write_bytes(b"value")
    (m / "d").mkdir()
    for name in ("f", "d"):
        os.chmod(m / name, 0o640)
        os.utime(m / name, ns=(1_000_000_000_123_456_789, 1_500_000_000_987_654_321))
        os.chown(m / name, os.getuid(), os.getgid())
        found = (m / name).stat()
        assert found.st_mode & 0o7777 == 0o640
        assert found.st_mtime_ns == 1_500_000_000_987_654_321
        assert found.st_atime_ns == 1_000_000_000_123_456_789
    subprocess.run(["cp", "-p", host_dir / "old", m / "g"], check=True, timeout=10)
    assert (m / "g").stat().st_mtime == 1_000_000_000


@pytest.mark.clause("S15c")
def test_raw_records_of_others_are_left_alone(datawal, logdir, mount):
    for text in (b"type=dir", b"\x00\xff", b"datawalfs.attr", b""):
        datawal("append", logdir, "-", input=text)
    datawal.put(logdir, "f", b"value")
    old = datawal.scan(logdir)
    m = mount(logdir)
    assert [n for n in os.listdir(m) if n != ".log"] == ["f"]
    m.unmount()
    assert datawal.scan(logdir) == old


@pytest.mark.clause("S16a")
def test_mtime_is_that_of_the_last_write_and_not_of_the_close(mount):
    m = mount()
    fd = os.open(m / "f", os.O_CREAT | os.O_WRONLY, 0o644)
    os.write(fd, b"value")
    written = os.fstat(fd).st_mtime_ns
    assert abs(written / 1e9 - time.time()) < 5
    next_second()
    os.close(fd)
    assert (m / "f").stat().st_mtime_ns == written
    m.remount()
    assert (m / "f").stat().st_mtime == written // 10**9


@pytest.mark.clause("S16b")
def test_mtimes_survive_a_remount_to_the_second(datawal, logdir, mount):
    m = mount(logdir)
    times = {}
    for name in ("first", "second", "third"):
        (m / name).write_bytes(b"value")
        times[name] = int((m / name).stat().st_mtime)
        next_second()
    m.remount()
    assert {n: int((m / n).stat().st_mtime) for n in times} == times
    assert len(set(times.values())) == 3


@pytest.mark.clause("S16b")
def test_there_is_at_most_one_clock_record_a_second_and_values_never_fall(datawal, logdir, mount):
    m = mount(logdir)
    started = int(time.time())
    for number in range(200):
        (m / f"f{number}").write_bytes(b"value")
    next_second()
    (m / "late").write_bytes(b"value")
    ended = int(time.time())
    values = [seconds_of(r) for r in clock_records(datawal, logdir)]
    assert 2 <= len(values) <= ended - started + 1
    assert values == sorted(set(values))
    assert started <= values[0] and values[-1] <= ended


@pytest.mark.clause("S16b")
def test_a_file_closed_after_one_written_later_shows_the_clock_in_force(datawal, logdir, mount):
    m = mount(logdir)
    fd = os.open(m / "early", os.O_CREAT | os.O_WRONLY, 0o644)
    os.write(fd, b"value")
    early = int(os.fstat(fd).st_mtime)
    next_second()
    (m / "late").write_bytes(b"value")
    late = int((m / "late").stat().st_mtime)
    os.close(fd)
    assert int((m / "early").stat().st_mtime) == early < late
    m.remount()
    assert int((m / "early").stat().st_mtime) == late
    values = [seconds_of(r) for r in clock_records(datawal, logdir)]
    assert values == sorted(set(values))


@pytest.mark.clause("S16c")
def test_a_directory_shows_the_time_at_which_its_last_entry_was_added(mount):
    m = mount()
    (m / "d").mkdir()
    next_second()
    (m / "d/f").write_bytes(b"value")
    added = int((m / "d/f").stat().st_mtime)
    assert int((m / "d").stat().st_mtime) == added
    next_second()
    (m / "other").write_bytes(b"value")
    m.remount()
    assert int((m / "d").stat().st_mtime) == added


@pytest.mark.clause("S16c")
def test_the_kernel_is_told_of_a_directory_whose_time_a_commit_changes(gated):
    m, gates = gated()
    (m / "d").mkdir()
    with open(m / "d/f", "wb", buffering=0) as file:
        next_second()
        file.write(b"value")
        gates.watch("forget")
    gates.wait("forget")
    assert int((m / "d").stat().st_mtime) == int((m / "d/f").stat().st_mtime)


@pytest.mark.clause("S16d")
def test_noclock_writes_puts_and_nothing_else(datawal, logdir, mount):
    m = mount(logdir, "noclock")
    (m / "f").write_bytes(b"value")
    (m / "g").write_bytes(b"value")
    m.unmount()
    assert [(r.type, r.key) for r in datawal.scan(logdir)] == [("Put", b"f"), ("Put", b"g")]
    m.remount()
    segment = int((logdir / "00000001.dwal").stat().st_mtime)
    assert abs(int((m / "f").stat().st_mtime) - segment) <= 1


@pytest.mark.clause("S17a")
def test_df_shows_the_file_system_of_the_log(logdir, mount):
    m = mount(logdir)
    here, there = os.statvfs(m), os.statvfs(logdir)
    assert here.f_blocks * here.f_frsize == there.f_blocks * there.f_frsize
    assert abs(here.f_bavail * here.f_frsize - there.f_bavail * there.f_frsize) < 1 << 30
    assert here.f_namemax == 255
    subprocess.run(["df", "-h", m], check=True, capture_output=True, timeout=10)


@pytest.mark.clause("S17b")
@pytest.mark.parametrize("size", [0, 1, 512, 513, 100_000])
def test_st_blocks_covers_the_value(mount, size):
    m = mount()
    (m / "f").write_bytes(bytes(size))
    m.remount()
    blocks = (m / "f").stat().st_blocks
    assert -(-size // 512) <= blocks <= -(-size // 512) + 8
    assert (blocks > 0) == (size > 0)


@pytest.mark.clause("S17c")
def test_a_file_keeps_its_inode_number_across_rename_and_listing(mount):
    m = mount()
    (m / "f").write_bytes(b"value")
    number = (m / "f").stat().st_ino
    (m / "f").write_bytes(b"other value")
    assert (m / "f").stat().st_ino == number
    (m / "d").mkdir()
    os.rename(m / "f", m / "d/g")
    assert (m / "d/g").stat().st_ino == number
    with os.scandir(m / "d") as entries:
        assert [e.inode() for e in entries] == [number]
    (m / "f").write_bytes(b"another file")
    assert (m / "f").stat().st_ino != number


@pytest.mark.clause("S17c")
def test_all_inode_numbers_differ(mount):
    m = mount()
    for number in range(100):
        (m / f"f{number}").write_bytes(b"")
    (m / "d").mkdir()
    with os.scandir(m) as entries:
        listed = {e.name: e.inode() for e in entries}
    assert len(set(listed.values())) == len(listed)
    assert all((m / name).stat().st_ino == inode for name, inode in listed.items())
