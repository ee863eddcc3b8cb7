# SPDX-License-Identifier: MIT OR Apache-2.0
"""What is half written when the mount ends takes nobody's value away, and is not lost either."""
import base64
import json
import os
import signal
import subprocess
from contextlib import contextmanager, suppress

import pytest

import mountctl
import mounting
import privileged

pytestmark = pytest.mark.sanitize

OLD, HALF = b"the old value", b"half of the\n\nnew\0one"


def twice(m):
    os.kill(m.pid, signal.SIGTERM)
    os.kill(m.pid, signal.SIGINT)  # two that are equal and not yet taken are one


def force(m):
    """Cuts the connection, with files open."""
    m.helper.communicate(timeout=20)


def lazily(m):
    m.helper.communicate(timeout=20)
    twice(m)


COMMANDS = {force: "umount -f", lazily: "umount -l"}


@contextmanager
def helper(m, how):
    """Started before a file is open: a process that inherits a descriptor closes it as well."""
    if how in COMMANDS:
        m.helper = subprocess.Popen([*privileged.prefix(), "sh", "-c",
                                     f"read line; {COMMANDS[how]} \"$1\"", "sh", m.path],
                                    stdin=subprocess.PIPE, stderr=subprocess.PIPE)
        yield
        m.helper.wait(20)
    else:
        yield


def terminate(m):
    os.kill(m.pid, signal.SIGTERM)


def half_written(path, content=HALF):
    fd = os.open(path, os.O_WRONLY | os.O_TRUNC)
    for at in range(0, len(content), 1 << 20):
        os.write(fd, content[at:at + (1 << 20)])
    return fd


def end(m, how, *fds):
    how(m)
    m.wait_end()
    for fd in fds:
        with suppress(OSError):
            os.close(fd)
    if mounting.mounted(m.path):  # stale
        subprocess.run(["fusermount3", "-u", "-z", m.path], check=True, timeout=20)


def unfinished(m):
    return json.loads((m / ".log/recovery.json").read_text())["unfinished"]


def taken_out(build, m, output):
    """By the commands that .log/recovery gives."""
    text = (m / ".log/recovery").read_text()
    commands = [line.strip() for line in text.splitlines() if line.startswith("    datawal scan")]
    parts = b""
    for command in commands:
        subprocess.run(["sh", "-c", command.replace("FILE", str(output))], check=True, timeout=30,
                       env={**os.environ, "PATH": f"{build}/src/cli:{os.environ['PATH']}"})
        parts += output.read_bytes()
    return parts


@pytest.mark.clause("S3", "S21g")
@pytest.mark.parametrize("how", [twice, force, lazily], ids=lambda f: f.__name__)
@pytest.mark.parametrize("content", [HALF, b""], ids=["written", "emptied"])
def test_the_old_value_stays_and_the_new_bytes_are_kept(build, mount, tmp_path, how, content):
    m = mount()
    (m / "d").mkdir()
    name = "d/it's \"f\""
    (m / name).write_bytes(OLD)
    with helper(m, how):
        end(m, how, half_written(m / name, content))
    m.start()
    assert (m / name).read_bytes() == OLD
    [found] = unfinished(m)
    assert base64.b64decode(found["key_base64"]) == os.fsencode(name)
    assert (found["size"], found["part_bytes"]) == (len(content), len(content))
    assert taken_out(build, m, tmp_path / "out") == content
    m.remount()
    assert len(unfinished(m)) == 1
    (m / name).write_bytes(b"written again")
    m.remount()
    assert unfinished(m) == []
    assert (m / name).read_bytes() == b"written again"


@pytest.mark.clause("S21g")
@pytest.mark.slow
def test_a_value_too_large_for_one_record_is_kept_in_parts(build, mount, tmp_path):
    m = mount()
    whole = os.urandom(1 << 20) * 64
    for name in ("f", "g"):
        (m / name).write_bytes(OLD)
    end(m, twice, half_written(m / "f", whole), half_written(m / "g"))
    m.start()
    parts = [one for one in unfinished(m) if one["key_base64"] == "Zg=="]
    assert [one["part_offset"] for one in parts] == [0, parts[0]["part_bytes"]]
    assert len(unfinished(m)) == 3
    assert (m / "f").read_bytes() == (m / "g").read_bytes() == OLD
    os.unlink(m / "g")
    m.remount()
    assert taken_out(build, m, tmp_path / "out") == whole


