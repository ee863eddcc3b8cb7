# SPDX-License-Identifier: MIT OR Apache-2.0
"""The inode numbers of ATTRIBUTES.md, written once more."""
import os

FOREIGN = 1 << 52  # .log's have this bit


def number_of(key, kind):
    """kind is b"f" or b"d"."""
    value = 0xcbf29ce484222325
    for byte in os.fsencode(key) + kind:
        value = (value ^ byte) * 0x100000001b3 % 2**64
    number = (value ^ value >> 52) % FOREIGN
    return number if number > 1 else number + 2
