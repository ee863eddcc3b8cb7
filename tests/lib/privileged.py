# SPDX-License-Identifier: MIT OR Apache-2.0
"""What needs root: as root itself, or by sudo where it asks for no password."""
import os
import shutil
import subprocess
from contextlib import contextmanager

import pytest


def prefix():
    """The words before a command that make it root's; skips the test where there are none."""
    if os.getuid() == 0:
        return []
    if shutil.which("sudo"):
        done = subprocess.run(["sudo", "-n", "true"], capture_output=True, timeout=20, check=False)
        if done.returncode == 0:
            return ["sudo", "-n"]
    pytest.skip("root missing, and no sudo without a password")


def as_root(*command):
    subprocess.run([*prefix(), *map(str, command)], check=True, capture_output=True, timeout=60)


@contextmanager
def small_disk(directory, mebibytes):
    """A mounted ext4 of that size in a file, of the caller's; the directory must not exist."""
    directory.mkdir()
    image = directory.with_suffix(".img")
    with open(image, "wb") as file:
        file.truncate(mebibytes << 20)
    mkfs = shutil.which("mkfs.ext4") or "/sbin/mkfs.ext4"
    subprocess.run([mkfs, "-q", "-m", "0", "-E", "lazy_itable_init=0,lazy_journal_init=0", image],
                   check=True, capture_output=True, timeout=60)
    as_root("mount", "-o", "loop", image, directory)
    try:
        as_root("chown", f"{os.getuid()}:{os.getgid()}", directory)
        yield directory
    finally:
        as_root("umount", "-l", directory)
        image.unlink()
