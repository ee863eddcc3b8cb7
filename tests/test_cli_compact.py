# SPDX-License-Identifier: MIT OR Apache-2.0
"""datawal compact DIR OUT: a mount of OUT shows what one of DIR shows, and OUT is what the reference
writes where it may be that."""
import base64
import json
import os
import random
import socket
import stat
import subprocess
import sys
from contextlib import suppress

import pytest

import paths

sys.path.insert(0, str(paths.ROOT / "corpus"))
import gen_corpus as corpus  # noqa: E402

pytestmark = pytest.mark.sanitize


def about(path):
    """All that stat(2) and listxattr(2) tell of a file, and its content."""
    s = os.lstat(path)
    content = (os.listdir(path) and None if stat.S_ISDIR(s.st_mode) else
               os.readlink(path) if stat.S_ISLNK(s.st_mode) else
               open(path, "rb").read() if stat.S_ISREG(s.st_mode) else None)
    attributes = {name: os.getxattr(path, name) for name in os.listxattr(path)} if \
        stat.S_ISREG(s.st_mode) or stat.S_ISDIR(s.st_mode) else {}
    return {"mode": stat.filemode(s.st_mode), "owner": (s.st_uid, s.st_gid), "size": s.st_size,
            "mtime": s.st_mtime_ns, "ctime": s.st_ctime_ns, "atime": s.st_atime_ns,
            "device": s.st_rdev, "ino": s.st_ino, "links": s.st_nlink, "xattrs": attributes,
            "content": content}


def seen(m):
    """Everything in a mount."""
    root = os.fsencode(m.path)
    found = {b"": about(root)}
    for directory, dirs, files in os.walk(root):
        for name in dirs + files:
            path = os.path.join(directory, name)
            found[path[len(root) + 1:]] = about(path)
    return found


def unfinished(m):
    return [(base64.b64decode(one["key_base64"]), one["size"])
            for one in json.loads((m / ".log/recovery.json").read_text())["unfinished"]]


def compacted(datawal, mount, m, out):
    """The unmounted log of m, mounted again, and a compaction of it: both the same."""
    m.remount("noatime")  # looking changes nothing
    before, owed = seen(m), unfinished(m)
    m.unmount()
    datawal("compact", m.log, out)
    other = mount(out, "noatime")
    after = seen(other)
    assert sorted(after) == sorted(before)
    for name in before:
        assert after[name] == before[name], name
    assert unfinished(other) == owed
    # also once it has been written to
    other.remount()
    assert seen(other) == before
    other.unmount()
    return before


def give_everything(m):
    """Whatever a mount can hold."""
    for name in ("empty", "full", "full/below", "gone", "moved", "set", "emptied"):
        (m / name).mkdir()
    (m / "full/below/f").write_bytes(b"deep")
    (m / "plain").write_bytes(b"value")
    (m / "plain").write_bytes(b"written again")
    for n, name in enumerate(("private", "moved/f", "moved/g", "full/a", "emptied/f")):
        (m / name).write_bytes(b"x" * n)
    os.chmod(m / "private", 0o600)
    os.chmod(m / "full", 0o2750)
    os.chmod(m / "full/a", 0o640)
    os.utime(m / "full/a", ns=(1_000_000_000_000_000_001, 1_000_000_000_000_000_002))
    (m / "set/f").write_bytes(b"")
    os.utime(m / "set", ns=(7, -5_000_000_003))
    os.setxattr(m / "private", "user.colour", b"\0red\n")
    os.setxattr(m / "empty", "user.shape", b"")
    os.symlink("private", m / "link")
    os.mkfifo(m / "fifo", 0o640)
    (m / "gone/f").write_bytes(b"")
    os.unlink(m / "gone/f")
    (m / "gone").rmdir()
    os.rename(m / "moved", m / "renamed")
    os.rename(m / "renamed/f", m / "full/f")
    (m / "renamed/f").write_bytes(b"in its place")
    os.unlink(m / "emptied/f")
    here = os.getcwd()
    os.chdir(m)  # the path of a socket is short
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind("socket")
    os.chdir(here)


def leave_unfinished(m):
    fd = os.open(m / "private", os.O_WRONLY | os.O_TRUNC)
    os.write(fd, b"half")
    m.tell_to_end()
    m.wait_end()
    with suppress(OSError):
        os.close(fd)


