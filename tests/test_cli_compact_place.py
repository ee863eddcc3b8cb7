# SPDX-License-Identifier: MIT OR Apache-2.0
"""datawal compact without OUT: space is given back in place, and nothing else changes, of a log and
of a live mount."""
import json
import os
import signal
import subprocess
import time

import pytest

import gates
from cli import on_terminal, only_line
from operations import FIXTURES, corpus, lines_of, make, one_segment
from test_cli_compact import give_everything, seen

pytestmark = pytest.mark.sanitize

CLEAN = [name for name, files in FIXTURES.items() if corpus.read_log(files).verdict == "clean"]
NUMBERS = ("segments", "segments_rewritten", "segments_damaged", "records_dropped", "bytes_freed",
           "given_up_lo", "given_up_hi", "keep_txid", "held_back")
KEPT_RAW = (b"foreign", b"\0")


def records(log):
    return corpus.read_log(corpus.read_directory(log)).records


def values(log):
    """Key for key what an independent reader of wire version 1 makes of a log, which is sound."""
    read = corpus.read_log(corpus.read_directory(log))
    assert read.verdict == "clean"
    return {key: r.payload for key, r in read.live().items()}


def others(log):
    """Raw records that are neither of the format nor a mount's."""
    return [(r.key, r.payload) for r in records(log) if r.type == corpus.RAW
            and not corpus.header_of(r) and not corpus.horizon_of(r)
            and not r.payload.startswith(b"datawalfs.attr 1\n")]


def size_of(log):
    return sum(p.stat().st_size for p in log.glob("*.dwal"))


def as_of(log, txid):
    """The values as of a txid, or None where a horizon covers it."""
    found = {}
    for r in records(log):
        horizon = corpus.horizon_of(r)
        if horizon and horizon[0] <= txid < horizon[1]:
            return None
        if r.txid <= txid and r.type == corpus.PUT:
            found[r.key] = r.payload
        elif r.txid <= txid and r.type == corpus.DELETE:
            found.pop(r.key, None)
    return found


@pytest.fixture
def log(logdir):
    """Three segments: a=0..9 at txids 1 to 10, b deleted, foreign Raw records; c=new alone stays."""
    big = b"x" * 5000
    return make(logdir, {
        "00000001.dwal": corpus.frames(*(corpus.put(b"a", b"%d" % i + big) for i in range(6)),
                                       (corpus.RAW, *KEPT_RAW)),
        "00000002.dwal": corpus.frames(corpus.put(b"b", big), corpus.put(b"a", b"7" + big),
                                       corpus.delete(b"b"), first=8),
        "00000003.dwal": corpus.frames(corpus.put(b"c", b"old"), corpus.put(b"c", b"new"),
                                       corpus.delete(b"a"), first=11)})


@pytest.mark.clause("C37")
@pytest.mark.parametrize("name", CLEAN)
def test_any_log_has_the_same_values_for_any_reader(datawal, tmp_path, name):
    log = make(tmp_path / "log", FIXTURES[name])
    before, raw = values(log), others(log)
    highest = max((r.txid for r in records(log)), default=0)
    for _ in range(2):
        datawal("compact", log)
        assert values(log) == before
        assert max((r.txid for r in records(log)), default=0) == highest
    assert others(log) == raw
    datawal("check", log)


@pytest.mark.clause("C37")
def test_what_is_dead_goes_and_is_told(datawal, log):
    states = {txid: as_of(log, txid) for txid in range(14)}
    before = size_of(log)
    [said] = datawal.json("compact", log)
    assert values(log) == states[13] == {b"c": b"new"}
    assert said["kind"] == "compact" and not said["dry_run"] and said["complete"]
    assert before - said["bytes_freed"] <= size_of(log) < 500
    assert said["segments_rewritten"] == 3 and said["segments_damaged"] == 0
    assert others(log) == [KEPT_RAW]
    left = {txid: as_of(log, txid) for txid in states}
    assert all(state in (None, states[txid]) for txid, state in left.items())
    given_up = [txid for txid, state in left.items() if state is None]
    assert given_up == list(range(said["given_up_lo"], said["given_up_hi"]))
    assert left[13] is not None


@pytest.mark.clause("C33b", "C37")
def test_history_below_the_horizon_is_refused(datawal, log):
    datawal("compact", log)
    [horizon] = {line for line in lines_of(datawal("history", log, "--key", "c"))
                 if line.startswith("complete from txid ")}
    complete = int(horizon.split()[-1])
    assert as_of(log, complete) is not None and as_of(log, complete - 1) is None
    assert "given up by a compaction" in only_line(
        datawal("tag", log, "x", complete - 1, status=1))
    datawal("tag", log, "x", complete)


