# SPDX-License-Identifier: MIT OR Apache-2.0
"""A crash and damage are not the same thing, and whatever opens the log says what it does not read:
intact records behind a torn tail, and missing txids."""
import json
import os
import re
import shutil
import sys
import threading

import pytest

import paths

sys.path.insert(0, str(paths.ROOT / "corpus"))
import gen_corpus as corpus  # noqa: E402

pytestmark = pytest.mark.sanitize

RECORDS = [corpus.put(b"k%d" % n, b"value %d" % n) for n in range(1, 31)]
SIZES = [len(corpus.frames(record)) for record in RECORDS]
DAMAGED = 12  # the txid of the first record that is damaged; another one behind it is as well
OFFSET = sum(SIZES[:DAMAGED - 1])
BYTES = sum(SIZES[DAMAGED - 1:])
BEHIND = "17 intact records (txids 13 to 30)"

LOOKS = {"scan": 2, "report": 2, "verify": 2, "check": 2, "dump": 0, "get": 0, "list": 0,
         "export": 0, "compact": 0}
WRITES = {"put": ["--key", "new", "--value", "v"], "delete": ["--key", "k1"], "append": ["-"],
          "rotate": [], "load": ["-"]}
INPUT = b'{"key_b64":"YQ==","value_b64":"MQ=="}\n'


def write(directory, files):
    directory.mkdir()
    for name, data in files.items():
        (directory / name).write_bytes(data)
    return directory


def segments_of(directory):
    return {p.name: p.read_bytes() for p in directory.iterdir() if p.name != ".lock"}


def only_line(done):
    text = done.stderr.decode() if hasattr(done, "stderr") else done
    assert re.fullmatch(r"datawal(fs)?: [^\n]+\n", text), text
    return text


@pytest.fixture
def holed(logdir):
    """Thirty records; a bit of the 12th and one of the 20th have flipped."""
    data = corpus.frames(*RECORDS)
    for txid in (DAMAGED, 20):
        data = corpus.flipped(data, sum(SIZES[:txid]) - 8, 1)
    return write(logdir, {"00000001.dwal": data})


@pytest.fixture
def torn(logdir):
    """Thirty records, the last one torn, and nothing behind it."""
    return write(logdir, {"00000001.dwal": corpus.frames(*RECORDS)[:-3]})


def look_words(command, tmp_path):
    return {"get": ["--key", "k1"], "export": ["-"], "compact": [tmp_path / "out"]}.get(command, [])


# --- intact records behind a torn tail -------------------------------------------

@pytest.mark.clause("C12", "C13")
@pytest.mark.parametrize("command", LOOKS)
def test_a_look_tells_of_intact_records_and_changes_nothing(datawal, holed, tmp_path, command):
    before = segments_of(holed)
    line = only_line(datawal(command, holed, *look_words(command, tmp_path), status=LOOKS[command]))
    assert f"segment 1, offset {OFFSET}: CRC mismatch" in line and BEHIND in line
    assert "not known to have been synced" in line and f"{BYTES} bytes" in line
    assert "next writer" in line and "no crash" not in line
    assert segments_of(holed) == before


@pytest.mark.clause("C8", "C13")
@pytest.mark.parametrize("command", WRITES)
def test_a_writer_tells_what_it_cut_off_and_where_it_is(datawal, holed, command):
    before = (holed / "00000001.dwal").read_bytes()
    line = only_line(datawal(command, holed, *WRITES[command], input=INPUT))
    side = f"00000001.dwal.torn-{OFFSET}"
    assert f"segment 1, offset {OFFSET}: CRC mismatch" in line and BEHIND in line
    assert "not known to have been synced" in line and f"are in {side}" in line
    assert "no crash" not in line
    assert (holed / side).read_bytes() == before[OFFSET:]
    assert datawal(command, holed, *WRITES[command], input=INPUT).stderr == b""


@pytest.mark.clause("C11")
@pytest.mark.parametrize("command", WRITES)
def test_strict_refuses_what_a_power_cut_or_damage_may_have_left(datawal, holed, command):
    before = segments_of(holed)
    line = only_line(datawal(command, holed, *WRITES[command], "--strict", input=INPUT, status=2))
    assert BEHIND in line and "strict" in line and "power cut or damage" in line
    assert "no crash" not in line
    assert segments_of(holed) == before
    datawal("put", holed, "--key", "new", "--value", "v")
    assert datawal(command, holed, *WRITES[command], "--strict", input=INPUT).stderr == b""


@pytest.mark.clause("C11")
@pytest.mark.parametrize("command", WRITES)
def test_strict_takes_a_torn_tail_with_nothing_behind_it(datawal, torn, command):
    line = only_line(datawal(command, torn, *WRITES[command], "--strict", input=INPUT))
    assert "torn tail" in line and "intact" not in line


