# SPDX-License-Identifier: MIT OR Apache-2.0
"""What a mount drops of the history by itself, as history= says."""
import errno
import os
import re
import subprocess
import time

import pytest

import gates
import mounting
import paths
import privileged
import suspicion
from mountctl import fill_with_dead, told

pytestmark = pytest.mark.sanitize


# --- the option --------------------------------------------------------------------

@pytest.mark.clause("S24f", "S24h")
@pytest.mark.parametrize("words, shown", [
    ([], "auto"), (["history=auto"], "auto"), (["history=all"], "all"), (["history=none"], "none"),
    (["history=10G"], "10737418240B"), (["history=30d"], "2592000s"),
    (["history=all", "history=2h"], "7200s")], ids=str)
def test_history_is_what_was_said_last(mount, words, shown):
    m = mount(None, *words)
    for name in "stats.json", "recovery.json":
        assert told(m, name)[0] == shown
    assert re.search(rf"^history +{shown}$", (m / ".log/recovery").read_text(), re.M)


@pytest.mark.clause("S24f")
@pytest.mark.parametrize("word", ["", "some", "10", "0d", "10g", "-1d", "1.5G"])
def test_a_history_that_is_none_is_refused(mount, word):
    with pytest.raises(mounting.MountFailed, match="bad value.*auto, all, none, a size"):
        mount(None, f"history={word}")


# --- the rules of history=, from the inside ------------------------------------------

def holds(clause, *cases):
    return [pytest.param(case, marks=clause, id=case) for case in cases]


@pytest.mark.parametrize("case", [
    *holds(pytest.mark.clause("S24d", "S24f"), "each_rule_holds_at_its_boundary"),
    *holds(pytest.mark.clause("S24d"), "after_one_it_rests_ten_minutes",
           "with_less_than_2_percent_what_is_recent_goes_after_the_rest",
           "one_that_failed_is_tried_again_after_the_rest"),
    *holds(pytest.mark.clause("S24e"), "what_never_shows_is_not_freed_again_and_again",
           "what_shows_late_counts_once", "what_shows_while_it_runs_counts_as_well",
           "a_log_that_was_read_in_vain_is_not_read_again_for_the_same_bytes",
           "what_is_recent_is_tried_again_when_it_is_not"),
    *holds(pytest.mark.clause("S24f"), "without_history_it_goes_on_until_it_is_in_vain",
           "of_a_size_only_what_is_over_it_is_hopeless", "by_age_it_looks_at_a_tenth_of_the_age"),
])
def test_rule_of_history(case, tmp_path):
    done = subprocess.run([paths.program("tests/test_giveback"), case], cwd=tmp_path,
                          capture_output=True, stdin=subprocess.DEVNULL, timeout=20, check=False)
    suspicion.check(case, done.stderr)
    assert done.returncode == 0, (done.stdout + done.stderr).decode(errors="replace")[-8000:]


# --- by itself ----------------------------------------------------------------------

def by_itself(m, seconds=20):
    """What .log tells of the first compaction that nobody has asked for, once it has ended."""
    return mounting.wait_for(lambda: told(m)[1]["last"], "a compaction", seconds)


@pytest.mark.thread
@pytest.mark.clause("S24f", "S24h")
def test_without_history_a_third_is_dropped_by_itself_and_a_line_says_so(mount):
    m = mount(None, "history=none", "segment_size=256K")
    fill_with_dead(m, 2)
    last = by_itself(m)
    assert not last["asked_for"] and last["error"] is None and last["bytes_freed"] > 1_500_000
    assert last["why"] == "a third of the log was dead"
    assert m.stderr.count("superseded records were dropped (history=)") == 1
    assert (m / "dead").read_bytes() == bytes(100_000)


@pytest.mark.clause("S24f")
def test_by_a_size_the_oldest_goes(datawal, mount):
    m = mount(None, "history=1M", "segment_size=256K")
    fill_with_dead(m, 4)
    last = by_itself(m)
    assert last["why"] == "there were more dead bytes than history= says"
    puts = [r.txid for r in datawal.scan(m.log) if r.type == "Put"]
    assert 8 <= len(puts) < 30 and puts[-1] - puts[0] < 40  # those of the last MiB


@pytest.mark.clause("S24f")
def test_by_an_age_nothing_younger_goes(mount):
    m = mount(None, "history=1h", "segment_size=256K")
    fill_with_dead(m, 2)
    last = by_itself(m)
    assert (last["bytes_freed"], last["records_dropped"], last["error"]) == (0, 0, None)
    time.sleep(1.1)  # so old is what was written last
    m.remount("history=1s", "segment_size=256K")
    assert by_itself(m)["bytes_freed"] > 1_500_000


