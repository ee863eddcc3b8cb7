# SPDX-License-Identifier: MIT OR Apache-2.0
"""Inode numbers: the same in the mount and after a remount, and never one for two files."""
import os
import re
import socket
from pathlib import Path

import pytest

from mounting import wait_for
from numbers_of import FOREIGN, number_of

pytestmark = pytest.mark.sanitize


def numbers(m):
    """path -> number, of all that is there; a listing says what stat(2) says."""
    found = {".": os.stat(m).st_ino}
    todo = [os.fspath(m)]
    while todo:
        with os.scandir(todo.pop()) as entries:
            for entry in entries:
                number = entry.stat(follow_symlinks=False).st_ino
                assert entry.inode() == number
                found[os.path.relpath(entry.path, m)] = number
                if entry.is_dir(follow_symlinks=False):
                    todo.append(entry.path)
    assert len(set(found.values())) == len(found)
    assert all(number < FOREIGN for number in found.values())
    return found


def create(m):
    (m / "f").write_bytes(b"value")
    (m / "d/e").mkdir(parents=True)
    (m / "d/e/f").write_bytes(b"")
    os.symlink("target", m / "link")
    os.mkfifo(m / "d/fifo")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.fspath(m / "d/socket"))


def overwrite(m):
    (m / "f").write_bytes(b"value")
    (m / "f").write_bytes(b"other value")


def rename_into_place(m):
    (m / "f.tmp").write_bytes(b"value")
    os.rename(m / "f.tmp", m / "f")
    (m / "f").chmod(0o600)
    (m / "f.tmp").write_bytes(b"another that has its name")


def rename_over(m):
    for content in (b"one", b"two", b"three", b"four"):
        (m / "f.tmp").write_bytes(content)
        os.rename(m / "f.tmp", m / "f")


def rename_there_and_back(m):
    (m / "f").write_bytes(b"value")
    os.rename(m / "f", m / "g")
    (m / "g").write_bytes(b"changed there")
    os.rename(m / "g", m / "f")


def rename_of_a_new_file(m):
    with open(m / "f", "wb") as file:
        os.rename(m / "f", m / "g")
        file.write(b"value")


def rename_a_directory(m):
    create(m)
    (m / "f").rename(m / "d/e/g")
    os.rename(m / "d", m / "moved")
    (m / "d").mkdir()
    (m / "d/e").write_bytes(b"a file where a directory was")


def rename_a_directory_over_another(m):
    create(m)
    (m / "empty").mkdir()
    os.rename(m / "d", m / "empty")
    os.rename(m / "empty/e", m / "empty/deeper")


def rename_a_directory_with_a_new_file(m):
    (m / "d").mkdir()
    with open(m / "d/f", "wb") as file:
        os.rename(m / "d", m / "e")
        file.write(b"value")


def value_beside_a_directory(m):
    (m / "a\\value").write_bytes(b"the value")
    (m / "f").write_bytes(b"value")
    (m / "b").mkdir()
    os.rename(m / "f", m / "b\\value")
    (m / "c").write_bytes(b"value")
    (m / "c.d").mkdir()
    os.rename(m / "c", m / "c.d\\value")
    os.rmdir(m / "c.d")


def exchange_names(m):
    for name in "ab":
        (m / name).write_bytes(name.encode())
    for old, new in ("ac", "ba", "cb"):
        os.rename(m / old, m / new)


def links_and_fifos_move(m):
    create(m)
    os.rename(m / "link", m / "d/other link")
    os.rename(m / "d/fifo", m / "fifo")


HISTORIES = (create, overwrite, rename_into_place, rename_over, rename_there_and_back,
             rename_of_a_new_file, rename_a_directory, rename_a_directory_over_another,
             rename_a_directory_with_a_new_file, value_beside_a_directory, exchange_names,
             links_and_fifos_move)


@pytest.mark.clause("S17c", "S17e", "S17f")
@pytest.mark.parametrize("history", HISTORIES, ids=lambda f: f.__name__)
def test_every_number_is_the_same_after_a_remount(mount, history):
    m = mount()
    history(m)
    before = numbers(m)
    for _ in range(2):
        m.remount()
        assert numbers(m) == before
    m.remount("ro")
    assert numbers(m) == before


@pytest.mark.clause("S17e")
def test_a_number_is_that_of_kind_and_path(datawal, logdir, mount):
    for key in ("a", "d/e/f", "x//y", "d"):
        datawal.put(logdir, key, b"value")
    m = mount(logdir)
    found = numbers(m)
    assert found == {".": 1, "a": number_of("a", b"f"), "d": number_of("d", b"d"),
                     "d\\value": number_of("d", b"f"), "d/e": number_of("d/e", b"d"),
                     "d/e/f": number_of("d/e/f", b"f"), "x": number_of("x", b"d"),
                     "x/\\x2fy": number_of("x//y", b"f")}
    (m / "new").write_bytes(b"")
    (m / "newer").mkdir()
    assert numbers(m) == {**found, "new": number_of("new", b"f"), "newer": number_of("newer", b"d")}


def told(datawal, logdir, key):
    """The numbers that the records of a key tell, in order."""
    texts = [r.payload for r in datawal.scan(logdir) if r.type == "Raw" and r.key == os.fsencode(key)]
    return [int(n) for text in texts for n in re.findall(rb"^ino=(\d+)$", text, re.M)]


