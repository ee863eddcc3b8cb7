# SPDX-License-Identifier: MIT OR Apache-2.0
"""Keys that are too long for a name or for a path, and the limits of both."""
import errno
import os
import random
from base64 import b64encode

import pytest

import name_model
from contents import tree
from name_model import name_of, path_of

pytestmark = pytest.mark.sanitize

KEY_MAX = 65536


def put(datawal, logdir, key, value):
    """As Datawal.put(); the hexadecimal digits of the longest key are too long an argument."""
    datawal("put", logdir, "--key-base64", b64encode(key), "-", input=value)


def get(datawal, logdir, key):
    return datawal("get", logdir, "--raw", "--key-base64", b64encode(key)).stdout


def live(datawal, logdir):
    """key -> value of the whole store, by another process than the mount's."""
    found = {}
    for record in datawal.scan(logdir):
        if record.type == "Put":
            found[record.key] = record.payload
        elif record.type == "Delete":
            found.pop(record.key, None)
    return found


def entries(directory):
    return sorted(n for n in os.listdir(os.fsencode(directory)) if n != b".log")


def read(path):
    with open(path, "rb") as file:
        return file.read()


def write(path, data):
    with open(path, "wb") as file:
        file.write(data)


def at(m, *names):
    return os.path.join(os.fsencode(m.path), *names)


def fails_with(number, call, *args):
    with pytest.raises(OSError) as caught:
        call(*args)
    assert caught.value.errno == number, caught.value


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


@pytest.mark.clause("S12i", "S13b")
def test_a_long_name_that_no_key_has_cannot_be_made(datawal, logdir, mount):
    key = b"k" * 300
    put(datawal, logdir, key, b"value")
    m = mount(logdir)
    write(at(m, b"other"), b"other")
    os.mkdir(at(m, b"dir"))
    absent = name_of(b"k" * 301)

    def none_can_be_made(path):
        fails_with(errno.ENOENT, os.stat, path)
        fails_with(errno.ENOENT, os.unlink, path)
        fails_with(errno.EINVAL, os.open, path, os.O_CREAT | os.O_WRONLY)
        fails_with(errno.EINVAL, os.mkdir, path)
        fails_with(errno.EINVAL, os.mkfifo, path)
        fails_with(errno.EINVAL, os.rename, at(m, b"other"), path)
        fails_with(errno.EINVAL, os.rename, at(m, b"dir"), path)

    none_can_be_made(at(m, absent))
    none_can_be_made(at(m, b"k\\long-" + b"0" * 32))
    none_can_be_made(at(m, b"dir", name_of(key)))
    os.unlink(at(m, name_of(key)))
    none_can_be_made(at(m, name_of(key)))
    assert live(datawal, logdir) == {b"other": b"other"}
    m.remount()
    assert entries(m) == [b"dir", b"other"]


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


# ---------------------------------------------------------------- limits


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
