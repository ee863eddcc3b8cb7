# SPDX-License-Identifier: MIT OR Apache-2.0
"""The datawal program and mounts: what looks takes a mountpoint for its log, what writes makes no
log inside a mount, and who keeps a log locked is told."""
import os
import subprocess
import tempfile
from pathlib import Path

import pytest

from cli import only_line
import mounting
import privileged

INSPECTIONS = [["scan"], ["scan", "--json"], ["get", "--key", "f"], ["list"], ["verify"],
               ["dump"], ["check"], ["report", "--json"], ["export", "-"],
               ["history", "--key", "f"], ["log"], ["log", "--json"], ["stats"]]
WRITES = [["put", "--key", "k", "--value", "v"], ["delete", "--key", "k"], ["append", "-"],
          ["load", "-"]]


@pytest.fixture
def mnt(mount):
    """A mount with the files f and d/g, which owes the log nothing."""
    m = mount()
    (m / "f").write_bytes(b"content")
    (m / "d").mkdir()
    (m / "d/g").write_bytes(b"")
    return m.remount()


@pytest.mark.parametrize("words", INSPECTIONS, ids=" ".join)
def test_a_mountpoint_shows_the_log_behind_it(datawal, mnt, tmp_path, words):
    (tmp_path / "link").symlink_to(mnt.path)
    wanted = datawal(words[0], mnt.log, *words[1:])
    assert wanted.stderr == b"" != wanted.stdout
    for place in (mnt.path, f"{mnt.path}/", tmp_path / "link", mnt / ".log"):
        done = datawal(words[0], place, *words[1:])
        assert (done.stdout, done.stderr) == (wanted.stdout, b"")
    relative = datawal(words[0], ".", *words[1:], cwd=mnt.path)
    assert relative.stdout == wanted.stdout


def test_compact_makes_a_new_log_of_a_mount(datawal, mnt, tmp_path):
    datawal("compact", mnt.path, tmp_path / "out")
    assert datawal("list", tmp_path / "out").stdout == datawal("list", mnt.log).stdout


def test_a_mount_by_another_name_shows_its_log_too(datawal, mount):
    m = mount(None, "fsname=elsewhere")
    (m / "f").write_bytes(b"content")
    assert datawal("get", m.path, "--key", "f").stdout == b"content"


@pytest.mark.parametrize("words", INSPECTIONS, ids=" ".join)
def test_a_read_only_mount_shows_its_log(datawal, mount, mnt, words):
    other = mount(mnt.log, "ro")
    assert datawal(words[0], other.path, *words[1:]).stdout == datawal(
        words[0], mnt.log, *words[1:]).stdout


def test_another_user_looks_behind_a_mount_that_is_closed_to_others(datawal, mount):
    other = ["setpriv", "--reuid=65534", "--clear-groups"] if os.getuid() == 0 else \
        privileged.prefix()
    with tempfile.TemporaryDirectory() as top:  # pytest's own are closed to others
        os.chmod(top, 0o755)
        log, place = Path(top, "log"), Path(top, "place")
        place.mkdir()
        m = mount(log, at=place)
        (m / "f").write_bytes(b"content")
        log.chmod(0o755)
        (log / "00000001.dwal").chmod(0o644)
        for words, status in (["get", "--key", "f"], 0), (WRITES[0], 1):
            done = subprocess.run([*other, datawal.program, words[0], place, *words[1:]],
                                  capture_output=True, timeout=30, check=False)
            assert done.returncode == status
            assert done.stdout == (b"" if status else b"content")
            assert (str(log).encode() in done.stderr) == bool(status)
        m.unmount()


@pytest.mark.parametrize("words", WRITES, ids=lambda words: words[0])
@pytest.mark.parametrize("where", ["", "d", "new", "new/below", "f", ".log", "d/../d"])
def test_no_log_is_made_in_a_mount(datawal, mnt, words, where):
    before = datawal("scan", mnt.log, "--json").stdout
    line = only_line(datawal(words[0], f"{mnt}/{where}", *words[1:], input=b"", status=1))
    assert str(mnt.log) in line and ("lies in the mount" in line) == bool(where)
    assert datawal("scan", mnt.log, "--json").stdout == before