@pytest.mark.clause("S17e", "S7a")
def test_a_rename_tells_the_number_and_a_way_back_ends_that(datawal, logdir, mount):
    m = mount(logdir, "noclock")
    (m / "f").write_bytes(b"value")
    (m / "d").mkdir()
    os.rename(m / "f", m / "d/f")
    os.rename(m / "d", m / "e")
    m.unmount()
    f, d = number_of("f", b"f"), number_of("d", b"d")
    assert told(datawal, logdir, "d/f") == told(datawal, logdir, "e/f") == [f]
    assert told(datawal, logdir, "e") == [d]
    assert told(datawal, logdir, "f") == told(datawal, logdir, "d") == []
    m.remount()
    os.rename(m / "e", m / "d")
    os.rename(m / "d/f", m / "f")
    before = numbers(m)
    assert before == {".": 1, "d": d, "f": f}
    m.unmount()
    assert told(datawal, logdir, "f") == told(datawal, logdir, "d") == []
    m.remount()
    assert numbers(m) == before


@pytest.mark.clause("S17f")
def test_the_number_of_a_removed_file_that_is_open_is_not_given_again(mount):
    m = mount()
    own = number_of("f", b"f")
    with open(m / "f", "wb") as old:
        old.write(b"old")
        old.flush()
        (m / "f").unlink()
        (m / "f").write_bytes(b"new")
        new = (m / "f").stat().st_ino
        assert os.fstat(old.fileno()).st_ino == own != new
        os.rename(m / "f", m / "g")
        (m / "f").write_bytes(b"newer")
        assert len({own, new, (m / "f").stat().st_ino}) == 3
    before = numbers(m)
    assert before["g"] == new
    m.remount()
    assert numbers(m) == before


@pytest.mark.clause("S17f")
def test_the_number_of_a_replaced_file_that_is_open_is_not_given_again(mount):
    m = mount()
    own = number_of("f", b"f")
    (m / "f").write_bytes(b"old")
    with open(m / "f", "rb") as old:
        (m / "f.tmp").write_bytes(b"new")
        os.rename(m / "f.tmp", m / "f")
        (m / "f").unlink()
        (m / "f").write_bytes(b"newer")
        assert os.fstat(old.fileno()).st_ino == own != (m / "f").stat().st_ino
    before = numbers(m)
    m.remount()
    assert numbers(m) == before


@pytest.mark.clause("S17f")
def test_the_number_of_a_removed_directory_in_use_is_not_given_again(mount):
    m = mount()
    (m / "d").mkdir()
    fd = os.open(m / "d", os.O_PATH)
    (m / "d").rmdir()
    (m / "d").mkdir()
    assert os.fstat(fd).st_ino == number_of("d", b"d") != (m / "d").stat().st_ino
    os.close(fd)
    before = numbers(m)
    m.remount()
    assert numbers(m) == before


@pytest.mark.clause("S17f")
@pytest.mark.parametrize("kind", [b"f", b"d"])
def test_the_number_of_what_is_gone_is_free_for_its_name(mount, kind):
    m = mount()

    def made_again():
        """The kernel may tell only a moment later that it has forgotten the one before."""
        (m / "n").write_bytes(b"x") if kind == b"f" else (m / "n").mkdir()
        number = (m / "n").stat().st_ino
        (m / "n").unlink() if kind == b"f" else (m / "n").rmdir()
        return number == number_of("n", kind)

    assert made_again()
    wait_for(made_again, "the number again")


@pytest.mark.clause("S17f")
def test_of_two_keys_with_one_number_the_later_has_another_for_good(datawal, logdir, mount):
    """Somebody puts a key whose number a renamed file has."""
    m = mount(logdir)
    (m / "a").write_bytes(b"value")
    os.rename(m / "a", m / "b")
    m.unmount()
    datawal.put(logdir, "a", b"value")
    m.remount("ro")
    assert (m / "b").stat().st_ino == number_of("a", b"f") != (m / "a").stat().st_ino
    m.unmount()
    assert told(datawal, logdir, "a") == []
    m.remount("rw")
    number = (m / "a").stat().st_ino
    (m / "b").unlink()
    m.unmount()
    assert told(datawal, logdir, "a") == [number]
    m.remount()
    assert numbers(m) == {".": 1, "a": number}


@pytest.mark.clause("S17e")
def test_a_log_of_before_opens_with_numbers_of_its_paths(datawal, logdir, mount):
    """The record is one that a rename wrote which knew no numbers."""
    datawal.put(logdir, "renamed", b"value")
    m = mount(logdir)
    (m / "renamed").chmod(0o600)
    m.unmount()
    assert told(datawal, logdir, "renamed") == []
    m.remount()
    assert (m / "renamed").stat().st_ino == number_of("renamed", b"f")


@pytest.mark.clause("S17g")
def test_numbers_in_log_are_a_bit_apart_and_have_53(mount):
    m = mount(None, "showlog")
    (m / "f").write_bytes(b"value")
    inside = [(m / ".log").stat().st_ino, *(p.stat().st_ino for p in (m / ".log").iterdir())]
    assert all(FOREIGN <= number < 2 * FOREIGN for number in inside)
    assert len(set(inside)) == len(inside) > 3
    with os.scandir(m) as entries:
        assert {e.name: e.inode() for e in entries} == {
            ".log": inside[0], "f": number_of("f", b"f")}
    assert all(float(number) == number for number in inside)


@pytest.mark.clause("S17c")
def test_a_directory_renamed_keeps_its_number_without_files(datawal, logdir, mount):
    """It was there through a key alone; its number needs a record, so it stays."""
    datawal.put(logdir, "d/sub/f", b"value")
    m = mount(logdir)
    os.rename(m / "d", m / "e")
    before = numbers(m)
    assert before["e/sub"] == number_of("d/sub", b"d")
    m.remount()
    assert numbers(m) == before
    (m / "e/sub/f").unlink()
    m.remount()
    assert set(numbers(m)) == {".", "e", "e/sub"}
    assert Path(m / "e/sub").stat().st_ino == before["e/sub"]
