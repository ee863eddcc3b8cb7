# SPDX-License-Identifier: MIT OR Apache-2.0
"""datawal put, delete, append, rotate: what they write, what they refuse, what they repair."""
import json
import os
import resource
import subprocess
import sys
import time

import pytest

import paths
from cli import only_line

sys.path.insert(0, str(paths.ROOT / "corpus"))
import gen_corpus as corpus  # noqa: E402

pytestmark = pytest.mark.sanitize

MAX = corpus.MAX_PAYLOAD
WRITES = [["put", "--key", "k", "--value", "v"], ["delete", "--key", "k"], ["append", "-"],
          ["rotate"]]


def kinds(records):
    return [(r.type, r.key, r.payload) for r in records]


def files_of(logdir):
    return {p.name: p.read_bytes() for p in logdir.iterdir() if p.name != ".lock"}


@pytest.fixture
def log(datawal, logdir):
    datawal.put(logdir, "alpha", "1")
    return logdir


def locked(logdir):
    """A process that holds the lock until its stdin is closed."""
    holder = subprocess.Popen(["flock", "--exclusive", "--nonblock", logdir / ".lock", "sh", "-c",
                               "echo held; cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdout.readline() == b"held\n"
    return holder


# --- what is written -------------------------------------------------------------

def test_each_write_is_one_record_and_people_are_told_nothing(datawal, logdir, tmp_path):
    (tmp_path / "value").write_bytes(b"from a file\n")
    for words, stdin in ((["put", logdir, "--key", "a", "--value", "1"], None),
                         (["put", logdir, "--key", "b", "--file", tmp_path / "value"], None),
                         (["put", logdir, "-", "--key", "c"], b"from stdin"),
                         (["put", logdir, "--key", "d", "--file", "-"], b""),
                         (["delete", logdir, "--key", "a"], None),
                         (["delete", logdir, "--key", "never there"], None),
                         (["append", logdir, "--file", tmp_path / "value"], None),
                         (["append", logdir, "-"], b"raw")):
        done = datawal(*words, input=stdin)
        assert done.stdout == done.stderr == b""
    records = datawal.scan(logdir)
    assert kinds(records) == [
        ("Put", b"a", b"1"), ("Put", b"b", b"from a file\n"), ("Put", b"c", b"from stdin"),
        ("Put", b"d", b""), ("Delete", b"a", b""), ("Delete", b"never there", b""),
        ("Raw", b"", b"from a file\n"), ("Raw", b"", b"raw")]
    assert [r.txid for r in records] == list(range(1, 9))


def test_json_says_where_the_record_stands(datawal, log):
    for words in (["put", "--key", "b", "--value", "22"], ["delete", "--key", "b"], ["append", "-"]):
        [said] = datawal.json(words[0], log, *words[1:], input=b"raw")
        last = datawal.scan(log)[-1]
        assert list(said) == ["schema", "kind", "segment", "offset", "len", "record_type", "txid"]
        assert said == {"schema": "datawal.cli.v1", "kind": "written", "segment": last.segment,
                        "offset": last.offset, "len": last.length, "record_type": last.type,
                        "txid": last.txid}


def test_rotate_starts_the_next_segment(datawal, log):
    assert datawal("rotate", log).stdout == b""
    [said] = datawal.json("rotate", log)
    assert said == {"schema": "datawal.cli.v1", "kind": "rotate", "active_segment": 3}
    datawal.put(log, "b", "2")
    assert [r.segment for r in datawal.scan(log)] == [1, 3]


def test_the_last_segment_cannot_be_rotated_past(datawal, logdir):
    logdir.mkdir()
    (logdir / "99999999.dwal").touch()
    only_line(datawal("rotate", logdir, status=1))
    assert sorted(files_of(logdir)) == ["99999999.dwal"]


@pytest.mark.parametrize("key", [b"", b"\0", b"\xff\xfe", b"a b", b"-", b"--json", b"x" * 60000],
                         ids=lambda k: repr(k[:8]))
def test_any_key_can_be_written_read_and_deleted(datawal, logdir, key):
    datawal("put", logdir, "--key-hex", key.hex().upper(), "--value", "v")
    assert datawal.get(logdir, key) == b"v"
    if b"\0" not in key:
        assert datawal("get", logdir, "--key", key).stdout == b"v"
    datawal("delete", logdir, "--key-hex", key.hex())
    assert datawal("get", logdir, "--key-hex", key.hex(), status=2).stdout == b""


def test_a_key_of_64_kib_is_the_longest(datawal, logdir):
    datawal("put", logdir, "--key", "k" * 65536, "--value", "v")
    assert datawal.scan(logdir)[0].key == b"k" * 65536
    assert "65536" in only_line(datawal("get", logdir, "--key", "k" * 65537, status=1))


@pytest.mark.slow
def test_a_value_of_64_mib_is_the_largest(datawal, logdir, tmp_path):
    largest = tmp_path / "largest"
    largest.write_bytes(b"v" * MAX)
    datawal("put", logdir, "--key", "k", "--file", largest)
    assert datawal("get", logdir, "--key", "k", "--raw").stdout == largest.read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("source", ["file", "stdin", "pipe"])
def test_a_larger_value_is_refused_before_the_log_is_touched(datawal, log, tmp_path, source):
    large = tmp_path / "large"
    with open(large, "wb") as file:
        file.truncate(MAX + 1)
    before = files_of(log)
    holder = locked(log)  # not even the lock is asked for
    for directory in (log, tmp_path / "absent"):
        for words in (["put", directory, "--key", "k"], ["append", directory]):
            if source == "file":
                done = datawal(*words, "--file", large, status=1)
            elif source == "stdin":
                with open(large, "rb") as file:
                    done = datawal(*words, "-", stdin=file, status=1)
            else:
                done = datawal(*words, "-", input=bytes(MAX + 1), status=1, check=False)
            assert "64 MiB" in only_line(done)
    holder.communicate()
    assert files_of(log) == before
    assert not (tmp_path / "absent").exists()


def test_put_and_append_create_the_log(datawal, tmp_path):
    datawal("put", tmp_path / "new", "--key", "k", "--value", "v")
    datawal("append", tmp_path / "newer", "-", input=b"raw")
    (tmp_path / "empty").mkdir()
    datawal("put", tmp_path / "empty", "--key", "k", "--value", "v")
    for name in ("new", "newer", "empty"):
        assert sorted(files_of(tmp_path / name)) == ["00000001.dwal"]


@pytest.mark.parametrize("words", [["delete", "--key", "k"], ["rotate"]], ids=lambda w: w[0])
def test_delete_and_rotate_make_no_log_of_an_empty_directory(datawal, logdir, words):
    logdir.mkdir()
    only_line(datawal(words[0], logdir, *words[1:], status=1))
    assert list(logdir.iterdir()) == []


SYNC_COUNTER = r"""
#include <stdio.h>
#include <unistd.h>
#include <sys/syscall.h>
static int note(int fd) { dprintf(2, "sync\n"); return (int)syscall(SYS_fdatasync, fd); }
int fdatasync(int fd) { return note(fd); }
int fsync(int fd) { return note(fd); }
"""


def test_sync_syncs_what_was_written(datawal, log, tmp_path):
    (tmp_path / "count.c").write_text(SYNC_COUNTER)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", tmp_path / "count.so", tmp_path / "count.c"],
                   check=True, timeout=30)
    for words in WRITES[:3]:
        def syncs(*more):
            done = datawal(words[0], log, *words[1:], *more, input=b"raw",
                           env={**os.environ, "LD_PRELOAD": str(tmp_path / "count.so")})
            return done.stderr.count(b"sync\n")
        assert syncs("--sync") == syncs() + 1 > 1


# --- what is refused ----------------------------------------------------------------

@pytest.mark.parametrize("words", WRITES, ids=lambda w: w[0])
def test_a_log_locked_by_another_writer_is_refused_and_the_line_says_who(datawal, log, words):
    before = files_of(log)
    holder = locked(log)
    line = only_line(datawal(words[0], log, *words[1:], "--wait", "0", input=b"raw", status=1))
    assert f"{log}: locked by another writer: pid {holder.pid} (" in line
    holder.communicate()
    assert files_of(log) == before
    datawal(words[0], log, *words[1:], input=b"raw")


LOCK_TELLER = r"""
#include <errno.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <unistd.h>
int flock(int fd, int operation)
{
    int result = (int)syscall(SYS_flock, fd, operation);
    if (result && errno == EWOULDBLOCK && write(atoi(getenv("TELL")), "w", 1) != 1)
        abort();
    return result;
}
"""


@pytest.mark.parametrize("words", WRITES, ids=lambda w: w[0])
def test_another_writer_is_waited_for(datawal, log, tmp_path, words):
    (tmp_path / "tell.c").write_text(LOCK_TELLER)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", tmp_path / "tell.so", tmp_path / "tell.c"],
                   check=True, timeout=30)
    holder = locked(log)
    reading, writing = os.pipe()
    waiting = subprocess.Popen(
        [datawal.program, words[0], log, *words[1:], "--wait", "60"], stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE, pass_fds=[writing],
        env={**os.environ, "LD_PRELOAD": str(tmp_path / "tell.so"), "TELL": str(writing)})
    os.close(writing)
    assert os.read(reading, 1) == b"w"  # it has found the log locked
    holder.communicate()
    assert waiting.communicate(timeout=60)[1] == b"" and waiting.returncode == 0
    os.close(reading)