@pytest.mark.clause("S10e")
def test_a_mount_of_the_copy_shows_all_that_one_of_the_log_shows(datawal, mount, tmp_path):
    m = mount()
    give_everything(m)
    leave_unfinished(m)
    # what the mount did not write: implied directories, values beside them
    datawal.put(m.log, "full", b"beside the directory")
    datawal.put(m.log, "full/a", b"ends the times that were set, not the mode")
    datawal.put(m.log, "a/b/c/d", b"implied")
    datawal.put(m.log, "a/b/e", b"")
    datawal.put(m.log, "/odd//key/", b"")
    datawal("append", m.log, "-", input=b"a record of others")
    before = compacted(datawal, mount, m, tmp_path / "out")
    assert {b"full\\value", b"empty", b"a/b/c/d", b"link", b"socket"} <= set(before)
    assert before[b"link"]["content"] == b"private" and before[b"private"]["xattrs"]
    segment = tmp_path / "out/00000001.dwal"
    assert b"a record of others" not in segment.read_bytes()
    assert b"written again" in segment.read_bytes() and b"half" in segment.read_bytes()
    txids = [r.txid for r in datawal.scan(tmp_path / "out", headers=True)]
    assert sorted(set(txids)) == list(range(1, txids[-1] + 1)) and txids == sorted(txids)


@pytest.mark.clause("S10e")
def test_each_value_is_one_operation_with_its_attributes_and_the_lines_it_had(
        datawal, mount, tmp_path):
    m = mount()
    (m / "f").write_bytes(b"value")
    os.chmod(m / "f", 0o600)
    m.unmount()
    records = datawal.scan(m.log, headers=True)
    [txid] = [r.txid for r in records if r.type == "Put"]
    [old] = [r for r in records if r.txid == txid and r.key == b"datawal.batch"]
    datawal("compact", m.log, tmp_path / "out")
    header, put, attributes, *rest = datawal.scan(tmp_path / "out", headers=True)
    assert (header.txid, put.txid, attributes.txid) == (1, 1, 1)
    assert (put.key, attributes.key) == (b"f", b"f")
    lines = [line for line in old.payload.split(b"\n") if line.startswith((b"time=", b"op="))]
    assert set(lines) <= set(header.payload.split(b"\n"))
    assert b"mode=0600" in attributes.payload
    assert all(r.key in (b"", b"datawal.batch") for r in rest)  # the root's times


@pytest.mark.clause("S10e")
@pytest.mark.parametrize("removed", ["f", "d/f"])
def test_a_directory_keeps_the_time_at_which_a_name_went(datawal, mount, tmp_path, removed):
    m = mount()
    (m / "d").mkdir()
    for name in ("d/f", "d/g", "f", "g"):
        (m / name).write_bytes(b"")
    os.unlink(m / removed)
    m.unmount()
    compacted(datawal, mount, m, tmp_path / "out")


@pytest.mark.clause("S10e")
def test_directories_within_directories_keep_their_times(datawal, mount, tmp_path):
    m = mount()
    for n, name in enumerate(("a", "a/b", "a/b/c", "a/b/d", "a/b/c/e")):
        (m / name).mkdir()
        os.utime(m / name, ns=(n, n))
    os.utime(m / "a", ns=(7, 7))
    m.unmount()
    before = compacted(datawal, mount, m, tmp_path / "out")
    assert before[b"a"]["mtime"] == 7 and before[b"a/b/c/e"]["mtime"] == 4


@pytest.mark.clause("S10e")
def test_directories_that_no_record_tells_of_stay_as_they_are(datawal, logdir, mount, tmp_path):
    """They go with their last file, then as now."""
    datawal.put(logdir, "a/b/f", b"")
    m = mount(logdir)
    (m / "a/x").write_bytes(b"")
    (m / "a/b/g").write_bytes(b"")
    os.unlink(m / "a/x")
    m.unmount()
    compacted(datawal, mount, m, tmp_path / "out")
    for name in ("a/b/f", "a/b/g"):
        datawal("delete", tmp_path / "out", "--key", name)
    other = mount(tmp_path / "out")
    assert os.listdir(other) == []


