# SPDX-License-Identifier: MIT OR Apache-2.0
"""Draws the operations of the twin test. Few names and few slots, so that operations meet."""
import os
import random

from twin_ops import OPERATIONS
from twin_side import SLOTS, UTIME_NOW, UTIME_OMIT, Data, Flags, Mode, Name, Op, Slot

FIVE_YEARS = 5 * 365 * 86400


class Dice:
    """Draws operations. Knows the slots that are in use, so that most of what it draws works."""

    NAMES = ["a", "b", "c", "d", "e", "sp ä%2F\\z"]

    def __init__(self, seed, slots, groups, shared=False):
        self.rng = random.Random(seed)
        self.slots = slots
        self.shared = shared
        wanted = [(n, o.weight) for n, o in OPERATIONS.items() if o.group in groups]
        self.names, self.weights = zip(*wanted)

    def op(self):
        name = self.rng.choices(self.names, self.weights)[0]
        return Op(name, OPERATIONS[name].draw(self), self.rng.random() < 0.6)

    def often(self, probability, value, other=0):
        return value if self.rng.random() < probability else other

    def of(self, *values):
        return self.rng.choice(values)

    def slot(self):
        used = sorted(self.slots)
        return Slot(self.rng.choice(used) if used and self.rng.random() < 0.97
                    else self.rng.randrange(SLOTS))

    def any_slot(self):
        return Slot(self.rng.randrange(SLOTS))

    def name(self):
        r = self.rng.random()
        if r < 0.02 and not self.shared:
            return Name(".")
        if r < 0.05:
            return Name(f"@{self.slot()}/{self.rng.choice('abc')}")
        if r < 0.06:
            return Name(self.rng.choice("abc") * self.of(255, 256) if not self.shared else "a")
        depth = self.rng.choices((1, 2, 3), (60, 32, 8))[0]
        parents = [self.rng.choice("dde" if i == 0 else "abd") for i in range(depth - 1)]
        last = self.rng.choices(self.NAMES, (6, 5, 4, 3, 3, 1))[0]
        return Name("/".join([*parents, last]) + self.often(0.02, "/", ""))

    def directory(self):
        return Name(self.of("", "d", "d", "e", "d/a", "e/d", "d/b", "a") if not self.shared
                    else self.of("d", "e", "d/a"))

    def flags(self):
        flags = self.rng.choices((os.O_RDONLY, os.O_WRONLY, os.O_RDWR), (3, 3, 6))[0]
        return Flags(flags | self.often(.7, os.O_CREAT) | self.often(.1, os.O_EXCL)
                     | self.often(.2, os.O_TRUNC) | self.often(.2, os.O_APPEND)
                     | self.often(.02, os.O_SYNC) | self.often(.02, os.O_DSYNC)
                     | self.often(.05, os.O_NOFOLLOW) | self.often(.04, os.O_DIRECTORY))

    def mode(self):
        mode = self.of(0o600, 0o644, 0o666, 0o777, 0o640, 0o755, 0o444, 0, 0o1777, 0o2775, 0o4755,
                       0o6711)
        return Mode(mode if os.geteuid() == 0 else mode | 0o700)

    def owner(self):
        return self.of(0, 1, 1000, 65534, -1, os.geteuid(), os.getegid())

    def size(self):
        return self.rng.choices((0, self.rng.randrange(100), self.rng.randrange(20_000),
                                 self.of(4096, 8192, 65536, 131072), self.rng.randrange(400_000),
                                 self.rng.randrange(3_000_000)),
                                (8, 30, 40, 10, 11, 1))[0]

    def offset(self):
        return self.often(0.99, self.size(), -1)

    def data(self):
        return Data(self.rng.randrange(10_000), self.size() if self.rng.random() < .5
                    else self.rng.randrange(300))

    def time(self):
        """(seconds, nanoseconds) that ext4 can hold, far from now; or what stands for now."""
        second = self.of(0, -1, -86400 * 365 * 40, 946684800, 1 << 31, (1 << 31) + 86400 * 3650,
                         8_000_000_000, 1_000_000_000 + self.rng.randrange(FIVE_YEARS))
        return self.rng.choices(((second, self.of(0, 1, 999_999_999, self.rng.randrange(10**9))),
                                 (0, UTIME_NOW), (0, UTIME_OMIT)), (6, 1, 2))[0]

    def xattr(self):
        return self.of("user.a", "user.b", "user.ünï=\n%", "user.empty", "user." + "n" * 240)