@pytest.mark.clause("C12", "C13")
def test_the_report_gives_the_numbers(datawal, holed):
    [report] = datawal.json("report", holed, status=2)
    size = sum(SIZES[12:]) - SIZES[19]
    assert (report["intact_records_behind"], report["intact_bytes_behind"],
            report["intact_lowest_txid"], report["intact_highest_txid"]) == (17, size, 13, 30)
    assert report["records_replayed"] == 11 and report["txids_missing"] == 0
    [damage] = report["damage"]
    assert (damage["offset"], damage["bytes"], damage["torn_tail"], damage["intact_records"],
            damage["intact_lowest_txid"], damage["intact_highest_txid"]) == (
                OFFSET, BYTES, True, 17, 13, 30)
    assert "intact in them: 17, txids 13 to 30" in datawal("report", holed, status=2).stdout.decode()
    [verify] = datawal.json("verify", holed, status=2)
    assert verify["intact_records_behind"] == 17 and verify["tail_bytes_discarded"] == BYTES


@pytest.mark.clause("C12", "C13")
def test_damage_of_a_sealed_segment_is_called_damage_and_counts_what_is_behind(datawal, logdir):
    data = corpus.flipped(corpus.frames(*RECORDS[:10]), sum(SIZES[:4]) - 8, 1)
    write(logdir, {"00000001.dwal": data,
                   "00000002.dwal": corpus.frames(*RECORDS[10:], first=11)[:-3]})
    for command in ("scan", "report", "put"):
        line = only_line(datawal(command, logdir, *WRITES.get(command, []), status=3))
        assert "6 intact records (txids 5 to 10): damage that no crash explains" in line
    lines = datawal("verify", logdir, status=3).stderr.decode().splitlines()
    assert "6 intact records" in lines[0] and "torn tail" in lines[1] and len(lines) == 2
    [report] = datawal.json("report", logdir, status=3)
    [verify] = datawal.json("verify", logdir, status=3)
    assert report["intact_records_behind"] == verify["intact_records_behind"] == 6 + 19
    assert (report["intact_lowest_txid"], report["intact_highest_txid"]) == (5, 29)


@pytest.mark.clause("C13")
@pytest.mark.parametrize("command", ["get", "list", "export", "compact"])
def test_a_plain_torn_tail_is_nothing_to_tell_for_who_reads_what_lies_before(
        datawal, torn, tmp_path, command):
    assert datawal(command, torn, *look_words(command, tmp_path)).stderr == b""


@pytest.mark.parametrize("command", LOOKS)
def test_a_tail_that_moves_is_a_writer_at_work_whatever_lies_in_it(
        datawal, holed, tmp_path, command):
    done = threading.Event()

    def grow():
        with open(holed / "00000001.dwal", "ab", buffering=0) as file:
            while not done.wait(0.005):
                file.write(b"x")

    writer = threading.Thread(target=grow)
    writer.start()
    try:
        result = datawal(command, holed, *look_words(command, tmp_path))
    finally:
        done.set()
        writer.join()
    assert result.stderr == b""


# --- in the mount ----------------------------------------------------------------

@pytest.mark.clause("S18d", "S18h")
@pytest.mark.parametrize("options", [[], ["ro"]], ids=["rw", "ro"])
def test_a_mount_tells_of_intact_records_at_once_and_as_long_as_it_lives(
        mount, holed, system_log, options):
    before = segments_of(holed)
    m = mount(holed, *options)
    line = only_line(m.stderr)
    assert f"segment 1, offset {OFFSET}: CRC mismatch" in line and BEHIND in line
    assert "not known to have been synced" in line and "no crash" not in line
    side = f"00000001.dwal.torn-{OFFSET}"
    assert (f"are in {side}" in line) == (not options) == ("next writer" not in line)
    [said] = [one for one in system_log().splitlines() if "intact" in one]
    assert said.startswith("4 ") and line.removeprefix("datawalfs: ").strip() in said
    people = (m / ".log/recovery").read_text()
    assert "17 intact records, txids 13 to 30" in people and "not known to have been synced" in people
    assert (side in people) == (not options)
    told = json.loads((m / ".log/recovery.json").read_text())
    assert (told["intact_records_behind"], told["intact_lowest_txid"],
            told["intact_highest_txid"]) == (17, 13, 30)
    assert told["damage"][0]["intact_records"] == 17
    assert (segments_of(holed) == before) == bool(options)


@pytest.mark.clause("S18h")
def test_a_mount_says_one_calm_line_of_a_plain_torn_tail(mount, torn, system_log):
    line = only_line(mount(torn).stderr)
    assert "torn tail" in line and "intact" not in line and "power cut" not in line
    assert "torn tail" not in system_log()


# --- missing txids ------------------------------------------------------------------

