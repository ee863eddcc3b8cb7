# SPDX-License-Identifier: MIT OR Apache-2.0
"""Index files of full segments: a mount writes them, believes those that fit, and shows the same
whatever stands in them."""
import errno
import json
import os
import stat
import subprocess
import time

import pytest

import mounting
import paths
import suspicion

pytestmark = pytest.mark.sanitize

SMALL = "segment_size=65536"


def shown(top):
    """What lstat(2), readlink(2), and reading tell of everything below."""
    found = {}
    for where, dirs, files in os.walk(top):
        for name in dirs + files:
            path = os.path.join(where, name)
            st = os.lstat(path)
            content = os.readlink(path) if stat.S_ISLNK(st.st_mode) else \
                open(path, "rb").read() if stat.S_ISREG(st.st_mode) else None
            found[os.path.relpath(path, top)] = (
                st.st_mode, st.st_uid, st.st_ino, st.st_size, st.st_mtime_ns, st.st_ctime_ns, content,
                {attr: os.getxattr(path, attr, follow_symlinks=False)
                 for attr in os.listxattr(path, follow_symlinks=False) if attr.startswith("user.mine")})
    return found


def fill(m):
    (m / "d/e").mkdir(parents=True)
    for i in range(60):
        (m / f"d/f{i}").write_bytes(os.urandom(4000))
        if i % 7 == 0:
            os.symlink(f"f{i}", m / f"d/link{i}")
            os.chmod(m / f"d/f{i}", 0o600)
            os.setxattr(m / f"d/f{i}", "user.mine", b"x" * i)
        if i % 5 == 0:
            os.utime(m / f"d/f{i}", ns=(1, 10**18 + i))
    for i in range(0, 60, 3):
        os.rename(m / f"d/f{i}", m / f"d/e/g{i}")
        os.unlink(m / f"d/f{i + 1}")
    os.rename(m / "d", m / "moved")
    for i in range(20):  # so that what the rename has written is not in the highest segment
        (m / f"late{i}").write_bytes(os.urandom(4000))


def indexes(log):
    return sorted(p.name for p in log.glob("*.dwal-index"))


def segments(log):
    return sorted(p.name for p in log.glob("*.dwal"))


def without_index(log):
    return [name for name in segments(log)[:-1]
            if (log / name).stat().st_size and f"{name}-index" not in indexes(log)]


def indexed(datawal, mount, log):
    """A log with index files for all its full segments, as a mount leaves it."""
    m = mount(log, SMALL, "commit=1")
    fill(m)
    mounting.wait_for(lambda: not without_index(log), "index files")
    datawal("compact", m.path)
    mounting.wait_for(lambda: not without_index(log), "index files of what was rewritten")
    m.unmount()


def report_of(m):
    told = json.loads((m / ".log/recovery.json").read_text())
    people = (m / ".log/recovery").read_text()
    assert f"index files used        {told['indexes_used']}\n" in people
    for one in told["indexes_ignored"]:
        assert f"  {one['segment']:08}.dwal-index: ignored: {one['why']}\n" in people
    return told["indexes_used"], [one["segment"] for one in told["indexes_ignored"]]