# --- by itself, on a disk that others fill --------------------------------------------

MIB = 1 << 20


@pytest.fixture
def disk(tmp_path):
    """A disk of 64 MiB: wants 6.4 free, knows 1.28 as little."""
    with privileged.small_disk(tmp_path / "disk", 64, "tmpfs") as directory:
        yield directory


@pytest.fixture
def on_disk(disk, mount):
    """on_disk("history=auto"): a mount of a log on it; others(free) has others use it up to that."""
    made = []

    def free():
        found = os.statvfs(disk)
        return found.f_bavail * found.f_frsize

    def others(leave):
        with open(disk / "of others", "ab", buffering=0) as file:
            while free() > leave + 4096:
                file.write(bytes(min(MIB, free() - leave)))

    def start(*options):
        made.append(mount(disk / "log", "segment_size=1M", *options))
        made[0].others, made[0].free = others, free
        return made[0]

    yield start
    assert [line for one in made for line in one.clean_up()] == []  # before the disk goes


def log_size(m):
    return sum(p.stat().st_size for p in m.log.glob("*.dwal"))


@pytest.mark.clause("S24d", "S24e")
def test_auto_frees_what_is_missing_and_keeps_the_rest(on_disk):
    m = on_disk()
    fill_with_dead(m, 24)
    assert told(m)[1] == {"running": False, "why_not": "the disk has room", "last": None}
    m.others(MIB)
    last = by_itself(m)
    missing = 64 * MIB // 10 - MIB
    assert missing <= last["bytes_freed"] <= missing + 2 * MIB
    assert last["why"] == "the disk was nearly full" and not last["asked_for"]
    assert log_size(m) > 15 * MIB  # most of the history is still there
    assert m.stderr.count("superseded records were dropped (history=)") == 1
    m.others(MIB)
    mounting.wait_for(lambda: told(m)[1]["why_not"] == "it rests after the last one", "its rest")
    assert log_size(m) > 15 * MIB and (m / "dead").read_bytes() == bytes(100_000)


@pytest.mark.clause("S24d")
def test_auto_keeps_what_is_recent_while_2_percent_are_free(on_disk):
    m = on_disk()
    fill_with_dead(m, 24)
    m.others(3 * MIB)
    last = by_itself(m)
    assert (last["bytes_freed"], last["records_dropped"], last["error"]) == (0, 0, None)
    assert log_size(m) > 24_000_000
    assert m.stderr == ""


@pytest.mark.clause("S24d")
def test_a_disk_that_is_all_but_full_is_freed(on_disk):
    m = on_disk()
    fill_with_dead(m, 24)
    m.others(65536)
    last = by_itself(m)
    assert 64 * MIB // 10 - 65536 <= last["bytes_freed"] < 9 * MIB
    (m / "dead").write_bytes(bytes(100_000))


@pytest.mark.clause("S24d")
def test_an_append_that_finds_no_room_on_a_disk_that_has_some_frees_a_tenth_of_the_log(
        on_disk, tmp_path, monkeypatch):
    gate = gates.Gates(tmp_path / "gates")
    for name, value in gate.environment().items():
        monkeypatch.setenv(name, value)
    m = on_disk()
    fill_with_dead(m, 24)
    (gate.directory / "full").touch()
    with pytest.raises(OSError) as caught:
        (m / "dead").write_bytes(bytes(100_000))
    assert caught.value.errno == errno.ENOSPC
    (gate.directory / "full").unlink()
    last = by_itself(m)
    assert last["why"] == "the disk was full"
    assert 2_400_000 <= last["bytes_freed"] < 5_000_000 and log_size(m) > 19_000_000
    gate.close()


@pytest.mark.clause("S24e")
def test_old_segments_that_somebody_reads_do_not_cost_all_of_the_history(on_disk):
    m = on_disk()
    fill_with_dead(m, 24)
    readers = [open(path, "rb") for path in m.log.glob("*.dwal")]
    m.others(MIB)
    last = by_itself(m)
    assert m.free() < 2 * MIB  # nothing has shown
    assert last["bytes_freed"] < 8 * MIB and log_size(m) > 15 * MIB
    for reader in readers:
        reader.close()
    assert m.free() > 6 * MIB


@pytest.mark.clause("S24f")
def test_with_history_all_a_full_disk_is_full(on_disk):
    m = on_disk("history=all")
    fill_with_dead(m, 24)
    m.others(0)
    with pytest.raises(OSError):
        for _ in range(10):  # for a few the log has room ahead
            (m / "dead").write_bytes(bytes(200_000))
    assert told(m)[1] == {"running": False, "why_not": "history=all", "last": None}
