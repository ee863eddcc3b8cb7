# SPDX-License-Identifier: MIT OR Apache-2.0
"""Who may see what the commands make on disk: as many as may see the log, and its owner always."""
import errno
import os
import shutil
import stat
import struct
import subprocess

import pytest

import privileged

pytestmark = pytest.mark.sanitize

USER, GROUP, MEMBER = 65534, 12345, 54321  # an owner, a group, and somebody who is in it


def as_user(uid, *command, groups=(), status=0):
    """By root alone: runs it as somebody else, and returns what it printed."""
    keep = f"--groups={','.join(map(str, groups))}" if groups else "--clear-groups"
    done = subprocess.run([*privileged.prefix(), "setpriv", f"--reuid={uid}", f"--regid={uid}", keep,
                           *map(str, command)], stdin=subprocess.DEVNULL, capture_output=True,
                          timeout=60, check=False)
    assert done.returncode == status, done.stderr
    return done.stdout


def as_root(*command, **more):
    done = subprocess.run([*privileged.prefix(), *map(str, command)], stdin=subprocess.DEVNULL,
                          capture_output=True, timeout=60, check=False, **more)
    assert done.returncode == 0, done.stderr
    return done.stdout


def rights(directory):
    """name -> (owner, group, permissions) of all files in it."""
    return {p.name: (s.st_uid, s.st_gid, stat.S_IMODE(s.st_mode))
            for p in directory.iterdir() for s in [p.lstat()] if stat.S_ISREG(s.st_mode)}


@pytest.fixture
def place(tmp_path):
    """A directory that everybody can get to; what others left in it is removed by root."""
    for path in [tmp_path, *tmp_path.parents]:
        if path.stat().st_uid == os.getuid() and path != path.parent:
            path.chmod(path.stat().st_mode | 0o11)
    made = tmp_path / "place"
    made.mkdir(mode=0o755)
    yield made
    as_root("rm", "-rf", made)


@pytest.fixture
def cli(build, place):
    """A copy that everybody can get to: a build in somebody's home need not be one."""
    return shutil.copy(build / "src/cli/datawal", place)


def torn(log, segment):
    path = log / segment
    as_root("truncate", "-s", path.stat().st_size - 1, path)


@pytest.mark.clause("C1b")
def test_root_does_not_lock_the_owner_of_a_log_out(place, cli):
    log = place / "log"
    log.mkdir(mode=0o755)
    as_root("chown", f"{USER}:{GROUP}", log)
    as_root(cli, "put", log, "--key", "a", "--value", "1")  # sudo in an empty directory
    as_root("chmod", "640", log / "00000001.dwal")
    as_root(cli, "rotate", log)
    as_root(cli, "put", log, "--key", "b", "--value", "2")
    torn(log, "00000002.dwal")
    as_root(cli, "put", log, "--key", "c", "--value", "3")
    as_root("rm", log / ".lock")
    as_root(cli, "put", log, "--key", "d", "--value", "4")
    assert rights(log) == {
        "00000001.dwal": (USER, GROUP, 0o640), "00000002.dwal": (USER, GROUP, 0o640),
        "00000002.dwal.torn-0": (USER, GROUP, 0o640), ".lock": (USER, GROUP, 0o640)}
    as_user(USER, cli, "rotate", log)
    as_user(USER, cli, "put", log, "--key", "e", "--value", "5")
    assert as_user(USER, cli, "list", log)


@pytest.mark.clause("C1b")
def test_a_log_shared_with_a_group_stays_shared(place, cli):
    log = place / "log"
    log.mkdir()
    as_root("chown", f"{USER}:{GROUP}", log)
    as_root("chmod", "2770", log)
    as_user(USER, "sh", "-c", f"umask 077; {cli} put {log} --key a --value 1", groups=[GROUP])
    as_user(MEMBER, "sh", "-c", f"umask 077; {cli} rotate {log}", groups=[GROUP])
    as_user(USER, cli, "put", log, "--key", "b", "--value", "2", groups=[GROUP])
    as_user(MEMBER, cli, "put", log, "--key", "c", "--value", "3", groups=[GROUP])
    seen = as_root("stat", "-c", "%n %u %g %a", log / ".lock", log / "00000001.dwal",
                   log / "00000002.dwal").decode()
    assert [line.split()[1:] for line in seen.splitlines()] == [
        [str(USER), str(GROUP), "660"], [str(USER), str(GROUP), "660"],
        [str(MEMBER), str(GROUP), "660"]]