@pytest.mark.clause("S10e")
def test_a_deep_key_costs_a_deep_key(datawal, logdir, mount, tmp_path):
    deep = b"/".join([b"d"] * 2000)
    datawal.put(logdir, deep, b"v")
    m = mount(logdir)
    (m / "f").write_bytes(b"")
    m.unmount()
    datawal("compact", logdir, tmp_path / "out")
    assert (tmp_path / "out/00000001.dwal").stat().st_size < 3 * len(deep)


def raw(key, payload):
    return corpus.RAW, key, payload


CLOCK = b"datawalfs.clock 1\ntime=%d\n"


@pytest.mark.clause("S10e")
def test_times_by_clock_records_and_by_segments_are_kept(datawal, logdir, mount, tmp_path):
    logdir.mkdir()
    clocks = [raw(b"datawalfs.clock", CLOCK % (1_000_000_000 + n)) for n in range(2)]
    (logdir / "00000001.dwal").write_bytes(corpus.frames(corpus.put(b"d/before", b"")))
    (logdir / "00000002.dwal").write_bytes(corpus.frames(
        clocks[0], corpus.put(b"d/f", b""), clocks[1], corpus.put(b"d/e/g", b""),
        raw(b"d/f", b"datawalfs.attr 1\ntype=file\nmode=0600\n"),
        corpus.put(b"d/f", b"again"), first=2))
    os.utime(logdir / "00000001.dwal", ns=(3, 900_000_000_000_000_005))
    m = mount(logdir)
    m.unmount()
    before = compacted(datawal, mount, m, tmp_path / "out")
    assert before[b"d/before"]["mtime"] == 900_000_000_000_000_005
    assert before[b"d/f"]["mtime"] == 1_000_000_001_000_000_000


@pytest.mark.clause("S10e")
def test_values_only_is_what_the_reference_writes(datawal, mount, tmp_path):
    m = mount()
    give_everything(m)
    m.unmount()
    datawal("compact", m.log, tmp_path / "out", "--values-only")
    values = {base64.b64decode(row["key_b64"]): base64.b64decode(row["value_b64"])
              for row in map(json.loads, datawal("export", m.log, "-").stdout.splitlines())}
    assert (tmp_path / "out/00000001.dwal").read_bytes() == corpus.frames(
        *(corpus.put(key, value) for key, value in sorted(values.items())))


@pytest.mark.clause("S10e")
@pytest.mark.parametrize("payload", [b"", b"datawalfs.attr 2\ntype=file\n", b"datawal batch 1\n"],
                         ids=["none", "another_version", "no_header"])
def test_a_log_without_a_record_of_a_mount_gives_what_the_reference_writes(
        datawal, logdir, tmp_path, payload):
    logdir.mkdir()
    (logdir / "00000001.dwal").write_bytes(corpus.frames(
        corpus.put(b"b/c", b"1"), raw(b"datawal.batch", payload), corpus.put(b"a", b"2")))
    datawal("compact", logdir, tmp_path / "out")
    assert (tmp_path / "out/00000001.dwal").read_bytes() == corpus.frames(
        corpus.put(b"a", b"2"), corpus.put(b"b/c", b"1"))


KEYS = [b"", b"a", b"b", b"a/b", b"a/c", b"a/b/c", b"/a", b"a//b", b"a/", b".", b"..", b".log",
        b"b/..", b"a\0b", b"a/b/", b"//", b"x\\value", b"datawalfs.clock", b"datawal.batch"]


def some_time(dice):
    return b"%d.%09d" % (dice.randint(-5, 10), dice.randint(0, 999_999_999))


def some_attributes(dice, number):
    kind = dice.choice([b"file", b"dir", b"dir", b"symlink", b"none", b"fifo"])
    fields = [b"type=" + kind, *(b"%b=%b" % (name, some_time(dice)) for name in (
        b"mtime", b"atime", b"ctime") if dice.random() < 0.4)]
    for field, chance in ((b"mode=%b" % dice.choice([b"0600", b"4711"]), 0.4), (b"unknown=", 0.1),
                          (b"ino=%d" % number, 0.2), (b"xattr.user.a=YQ==", 0.2)):
        if dice.random() < chance and not (field.startswith(b"xattr") and kind == b"fifo"):
            fields.append(field)
    return b"datawalfs.attr 1\n" + b"".join(field + b"\n" for field in fields)


