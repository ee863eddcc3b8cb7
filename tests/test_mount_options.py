# SPDX-License-Identifier: MIT OR Apache-2.0
"""What each mount option does, as it shows from outside, and who may give which."""
import errno
import os
import re
import shutil
import subprocess

import pytest

import mounting
import paths
import privileged
from namespace import NOBODY, in_namespace, run_as


def flags_of(path):
    """The mount's type, source and options as the kernel shows them."""
    with open("/proc/self/mountinfo", encoding="utf-8") as table:
        for line in table:
            fields = line.split()
            if mounting.unescape(fields[4]) == os.fsencode(path):
                at = fields.index("-")
                flags = fields[5].split(",") + fields[at + 3].split(",")
                return fields[at + 1], fields[at + 2], set(flags)
    raise AssertionError(f"{path} is not mounted")


def mounted_by_root(open_dir, *options):
    """The place where root has mounted open_dir's log."""
    run_as("root", paths.program("fuse/datawalfs"), open_dir / "log", open_dir / "place",
           *(["-o", ",".join(options)] if options else []))
    return open_dir / "place"


# --- what the kernel does -----------------------------------------------------------

def test_a_mount_is_named_as_what_it_is(mount, logdir):
    kind, source, flags = flags_of(mount(logdir))
    assert (kind, source) == ("fuse.datawalfs", str(logdir))
    assert {"rw", "nosuid", "nodev"} <= flags


def test_fsname_and_subtype_show_in_the_mount_table_and_in_df(mount):
    m = mount(None, "fsname=my\\,notes", "subtype=other")
    assert flags_of(m)[:2] == ("fuse.other", "my,notes")
    shown = subprocess.run(["df", "--output=source", m.path], capture_output=True, text=True,
                           timeout=20, check=True).stdout
    assert shown.splitlines()[1] == "my,notes"


@pytest.mark.parametrize("option", ["ro", "noexec", "nosuid", "nodev", "noatime", "dirsync"])
def test_an_option_of_the_kernel_reaches_it(mount, option):
    assert option in flags_of(mount(None, option))[2]


def test_programs_run_unless_mounted_noexec(mount):
    m = mount()
    shutil.copy("/bin/true", m / "program")
    subprocess.run([m / "program"], check=True, timeout=20)
    m.remount("noexec")
    with pytest.raises(PermissionError):
        subprocess.run([m / "program"], check=False, timeout=20)
    assert os.access(m / "program", os.R_OK)


def test_max_read_bounds_what_is_asked_for_at_once(mount):
    m = mount(None, "max_read=8192", args=["-d"])
    (m / "f").write_bytes(bytes(100_000))
    assert (m.remount() / "f").read_bytes() == bytes(100_000)
    assert "max_read=8192" in flags_of(m)[2]
    sizes = [int(n) for n in re.findall(r"success, outsize: (\d+)", m.stderr)]
    assert 8192 < max(sizes) < 8192 + 100


@pytest.mark.parametrize("options, changes", [((), True), (("noatime",), False)])
def test_reading_sets_the_access_time_unless_mounted_noatime(mount, options, changes):
    m = mount(None, *options)
    (m / "f").write_bytes(b"value")
    os.utime(m / "f", (10**9, 10**9))
    m.remount()  # what is cached is read without the daemon
    (m / "f").read_bytes()
    assert ((m / "f").stat().st_atime > 10**9) == changes


def test_the_last_of_ro_and_rw_counts_wherever_it_stands(mount, logdir):
    m = mount(logdir, "ro,rw")
    (m / "f").write_bytes(b"value")
    m.unmount()
    m.options, m.args = [], ["-orw", "-o", "ro"]
    with pytest.raises(OSError) as caught:
        (m.start() / "f").write_bytes(b"other")
    assert caught.value.errno == errno.EROFS


# --- who may come in ----------------------------------------------------------------

@pytest.mark.clause("S23")
def test_others_are_kept_out_unless_they_are_allowed(open_dir):
    place = mounted_by_root(open_dir)
    run_as("root", "sh", "-c", f"echo value >{place}/f")
    assert "Permission denied" in run_as("nobody", "cat", place / "f", status=1)
    assert "Permission denied" in run_as("nobody", "ls", place, status=2)


