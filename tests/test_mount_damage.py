# SPDX-License-Identifier: MIT OR Apache-2.0
"""A byte that changes on the disk, or cannot be read, while the log is mounted: the trouble of one
file, told once."""
import base64
import errno
import json
import os
import subprocess

import pytest

import mounting
import paths

pytestmark = [pytest.mark.sanitize, pytest.mark.thread]

SIZES = {"small": 100, "large": 3_000_000}  # the second is read in pieces


def fails_with(number, call, *args):
    with pytest.raises(OSError) as caught:
        call(*args)
    assert caught.value.errno == number, caught.value


def place_of(path):
    """(segment, offset, length) of a file's record."""
    return [int(os.getxattr(path, f"user.datawal.{what}")) for what in ("segment", "offset", "length")]


def flip(log, segment, offset):
    with open(log / f"{segment:08}.dwal", "r+b", buffering=0) as file:
        byte = os.pread(file.fileno(), 1, offset)
        os.pwrite(file.fileno(), bytes([byte[0] ^ 1]), offset)


def fill(datawal, logdir):
    """Both files, one beside and one of the same name as a directory, sealed."""
    for name, size in SIZES.items():
        datawal.put(logdir, f"d/{name}", os.urandom(size))
    datawal.put(logdir, "beside", "intact")
    datawal("rotate", logdir)


def damages(m):
    """What the mount says of them: (path in people's words, or a whole line)."""
    told = json.loads((m / ".log/recovery.json").read_text())["damaged_values"]
    assert json.loads((m / ".log/stats.json").read_text())["damaged_values"] == len(told)
    people = (m / ".log/recovery").read_text()
    assert f"damaged values found    {len(told)}\n" in people
    for one in told:
        name = base64.b64decode(one["key_base64"]).decode()
        assert (f'  "{name}": segment {one["segment"]:08}, offset {one["offset"]}: {one["reason"]}\n'
                in people)
    return [(base64.b64decode(one["key_base64"]).decode(), one["segment"], one["offset"],
             one["reason"]) for one in told]