ACCESS, DEFAULT = "system.posix_acl_access", "system.posix_acl_default"
TAGS = {"user::": 1, "user:": 2, "group::": 4, "mask::": 16, "other::": 32}


def set_acl(path, name, entries):
    """entries: {"user::": 6, "user:12345": 4 ...}, in the order of TAGS."""
    packed = struct.pack("<I", 2)
    for entry, rights_given in entries.items():
        who = entry.rsplit(":", 1)[1]
        tag = TAGS["user:" if who else entry]
        packed += struct.pack("<HHI", tag, rights_given, int(who or 0xffffffff))
    try:
        os.setxattr(path, name, packed)
    except OSError as error:
        if error.errno != errno.EOPNOTSUPP:
            raise
        pytest.skip("access lists missing on this file system")


def named_users(path):
    """Who else than owner and group is in its access list."""
    try:
        packed = os.getxattr(path, ACCESS)
    except OSError as error:
        assert error.errno == errno.ENODATA
        return set()
    return {who for tag, _, who in struct.iter_unpack("<HHI", packed[4:]) if tag == TAGS["user:"]}


SHARED = {"user::": 6, "user:12345": 6, "group::": 0, "mask::": 6, "other::": 6}


@pytest.mark.clause("C1b")
def test_a_default_access_list_does_not_open_a_log_that_had_none(tmp_path, datawal):
    log = tmp_path / "log"
    datawal.put(log, "a", "1")
    set_acl(log, DEFAULT, SHARED)
    datawal("rotate", log)
    datawal.put(log, "b", "2")
    assert named_users(log / "00000002.dwal") == set()
    assert stat.S_IMODE((log / "00000002.dwal").stat().st_mode) == 0o600
    set_acl(log / "00000002.dwal", ACCESS,
            {"user::": 6, "user:777": 4, "group::": 0, "mask::": 4, "other::": 0})
    datawal("rotate", log)
    assert named_users(log / "00000003.dwal") == {777}
    assert stat.S_IMODE((log / "00000003.dwal").stat().st_mode) == 0o640


@pytest.mark.clause("C1b")
def test_a_default_access_list_of_an_empty_directory_is_for_the_new_log(tmp_path, datawal):
    log = tmp_path / "log"
    log.mkdir()
    log.chmod(0o770)
    set_acl(log, DEFAULT, SHARED)
    datawal.put(log, "a", "1")
    assert named_users(log / "00000001.dwal") == {12345}
    assert stat.S_IMODE((log / "00000001.dwal").stat().st_mode) == 0o660


@pytest.mark.clause("C1b")
def test_what_a_mount_makes_is_as_private_as_the_log(mount, logdir):
    mount(logdir, "create", create=False).unmount()
    assert stat.S_IMODE(logdir.stat().st_mode) == 0o700
    assert {mode for _, _, mode in rights(logdir).values()} == {0o600}
    (logdir / "00000001.dwal").chmod(0o644)
    m = mount(logdir, "segment_size=1K")
    for i in range(3):
        (m / f"f{i}").write_bytes(b"x" * 1000)
    m.unmount()
    assert rights(logdir)["00000003.dwal"][2] == 0o644


