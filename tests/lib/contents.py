# SPDX-License-Identifier: MIT OR Apache-2.0
"""What a mount holds."""
import os


def tree(m):
    """path -> content of all files, as bytes."""
    root = os.fsencode(m.path)
    found = {}
    for directory, _, files in os.walk(root):
        for name in files:
            path = os.path.join(directory, name)
            with open(path, "rb") as file:
                found[os.path.relpath(path, root)] = file.read()
    return found
