# SPDX-License-Identifier: MIT OR Apache-2.0
"""Operations at random on names that meet: X, X\\value, X/X and long ones, at the root and below. What
shows is always what the log says, and the same after a remount."""
import errno
import os
import random

import pytest

import name_model
from byte_paths import at, live
from contents import tree

LONG = b"k" * 250  # with \value it is a long name
BASES = [b"X", b"Y", b"\\x2f", b"\\x5cx2f", b"X/X", b"Y/X", LONG]
ENDS = [b"", b"", b"\\value", b"\\value", b"/X", b"/f"]
OUTCOMES = {errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.EINVAL, errno.ENOTEMPTY,
            errno.ENAMETOOLONG}


def write(path, other):
    with open(path, "wb") as file:
        file.write(path[-8:])
    with open(path, "rb") as file:
        assert file.read() == path[-8:]


def rename(path, other):
    os.rename(path, other)
    assert os.path.lexists(other)


def symlink(path, other):
    os.symlink("nowhere", path)
    assert os.readlink(path) == b"nowhere"
    os.unlink(path)


ACTS = [write, write, write, rename, rename, symlink, lambda path, _: os.unlink(path),
        lambda path, _: os.unlink(path), lambda path, _: os.mkdir(path), lambda path, _: os.rmdir(path)]


def key_of(path):
    parts = path.split(b"/")
    return b"/".join(LONG if b"\\long-" in name else
                     name_model.key_of_name(name, depth == 0, depth < len(parts) - 1)[0]
                     for depth, name in enumerate(parts))


@pytest.mark.clause("S13a", "S13d", "S12g")
@pytest.mark.parametrize("seed", [1, 2])
def test_whatever_is_done_with_names_that_meet_each_is_its_key(datawal, logdir, mount, seed):
    rng = random.Random(seed)
    m = mount(logdir)
    for step in range(1, 301):
        path, other = (at(m, rng.choice(BASES) + rng.choice(ENDS)) for _ in range(2))
        try:
            rng.choice(ACTS)(path, other)
        except OSError as error:
            assert error.errno in OUTCOMES, (step, path, other)
        if step % 75:
            continue
        shown = tree(m)
        assert {key_of(path): value for path, value in shown.items()} == live(datawal, logdir), step
        m.remount()
        assert tree(m) == shown, step
