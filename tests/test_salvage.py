# SPDX-License-Identifier: MIT OR Apache-2.0
"""datawal salvage: every intact record of a damaged log, and of its side files, into a new one."""
import base64
import os
import signal
import subprocess
import sys

import pytest

import cli
import mounting
import paths

sys.path.insert(0, str(paths.ROOT / "corpus"))
import gen_corpus as corpus  # noqa: E402

pytestmark = [pytest.mark.sanitize, pytest.mark.clause("C40")]


def write(directory, files):
    directory.mkdir()
    for name, data in files.items():
        (directory / name).write_bytes(data)
    return directory


RECORDS = [corpus.put(b"a", b"1"), corpus.put(b"b", b"lost"), corpus.put(b"c", b"3")]
SIZES = [len(corpus.frames(record)) for record in RECORDS]
FILES = {"00000001.dwal": corpus.flipped(corpus.frames(*RECORDS), SIZES[0] + SIZES[1] - 6, 1),
         "00000002.dwal": corpus.frames(corpus.put(b"d", b"4"), first=4)}


def shown(records):
    return [(r.type, r.key, r.payload) for r in records]


def test_it_says_what_is_lost_and_keeps_the_rest(datawal, logdir, tmp_path):
    log, out = write(logdir, FILES), tmp_path / "out"
    text = datawal("salvage", log, out).stdout.decode().splitlines()
    assert text[0] == (f'lost: 00000001.dwal, offset {SIZES[0]}: {SIZES[1]} bytes, CRC mismatch: '
                       'Put of key "b", txid 2, 4 bytes')
    assert [" ".join(line.split()) for line in text[1:4]] == [
        "records kept 3", "from side files 0", f"lost {SIZES[1]} bytes in 1 places"]
    assert corpus.read_directory(log) == FILES
    kept = datawal.scan(out)
    assert shown(kept[:3]) == [("Put", b"a", b"1"), ("Put", b"c", b"3"), ("Put", b"d", b"4")]
    assert kept[3].key == b"datawal.horizon" and len(kept) == 4
    datawal("check", out)
    datawal("put", out, "--key", "e", "--value", "5")

    [lost, done] = datawal.json("salvage", log, tmp_path / "again")
    assert (lost["kind"], lost["file"], lost["offset"], lost["bytes"], lost["reason"],
            lost["record_type"], lost["txid"], lost["payload_len"]) == (
                "lost", "00000001.dwal", SIZES[0], SIZES[1], "CRC mismatch", "Put", 2, 4)
    assert base64.b64decode(lost["key_base64"]) == b"b"
    assert {k: v for k, v in done.items() if k != "schema"} == {
        "kind": "salvage", "records_kept": 3, "records_from_side_files": 0, "lost_ranges": 1,
        "lost_bytes": SIZES[1], "operations_incomplete": 0, "left_out": 0}


def test_what_cannot_be_told_is_not_guessed(datawal, logdir, tmp_path):
    """The changed byte may be the key's."""
    data = corpus.flipped(corpus.frames(*RECORDS), SIZES[0] + corpus.HEADER, 2)
    write(logdir, {**FILES, "00000001.dwal": data})
    text = datawal("salvage", logdir, tmp_path / "out").stdout.decode()
    assert text.splitlines()[0].endswith("CRC mismatch: what it was is not known")


@pytest.mark.parametrize("target", ["full", "file", "log/inside", "log"])
def test_a_target_that_is_something_else_is_refused(datawal, logdir, tmp_path, target):
    log = write(logdir, FILES)
    write(tmp_path / "full", {"mine": b"here"})
    (tmp_path / "file").write_bytes(b"mine")
    cli.only_line(datawal("salvage", log, tmp_path / target, status=1))
    assert corpus.read_directory(log) == FILES
    assert (tmp_path / "full/mine").read_bytes() == b"here"
    cli.only_line(datawal("salvage", tmp_path / "absent", tmp_path / "out", status=1))
    assert not (tmp_path / "out").exists()


def test_what_side_files_hold_is_older_than_what_stands_there_now(datawal, logdir, tmp_path):
    """A torn tail with intact records behind it was cut off; then one of them was written anew."""
    torn = corpus.flipped(corpus.frames(*RECORDS), SIZES[0] + SIZES[1] - 6, 1)
    write(logdir, {"00000001.dwal": torn + corpus.frames(corpus.put(b"only here", b"x"), first=4)})
    datawal("put", logdir, "--key", "c", "--value", "new")
    [side] = [p.name for p in logdir.iterdir() if "torn" in p.name]
    assert side == f"00000001.dwal.torn-{SIZES[0]}"
    lines = datawal("salvage", logdir, tmp_path / "out").stdout.decode().splitlines()
    assert lines[0].startswith(f"lost: {side}, offset 0: {SIZES[1]} bytes, CRC mismatch: Put of key")
    assert "from side files      2" in lines[2]
    assert shown(datawal.scan(tmp_path / "out"))[:4] == [
        ("Put", b"a", b"1"), ("Put", b"c", b"3"), ("Put", b"only here", b"x"), ("Put", b"c", b"new")]
    assert datawal.get(tmp_path / "out", "c") == b"new"


