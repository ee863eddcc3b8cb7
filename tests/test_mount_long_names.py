# SPDX-License-Identifier: MIT OR Apache-2.0
"""Keys that are too long for a name. The limits of names and paths: test_mount_name_limits.py."""
import errno
import os
import random
from base64 import b64encode

import pytest

from byte_paths import at, entries, fails_with, get, live, put, read, write
from contents import tree
from name_model import name_of, path_of

pytestmark = pytest.mark.sanitize

KEY_MAX = 65536

LONG_KEYS = {
    "256 bytes": b"k" * 256,
    "a NUL escaped over the limit": b"k" * 252 + b"\0",
    "UTF-8": "größer".encode() * 40,
    "not UTF-8": b"\xff" * 300,
    "dots": b"." * 256,
    "slashes at the start": b"/" * 64 + b"a",
    "a slash at the end": b"k" * 252 + b"/",
    "backslashes": b"\\" * 300,
    "what reads as a long name": b"k" * 218 + b"\\long-" + b"0123456789abcdef" * 2,
    "what reads as a value": b"k" * 249 + b"\\value",
    "the longest key": b"k" * KEY_MAX,
    "the longest escaped form": b"\0" * KEY_MAX,
}


@pytest.mark.clause("S12i")
@pytest.mark.parametrize("key", LONG_KEYS.values(), ids=LONG_KEYS.keys())
def test_a_key_too_long_for_a_name_is_read_overwritten_and_removed(datawal, logdir, mount, key):
    put(datawal, logdir, key, b"value of it")
    m = mount(logdir)
    name = path_of(key)
    assert 252 <= len(name) <= 255 and b"\\long-" in name
    assert entries(m) == [name]
    assert read(at(m, name)) == b"value of it"
    with open(at(m, name), "ab") as file:
        file.write(b", and more")
    assert get(datawal, logdir, key) == b"value of it, and more"
    write(at(m, name), b"new")
    assert live(datawal, logdir) == {key: b"new"}
    m.remount()
    assert tree(m) == {name: b"new"}
    os.unlink(at(m, name))
    assert live(datawal, logdir) == {}
    m.remount()
    assert entries(m) == []


@pytest.mark.clause("S12i")
def test_nothing_is_reported_as_not_shown(datawal, logdir, mount):
    put(datawal, logdir, b"k" * 300, b"value")
    m = mount(logdir)
    assert "k" * 32 not in (m / ".log/recovery").read_text()


@pytest.mark.clause("S12i")
def test_a_key_of_several_long_components_is_a_path_of_several_long_names(datawal, logdir, mount):
    parts = [b"a" * 300, b"short", b"\0" * 1000, "ü".encode() * 500, b"b" * 256]
    key = b"/".join(parts)
    put(datawal, logdir, key, b"deep")
    m = mount(logdir)
    names = [name_of(raw, n == 0) for n, raw in enumerate(parts)]
    assert tree(m) == {b"/".join(names): b"deep"}

    # what is made below a long name has its whole key before its own name
    below = at(m, *names[:3])
    write(os.path.join(below, b"made"), b"here")
    os.mkdir(os.path.join(below, b"dir"))
    write(os.path.join(below, b"dir", b"file"), b"in it")
    prefix = b"/".join(parts[:3]) + b"/"
    assert live(datawal, logdir) == {key: b"deep", prefix + b"made": b"here",
                                     prefix + b"dir/file": b"in it"}
    m.remount()
    assert read(os.path.join(below, b"made")) == b"here"
    os.unlink(os.path.join(below, b"made"))
    os.unlink(os.path.join(below, b"dir", b"file"))
    os.rmdir(os.path.join(below, b"dir"))
    os.unlink(at(m, *names))
    for depth in (4, 3, 2, 1):
        os.rmdir(at(m, *names[:depth]))
    assert live(datawal, logdir) == {}
    m.remount()
    assert entries(m) == []


@pytest.mark.clause("S12i")
def test_renaming_over_a_long_name_replaces_that_key(datawal, logdir, mount):
    key, other = b"k" * 300, b"k" * 301
    put(datawal, logdir, key, b"old")
    put(datawal, logdir, other, b"value of other")
    m = mount(logdir)
    write(at(m, b"new"), b"new value")
    os.rename(at(m, b"new"), at(m, name_of(key)))
    assert live(datawal, logdir) == {key: b"new value", other: b"value of other"}
    assert tree(m) == {name_of(key): b"new value", name_of(other): b"value of other"}
    os.rename(at(m, name_of(other)), at(m, name_of(key)))
    assert live(datawal, logdir) == {key: b"value of other"}
    m.remount()
    assert tree(m) == {name_of(key): b"value of other"}
    # as editors do it
    write(at(m, b"new~"), b"edited")
    os.rename(at(m, b"new~"), at(m, name_of(key)))
    os.rename(at(m, name_of(key)), at(m, b"short"))
    assert live(datawal, logdir) == {b"short": b"edited"}
    m.remount()
    assert tree(m) == {b"short": b"edited"}


