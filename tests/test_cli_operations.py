# SPDX-License-Identifier: MIT OR Apache-2.0
"""Operations as datawal scan, dump and log show them: against a model of each fixture of the corpus,
beside a writer, and of logs that are not sound."""
import json
import os
import resource
import subprocess
import threading
from base64 import b64decode, b64encode

import pytest

import cli
import paths
from cli import only_line
from operations import (FIXTURES, SHOWN, STATUS, THOSE, a_rename, corpus, lines_of, make,
                        one_segment, operations, rename, says, time_of)

pytestmark = pytest.mark.sanitize


@pytest.fixture
def log(logdir):
    return a_rename(logdir)


def own(record):
    """What is said of a horizon or a tag."""
    horizon, tag = corpus.horizon_of(record), corpus.tag_of(record)
    if tag:
        return {"name": tag[0].decode(), "as_of": tag[1]}
    return dict(zip(("lo", "hi"), horizon)) if horizon else {}


@pytest.mark.parametrize("name", THOSE)
def test_log_shows_the_operations_backwards(datawal, tmp_path, name):
    read = corpus.read_log(FIXTURES[name])
    log = make(tmp_path / "log", FIXTURES[name])
    done = datawal("log", log, "--json", status=STATUS[read.verdict])
    assert len(done.stderr.splitlines()) == min(len(read.damage), 1)
    assert [json.loads(line) for line in done.stdout.splitlines()] == [{
        "schema": "datawal.cli.v1", "kind": "operation", "txid": first.txid,
        "time": time_of(header), "op": says(header, b"op"), "segment": first.segment,
        "offset": first.offset, "records": [{
            "record_type": corpus.TYPE_NAMES[r.type], "key_base64": b64encode(r.key).decode(),
            "payload_len": len(r.payload), **own(r)} for r in records],
    } for header, records, first in reversed(operations(read.records))]
    assert corpus.read_directory(log) == FIXTURES[name]


# --- what people see ---------------------------------------------------------------

def test_scan_shows_a_header_as_one_line_and_then_its_records(datawal, log):
    header = corpus.read_log(corpus.read_directory(log)).records[1]
    at = 32 + header.length
    assert lines_of(datawal("scan", log)) == [
        "1:0 Put txid=1 len=32 key=a value=old",
        f"1:32 Operation txid=2 len={header.length} time={SHOWN} op=rename records=3",
        f"1:{at} Put txid=2 len=32 key=b value=old", f"1:{at + 32} Delete txid=2 len=29 key=a",
        f'1:{at + 61} Raw txid=2 len=33 key=b payload="of b"',
        f"1:{at + 94} Raw txid=3 len=29 payload=x"]
    assert len(lines_of(datawal("scan", log, "--limit", "2"))) == 2
    assert lines_of(datawal("scan", log, "--from-offset", at)) == lines_of(datawal("scan", log))[2:]


def test_scan_in_json_and_dump_show_a_header_as_any_record(datawal, log):
    header = corpus.read_log(corpus.read_directory(log)).records[1]
    shown = datawal.scan(log, headers=True)[1]
    assert (shown.type, shown.key, shown.payload) == ("Raw", b"datawal.batch", header.payload)
    assert lines_of(datawal("dump", log))[1] == (
        f"1:32 Raw txid=2 len={header.length} key_len=13 payload_len={len(header.payload)}")


def test_scan_shows_what_a_compaction_has_left_without_a_number(datawal, tmp_path):
    text = lines_of(datawal("scan", make(tmp_path / "log", FIXTURES["operation_of_none"])))
    assert text[1] == "1:32 Operation txid=2 len=117 time=2025-11-25T12:00:00Z op=rename"


def test_scan_shows_a_record_with_a_headers_key_as_what_it_is(datawal, tmp_path):
    text = lines_of(datawal("scan", make(tmp_path / "log", FIXTURES["batch_key"])))
    assert text[1] == (
        '1:32 Raw txid=2 len=67 key=datawal.batch payload="a batch of something else\\n"')


def test_log_for_people_is_one_line_an_operation(datawal, log):
    assert lines_of(datawal("log", log)) == [
        "txid=3 Raw payload_len=1",
        f"txid=2 time={SHOWN} op=rename Put key=b value_len=3 Delete key=a Raw key=b payload_len=4",
        "txid=1 Put key=a value_len=3"]
    for limit in range(4):
        assert lines_of(datawal("log", log, "--limit", limit)) == lines_of(datawal("log", log))[:limit]
    assert "Delete key=61 " in datawal("log", log, "--bytes", "hex").stdout.decode()


@pytest.mark.parametrize("seconds, shown", [
    ("0.000000000", "1970-01-01T00:00:00Z"), ("0.000000001", "1970-01-01T00:00:00.000000001Z"),
    ("951782400.500000000", "2000-02-29T00:00:00.5Z"),
    ("4102444800.010000000", "2100-01-01T00:00:00.01Z"),
    ("253402300800.000000000", "10000-01-01T00:00:00Z"),
    ("-1.750000000", "1969-12-31T23:59:59.75Z"),
    *((text, None) for text in (
        "", "1", "1.", "1.5", "1.0000000000", "1.00000000x", "x.000000000", " 1.000000000",
        "+1.000000000", "-.000000000", "1.000000000 ", "9223372036854775808.000000000",
        "9223372036854775807.000000000"))])
