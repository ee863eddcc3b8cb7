# SPDX-License-Identifier: MIT OR Apache-2.0
"""What chmod, chown, utimensat, setxattr and mknod set, live and after a remount."""
import ctypes
import errno
import os
import socket
import stat
import struct
import subprocess
import sys

import pytest

import paths

sys.path.insert(0, str(paths.ROOT / "corpus"))
import gen_corpus  # noqa: E402

pytestmark = pytest.mark.sanitize

# seconds: before 1970, after 2038, and one that needs 34 bits
TIMES = [-1_250_000_000, -1, 0, 1_700_000_000_123_456_789, 5_000_000_000_999_999_999,
         16_000_000_000_000_000_001]


AT_FDCWD, UTIME_NOW, UTIME_OMIT = -100, (1 << 30) - 1, (1 << 30) - 2


def shown(path):
    """What must not change by a remount, where times were set."""
    st = os.lstat(path)
    return (stat.filemode(st.st_mode), st.st_uid, st.st_gid, st.st_rdev, st.st_size, st.st_mtime_ns,
            st.st_atime_ns)


def shown_to_the_second(path):
    """The same where nobody set the times."""
    *rest, mtime_ns, _ = shown(path)
    return (*rest, mtime_ns // 10**9)


def fails_with(number, call, *args, **more):
    with pytest.raises(OSError) as caught:
        call(*args, **more)
    assert caught.value.errno == number


@pytest.mark.root
@pytest.mark.clause("S15b")
@pytest.mark.parametrize("name", ["f", "d", "empty"])
def test_mode_owner_and_times_survive_a_remount(mount, name):
    m = mount()
    (m / "f").write_bytes(b"value")
    (m / "empty").touch()
    (m / "d").mkdir()
    os.chmod(m / name, 0o2751)
    os.chown(m / name, 1234, 4321)
    os.chmod(m / name, 0o6751)
    os.utime(m / name, ns=(TIMES[4], TIMES[3]))
    before = shown(m / name)
    assert before[1:3] == (1234, 4321) and before[5:] == (TIMES[3], TIMES[4])
    assert os.stat(m / name).st_mode & 0o7777 == 0o6751
    m.remount()
    assert shown(m / name) == before


@pytest.mark.clause("S15b")
@pytest.mark.parametrize("ns", TIMES)
def test_times_are_kept_to_the_nanosecond(mount, ns):
    m = mount()
    (m / "f").write_bytes(b"value")
    os.utime(m / "f", ns=(ns, ns))
    m.remount()
    assert (os.stat(m / "f").st_mtime_ns, os.stat(m / "f").st_atime_ns) == (ns, ns)


def set_times(path, accessed, modified):
    """utimensat(2): each (seconds, nanoseconds), of which the latter may be UTIME_NOW or _OMIT."""
    values = struct.pack("qqqq", *accessed, *modified)
    assert ctypes.CDLL(None).utimensat(AT_FDCWD, os.fsencode(path), values, 0) == 0


@pytest.mark.clause("S15b")
def test_a_time_of_access_before_1970_is_kept_with_everything_else(mount):
    m = mount()
    (m / "f").write_bytes(b"value")
    set_times(m / "f", (0, UTIME_NOW), (-2, 999_999_999))
    m.remount()  # what "now" gave is not kept: from here on it is the time of modification
    os.setxattr(m / "f", "user.colour", b"red")
    (m / "f").write_bytes(b"changes no time of access")
    set_times(m / "f", (0, UTIME_OMIT), (2_000_000_000, 0))
    assert os.stat(m / "f").st_atime_ns == -1_000_000_001
    m.remount()
    assert os.stat(m / "f").st_atime_ns == -1_000_000_001
    assert os.stat(m / "f").st_mtime == 2_000_000_000
    assert os.getxattr(m / "f", "user.colour") == b"red"


@pytest.mark.clause("S15b")
def test_attributes_of_a_staged_file_follow_its_put_in_the_same_write(datawal, logdir, mount):
    m = mount(logdir, "noclock")
    fd = os.open(m / "f", os.O_CREAT | os.O_WRONLY, 0o644)
    os.write(fd, b"value")
    os.fchmod(fd, 0o600)
    os.utime(fd, ns=(TIMES[3], TIMES[3]))
    assert os.path.getsize(logdir / "00000001.dwal") == 0
    os.close(fd)
    header, *records = datawal.scan(logdir, headers=True)
    assert header.is_header()
    assert [(r.type, r.key) for r in records] == [("Put", b"f"), ("Raw", b"f")]
    before = shown(m / "f")
    m.remount()
    assert shown(m / "f") == before


@pytest.mark.clause("S15b")
def test_a_later_put_ends_the_times_and_keeps_the_rest(mount):
    m = mount()
    (m / "f").write_bytes(b"value")
    os.chmod(m / "f", 0o600)
    os.utime(m / "f", ns=(TIMES[3], TIMES[3]))
    (m / "f").write_bytes(b"another")
    before = os.stat(m / "f")
    assert before.st_mtime_ns > TIMES[3]
    m.remount()
    after = os.stat(m / "f")
    assert (after.st_mode, int(after.st_mtime)) == (before.st_mode, int(before.st_mtime))


@pytest.mark.clause("S15b")
def test_unlink_ends_attributes(datawal, logdir, mount):
    m = mount()
    for name in ("again", "later"):
        (m / name).write_bytes(b"value")
        os.chmod(m / name, 0o600)
        os.setxattr(m / name, "user.colour", b"red")
        os.unlink(m / name)
    (m / "again").write_bytes(b"value")
    assert os.stat(m / "again").st_mode & 0o777 == 0o644
    assert os.listxattr(m / "again") == []
    m.unmount()
    # the mount's own Put can bring attributes with it; this one brings none
    datawal.put(logdir, "later", b"value")
    m.start()
    for name in ("again", "later"):
        assert os.stat(m / name).st_mode & 0o777 == 0o644
        assert os.listxattr(m / name) == []


@pytest.mark.clause("S15b")
def test_rename_carries_attributes_and_ends_those_of_the_replaced_file(mount):
    m = mount()
    for name in ("plain", "special", "other"):
        (m / name).write_bytes(name.encode())
    os.chmod(m / "special", 0o600)
    os.setxattr(m / "special", "user.colour", b"red")
    os.utime(m / "special", ns=(TIMES[0], TIMES[0]))
    before = shown(m / "special")
    os.rename(m / "special", m / "other")
    assert shown(m / "other") == before
    m.remount()
    assert shown(m / "other") == before and os.getxattr(m / "other", "user.colour") == b"red"
    before = shown(m / "plain")
    os.rename(m / "plain", m / "other")
    m.remount()
    assert shown(m / "other")[:5] == before[:5] and os.listxattr(m / "other") == []


@pytest.mark.clause("S15b")
def test_attributes_that_cannot_be_written_are_as_before(mount):
    m = mount()
    (m / "f").write_bytes(b"value")
    before = shown(m / "f")
    m.remount("ro")
    fails_with(errno.EROFS, os.chmod, m / "f", 0o600)
    fails_with(errno.EROFS, os.setxattr, m / "f", "user.colour", b"red")
    assert shown(m / "f")[:5] == before[:5]


@pytest.mark.clause("S15c")
def test_attributes_without_a_value_show_with_the_next_put_unless_it_was_deleted(
        datawal, logdir, mount):
    m = mount(logdir)
    (m / "f").write_bytes(b"value")
    os.chmod(m / "f", 0o600)
    m.unmount()
    datawal("delete", logdir, "--key", "f")
    datawal.put(logdir, "f", b"again")
    m.start()
    assert os.stat(m / "f").st_mode & 0o777 == 0o644


@pytest.mark.clause("S15c")
def test_attributes_without_a_value_are_taken_back(datawal, logdir, mount):
    record = b"datawalfs.attr 1\ntype=file\nmode=0600\n"
    logdir.mkdir()
    (logdir / "00000001.dwal").write_bytes(gen_corpus.encode(gen_corpus.RAW, 1, b"f", record))
    m = mount(logdir, "ro")
    m.unmount()
    assert len(datawal.scan(logdir)) == 1
    m = mount(logdir)
    m.unmount()
    assert [(r.type, r.key) for r in datawal.scan(logdir)] == [("Raw", b"f"), ("Delete", b"f")]
    datawal.put(logdir, "f", b"somebody else's")
    m.start()
    assert os.stat(m / "f").st_mode & 0o777 == 0o644
    m.remount()
    assert datawal.records_of(logdir, "f") == ["Delete", "Put"]


@pytest.mark.clause("S15d")
def test_a_new_file_has_the_mode_asked_for_less_the_umask(mount):
    m = mount()
    old = os.umask(0o027)
    try:
        os.close(os.open(m / "f", os.O_CREAT | os.O_WRONLY, 0o666))
        os.mkdir(m / "d", 0o777)
    finally:
        os.umask(old)
    for _ in range(2):
        assert os.stat(m / "f").st_mode & 0o7777 == 0o640
        assert os.stat(m / "d").st_mode & 0o7777 == 0o750
        m.remount()


@pytest.mark.root
@pytest.mark.clause("S15d")
def test_a_set_gid_directory_gives_its_group(mount):
    m = mount()
    (m / "d").mkdir()
    os.chown(m / "d", 0, 4321)
    os.chmod(m / "d", 0o2775)
    (m / "d/f").write_bytes(b"x")
    (m / "d/sub").mkdir()
    for _ in range(2):
        assert os.stat(m / "d/f").st_gid == 4321
        assert os.stat(m / "d/sub").st_gid == 4321
        assert os.stat(m / "d/sub").st_mode & stat.S_ISGID
        m.remount()


@pytest.mark.clause("S15e")
@pytest.mark.parametrize("name", ["f", "d"])
def test_user_attributes_are_kept(mount, name):
    m = mount()
    (m / "f").write_bytes(b"x")
    (m / "d").mkdir()
    for key, value in (("user.a", b"1"), ("user.b\xfc=%\n", bytes(range(256))), ("user.empty", b"")):
        os.setxattr(m / name, key, value)
    os.setxattr(m / name, "user.gone", b"1")
    os.removexattr(m / name, "user.gone")
    for _ in range(2):
        assert sorted(os.listxattr(m / name)) == sorted(["user.a", "user.b\xfc=%\n", "user.empty"])
        assert os.getxattr(m / name, "user.b\xfc=%\n") == bytes(range(256))
        assert os.getxattr(m / name, "user.empty") == b""
        fails_with(errno.ENODATA, os.getxattr, m / name, "user.gone")
        m.remount()


@pytest.mark.clause("S15e")
def test_extended_attributes_fail_as_on_ext4(mount, host_dir):
    m = mount()
    for top in (m.path, host_dir):
        path = top / "f"
        path.write_bytes(b"x")
        os.setxattr(path, "user.a", b"1")
        fails_with(errno.EEXIST, os.setxattr, path, "user.a", b"2", os.XATTR_CREATE)
        fails_with(errno.ENODATA, os.setxattr, path, "user.b", b"2", os.XATTR_REPLACE)
        fails_with(errno.ENODATA, os.removexattr, path, "user.b")
        fails_with(errno.ENOSPC, os.setxattr, path, "user.b", bytes(8192))
        fails_with(errno.ENOTSUP, os.setxattr, path, "nonsense.b", b"2")
        assert os.listxattr(path) == ["user.a"]


@pytest.mark.clause("S14")
def test_virtual_attributes_tell_where_the_value_is(datawal, logdir, mount):
    m = mount(logdir)
    (m / "d").mkdir()
    (m / "d/f").write_bytes(b"value")
    record = [r for r in datawal.scan(logdir) if r.type == "Put"][-1]
    frame = (logdir / f"{record.segment:08}.dwal").read_bytes()[record.offset:][:record.length]

    def told(field):
        return os.getxattr(m / "d/f", "user.datawal." + field)
    assert told("key") == b"d/f" and os.getxattr(m / "d", "user.datawal.key") == b"d"
    assert (int(told("txid")), int(told("segment"))) == (record.txid, record.segment)
    assert (int(told("offset")), int(told("length"))) == (record.offset, record.length)
    assert told("crc32c") == b"%08x" % int.from_bytes(frame[-4:], "little")
    assert os.listxattr(m / "d/f") == []
    fails_with(errno.ENODATA, told, "nonsense")
    fails_with(errno.EPERM, os.setxattr, m / "d/f", "user.datawal.key", b"x")


@pytest.mark.root
@pytest.mark.clause("S9b")
def test_links_fifos_sockets_and_devices_survive_a_remount(mount):
    m = mount()
    os.symlink("to/somewhere", m / "link")
    os.symlink("x" * 4000, m / "long link")
    os.mkfifo(m / "fifo", 0o640)
    os.mknod(m / "device", stat.S_IFCHR | 0o600, os.makedev(1, 3))
    os.mknod(m / "block", stat.S_IFBLK | 0o600, os.makedev(259, 70000))
    here = os.getcwd()
    os.chdir(m)  # the path of a socket is short
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind("socket")
    os.chdir(here)
    names = ["link", "long link", "fifo", "device", "block", "socket"]
    before = {name: shown_to_the_second(m / name) for name in names}
    assert [mode[0] for mode, *_ in before.values()] == list("llpcbs")
    os.rename(m / "fifo", m / "renamed")
    before["renamed"] = before.pop("fifo")
    m.remount()
    assert {name: shown_to_the_second(m / name) for name in before} == before
    assert os.readlink(m / "link") == "to/somewhere" and os.readlink(m / "long link") == "x" * 4000


@pytest.mark.clause("S9b")
def test_a_file_that_replaces_a_link_is_a_file(mount):
    m = mount()
    os.symlink("x", m / "link")
    (m / "f").write_bytes(b"value")
    os.rename(m / "f", m / "link")
    m.remount()
    assert stat.S_ISREG(os.lstat(m / "link").st_mode) and (m / "link").read_bytes() == b"value"


@pytest.mark.root
@pytest.mark.clause("S15f", "S23")
def test_users_are_kept_apart(mount):
    m = mount(None, "allow_other")
    (m / "mine").write_bytes(b"x")
    os.chmod(m / "mine", 0o600)
    (m / "open").mkdir(mode=0o700)
    os.chmod(m / "open", 0o1777)

    def as_nobody(command):
        return subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "sh",
                               "-c", command], cwd="/", capture_output=True, timeout=20,
                              check=False, text=True)
    # every directory above must be passable for this user
    for parent in m.path.parents:
        if not os.stat(parent).st_mode & 0o001:
            os.chmod(parent, os.stat(parent).st_mode | 0o011)
    assert "Permission denied" in as_nobody(f"cat {m.path}/mine").stderr
    assert "Permission denied" in as_nobody(f"echo x > {m.path}/new").stderr
    assert as_nobody(f"echo theirs > {m.path}/open/f").returncode == 0
    st = os.stat(m / "open/f")
    assert (st.st_uid, st.st_gid) == (65534, 65534)
    (m / "open/root").write_bytes(b"x")
    assert as_nobody(f"rm -f {m.path}/open/root").returncode != 0  # sticky
    assert as_nobody(f"chmod 600 {m.path}/open/root").returncode != 0
    assert as_nobody(f"rm -f {m.path}/open/f").returncode == 0


