# SPDX-License-Identifier: MIT OR Apache-2.0
"""rename(2): what it leaves in the log and in the mount."""
import ctypes
import errno
import hashlib
import os
import subprocess
import threading
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

import peek
from mounting import wait_for

pytestmark = pytest.mark.sanitize

AT_FDCWD = -100
JOIN_SECONDS = 20
RENAME_NOREPLACE, RENAME_EXCHANGE, RENAME_WHITEOUT = 1, 2, 4
LIBC = ctypes.CDLL(None, use_errno=True)


def rename2(source, target, flags):
    """0 or an errno."""
    done = LIBC.renameat2(AT_FDCWD, os.fsencode(source), AT_FDCWD, os.fsencode(target), flags)
    return ctypes.get_errno() if done else 0


@pytest.mark.clause("S7a")
@pytest.mark.parametrize("target_exists", [False, True])
def test_rename_is_a_put_of_the_new_name_then_a_delete_of_the_old(datawal, logdir, mount,
                                                                  target_exists):
    datawal.put(logdir, "old", b"content")
    if target_exists:
        datawal.put(logdir, "dir/new", b"replaced")
    else:
        datawal.put(logdir, "dir/other", b"x")
    m = mount(logdir)
    before = len(datawal.scan(logdir))
    os.rename(m / "old", m / "dir/new")
    added = [r for r in datawal.scan(logdir)[before:] if r.type != "Raw"]
    assert [(r.type, r.key, r.payload) for r in added] == [("Put", b"dir/new", b"content"),
                                                           ("Delete", b"old", b"")]
    assert not (m / "old").exists()
    assert (m / "dir/new").read_bytes() == b"content"


@pytest.mark.clause("S7a", "S2b")
def test_rename_publishes_what_was_staged(datawal, logdir, mount):
    m = mount(logdir)
    fd = os.open(m / "tmp", os.O_CREAT | os.O_WRONLY)
    os.write(fd, b"staged")
    os.rename(m / "tmp", m / "final")
    assert peek.get(logdir, "final") == b"staged"
    os.write(fd, b" and more")
    os.close(fd)
    assert datawal.get(logdir, "final") == b"staged and more"
    m.unmount()
    assert "Put" not in datawal.records_of(logdir, "tmp")
    assert datawal.records_of(logdir, "final") == ["Put", "Put"]


@pytest.mark.clause("S7a")
def test_the_target_is_never_absent_while_it_is_replaced(mount):
    m = mount()
    (m / "target").write_bytes(b"0" * 1000)
    looker = subprocess.Popen(
        ["bash", "-c", "while [ ! -e stop ]; do cat target || { echo gone; exit 1; }; done "
         ">/dev/null 2>&1"], cwd=m.path)
    for number in range(300):
        (m / "tmp").write_bytes(b"%d" % number * 1000)
        os.rename(m / "tmp", m / "target")
    (m / "stop").touch()
    assert looker.wait(20) == 0


@pytest.mark.clause("S7b")
def test_renaming_onto_itself_writes_nothing(datawal, logdir, mount):
    datawal.put(logdir, "f", b"content")
    m = mount(logdir)
    before = datawal.scan(logdir)
    os.rename(m / "f", m / "f")
    m.unmount()
    assert datawal.scan(logdir) == before


@pytest.mark.clause("S7b")
@pytest.mark.parametrize("name", ["f", "d"])
def test_a_rename_onto_itself_that_the_daemon_is_asked_for_writes_nothing(datawal, gated, name):
    m, gate = gated()
    (m / "f").write_bytes(b"content")
    (m / "d").mkdir()
    (m / "d/g").write_bytes(b"below")
    before = datawal.scan(m.log)
    gate.watch("itself")
    os.rename(m / name, m / "another")
    m.remount()
    assert datawal.scan(m.log) == before
    assert (m / "f").read_bytes() == b"content" and (m / "d/g").read_bytes() == b"below"


@pytest.mark.clause("S7c")
def test_noreplace_is_honoured_and_exchange_is_refused(datawal, logdir, mount):
    datawal.put(logdir, "a", b"A")
    datawal.put(logdir, "b", b"B")
    m = mount(logdir)
    before = datawal.scan(logdir)
    assert rename2(m / "a", m / "b", RENAME_NOREPLACE) == errno.EEXIST
    assert rename2(m / "a", m / "b", RENAME_EXCHANGE) == errno.EINVAL
    assert rename2(m / "a", m / "c", RENAME_WHITEOUT) in (errno.EINVAL, errno.EPERM)
    assert datawal.scan(logdir) == before
    assert rename2(m / "a", m / "c", RENAME_NOREPLACE) == 0
    assert (m / "c").read_bytes() == b"A"
    assert (m / "b").read_bytes() == b"B"


def content_of(path):
    """A long one in short, as pytest takes its time to tell where two differ."""
    content = path.read_bytes()
    return content if len(content) < 1000 else hashlib.sha256(content).hexdigest()


def tree_of(top):
    """path -> content of each file, None for each directory below top."""
    return {p.relative_to(top): None if p.is_dir() else content_of(p) for p in top.rglob("*")}


