# SPDX-License-Identifier: MIT OR Apache-2.0
"""datawal scan, get, list, report, verify: what they show, that they change nothing, and what they
say of a log that is not sound."""
import json
import re
import resource
import struct
import subprocess
import sys
import threading
import time
from base64 import b64encode

import pytest

import cli
import paths
from cli import only_line

sys.path.insert(0, str(paths.ROOT / "corpus"))
import gen_corpus as corpus  # noqa: E402

pytestmark = pytest.mark.sanitize

INSPECTIONS = [["scan"], ["get", "--key", "alpha"], ["list"], ["report"], ["verify"],
               ["scan", "--json"], ["report", "--json"], ["verify", "--json"],
               ["history", "--key", "alpha"], ["log"], ["stats"]]
FIELDS = {
    "record": ["segment", "offset", "len", "record_type", "txid", "key_base64", "payload_base64"],
    "value": ["key_base64", "value_base64", "value_len"],
    "miss": ["key_base64"],
    "key": ["key_base64", "value_len"],
    "report": ["files_scanned", "records_replayed", "tail_truncated", "tail_bytes_discarded",
               "mid_stream_errors", "unsupported_versions", "last_txid_seen", "raw_records",
               "txids_out_of_order", "intact_records_behind", "intact_bytes_behind",
               "intact_lowest_txid", "intact_highest_txid", "txids_missing", "first_gap",
               "damage", "side_files_base64"],
    "verify": ["frames_checked", "crc_failures", "tail_truncated", "tail_bytes_discarded",
               "last_segment", "last_offset", "intact_records_behind", "txids_missing",
               "first_gap"],
    "version": ["segment", "offset", "len", "record_type", "txid", "key_base64", "value_len", "time",
                "op"],
    "operation": ["txid", "time", "op", "segment", "offset", "records"],
}
BINARY = bytes(range(256))
ALPHA, RAW, BETA = corpus.put(b"alpha", b"1"), corpus.raw(b"hello world"), corpus.put(b"b", BINARY)


def write(logdir, files):
    logdir.mkdir()
    for name, data in files.items():
        (logdir / name).write_bytes(data)
    return logdir


def everything_about(directory):
    about = {}
    for path in [directory, *sorted(directory.rglob("*"))]:
        s = path.lstat()
        about[path] = (s.st_ino, s.st_mode, s.st_size, s.st_mtime_ns, s.st_ctime_ns,
                       path.read_bytes() if path.is_file() else None)
    return about


@pytest.fixture
def log(logdir):
    """Two segments: alpha=1 and a Raw record; a binary value and a tombstone."""
    return write(logdir, {
        "00000001.dwal": corpus.frames(ALPHA, RAW),
        "00000002.dwal": corpus.frames(BETA, corpus.delete(b"gone"), first=3)})


@pytest.fixture
def torn(logdir):
    """alpha=1, and a Raw record that lacks its last five bytes."""
    return write(logdir, {"00000001.dwal": corpus.frames(ALPHA, RAW)[:-5]})


@pytest.fixture
def damaged(logdir):
    """Segment 1 ends in a bad CRC, segment 2 in bad magic, segment 3 is sound."""
    return write(logdir, {
        "00000001.dwal": corpus.flipped(corpus.frames(ALPHA, RAW), 60, 1),
        "00000002.dwal": corpus.frames(BETA, first=3) + b"X" * 40,
        "00000003.dwal": corpus.frames(ALPHA, first=4)})


def fields_of(done):
    objects = [json.loads(line) for line in done.stdout.splitlines()]
    for one in objects:
        assert list(one) == ["schema", "kind", *FIELDS[one["kind"]]]
        assert one["schema"] == "datawal.cli.v1"
    return objects


# --- the objects of --json -----------------------------------------------------

def test_json_of_scan_gives_every_record_whole(datawal, log):
    records = fields_of(datawal("scan", log, "--json"))
    assert [r["segment"] for r in records] == [1, 1, 2, 2]
    assert [r["offset"] for r in records] == [0, 34, 0, 285]
    assert [r["len"] for r in records] == [34, 39, 285, 32]
    assert [r["record_type"] for r in records] == ["Put", "Raw", "Put", "Delete"]
    assert [r["txid"] for r in records] == [1, 2, 3, 4]
    assert records[2]["payload_base64"] == b64encode(BINARY).decode()


