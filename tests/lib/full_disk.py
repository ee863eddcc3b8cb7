# SPDX-License-Identifier: MIT OR Apache-2.0
"""Fills real, small disks to the last byte."""
import errno
import os

MIB = 1 << 20
KINDS = {"ext4": 24, "xfs": 300, "btrfs": 128, "tmpfs": 16}  # MiB: the least that each can be
BYTES = os.urandom(MIB)  # that no file system makes fewer of


def write_all(fd, size):
    """So many bytes at a time, until there is no room."""
    try:
        while True:
            os.write(fd, BYTES[:size])
    except OSError as error:
        assert error.errno == errno.ENOSPC, error


def sync(fd):
    try:
        os.fsync(fd)
    except OSError as error:
        assert error.errno == errno.ENOSPC, error


def reserve_most(fd, directory):
    """All but a few MiB at once, for speed."""
    st = os.statvfs(directory)
    most = st.f_bavail * st.f_frsize - 8 * MIB
    if most > 0:
        os.posix_fallocate(fd, 0, most)
        os.lseek(fd, most, os.SEEK_SET)


def fill(filler):
    """Nothing more can be written beside this file."""
    fd = os.open(filler, os.O_WRONLY | os.O_CREAT)
    try:
        reserve_most(fd, filler.parent)
        for _ in range(2):  # what a sync gives back
            for size in (MIB, 4096, 1):
                write_all(fd, size)
            sync(fd)
    finally:
        os.close(fd)


def stuff(directory):
    """Nothing more can be written into the mount, whose log may have had room of its own."""
    for size in (256 << 10, 16 << 10, 1 << 10, 1):
        try:
            while True:
                (directory / "stuffing").write_bytes(BYTES[:size])
        except OSError as error:
            assert error.errno == errno.ENOSPC, error
