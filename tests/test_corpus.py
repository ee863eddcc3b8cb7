# SPDX-License-Identifier: MIT OR Apache-2.0
"""Every frozen log directory of corpus/ reads as its dump says, in the CLI and in the independent
decoder; the valid ones are written again byte for byte; torn ones are repaired and damaged ones
refused as FORMAT.md says."""
import json
import os
import re
import shutil
import subprocess
import sys
from base64 import b64decode
from concurrent.futures import ThreadPoolExecutor

import pytest

import paths

CORPUS = paths.ROOT / "corpus"
sys.path.insert(0, str(CORPUS))
import gen_corpus as corpus  # noqa: E402

FIXTURES = corpus.all_fixtures()
STATUS = {"clean": 0, "torn-tail": 2, "hard-error": 3}
REASONS = {
    "truncated": "truncated record",
    "bad-crc": "CRC mismatch",
    "zeroed-header": "zeros in the record header",
    "partial-operation": "operation cut short",
    "bad-magic": "bad magic",
    "bad-version": "unsupported version",
    "bad-type": "unknown record type",
    "bad-flags": "flags not zero",
    "key-too-long": "key length over the limit",
    "payload-too-long": "payload length over the limit",
}
covered = set()


def those(test):
    """The fixtures that a row of README.md names for this test."""
    covered.add(test)
    return pytest.mark.parametrize(
        "name", [name for name, files in FIXTURES.items() if test in corpus.tested(files)])


def in_log(files):
    """Whether the CLI takes the directory for a log at all: it wants a segment."""
    return any(corpus.SEGMENT_NAME.fullmatch(name) for name in files)


def make(directory, files):
    directory.mkdir()
    for name, data in files.items():
        (directory / name).write_bytes(data)
    return directory


@pytest.fixture
def frozen(name, tmp_path):
    """A copy of the fixture as it lies in corpus/, with no lock file in it."""
    copy = tmp_path / "log"
    shutil.copytree(CORPUS / name, copy)
    (copy / ".lock").unlink(missing_ok=True)
    return copy


def everything_about(directory):
    """What inspection must not change."""
    about = {}
    for path in [directory, *sorted(directory.rglob("*"))]:
        stat = path.lstat()
        about[path.name] = (stat.st_ino, stat.st_mode, stat.st_size, stat.st_mtime_ns,
                            stat.st_ctime_ns, path.read_bytes() if path.is_file() else None)
    return about


def the_line(done):
    """The one line on stderr."""
    text = done.stderr.decode()
    assert re.fullmatch(r"datawal: [^\n]+\n", text), text
    return text


def names_damage(line, damage):
    return (re.search(rf"\b0*{damage.segment}\b", line.split("segment", 1)[-1])
            and re.search(rf"\b{damage.offset}\b", line)
            and (REASONS[damage.status] in line or damage.torn and "torn tail" in line))


# --- the corpus itself -------------------------------------------------------

