# SPDX-License-Identifier: MIT OR Apache-2.0
"""Owners, modes, times, sizes and numbers in stat(2)."""
import os
import subprocess
import sys
import time

import pytest

import paths
from mounting import wait_for

sys.path.insert(0, str(paths.ROOT / "corpus"))
import gen_corpus  # noqa: E402

pytestmark = pytest.mark.sanitize


SEGMENT = "00000001.dwal"


def times(path):
    found = os.lstat(path)
    return found.st_mtime_ns, found.st_ctime_ns


def all_times(root):
    """Of everything below a directory, and of itself."""
    paths = [root, *sorted(p for p in root.rglob("*"))]
    return {p.relative_to(root).as_posix(): times(p) for p in paths}


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
    assert times(m / "f") == (written, written)


def write_over(m):
    (m / "d/old").write_bytes(b"again")


def rename(m):
    os.rename(m / "d/old", m / "e/new")


def rename_over(m):
    os.rename(m / "d/old", m / "e/other")


def rename_directory(m):
    os.rename(m / "d", m / "e/d")


def rename_directory_over(m):
    (m / "e/empty").mkdir()
    os.rename(m / "d", m / "e/empty")


def chmod_and_write(m):
    os.chmod(m / "d/old", 0o600)
    with open(m / "d/old", "ab", buffering=0) as file:
        file.write(b"more")
        os.fchmod(file.fileno(), 0o640)


def set_times(m):
    os.utime(m / "d/old", ns=(1, 1_500_000_000_987_654_321))
    os.utime(m / "d", ns=(1, 1_500_000_000_000_000_001))
    (m / "d/old").write_bytes(b"later")


def removes(m):
    (m / "d/old").unlink()
    (m / "e/sub").rmdir()


def never_published(m):
    with open(m / "e/gone", "wb", buffering=0) as file:
        os.unlink(m / "e/gone")
        file.write(b"value")


def out_of_order(m):
    with open(m / "d/first", "wb") as first, open(m / "d/second", "wb") as second:
        second.write(b"2")
        second.close()
        first.write(b"1")


def directory_time_set_behind_a_new_name(m):
    with open(m / "d/new", "wb", buffering=0) as file:
        os.utime(m / "d", ns=(1, 1_400_000_000_000_000_000))
        file.write(b"value")


def special_files(m):
    os.symlink("target", m / "d/link")
    os.mkfifo(m / "d/fifo")
    (m / "d/deep/er").mkdir(parents=True)


def beside_a_value(m):
    (m / "d/x\\value").write_bytes(b"1")
    (m / "d/x").mkdir()
    (m / "d/x/y").write_bytes(b"2")


def extended_attributes(m):
    os.setxattr(m / "d/old", "user.colour", b"red")
    os.setxattr(m / "d", "user.colour", b"blue")


@pytest.mark.clause("S16b", "S16c")
@pytest.mark.parametrize("act", [
    write_over, rename, rename_over, rename_directory, rename_directory_over, chmod_and_write,
    set_times, removes, never_published, out_of_order, directory_time_set_behind_a_new_name,
    special_files, beside_a_value, extended_attributes], ids=lambda act: act.__name__)
def test_times_survive_a_remount_to_the_nanosecond(mount, act):
    m = mount()
    for name in ("d", "e", "e/sub"):
        (m / name).mkdir()
    for name in ("d/old", "d/kept", "e/other"):
        (m / name).write_bytes(b"value")
    act(m)
    before = all_times(m.path)
    m.remount()
    assert all_times(m.path) == before
    m.remount()
    assert all_times(m.path) == before


@pytest.mark.clause("S16b")
def test_a_file_closed_after_one_written_later_keeps_its_own_time(mount):
    m = mount()
    with open(m / "early", "wb", buffering=0) as file:
        file.write(b"value")
        early = times(m / "early")
        (m / "late").write_bytes(b"value")
    late = times(m / "late")
    assert early < late
    m.remount()
    assert times(m / "early") == early
    assert times(m / "late") == late


