# SPDX-License-Identifier: MIT OR Apache-2.0
"""Keys as paths. tests/unit/test_name.c goes through all short keys and paths; here the mount.
What is too long for a name is in test_mount_long_names.py."""
import errno
import os

import pytest

from contents import tree

pytestmark = pytest.mark.sanitize


def fails_with(number, call, *args):
    with pytest.raises(OSError) as caught:
        call(*args)
    assert caught.value.errno == number, caught.value


def shows(datawal, logdir, mount, key, path):
    """The key shows at path; from there it is read, overwritten and removed as that key."""
    datawal.put(logdir, key, b"value of it")
    m = mount(logdir)
    assert tree(m) == {path: b"value of it"}
    full = os.path.join(os.fsencode(m.path), path)
    with open(full, "wb") as file:
        file.write(b"new")
    assert datawal.get(logdir, key) == b"new"
    os.unlink(full)
    m.unmount()
    assert datawal.records_of(logdir, key) == ["Put", "Put", "Delete"]
    m.remount()
    assert tree(m) == {}
    if b"/" not in path:
        with open(full, "wb") as file:
            file.write(b"made by its path")
        assert datawal.get(logdir, key) == b"made by its path"


@pytest.mark.clause("S12a", "S13a")
@pytest.mark.parametrize("name", [
    b"plain", b"with space", "übergröße".encode(), b"\xff\xfe not UTF-8", b"new\nline", b"tab\t",
    b"a%2Fb", b"%00", b"back\\slash", b"\\", b"\\\\", b"\\x", b"\\y00", b"end\\", b"...", b".hidden",
    b"..x", b".log2", b"log", b"-rf", b"*", b"'\"", b"\x01\x7f", b"x" * 255, b"~", b"\\valu", b"\\xff"])
def test_a_name_is_its_key_byte_for_byte(datawal, logdir, mount, name):
    m = mount(logdir)
    full = os.path.join(os.fsencode(m.path), name)
    with open(full, "wb") as file:
        file.write(b"value")
    assert [n for n in os.listdir(os.fsencode(m.path)) if n != b".log"] == [name]
    assert datawal.get(logdir, name) == b"value"
    m.remount()
    assert tree(m) == {name: b"value"}


@pytest.mark.clause("S12b")
@pytest.mark.parametrize("key, path", [(b"a\0b", b"a\\x00b"), (b"\0", b"\\x00"),
                                       (b"\0\0", b"\\x00\\x00"), (b"d/\0", b"d/\\x00")])
def test_a_nul_byte_shows_as_an_escape(datawal, logdir, mount, key, path):
    shows(datawal, logdir, mount, key, path)


@pytest.mark.clause("S12c")
@pytest.mark.parametrize("key, path", [(b"/", b"\\x2f"), (b"/a", b"\\x2fa"), (b"a/", b"a\\x2f"),
                                       (b"a//b", b"a/\\x2fb"), (b"//", b"\\x2f\\x2f")])
def test_a_slash_that_separates_nothing_shows_as_an_escape(datawal, logdir, mount, key, path):
    shows(datawal, logdir, mount, key, path)


@pytest.mark.clause("S12d")
@pytest.mark.parametrize("key, path", [(b".", b"\\x2e"), (b"..", b"\\x2e."), (b"a/../b", b"a/\\x2e./b"),
                                       (b"./x", b"\\x2e/x")])
def test_a_component_of_one_or_two_dots_shows_as_an_escape(datawal, logdir, mount, key, path):
    shows(datawal, logdir, mount, key, path)


@pytest.mark.clause("S12e")
@pytest.mark.parametrize("key, path", [(b".log", b"\\x2elog"), (b".log/recovery", b"\\x2elog/recovery"),
                                       (b"a/.log", b"a/.log")])
def test_a_key_that_would_hide_the_log_directory_shows_as_an_escape(datawal, logdir, mount, key, path):
    shows(datawal, logdir, mount, key, path)


@pytest.mark.clause("S12f")
def test_the_empty_key_shows_by_its_own_name(datawal, logdir, mount):
    shows(datawal, logdir, mount, b"", b"\\empty")


@pytest.mark.clause("S12h")
@pytest.mark.parametrize("key, path", [(b"\\x00", b"\\x5cx00"), (b"\\empty", b"\\x5cempty"),
                                       (b"a\\value", b"a\\x5cvalue"), (b"\\x2f", b"\\x5cx2f"),
                                       (b"\\x5c", b"\\x5cx5c")])
def test_a_backslash_that_would_read_as_an_escape_is_one_itself(datawal, logdir, mount, key, path):
    shows(datawal, logdir, mount, key, path)


@pytest.mark.clause("S12g")
def test_a_key_that_is_also_a_directory_keeps_its_value_in_a_file_beside_it(datawal, logdir, mount):
    datawal.put(logdir, "a", b"value of a")
    datawal.put(logdir, "a/b", b"value of a/b")
    m = mount(logdir)
    assert tree(m) == {b"a\\value": b"value of a", b"a/b": b"value of a/b"}
    (m / "a\\value").write_bytes(b"new")
    assert datawal.get(logdir, "a") == b"new"
    (m / "a/b").unlink()
    os.rmdir(m / "a")
    assert tree(m) == {b"a": b"new"}
    m.remount()
    assert tree(m) == {b"a": b"new"}


@pytest.mark.clause("S12g")
def test_the_value_beside_a_directory_can_be_removed(datawal, logdir, mount):
    datawal.put(logdir, "a", b"value of a")
    datawal.put(logdir, "a/b", b"value of a/b")
    m = mount(logdir)
    os.unlink(m / "a\\value")
    assert tree(m) == {b"a/b": b"value of a/b"}
    assert datawal.records_of(logdir, "a") == ["Put", "Delete"]


@pytest.mark.clause("S13b")
def test_a_name_that_reads_as_an_escape_of_no_key_is_refused(mount):
    m = mount()
    for name in ("a\\value", "\\empty\\value", "a\\x00b\\value"):
        fails_with(errno.EINVAL, os.open, m / name, os.O_CREAT | os.O_WRONLY)
    fails_with(errno.EINVAL, os.mkdir, m / "d\\x2f")
    fails_with(errno.EINVAL, os.mkdir, m / "\\empty")


@pytest.mark.clause("S13a", "S13b")
def test_every_name_is_either_refused_or_reads_back_as_itself(mount):
    m = mount()
    pieces = ["", "a", ".", "..", ".log", "\\", "\\x00", "\\x2f", "\\x2e", "\\x5c", "\\value", "\\empty",
              "\\x", "x2f", "\\x2F", "\\x41", "\\long-"]
    made = set()
    for first in pieces:
        for second in pieces:
            name = first + second
            if name in ("", ".", "..", ".log"):
                continue
            try:
                os.close(os.open(m / name, os.O_CREAT | os.O_WRONLY))
            except OSError as error:
                assert error.errno == errno.EINVAL, name
                assert not os.path.lexists(m / name)
            else:
                made.add(name)
    assert len(made) > 50
    assert set(os.listdir(m)) - {".log"} == made
    m.remount()
    assert set(os.listdir(m)) - {".log"} == made