def some_record(dice, number):
    key, roll = dice.choice(KEYS), dice.random()
    if roll < 0.4:
        return corpus.put(key, b"x" * dice.randint(0, 3))
    if roll < 0.55:
        return corpus.delete(key)
    if roll < 0.95:
        return raw(key, some_attributes(dice, number))
    if roll < 0.98:
        return raw(b"datawalfs.clock", CLOCK % dice.randint(0, 99))
    return raw(b"datawalfs.unfinished", b"datawalfs.unfinished 1\nkey=%b\nsize=1\noffset=0\n\nx"
               % base64.b64encode(key))


def some_operation(dice, txid):
    lines = [(b"time", some_time(dice)), *((name, some_time(dice)) for name in (
        b"mtime", b"ctime", b"entered", b"found") if dice.random() < 0.3), (b"op", b"\xff%")]
    records = [some_record(dice, 10 * txid + n) for n in range(dice.randint(1, 3))]
    return b"".join(corpus.operation(txid, *records, lines=lines))


@pytest.mark.clause("S10e")
@pytest.mark.parametrize("seed", [*range(20), *(pytest.param(n, marks=pytest.mark.slow)
                                                for n in range(20, 100))])
def test_whatever_a_log_holds_the_copy_shows_the_same(datawal, logdir, mount, tmp_path, seed):
    dice = random.Random(seed)
    logdir.mkdir()
    segments = [corpus.operation(1, corpus.put(b"", b""), lines=[(b"time", b"1.000000000")])]
    segments += [[] for _ in range(dice.randint(0, 2))]
    for txid in range(2, 40):
        frames = dice.choice([some_operation, lambda dice, txid: corpus.frames(
            some_record(dice, 10 * txid), first=txid)])
        segments[txid * len(segments) // 40].append(frames(dice, txid))
    for n, segment in enumerate(segments, 1):
        (logdir / f"0000000{n}.dwal").write_bytes(b"".join(segment))
        os.utime(logdir / f"0000000{n}.dwal", ns=(5, dice.randint(0, 10 ** 18)))
    datawal("compact", logdir, tmp_path / "out")
    views = []
    for log in (logdir, tmp_path / "out"):
        m = mount(log, "ro,noatime")
        views.append((seen(m), unfinished(m)))
    assert views[1] == views[0]


def disturb(m, dice):
    """One change, or an error."""
    def name():
        return m / "/".join(dice.choice("abc") for _ in range(dice.randint(1, 3)))
    one, other = name(), name()
    dice.choice([lambda: one.write_bytes(b"x" * dice.randint(0, 9)), one.mkdir, one.mkdir,
                 lambda: one.write_bytes(b"again"), one.unlink, one.rmdir,
                 lambda: one.rename(other), lambda: one.rename(other),
                 lambda: os.chmod(one, dice.choice([0o700, 0o644, 0o755])),
                 lambda: os.utime(one, ns=(dice.randint(0, 1 << 60), dice.randint(0, 1 << 60))),
                 lambda: os.symlink("t", one), lambda: os.setxattr(one, "user.a", b"1"),
                 lambda: (m / (one.name + "\\value")).write_bytes(b"")])()


@pytest.mark.clause("S10e")
@pytest.mark.parametrize("seed", [0, 1, *(pytest.param(n, marks=pytest.mark.slow)
                                          for n in range(2, 10))])
def test_whatever_was_done_the_copy_shows_the_same(datawal, mount, tmp_path, seed):
    dice = random.Random(seed)

    def key():
        return "/".join(dice.choice("abc") for _ in range(dice.randint(1, 3)))

    m = mount()
    for _ in range(2):
        for _ in range(80):
            with suppress(OSError):
                disturb(m, dice)
        m.unmount()
        for _ in range(2):
            datawal.put(m.log, key(), b"by somebody else")
            datawal("delete", m.log, "--key", key())
        m.start()
    m.unmount()
    compacted(datawal, mount, m, tmp_path / "out")
    datawal("compact", tmp_path / "out", tmp_path / "again")
    datawal("compact", tmp_path / "again", tmp_path / "third")
    assert datawal.scan(tmp_path / "again") == datawal.scan(tmp_path / "third")
