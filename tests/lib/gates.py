# SPDX-License-Identifier: MIT OR Apache-2.0
"""Stops a daemon at a known place, so that a race is not left to chance. tests/preload/gate.c, which
is loaded before datawalfs, says which places there are."""
import fcntl
import os
import select
import time
from contextlib import contextmanager

import paths

EVENT_SECONDS = 20


class Gates:
    """The gates of one mount: made before it starts, in a directory of their own."""

    def __init__(self, directory):
        self.directory = directory
        directory.mkdir()
        os.mkfifo(directory / "events")
        self.fifo = os.open(directory / "events", os.O_RDWR | os.O_NONBLOCK)
        self.seen = []

    def environment(self):
        # AddressSanitizer wants to be loaded first, but can do without
        sanitizer = f"{os.environ.get('ASAN_OPTIONS', '')}:verify_asan_link_order=0"
        return {"LD_PRELOAD": str(paths.program("tests/libgate.so")), "GATES": str(self.directory),
                "ASAN_OPTIONS": sanitizer}

    def watch(self, place):
        """From now on whoever comes to the place is an event, but passes."""
        (self.directory / place).touch()

    @contextmanager
    def held(self, place):
        """Whoever comes to the place waits until the end of the block; let_others() ends that for
        those who come later."""
        # closed here, or by the end of this process: then all may pass
        with open(self.directory / place, "wb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
            (self.directory / place).unlink(missing_ok=True)

    def let_others(self, place):
        (self.directory / place).unlink()

    def wait(self, place):
        """Until somebody has come there, since the last one who did."""
        end = time.monotonic() + EVENT_SECONDS
        while place not in self.seen:
            left = end - time.monotonic()
            assert left > 0, f"nobody came to {place}"
            if select.select([self.fifo], [], [], left)[0]:
                self.seen += os.read(self.fifo, 4096).decode().split()
        self.seen.remove(place)

    def forget(self):
        """Whoever came so far."""
        while select.select([self.fifo], [], [], 0)[0]:
            os.read(self.fifo, 4096)
        self.seen.clear()

    def close(self):
        os.close(self.fifo)
