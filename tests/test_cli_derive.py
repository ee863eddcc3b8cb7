# SPDX-License-Identifier: MIT OR Apache-2.0
"""datawal export and compact: what they make is complete or not there, and the source stays as it
is."""
import os
import re
import resource
import signal
import subprocess
import sys
from base64 import b64encode

import pytest

import paths
from cli import on_terminal, only_line

sys.path.insert(0, str(paths.ROOT / "corpus"))
import gen_corpus as corpus  # noqa: E402

pytestmark = pytest.mark.sanitize

BINARY = bytes(range(256))
LIVE = {b"": b"empty key", b"alpha": b"2", b"b\0": BINARY, b"c": b""}
EXPORT = b"".join(b'{"key_b64":"%s","value_b64":"%s"}\n' % (b64encode(k), b64encode(v))
                  for k, v in sorted(LIVE.items()))
COMPACTED = corpus.frames(*(corpus.put(k, v) for k, v in sorted(LIVE.items())))


def tree(path):
    about = {}
    for name in [path, *sorted(path.rglob("*"))]:
        s = name.lstat()
        about[name] = (s.st_ino, s.st_mode, s.st_size, s.st_mtime_ns, s.st_ctime_ns,
                       name.read_bytes() if name.is_file() else None)
    return about


@pytest.fixture
def log(logdir):
    logdir.mkdir()
    (logdir / "00000001.dwal").write_bytes(corpus.frames(
        corpus.put(b"c", b""), corpus.put(b"alpha", b"1"), corpus.raw(b"raw"),
        corpus.put(b"gone", b"x")))
    (logdir / "00000005.dwal").write_bytes(corpus.frames(
        corpus.put(b"alpha", b"2"), corpus.put(b"b\0", BINARY), corpus.delete(b"gone"),
        corpus.put(b"", b"empty key"), first=5))
    return logdir


def test_export_writes_a_line_for_every_live_key_in_order(datawal, log, tmp_path):
    before = tree(log)
    assert datawal("export", log, tmp_path / "out.jsonl").stdout == b""
    assert (tmp_path / "out.jsonl").read_bytes() == EXPORT
    assert datawal("export", log, "-").stdout == EXPORT
    assert datawal("export", log, "-", "--json").stdout == EXPORT
    assert tree(log) == before


def test_export_replaces_the_target(datawal, log, tmp_path):
    out = tmp_path / "out.jsonl"
    out.write_text("old, and longer than what is new\n" * 100)
    [said] = datawal.json("export", log, out)
    assert said == {"schema": "datawal.cli.v1", "kind": "export", "live_keys": 4}
    assert out.read_bytes() == EXPORT
    assert sorted(p.name for p in tmp_path.iterdir()) == ["log", "out.jsonl"]


def test_export_writes_into_a_pipe_and_does_not_replace_it(datawal, log, tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reader = subprocess.Popen(["cat", fifo], stdout=subprocess.PIPE)
    try:
        datawal("export", log, fifo)
        assert fifo.is_fifo()
        assert reader.communicate(timeout=10)[0] == EXPORT
    finally:
        reader.kill()
        reader.wait()


def test_compact_writes_a_fresh_log_and_says_what_is_in_it(datawal, log, tmp_path):
    before = tree(log)
    said = datawal("compact", log, tmp_path / "out").stdout.decode()
    assert [int(n) for n in re.findall(r"\d+$", said, re.M)] == [4, 4, len(COMPACTED)]
    (tmp_path / "empty").mkdir()
    [object_] = datawal.json("compact", log, tmp_path / "empty")
    assert list(object_.items()) == [
        ("schema", "datawal.cli.v1"), ("kind", "compact"), ("live_keys", 4),
        ("records_written", 4), ("bytes_written", len(COMPACTED))]
    for out in ("out", "empty"):
        assert (tmp_path / out / "00000001.dwal").read_bytes() == COMPACTED
        assert [r.txid for r in datawal.scan(tmp_path / out)] == [1, 2, 3, 4]
    assert tree(log) == before


def test_compact_refuses_a_target_that_holds_anything(datawal, log, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes").write_text("mine")
    (tmp_path / "file").write_text("mine")
    before = tree(tmp_path)
    for target in (tmp_path / "full", tmp_path / "file", log, tmp_path / "absent" / "out"):
        assert str(target) in only_line(datawal("compact", log, target, status=1))
    assert tree(tmp_path) == before


@pytest.mark.parametrize("target", ["full/notes/out", "."])
def test_export_to_what_cannot_be_a_file_is_one_line(datawal, log, tmp_path, target):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes").write_text("mine")
    before = tree(tmp_path)
    only_line(datawal("export", log, tmp_path / target, status=1))
    assert tree(tmp_path) == before


@pytest.mark.clause("C35")
def test_export_makes_the_missing_parents_of_its_target(datawal, log, tmp_path):
    datawal("export", log, tmp_path / "a/b/out.jsonl")
    assert (tmp_path / "a/b/out.jsonl").read_bytes() == EXPORT
    datawal("export", log, "c/out.jsonl", cwd=tmp_path / "a")
    assert (tmp_path / "a/c/out.jsonl").read_bytes() == EXPORT
    datawal("export", tmp_path / "absent", tmp_path / "never/out.jsonl", status=1)
    assert not (tmp_path / "never").exists()


def test_a_damaged_log_is_neither_exported_nor_compacted(datawal, log, tmp_path):
    segment = log / "00000001.dwal"
    segment.write_bytes(corpus.flipped(segment.read_bytes(), 25, 1))
    before = tree(tmp_path)
    for command in ("export", "compact"):
        assert "segment 1" in only_line(datawal(command, log, tmp_path / "out", status=3))
    assert tree(tmp_path) == before


@pytest.mark.parametrize("command", ["export", "compact"])
def test_a_disk_that_takes_no_more_leaves_no_half_made_target(datawal, log, tmp_path, command):
    (log / "00000006.dwal").write_bytes(corpus.frames(corpus.put(b"large", bytes(1 << 16)), first=9))
    before = tree(log)
    done = datawal(command, log, tmp_path / "out", status=3,
                   preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)))
    only_line(done)
    assert tree(log) == before
    assert [p.name for p in tmp_path.iterdir()] == ["log"]