@pytest.mark.clause("S25d")
@pytest.mark.parametrize("name", SIZES)
def test_a_changed_byte_is_the_trouble_of_one_file_and_told_once(
        datawal, logdir, mount, system_log, name):
    fill(datawal, logdir)
    m = mount(logdir)
    assert damages(m) == []
    path = m / "d" / name
    segment, offset, length = place_of(path)
    flip(logdir, segment, offset + length // 2)
    for _ in range(3):
        fails_with(errno.EIO, path.read_bytes)
    other = next(m / "d" / one for one in SIZES if one != name)
    assert len(other.read_bytes()) == SIZES[other.name]
    assert (m / "beside").read_bytes() == b"intact"
    assert damages(m) == [(f"d/{name}", segment, offset, "CRC mismatch")]
    lines = [line for line in (m.stderr + system_log()).splitlines() if "cannot be read" in line]
    assert len(lines) == 1 and f'"d/{name}" cannot be read' in lines[0]
    assert f"segment {segment:08}, offset {offset}: CRC mismatch" in lines[0]
    assert "salvage" in lines[0] and str(logdir) in lines[0]

    (m / "new").write_bytes(b"goes on")
    path.write_bytes(b"whole again")
    assert path.read_bytes() == b"whole again" and (m / "new").read_bytes() == b"goes on"


def append(path):
    with open(path, "ab", buffering=0) as file:
        file.write(b"x")


CHANGES = {"append": lambda path, m: append(path), "truncate": lambda path, m: os.truncate(path, 5),
           "rename": lambda path, m: os.rename(path, m / "elsewhere"),
           "rename_dir": lambda path, m: os.rename(m / "d", m / "e")}


@pytest.mark.clause("S25d")
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_whatever_needs_the_content_fails_and_changes_nothing(datawal, logdir, mount, change):
    fill(datawal, logdir)
    m = mount(logdir)
    path = m / "d/small"
    segment, offset, length = place_of(path)
    flip(logdir, segment, offset + length // 2)
    before = (logdir / "00000002.dwal").stat().st_size
    fails_with(errno.EIO, change, path, m)
    assert (logdir / "00000002.dwal").stat().st_size == before
    assert damages(m) == [("d/small", segment, offset, "CRC mismatch")]
    assert sorted(os.listdir(m)) == ["beside", "d"]
    os.unlink(path)


FAILING = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>
#include "environment.h"
static int fails(int fd)
{
	char link[64], path[4096];
	ssize_t n;

	if (access(given("BAD_DISK"), F_OK) != 0)
		return 0;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	path[n > 0 ? n : 0] = 0;
	return strstr(path, "00000001.dwal") != NULL;
}
#define READ(name)                                                          \
	ssize_t name(int fd, void *buffer, size_t n, __off64_t offset)      \
	{                                                                   \
		ssize_t (*real)(int, void *, size_t, __off64_t) =           \
			(__typeof__(real))dlsym(RTLD_NEXT, #name);          \
		if (!fails(fd))                                             \
			return real(fd, buffer, n, offset);                 \
		errno = EIO;                                                \
		return -1;                                                  \
	}
READ(pread)
READ(pread64)
ssize_t preadv64v2(int fd, const struct iovec *iov, int n, __off64_t offset, int flags)
{
	errno = EAGAIN; /* it is not in memory */
	return -1;
}
"""


@pytest.mark.clause("S22c", "S25d")
def test_a_read_error_is_told_in_the_same_way(datawal, logdir, mount, tmp_path, monkeypatch):
    fill(datawal, logdir)
    (tmp_path / "bad.c").write_text(FAILING)
    subprocess.run(["cc", "-shared", "-fPIC", f"-I{paths.ROOT}/tests/preload", "-o",
                    tmp_path / "bad.so", tmp_path / "bad.c", "-ldl"], check=True, timeout=30)
    monkeypatch.setenv("LD_PRELOAD", str(tmp_path / "bad.so"))
    monkeypatch.setenv("BAD_DISK", str(tmp_path / "bad"))
    m = mount(logdir)
    (m / "new").write_bytes(b"in the next segment")
    place = place_of(m / "beside")
    (tmp_path / "bad").touch()
    fails_with(errno.EIO, (m / "beside").read_bytes)
    assert (m / "new").read_bytes() == b"in the next segment"
    assert damages(m) == [("beside", *place[:2], "Input/output error")]
    assert m.stderr.count("cannot be read") == 1
    (tmp_path / "bad").unlink()
    assert (m / "beside").read_bytes() == b"intact"
    m.unmount()
    (tmp_path / "bad").touch()
    with pytest.raises(mounting.MountFailed) as caught:
        mount(logdir)
    assert "Input/output error" in caught.value.stderr and "'datawal salvage DIR OUT'" in caught.value.stderr


@pytest.mark.clause("S25d")
def test_a_segment_that_was_cut_is_told_too(datawal, logdir, mount):
    fill(datawal, logdir)
    m = mount(logdir)
    place = place_of(m / "beside")
    os.truncate(logdir / "00000001.dwal", place[1] + 3)
    fails_with(errno.EIO, (m / "beside").read_bytes)
    [(name, *_)] = damages(m)
    assert name == "beside"


@pytest.mark.clause("S22c", "S22e")
def test_damage_that_a_mount_meets_is_one_file_s_trouble_if_it_is_certain_whose(
        datawal, logdir, mount, system_log):
    for name, value in ("f", b"older"), ("f", b"n" * 500), ("beside", b"intact"):
        datawal.put(logdir, name, value)
    datawal("rotate", logdir)
    value = (logdir / "00000001.dwal").read_bytes().index(b"n" * 500)
    offset = value - 24 - len("f")
    flip(logdir, 1, value + 250)
    with pytest.raises(mounting.MountFailed):
        mount(logdir, "verify=full")
    said, = datawal.json("check", logdir, status=3)
    assert (said["mount"], said["verdict"], said["unreadable_values"]) == ("by-index", "damaged", 1)
    m = mount(logdir, "commit=1")
    assert (m / "beside").read_bytes() == b"intact"
    fails_with(errno.EIO, (m / "f").read_bytes)
    assert damages(m) == [("f", 1, offset, "CRC mismatch")]
    for told in m.stderr, system_log():
        line, = [line for line in told.splitlines() if "CRC mismatch" in line]
        assert f'segment 00000001, offset {offset}: CRC mismatch (Put of key "f", txid 2, 500 ' in line
        assert "'datawal salvage DIR OUT'" in line
    (m / "f").write_bytes(b"whole again")
    assert (m / "f").read_bytes() == b"whole again"
    m.unmount()

    flip(logdir, 1, value - 1)  # the key's byte, and so two
    before = {path.name: path.read_bytes() for path in logdir.iterdir()}
    with pytest.raises(mounting.MountFailed) as caught:
        mount(logdir)
    line = caught.value.stderr
    assert f"segment 1, offset {offset}: CRC mismatch" in line
    assert "-o ro,degraded" in line and "'datawal salvage DIR OUT'" in line
    assert {path.name: path.read_bytes() for path in logdir.iterdir()} == before