def test_json_of_get_tells_hit_from_miss(datawal, log):
    [hit] = fields_of(datawal("get", log, "--key", "b", "--json"))
    assert hit["kind"] == "value" and hit["value_len"] == 256
    assert hit["value_base64"] == b64encode(BINARY).decode()
    [miss] = fields_of(datawal("get", log, "--key", "gone", "--json", status=2))
    assert miss["kind"] == "miss" and miss["key_base64"] == "Z29uZQ=="


def test_json_of_list_report_and_verify_have_their_fields(datawal, log):
    keys = fields_of(datawal("list", log, "--json"))
    assert [(k["key_base64"], k["value_len"]) for k in keys] == [("YWxwaGE=", 1), ("Yg==", 256)]
    [report] = fields_of(datawal("report", log, "--json"))
    assert (report["files_scanned"], report["records_replayed"], report["last_txid_seen"],
            report["raw_records"], report["damage"]) == (2, 4, 4, 1, [])
    [verify] = fields_of(datawal("verify", log, "--json"))
    assert verify["frames_checked"] == 4 and verify["crc_failures"] == 0
    assert (verify["last_segment"], verify["last_offset"]) == (2, 285)


def test_verify_names_the_start_of_the_last_frame(datawal, log):
    (log / "00000007.dwal").touch()
    [verify] = fields_of(datawal("verify", log, "--json"))
    assert (verify["last_segment"], verify["last_offset"]) == (2, 285)
    assert b"segment 2, offset 285\n" in datawal("verify", log).stdout
    for segment in log.glob("*.dwal"):
        segment.write_bytes(b"")
    [verify] = fields_of(datawal("verify", log, "--json"))
    assert (verify["last_segment"], verify["last_offset"]) == (0, 0)


# --- what people see -----------------------------------------------------------

def test_scan_for_people_is_one_line_a_record(datawal, log):
    lines = datawal("scan", log).stdout.decode().splitlines()
    assert lines[:2] == ["1:0 Put txid=1 len=34 key=alpha value=1",
                         '1:34 Raw txid=2 len=39 payload="hello world"']
    assert lines[2] == f"2:0 Put txid=3 len=285 key=b value=b64:{b64encode(BINARY).decode()}"
    assert lines[3] == "2:285 Delete txid=4 len=32 key=gone"


def test_list_for_people_is_size_and_key(datawal, log):
    assert [line.split() for line in datawal("list", log).stdout.decode().splitlines()] == [
        ["1", "alpha"], ["256", "b"]]


@pytest.mark.parametrize("value, shown", [
    (b"plain", "plain"), ("Größe".encode(), "Größe"), (b"", '""'), (b"two words", '"two words"'),
    (b'say "x"', r'"say \"x\""'), (b"back\\slash", r'"back\\slash"'), (b"it's", '"it\'s"'),
    (b"line\nline\t\r", r'"line\nline\t\r"'), (b"b64:YQ==", '"b64:YQ=="'),
    (b"hex:61", '"hex:61"'), (b"\x00", "b64:AA=="), (b"\x1b[31m", "b64:G1szMW0="),
    (b"\xff", "b64:/w=="), (b"\xc0\x80", "b64:wIA="),
    (b"\xc1\xa1", "b64:waE="), (b"\xe0\x80\xaf", "b64:4ICv"), (b"\xed\xa0\x80", "b64:7aCA"),
    ("\u202e".encode(), "b64:4oCu"), (b"\xc2\x9b", "b64:wps="), (b"\x7f", "b64:fw=="),
    (b"cut \xe2\x82", "b64:Y3V0IOKC"), (b"\xf4\x90\x80\x80", "b64:9JCAgA==")])
def test_text_is_shown_as_it_is_and_other_bytes_encoded(datawal, logdir, value, shown):
    write(logdir, corpus.one(corpus.put(b"k", value)))
    text = datawal("scan", logdir).stdout.decode()
    assert text == f"1:0 Put txid=1 len={29 + len(value)} key=k value={shown}\n"


@pytest.mark.parametrize("form, shown", [
    ("auto", "b64:AGE="), ("raw", "\0a"), ("base64", "AGE="), ("hex", "0061")])
def test_bytes_says_how_fields_are_shown(datawal, logdir, form, shown):
    write(logdir, corpus.one(corpus.put(b"\0a", b"\0a")))
    line = datawal("scan", logdir, "--bytes", form).stdout.decode()
    assert line.endswith(f" key={shown} value={shown}\n")
    assert datawal("list", logdir, "--bytes", form).stdout.decode() == f"        2 {shown}\n"
    got = datawal("get", logdir, "--key-hex", "0061", "--bytes", form).stdout.decode()
    assert got == (f"{shown}\n" if form in ("base64", "hex") else "\0a")