@pytest.mark.clause("S16h")
def test_a_log_of_others_keeps_the_times_that_it_showed_first(datawal, logdir, mount):
    datawal.put(logdir, "d/old", b"value")
    segment = (logdir / "00000001.dwal").stat().st_mtime_ns
    m = mount(logdir)
    assert times(m / "d/old") == (segment, segment)
    assert times(m / "d") == (segment, segment)
    next_second()
    (m / "new").write_bytes(b"value")
    m.remount()
    assert times(m / "d/old") == (segment, segment)
    (m / "newer").write_bytes(b"value")
    m.remount()
    assert times(m / "d/old") == (segment, segment)


@pytest.mark.clause("S16h")
def test_cutting_a_torn_tail_changes_no_time(datawal, logdir, mount):
    datawal.put(logdir, "old", b"value")
    segment = logdir / SEGMENT
    with open(segment, "ab") as file:
        file.write(b"DWAL")  # the beginning of a header
    os.utime(segment, ns=(1, 1_400_000_000_123_456_789))
    m = mount(logdir)
    assert segment.stat().st_size == 28 + 3 + 5
    for _ in range(2):
        assert times(m / "old") == (1_400_000_000_123_456_789,) * 2
        m.remount()


@pytest.mark.clause("S16h")
def test_a_log_with_clock_records_is_read_as_before(mount, logdir):
    def clock(seconds):
        return b"datawalfs.clock 1\ntime=%d\n" % seconds

    records = [(gen_corpus.RAW, b"datawalfs.clock", clock(1_600_000_000)),
               (gen_corpus.PUT, b"d/old", b"1"), (gen_corpus.PUT, b"d/same", b"2"),
               (gen_corpus.DELETE, b"d/same", b""),  # changes no time
               (gen_corpus.RAW, b"datawalfs.clock", clock(1_500_000_000)),
               (gen_corpus.PUT, b"back", b"3")]
    logdir.mkdir()
    (logdir / "00000001.dwal").write_bytes(b"".join(
        gen_corpus.encode(kind, 1 + i, key, payload) for i, (kind, key, payload) in
        enumerate(records)))
    m = mount(logdir)
    for _ in range(2):
        assert times(m / "d/old") == times(m / "d") == (1_600_000_000 * 10**9,) * 2
        assert times(m / "back") == (1_500_000_000 * 10**9,) * 2
        (m / "new").write_bytes(b"a mount's operation behind them")
        m.remount()


@pytest.mark.clause("S16h")
def test_what_others_append_has_the_time_of_the_last_operation(datawal, logdir, mount):
    m = mount(logdir)
    (m / "f").write_bytes(b"value")
    m.unmount()
    header = next(r for r in datawal.scan(logdir, headers=True) if r.key == b"datawal.batch")
    seconds, fraction = dict(line.split("=") for line in header.payload.decode().splitlines()[1:]
                             )["time"].split(".")
    datawal.put(logdir, "g", b"value")
    m = mount(logdir)
    assert times(m / "g")[0] == int(seconds) * 10**9 + int(fraction)


@pytest.mark.clause("S16c")
def test_a_directory_shows_the_time_at_which_its_last_entry_came(mount):
    m = mount()
    (m / "d").mkdir()
    (m / "d/f").write_bytes(b"value")
    added = times(m / "d")
    next_second()
    (m / "d/f").write_bytes(b"again")
    (m / "other").write_bytes(b"value")
    assert times(m / "d") == added
    m.remount()
    assert times(m / "d") == added


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
    """So many that the kernel does not want all of them with their attributes."""
    m = mount()
    for number in range(400):
        (m / f"f{number}").touch()
    (m / "d").mkdir()
    with os.scandir(m) as entries:
        listed = {e.name: e.inode() for e in entries}
    assert len(set(listed.values())) == len(listed)
    assert all((m / name).stat().st_ino == inode for name, inode in listed.items())
