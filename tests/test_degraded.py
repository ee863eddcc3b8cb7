# SPDX-License-Identifier: MIT OR Apache-2.0
"""What is left of a damaged log: for programs, and in a mount with -o ro,degraded."""
import base64
import errno
import json
import os
import subprocess

import pytest

import mounting
import paths
import remains_model
from remains_model import Lost, corpus

pytestmark = pytest.mark.sanitize

FIXTURES = {name: files for name, files in corpus.all_fixtures().items()
            if any(corpus.SEGMENT_NAME.fullmatch(n) for n in files)}


def write(directory, files):
    directory.mkdir()
    for name, data in files.items():
        (directory / name).write_bytes(data)
    return directory


def degraded(*logs):
    """What tests/programs/degraded prints of each: (keys, lost)."""
    done = subprocess.run([paths.program("tests/degraded"), *logs], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, timeout=60, check=True)
    for part in done.stdout.split("log ")[1:]:
        keys, lost = {}, []
        for line in part.splitlines()[1:]:
            what, *words = line.split(" ")
            if what == "key":
                keys[bytes.fromhex(words[0][1:])] = (
                    None if words[1] == "!" else bytes.fromhex(words[1].removeprefix("-")))
            elif what == "lost":
                lost.append((words[0], int(words[1]), int(words[2])))
            else:
                assert what == "salvaged", line
                stats = tuple(map(int, words))
        yield keys, lost, stats


def salvaged(files):
    """(type, key, payload) of each record that a salvage keeps, and the operations they are: the
    lines of the header and how many."""
    kept, operations, current = [], [], None
    for one in remains_model.in_order(files):
        if one is None or isinstance(one, Lost):
            current = current if isinstance(one, Lost) else None
            continue
        header = corpus.header_of(one)
        if header:
            current = [header, 0]
            operations.append(current)
        elif not (corpus.horizon_of(one) or corpus.tag_of(one) or corpus.reserved(one)):
            kept.append((one.type, one.key, one.payload))
            if current and one.txid == current[0].txid and current[1] != (current[0].n or -1):
                current[1] += 1
            else:
                current = None
    return kept, [(header.lines, n) for header, n in operations if n > 1 or n and header.lines]


def check_salvaged(log, files, stats):
    """What lies in the new log."""
    read = corpus.read_log(corpus.read_directory(log))
    assert read.verdict == "clean"
    kept, operations = salvaged(files)
    records = [r for r in read.records if not corpus.header_of(r)]
    horizons = [r for r in records if corpus.horizon_of(r)]
    lost = sum(isinstance(one, Lost) for one in remains_model.in_order(files))
    assert [(r.type, r.key, r.payload) for r in records if r not in horizons] == kept
    assert stats == (len(kept), lost)
    headers = [corpus.header_of(r) for r in read.records if corpus.header_of(r)]
    assert [(h.lines, h.n) for h in headers] == operations
    assert read.more["txids_missing"] == 0 and read.report["txids_out_of_order"] == 0
    had = any(one and not isinstance(one, Lost) and corpus.horizon_of(one)
              for one in remains_model.in_order(files))
    sides = any(record for name in files if corpus.SIDE_FILE_NAME.fullmatch(name)
                for record in remains_model.remains(files[name], True)
                if not isinstance(record, Lost))
    assert len(horizons) == bool(kept and (lost or had or sides))
    if horizons:
        assert records[-1] == horizons[0] and corpus.horizon_of(horizons[0])[0] == 1


@pytest.mark.clause("C39", "C39a", "C40")
def test_of_every_fixture_what_is_intact_is_left_and_salvaged(tmp_path):
    logs = [write(tmp_path / name.replace("/", "-"), files) for name, files in FIXTURES.items()]
    found = list(degraded(*logs))
    assert len(found) == len(FIXTURES)
    for log, (name, files), (keys, lost, stats) in zip(logs, FIXTURES.items(), found):
        left = remains_model.left_of(files)
        assert lost == [(file, one.offset, one.bytes) for file, one in left
                        if isinstance(one, Lost)], name
        assert keys == remains_model.live(left), name
        assert corpus.read_directory(log) == files, name
        check_salvaged(log.with_name(log.name + ".salvaged"), files, stats)


