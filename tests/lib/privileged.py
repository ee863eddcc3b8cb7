# SPDX-License-Identifier: MIT OR Apache-2.0
"""What needs root: as root itself, or by sudo where it asks for no password.

A test whose own process must be root's carries the mark root; contrib/check runs it with sudo."""
import os
import shutil
import subprocess
from contextlib import contextmanager

import pytest


MISSING = "needs root"


def prefix():
    """The words before a command that make it root's; skips the test where there are none."""
    if os.getuid() == 0:
        return []
    if shutil.which("sudo"):
        done = subprocess.run(["sudo", "-n", "true"], capture_output=True, timeout=20, check=False)
        if done.returncode == 0:
            return ["sudo", "-n"]
    pytest.skip(MISSING)


def as_root(*command):
    subprocess.run([*prefix(), *map(str, command)], check=True, capture_output=True, timeout=60)


def mark_mutants(items):
    """A mutant that is caught by a test of root's is one of root's too."""
    of_root = tuple(item.nodeid for item in items if item.get_closest_marker("root"))
    for item in items:
        if item.get_closest_marker("mutant"):
            tests = [test.removeprefix("tests/") for test in item.callspec.params["mutant"].tests]
            if any(nodeid == test or nodeid.startswith(test + "[")
                   for nodeid in of_root for test in tests):
                item.add_marker(pytest.mark.root)


MKFS = {
    "ext4": ["mkfs.ext4", "-q", "-m", "0", "-E", "lazy_itable_init=0,lazy_journal_init=0"],
    "xfs": ["mkfs.xfs", "-q"],
    "btrfs": ["mkfs.btrfs", "-q"],
}


def make_image(image, mebibytes, kind):
    with open(image, "wb") as file:
        file.truncate(mebibytes << 20)
    name, *options = MKFS[kind]
    mkfs = shutil.which(name) or f"/sbin/{name}"
    subprocess.run([mkfs, *options, image], check=True, capture_output=True, timeout=60)


@contextmanager
def small_disk(directory, mebibytes, kind="ext4"):
    """A mounted file system of that size, in a file or a tmpfs, of the caller's; the directory must
    not exist."""
    directory.mkdir()
    image = directory.with_suffix(".img")
    if kind == "tmpfs":
        as_root("mount", "-t", "tmpfs", "-o", f"size={mebibytes}m", "none", directory)
    else:
        make_image(image, mebibytes, kind)
        as_root("mount", "-o", "loop", image, directory)
    try:
        as_root("chown", f"{os.getuid()}:{os.getgid()}", directory)
        yield directory
    finally:
        as_root("umount", "-l", directory)
        image.unlink(missing_ok=True)