@pytest.mark.clause("S23")
def test_allow_other_lets_everybody_in(open_dir):
    place = mounted_by_root(open_dir, "allow_other")
    run_as("root", "sh", "-c", f"echo value >{place}/f")
    assert run_as("nobody", "cat", place / "f") == "value\n"


@pytest.mark.clause("S23")
def test_allow_root_lets_nobody_else_in(open_dir):
    place = mounted_by_root(open_dir, "allow_root")
    run_as("root", "sh", "-c", f"echo value >{place}/f")
    assert "Permission denied" in run_as("nobody", "cat", place / "f", status=1)
    assert run_as("root", "cat", place / "f") == "value\n"


@pytest.mark.clause("S23")
def test_default_permissions_keeps_users_apart_by_mode_and_owner(open_dir):
    place = mounted_by_root(open_dir, "allow_other", "default_permissions")
    run_as("root", "sh", "-c", f"""cd {place}; umask 022
        echo value >open; echo value >mine; chmod 600 mine
        mkdir -m 1777 tmp; mkdir -m 700 closed; echo value >tmp/roots; echo value >closed/f""")
    assert run_as("nobody", "cat", place / "open") == "value\n"
    run_as("nobody", "cat", place / "mine", status=1)
    run_as("nobody", "cat", place / "closed/f", status=1)
    run_as("nobody", "touch", place / "new", status=1)
    run_as("nobody", "sh", "-c", f"echo x >>{place}/open", status=2)
    run_as("nobody", "sh", "-c", f"echo own >{place}/tmp/own")
    run_as("nobody", "chmod", "640", place / "tmp/own")
    run_as("nobody", "chmod", "666", place / "open", status=1)
    run_as("nobody", "rm", "-f", place / "tmp/roots", status=1)
    assert run_as("root", "stat", "-c", "%u %g %a", place / "tmp/own") == "65534 65534 640\n"


@pytest.mark.parametrize("change", [": >f", "echo x >>f", "truncate -s 1 f", "truncate -s 9 f",
                                    "printf x 1<>f", "chgrp 65534 f", "chmod 4755 f", "touch f"])
def test_a_change_by_its_owner_takes_the_set_id_bits_of_a_file_as_on_the_host(open_dir, change):
    place = mounted_by_root(open_dir, "allow_other")
    left = {}
    for directory in (open_dir / "host", place / "mount"):
        run_as("root", "mkdir", "-m", "1777", directory)
        left[directory.name] = run_as("nobody", "bash", "-euc", f"""
            cd {directory}; for mode in 4755 2755 2745 6777; do
                rm -f f; echo value >f; chmod $mode f; {change}; stat -c %a f
            done""")
        run_as("root", "rm", "-r", directory)
    assert left["mount"] == left["host"]


def test_a_user_mounts_and_unmounts_for_himself_alone(open_dir):
    privileged.as_root("chown", "-R", "65534:65534", open_dir / "log", open_dir / "place")
    said = in_namespace(open_dir, "", f"""
        user() {{ {' '.join(NOBODY)} "$@"; }}
        user datawalfs {open_dir}/log $P; user findmnt -no OPTIONS $P
        user sh -c 'echo value >$P/f'; user stat -c '%u %g' $P/f; cat $P/f || echo "status $?"
        user umount $P; user datawalfs {open_dir}/log $P; user cat $P/f; user fusermount3 -u $P
        ls -A $P""").splitlines()
    asked = {"nosuid", "nodev", "user_id=65534", "default_permissions"}
    assert asked <= set(said[0].split(","))
    assert said[1] == "65534 65534" and "Permission denied" in said[2]
    assert said[3:] == ["status 1", "value"]


@pytest.mark.parametrize("option", ["allow_other", "allow_root"])
def test_what_a_user_may_not_give_is_refused_and_nothing_is_mounted(open_dir, option):
    privileged.as_root("chown", "-R", "65534:65534", open_dir / "log", open_dir / "place")
    said = in_namespace(open_dir, "", f"""
        mount --bind /dev/null /etc/fuse.conf
        {' '.join(NOBODY)} datawalfs {open_dir}/log $P -o {option} || echo "status $?"; ls -A $P""")
    lines = said.splitlines()
    assert "user_allow_other" in lines[0]
    assert lines[-2].startswith("datawalfs: ") and lines[-1] == "status 1"


# --- what datawalfs does ------------------------------------------------------------

