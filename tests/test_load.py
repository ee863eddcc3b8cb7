# SPDX-License-Identifier: MIT OR Apache-2.0
"""datawal load: the reverse of export. What a line may look like, what happens to the lines before
a bad one, memory, interruption."""
import json
import os
import pty
import resource
import signal
import subprocess
from base64 import b64encode

import pytest

import mounting
from cli import only_line

pytestmark = pytest.mark.sanitize

KEYS = {b"": b"empty key", b"\0\xff/": bytes(range(256)), b"a": b"", "größe".encode(): b"x" * 100000}


def line(key=b"k", value=b"v"):
    return json.dumps({"key_b64": b64encode(key).decode(), "value_b64": b64encode(value).decode()})


@pytest.fixture
def file(tmp_path):
    """file(text): the path of a file with these lines."""
    def write(text):
        path = tmp_path / "in.jsonl"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path
    return write


@pytest.mark.clause("C35")
@pytest.mark.parametrize("how", ["file", "pipe", "redirected"])
def test_what_was_exported_is_loaded_and_exports_the_same(datawal, tmp_path, logdir, how):
    for key, value in KEYS.items():
        datawal.put(tmp_path / "source", key, value)
    exported = tmp_path / "out.jsonl"
    datawal("export", tmp_path / "source", exported)
    if how == "file":
        done = datawal("load", logdir, exported)
    elif how == "pipe":
        done = datawal("load", logdir, "-", input=exported.read_bytes())
    else:
        with open(exported, "rb") as stdin:
            done = datawal("load", logdir, "-", stdin=stdin)
    assert done.stdout == done.stderr == b""
    assert datawal("export", logdir, "-").stdout == exported.read_bytes()
    assert [(r.type, r.txid) for r in datawal.scan(logdir)] == [("Put", n) for n in range(1, 5)]
    [said] = datawal.json("load", logdir, exported)
    assert said == {"schema": "datawal.cli.v1", "kind": "load", "puts": 4}


@pytest.mark.parametrize("text, key, value", [
    ('{"key_b64":"YQ==","value_b64":"Yg=="}', b"a", b"b"),
    (' { "value_b64" : "Yg==" , "key_b64" : "YQ==" }\t\r', b"a", b"b"),
    (r'{"key_b64":"\/\/\/\/","value_b64":"++++"}', b"\xff\xff\xff", b"\xfb\xef\xbe"),
    ('{"key_b64":"","value_b64":""}', b"", b"")])
@pytest.mark.parametrize("end", ["\n", "", "\n\n \n"], ids=["newline", "none", "blanks"])
def test_a_line_may_be_written_as_json_allows(datawal, logdir, file, text, key, value, end):
    datawal("load", logdir, file(text + end))
    [record] = datawal.scan(logdir)
    assert (record.key, record.payload) == (key, value)


BAD = ["x", "{}", "[]", "null", '{"key_b64":"YQ=="}', '{"key_b64":"YQ==","value_b64":"Yg=="',
       '{"key_b64":"YQ==","key_b64":"YQ=="}', '{"key_b64":"YQ==","value_b64":null}',
       '{"key_b64":"YQ==","value_b64":"Yg==","more":"1"}', line() + line(), line() + ",",
       '{"key_b64":"YQ","value_b64":"Yg=="}', '{"key_b64":"YR==","value_b64":"Yg=="}',
       '{"key_b64":"YQ==","value_b64":"Y g="}', '{"key_b64":"YQ==","value_b64":"Yg==',
       r'{"key_b64":"\u0059Q==","value_b64":""}', '{"key_b64":"YQ==","value_b64":"====" }',
       "\ufeff" + line(), line(b"k" * 65537), "\0"]


@pytest.mark.parametrize("bad", BAD, ids=range(len(BAD)))
def test_a_bad_line_in_a_file_puts_nothing_and_is_named(datawal, logdir, file, bad):
    text = f"{line(b'1')}\n{line(b'2')}\n{bad}\n{line(b'4')}\n"
    said = only_line(datawal("load", logdir, file(text), status=1))
    assert "in.jsonl: line 3: " in said and "nothing was written" in said
    assert not logdir.exists()


@pytest.mark.parametrize("bad", BAD[:6], ids=range(6))
def test_a_bad_line_in_a_pipe_ends_it_and_says_how_many_were_put(datawal, logdir, bad):
    text = f"{line(b'1')}\n{line(b'2')}\n{bad}\n{line(b'4')}\n"
    said = only_line(datawal("load", logdir, "-", input=text.encode(), status=1))
    assert "standard input: line 3: " in said and "2 keys before it were put and stay" in said
    assert [r.key for r in datawal.scan(logdir)] == [b"1", b"2"]
    said = only_line(datawal("load", logdir, "-", input=bad.encode(), status=1))
    assert "line 1: " in said and "nothing was written" in said


