# SPDX-License-Identifier: MIT OR Apache-2.0
"""Directories: how they come and go, and how they list."""
import ctypes
import errno
import os
import subprocess
import threading

import pytest


def names(directory):
    return sorted(n for n in os.listdir(directory) if n != ".log")


def fails_with(number, call, *args):
    with pytest.raises(OSError) as caught:
        call(*args)
    assert caught.value.errno == number, caught.value


@pytest.mark.sanitize
@pytest.mark.clause("S10a")
def test_a_slash_in_a_key_makes_a_directory(datawal, logdir, mount):
    for key in ("a/b/c/file", "a/b/other", "top"):
        datawal.put(logdir, key, key)
    m = mount(logdir)
    assert names(m) == ["a", "top"]
    assert names(m / "a/b") == ["c", "other"]
    assert (m / "a/b/c").is_dir()
    assert (m / "a/b/c/file").read_text() == "a/b/c/file"


@pytest.mark.sanitize
@pytest.mark.clause("S10b")
def test_mkdir_writes_one_raw_record_and_survives_a_remount_empty(datawal, logdir, mount):
    datawal.put(logdir, "f", b"value")
    m = mount(logdir)
    before = datawal.scan(logdir)
    (m / "d").mkdir()
    (m / "d/deep").mkdir()
    added = datawal.scan(logdir)[len(before):]
    assert {r.type for r in added} == {"Raw"}
    about = [r for r in added if r.key in (b"d", b"d/deep")]
    assert [r.key for r in about] == [b"d", b"d/deep"]
    assert all(b"type=dir" in r.payload for r in about)
    assert len(added) <= 4
    m.remount()
    assert names(m) == ["d", "f"]
    assert names(m / "d") == ["deep"]
    assert names(m / "d/deep") == []
    fails_with(errno.EEXIST, os.mkdir, m / "d")
    fails_with(errno.EEXIST, os.mkdir, m / "f")
    fails_with(errno.ENOENT, os.mkdir, m / "nowhere/d")
    fails_with(errno.ENOTDIR, os.mkdir, m / "f/d")


@pytest.mark.sanitize
@pytest.mark.clause("S10c")
def test_rmdir_removes_an_empty_directory_for_good(datawal, logdir, mount):
    datawal.put(logdir, "full/f", b"value")
    m = mount(logdir)
    (m / "d").mkdir()
    os.rmdir(m / "d")
    assert names(m) == ["full"]
    fails_with(errno.ENOENT, os.rmdir, m / "d")
    fails_with(errno.ENOTEMPTY, os.rmdir, m / "full")
    fails_with(errno.ENOTDIR, os.rmdir, m / "full/f")
    (m / "d2").mkdir()
    m.remount()
    assert names(m) == ["d2", "full"]
    os.rmdir(m / "d2")
    m.remount()
    assert names(m) == ["full"]
    assert all(r.type != "Delete" for r in datawal.scan(logdir))


@pytest.mark.sanitize
@pytest.mark.clause("S10d")
def test_a_directory_emptied_here_stays_until_rmdir_so_that_rm_r_succeeds(datawal, logdir, mount):
    for key in ("d/one", "d/two", "d/sub/three"):
        datawal.put(logdir, key, b"value")
    m = mount(logdir)
    os.unlink(m / "d/sub/three")
    assert names(m / "d/sub") == []
    subprocess.run(["rm", "-r", m / "d"], check=True, timeout=20)
    assert names(m) == []
    m.remount()
    assert names(m) == []


@pytest.mark.clause("S10e")
def test_compacting_values_only_drops_empty_directories(datawal, logdir, mount, tmp_path):
    m = mount(logdir)
    (m / "empty").mkdir()
    (m / "full").mkdir()
    (m / "full/f").write_bytes(b"value")
    m.unmount()
    datawal("compact", logdir, tmp_path / "out", "--values-only")
    other = mount(tmp_path / "out")
    assert names(other) == ["full"]


