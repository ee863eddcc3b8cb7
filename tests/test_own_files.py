# SPDX-License-Identifier: MIT OR Apache-2.0
"""A mount whose log directory somebody works on: what would lose data stops it before it says
"durable", and what does no harm is let be."""
import errno
import json
import os
import shutil
import subprocess
import threading

import pytest

import mounting

pytestmark = pytest.mark.sanitize

VALUE = b"acknowledged" * 100


def write_and_sync(path, data):
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    try:
        os.write(fd, data)
        os.fsync(fd)
    finally:
        os.close(fd)


def refusal(m):
    return json.loads((m / ".log/recovery.json").read_text())["refusal"]


def shell(script, cwd):
    subprocess.run(["sh", "-ec", script], cwd=cwd, check=True, stdin=subprocess.DEVNULL,
                   capture_output=True, timeout=20)


# What is done beside the log directory, the word that tells it, and whether the bytes are left.
DEEDS = {
    "removed": ("rm log/00000001.dwal", "removed", True),
    "moved away": ("mv log/00000001.dwal .", "renamed", True),
    "replaced": ("cp log/00000001.dwal x; mv x log/00000001.dwal", "replaced", True),
    "an older copy put over it": ("cp older log/00000001.dwal", "cut", False),
    "truncated": ("truncate -s 0 log/00000001.dwal", "cut", False),
    "another segment": (": > log/00000002.dwal", "somebody else has made", True),
    "the directory removed": ("rm -r log", "removed the directory", True),
}


def end(m):
    """Unmounts a mount that cannot save anything more: its daemon says so."""
    subprocess.run(["fusermount3", "-u", m.path], check=True, timeout=20)
    m.wait_end(1)
    m.process = None


@pytest.mark.clause("S25a", "S25b")
@pytest.mark.parametrize("deed", DEEDS)
def test_what_is_done_to_the_log_is_found_by_the_next_fsync(deed, logdir, mount, datawal, tmp_path):
    script, why, left = DEEDS[deed]
    m = mount(logdir)
    (tmp_path / "older").write_bytes((logdir / "00000001.dwal").read_bytes())
    write_and_sync(m / "first", VALUE)
    shell(script, tmp_path)
    with pytest.raises(OSError) as raised:
        write_and_sync(m / "second", b"x")
    assert raised.value.errno == errno.EIO
    assert why in refusal(m) and "MOUNT/.log/*.dwal" in refusal(m)
    with pytest.raises(OSError):
        write_and_sync(m / "third", b"x")
    if left:
        assert (m / "first").read_bytes() == VALUE
        (tmp_path / "rescued").mkdir()
        shell(f"cp {m}/.log/*.dwal rescued/", tmp_path)
        assert datawal.get(tmp_path / "rescued", "first") == VALUE
    end(m)


@pytest.mark.clause("S25a")
@pytest.mark.parametrize("deed", ["removed", "an older copy put over it", "truncated"])
def test_it_is_found_every_commit_seconds_also_when_nobody_syncs(deed, logdir, mount, tmp_path):
    script, why, _ = DEEDS[deed]
    m = mount(logdir, "commit=1")
    (tmp_path / "older").write_bytes((logdir / "00000001.dwal").read_bytes())
    write_and_sync(m / "first", VALUE)
    shell(script, tmp_path)
    mounting.wait_for(lambda: refusal(m), "the refusal")
    assert why in refusal(m)
    with pytest.raises(OSError):
        (m / "second").write_bytes(b"x")
    end(m)


@pytest.mark.clause("S25c")
def test_a_removed_lock_lets_no_second_writer_in_and_nothing_is_lost(logdir, mount, datawal):
    m = mount(logdir, "lockwait=0")
    write_and_sync(m / "base", b"base")
    (logdir / ".lock").unlink()
    done = datawal("put", logdir, "--key", "cli", "--value", "x", "--wait", "0", status=1)
    assert b"locked" in done.stderr
    with pytest.raises(mounting.MountFailed) as failed:
        mount(logdir, "lockwait=0")
    assert "locked" in failed.value.stderr
    write_and_sync(m / "later", b"later")
    assert (logdir / ".lock").exists() and not refusal(m)
    m.unmount()
    assert datawal.get(logdir, "base") == b"base" and datawal.get(logdir, "later") == b"later"


@pytest.mark.clause("S25c")
def test_backups_by_links_and_a_moved_directory_do_no_harm(logdir, mount, datawal, tmp_path):
    m = mount(logdir, "segment_size=4K")
    write_and_sync(m / "a", VALUE)
    shell("cp -al log backup; mv log moved; mkdir log", tmp_path)
    for i in range(8):
        write_and_sync(m / f"f{i}", VALUE)
    assert not refusal(m)
    m.unmount()
    moved = tmp_path / "moved"
    assert datawal.get(moved, "f7") == VALUE and os.listdir(logdir) == []
    assert len(datawal.scan(tmp_path / "backup")) > 0
    logdir.rmdir()


@pytest.mark.clause("S25c")
def test_writers_rotations_and_backups_at_once_raise_no_alarm(logdir, mount, datawal, tmp_path):
    m = mount(logdir, "segment_size=8K", "commit=1")
    stop = threading.Event()
    failed = []

    def write(who):
        try:
            for i in range(40):
                write_and_sync(m / f"{who}-{i % 5}", bytes([i]) * (100 + 37 * i))
        except OSError as error:
            failed.append(error)

    def back_up():
        places = [logdir, tmp_path / "moved"]
        while not stop.is_set():
            shutil.rmtree(tmp_path / "backup", ignore_errors=True)
            (tmp_path / "backup").mkdir()
            for name in os.listdir(places[0]):
                if name.endswith(".dwal"):
                    os.link(places[0] / name, tmp_path / "backup" / name)
            os.rename(*places)
            places.reverse()
            (places[0] / ".lock").unlink(missing_ok=True)
        if places[0] != logdir:
            os.rename(*places)

    writers = [threading.Thread(target=write, args=(who,)) for who in "abcd"]
    beside = threading.Thread(target=back_up)
    for thread in [*writers, beside]:
        thread.start()
    for thread in writers:
        thread.join()
    stop.set()
    beside.join()
    assert not failed and not refusal(m)
    m.unmount()
    for who in "abcd":
        assert datawal.get(logdir, f"{who}-4") == bytes([39]) * (100 + 37 * 39)


@pytest.mark.clause("S18g")
@pytest.mark.parametrize("odd", ["link", "fifo"])
def test_a_segment_that_is_no_regular_file_is_refused_and_not_followed(odd, logdir, mount, host_dir):
    m = mount(logdir)
    m.unmount()
    (host_dir / "foreign").write_bytes(b"foreign")
    name = logdir / "00000002.dwal"
    name.symlink_to(host_dir / "foreign") if odd == "link" else os.mkfifo(name)
    with pytest.raises(mounting.MountFailed) as failed:
        mount(logdir)
    assert "00000002.dwal" in failed.value.stderr
    assert (host_dir / "foreign").read_bytes() == b"foreign"


@pytest.mark.clause("S18g")
def test_a_segment_that_was_replaced_under_the_mount_is_listed_and_not_followed(logdir, mount,
                                                                                 host_dir):
    m = mount(logdir, "ro")
    (host_dir / "foreign").write_bytes(b"foreign")
    (logdir / "00000009.dwal").symlink_to(host_dir / "foreign")
    assert "00000009.dwal" in os.listdir(m / ".log")
    with pytest.raises(OSError) as raised:
        (m / ".log/00000009.dwal").read_bytes()
    assert raised.value.errno == errno.EIO
