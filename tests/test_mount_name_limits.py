# SPDX-License-Identifier: MIT OR Apache-2.0
"""How long names, paths and keys can be."""
import errno
import os

import pytest

import name_model
from byte_paths import at, entries, fails_with, get, live, put, read, write
from contents import tree
from name_model import path_of

pytestmark = pytest.mark.sanitize

KEY_MAX = 65536


@pytest.mark.clause("S12i")
def test_a_name_has_255_bytes_at_most(datawal, logdir, mount):
    m = mount(logdir)
    write(at(m, b"f"), b"f")
    os.mkdir(at(m, b"d"))
    for letter in (b"x", "é".encode()):
        name = (letter * 256)[:255]
        write(at(m, name), b"value")
        assert get(datawal, logdir, name) == b"value"
        os.unlink(at(m, name))
        os.mkdir(at(m, name))
        os.rmdir(at(m, name))
        os.rename(at(m, b"f"), at(m, name))
        os.rename(at(m, name), at(m, b"f"))

        over = at(m, name + b"x")
        for call in (os.stat, os.unlink, os.rmdir, os.mkdir, os.mkfifo, os.listdir):
            fails_with(errno.ENAMETOOLONG, call, over)
        fails_with(errno.ENAMETOOLONG, os.open, over, os.O_CREAT | os.O_WRONLY)
        fails_with(errno.ENAMETOOLONG, os.symlink, "f", over)
        fails_with(errno.ENAMETOOLONG, os.rename, at(m, b"f"), over)
        fails_with(errno.ENAMETOOLONG, os.rename, at(m, b"d"), over)
        fails_with(errno.ENAMETOOLONG, os.rename, over, at(m, b"g"))
    assert os.pathconf(m.path, "PC_NAME_MAX") == 255
    assert os.statvfs(m.path).f_namemax == 255
    assert tree(m) == {b"f": b"f"}


def paths_up_to_path_max(root):
    """What a program finds that uses ever longer paths, with the errnos."""
    found = []
    path = os.fsencode(root)
    while len(path) + 201 < 4090:
        path += b"/" + b"d" * 200
        os.mkdir(path)
    for size in (4094, 4095, 4096):
        full = path + b"/" + b"f" * (size - len(path) - 1)
        try:
            write(full, b"value")
            found.append((size, read(full), os.stat(full).st_size))
            os.rename(full, full[:-1] + b"g")
            os.unlink(full[:-1] + b"g")
        except OSError as error:
            found.append((size, error.errno))
    return found


@pytest.mark.clause("S12i")
def test_paths_are_as_long_as_the_system_lets_them_be(mount, host_dir):
    m = mount()
    found = paths_up_to_path_max(m.path)
    assert found == [(4094, b"value", 5), (4095, b"value", 5), (4096, errno.ENAMETOOLONG)]
    assert found == paths_up_to_path_max(host_dir)


@pytest.fixture
def stay_here():
    """Back to where the test began, whatever it changed to."""
    here = os.open(".", os.O_RDONLY | os.O_DIRECTORY)
    yield
    os.fchdir(here)
    os.close(here)


@pytest.mark.clause("S12i")
def test_a_path_whose_key_would_be_too_long_is_refused(datawal, logdir, mount, stay_here):
    """Beyond PATH_MAX a program gets step by step; at 65,536 bytes the key ends."""
    m = mount(logdir, "noclock")
    os.chdir(m.path)
    name = b"d" * 255
    for _ in range(255):
        os.mkdir(name)
        os.chdir(name)
    # 255 names and as many separators: 256 bytes are left
    write(name, b"value")
    key = (name + b"/") * 255 + name
    assert len(key) == KEY_MAX - 1
    assert get(datawal, logdir, key) == b"value"
    os.rename(name, b"e" * 255)
    os.rename(b"e" * 255, name)
    os.unlink(name)
    os.mkdir(name)
    os.chdir(name)
    fails_with(errno.ENAMETOOLONG, os.open, b"f", os.O_CREAT | os.O_WRONLY)
    fails_with(errno.ENAMETOOLONG, os.mkdir, b"f")
    write(at(m, b"f"), b"f")
    fails_with(errno.ENAMETOOLONG, os.rename, at(m, b"f"), b"f")
    os.chdir(m.path)
    assert live(datawal, logdir) == {b"f": b"f"}


@pytest.mark.clause("S12i")
@pytest.mark.parametrize("key", [b"d/" + b"k" * (KEY_MAX - 2), b"d/" * 300 + b"f" * (KEY_MAX - 600)],
                         ids=["one long component", "many components"])
def test_a_directory_is_not_renamed_where_a_key_below_it_would_be_too_long(
        datawal, logdir, mount, key):
    assert len(key) == KEY_MAX
    put(datawal, logdir, key, b"value")
    m = mount(logdir)
    fails_with(errno.ENAMETOOLONG, os.rename, at(m, b"d"), at(m, b"dd"))
    assert live(datawal, logdir) == {key: b"value"}
    assert entries(m) == [b"d"]
    m.remount()
    assert tree(m) == {path_of(key): b"value"}


@pytest.mark.slow
@pytest.mark.clause("S12i")
@pytest.mark.deadline(180)
def test_a_key_of_32768_components_is_reached_step_by_step(datawal, logdir, mount, stay_here):
    key = b"/".join([b"a"] * (KEY_MAX // 2 - 1)) + b"/bb"
    assert len(key) == KEY_MAX
    assert len(name_model.components(key)) == KEY_MAX // 2
    put(datawal, logdir, key, b"at the bottom")
    m = mount(logdir)
    os.chdir(m.path)
    for _ in range(KEY_MAX // 2 - 1):
        os.chdir(b"a")
    assert os.listdir() == ["bb"]
    assert read(b"bb") == b"at the bottom"
    write(b"bb", b"new")
    assert get(datawal, logdir, key) == b"new"
    write(b"c", b"beside it")
    os.rename(b"c", b"bb")
    fails_with(errno.ENAMETOOLONG, os.open, b"ccc", os.O_CREAT | os.O_WRONLY)
    assert live(datawal, logdir) == {key: b"beside it"}
    os.unlink(b"bb")
    assert live(datawal, logdir) == {}
    for _ in range(KEY_MAX // 2 - 1):
        os.chdir(b"..")
        os.rmdir(b"a")
    os.chdir("/")
    assert entries(m) == []
    m.remount()
    assert entries(m) == []