@pytest.mark.slow
@pytest.mark.clause("S11")
@pytest.mark.deadline(240)
def test_100_000_files_in_one_directory_list_completely(mount):
    count = 100_000
    m = mount()
    (m / "d").mkdir()
    for number in range(count):
        os.close(os.open(m.path / "d" / f"{number:06}", os.O_CREAT | os.O_WRONLY))
    wanted = [f"{number:06}" for number in range(count)]
    assert names(m / "d") == wanted
    with os.scandir(m / "d") as entries:
        assert all(e.is_file(follow_symlinks=False) for e in entries)
    m.remount()
    assert names(m / "d") == wanted
    listed = subprocess.run(["ls", "-l", m / "d"], capture_output=True, check=True, timeout=60)
    assert listed.stdout.count(b"\n") == count + 1


@pytest.mark.sanitize
@pytest.mark.clause("S11")
def test_files_that_stay_are_listed_once_while_others_come_and_go(datawal, logdir, mount):
    m = mount(logdir)
    d = m / "d"
    d.mkdir()
    stay = {f"stay{number:04}" for number in range(800)}
    for name in stay:
        (d / name).write_bytes(b"")
    done = threading.Event()

    def disturb():
        number = 0
        while not done.is_set():
            (d / f"goes{number % 50}").write_bytes(b"x")
            os.unlink(d / f"goes{(number * 7) % 50}") if number >= 50 else None
            number += 1

    def disturb_safely():
        try:
            disturb()
        except FileNotFoundError:
            if not done.is_set():
                disturb_safely()

    other = threading.Thread(target=disturb_safely)
    other.start()
    try:
        for _ in range(30):
            listed = [n for n in os.listdir(d) if n.startswith("stay")]
            assert len(listed) == len(stay)
            assert set(listed) == stay
    finally:
        done.set()
        other.join(20)


@pytest.mark.sanitize
@pytest.mark.clause("S11")
def test_dot_and_dot_dot_are_listed_and_lead_where_they_should(mount):
    m = mount()
    (m / "d").mkdir()
    listed = subprocess.run(["ls", "-ai", m / "d"], capture_output=True, text=True, check=True,
                            timeout=20).stdout.split()
    assert listed[1::2] == [".", ".."]
    assert int(listed[0]) == os.stat(m / "d").st_ino
    assert int(listed[2]) == os.stat(m.path).st_ino


@pytest.mark.clause("S11")
def test_a_listing_goes_on_from_any_place_that_telldir_gave(mount):
    class Entry(ctypes.Structure):
        _fields_ = [("ino", ctypes.c_ulong), ("offset", ctypes.c_long), ("length", ctypes.c_ushort),
                    ("type", ctypes.c_ubyte), ("name", ctypes.c_char * 256)]
    libc = ctypes.CDLL(None, use_errno=True)
    libc.opendir.restype = ctypes.c_void_p
    libc.readdir.restype = ctypes.POINTER(Entry)
    libc.telldir.restype = ctypes.c_long

    def rest(stream):
        names = []
        while entry := libc.readdir(stream):
            names.append(entry.contents.name)
        return names
    m = mount()
    (m / "d").mkdir()
    for number in range(2000):
        (m / f"d/{number}").touch()
    stream = ctypes.c_void_p(libc.opendir(os.fsencode(m / "d")))
    places = []
    for _ in range(1500):
        places.append(libc.telldir(stream))
        assert libc.readdir(stream)
    libc.rewinddir(stream)
    everything = rest(stream)
    assert len(set(everything)) == len(everything) == 2002
    for index in (1499, 0, 700, 1, 1499):
        libc.seekdir(stream, ctypes.c_long(places[index]))
        assert rest(stream) == everything[index:]
    (m / "d/new").touch()
    libc.rewinddir(stream)
    assert b"new" in rest(stream)
    libc.closedir(stream)