@pytest.mark.slow
@pytest.fixture
def large(datawal, logdir):
    """A log with three values of 2 MiB."""
    for key in "abc":
        datawal.put(logdir, key, bytes(2 << 20))
    return logdir


@pytest.mark.parametrize("command", ["export", "compact"])
def test_progress_is_drawn_on_a_terminal_and_erased(datawal, large, tmp_path, command):
    status, seen = on_terminal([datawal.program, command, large, tmp_path / "out"],
                               subprocess.DEVNULL)
    assert status == 0
    assert seen.count(b"of 6 MiB") >= 2 and seen.endswith(b"\r\033[K")  # the log, then the keys
    assert datawal(command, large, tmp_path / "again").stderr == b""


def test_an_export_to_a_terminal_is_not_drawn_over(datawal, log, tmp_path):
    assert on_terminal([datawal.program, "export", log, "-"]) == (0, EXPORT.replace(b"\n", b"\r\n"))
    with open(tmp_path / "out", "wb") as out:
        status, seen = on_terminal([datawal.program, "export", log, "-"], out)
    assert status == 0 and seen.endswith(b"\r\033[K")
    assert (tmp_path / "out").read_bytes() == EXPORT


# Signals itself at its first write to a file, when the target has been begun.
SIGNALLER = r"""
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>
static void once(int fd)
{
    static int done;
    if (fd > 2 && !done++)
        raise(atoi(getenv("NUMBER")));
}
ssize_t write(int fd, const void *data, size_t n) { once(fd); return syscall(SYS_write, fd, data, n); }
ssize_t pwrite64(int fd, const void *data, size_t n, off_t at)
{
    once(fd);
    return syscall(SYS_pwrite64, fd, data, n, at);
}
ssize_t pwrite(int fd, const void *data, size_t n, off_t at) { return pwrite64(fd, data, n, at); }
ssize_t pwritev64(int fd, const struct iovec *iov, int n, off_t at)
{
    once(fd);
    return syscall(SYS_pwritev, fd, iov, n, at, 0);
}
ssize_t pwritev(int fd, const struct iovec *iov, int n, off_t at) { return pwritev64(fd, iov, n, at); }
"""


@pytest.fixture(scope="module")
def signaller(tmp_path_factory):
    place = tmp_path_factory.mktemp("signaller")
    (place / "it.c").write_text(SIGNALLER)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", place / "it.so", place / "it.c"], check=True,
                   timeout=30)
    return place / "it.so"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("command", ["export", "compact"])
def test_interrupted_it_leaves_the_old_target_and_nothing_else(datawal, large, tmp_path, signaller,
                                                               command, number):
    out = tmp_path / "out"
    if command == "export":
        out.write_text("old")
    before = {p.name for p in tmp_path.iterdir()}
    done = datawal(command, large, out, status=-number, env={
        **os.environ, "LD_PRELOAD": str(signaller), "NUMBER": str(int(number))})
    assert re.fullmatch(rb"datawal: interrupted[^\n]+\n", done.stderr)
    assert {p.name for p in tmp_path.iterdir()} == before
    assert command == "compact" or out.read_text() == "old"


def test_interrupted_among_directories_compact_leaves_nothing(datawal, mount, tmp_path, signaller):
    m = mount()
    (m / "d").mkdir()
    (m / "e").mkdir()
    m.unmount()
    before = {p.name for p in tmp_path.iterdir()}
    done = datawal("compact", m.log, tmp_path / "out", status=-signal.SIGTERM, env={
        **os.environ, "LD_PRELOAD": str(signaller), "NUMBER": str(int(signal.SIGTERM))})
    assert re.fullmatch(rb"datawal: interrupted[^\n]+\n", done.stderr)
    assert {p.name for p in tmp_path.iterdir()} == before