@pytest.mark.parametrize("value, shown", [
    (b"x" * 64, "x" * 64), (b"x" * 65, "x" * 64 + "..."),
    ("x".encode() * 63 + "ä".encode(), "x" * 63 + "..."),
    (b"a b" + b"x" * 62, '"a b' + "x" * 61 + '"...')])
def test_fields_are_cut_at_64_bytes_on_a_terminal_and_nowhere_else(datawal, logdir, value, shown):
    write(logdir, corpus.one(corpus.put(value, value)))
    scan = [datawal.program, "scan", logdir]
    assert on_terminal(*scan).endswith(f" key={shown} value={shown}\n".encode())
    assert on_terminal(datawal.program, "list", logdir).split(maxsplit=1)[1] == f"{shown}\n".encode()
    for line in (datawal("scan", logdir).stdout, on_terminal(*scan, "--no-truncate")):
        assert b"..." not in line and line.count(value) == 2
    assert datawal("list", logdir).stdout.count(value) == 1
    assert datawal("get", logdir, "--key-hex", value.hex()).stdout == value


@pytest.mark.parametrize("value", [b"", b"text", b"a line\n", b"two\nlines", BINARY, b"\0" * 100_000,
                                   b"b64:YQ==", b"x" * 65], ids=lambda value: repr(value[:9]))
def test_get_writes_exactly_the_bytes_where_no_terminal_is(datawal, logdir, tmp_path, value):
    write(logdir, corpus.one(corpus.put(b"k", value)))
    for more in ([], ["--raw"], ["--bytes", "raw"], ["--no-truncate"]):
        assert datawal("get", logdir, "--key", "k", *more).stdout == value
    with open(tmp_path / "copy", "wb") as copy:
        subprocess.run([datawal.program, "get", logdir, "--key", "k"], stdout=copy, check=True)
    assert (tmp_path / "copy").read_bytes() == value
    datawal("put", tmp_path / "other", "--key", "k", "--file", tmp_path / "copy")
    assert datawal("get", tmp_path / "other", "--key", "k").stdout == value


def test_get_names_the_key_that_it_misses(datawal, log):
    for words, shown in ((["--key", "beta"], "beta"), (["--key", ""], '""'),
                         (["--key", "two words"], '"two words"'), (["--key-hex", "00"], "b64:AA=="),
                         (["--key", "x" * 65536], "x" * 64 + "...")):
        line = only_line(datawal("get", log, *words, status=2))
        assert line == f"datawal: {log}: no such key: {shown}\n"


def test_get_raw_writes_exactly_the_bytes(datawal, log):
    for key in (["--key", "b"], ["--key-hex", "62"], ["--key-base64", "Yg=="]):
        assert datawal("get", log, *key, "--raw").stdout == BINARY


def on_terminal(*command):
    """What a command that ends well writes to a terminal that is its stdout and stderr."""
    status, seen = cli.on_terminal(command)
    assert status == 0
    return seen.replace(b"\r\n", b"\n")


def test_get_is_cut_on_a_terminal_only(datawal, logdir):
    write(logdir, corpus.one(corpus.put(b"k", b"x" * 100)))
    get = [datawal.program, "get", logdir, "--key", "k"]
    assert on_terminal(*get) == b"x" * 64 + b"...\n"
    assert on_terminal(*get, "--no-truncate") == b"x" * 100 + b"\n"
    assert on_terminal(*get, "--raw") == b"x" * 100
    assert on_terminal(*get, "--bytes", "hex") == b"78" * 64 + b"...\n"


def test_get_on_a_terminal_shows_no_byte_that_the_terminal_would_obey(datawal, logdir):
    write(logdir, corpus.one(corpus.put(b"k", b"\x1b[31m")))
    assert on_terminal(datawal.program, "get", logdir, "--key", "k") == b"b64:G1szMW0=\n"


def test_verify_draws_a_bar_on_a_terminal_only(datawal, logdir):
    write(logdir, corpus.one(corpus.raw(bytes(2 << 20))))
    assert b"[####" in on_terminal(datawal.program, "verify", logdir)
    assert datawal("verify", logdir).stderr == b""


