# SPDX-License-Identifier: MIT OR Apache-2.0
"""Keys that the mount made a link, fifo, socket or device, and whose value something else wrote."""
import os
import socket
import stat
import subprocess

import pytest

pytestmark = [pytest.mark.sanitize, pytest.mark.clause("S9d")]

NO_TARGETS = [b"", b"a\0b", b"\0", b"x" * 4096, b"x" * 100_000]


@pytest.fixture
def special(mount):
    """An unmounted log with a link, a fifo and a socket, all of mode 0640 but the link."""
    m = mount()
    os.symlink("target", m / "link")
    os.mkfifo(m / "fifo", 0o640)
    here = os.getcwd()
    os.chdir(m)  # the path of a socket is short
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind("socket")
    os.chdir(here)
    os.chmod(m / "socket", 0o640)
    m.unmount()
    return m


def kind(path):
    return stat.filemode(os.lstat(path).st_mode)[0]


@pytest.mark.parametrize("value", NO_TARGETS, ids=lambda v: f"{v[:3]!r}{len(v)}")
def test_a_link_whose_value_is_no_target_is_a_file_that_can_be_copied(
        datawal, special, tmp_path, value):
    datawal.put(special.log, "link", value)
    special.start()
    assert kind(special / "link") == "-" and (special / "link").read_bytes() == value
    subprocess.run(["cp", "-a", f"{special}/.", tmp_path / "copy"], check=True, timeout=30)
    assert (tmp_path / "copy/link").read_bytes() == value
    assert kind(tmp_path / "copy/fifo") == "p"


@pytest.mark.parametrize("value", [b"x", b"\0", b"x" * 4095])
def test_nothing_is_hidden_behind_a_fifo_or_a_socket(datawal, special, value):
    for name in ("fifo", "socket"):
        datawal.put(special.log, name, value)
    special.start()
    for name in ("fifo", "socket"):
        assert (special / name).read_bytes() == value
        assert stat.filemode(os.lstat(special / name).st_mode) == "-rw-r-----"


def test_the_next_value_that_fits_makes_it_what_it_was(datawal, special):
    for first, then in ((b"", b"elsewhere"), (b"elsewhere", b"x" * 4095)):
        datawal.put(special.log, "link", first)
        datawal.put(special.log, "fifo", b"bytes")
        datawal.put(special.log, "link", then)
        datawal.put(special.log, "fifo", b"")
        special.start()
        assert os.readlink(special / "link").encode() == then and kind(special / "fifo") == "p"
        special.unmount()


def test_what_is_written_to_it_through_the_mount_makes_it_a_file_for_good(datawal, special):
    for name, value in (("link", b""), ("fifo", b"bytes")):
        datawal.put(special.log, name, value)
    special.start()
    for name in ("link", "fifo"):
        (special / name).write_bytes(b"a fine target")
    for name in ("link", "fifo", "renamed"):
        special.remount()
        if name == "renamed":
            os.rename(special / "link", special / name)
            special.remount()
        assert kind(special / name) == "-" and (special / name).read_bytes() == b"a fine target"


def test_looking_at_it_writes_nothing(datawal, special):
    datawal.put(special.log, "link", b"")
    before = datawal("scan", special.log, "--json").stdout
    special.start()
    assert (special / "link").read_bytes() == b""
    special.unmount()
    assert datawal("scan", special.log, "--json").stdout == before


def test_it_can_be_renamed_removed_and_replaced(datawal, special):
    datawal.put(special.log, "link", b"")
    datawal.put(special.log, "fifo", b"bytes")
    special.start()
    os.rename(special / "link", special / "moved")
    (special / "fifo").unlink()
    os.symlink("new", special / "fifo")
    special.remount()
    assert kind(special / "moved") == "-" and os.readlink(special / "fifo") == "new"
    os.rename(special / "moved", special / "fifo")
    special.remount()
    assert kind(special / "fifo") == "-" and sorted(os.listdir(special)) == ["fifo", "socket"]