@pytest.mark.clause("C34", "C1b")
def test_a_compacted_log_is_private_or_like_the_empty_directory_it_fills(place, cli, datawal):
    log = place / "log"
    datawal.put(log, "a", "1")
    log.chmod(0o755)
    (log / "00000001.dwal").chmod(0o644)
    datawal("compact", log, place / "new")
    assert stat.S_IMODE((place / "new").stat().st_mode) == 0o700
    assert {mode for _, _, mode in rights(place / "new").values()} == {0o600}
    (place / "given").mkdir()
    as_root("chown", f"{USER}:{GROUP}", place / "given")
    as_root("chmod", "2750", place / "given")
    as_root(cli, "compact", log, place / "given")
    found = (place / "given").stat()
    assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (USER, GROUP, 0o2750)
    seen = as_root("sh", "-c", f"stat -c '%u %g %a' {place}/given/.lock {place}/given/*.dwal")
    assert seen.decode().splitlines() == [f"{USER} {GROUP} 640"] * 2
    assert as_user(USER, cli, "list", place / "given")


@pytest.mark.clause("C34")
def test_compaction_leaves_somebody_elses_directory_alone(place, cli, datawal):
    log = place / "log"
    datawal.put(log, "a", "1")
    shared = place / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    as_user(USER, "sh", "-ec", f"mkdir -m 777 {shared}/.out.dwal-compact; "
            f"echo trap > {shared}/.out.dwal-compact/00000001.dwal")
    as_root(cli, "compact", log, shared / "out")
    assert (shared / ".out.dwal-compact/00000001.dwal").read_text() == "trap\n"
    assert sorted(os.listdir(shared)) == [".out.dwal-compact", "out"]
    made = (shared / "out").stat()
    assert (made.st_uid, stat.S_IMODE(made.st_mode)) == (0, 0o700)


@pytest.mark.clause("C35", "C1b")
def test_an_export_is_as_readable_as_the_log_or_as_what_it_replaces(tmp_path, datawal):
    log, out = tmp_path / "log", tmp_path / "out.jsonl"
    datawal.put(log, "a", "1")
    datawal("export", log, out)
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    out.unlink()
    (log / "00000001.dwal").chmod(0o644)
    datawal("export", log, out)
    assert stat.S_IMODE(out.stat().st_mode) == 0o644
    for mode in (0o640, 0o444, 0o606):
        out.chmod(mode)
        datawal("export", log, out)
        assert stat.S_IMODE(out.stat().st_mode) == mode


@pytest.mark.clause("C35")
def test_an_export_of_root_leaves_the_file_to_its_owner(place, cli, datawal):
    log, out = place / "log", place / "out.jsonl"
    datawal.put(log, "a", "1")
    out.write_text("old")
    out.chmod(0o640)
    as_root("chown", f"{USER}:{GROUP}", out)
    as_root(cli, "export", log, out)
    found = out.stat()
    assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (USER, GROUP, 0o640)


@pytest.mark.clause("C35")
def test_an_export_removes_what_killed_ones_left_and_nothing_else(tmp_path, datawal, build):
    log, out = tmp_path / "log", tmp_path / "out"
    out.mkdir()
    datawal.put(log, "a", "1")
    left = [out / f".datawal-{pid}-0.tmp" for pid in (1, 4000000)]
    for path in left:
        path.write_bytes(b"half")
    (out / ".datawal-link-0.tmp").symlink_to(log / "00000001.dwal")
    (out / "x.datawal-1-0.tmp").write_bytes(b"other")
    with subprocess.Popen(["flock", left[1], "sh", "-c", "echo; read x"], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as living:
        living.stdout.readline()
        datawal("export", log, out / "e")
        assert not left[0].exists() and left[1].exists()
        living.communicate(b"\n", timeout=20)
    datawal("export", log, out / "e")
    assert sorted(os.listdir(out)) == [".datawal-link-0.tmp", "e", "x.datawal-1-0.tmp"]
    assert (log / "00000001.dwal").exists()


@pytest.mark.clause("C34")
def test_a_killed_compaction_is_cleared_away_by_the_next(tmp_path, datawal):
    log = tmp_path / "log"
    datawal.put(log, "a", "1")
    left = tmp_path / ".out.dwal-compact"
    left.mkdir()
    (left / "00000001.dwal").write_bytes(b"half")
    (left / ".lock").write_bytes(b"")
    datawal("compact", log, tmp_path / "out")
    assert not left.exists() and datawal.get(tmp_path / "out", "a") == b"1"
