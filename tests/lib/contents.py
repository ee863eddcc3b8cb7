# SPDX-License-Identifier: MIT OR Apache-2.0
"""What a mount holds."""
import os


def tree(m):
    """path -> content of all files, as bytes, without .log."""
    root = os.fsencode(m.path)
    found = {}
    for directory, subdirectories, files in os.walk(root):
        if directory == root and b".log" in subdirectories:
            subdirectories.remove(b".log")
        for name in files:
            path = os.path.join(directory, name)
            with open(path, "rb") as file:
                found[os.path.relpath(path, root)] = file.read()
    return found