# --- in a mount ------------------------------------------------------------------

RECORDS = [corpus.put(b"first", b"old"), corpus.put(b"d/damaged", b"v" * 50), corpus.put(b"e", b"5")]
SIZES = [len(corpus.frames(record)) for record in RECORDS]


@pytest.fixture
def damaged(logdir):
    """Of a sealed segment the second value is damaged; the next one replaces the first value."""
    data = corpus.flipped(corpus.frames(*RECORDS), SIZES[0] + SIZES[1] - 8, 1)
    return write(logdir, {"00000001.dwal": data,
                          "00000002.dwal": corpus.frames(corpus.put(b"first", b"new"), first=4)})


def fails_with(number, call, *args):
    with pytest.raises(OSError) as caught:
        call(*args)
    assert caught.value.errno == number


@pytest.mark.clause("S22c", "S22d")
def test_a_degraded_mount_shows_what_is_intact_and_eio_for_the_rest(mount, damaged, system_log):
    before = {p.name: p.read_bytes() for p in damaged.iterdir()}
    m = mount(damaged, "ro", "degraded")
    assert m.stderr.count("\n") == 1 and f"degraded: {SIZES[1]} bytes in 1 places" in m.stderr
    assert "salvage" in m.stderr and ".log/recovery" in m.stderr
    assert "degraded" in system_log()
    assert (m / "first").read_bytes() == b"new" and (m / "e").read_bytes() == b"5"
    assert os.stat(m / "d/damaged").st_size == 50
    fails_with(errno.EIO, (m / "d/damaged").read_bytes)
    fails_with(errno.EROFS, (m / "new").write_bytes, b"")
    people = (m / ".log/recovery").read_text()
    assert f"lost                    {SIZES[1]} bytes in 1 places:" in people
    assert (f"00000001.dwal, offset {SIZES[0]}: {SIZES[1]} bytes, CRC mismatch: Put of key "
            f'"d/damaged", txid 2, 50 bytes') in people
    told = json.loads((m / ".log/recovery.json").read_text())
    assert (told["lost_ranges"], told["lost_bytes"]) == (1, SIZES[1])
    [lost] = told["lost"]
    assert base64.b64decode(lost.pop("key_base64")) == b"d/damaged"
    assert lost == {"file": "00000001.dwal", "segment": 1, "offset": SIZES[0], "bytes": SIZES[1],
                    "reason": "CRC mismatch", "record_type": "Put", "txid": 2, "payload_len": 50}
    assert {p.name: p.read_bytes() for p in damaged.iterdir()} == before


@pytest.mark.clause("S22c")
def test_a_plain_mount_of_a_damaged_log_says_what_is_wrong_and_what_helps(mount, damaged):
    value = SIZES[0] + SIZES[1] - 8
    for options in (["verify=full"], ["ro", "verify=full"], ["strict", "verify=full"],
                    [], ["ro"], ["strict"]):
        if not options:  # a second byte, and so it is not certain whose value it was
            with open(damaged / "00000001.dwal", "r+b") as file:
                file.seek(value - 5)
                file.write(b"?")
        with pytest.raises(mounting.MountFailed) as caught:
            mount(damaged, *options)
        line = caught.value.stderr
        assert line.count("\n") == 1 and f"segment 1, offset {SIZES[0]}: CRC mismatch" in line
        assert "-o ro,degraded" in line and "datawal salvage" in line and "datawal report" in line


@pytest.mark.clause("S22c")
def test_degraded_goes_with_ro_only(mount, damaged):
    with pytest.raises(mounting.MountFailed) as caught:
        mount(damaged, "degraded")
    assert "-o ro,degraded" in caught.value.stderr and caught.value.stderr.count("\n") == 1


@pytest.mark.clause("S22c")
def test_a_degraded_mount_of_a_whole_log_is_a_read_only_one(datawal, logdir, mount):
    datawal.put(logdir, "f", "value")
    m = mount(logdir, "ro", "degraded")
    assert "not damaged" in m.stderr
    assert (m / "f").read_bytes() == b"value"
    assert json.loads((m / ".log/recovery.json").read_text())["lost"] == []