SYNC_COUNTER = r"""
#define _GNU_SOURCE
#include <sys/syscall.h>
#include <unistd.h>
static int note(int fd) { (void)!write(2, "sync\n", 5); return (int)syscall(SYS_fdatasync, fd); }
int fdatasync(int fd) { return note(fd); }
int fsync(int fd) { return note(fd); }
"""


@pytest.fixture
def counted(mount, tmp_path, monkeypatch):
    """counted("commit=1") mounts, and returns the mount and a function: syncs so far."""
    def start(*options):
        (tmp_path / "count.c").write_text(SYNC_COUNTER)
        subprocess.run(["cc", "-shared", "-fPIC", "-o", tmp_path / "count.so",
                        tmp_path / "count.c"], check=True, timeout=30)
        with monkeypatch.context() as patched:
            patched.setenv("LD_PRELOAD", str(tmp_path / "count.so"))
            m = mount(None, *options)
        return m, lambda: m.stderr.count("sync\n")

    return start


@pytest.mark.clause("S2h")
def test_with_sync_every_change_is_durable_when_it_returns(counted):
    m, syncs = counted("sync", "commit=1000")
    for change in (lambda: (m / "f").write_bytes(b"value"), lambda: os.rename(m / "f", m / "g"),
                   lambda: os.truncate(m / "g", 2), lambda: os.unlink(m / "g"),
                   lambda: os.mkdir(m / "d"), lambda: os.rmdir(m / "d")):
        before = syncs()
        change()
        assert syncs() > before


@pytest.mark.clause("S2h")
def test_without_sync_changes_are_durable_after_commit_seconds(counted):
    m, syncs = counted("commit=1")
    for name in ("f", "g"):
        before = syncs()
        (m / name).write_bytes(b"value")
        mounting.wait_for(lambda b=before: syncs() > b, "a sync by itself", 10)


@pytest.mark.clause("S2h")
def test_until_then_a_change_costs_no_sync(counted):
    m, syncs = counted("commit=1000")
    before = syncs()
    for number in range(50):
        (m / f"f{number}").write_bytes(b"value")
    assert syncs() == before
    with open(m / "f0", "ab") as file:
        os.fsync(file.fileno())
    assert syncs() > before


@pytest.mark.clause("S2h", "S2j")
def test_much_that_is_not_synced_is_synced_at_once(counted):
    m, syncs = counted("commit=1000")
    before = syncs()
    (m / "f").write_bytes(bytes(9 << 20))
    mounting.wait_for(lambda: syncs() > before, "a sync by itself", 10)


@pytest.mark.clause("S2h")
def test_fsync_of_a_directory_makes_durable_what_happened_in_it(counted):
    m, syncs = counted("commit=1000")
    os.mkdir(m / "d")
    (m / "d/f").write_bytes(b"value")
    before = syncs()
    fd = os.open(m / "d", os.O_RDONLY | os.O_DIRECTORY)
    os.fsync(fd)
    os.close(fd)
    assert syncs() > before


@pytest.mark.clause("S21b")
def test_what_was_changed_is_durable_when_the_daemon_has_ended(counted):
    m, syncs = counted("commit=1000")
    (m / "f").write_bytes(b"value")
    before = syncs()
    m.unmount()
    assert syncs() > before


@pytest.mark.parametrize("size", ["65536", "64K"])
def test_a_segment_ends_at_its_size(mount, logdir, size):
    m = mount(logdir, f"segment_size={size}")
    for number in range(20):
        (m / f"f{number}").write_bytes(bytes(10000))
    m.unmount()
    sizes = [p.stat().st_size for p in sorted(logdir.glob("*.dwal"))]
    assert len(sizes) >= 4
    assert all(60000 <= size <= 65536 for size in sizes[:-1])


def test_strict_refuses_intact_records_behind_a_torn_one(mount, root, tmp_path):
    log = tmp_path / "torn"
    shutil.copytree(root / "corpus/intact_behind_torn", log)
    before = {p.name: p.read_bytes() for p in log.glob("*.dwal")}
    with pytest.raises(mounting.MountFailed) as caught:
        mount(log, "strict")
    assert "intact" in caught.value.stderr and len(caught.value.stderr.splitlines()) == 1
    assert {p.name: p.read_bytes() for p in log.glob("*.dwal")} == before
    mount(log)