@pytest.mark.clause("S7d")
def test_a_directory_is_renamed_with_all_that_is_in_it(datawal, logdir, mount):
    for key in ("d/one", "d/sub/two", "d/sub/deep/three", "d.not/other"):
        datawal.put(logdir, key, key.encode())
    m = mount(logdir)
    (m / "d/sub/empty").mkdir(mode=0o700)
    (m / "d/sub/two").chmod(0o600)
    staged = os.open(m / "d/staged", os.O_CREAT | os.O_RDWR, 0o644)
    os.write(staged, b"not closed yet")
    before = tree_of(m / "d")
    os.rename(m / "d", m / "e")
    assert not (m / "d").exists() and tree_of(m / "e") == before
    assert os.pread(staged, 99, 0) == b"not closed yet"
    os.write(staged, b", but now")
    os.close(staged)
    m.remount()
    before[Path("staged")] = b"not closed yet, but now"
    assert not (m / "d").exists() and tree_of(m / "e") == before
    assert (m / "d.not/other").read_bytes() == b"d.not/other"
    assert (m / "e/sub/two").stat().st_mode & 0o7777 == 0o600
    assert (m / "e/sub/empty").stat().st_mode & 0o7777 == 0o700


@pytest.mark.clause("S7d")
def test_a_renamed_directory_is_puts_first_then_tombstones(datawal, logdir, mount):
    for key in ("d/one", "d/sub/two"):
        datawal.put(logdir, key, b"value")
    m = mount(logdir)
    before = len(datawal.scan(logdir))
    os.rename(m / "d", m / "e")
    kinds = [(r.type, r.key) for r in datawal.scan(logdir)[before:] if r.type != "Raw"]
    assert sorted(kinds[:2]) == [("Put", b"e/one"), ("Put", b"e/sub/two")]
    assert sorted(kinds[2:]) == [("Delete", b"d/one"), ("Delete", b"d/sub/two")]


def in_thread(function, *args):
    """Begun; join() it. Of its failure nobody hears."""
    def call():
        with suppress(OSError):
            function(*args)

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    return thread


def make_large_directory(m):
    """9 MiB: what is below 8 is written at once."""
    (m / "d/sub").mkdir(parents=True)
    for number in range(3):
        (m / f"d/sub/{number}").write_bytes(b"%d" % number * (3 << 20))
    (m / "d/small").write_bytes(b"small")


@contextmanager
def renamed_ahead(gate, source, target, place="append"):
    """For the block the contents of the directory are on their way to the log; then it is renamed.
    What is changed in the directory that it is in waits for that, in the kernel."""
    with gate.held(place):
        renaming = in_thread(os.rename, source, target)
        gate.wait(place)
        gate.let_others(place)
        yield
    renaming.join(JOIN_SECONDS)
    assert not renaming.is_alive()


@pytest.mark.clause("S7f")
def test_others_change_what_they_like_while_a_large_directory_is_renamed(datawal, gated):
    m, gate = gated()
    make_large_directory(m)
    (m / "others").mkdir()
    before = tree_of(m / "d")
    with renamed_ahead(gate, m / "d", m / "e"):
        other = in_thread((m / "others/new").write_bytes, b"meanwhile")
        other.join(JOIN_SECONDS)
        assert not other.is_alive(), "a create waits for the rename"
        assert peek.get(m.log, "others/new") == b"meanwhile"
        assert content_of(m / "d/sub/1") == before[Path("sub/1")]
    assert tree_of(m / "e") == before and not (m / "d").exists()
    m.remount()
    assert tree_of(m / "e") == before and not (m / "d").exists()
    assert (m / "others/new").read_bytes() == b"meanwhile"
    assert list(m.log.glob("*.dwal-tmp")) == []
    [report] = datawal.json("report", m.log)
    assert report["txids_missing"] == report["txids_out_of_order"] == 0


@pytest.mark.clause("S7f")
def test_others_do_not_wait_while_a_smaller_directory_is_read_for_its_rename(gated):
    m, gate = gated()
    (m / "others").mkdir()
    (m / "d").mkdir()
    (m / "d/file").write_bytes(b"content" * (2 << 17))
    before = tree_of(m / "d")
    with renamed_ahead(gate, m / "d", m / "e", "get"):
        other = in_thread((m / "others/new").write_bytes, b"meanwhile")
        other.join(JOIN_SECONDS)
        assert not other.is_alive(), "a create waits for the rename"
        assert peek.get(m.log, "others/new") == b"meanwhile"
    assert tree_of(m / "e") == before and not (m / "d").exists()
    m.remount()
    assert tree_of(m / "e") == before and not (m / "d").exists()


def change_value(m):
    """The same size: nothing but the record is another."""
    (m / "d/sub/1").write_bytes(b"x" * (3 << 20))


def change_mode(m):
    (m / "d/sub/1").chmod(0o600)


def add_file(m):
    (m / "d/sub/new").write_bytes(b"new")


