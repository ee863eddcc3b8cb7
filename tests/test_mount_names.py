# SPDX-License-Identifier: MIT OR Apache-2.0
"""Keys as paths. tests/unit/test_name.c goes through all short keys and paths; here the mount.
What is too long for a name is in test_mount_long_names.py."""
import errno
import itertools
import os
import random
import sys

import pytest

import name_model
import paths as tree_paths
from contents import tree

sys.path.insert(0, str(tree_paths.ROOT / "corpus"))
import gen_corpus as corpus  # noqa: E402

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
    assert os.listdir(os.fsencode(m.path)) == [name]
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
@pytest.mark.parametrize("key, path", [
    (b"\\x00", b"\\x5cx00"), (b"\\empty", b"\\x5cempty"), (b"a\\value", b"a\\x5cvalue"),
    (b"\\x2f", b"\\x5cx2f"), (b"\\x5cx2f", b"\\x5cx5cx2f"), (b"\\x2elog", b"\\x5cx2elog"),
    (b"C:\\x\\value", b"C:\\x5cx\\x5cvalue"), (b"\\x2f/f", b"\\x5cx2f/f"), (b"d/\\x2e", b"d/\\x5cx2e")])
def test_what_is_the_full_form_of_another_shows_in_full_form_itself(datawal, logdir, mount, key, path):
    shows(datawal, logdir, mount, key, path)


@pytest.mark.clause("S12a", "S12h", "S13a")
@pytest.mark.parametrize("name", [
    b"\\x2esnapshots.mount", b"a\\x5cb", b"-\\x2f-", b"C:\\temp\\x", b"\\x2egit", b".x\\x2f.Ab12", b"\\x5c",
    b"a\\x2fb\\x2f", b"\\x00\\", b"a\\long-" + b"0123456789abcdef" * 2, b"a\\value~", b"\\value.gz"])
def test_a_name_with_backslashes_is_a_name_like_any_other(datawal, logdir, mount, name):
    m = mount(logdir)
    full = os.path.join(os.fsencode(m.path), name)
    os.mkdir(full)
    os.rmdir(full)
    with open(full, "wb") as file:
        file.write(b"value")
    assert datawal.get(logdir, name) == b"value"
    m.remount()
    assert tree(m) == {name: b"value"}
    os.rename(full, full + b"2")
    os.mkdir(full)
    with open(full + b"/f", "wb") as file:
        file.write(b"in it")
    m.remount()
    assert tree(m) == {name + b"2": b"value", name + b"/f": b"in it"}


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
def test_the_names_that_cannot_be_created(mount):
    m = mount()
    (m / "file").touch()
    (m / "d").mkdir()
    for name in ("\\value", "file\\value", "\\empty\\value", "a\\x2f\\value", "a\\value\\value", ".\\value",
                 "..\\value", ".log\\value", "d/\\value"):
        fails_with(errno.EINVAL, os.open, m / name, os.O_CREAT | os.O_WRONLY)
        fails_with(errno.EINVAL, os.mkfifo, m / name)
        fails_with(errno.EINVAL, os.symlink, "file", m / name)
        fails_with(errno.EINVAL, os.rename, m / "file", m / name)
    for name in ("a\\value", "file\\value", "d\\value", "a\\x2f", "d/\\x5ca\\x2f", "\\x2f", "\\empty"):
        fails_with(errno.EINVAL, os.mkdir, m / name)
        fails_with(errno.EINVAL, os.rename, m / "d", m / name)
    for call, args in ((os.mkdir, []), (os.mkfifo, [])):
        fails_with(errno.EEXIST, call, m / ".log", *args)
    fails_with(errno.EROFS, os.rename, m / "d", m / ".log")
    fails_with(errno.EISDIR, os.rename, m / "file", m / ".log")
    assert tree(m) == {b"file": b""} and sorted(os.listdir(m)) == ["d", "file"]
    m.remount()
    assert tree(m) == {b"file": b""} and sorted(os.listdir(m)) == ["d", "file"]


PIECES = ["", "a", ".", "..", ".log", "\\", "\\x00", "\\x2f", "\\x2e", "\\x5c", "\\value", "\\empty",
          "\\x", "x2f", "\\x2F", "\\x41", "\\long-"]


@pytest.mark.clause("S13a", "S13b")
@pytest.mark.parametrize("below", [False, True], ids=["root", "below"])
def test_every_name_is_the_models_component_and_reads_back_as_itself(datawal, logdir, mount, below):
    """Each in a mount's root, or in a directory of its own."""
    m = mount(logdir)
    names = sorted({os.fsencode(a + b) for a in PIECES for b in PIECES} - {b"", b".", b"..", b".log"})
    want = {}
    for number, name in enumerate(names):
        where = b"%d/" % number if below else b""
        if below:
            os.mkdir(os.path.join(os.fsencode(m.path), where))
        elif name.endswith(b"\\value"):
            continue  # makes a directory that another name could be
        made = name_model.key_of_name(name, not below)
        full = os.path.join(os.fsencode(m.path), where + name)
        if made is None:
            fails_with(errno.EINVAL, os.open, full, os.O_CREAT | os.O_WRONLY)
            assert not os.path.lexists(full)
            continue
        with open(full, "wb") as file:
            file.write(b"%d" % number)
        want[where + made[0]] = where + name, b"%d" % number
    assert len(want) > 150
    assert {r.key: r.payload for r in datawal.scan(logdir) if r.type == "Put"} == {
        key: value for key, (_, value) in want.items()}
    assert tree(m) == dict(want.values())
    m.remount()
    assert tree(m) == dict(want.values())


@pytest.mark.clause("S13a")
def test_every_key_that_a_log_has_shows_and_is_reached_by_its_path(datawal, logdir, mount):
    """Whatever made it: also what an older datawalfs made under another name."""
    pieces = [b"\\", b"/", b".", b"\0", b"a", b"x2f", b"x5c", b"\\x2f", b"\\x5c", b"value", b"\\value", b".log"]
    keys = sorted({b"".join(some) for n in range(4) for some in itertools.product(pieces, repeat=n)})
    keys = random.Random(7).sample(keys, 1200)
    logdir.mkdir()
    (logdir / "00000001.dwal").write_bytes(
        corpus.frames(*(corpus.put(key, b"of " + key) for key in keys)))
    m = mount(logdir)
    paths = name_model.paths_of(keys)
    assert tree(m) == {path: b"of " + key for path, key in paths.items()}
    for path in paths:
        os.unlink(os.path.join(os.fsencode(m.path), path))
    last = {record.key: record.type for record in datawal.scan(logdir) if record.type != "Raw"}
    assert last == {key: "Delete" for key in keys}