@pytest.mark.clause("S12i", "S13a")
def test_a_long_name_of_no_key_is_a_name_like_any_other(datawal, logdir, mount):
    """It is the key that it spells, whatever longer key comes that would be called so."""
    key = b"k" * 300
    put(datawal, logdir, key, b"long")
    m = mount(logdir)
    name = name_of(key)
    os.mkdir(at(m, b"dir"))
    for where in ((b"dir",), ()):
        path = at(m, *where, name)
        if not where:
            os.unlink(path)
        write(path, b"short")
        os.rename(path, path[:-1])
        os.rename(path[:-1], path)
        fails_with(errno.EEXIST, os.mkdir, path)
        os.symlink("dir", path[:-2])
        assert os.readlink(path[:-2]) == b"dir"
        os.unlink(path[:-2])
    assert live(datawal, logdir) == {name: b"short", b"dir/" + name: b"short"}
    m.unmount()
    put(datawal, logdir, key, b"long again")
    put(datawal, logdir, b"dir/" + key, b"long again")
    m.remount()
    for where in ((b"dir",), ()):
        names = entries(at(m, *where))
        names.remove(name)
        other = next(n for n in names if n != b"dir")
        assert read(at(m, *where, name)) == b"short"
        assert read(at(m, *where, other)) == b"long again"
        write(at(m, *where, other), b"changed")
        os.unlink(at(m, *where, name))
    assert live(datawal, logdir) == {key: b"changed", b"dir/" + key: b"changed"}
    before = tree(m)
    m.remount()
    assert tree(m) == before


@pytest.mark.clause("S12i", "S13a")
@pytest.mark.parametrize("order", [[0, 1, 2], [2, 1, 0], [1, 2, 0]])
def test_a_key_has_the_name_that_it_spells_before_a_longer_one(datawal, logdir, mount, order):
    """Three components for one name, of which the second is spelled so, in any order."""
    keys = [COLLIDING[0], name_of(COLLIDING[0]), COLLIDING[1]]
    for number in order:
        put(datawal, logdir, keys[number], b"%d" % number)
        put(datawal, logdir, keys[number] + b"-d/f", b"%d" % number)
    m = mount(logdir)
    shown = {path: value for path, value in tree(m).items() if b"/" not in path}
    assert shown[keys[1]] == b"1" and sorted(shown.values()) == [b"0", b"1", b"2"]
    for path, value in list(shown.items()):
        write(at(m, path), b"new " + value)
    assert {key: value for key, value in live(datawal, logdir).items() if b"/" not in key} == {
        key: b"new %d" % number for number, key in enumerate(keys)}
    m.remount()
    assert {path: value for path, value in tree(m).items() if b"/" not in path} == {
        path: b"new " + value for path, value in shown.items()}


@pytest.mark.clause("S12g", "S12i")
@pytest.mark.parametrize("size", [249, 250, 255, 256, 300, 30000])
def test_the_value_of_a_long_key_that_is_also_a_directory_has_a_name_of_its_own(
        datawal, logdir, mount, size):
    """From 250 bytes on only the value's name is long, from 256 on the directory's is too."""
    key = b"k" * size
    put(datawal, logdir, key, b"value")
    put(datawal, logdir, key + b"/below", b"below")
    m = mount(logdir)
    directory, beside = name_of(key), name_of(key, value=True)
    assert (b"\\long-" in directory, b"\\long-" in beside) == (size > 255, size > 249)
    assert tree(m) == {beside: b"value", directory + b"/below": b"below"}
    write(at(m, beside), b"changed")
    assert live(datawal, logdir) == {key: b"changed", key + b"/below": b"below"}
    write(at(m, b"replaces"), b"replaced")
    os.rename(at(m, b"replaces"), at(m, beside))
    m.remount()
    assert tree(m) == {beside: b"replaced", directory + b"/below": b"below"}

    os.unlink(at(m, directory, b"below"))
    os.rmdir(at(m, directory))
    assert tree(m) == {directory: b"replaced"}
    write(at(m, directory), b"at the end")
    assert live(datawal, logdir) == {key: b"at the end"}
    m.remount()
    assert tree(m) == {directory: b"at the end"}


@pytest.mark.clause("S12g", "S12i")
@pytest.mark.parametrize("size", [3, 250, 300])
def test_a_conflict_that_begins_or_ends_in_the_log_leaves_one_name_each(
        datawal, logdir, mount, size):
    key = b"k" * size
    put(datawal, logdir, key + b"/below", b"below")
    put(datawal, logdir, key, b"value")
    datawal("delete", logdir, "--key-base64", b64encode(key + b"/below"))
    m = mount(logdir)
    assert tree(m) == {name_of(key): b"value"}
    m.unmount()
    put(datawal, logdir, key + b"/below", b"again")
    datawal("delete", logdir, "--key-base64", b64encode(key))
    m.remount()
    assert tree(m) == {name_of(key) + b"/below": b"again"}


