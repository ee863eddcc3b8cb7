# SPDX-License-Identifier: MIT OR Apache-2.0
"""datawal tag: names for moments, in a log and in a live mount; what log, history and tag show of
horizons and tags."""
import errno
import json
import os
import subprocess
import time

import pytest

import mountctl
from cli import only_line
from operations import FIXTURES, SHOWN, WHEN, corpus, lines_of, make, one_segment, rename

pytestmark = pytest.mark.sanitize

HORIZON = (corpus.RAW, corpus.HORIZON_KEY, b"datawal horizon 1\nlo=2\nhi=4\n")
LATER = b"1764072100.000000000"


@pytest.fixture
def log(logdir):
    """Puts at txids 1 to 3, the second and third with a time."""
    return one_segment(
        logdir, corpus.frames(corpus.put(b"a", b"1")),
        *(b"".join(corpus.operation(txid, corpus.put(b"a", b"%d" % txid), lines=[(b"time", when)]))
          for txid, when in ((2, WHEN), (3, LATER))),
        corpus.frames(corpus.put(b"a", b"4"), first=4))


def tags(log):
    """The tags as the format has them, by the codec of the corpus: {name: txid}."""
    found = {}
    for record in corpus.read_log(corpus.read_directory(log)).records:
        tag = corpus.tag_of(record)
        if tag:
            found[tag[0].decode()] = tag[1]
    return found


def only_changes_by_tags(before, log):
    after = corpus.read_log(corpus.read_directory(log)).records
    assert after[:len(before)] == before
    assert all(corpus.tag_of(r) for r in after[len(before):])


@pytest.mark.clause("C33b")
@pytest.mark.parametrize("when, txid", [
    ([], 4), (["1"], 1), (["4"], 4), (["@1764072000.12"], 2), (["2025-11-25T12:00:00.12Z"], 2),
    (["2025-11-25T13:01:39+01:00"], 2), (["2025-11-25T12:01:40Z"], 4), (["@1764080000"], 4)])
def test_a_name_is_given_to_a_moment(datawal, log, when, txid):
    before = corpus.read_log(corpus.read_directory(log)).records
    assert lines_of(datawal("tag", log, "v1", *when)) == [f"txid={txid} name=v1"]
    assert tags(log) == {"v1": txid}
    assert datawal.json("tag", log) == [{"schema": "datawal.cli.v1", "kind": "tag", "name": "v1",
                                         "txid": txid, "given_up": False}]
    only_changes_by_tags(before, log)


@pytest.mark.parametrize("words, what", [
    (["x", "5"], "txid 5 is not there yet, the highest one is 4"),
    (["x", "@1764071999"], "no operation in it is known to be as old as that"),
    (["x", "@9999999999"], "that moment is yet to come"),
    (["x", "0"], "'0' is no moment"), (["x", "today"], "'today' is no moment"),
    (["x", "2025-11-25T12:00"], "'2025-11-25T12:00' is no moment"),
    ([""], "it is empty"), (["a\nb"], "not UTF-8 that a terminal shows"),
    ([b"\xff"], "not UTF-8 that a terminal shows"), (["7"], "it reads as a txid or a time"),
    (["x" * 256], "longer than 255 bytes"), (["@x"], "it begins with - or @"),
    (["x", "1", "y"], "'y' is one operand too many"),
    (["x", "--remove", "y"], "--remove NAME takes no other name")])
def test_what_is_no_name_or_no_moment_changes_nothing(datawal, log, words, what):
    before = {".lock": b"", **corpus.read_directory(log)}
    done = datawal("tag", log, *words, status=1)
    assert what in only_line(done) and done.stdout == b""
    assert {".lock": b"", **corpus.read_directory(log)} == before


def test_a_log_without_times_or_records_has_no_such_moment(datawal, logdir):
    one_segment(logdir, corpus.frames(corpus.put(b"a", b"1")))
    assert "says when it took place: give a txid" in only_line(
        datawal("tag", logdir, "x", "@1764072000", status=1))
    (logdir / "00000001.dwal").write_bytes(b"")
    assert "there is no moment to name yet" in only_line(datawal("tag", logdir, "x", status=1))
    assert lines_of(datawal("tag", logdir)) == []


