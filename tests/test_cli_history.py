# SPDX-License-Identifier: MIT OR Apache-2.0
"""datawal history and stats: against a model of each fixture of the corpus, of a live mount, and of
logs that are not sound."""
import json
import os
from base64 import b64encode

import pytest

from cli import only_line
from operations import (FIXTURES, SHOWN, STATUS, THOSE, a_rename, corpus, lines_of, make,
                        one_segment, operations, says, time_of)

pytestmark = pytest.mark.sanitize


@pytest.fixture
def log(logdir):
    return a_rename(logdir)


@pytest.mark.clause("C33a")
@pytest.mark.parametrize("name", THOSE)
def test_history_shows_every_version_of_each_key(datawal, tmp_path, name):
    read = corpus.read_log(FIXTURES[name])
    log = make(tmp_path / "log", FIXTURES[name])
    versions = [(header, r) for header, records, _ in operations(read.records) for r in records
                if r.type != corpus.RAW]
    keys = list(dict.fromkeys(r.key for _, r in versions))
    for key in keys[:3]:
        done = datawal("history", log, "--key-hex", key.hex(), "--json",
                       status=STATUS[read.verdict])
        assert len(done.stderr.splitlines()) == min(len(read.damage), 1)
        shown = [json.loads(line) for line in done.stdout.splitlines()]
        horizons = [h for h in map(corpus.horizon_of, read.records) if h]
        assert [v for v in shown if v["kind"] == "complete"] == [
            {"schema": "datawal.cli.v1", "kind": "complete", "from_txid": hi} for _, hi in horizons]
        assert [v for v in shown if v["kind"] != "complete"] == [{
            "schema": "datawal.cli.v1", "kind": "version", "segment": r.segment,
            "offset": r.offset, "len": r.length, "record_type": corpus.TYPE_NAMES[r.type],
            "txid": r.txid, "key_base64": b64encode(key).decode(), "value_len": len(r.payload),
            "time": time_of(header), "op": says(header, b"op"),
        } for header, r in versions if r.key == key]
    assert corpus.read_directory(log) == FIXTURES[name]


@pytest.mark.parametrize("name", [n for n in THOSE if STATUS[corpus.read_log(FIXTURES[n]).verdict]
                                  == 0])
def test_stats_count_what_is_live(datawal, tmp_path, name):
    read = corpus.read_log(FIXTURES[name])
    log = make(tmp_path / "log", FIXTURES[name])
    *segments, total = datawal.json("stats", log)
    live = list(read.live().values())
    names = sorted(n for n in FIXTURES[name] if corpus.SEGMENT_NAME.fullmatch(n))
    expected = []
    for segment in names:
        here = [r for r in read.records if r.segment == int(segment[:8])]
        its_live = [r for r in live if r.segment == int(segment[:8])]
        size, of_it = sum(r.length for r in here), sum(r.length for r in its_live)
        expected.append({
            "schema": "datawal.cli.v1", "kind": "stats", "segment": int(segment[:8]),
            "active": segment == names[-1], "bytes": size, "records": len(here),
            "live_records": len(its_live), "live_bytes": of_it, "dead_bytes": size - of_it})
    assert segments == expected
    sizes = ("bytes", "records", "live_records", "live_bytes", "dead_bytes")
    assert total == {"schema": "datawal.cli.v1", "kind": "stats", "segments": len(names),
                     **{field: sum(one[field] for one in segments) for field in sizes},
                     "keys": len(live)}


def test_history_for_people_is_one_line_a_version(datawal, log):
    at = 32 + corpus.read_log(corpus.read_directory(log)).records[1].length
    assert lines_of(datawal("history", log, "--key", "a")) == [
        "1:0 Put txid=1 len=32 value_len=3",
        f"1:{at + 32} Delete txid=2 len=29 time={SHOWN} op=rename"]
    for key in (["--key-hex", "62"], ["--key-base64", "Yg=="]):
        assert lines_of(datawal("history", log, *key)) == [
            f"1:{at} Put txid=2 len=32 value_len=3 time={SHOWN} op=rename"]


def test_stats_for_people_is_a_table(datawal, log):
    (log / "00000002.dwal").write_bytes(corpus.frames(corpus.put(b"b", b"2"), first=4))
    rows = [line.split() for line in lines_of(datawal("stats", log))]
    size = (log / "00000001.dwal").stat().st_size
    assert rows == [
        ["segment", "records", "bytes", "live", "records", "live", "bytes", "dead", "bytes"],
        ["1", "6", str(size), "0", "0", str(size)], ["2", "1", "30", "1", "30", "0"],
        ["total", "7", str(size + 30), "1", "30", str(size)], ["keys", "1"]]


@pytest.mark.clause("C33a")
def test_history_of_a_key_that_never_was_is_status_2(datawal, log):
    for words, shown in ((["--key", "c"], "c"), (["--key", ""], '""'), (["--key-hex", "00"], "b64:AA==")):
        done = datawal("history", log, *words, status=2)
        assert done.stdout == b""
        assert only_line(done) == f"datawal: {log}: there never was such a key: {shown}\n"
    done = datawal("history", log, "--key", "c", "--json", status=2)
    assert done.stderr == b"" and json.loads(done.stdout) == {
        "schema": "datawal.cli.v1", "kind": "miss", "key_base64": "Yw=="}


def test_a_key_that_has_only_a_tombstone_was_there(datawal, logdir):
    one_segment(logdir, corpus.frames(corpus.delete(b"a")))
    assert lines_of(datawal("history", logdir, "--key", "a")) == ["1:0 Delete txid=1 len=29"]


def test_what_lies_before_a_cut_operation_is_shown_and_it_is_told(datawal, log):
    segment = log / "00000001.dwal"
    os.truncate(segment, segment.stat().st_size - 30)  # the last record, and a byte
    done = datawal("history", log, "--key", "a")
    assert lines_of(done) == ["1:0 Put txid=1 len=32 value_len=3"]
    assert "segment 1, offset 32: operation cut short: a torn tail" in only_line(done)


@pytest.mark.parametrize("key, lines", [("a", 1), ("b", 0)])
def test_history_of_a_damaged_log_is_status_3_with_what_lies_before(datawal, log, key, lines):
    segment = log / "00000001.dwal"
    segment.write_bytes(segment.read_bytes()[:32] + b"X" * 40)
    done = datawal("history", log, "--key", key, status=3)
    assert len(lines_of(done)) == lines
    assert "segment 1, offset 32: bad magic" in only_line(done)
    assert "offset 32: bad magic" in only_line(datawal("stats", log, status=3))


def test_history_and_stats_of_a_live_mount_follow_it(datawal, mount):
    m = mount()
    for value in (b"1", b"22"):
        (m / "f").write_bytes(value)
    (m / "f").unlink()
    versions = datawal.json("history", m.path, "--key", "f")
    assert [(v["record_type"], v["value_len"]) for v in versions] == [
        ("Put", 1), ("Put", 2), ("Delete", 0)]
    shown = json.loads((m / ".log/stats.json").read_text())
    *segments, total = datawal.json("stats", m.path)
    head = ("schema", "kind")
    assert [{k: v for k, v in one.items() if k not in head} for one in segments] == shown["segments"]
    assert {k: total[k] for k in shown["total"]} == shown["total"]
    assert total["keys"] == shown["keys"]