def add_directory(m):
    (m / "d/sub/deep").mkdir()


def remove_file(m):
    (m / "d/sub/1").unlink()


def rename_within(m):
    os.rename(m / "d/sub/1", m / "d/sub/one")


def exchange_contents(m):
    """The same names and sizes."""
    os.rename(m / "d/sub/1", m / "d/sub/kept")
    os.rename(m / "d/sub/2", m / "d/sub/1")
    os.rename(m / "d/sub/kept", m / "d/sub/2")


@pytest.mark.clause("S7f")
@pytest.mark.parametrize("change", [change_value, change_mode, add_file, add_directory, remove_file,
                                    rename_within, exchange_contents])
def test_what_changes_below_a_large_directory_that_is_renamed_moves_with_it(gated, change):
    m, gate = gated()
    make_large_directory(m)
    with renamed_ahead(gate, m / "d", m / "e"):
        change(m)
        wanted = tree_of(m / "d")
        modes = {p.relative_to(m / "d"): p.stat().st_mode for p in (m / "d").rglob("*")}
    for _ in range(2):
        assert tree_of(m / "e") == wanted and not (m / "d").exists()
        assert {p.relative_to(m / "e"): p.stat().st_mode for p in (m / "e").rglob("*")} == modes
        m.remount()


@pytest.mark.clause("S7d", "S7f")
@pytest.mark.parametrize("place", ["append", "rename"])
def test_a_large_directory_has_its_old_name_when_the_daemon_is_killed_before_the_new(gated, place):
    m, gate = gated()
    make_large_directory(m)
    before = tree_of(m / "d")
    with gate.held(place):
        in_thread(os.rename, m / "d", m / "e")
        gate.wait(place)
        assert len(list(m.log.glob("*.dwal-tmp"))) == 1
        m.kill9()
    m.remount()
    assert tree_of(m / "d") == before and not (m / "e").exists()
    assert list(m.log.glob("*.dwal-tmp")) == []


@pytest.mark.clause("S7f")
def test_a_large_directory_is_durable_under_its_new_name(gated):
    """The file is the next segment, and nothing is left to be synced."""
    m, gate = gated()
    make_large_directory(m)
    os.rename(m / "d", m / "e")
    assert (m.log / "00000002.dwal").stat().st_size > 9 << 20
    gate.watch("sync")
    fd = os.open(m, os.O_RDONLY)
    os.fsync(fd)
    os.close(fd)
    gate.forget()
    assert "sync" not in gate.seen


@pytest.mark.clause("S7d")
def test_a_directory_replaces_an_empty_one_and_no_other(mount):
    m = mount()
    for directory in ("full", "empty", "d"):
        (m / directory).mkdir()
    (m / "full/f").write_bytes(b"x")
    (m / "d/f").write_bytes(b"y")
    (m / "file").write_bytes(b"z")
    for target, expected in (("full", errno.ENOTEMPTY), ("file", errno.ENOTDIR), ("d/sub", errno.EINVAL),
                             ("\\empty", errno.EINVAL), ("e\\x2f", errno.EINVAL)):
        with pytest.raises(OSError) as caught:
            os.rename(m / "d", m / target)
        assert caught.value.errno == expected, target
    os.rename(m / "d", m / "empty")
    m.remount()
    assert tree_of(m / "empty") == {Path("f"): b"y"}
    assert not (m / "d").exists()


@pytest.mark.clause("S7d")
def test_a_directory_above_the_limit_is_moved_by_copying(mount):
    m = mount(None, "renamelimit=1M")
    (m / "d").mkdir()
    for name in "abc":
        (m / "d" / name).write_bytes(bytes(500_000))
    with pytest.raises(OSError) as caught:
        os.rename(m / "d", m / "e")
    assert caught.value.errno == errno.EXDEV
    subprocess.run(["mv", "d", "e"], cwd=m, check=True, timeout=20)
    m.remount()
    assert {p.name for p in (m / "e").iterdir()} == set("abc") and not (m / "d").exists()


@pytest.mark.clause("S7a")
def test_rename_follows_the_usual_rules_for_kinds(mount):
    m = mount()
    (m / "f").write_bytes(b"x")
    (m / "d").mkdir()
    for source, target, expected in (("f", "d", errno.EISDIR), ("missing", "f", errno.ENOENT),
                                     ("f", "nowhere/f", errno.ENOENT), ("f", "f/g", errno.ENOTDIR)):
        with pytest.raises(OSError) as caught:
            os.rename(m / source, m / target)
        assert caught.value.errno == expected, (source, target)


@pytest.mark.clause("S7a")
def test_an_unpublished_empty_file_keeps_its_new_name(datawal, logdir, mount):
    m = mount(logdir)
    fd = os.open(m / "a", os.O_CREAT | os.O_WRONLY)
    os.rename(m / "a", m / "b")
    os.close(fd)
    wait_for(lambda: datawal.records_of(logdir, "b") == ["Put"], "b in the log")
    m.unmount()
    assert datawal.get(logdir, "b") == b""
    assert "Put" not in datawal.records_of(logdir, "a")
