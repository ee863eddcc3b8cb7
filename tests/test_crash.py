# SPDX-License-Identifier: MIT OR Apache-2.0
"""The daemon is killed at seeded moments while several processes write. After a mount, without
anything done by hand, each file whose close or fsync returned has what was written, and no file has
a part of anything."""
import os
import random
import subprocess
import sys
import time
from contextlib import suppress

import pytest

WRITER = r"""
import hashlib, os, random, sys
directory, seed, name = sys.argv[1], int(sys.argv[2]), sys.argv[3]
rng = random.Random(seed)

def say(*words):
    # one write a line: whole, or not at all
    os.write(1, (" ".join(map(str, words)) + "\n").encode())

def value(number, size):
    # each value tells its number and vouches for itself
    body = b"%s %d " % (name.encode(), number) + rng.randbytes(size)
    return hashlib.sha256(body).hexdigest().encode() + body

number = 0
while True:
    number += 1
    file = "%s-%d" % (name, rng.randrange(8))
    path = os.path.join(directory, file)
    data = value(number, rng.choice((0, 10, 1000, 50_000, 400_000)))
    how = rng.choice(("replace", "overwrite", "fsync", "unlink"))
    try:
        say("begin", how, file, number)
        if how == "unlink":
            try:
                os.unlink(path)
            except FileNotFoundError:
                pass
        elif how == "replace":
            fd = os.open(path + ".tmp", os.O_CREAT | os.O_TRUNC | os.O_WRONLY)
            os.write(fd, data)
            os.close(fd)
            os.rename(path + ".tmp", path)
        else:
            fd = os.open(path, os.O_CREAT | os.O_TRUNC | os.O_WRONLY)
            for at in range(0, len(data), 100_000):
                os.write(fd, data[at:at + 100_000])
            if how == "fsync":
                os.fsync(fd)
                say("done", how, file, number)
            os.close(fd)
        say("done", how, file, number)
    except OSError:
        sys.exit(0)
"""


def check_whole(data):
    """The number of a value; fails when it is not whole."""
    import hashlib
    digest, body = data[:64], data[64:]
    assert hashlib.sha256(body).hexdigest().encode() == digest, f"a partial value of {len(data)} bytes"
    return int(body.split(b" ", 2)[1])


def allowed_after(lines):
    """file -> the numbers that it may hold (0: absent), from what its writer said."""
    allowed = {}
    for line in lines:
        words = line.split()
        if len(words) != 4 or not line.endswith("\n"):
            continue
        what, how, file, number = words
        result = 0 if how == "unlink" else int(number)
        if what == "done":
            allowed[file] = {result}
        else:
            allowed.setdefault(file, {0}).add(result)
    return allowed


def crash_rounds(mount, logdir, tmp_path, seed, rounds):
    rng = random.Random(seed)
    m = mount(logdir, "segment_size=4194304")
    acknowledged = 0
    for number in range(rounds):
        directory = m.path / f"round{number}"
        directory.mkdir()
        said = [tmp_path / f"said{number}-{w}" for w in range(3)]
        writers = []
        for index, path in enumerate(said):
            with open(path, "wb") as output:
                writers.append(subprocess.Popen(
                    [sys.executable, "-c", WRITER, directory, str(rng.getrandbits(32)), f"w{index}"],
                    stdout=output))
        # the moment of death is the input here, not a wait for something
        time.sleep(rng.uniform(0.03, 0.25))
        m.kill9()
        for writer in writers:
            writer.wait(20)
        m.remount()
        for path in said:
            for file, numbers in allowed_after(path.read_text().splitlines(True)).items():
                target = directory / file
                held = check_whole(target.read_bytes()) if target.exists() else 0
                assert held in numbers, f"seed {seed}, round {number}: {file} holds {held}"
                acknowledged += 1
        for name in os.listdir(directory):
            check_whole((directory / name).read_bytes())
    return acknowledged


def write(path, data):
    fd = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o644)
    os.write(fd, data)
    return fd


@pytest.mark.clause("S21e", "S3")
@pytest.mark.sanitize
def test_what_a_call_had_returned_for_is_there_when_the_daemon_is_killed(mount):
    """Each file is open for writing once more, so that nothing but the call publishes it."""
    m = mount()
    (m / "old").write_bytes(b"old")
    held = [write(m / "closed", b"") for _ in range(2)]
    os.write(held[0], b"closed")
    os.close(held.pop(0))
    held += [write(m / "synced", b"synced"), write(m / "old", b"new")]
    os.fsync(held[1])
    m.kill9()
    for fd in held:
        with suppress(OSError):
            os.close(fd)
    m.remount()
    assert {name: (m / name).read_bytes() for name in os.listdir(m)} == {
        "closed": b"closed", "synced": b"synced", "old": b"old"}


@pytest.mark.clause("S21e", "S3")
@pytest.mark.deadline(120)
@pytest.mark.sanitize
def test_a_killed_daemon_loses_nothing_acknowledged_and_leaves_nothing_partial(mount, logdir,
                                                                               tmp_path):
    assert crash_rounds(mount, logdir, tmp_path, seed=1, rounds=20) > 50


@pytest.mark.slow
@pytest.mark.clause("S21e", "S3")
@pytest.mark.deadline(400)
def test_a_killed_daemon_loses_nothing_at_100_moments(mount, logdir, tmp_path):
    assert crash_rounds(mount, logdir, tmp_path, seed=int(os.environ.get("DATAWAL_SEED", "2")),
                        rounds=100) > 500