@pytest.mark.clause("C37")
@pytest.mark.parametrize("keep", range(1, 14))
def test_from_a_txid_on_every_state_stays(datawal, log, keep):
    states = {txid: as_of(log, txid) for txid in range(14)}
    [said] = datawal.json("compact", log, "--keep", keep)
    assert said["keep_txid"] == keep and said["given_up_hi"] <= keep
    for txid, state in states.items():
        assert as_of(log, txid) == state or (txid < keep and as_of(log, txid) is None)
    assert (size_of(log) < 40_000) == (keep > 1)


@pytest.mark.clause("C33c")
def test_of_a_size_so_much_stays(datawal, log):
    whole = size_of(log)
    datawal("compact", log, "--keep", "1M")
    assert size_of(log) == whole
    datawal("compact", log, "--keep", "12K")  # the last two values that were superseded
    assert 10_000 < size_of(log) < 12_500 + 500


@pytest.mark.clause("C33c")
def test_of_an_age_what_was_since_then_stays(datawal, logdir):
    def put(txid, when):
        return b"".join(corpus.operation(txid, corpus.put(b"a", b"x" * 1000),
                                         lines=[(b"time", b"%d.000000000" % when)]))

    now, day = int(time.time()), 86400
    one_segment(logdir, put(1, now - 5 * day), put(2, now - 2 * day), put(3, now - 3600), put(4, now))
    [said] = datawal.json("compact", logdir, "--keep", "1d")
    assert (said["keep_txid"], said["given_up_lo"], said["given_up_hi"]) == (2, 1, 2)
    assert [r.txid for r in records(logdir) if r.type == corpus.PUT] == [2, 3, 4]


@pytest.mark.clause("C37")
def test_a_moment_with_a_name_stays_until_told_otherwise(datawal, log):
    state = as_of(log, 9)
    datawal("tag", log, "end of nine", "9")
    datawal("tag", log, "later", "11")
    text = lines_of(datawal("compact", log))
    assert text[-1] == ('held back   by "end of nine" (txid 9), later (txid 11): '
                        '--drop-tags overrides')
    assert as_of(log, 9) == state and as_of(log, 8) is None
    assert not datawal.json("compact", log, "--keep", "9")[0]["held_back"]
    assert lines_of(datawal("compact", log, "--keep", "10"))[-1].startswith(
        'held back   by "end of nine" (txid 9): ')
    datawal("tag", log, "--remove", "end of nine")
    assert as_of(log, 9) == state
    datawal("compact", log, "--drop-tags")
    assert as_of(log, 9) is None and as_of(log, 11) is None
    assert lines_of(datawal("tag", log)) == ["txid=11 name=later given up by a compaction"]


@pytest.mark.clause("C37b")
def test_a_name_of_what_was_given_up_holds_nothing_back(datawal, log, mount):
    datawal("tag", log, "gone", "9")
    datawal("compact", log, "--drop-tags")
    for value in ("1", "2"):
        datawal("put", log, "--key", "new", "--value", value)
    datawal("tag", log, "kept")
    datawal("put", log, "--key", "new", "--value", "3")
    [kept] = [tag["txid"] for tag in datawal.json("tag", log) if tag["name"] == "kept"]
    done = datawal("compact", log)
    assert lines_of(done)[-1].startswith(f"held back   by kept (txid {kept})")
    assert as_of(log, kept) and as_of(log, kept - 1) is None
    m = mount(log)  # in which nothing is opened between the two
    datawal("compact", m.path, "--drop-tags")
    [done] = datawal.json("compact", m.path)
    assert not done["held_back"]


@pytest.mark.clause("C37")
@pytest.mark.parametrize("words", [[], ["--keep", "5"], ["--keep", "11K"], ["--drop-tags"]])
def test_a_dry_run_says_the_same_and_changes_nothing(datawal, log, words):
    datawal("tag", log, "t", "9")
    (log / ".lock").unlink()
    before = corpus.read_directory(log)
    with subprocess.Popen(["flock", str(log), "cat"], stdin=subprocess.PIPE) as writer:
        [would] = datawal.json("compact", log, "--dry-run", *words)
        text = lines_of(datawal("compact", log, "--dry-run", *words))
        writer.stdin.close()
    assert corpus.read_directory(log) == before
    assert would["dry_run"] and text[0].startswith("would be rewritten ")
    [done] = datawal.json("compact", log, *words)
    assert {name: would[name] for name in NUMBERS} == {name: done[name] for name in NUMBERS}


@pytest.mark.parametrize("words, what", [
    (["--keep", "14"], "txid 14 is not there yet, the highest one is 13"),
    (["--keep", "0"], "--keep takes"), (["--keep", "3x"], "--keep takes"),
    (["--keep", "2025-11-25T12:00Z"], "--keep takes"), (["--keep", ""], "--keep takes"),
    (["--values-only"], "--values-only goes with OUT"), (["out", "--keep", "3"], "without OUT"),
    (["out", "--dry-run"], "without OUT"), (["out", "--wait", "1"], "without OUT")])
def test_words_that_do_not_go_together_change_nothing(datawal, log, words, what):
    before = corpus.read_directory(log)
    assert what in only_line(datawal("compact", log, *words, status=1))
    assert {".lock": b"", **corpus.read_directory(log)} == {".lock": b"", **before}