def test_report_for_people_names_each_damage_and_side_file(datawal, damaged):
    (damaged / "00000003.dwal.torn-12").write_bytes(b"x")
    text = datawal("report", damaged, status=3).stdout.decode()
    assert "segment 1, offset 34: CRC mismatch; 39 bytes" in text
    assert "segment 2, offset 285: bad magic; 40 bytes" in text
    assert "  00000003.dwal.torn-12\n" in text
    assert re.search(r"^segments +3$", text, re.M)


# --- where a scan begins and ends ----------------------------------------------

@pytest.mark.parametrize("words, txids", [
    (["--limit", "0"], []), (["--limit", "3"], [1, 2, 3]), (["--limit", "9"], [1, 2, 3, 4]),
    (["--from-segment", "2"], [3, 4]), (["--from-segment", "9"], []),
    (["--from-segment", "1", "--from-offset", "34"], [2, 3, 4]), (["--from-offset", "34"], [2, 3, 4]),
    (["--from-segment", "2", "--from-offset", "285", "--limit", "1"], [4]),
    (["--from-segment", "1", "--from-offset", "73"], [3, 4]),
    (["--from-segment", "2", "--from-offset", "317"], [])])
def test_scan_begins_and_ends_where_it_is_told(datawal, log, words, txids):
    done = datawal("scan", log, "--json", *words)
    assert [r["txid"] for r in fields_of(done)] == txids


@pytest.mark.parametrize("words", [
    ["--from-offset", "1"], ["--from-offset", "33"], ["--from-offset", "74"],
    ["--from-offset", "9999"], ["--from-segment", "2", "--from-offset", "284"],
    ["--from-segment", "2", "--from-offset", "318"],
    ["--from-segment", "3", "--from-offset", "1"]])
def test_an_offset_at_which_no_record_starts_is_an_error(datawal, log, words):
    done = datawal("scan", log, *words, status=1)
    assert done.stdout == b""
    line = only_line(done)
    assert "segment" in line and f"offset {words[-1]}:" in line


def test_a_frame_inside_a_value_is_no_record(datawal, logdir):
    inner = corpus.frames(corpus.put(b"inner", b"1"))
    write(logdir, corpus.one(corpus.put(b"outer", inner)))
    only_line(datawal("scan", logdir, "--from-offset", 24 + len(b"outer"), status=1))


# --- logs that are not sound ---------------------------------------------------

def test_a_torn_tail_is_status_2_and_what_lies_before_is_shown(datawal, torn):
    before = everything_about(torn)
    done = datawal("scan", torn, status=2)
    assert done.stdout == b"1:0 Put txid=1 len=34 key=alpha value=1\n"
    for command in ("scan", "report", "verify"):
        line = only_line(datawal(command, torn, status=2))
        assert "segment 1, offset 34" in line and "torn tail" in line
    [verify] = fields_of(datawal("verify", torn, "--json", status=2))
    assert (verify["tail_truncated"], verify["tail_bytes_discarded"],
            verify["last_offset"]) == (1, 34, 0)
    [report] = fields_of(datawal("report", torn, "--json", status=2))
    assert report["damage"] == [{"segment": 1, "offset": 34, "bytes": 34,
                                 "reason": "truncated record", "torn_tail": True,
                                 "intact_records": 0, "intact_lowest_txid": 0,
                                 "intact_highest_txid": 0}]
    assert everything_about(torn) == before


def test_a_torn_tail_does_not_keep_a_live_key_from_being_read(datawal, torn):
    assert datawal("get", torn, "--key", "alpha").stdout == b"1"
    assert datawal("list", torn).stdout == b"        1 alpha\n"
    assert "no such key" in only_line(datawal("get", torn, "--key", "beta", status=2))


def test_damage_is_status_3_and_names_segment_offset_and_reason(datawal, damaged):
    before = everything_about(damaged)
    for words in (["scan"], ["get", "--key", "alpha"], ["list"], ["report"],
                  ["put", "--key", "a", "--value", "1"], ["rotate"], ["export", "-"]):
        line = only_line(datawal(words[0], damaged, *words[1:], status=3))
        assert "segment 1" in line and "offset 34" in line and "CRC mismatch" in line
    after = everything_about(damaged)
    after.pop(damaged / ".lock", None)  # the writers' only trace
    assert {p: v[-1] for p, v in after.items()} == {p: v[-1] for p, v in before.items()}