@pytest.mark.clause("S21d")
def test_what_is_no_overwrite_is_published_though_it_is_open(datawal, mount):
    m = mount()
    for name in ("appended", "changed"):
        (m / name).write_bytes(OLD)
    fds = [os.open(m / "appended", os.O_WRONLY | os.O_APPEND), os.open(m / "changed", os.O_WRONLY),
           os.open(m / "new", os.O_WRONLY | os.O_CREAT, 0o644)]
    for fd in fds:
        os.write(fd, b"THE")
    end(m, twice, *fds)
    m.start()
    assert (m / "appended").read_bytes() == OLD + b"THE"
    assert (m / "changed").read_bytes() == b"THE" + OLD[3:]
    assert (m / "new").read_bytes() == b"THE"
    assert unfinished(m) == []


@pytest.mark.clause("S21d")
def test_a_descriptor_closed_after_the_signal_is_served(mount):
    m = mount()
    (m / "f").write_bytes(OLD)
    fd = half_written(m / "f")
    other = os.open(m / "f", os.O_RDONLY)
    terminate(m)
    with pytest.raises(subprocess.TimeoutExpired):
        m.process.wait(0.5)  # without an open file it takes a tenth of that
    os.write(fd, b", and the rest")
    os.close(fd)  # and the one that only reads is not waited for
    m.wait_end()
    with suppress(OSError):
        os.close(other)
    m.start()
    assert (m / "f").read_bytes() == HALF + b", and the rest"
    assert unfinished(m) == []


@pytest.mark.clause("S21d", "S21g")
@pytest.mark.slow
def test_the_wait_for_writers_ends(mount):
    m = mount()
    (m / "f").write_bytes(OLD)
    end(m, terminate, half_written(m / "f"))
    m.start()
    assert (m / "f").read_bytes() == OLD
    assert len(unfinished(m)) == 1


@pytest.mark.clause("S2d", "S21b")
def test_a_file_emptied_and_closed_is_empty_after_an_orderly_unmount(mount):
    """Though the kernel may not have told of the close."""
    m = mount()
    for _ in range(20):
        (m / "f").write_bytes(OLD)
        os.close(os.open(m / "f", os.O_WRONLY | os.O_TRUNC))
        m.remount()
        assert (m / "f").read_bytes() == b""
        assert unfinished(m) == []


@pytest.mark.clause("S21g")
@pytest.mark.parametrize("trouble", ["full", "broken"])
def test_what_cannot_be_kept_is_said_and_the_old_value_stays(gated, trouble):
    m, gates = gated("commit=1000")
    (m / "f").write_bytes(OLD)
    fd = half_written(m / "f")
    (gates.directory / trouble).touch()
    twice(m)
    m.wait_end(status=1)
    assert "f" in m.stderr
    with suppress(OSError):
        os.close(fd)
    (gates.directory / trouble).unlink()
    m.start()
    assert (m / "f").read_bytes() == OLD


@pytest.mark.clause("S21g")
def test_a_file_of_the_name_of_such_records_is_a_file(mount):
    m = mount()
    name = "datawalfs.unfinished"
    (m / name).write_bytes(OLD)
    os.chmod(m / name, 0o600)
    end(m, twice, half_written(m / name))
    m.start()
    assert (m / name).read_bytes() == OLD
    assert os.stat(m / name).st_mode & 0o777 == 0o600
    assert len(unfinished(m)) == 1


@pytest.mark.clause("S21g")
def test_they_are_found_also_after_a_compaction(build, mount, tmp_path):
    m = mount()
    (m / "before").write_bytes(b"superseded" * 1000)
    (m / "f").write_bytes(OLD)
    end(m, twice, half_written(m / "f"))
    m.start()
    (m / "before").write_bytes(b"")
    assert mountctl.compact(m)["bytes_freed"] > 9000
    for _ in range(2):
        assert taken_out(build, m, tmp_path / "out") == HALF
        m.remount()
