# SPDX-License-Identifier: MIT OR Apache-2.0
"""datawal dump and check: headers of frames, also behind damage; everything in one verdict."""
import json
import os
import sys

import pytest

import mounting
import paths

sys.path.insert(0, str(paths.ROOT / "corpus"))
import gen_corpus as corpus  # noqa: E402

pytestmark = pytest.mark.sanitize

FIXTURES = corpus.all_fixtures()
STATUS = {"clean": 0, "torn-tail": 0, "hard-error": 3}
VERDICTS = {"clean": ("sound", 0), "torn-tail": ("torn-tail", 2), "hard-error": ("damaged", 3)}
MOUNTS = {"clean": "ready", "torn-tail": "repairs", "hard-error": "refuses"}


def make(directory, files):
    directory.mkdir()
    for name, data in files.items():
        (directory / name).write_bytes(data)
    return directory


def in_log(files):
    return any(corpus.SEGMENT_NAME.fullmatch(name) for name in files)


# Each look at a torn tail takes a third of a second: some of them are enough.
THOSE = [name for name, files in FIXTURES.items() if in_log(files) and (
    corpus.read_log(files).verdict != "torn-tail" or name in (
        "zero_from_start", "hole_in_header_before", "intact_with_frame_behind",
        "intact_behind_bad_crc", "torn_active_of_three", "operation_partial",
        "operation_partial_hole", "operation_partial_then_torn"))]


def frames_of(records):
    return [(r.segment, r.offset, r.length, corpus.TYPE_NAMES[r.type], r.txid, len(r.key),
             len(r.payload)) for r in records]


def dumped(done):
    """The frames that a dump with --json shows."""
    objects = [json.loads(line) for line in done.stdout.splitlines()]
    for one in objects:
        assert list(one) == ["schema", "kind", "segment", "offset", "len", "record_type", "txid",
                             "key_len", "payload_len"]
        assert one["kind"] == "frame"
    return [tuple(one.values())[2:] for one in objects]


def with_cut(data, stop, behind):
    return corpus.intact_frames(data, stop[0]) if stop and stop[1] == "partial-operation" else behind


def all_frames(files):
    """What is intact in each segment: the longest valid prefix, then what lies behind the damage, the
    frames of an operation that is cut short among it."""
    found, names = [], sorted(n for n in files if corpus.SEGMENT_NAME.fullmatch(n))
    for name in names:
        records, stop, behind = corpus.longest_valid_prefix(files[name], int(name[:8]),
                                                            name == names[-1])
        behind = with_cut(files[name], stop, behind)
        found += records + [r._replace(segment=int(name[:8])) for r in behind]
    return found


# --- dump -------------------------------------------------------------------------

@pytest.mark.clause("C26a")
@pytest.mark.parametrize("name", THOSE)
def test_dump_shows_every_frame_and_with_all_those_behind_damage(datawal, tmp_path, name):
    files = FIXTURES[name]
    log = make(tmp_path / "log", files)
    read = corpus.read_log(files)
    done = datawal("dump", log, "--json", status=STATUS[read.verdict])
    assert dumped(done) == frames_of(read.records)
    assert len(done.stderr.splitlines()) == min(len(read.damage), 1)
    done = datawal("dump", log, "--json", "--all", status=STATUS[read.verdict])
    assert dumped(done) == frames_of(all_frames(files))
    lines = done.stderr.decode().splitlines()
    assert len(lines) == len(read.damage)
    for line, damage in zip(lines, read.damage):
        assert f"segment {damage.segment}, offset {damage.offset}: " in line
    assert corpus.read_directory(log) == files


@pytest.mark.clause("C26a")
@pytest.mark.parametrize("name", ["segments", "intact_behind_bad_crc", "bad_magic", "zero_tail",
                                  "frame_in_a_value", "truncated_tail", "operation",
                                  "operation_partial"])
def test_dump_takes_a_single_file(datawal, tmp_path, name):
    """Whatever its name; a torn end is no failure, since it is not known who comes behind it."""
    files = FIXTURES[name]
    log = make(tmp_path / "log", files)
    data = files["00000001.dwal"]
    records, stop, behind = corpus.longest_valid_prefix(data, 1, True)
    status = 3 if stop and stop[1] in corpus.STRUCTURAL else 0
    done = datawal("dump", log / "00000001.dwal", "--json", status=status)
    assert dumped(done) == frames_of(records)
    assert len(done.stderr.splitlines()) == (stop is not None)
    assert b"next writer" not in done.stderr
    os.rename(log / "00000001.dwal", tmp_path / "copy")
    done = datawal("dump", tmp_path / "copy", "--json", "--all", status=status)
    shown = with_cut(data, stop, behind)
    assert dumped(done) == frames_of(r._replace(segment=0) for r in records + shown)
    if behind:
        assert f"intact behind it: {len(behind)} record" in done.stderr.decode()