@pytest.mark.clause("S18d", "S22e", "S22f")
def test_a_mount_shows_the_same_by_index_files_as_by_all_records(datawal, logdir, mount):
    indexed(datawal, mount, logdir)
    many = len(indexes(logdir))
    assert many >= 3 and segments(logdir)[-1] + "-index" not in indexes(logdir)
    full = mount(logdir, "ro", "verify=full")
    assert "index files used        none" in (full / ".log/recovery").read_text()
    wanted = shown(full)
    full.unmount()
    assert {stat.S_IFMT(one[0]) for one in wanted.values()} == {stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK}
    for options in ("ro",), (SMALL,):
        m = mount(logdir, *options)
        assert report_of(m) == (many, [])
        assert shown(m) == wanted
        m.unmount()

    first, second, third = (logdir / name for name in indexes(logdir)[:3])
    os.truncate(first, first.stat().st_size // 2)
    second.write_bytes(third.read_bytes())
    m = mount(logdir, "ro")
    assert report_of(m) == (many - 2, [1, 2])
    assert shown(m) == wanted
    m.unmount()
    done = datawal("check", logdir)
    assert f"index files         {many - 2} right, 2 ignored" in done.stdout.decode()
    assert "00000001.dwal-index is ignored" in done.stderr.decode()
    for name in indexes(logdir):
        (logdir / name).unlink()
    m = mount(logdir, "ro")
    assert report_of(m) == (0, []) and shown(m) == wanted
    m.unmount()
    assert indexes(logdir) == []


def flip(path, offset):
    with open(path, "r+b", buffering=0) as file:
        byte = os.pread(file.fileno(), 1, offset)
        os.pwrite(file.fileno(), bytes([byte[0] ^ 1]), offset)


def keep_times(path, change, *args):
    st = path.stat()
    change(path, *args)
    os.utime(path, ns=(st.st_atime_ns, st.st_mtime_ns))


@pytest.mark.thread
@pytest.mark.clause("S22e", "S22f")
def test_damage_behind_an_index_file_is_the_trouble_of_one_file_and_found_by_itself(
        datawal, logdir, mount, system_log):
    m = mount(logdir, "commit=1")
    (m / "f").write_bytes(b"f" * 5000)
    (m / "beside").write_bytes(b"intact")
    datawal("rotate", m.path)
    mounting.wait_for(lambda: indexes(logdir), "an index file")
    offset = int(os.getxattr(m / "f", "user.datawal.offset"))
    m.unmount()
    keep_times(logdir / "00000001.dwal", flip, offset + 2500)

    full = mount(logdir, "verify=full", wait=False)
    with pytest.raises(mounting.MountFailed):
        full.start()
    people = datawal("check", logdir, status=3).stdout.decode()
    assert "not readable        1\n" in people and "comes up, with verify=full it refuses" in people
    said, = datawal.json("check", logdir, status=3)
    assert (said["mount"], said["verdict"], said["unreadable_values"]) == ("by-index", "damaged", 1)
    m = mount(logdir)
    assert (m / "beside").read_bytes() == b"intact"
    with pytest.raises(OSError) as caught:
        (m / "f").read_bytes()
    assert caught.value.errno == errno.EIO
    (m / "new").write_bytes(b"goes on")
    m.unmount()

    week = time.time() - 8 * 24 * 3600
    os.utime(logdir / "00000001.dwal-index", (week, week))
    m = mount(logdir, "commit=1")
    found = mounting.wait_for(
        lambda: json.loads((m / ".log/recovery.json").read_text())["damaged_values"], "damage")
    assert [(one["segment"], one["offset"], one["key_base64"]) for one in found] == [(1, offset, None)]
    assert "found by reading the segment" in (m / ".log/recovery").read_text()
    line, = [line for line in (m.stderr + system_log()).splitlines() if "CRC mismatch" in line]
    assert f"segment 00000001, offset {offset}" in line and "salvage" in line
    assert (m / "new").read_bytes() == b"goes on"


@pytest.mark.clause("C42a")
def test_commands_that_read_may_believe_index_files(datawal, logdir, mount):
    m = mount(logdir, "commit=1")
    (m / "f").write_bytes(b"f" * 5000)
    datawal("rotate", m.path)
    mounting.wait_for(lambda: indexes(logdir), "an index file")
    m.unmount()
    for command in ("list",), ("stats",), ("get", "--key", "f"):
        full = datawal(command[0], logdir, *command[1:])
        assert datawal(command[0], logdir, *command[1:], "--verify=index").stdout == full.stdout
    keep_times(logdir / "00000001.dwal", flip, 2500)
    assert datawal("list", logdir, "--verify", "full", status=3).stdout == b""
    assert datawal("list", logdir, "--verify", "index").stdout .split() == [b"5000", b"f"]
    assert datawal("get", logdir, "--key", "f", "--verify", "index", status=3).stdout == b""
    assert b"full or index" in datawal("list", logdir, "--verify=some", status=1).stderr


@pytest.mark.clause("S22f")
@pytest.mark.parametrize("case", ["nobody_reads_faster_than_his_pace", "no_burst_follows_a_rest"])
def test_segments_are_read_slowly(case, tmp_path):
    done = subprocess.run([paths.program("tests/test_pace"), case], cwd=tmp_path, capture_output=True,
                          stdin=subprocess.DEVNULL, timeout=20, check=False)
    suspicion.check(case, done.stderr)
    assert done.returncode == 0, (done.stdout + done.stderr).decode(errors="replace")[-8000:]