def test_it_waits_for_three_seconds_unless_told(datawal, log):
    holder = locked(log)
    start = time.monotonic()
    only_line(datawal("delete", log, "--key", "k", "--wait", "0", status=1))
    at_once = time.monotonic() - start
    only_line(datawal("delete", log, "--key", "k", "--wait", "1", status=1))
    assert time.monotonic() - start >= 1 > at_once
    assert b"(3)" in datawal("put", "--help").stdout
    holder.communicate()


def test_a_disk_that_takes_no_more_leaves_the_log_as_it_was(datawal, log):
    before = files_of(log)
    done = datawal("put", log, "--key", "k", "-", input=bytes(1 << 20), status=3,
                   preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)))
    assert "File too large" in only_line(done)
    assert files_of(log) == before
    assert datawal("scan", log).stderr == b""


def test_output_that_cannot_be_written_is_told_though_the_record_stands(datawal, log):
    with open("/dev/full", "wb") as full:
        done = subprocess.run([datawal.program, "delete", log, "--key", "alpha", "--json"],
                              stdout=full, stderr=subprocess.PIPE, check=False, timeout=30)
    assert done.returncode == 1
    assert b"standard output" in done.stderr
    assert datawal.records_of(log, "alpha") == ["Put", "Delete"]


# --- what is repaired ----------------------------------------------------------------