@pytest.mark.clause("C26a")
def test_dump_lists_what_a_side_file_keeps(datawal, tmp_path):
    log = make(tmp_path / "log", FIXTURES["intact_behind_bad_crc"])
    before = dumped(datawal("dump", log, "--all", "--json"))
    said = datawal("put", log, "--key", "a", "--value", "1").stderr.decode()
    assert "dump --all" in said and "00000001.dwal.torn-33" in said
    kept = dumped(datawal("dump", log / "00000001.dwal.torn-33", "--all", "--json"))
    assert [(1, offset + 33, *rest) for _, offset, *rest in kept] == before[1:]
    assert len(kept) == 2
    assert b"behind damage" in datawal("dump", log / "00000001.dwal.torn-33", "--all").stdout


@pytest.mark.clause("C26a")
def test_dump_marks_what_is_of_an_operation_cut_short(datawal, tmp_path):
    records = corpus.operation(2, *[corpus.put(b"k%d" % n, b"v") for n in range(3)])
    data = corpus.frames(corpus.put(b"a", b"1")) + b"".join(records[:3]) + bytes(40)
    log = make(tmp_path / "log", {"00000001.dwal": data + corpus.frames(corpus.put(b"b", b"2"), first=9)})
    lines = datawal("dump", log, "--all").stdout.decode().splitlines()
    assert [line.partition(" (")[2] for line in lines] == [
        "", *["of an operation cut short)"] * 3, "behind damage)"]
    assert len(datawal("dump", log).stdout.splitlines()) == 1
    datawal("put", log, "--key", "c", "--value", "3")
    [side] = log.glob("*.torn-*")
    lines = datawal("dump", side, "--all").stdout.decode().splitlines()
    assert [line.partition(" (")[2] for line in lines] == [
        *["of an operation cut short)"] * 3, "behind damage)"]


def test_dump_for_people_shows_headers_only(datawal, tmp_path):
    log = make(tmp_path / "log", FIXTURES["delete_tombstone"])
    text = datawal("dump", log, "--limit", "2").stdout.decode()
    assert text == ("1:0 Put txid=1 len=34 key_len=5 payload_len=1\n"
                    "1:34 Put txid=2 len=33 key_len=4 payload_len=1\n")


@pytest.mark.parametrize("path", ["absent", "directory", "/dev/null"])
def test_dump_of_what_is_no_log_is_one_line(datawal, tmp_path, path):
    (tmp_path / "directory").mkdir()
    (tmp_path / "directory" / "notes").write_text("mine")
    done = datawal("dump", tmp_path / path, status=1)
    assert done.stdout == b"" and done.stderr.startswith(b"datawal: ")
    assert done.stderr.count(b"\n") == 1
    os.mkfifo(tmp_path / "fifo")
    assert b"not a regular file" in datawal("dump", tmp_path / "fifo", status=1, timeout=5).stderr


# --- check ------------------------------------------------------------------------

@pytest.mark.parametrize("name", THOSE)
def test_check_is_verify_the_live_values_and_a_verdict(datawal, tmp_path, name):
    files = FIXTURES[name]
    log = make(tmp_path / "log", files)
    read = corpus.read_log(files)
    verdict, status = VERDICTS[read.verdict]
    done = datawal("check", log, "--json", status=status)
    [said] = [json.loads(line) for line in done.stdout.splitlines()]
    verified = datawal("verify", log, "--json", status=status)
    assert done.stderr == verified.stderr
    [verify] = [json.loads(line) for line in verified.stdout.splitlines()]
    assert said["kind"] == "check"
    assert {field: said[field] for field in verify if field != "kind"} == {
        field: verify[field] for field in verify if field != "kind"}
    live = read.live() if status != 3 else {}
    assert (said["live_keys"], said["live_bytes"], said["unreadable_values"]) == (
        len(live), sum(len(r.payload) for r in live.values()), 0)
    assert (said["mount"], said["verdict"]) == (MOUNTS[read.verdict], verdict)
    people = datawal("check", log, status=status).stdout.decode().splitlines()
    if said["mount"] == "refuses":
        assert said["refusal"] in done.stderr.decode().splitlines()[0]
        assert people[-2] == f"a mount             refuses this log: {said['refusal']}"
    else:
        assert said["refusal"] is None
    assert people[-1].startswith(f"verdict             {verdict.replace('-', ' ').replace('torn', 'a torn')}")
    assert corpus.read_directory(log) == files


def test_check_says_in_its_verdict_what_lies_behind_a_torn_tail(datawal, tmp_path):
    log = make(tmp_path / "log", FIXTURES["intact_behind_bad_crc"])
    text = datawal("check", log, status=2).stdout.decode()
    assert text.endswith("verdict             a torn tail, with 2 intact records behind it\n")
    assert "cuts the torn tail off" in text


@pytest.mark.clause("S22c")
def test_check_says_of_a_mount_what_that_says_itself(datawal, mount, tmp_path):
    log = make(tmp_path / "log", FIXTURES["bad_magic"])
    with pytest.raises(mounting.MountFailed) as refused:
        mount(log)
    [said] = [line for line in datawal("check", log, status=3).stdout.decode().splitlines()
              if line.startswith("a mount ")]
    line = refused.value.stderr.removeprefix("datawalfs: ").strip()
    assert said == f"a mount             refuses this log: {line}"
    assert "-o ro,degraded" in said and "bad magic" in said