@pytest.mark.clause("S16b")
@pytest.mark.parametrize("options, changes", [((), True), (("noatime",), False)])
def test_reading_changes_the_access_time_as_relatime_does(mount, options, changes):
    m = mount(None, *options)
    (m / "f").write_bytes(b"value")
    os.utime(m / "f", ns=(TIMES[2], TIMES[3]))
    (m / "f").read_bytes()
    first = os.stat(m / "f").st_atime_ns
    assert (first > TIMES[3]) == changes and (first == TIMES[2]) != changes
    (m / "f").read_bytes()
    assert os.stat(m / "f").st_atime_ns == first
    assert os.stat(m / "f").st_mtime_ns == TIMES[3]


@pytest.mark.clause("S15b")
def test_a_time_set_for_a_directory_outlasts_the_publication_of_a_file_made_before(mount):
    m = mount()
    (m / "d").mkdir()
    fd = os.open(m / "d/f", os.O_CREAT | os.O_WRONLY, 0o644)
    os.utime(m / "d", ns=(TIMES[3], TIMES[3]))
    os.write(fd, b"late")
    os.close(fd)
    assert os.stat(m / "d").st_mtime_ns == TIMES[3]
    m.remount()
    assert os.stat(m / "d").st_mtime_ns == TIMES[3]