@pytest.mark.parametrize("words", WRITES, ids=lambda w: w[0])
def test_a_torn_tail_is_repaired_with_one_line_and_status_0(datawal, log, words):
    segment = log / "00000001.dwal"
    sound = segment.read_bytes()
    tail = corpus.frames(corpus.raw(b"torn"), first=2)[:-3]
    segment.write_bytes(sound + tail)
    line = only_line(datawal(words[0], log, *words[1:], input=b"raw"))
    assert f"{len(tail)} bytes" in line and f"00000001.dwal.torn-{len(sound)}" in line
    assert (log / f"00000001.dwal.torn-{len(sound)}").read_bytes() == tail
    assert segment.read_bytes().startswith(sound)
    assert datawal("scan", log).stderr == b""
    assert datawal.get(log, "alpha") == b"1"
    assert datawal(words[0], log, *words[1:], input=b"raw").stderr == b""


def test_a_refused_command_repairs_nothing(datawal, log):
    segment = log / "00000001.dwal"
    segment.write_bytes(segment.read_bytes() + b"DWAL")
    before = files_of(log)
    datawal("put", log, "--key", "k", "--file", "/nonexistent", status=1)
    datawal("scan", log, status=2)
    assert files_of(log) == before


def test_json_goes_to_stdout_and_the_line_about_a_repair_to_stderr(datawal, log):
    segment = log / "00000001.dwal"
    segment.write_bytes(segment.read_bytes() + b"DWAL")
    done = datawal("put", log, "--key", "k", "--value", "v", "--json")
    assert json.loads(done.stdout)["kind"] == "written"
    only_line(done)