def test_a_damaged_log_is_not_compacted(datawal, log):
    with open(log / "00000002.dwal", "r+b") as file:
        file.write(b"X")
    before = corpus.read_directory(log)
    for words in ([], ["--dry-run"]):
        assert "segment 2, offset 0" in only_line(datawal("compact", log, *words, status=3))
    assert {".lock": b"", **corpus.read_directory(log)} == {".lock": b"", **before}


def test_a_bar_is_shown_on_a_terminal(datawal, log):
    status, text = on_terminal([datawal.program, "compact", log])
    assert status == 0 and b" MiB" in text and b"\r\x1b[K" in text and b"bytes\r\n" in text


@pytest.mark.clause("C37")
def test_interrupted_it_ends_between_segments_and_says_what_was_done(datawal, log, tmp_path):
    stops, before = gates.Gates(tmp_path / "gates"), values(log)
    inodes = {p.name: p.stat().st_ino for p in log.glob("*.dwal")}
    with stops.held("rename"):
        child = subprocess.Popen(  # pylint: disable=consider-using-with
            [datawal.program, "compact", log], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env={**os.environ, **stops.environment()})
        stops.wait("rename")
        child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=30)
    stops.close()
    assert child.returncode == -signal.SIGINT
    assert err.decode().splitlines()[-1] == "datawal: interrupted: what was rewritten stays"
    assert out.decode().splitlines()[0] == "rewritten   1 of 2 segments"
    now = {p.name: p.stat().st_ino for p in log.glob("*.dwal")}
    assert sum(now[name] != ino for name, ino in inodes.items()) == 1
    assert values(log) == before
    datawal("compact", log)
    assert values(log) == before


# --- mounts ------------------------------------------------------------------------

def lasting(m):
    """What is seen but for the times of directories, which go with the records that tell them."""
    times = ("mtime", "ctime", "atime")
    return {name: {what: shown for what, shown in one.items()
                   if one["mode"][0] != "d" or what not in times} for name, one in seen(m).items()}


@pytest.mark.clause("C37", "S24a")
@pytest.mark.parametrize("live", [False, True], ids=["log", "mount"])
def test_a_mount_shows_the_same_before_and_after(datawal, mount, live):
    m = mount()
    give_everything(m)
    m.remount("noatime")
    before, read = lasting(m), values(m.log)
    if not live:
        m.unmount()
    [said] = datawal.json("compact", m.path if live else m.log)
    assert said["complete"] and said["segments_rewritten"] == 1 and said["records_dropped"]
    if not live:
        m.start()
    assert lasting(m) == before
    m.remount("noatime")
    assert lasting(m) == before and values(m.log) == read
    datawal("check", m.path)


@pytest.mark.clause("C37")
@pytest.mark.parametrize("live", [False, True], ids=["log", "mount"])
def test_of_a_log_whose_keys_are_all_removed_next_to_nothing_stays(datawal, mount, live):
    m = mount(None, "segment_size=1M")
    for i in range(300):
        (m / f"f{i}").write_bytes(os.urandom(20_000))
    for i in range(300):
        (m / f"f{i}").unlink()
    if not live:
        m.unmount()
    [said] = datawal.json("compact", m.path if live else m.log)
    assert said["bytes_freed"] > 6_000_000 and size_of(m.log) < 1 << 16
    assert values(m.log) == {}


@pytest.mark.clause("S24a")
def test_a_live_mount_tells_the_same_as_a_log(datawal, mount):
    m = mount()
    for i in range(9):
        (m / "f").write_bytes(b"%d" % i * 1000)
    txids = [v["txid"] for v in datawal.json("history", m.path, "--key", "f")]
    datawal("tag", m.path, "six", txids[6])
    [would] = datawal.json("compact", m.path, "--keep", txids[3], "--dry-run")
    [done] = datawal.json("compact", m.path, "--keep", txids[3])
    assert {n: would[n] for n in NUMBERS} == {n: done[n] for n in NUMBERS}
    assert done["keep_txid"] == txids[3] and not done["held_back"]
    text = lines_of(datawal("compact", m.path))
    assert text[-1] == f"held back   by a tag (txid {txids[6]}): --drop-tags overrides"
    assert "given up by a compaction" in only_line(
        datawal("tag", m.path, "x", txids[5], status=1))
    status, seen_there = on_terminal([datawal.program, "compact", m.path])
    assert status == 0 and b"rewritten " in seen_there


def test_a_mount_that_cannot_be_compacted_says_why(datawal, mount, log):
    m = mount(log, "ro")
    before = corpus.read_directory(log)
    assert "Read-only file system" in only_line(datawal("compact", m.path, status=1))
    assert corpus.read_directory(log) == before
    m.unmount()
    other = mount(log)
    assert "mounted" in only_line(datawal("compact", log, "--wait", "0", status=1))
    assert json.loads((other / ".log/stats.json").read_text())["compaction"]["last"] is None