def test_a_name_is_moved_and_taken_back(datawal, log):
    for words in (["b", "3"], ["a", "3"], ["c", "1"], ["c", "2"]):
        datawal("tag", log, *words)
    assert lines_of(datawal("tag", log)) == ["txid=2 name=c", "txid=3 name=a", "txid=3 name=b"]
    assert datawal("tag", log, "--remove", "a").stdout == b""
    assert lines_of(datawal("tag", log)) == ["txid=2 name=c", "txid=3 name=b"]
    assert tags(log)["a"] == 0
    before = corpus.read_directory(log)
    for name in ("a", "d"):
        assert f"'{name}' is no name of a moment" in only_line(
            datawal("tag", log, "--remove", name, status=2))
    assert corpus.read_directory(log) == before


@pytest.mark.parametrize("name", ["100 % sure", "täglich", "a=b", "\"'\\"])
def test_any_name_reads_back_as_it_was_given(datawal, log, name):
    datawal("tag", log, name, "2")
    assert [one["name"] for one in datawal.json("tag", log)] == [name] and tags(log) == {name: 2}
    datawal("tag", log, "--remove", name)
    assert datawal.json("tag", log) == []


def test_listing_takes_no_lock_and_naming_does(datawal, log):
    datawal("tag", log, "v1")
    before = corpus.read_directory(log)
    with subprocess.Popen(["flock", str(log / ".lock"), "cat"], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as holder:
        holder.stdin.write(b"\n")
        holder.stdin.flush()
        assert holder.stdout.readline() == b"\n"
        assert lines_of(datawal("tag", log)) == ["txid=4 name=v1"]
        assert "locked" in only_line(datawal("tag", log, "v2", "--wait", "0", status=1))
        holder.stdin.close()
    before[".lock"] = b""
    assert corpus.read_directory(log) | {".lock": b""} == before


# --- horizons ---------------------------------------------------------------------

@pytest.fixture
def given_up(logdir):
    """Of a: 1, then nothing up to 3, then 4; the horizon in the place of 3."""
    return one_segment(logdir, corpus.frames(corpus.put(b"a", b"1")), corpus.frames(HORIZON, first=3),
                       corpus.frames(corpus.put(b"a", b"4"), corpus.delete(b"b"), first=4))


@pytest.mark.clause("C33b")
def test_a_moment_that_was_given_up_gets_no_name(datawal, given_up):
    for txid in (2, 3):
        said = only_line(datawal("tag", given_up, "x", txid, status=1))
        assert f"the state as of txid {txid} was given up by a compaction" in said
        assert "complete from txid 4" in said
    for txid in (1, 4, 5):
        datawal("tag", given_up, f"at {txid}", txid)
    assert sorted(tags(given_up).values()) == [1, 4, 5]


@pytest.mark.clause("C33b")
def test_history_says_from_where_it_is_complete(datawal, given_up):
    assert lines_of(datawal("history", given_up, "--key", "a")) == [
        "complete from txid 4", "1:0 Put txid=1 len=30 value_len=1",
        f"1:{30 + 71} Put txid=4 len=30 value_len=1"]
    head = {"schema": "datawal.cli.v1", "kind": "complete", "from_txid": 4}
    assert datawal.json("history", given_up, "--key", "b")[0] == head
    gone = datawal("history", given_up, "--key", "c", "--json", status=2)
    assert [json.loads(line)["kind"] for line in gone.stdout.splitlines()] == ["complete", "miss"]
    assert "no version of such a key is left: c" in only_line(
        datawal("history", given_up, "--key", "c", status=2))


def test_log_shows_horizons_and_tags(datawal, given_up):
    datawal("tag", given_up, "two words", "5")
    datawal("tag", given_up, "--remove", "two words")
    assert lines_of(datawal("log", given_up)) == [
        'txid=7 Tag name="two words" removed', 'txid=6 Tag name="two words" as_of=5',
        "txid=5 Delete key=b", "txid=4 Put key=a value_len=1", "txid=3 Horizon lo=2 hi=4",
        "txid=1 Put key=a value_len=1"]
    shown = {one["txid"]: one["records"][0] for one in datawal.json("log", given_up)}
    assert (shown[3]["lo"], shown[3]["hi"]) == (2, 4)
    assert (shown[6]["name"], shown[6]["as_of"]) == ("two words", 5) and shown[7]["as_of"] == 0


def test_a_horizon_behind_a_header_and_a_header_of_nothing_are_shown(datawal, logdir):
    """As a compaction leaves an operation: its time stays as long as one of its records does."""
    one_segment(logdir, rename(2, (b"time", WHEN), (b"op", b"rename")),
                b"".join(corpus.operation(3, (corpus.RAW, b"d", b"x"), lines=[(b"op", b"mkdir")])))
    records = corpus.read_log(corpus.read_directory(logdir)).records
    of_none = [corpus.encode(corpus.RAW, r.txid, r.key, b"\n".join(
        [b"datawal batch 1", b"txid=%d" % r.txid, b"n=0", b"bytes=0", b"crc="]
        + [line for line in r.payload.split(b"\n")[5:]])) for r in records if corpus.header_of(r)]
    (logdir / "00000001.dwal").write_bytes(
        of_none[0] + corpus.encode(corpus.PUT, 2, b"b", b"old")
        + corpus.encode(corpus.RAW, 2, *HORIZON[1:]) + of_none[1])
    assert lines_of(datawal("log", logdir)) == [
        "txid=3 op=mkdir", f"txid=2 time={SHOWN} op=rename Put key=b value_len=3 Horizon lo=2 hi=4"]


def test_tags_of_a_fixture(datawal, tmp_path):
    log = make(tmp_path / "log", FIXTURES["horizon_and_tag"])
    assert lines_of(datawal("tag", log)) == [
        'txid=1 name="before the move, 100%" given up by a compaction']


# --- a live mount -----------------------------------------------------------------

@pytest.mark.clause("S24i")
def test_a_moment_of_a_live_mount_gets_a_name(datawal, mount):
    m = mount()
    for value in (b"1", b"22"):
        (m / "f").write_bytes(value)
    [one, two] = [v["txid"] for v in datawal.json("history", m.path, "--key", "f")]
    assert lines_of(datawal("tag", m.path, "now")) == [f"txid={two} name=now"]
    assert lines_of(datawal("tag", m.path, "first", one, "--sync")) == [f"txid={one} name=first"]
    said = datawal.json("tag", m.path, "then", f"@{time.time():.3f}")
    assert [s["name"] for s in said] == ["then"] and said[0]["txid"] >= two
    shown = {s["name"]: s["txid"] for s in datawal.json("tag", m.path)}
    assert shown == {"now": two, "first": one, "then": said[0]["txid"]}
    assert datawal("tag", m.path, "--remove", "then").stdout == b""
    assert "is no name of a moment" in only_line(datawal("tag", m.path, "--remove", "x", status=2))
    assert "is not there yet" in only_line(datawal("tag", m.path, "x", "999", status=1))
    (m / "f").write_bytes(b"333")
    m.unmount()
    assert [s["name"] for s in datawal.json("tag", m.log)] == ["first", "now"]


@pytest.mark.clause("S24i")
def test_a_mount_is_asked_for_names_of_moments_only(mount):
    """What the command would not ask for, other programs may."""
    m = mount()
    with pytest.raises(OSError) as nothing_yet:
        mountctl.tag(m, b"x")
    (m / "d").mkdir()
    txid = mountctl.tag(m, b"now")
    before = corpus.read_directory(m.log)
    wrong = [(m, b"x" * 260, 0), (m, b"x" * 256, 0), (m, b"7", 0), (m, b"", 0), (m, b"a\nb", 0),
             (m, b"x", txid + 2), (m, b"x", 1 << 63), (m / "d", b"x", 0)]
    found = [nothing_yet.value.errno]
    for one in wrong:
        with pytest.raises(OSError) as caught:
            mountctl.tag(*one)
        found.append(caught.value.errno)
    assert found == [errno.ERANGE, *[errno.EILSEQ] * 5, errno.ERANGE, errno.ERANGE, errno.ENOTTY]
    assert corpus.read_directory(m.log) == before and tags(m.log) == {"now": txid}


@pytest.mark.clause("S24i")
def test_a_read_only_mount_gives_no_names(datawal, mount, log):
    m = mount(log, "ro")
    before = corpus.read_directory(log)
    assert "Read-only file system" in only_line(datawal("tag", m.path, "x", status=1))
    assert lines_of(datawal("tag", m.path)) == []
    assert corpus.read_directory(log) == before
    assert os.listdir(m.path) == ["a"]