@pytest.mark.clause("S12g", "S12i")
@pytest.mark.parametrize("size", [3, 250, 300])
def test_a_directory_that_moves_away_leaves_its_name_to_the_value(datawal, logdir, mount, size):
    key = b"k" * size
    put(datawal, logdir, key, b"value")
    put(datawal, logdir, key + b"/below", b"below")
    m = mount(logdir)
    os.rename(at(m, name_of(key)), at(m, b"away"))
    assert tree(m) == {name_of(key): b"value", b"away/below": b"below"}
    assert live(datawal, logdir) == {key: b"value", b"away/below": b"below"}
    m.remount()
    assert tree(m) == {name_of(key): b"value", b"away/below": b"below"}


@pytest.mark.clause("S12g", "S12i")
@pytest.mark.parametrize("size", [3, 250, 300])
def test_a_directory_renamed_over_another_takes_its_place_beside_the_value(
        datawal, logdir, mount, size):
    """The replaced directory is empty, or it could not be replaced; the conflict goes on."""
    key = b"k" * size
    put(datawal, logdir, key, b"value")
    put(datawal, logdir, key + b"/below", b"below")
    put(datawal, logdir, b"other/file", b"other")
    m = mount(logdir)
    os.unlink(at(m, name_of(key), b"below"))
    os.rename(at(m, b"other"), at(m, name_of(key)))
    want = {name_of(key, value=True): b"value", name_of(key) + b"/file": b"other"}
    assert entries(m) == sorted([name_of(key, value=True), name_of(key)])
    assert tree(m) == want
    write(at(m, name_of(key, value=True)), b"changed")
    assert live(datawal, logdir) == {key: b"changed", key + b"/file": b"other"}
    m.remount()
    assert tree(m) == {**want, name_of(key, value=True): b"changed"}


@pytest.mark.clause("S12i", "S13a")
@pytest.mark.parametrize("seed", [1, 2])
def test_any_keys_show_under_the_names_of_the_format(datawal, logdir, mount, seed):
    """Keys of telling pieces around both limits, against a second implementation."""
    print("seed", seed)
    rng = random.Random(seed)
    pieces = [b"\\", b"\0", b"/", b".", b"x2f", b"\\x2f", b"\\x5c", b"\\value", b"value", b".log",
              b"\\empty", b"\xff", b"\\long-" + b"a1" * 16, "é".encode(), "€".encode(),
              "😀".encode(), b"\xed\xa0\x80", b"a" * 100, b"b" * 211, b"c" * 250, b"d" * 217]
    want = {}
    for number in range(60):
        # a first component of its own: no key lies above another
        key = b"%d-" % number + b"".join(rng.choices(pieces, k=rng.randrange(1, 14)))
        put(datawal, logdir, key, b"%d" % number)
        want[path_of(key)] = b"%d" % number
    assert sum(b"\\long-" in path for path in want) > 20
    m = mount(logdir)
    assert tree(m) == want
    for path in want:
        os.unlink(at(m, path))
    assert live(datawal, logdir) == {}


# Made to have one hash, in a second: FNV is no protection from who wants that.
COLLIDING = [b"k" * 220 + b"kp7o102peVOXK05A99Y6-7V3BC15UMDvoqU03x02",
             b"k" * 220 + b"wU7hh55in6KoJu7Am2Y1gX4HDNURkRLr61M0s806"]


@pytest.mark.clause("S12i")
@pytest.mark.parametrize("below", [b"", b"/file"], ids=["files", "directories"])
@pytest.mark.parametrize("order", [COLLIDING, COLLIDING[::-1]], ids=["one", "other"])
def test_two_keys_of_one_long_name_are_never_taken_for_each_other(
        datawal, logdir, mount, order, below):
    """Whichever shows: what is done by its name is done to it alone. At the end none is left."""
    assert name_of(order[0]) == name_of(order[1])
    left = {order[0] + below: b"first", order[1] + below: b"the second"}
    for key, value in left.items():
        put(datawal, logdir, key, value)
    m = mount(logdir)
    while left:
        shown = tree(m)
        assert shown and len(set(shown.values())) == len(shown)
        path, value = shown.popitem()
        key = next(k for k in left if left[k] == value)
        left[key] = b"new " + value
        write(at(m, path), left[key])
        assert live(datawal, logdir) == left
        assert os.stat(at(m, path)).st_size == len(left[key])
        m.remount()
        path = next(p for p, value in tree(m).items() if value == left[key])
        os.unlink(at(m, path))
        del left[key]
        assert live(datawal, logdir) == left
        m.remount()
    assert entries(m) == []


@pytest.mark.clause("S12i")
def test_the_deletion_of_a_key_leaves_another_of_the_same_long_name(datawal, logdir, mount):
    for key in COLLIDING:
        put(datawal, logdir, key, key)
    datawal("delete", logdir, "--key-base64", b64encode(COLLIDING[1]))
    m = mount(logdir)
    assert list(tree(m).values()) == [COLLIDING[0]]