def test_a_file_is_checked_before_the_lock_is_asked_for(datawal, logdir, file):
    datawal.put(logdir, "k", "v")
    with subprocess.Popen(["flock", "--exclusive", logdir / ".lock", "sh", "-c", "echo held; cat"],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout.readline() == b"held\n"
        assert "line 1" in only_line(datawal("load", logdir, file("x"), status=1))
        holder.stdin.close()


@pytest.mark.parametrize("name", ["absent", "directory"])
def test_an_input_that_cannot_be_read_is_told(datawal, tmp_path, logdir, name):
    (tmp_path / "directory").mkdir()
    said = only_line(datawal("load", logdir, tmp_path / name, status=1))
    assert name in said and "nothing was written" in said


@pytest.mark.slow
def test_a_line_longer_than_any_is_refused_with_bounded_memory(datawal, logdir):
    """300 MB of one line, in 400 MB of address space."""
    # AddressSanitizer wants terabytes of addresses
    limit = resource.RLIM_INFINITY if "ASAN_OPTIONS" in os.environ else 400 << 20
    with subprocess.Popen(["sh", "-c", "printf '{\"key_b64\":\"'; yes AAAA | head -c 300000000 | "
                           "tr -d '\\n'"], stdout=subprocess.PIPE) as source:
        done = datawal("load", logdir, "-", stdin=source.stdout, status=1,
                       preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)))
        source.stdout.close()
    assert "line 1: longer than any line of an export" in only_line(done)


@pytest.mark.slow
def test_the_largest_value_is_loaded(datawal, logdir, file):
    datawal("load", logdir, file(line(b"k", b"\xff" * (64 << 20)).replace("/", "\\/")))
    assert datawal.get(logdir, "k") == b"\xff" * (64 << 20)


@pytest.mark.slow
def test_a_value_over_64_mib_is_refused(datawal, logdir, file):
    said = only_line(datawal("load", logdir, file(line(b"k", bytes((64 << 20) + 1))), status=1))
    assert "line 1: " in said and "64 MiB" in said


def test_a_disk_that_takes_no_more_says_how_far_it_came(datawal, logdir, file):
    lines = "".join(line(b"%d" % n, bytes(1000)) + "\n" for n in range(20))
    done = datawal("load", logdir, file(lines), status=3,
                   preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000)))
    said = only_line(done)
    assert "line 5: File too large; 4 keys before it were put and stay" in said
    assert [r.key for r in datawal.scan(logdir)] == [b"0", b"1", b"2", b"3"]


def test_interrupted_it_stops_between_two_lines(datawal, logdir):
    with subprocess.Popen([datawal.program, "load", logdir, "-"], stdin=subprocess.PIPE,
                          stderr=subprocess.PIPE) as loading:
        loading.stdin.write(f"{line(b'1')}\n{line(b'2')}\n{line(b'3')[:9]}".encode())
        loading.stdin.flush()
        mounting.wait_for(lambda: logdir.exists() and len(datawal.scan(logdir, status=(0, 2))) == 2
                          if (logdir / "00000001.dwal").exists() else False, "two records")
        loading.send_signal(signal.SIGTERM)
        said = loading.stderr.read().decode()
        assert loading.wait(10) == -signal.SIGTERM
    assert "interrupted; 2 keys before it were put and stay" in said
    assert [r.key for r in datawal.scan(logdir)] == [b"1", b"2"]


def test_a_terminal_sees_progress_and_nothing_of_it_stays(datawal, logdir, file):
    lines = "".join(line(b"%d" % n, bytes(100000)) + "\n" for n in range(30))
    path = file(lines)
    reading, terminal = pty.openpty()
    with subprocess.Popen([datawal.program, "load", logdir, path], stderr=terminal) as loading:
        os.close(terminal)
        shown = b""
        try:
            while chunk := os.read(reading, 4096):
                shown += chunk
        except OSError:  # the terminal's other end is closed
            pass
        assert loading.wait(30) == 0
    os.close(reading)
    assert b" of " in shown and shown.endswith(b"\r\x1b[K")


def test_sync_syncs_once_at_the_end(datawal, logdir, file, tmp_path):
    source = tmp_path / "count.c"
    source.write_text("#include <stdio.h>\n#include <unistd.h>\n#include <sys/syscall.h>\n"
                      "static int note(int fd) { dprintf(2, \"sync\\n\"); "
                      "return (int)syscall(SYS_fdatasync, fd); }\n"
                      "int fdatasync(int fd) { return note(fd); }\n"
                      "int fsync(int fd) { return note(fd); }\n")
    subprocess.run(["cc", "-shared", "-fPIC", "-o", tmp_path / "count.so", source], check=True,
                   timeout=30)
    datawal.put(logdir, "a", "1")
    path = file(f"{line(b'1')}\n{line(b'2')}\n")

    def syncs(*more):
        done = datawal("load", logdir, path, *more,
                       env={**os.environ, "LD_PRELOAD": str(tmp_path / "count.so")})
        return done.stderr.count(b"sync\n")
    assert syncs("--sync") == syncs() + 1