def test_verify_goes_on_behind_a_damaged_segment(datawal, damaged):
    done = datawal("verify", damaged, "--json", status=3)
    [verify] = fields_of(done)
    assert (verify["frames_checked"], verify["crc_failures"]) == (3, 1)
    assert (verify["last_segment"], verify["last_offset"]) == (3, 0)
    lines = done.stderr.decode().splitlines()
    assert len(lines) == 2
    assert "CRC mismatch" in lines[0] and "bad magic" in lines[1]


def test_verify_takes_no_damage_in_the_last_segment_for_a_torn_tail(datawal, logdir):
    write(logdir, {"00000001.dwal": corpus.frames(ALPHA) + b"X" * 40})
    [verify] = fields_of(datawal("verify", logdir, "--json", status=3))
    assert (verify["frames_checked"], verify["crc_failures"], verify["tail_truncated"],
            verify["last_offset"]) == (1, 0, 0, 0)


def test_segment_0_is_a_segment_like_the_others(datawal, logdir):
    segment = write(logdir, {"00000000.dwal": corpus.frames(ALPHA, RAW)[:-5]}) / "00000000.dwal"
    for command in ("scan", "report", "verify"):
        assert "segment 0, offset 34" in only_line(datawal(command, logdir, status=2))
    segment.write_bytes(corpus.flipped(corpus.frames(ALPHA, RAW), 34, 1))
    (logdir / "00000001.dwal").write_bytes(corpus.frames(ALPHA, first=3))
    [verify] = fields_of(datawal("verify", logdir, "--json", status=3))
    assert (verify["frames_checked"], verify["last_segment"]) == (2, 1)


# --- beside a writer -----------------------------------------------------------

@pytest.mark.parametrize("words", INSPECTIONS, ids=" ".join)
def test_inspection_changes_nothing_and_works_beside_a_writer(datawal, log, words):
    (log / ".lock").touch()
    before = everything_about(log)
    with subprocess.Popen(["flock", "--exclusive", "--nonblock", log / ".lock", "sh", "-c",
                           "echo held; cat"], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as writer:
        assert writer.stdout.readline() == b"held\n"
        assert datawal(words[0], log, *words[1:]).stderr == b""
        only_line(datawal("rotate", log, "--wait", "0", status=1))
        writer.stdin.close()
    assert everything_about(log) == before


@pytest.mark.parametrize("command", ["scan", "report", "verify"])
def test_a_tail_that_a_writer_completes_is_no_torn_tail(datawal, torn, command):
    segment = torn / "00000001.dwal"
    rest = corpus.frames(ALPHA, RAW)[-5:]

    def complete():
        with open(segment, "ab") as file:
            file.write(rest)

    writer = threading.Timer(0.08, complete)  # after the first look, before the last
    writer.start()
    done = datawal(command, torn, "--json")
    writer.join()
    assert done.stderr == b""
    if command == "scan":
        assert [r["txid"] for r in fields_of(done)] == [1, 2]
    elif command == "report":
        assert fields_of(done)[0]["records_replayed"] == 2
    else:
        assert fields_of(done)[0]["frames_checked"] == 2


@pytest.mark.parametrize("command", ["scan", "report", "verify"])
def test_a_tail_that_keeps_growing_is_no_torn_tail(datawal, logdir, command):
    write(logdir, {"00000001.dwal": corpus.frames(ALPHA) + struct.pack(
        "<4sHBBQII", b"DWAL", 1, 0, 0, 2, 0, corpus.MAX_PAYLOAD)})
    done = threading.Event()

    def grow():
        with open(logdir / "00000001.dwal", "ab", buffering=0) as file:
            while not done.wait(0.005):
                file.write(b"x")

    writer = threading.Thread(target=grow)
    writer.start()
    try:
        result = datawal(command, logdir, "--json")
    finally:
        done.set()
        writer.join()
    assert result.stderr == b""
    for one in fields_of(result):
        assert one.get("tail_truncated", 0) == 0 and one.get("damage", []) == []


def test_an_untouched_torn_tail_is_told_within_a_second(datawal, torn):
    start = time.monotonic()
    datawal("scan", torn, status=2)
    assert time.monotonic() - start < 5


def test_a_log_of_thousands_of_segments_needs_no_setting(datawal, logdir):
    write(logdir, {f"{i:08}.dwal": b"" for i in range(1, 1500)})
    (logdir / "00001500.dwal").write_bytes(corpus.frames(ALPHA))
    done = datawal("list", logdir, preexec_fn=lambda: resource.setrlimit(
        resource.RLIMIT_NOFILE, (1024, 4096)))
    assert done.stdout == b"        1 alpha\n"