@pytest.mark.parametrize("words", WRITES, ids=lambda words: words[0])
def test_no_log_is_made_of_an_empty_mount(datawal, mount, words):
    m = mount()
    only_line(datawal(words[0], m.path, *words[1:], input=b"", status=1))
    only_line(datawal("rotate", m / "d", status=1))
    assert os.listdir(m) == [] and datawal("scan", m.log).stdout == b""


def test_compact_makes_no_log_in_a_mount_and_export_may_write_a_file_there(datawal, mnt, logdir):
    for target in (mnt / "out", mnt / "d/out", mnt.path):
        assert str(mnt.log) in only_line(datawal("compact", mnt.log, target, status=1))
    assert sorted(os.listdir(mnt)) == ["d", "f"]
    datawal("export", mnt.path, mnt / "backup.jsonl")
    assert (mnt / "backup.jsonl").read_bytes().count(b"\n") == 2


def test_rotate_still_asks_the_daemon(datawal, mnt):
    assert datawal.json("rotate", mnt.path)[0]["active_segment"] == 2
    assert (mnt.log / "00000002.dwal").exists()


def test_a_directory_beside_a_mount_is_no_part_of_it(datawal, mount):
    m = mount()
    datawal("put", f"{m.path}2", *WRITES[0][1:])
    assert datawal.get(f"{m.path}2", "k") == b"v"


# --- who has the lock ----------------------------------------------------------------

def refusals(datawal, mount, log, place):
    """What the CLI and the daemon say of a log that is locked."""
    with pytest.raises(mounting.MountFailed) as failed:
        mount(log, "lockwait=0", at=place)
    line = only_line(datawal("put", log, "--key", "k", "--value", "v", "--wait", "0", status=1))
    return line.removeprefix("datawal: "), failed.value.stderr.removeprefix("datawalfs: ")


def await_refusals(datawal, mount, log, place, wanted):
    """For a while a namespace that another test has made can have the mount as well."""
    mounting.wait_for(
        lambda: all(wanted in line for line in refusals(datawal, mount, log, place)),
        f"{wanted!r} in what is said", seconds=60)


@pytest.mark.clause("S21c")
def test_a_mount_that_has_the_log_is_named(datawal, mount, mnt, host_dir):
    for line in refusals(datawal, mount, mnt.log, host_dir):
        assert line == (f"{mnt.log}: locked by another writer: pid {mnt.pid} (datawalfs), "
                        f"mounted on {mnt}: work there, or unmount it first\n")


@pytest.mark.clause("S21c")
def test_a_mount_that_is_ending_is_told_from_one_that_is_there(datawal, mount, mnt, host_dir):
    with open(mnt / "f", "rb") as file:
        subprocess.run(["fusermount3", "-u", "-z", mnt], check=True, timeout=20)
        await_refusals(datawal, mount, mnt.log, host_dir,
                       f"pid {mnt.pid} (datawalfs), whose mount was unmounted")
        assert file.read() == b"content"
    mnt.wait_end()


@pytest.mark.clause("S21c")
def test_a_mount_in_another_namespace_is_told(datawal, mount, mnt, host_dir):
    words = [*privileged.prefix(), "unshare", "-m", "--propagation", "private", "sh", "-c",
             "echo $$; exec cat"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        pid = int(other.stdout.readline())
        subprocess.run(["fusermount3", "-u", mnt], check=True, timeout=20)
        await_refusals(datawal, mount, mnt.log, host_dir,
                       f"pid {mnt.pid} (datawalfs), still mounted on {mnt} in another mount "
                       f"namespace, that of pid {pid} (")
        other.stdin.close()
    mnt.wait_end()


@pytest.mark.clause("S21c")
def test_a_read_only_mount_is_not_taken_for_the_writer(datawal, mount, mnt, host_dir):
    other = mount(mnt.log, "ro")
    for line in refusals(datawal, mount, mnt.log, host_dir):
        assert f"mounted on {mnt}:" in line and str(other) not in line