def test_a_time_is_shown_in_utc_and_what_is_none_as_it_is(datawal, logdir, seconds, shown):
    one_segment(logdir, rename(1, (b"time", seconds.encode())))
    [operation] = datawal.json("log", logdir)
    assert operation["time"] == shown
    environment = {**os.environ, "TZ": "America/New_York"}
    line = datawal("log", logdir, env=environment).stdout.decode()
    quoted = f'"{seconds}"' if " " in seconds else seconds
    assert line.startswith(f"txid=1 time={shown or quoted} Put " if seconds else "txid=1 Put ")


def test_a_name_that_a_terminal_would_obey_is_encoded(datawal, logdir):
    one_segment(logdir, rename(1, (b"op", b"\x1b[31m")))
    for command in ("scan", "log"):
        text = datawal(command, logdir).stdout
        assert b" op=b64:G1szMW0=" in text and b"\x1b" not in text


def test_log_on_a_terminal_names_a_few_of_many(datawal, logdir):
    one_segment(logdir, *corpus.operation(1, *(corpus.put(b"%d" % i, b"") for i in range(10))),
                *corpus.operation(2, *(corpus.put(b"%d" % i, b"") for i in range(8))))
    status, seen = cli.on_terminal([datawal.program, "log", logdir])
    of_two, of_one = seen.decode().splitlines()
    assert status == 0 and of_two.count("key=") == 8 and "more" not in of_two
    assert of_one.count("key=") == 8 and of_one.endswith(" Put key=7 value_len=0 and 2 more")
    assert datawal("log", logdir).stdout.count(b"key=") == 18


# --- the whole log, however long ---------------------------------------------------

def load(datawal, logdir, keys, value=b""):
    lines = (b'{"key_b64":"%b","value_b64":"%b"}\n' % (b64encode(key), b64encode(value))
             for key in keys)
    datawal("load", logdir, "-", input=b"".join(lines))


def test_log_is_the_scan_backwards_over_many_segments_and_megabytes(datawal, logdir):
    for part in range(3):
        load(datawal, logdir, (b"%d.%d" % (part, i) for i in range(12)), bytes(200_000))
        datawal("rotate", logdir)
    txids = [one["txid"] for one in datawal.json("log", logdir)]
    assert txids == list(range(36, 0, -1))
    some = datawal.json("log", logdir, "--limit", "20")
    assert [one["txid"] for one in some] == txids[:20]
    assert [b64decode(one["records"][0]["key_base64"]) for one in some[:2]] == [b"2.11", b"2.10"]


@pytest.mark.clause("C33a")
def test_an_operation_is_shown_whole_wherever_a_stretch_of_the_log_ends(datawal, logdir):
    told = "".join("batch 8\n" + "".join(f"Put {bytes([i]).hex() * 60_000} -\n" for i in range(8))
                   for _ in range(4))
    subprocess.run([paths.program("tests/write_fixture"), logdir], input=told.encode(), check=True,
                   timeout=60)
    shown = datawal.json("log", logdir)
    assert [(one["txid"], len(one["records"])) for one in shown] == [(4, 8), (3, 8), (2, 8), (1, 8)]
    assert [b64decode(r["key_base64"])[0] for r in shown[1]["records"]] == list(range(8))


@pytest.mark.slow
def test_log_keeps_no_more_than_a_stretch_in_memory(datawal, logdir):
    """Keys of 60 MB in 40 MB of address space."""
    # AddressSanitizer wants terabytes of addresses
    limit = resource.RLIM_INFINITY if "ASAN_OPTIONS" in os.environ else 40 << 20
    load(datawal, logdir, (b"%065536d" % i for i in range(900)))
    with subprocess.Popen(["sha256sum"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as reader:
        done = subprocess.run(
            [datawal.program, "log", logdir, "--json"], stdout=reader.stdin, timeout=60,
            stderr=subprocess.PIPE, check=False,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)))
        reader.communicate()
    assert (done.returncode, done.stderr) == (0, b"")


def test_what_lies_before_a_cut_operation_is_shown_and_it_is_told(datawal, log):
    segment = log / "00000001.dwal"
    os.truncate(segment, segment.stat().st_size - 30)  # the last record, and a byte
    done = datawal("log", log)
    assert lines_of(done) == ["txid=1 Put key=a value_len=3"]
    assert "segment 1, offset 32: operation cut short: a torn tail" in only_line(done)


def test_an_operation_that_a_writer_completes_is_no_torn_tail(datawal, log):
    segment = log / "00000001.dwal"
    whole = segment.read_bytes()
    wanted = datawal("log", log, "--json").stdout
    segment.write_bytes(whole[:-60])

    def complete():
        with open(segment, "ab") as file:
            file.write(whole[-60:])

    writer = threading.Timer(0.08, complete)  # after the first look, before the last
    writer.start()
    done = datawal("log", log, "--json")
    writer.join()
    assert (done.stdout, done.stderr) == (wanted, b"")


# --- mounts ------------------------------------------------------------------------

def test_log_without_a_directory_is_of_the_current_one(datawal, mount, log):
    assert datawal("log", cwd=log).stdout == datawal("log", log).stdout
    only_line(datawal("log", cwd="/", status=1))
    m = mount()
    (m / "f").write_bytes(b"content")
    assert b" key=f value_len=7" in datawal("log", cwd=m.path).stdout
    assert datawal("log", cwd=m.path).stdout == datawal("log", m.log).stdout