def test_an_operation_that_is_cut_short_is_not_copied(datawal, logdir, tmp_path):
    records = corpus.operation(2, corpus.put(b"b", b"2"), corpus.put(b"c", b"3"))
    write(logdir, {"00000001.dwal": corpus.frames(RECORDS[0]) + b"".join(records[:-1])})
    text = datawal("salvage", logdir, tmp_path / "out").stdout.decode()
    assert "operation cut short: an operation that never was whole" in text
    assert shown(datawal.scan(tmp_path / "out"))[:1] == [("Put", b"a", b"1")]
    assert b"live keys           1" in datawal("check", tmp_path / "out").stdout


def test_one_of_which_a_record_is_lost_keeps_the_others_and_is_counted(datawal, logdir, tmp_path):
    lines = [(b"time", b"2026-11-25T10:00:00Z"), (b"op", b"r\xc3\xa4me")]
    records = corpus.operation(1, *RECORDS, lines=lines)
    data = b"".join(records)
    data = corpus.flipped(data, len(records[0]) + len(records[1]) + len(records[2]) - 6, 1)
    write(logdir, {"00000001.dwal": data, "00000002.dwal": b""})
    [_, done] = datawal.json("salvage", logdir, tmp_path / "out")
    assert done["operations_incomplete"] == 1 and done["records_kept"] == 2
    [header, *kept] = datawal.scan(tmp_path / "out", headers=True)[:3]
    assert corpus.header_of(corpus.Record(1, 0, 0, 0, header.txid, 0, header.key,
                                          header.payload)).lines == lines
    assert [r.key for r in kept] == [b"a", b"c"] and {r.txid for r in kept} == {header.txid}


def times(m):
    return {path: os.stat(m / path).st_mtime_ns for path in ("d", "d/first", "link", "plain", "old")}


@pytest.mark.clause("S16b")
def test_a_mount_shows_of_it_what_a_degraded_one_shows_of_the_log(datawal, logdir, mount, tmp_path):
    """Types, modes, times, from headers and, where there is none, from the segments."""
    datawal.put(logdir, "old", "by the command line")
    datawal("rotate", logdir)
    datawal.put(logdir, "plain", "without a header")
    datawal("rotate", logdir)
    for number, when in ((1, 1_000_000_000), (2, 1_234_567_890)):
        os.utime(logdir / f"{number:08}.dwal", ns=(when * 10**9 + 5, when * 10**9 + 7))
    m = mount(logdir, "segment_size=1K")
    os.mkdir(m / "d", 0o700)
    (m / "d/first").write_bytes(b"v" * 300)
    os.chmod(m / "d/first", 0o640)
    (m / "damaged").write_bytes(b"x" * 400)
    os.symlink("d/first", m / "link")
    os.setxattr(m / "d", "user.color", b"blue")
    (m / "end").write_bytes(b"e" * 900)
    place = [int(os.getxattr(m / "damaged", f"user.datawal.{what}")) for what in ("segment", "offset")]
    m.unmount()
    segment = logdir / f"{place[0]:08}.dwal"
    kept = os.stat(segment)
    data = bytearray(segment.read_bytes())
    data[place[1] + 200] ^= 1
    segment.write_bytes(data)
    os.utime(segment, ns=(kept.st_atime_ns, kept.st_mtime_ns))

    with pytest.raises(mounting.MountFailed):
        mount(logdir, "verify=full")
    datawal("salvage", logdir, tmp_path / "out")
    degraded, salvaged = mount(logdir, "ro", "degraded"), mount(tmp_path / "out", "ro")
    assert times(salvaged) == times(degraded)
    assert times(salvaged)["plain"] == 1_234_567_890 * 10**9 + 7
    assert set(os.listdir(degraded)) - set(os.listdir(salvaged)) == {"damaged"}
    for path in ("d", "d/first", "link", "plain", "end"):
        one, other = os.lstat(degraded / path), os.lstat(salvaged / path)
        assert (one.st_mode, one.st_ino, one.st_size) == (other.st_mode, other.st_ino, other.st_size)
    assert (salvaged / "d/first").read_bytes() == b"v" * 300
    assert os.getxattr(salvaged / "d", "user.color") == b"blue"


def test_interrupted_it_leaves_nothing(build, logdir, tmp_path):
    program = build / "src/cli/datawal"
    write(logdir, {f"{n:08}.dwal": corpus.frames(corpus.put(b"k%d" % n, b"v"), first=n)
                   for n in range(1, 2000)})
    with subprocess.Popen([program, "salvage", logdir, tmp_path / "out"], stdin=subprocess.DEVNULL,
                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as child:
        mounting.wait_for(lambda: list(tmp_path.glob(".out.*")), "the temporary directory")
        child.send_signal(signal.SIGTERM)
        _, said = child.communicate(timeout=30)
    assert child.returncode != 0 and b"was not made" in said
    assert [p.name for p in tmp_path.iterdir()] == ["log"]


def test_it_works_while_the_log_is_mounted(datawal, mount, tmp_path):
    m = mount()
    (m / "f").write_bytes(b"value")
    datawal("salvage", m.path, tmp_path / "out")
    assert datawal.get(tmp_path / "out", "f") == b"value"
    cli.only_line(datawal("salvage", m.log, m / "out", status=1))