def test_owner_group_and_umask_hold_for_what_says_nothing_else(datawal, logdir, mount):
    datawal.put(logdir, "d/f", b"value")
    m = mount(logdir, "uid=1234,gid=2345", "umask=022")
    found = [os.stat(m / name) for name in ("d/f", "d")]
    assert [(s.st_uid, s.st_gid) for s in found] == [(1234, 2345)] * 2
    assert [s.st_mode & 0o7777 for s in found] == [0o644, 0o755]
    m.remount("umask=027")
    assert [os.stat(m / name).st_mode & 0o7777 for name in ("d/f", "d")] == [0o640, 0o750]
    os.chmod(m / "d/f", 0o600)
    m.remount("umask=0")
    assert [os.stat(m / name).st_mode & 0o7777 for name in ("d/f", "d")] == [0o600, 0o755]
    assert os.stat(m / "d").st_uid == os.getuid()


def test_auto_unmount_takes_the_mount_away_when_the_daemon_dies(open_dir):
    """By root: fusermount3 3.14 may not look at what another user has mounted."""
    place = mounted_by_root(open_dir, "auto_unmount")
    pid, = mounting.daemons_of(place)
    privileged.as_root("sh", "-c", f"kill -9 {pid}")
    mounting.wait_for(lambda: mounting.mounted(place) is None, "the mount's end")


# --- what is said of options --------------------------------------------------------

@pytest.mark.clause("S20b", "S20f")
@pytest.mark.parametrize("given, named", [
    ("nosuch", "nosuch"), ("rw,nosuch=1", "nosuch=1"), ("ro=1", "ro=1"), ("uid", "uid"),
    ("commit", "commit"), ("RO", "RO"), ("hidelog=yes", "hidelog=yes"),
    ("allow_others", "allow_others"),
    ("fsname", "fsname"), ("x", "x"), ("strictatime", "strictatime"), ("kernel_cache", "kernel_cache"),
    ("fd=3", "fd=3"), ("rootmode=40000", "rootmode"), ("user_id=0", "user_id"),
    ("degradedd", "degradedd")])
def test_an_option_that_is_not_known_is_named(logdir, mount, given, named):
    with pytest.raises(mounting.MountFailed) as caught:
        mount(logdir, given)
    line, = caught.value.stderr.splitlines()
    assert line.startswith("datawalfs: ") and f"'{named}" in line
    assert os.listdir(logdir) == []


@pytest.mark.clause("S20b")
@pytest.mark.parametrize("given", [
    "commit=0", "commit=86401", "commit=1s", "commit=-1", "commit=", "lockwait=1.5",
    "segment_size=0", "segment_size=1T", "segment_size=64Kx", "segment_size= 1M",
    "staging=99999999999G", "uid=4294967295", "uid=root", "gid=+5", "umask=0888", "umask=1000",
    "umask=0x1f", "max_read=1"])
def test_a_value_that_is_none_is_named_with_what_is_needed(logdir, mount, given):
    with pytest.raises(mounting.MountFailed) as caught:
        mount(logdir, given)
    line, = caught.value.stderr.splitlines()
    assert line.startswith("datawalfs: ") and f"'{given}'" in line and "needed" in line
    assert os.listdir(logdir) == []


@pytest.mark.clause("S20d")
def test_options_of_mount_and_fstab_are_taken_and_do_nothing(mount, tmp_path):
    m = mount(None, "defaults,rw,relatime,atime,nodiratime", "auto,nofail,_netdev,user,users",
              "noauto,group,owner,comment=a b", "x-systemd.automount,x-systemd.requires=/srv",
              "x-gvfs-name=Notes,x-initrd.mount", "suid,dev,exec,norelatime,nostrictatime",
              "lazytime,nolazytime,iversion,noiversion,silent,loud,mand,nomand")
    (m / "f").write_bytes(b"value")
    assert flags_of(m)[2] == flags_of(mount(tmp_path / "plain"))[2]


@pytest.mark.clause("S20d")
def test_options_stand_anywhere_and_in_any_number(logdir, tmp_path, mount):
    m = mount(logdir, wait=False)
    m.command = lambda: [str(m.program), "-ohidelog,", "-o", ",commit=2", str(m.log), "-f", "-o",
                         "noatime,,nodev", str(m.path), "-s"]
    m.start()
    assert os.listdir(m) == []
    assert {"noatime", "nodev"} <= flags_of(m)[2]