def three_segments(logdir):
    """txids 1 to 3, 4 to 6, 7 to 9"""
    return write(logdir, {f"0000000{n + 1}.dwal": corpus.frames(*RECORDS[3 * n:3 * n + 3],
                                                                first=3 * n + 1)
                          for n in range(3)})


def remove_the_middle(log):
    (log / "00000002.dwal").unlink()


def remove_the_first(log):
    (log / "00000001.dwal").unlink()


def cut_at_a_record(log):
    os.truncate(log / "00000001.dwal", sum(SIZES[:2]))


def remove_both(log):
    remove_the_first(log)
    (log / "00000002.dwal").write_bytes(corpus.frames(RECORDS[4], first=5))


GAPS = [(remove_the_middle, 3, (3, 1, 7, 3), "between txid 3 (segment 1) and txid 7 (segment 3)"),
        (remove_the_first, 3, (0, 0, 4, 2), "before txid 4 (segment 2)"),
        (cut_at_a_record, 1, (2, 1, 4, 2), "between txid 2 (segment 1) and txid 4 (segment 2)"),
        (remove_both, 5, (0, 0, 5, 2), "before txid 5 (segment 2)")]


@pytest.mark.clause("C13a")
@pytest.mark.parametrize("hole, missing, gap, text", GAPS, ids=[row[0].__name__ for row in GAPS])
def test_missing_txids_are_counted_and_the_first_gap_named(datawal, logdir, hole, missing, gap, text):
    hole(three_segments(logdir))
    for command in ("report", "verify", "check"):
        done = datawal(command, logdir)
        assert done.stderr == b""
        assert re.search(rf"^txids missing +{missing}, the first {re.escape(text)}$",
                         done.stdout.decode(), re.M)
        [said] = datawal.json(command, logdir)
        assert said["txids_missing"] == missing
        assert tuple(said["first_gap"].values()) == gap
        assert list(said["first_gap"]) == ["after_txid", "after_segment", "before_txid",
                                           "before_segment"]
    assert f"sound, {missing} txids missing\n" in datawal("check", logdir).stdout.decode()


@pytest.mark.clause("S18d")
def test_a_mount_names_missing_txids(mount, logdir):
    remove_the_middle(three_segments(logdir))
    m = mount(logdir)
    assert m.stderr == ""
    assert "3, the first between txid 3 (segment 1) and txid 7 (segment 3)" in (
        m / ".log/recovery").read_text()
    told = json.loads((m / ".log/recovery.json").read_text())
    assert told["txids_missing"] == 3 and told["first_gap"]["before_segment"] == 3
    m.unmount()
    (logdir / "00000002.dwal").write_bytes(corpus.frames(*RECORDS[3:6], first=4))
    told = json.loads((mount(logdir) / ".log/recovery.json").read_text())
    assert told["txids_missing"] == 0 and told["first_gap"] is None


def log_of_txids(logdir, *segments):
    return write(logdir, {f"{n:08}.dwal": b"".join(
        corpus.encode(corpus.PUT, txid, b"k", b"v") for txid in txids)
                          for n, txids in enumerate(segments, 1)})


@pytest.mark.clause("C13a")
@pytest.mark.parametrize("segments, missing", [
    ([[1, 2, 5, 3, 4, 6]], 0),         # written by several at once
    ([[1, 2, 3], [1, 2, 3], [4]], 0),  # one log behind another
    ([[4, 5], [1, 2, 3, 6]], 0),       # segments in another order
    ([[0, 0, 1, 1, 2]], 0),
    ([[1, 2, 5, 5, 5]], 2), ([[1, 2, 3, 1, 2, 3, 10]], 6), ([[1, 5, 3, 9]], 5),
    ([[1, 2**64 - 1]], 2**64 - 3), ([[]], 0)], ids=str)
def test_an_order_of_its_own_makes_no_log_a_holed_one(datawal, logdir, segments, missing):
    log_of_txids(logdir, *segments)
    for command in ("report", "verify"):
        assert datawal.json(command, logdir)[0]["txids_missing"] == missing


@pytest.mark.clause("C13a")
def test_a_compacted_log_and_one_that_was_repaired_have_no_holes(datawal, holed, tmp_path):
    datawal("put", holed, "--key", "new", "--value", "v")
    datawal("delete", holed, "--key", "k2")
    datawal("compact", holed, tmp_path / "out")
    for log in (holed, tmp_path / "out"):
        assert datawal.json("report", log)[0]["txids_missing"] == 0


@pytest.mark.clause("C13a")
def test_txids_are_missing_up_to_the_first_damage_only(datawal, logdir):
    three_segments(logdir)
    remove_the_middle(logdir)
    shutil.copy(logdir / "00000001.dwal", tmp := logdir / "00000000.dwal")
    tmp.write_bytes(b"X" * 50)
    for command in ("report", "verify"):
        assert datawal.json(command, logdir, status=3)[0]["txids_missing"] == 0