def rows():
    """name -> (what a reader says, tests) of the rows of README.md."""
    found = {}
    for line in (CORPUS / "README.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        name = re.fullmatch(r"`([a-z0-9_/]+)`", cells[0])
        if name and len(cells) == 4:
            assert name[1] not in found, f"two rows for {name[1]}"
            assert cells[1], f"no description of {name[1]}"
            found[name[1]] = (cells[2], cells[3])
    return found


def test_every_fixture_has_a_directory_a_dump_and_a_row_that_tell_the_truth():
    directories = {str(path.parent.relative_to(CORPUS)) for path in CORPUS.rglob("*")
                   if path.is_file() and path.parent != CORPUS} - {"__pycache__"}
    dumps = {str(path.relative_to(CORPUS))[:-len(".dump.txt")]
             for path in CORPUS.rglob("*.dump.txt")}
    assert directories - {"torn_header"} == dumps == FIXTURES.keys()
    assert rows() == {name: (corpus.says(files), ", ".join(corpus.tested(files)))
                      for name, files in FIXTURES.items()}


def test_the_tests_that_the_table_names_are_there():
    named = {test for _, tests in rows().values() for test in tests.split(", ")}
    assert named == covered


def test_the_frozen_files_are_what_the_generator_writes(tmp_path):
    generator = CORPUS / "gen_corpus.py"
    subprocess.run([sys.executable, "-B", generator, "--check"], check=True, timeout=60)
    subprocess.run([sys.executable, "-B", generator, tmp_path / "out"], check=True, timeout=60)
    assert corpus.frozen_files(CORPUS).keys() == {
        str(path.relative_to(tmp_path / "out"))
        for path in (tmp_path / "out").rglob("*") if path.is_file()}


def test_the_check_of_the_frozen_files_notices_every_difference(tmp_path):
    corpus.write(tmp_path)
    assert corpus.check(tmp_path) == []
    (tmp_path / "valid_log" / "00000001.dwal").write_bytes(b"")
    (tmp_path / "valid_log.dump.txt").unlink()
    (tmp_path / "valid_log" / "00000002.dwal").touch()
    assert corpus.check(tmp_path) == [
        "valid_log.dump.txt: not there", "valid_log/00000001.dwal: differs",
        "valid_log/00000002.dwal: belongs to no fixture"]


def test_the_generator_computes_the_check_values_of_the_format():
    text = (CORPUS / "FORMAT.md").read_text()
    values = {b"": "0x00000000", b"123456789": "0xE3069283", bytes(32): "0x8A9136AA",
              b"\xff" * 32: "0x62A8AB43", bytes(range(32)): "0x46DD794E"}
    for data, value in values.items():
        assert corpus.crc32c(data) == int(value, 16)
        assert value in text


def test_the_example_of_the_format_is_a_frame():
    example = (CORPUS / "FORMAT.md").read_text().split("## 7.")[1].split("## 8.")[0]
    cells = re.findall(r"^\| (\d+) \| `([0-9a-f ]+)` \|", example, re.M)
    data = b"".join(bytes.fromhex(digits) for _, digits in cells)
    assert [int(offset) for offset, _ in cells] == [0, 4, 6, 7, 8, 16, 20, 24, 29, 30]
    assert data == corpus.encode(corpus.PUT, 1, b"alpha", b"1")
    assert f"{len(data)} bytes" in example


def test_the_example_of_an_operation_is_one():
    example = (CORPUS / "FORMAT.md").read_text().split("### An example")[1].split("## 10.")[0]
    header, *records = corpus.operation(2, corpus.put(b"b", b"old"), corpus.delete(b"a"),
                                        lines=[(b"note", b"100 %")])
    [record], stop = corpus.valid_frames(header, 1)
    assert record.payload.decode() == "".join(re.findall(r"^    (.+\n)", example, re.M))
    assert f"{len(header + b''.join(records))} bytes" in example and stop is None
    assert corpus.header_of(record).lines == [(b"note", b"100 %")]


# --- operations --------------------------------------------------------------

def test_a_log_that_is_cut_anywhere_in_an_operation_ends_before_it():
    whole = corpus.BEFORE + b"".join(corpus.NOON)
    for size in range(len(corpus.BEFORE) + 1, len(whole)):
        log = corpus.read_log({"00000001.dwal": whole[:size]})
        assert [r.txid for r in log.records] == [1] and list(log.live()) == [b"a"]
        [damage] = log.damage
        assert damage.torn and damage.offset == len(corpus.BEFORE)
        assert damage.bytes == size - damage.offset
        assert log.report["intact_records_behind"] == 0
    log = corpus.read_log({"00000001.dwal": whole})
    assert log.verdict == "clean" and [r.txid for r in log.records] == [1, 2, 2, 2, 2]
    assert list(log.live()) == [b"b"] and log.report["txids_out_of_order"] == 0


def test_what_a_writer_without_operations_appends_is_never_cut_off():
    for name, data in corpus.foreign_appends():
        log = corpus.read_log({"00000001.dwal": data})
        records, _ = corpus.valid_frames(data, 1)
        assert log.verdict == "clean" and log.records == records, name


def test_a_header_record_is_one_to_the_letter():
    for what, frame in corpus.nearly_headers().items():
        assert corpus.header_of(corpus.valid_frames(frame, 1)[0][0]) is None, what
    for what, frame in corpus.odd_headers().items():
        assert corpus.header_of(corpus.valid_frames(frame, 1)[0][0]).n == 2, what


def test_a_horizon_and_a_tag_are_what_the_format_says():
    records = corpus.read_log(FIXTURES["horizon_and_tag"]).records
    assert [corpus.horizon_of(r) for r in records] == [None, (1, 2), None, None, None]
    assert [corpus.tag_of(r) for r in records] == [
        None, None, (b"before the move, 100%", 1), None, None]


# --- reading -----------------------------------------------------------------

def inspect(datawal, directory, status):
    """What the four commands say, run side by side: each waits before it believes in a torn
    tail. list is not concerned with the tail."""
    expected = {"scan": status, "report": status, "verify": status,
                "list": 0 if status == 2 else status}
    with ThreadPoolExecutor() as pool:
        runs = {command: pool.submit(datawal, command, directory, "--json", status=one)
                for command, one in expected.items()}
    return {command: run.result() for command, run in runs.items()}


def objects(done):
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.clause("C1", "C2", "C3", "C7", "C12", "C13", "C26", "C31")
@pytest.mark.sanitize
@those("read")
def test_a_reader_says_what_the_dump_says_and_changes_nothing(name, frozen, datawal):
    files = corpus.read_directory(frozen)
    assert files == FIXTURES[name]
    assert corpus.dump(files) == (CORPUS / f"{name}.dump.txt").read_text()
    log = corpus.read_log(files)
    before = everything_about(frozen)

    said = inspect(datawal, frozen, STATUS[log.verdict] if in_log(files) else 1)
    if in_log(files):
        check_scan(said["scan"], log)
        check_report(said["report"], log)
        check_verify(said["verify"], log, files)
        check_list(said["list"], log)
        check_values(datawal, frozen, log)
    else:
        for done in said.values():
            the_line(done)
    assert everything_about(frozen) == before


def check_complaint(done, log):
    """Sound: nothing on stderr. Else one line that names the damage that decides."""
    if log.verdict == "clean":
        assert done.stderr == b""
        return
    deciding = next(one for one in log.damage if one.torn == (log.verdict == "torn-tail"))
    assert names_damage(the_line(done), deciding), done.stderr


def check_scan(done, log):
    assert [(r["segment"], r["offset"], r["len"], r["record_type"], r["txid"],
             b64decode(r["key_base64"]), b64decode(r["payload_base64"]))
            for r in objects(done)] == [
                (r.segment, r.offset, r.length, corpus.TYPE_NAMES[r.type], r.txid, r.key,
                 r.payload) for r in log.records]
    check_complaint(done, log)


def check_report(done, log):
    [said] = objects(done)
    numbers = {**log.report, **log.more}
    assert {field: said[field] for field in numbers} == numbers
    assert [(d["segment"], d["offset"], d["bytes"], d["reason"], d["torn_tail"])
            for d in said["damage"]] == [
                (d.segment, d.offset, d.bytes, REASONS[d.status], d.torn) for d in log.damage]
    assert [b64decode(one).decode() for one in said["side_files_base64"]] == log.side_files
    check_complaint(done, log)


def check_verify(done, log, files):
    """verify goes on behind a damaged segment, and has a line for each damage."""
    segments = {name: data for name, data in files.items() if corpus.SEGMENT_NAME.fullmatch(name)}
    [said] = objects(done)
    assert said["tail_truncated"] == log.report["tail_truncated"]
    assert said["tail_bytes_discarded"] == log.report["tail_bytes_discarded"]
    assert said["frames_checked"] == sum(
        len(corpus.longest_valid_prefix(data, 1, name == max(segments))[0])
        for name, data in segments.items())
    assert said["crc_failures"] == sum(one.status == "bad-crc" and not one.torn
                                       for one in log.damage)
    lines = done.stderr.decode().splitlines()
    assert len(lines) == len(log.damage)
    for line, damage in zip(lines, log.damage):
        assert line.startswith("datawal: ") and names_damage(line, damage)


def check_list(done, log):
    if log.verdict == "hard-error":
        assert names_damage(the_line(done), log.damage[0])
        return
    assert [(b64decode(one["key_base64"]), one["value_len"]) for one in objects(done)] == [
        (key, len(record.payload)) for key, record in log.live().items()]


def check_values(datawal, directory, log):
    if log.verdict == "hard-error":
        the_line(datawal("get", directory, "--key", "kept", status=3))
        return
    for key, record in log.live().items():
        assert datawal.get(directory, key) == record.payload


@pytest.mark.clause("C22")
def test_the_limits_themselves_are_accepted(tmp_path, datawal):
    longest = corpus.put(b"k" * corpus.MAX_KEY, b"v")
    directory = make(tmp_path / "key", corpus.one(longest, corpus.put(b"a", b"1")))
    assert [len(r.key) for r in datawal.scan(directory)] == [corpus.MAX_KEY, 1]
    largest = corpus.encode(corpus.PUT, 1, b"k", b"v", payload_len=corpus.MAX_PAYLOAD)
    directory = make(tmp_path / "payload", {"00000001.dwal": largest})
    [report] = datawal.json("report", directory, status=2)
    assert report["damage"][0]["reason"] == REASONS["truncated"]


ODD = {"a fifo": os.mkfifo, "a directory": os.mkdir,
       "a link": lambda path: path.symlink_to(path.with_name("00000001.dwal"))}


@pytest.mark.clause("C1a")
@pytest.mark.deadline(20)
@pytest.mark.parametrize("odd", ODD)
def test_a_segments_name_that_is_no_regular_file_is_an_error_that_names_it(odd, tmp_path, datawal):
    directory = make(tmp_path / "log", FIXTURES["valid_log"])
    ODD[odd](directory / "00000002.dwal")
    before = sorted(p.name for p in directory.iterdir())
    for command in ("scan", "report", "verify", "list", ("put", "--key", "a", "--value", "1")):
        command, *rest = (command,) if isinstance(command, str) else command
        done = datawal(command, directory, *rest, status=3)
        assert b"00000002.dwal" in done.stderr and done.stderr.count(b"\n") == 1
    assert sorted(p.name for p in directory.iterdir()) == before


# --- writing -----------------------------------------------------------------

def instructions(log, files):
    """What has write_fixture.c write these segments: rotating where the ids allow it."""
    lines, before, steps = [], None, corpus.written(log.records)
    for segment in sorted(int(name[:8]) for name in files if corpus.SEGMENT_NAME.fullmatch(name)):
        if before is not None and segment == before + 1:
            lines.append("rotate")
        elif before is not None or segment != 1:
            lines.append(f"segment {segment}")
        before = segment
        for records, header in [step for step in steps if step[0][0].segment == segment]:
            if header:
                lines.append(" ".join([f"batch {header.n}", *(
                    f"{name.decode()} {value.hex() or '-'}" for name, value in header.lines)]))
            lines += [f"{corpus.TYPE_NAMES[r.type]} {r.key.hex() or '-'} {r.payload.hex() or '-'}"
                      for r in records]
    return "\n".join([*lines, ""])


@pytest.mark.clause("C1", "C14", "C16a", "C31")
@pytest.mark.sanitize
@those("write")
def test_the_library_writes_the_same_bytes(name, build, tmp_path):
    files = FIXTURES[name]
    segments = {one: data for one, data in files.items() if corpus.SEGMENT_NAME.fullmatch(one)}
    others = {one: data for one, data in files.items() if one not in segments}
    directory = make(tmp_path / "log", others)
    done = subprocess.run([paths.program("tests/write_fixture"), directory], timeout=60,
                          input=instructions(corpus.read_log(files), files).encode(),
                          capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    assert corpus.read_directory(directory) == {**corpus.repaired(files), ".lock": b""}


@pytest.mark.clause("C34")
def test_compaction_writes_the_reference_fixture(tmp_path, datawal):
    log = tmp_path / "log"
    for key, value in (("other", "older"), ("gone", "x"), ("keep", "final"), ("other", "value")):
        datawal("put", log, "--key", key, "--value", value)
    datawal("delete", log, "--key", "gone")
    datawal("append", log, "-", input=b"a Raw record")
    datawal("compact", log, tmp_path / "out")
    written = corpus.read_directory(tmp_path / "out")
    written.pop(".lock", None)
    assert written == FIXTURES["compact_to_output"]


def with_put(files):
    """The directory after opening it for writing and one put of new=value."""
    files, log = corpus.repaired(files), corpus.read_log(files)
    active = max(name for name in files if corpus.SEGMENT_NAME.fullmatch(name))
    txid = log.report["last_txid_seen"] + 1
    return {**files, active: files[active] + corpus.encode(corpus.PUT, txid, b"new", b"value"),
            ".lock": b""}


@pytest.mark.clause("C7", "C8", "C14", "C16b")
@pytest.mark.sanitize
@those("repair")
def test_opening_for_writing_moves_a_torn_tail_to_a_side_file(name, frozen, datawal):
    done = datawal("put", frozen, "--key", "new", "--value", "value")
    the_line(done)
    files = corpus.read_directory(frozen)
    assert files == with_put(FIXTURES[name])
    [report] = datawal.json("report", frozen)
    assert report["records_replayed"] == len(corpus.read_log(FIXTURES[name]).records) + 1
    assert len(report["side_files_base64"]) == len(corpus.read_log(FIXTURES[name]).side_files) + 1
    assert datawal("put", frozen, "--key", "b", "--value", "2").stderr == b""


@pytest.mark.clause("C10")
@pytest.mark.sanitize
@those("refuse")
def test_opening_for_writing_refuses_a_hard_error_and_changes_no_byte(name, frozen, datawal):
    first = next(one for one in corpus.read_log(FIXTURES[name]).damage if not one.torn)
    for command in (("put", "--key", "new", "--value", "value"), ("delete", "--key", "new"),
                    ("append", "-"), ("rotate",)):
        done = datawal(command[0], frozen, *command[1:], status=3)
        assert names_damage(the_line(done), first), done.stderr
        assert corpus.read_directory(frozen) == FIXTURES[name]


@pytest.mark.clause("C1", "C14", "C15")
@pytest.mark.parametrize("name", [name for name, files in FIXTURES.items()
                                  if corpus.read_log(files).verdict == "clean" and in_log(files)
                                  and name != "txid_highest"])
def test_opening_a_sound_log_for_writing_changes_nothing_but_what_is_appended(
        name, frozen, datawal):
    assert datawal("put", frozen, "--key", "new", "--value", "value").stderr == b""
    assert corpus.read_directory(frozen) == with_put(FIXTURES[name])


@pytest.mark.clause("C14")
@pytest.mark.parametrize("name", ["txid_highest"])
def test_nothing_is_appended_behind_the_highest_txid(name, frozen, datawal):
    the_line(datawal("put", frozen, "--key", "new", "--value", "value", status=(1, 3)))
    assert corpus.read_directory(frozen) == {**FIXTURES[name], ".lock": b""}
