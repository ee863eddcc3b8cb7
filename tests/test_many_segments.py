# SPDX-License-Identifier: MIT OR Apache-2.0
"""A log of very many segments, with few descriptors."""
import json
import os
import resource
import sys

import pytest

import cli
import mounting
import paths

sys.path.insert(0, str(paths.ROOT / "corpus"))
import gen_corpus as corpus  # noqa: E402

FEW = 256
pytestmark = pytest.mark.clause("C25a")


@pytest.fixture(params=[1500])
def many(request, logdir, monkeypatch):
    """A log of so many segments, the first of which is empty, each other with a key of its own."""
    monkeypatch.setattr(mounting, "READY_SECONDS", 200)
    logdir.mkdir()
    folder = os.open(logdir, os.O_RDONLY)
    for number in range(1, request.param + 1):
        fd = os.open(f"{number:08}.dwal", os.O_WRONLY | os.O_CREAT, 0o600, dir_fd=folder)
        if number > 1:
            os.write(fd, corpus.encode(corpus.PUT, number, b"k%d" % number, b"v%d" % number))
        os.close(fd)
    os.close(folder)
    return request.param


def few(hard=True):
    """For subprocess: the limit of descriptors, and what may be made of it."""
    most = FEW if hard else resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return {"timeout": 200, "preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (FEW, most))}


def mount_with_few(mount, logdir, tmp_path, *options):
    """The daemon, which raises its own limit, can have no more."""
    wrapper = tmp_path / "few"
    wrapper.write_text(f'#!/bin/sh\nulimit -n {FEW}\nexec {paths.program("fuse/datawalfs")} "$@"\n')
    wrapper.chmod(0o755)
    m = mount(logdir, *options, wait=False)
    m.program = wrapper
    return m.start()


def refused(many, line):
    assert line.count("\n") == 1
    assert f"there are {many}, " in line and f"may open {FEW} files" in line
    assert f"ulimit -n {many + 32}" in line
    return True


def writers_need_few_descriptors_and_readers_say_how_many(datawal, many, logdir):
    assert datawal("put", logdir, "--key", "new", "--value", "1", **few()).stderr == b""
    datawal("rotate", logdir, **few())
    done = datawal("get", logdir, "--key", "k7", status=1, **few())
    assert refused(many + 1, cli.only_line(done))
    if many + 64 < resource.getrlimit(resource.RLIMIT_NOFILE)[1]:  # it raises its own soft limit
        assert datawal("get", logdir, "--key", f"k{many}", **few(hard=False)).stdout == b"v%d" % many
        assert len(datawal.json("stats", logdir, **few(hard=False))) >= 1


def a_mount_needs_few_descriptors(mount, many, logdir, tmp_path):
    m = mount_with_few(mount, logdir, tmp_path)
    for number in (2, many // 2, many - 1, many, 3):
        assert (m / f"k{number}").read_bytes() == b"v%d" % number
    held = [open(m / f"k{number}", "rb") for number in range(2, 400)]
    assert [file.read() for file in held] == [b"v%d" % number for number in range(2, 400)]
    for file in held:
        file.close()
    (m / "k5").write_bytes(b"anew")
    (m / "new").write_bytes(b"value")
    os.unlink(m / "k6")
    assert len(os.listdir(m)) == many - 1
    names = [name for name in os.listdir(m / ".log") if name.endswith(".dwal")]
    assert len(names) == many
    for name in names[:300]:
        assert os.stat(m / ".log" / name).st_size == os.stat(logdir / name).st_size
    assert len(json.loads((m / ".log/stats.json").read_text())["segments"]) == many
    m.unmount()
    m = mount_with_few(mount, logdir, tmp_path)
    assert (m / "k5").read_bytes() == b"anew" and not (m / "k6").exists()
    m.unmount()


def test_writers_need_few_descriptors_and_readers_say_how_many(datawal, many, logdir):
    writers_need_few_descriptors_and_readers_say_how_many(datawal, many, logdir)


def test_a_mount_needs_few_descriptors(mount, many, logdir, tmp_path):
    a_mount_needs_few_descriptors(mount, many, logdir, tmp_path)


@pytest.mark.slow
@pytest.mark.deadline(300)
@pytest.mark.parametrize("many", [100_000], indirect=True)
def test_a_hundred_thousand_need_no_more(datawal, mount, many, logdir, tmp_path):
    a_mount_needs_few_descriptors(mount, many, logdir, tmp_path)
    writers_need_few_descriptors_and_readers_say_how_many(datawal, many, logdir)


@pytest.mark.clause("S22a")
def test_a_mount_without_the_lock_says_how_many_it_needs(mount, many, logdir, tmp_path):
    with pytest.raises(mounting.MountFailed) as caught:
        mount_with_few(mount, logdir, tmp_path, "ro")
    assert refused(many, caught.value.stderr)
