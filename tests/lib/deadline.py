# SPDX-License-Identifier: MIT OR Apache-2.0
"""Every test ends. At its deadline all mounts are cut off, so that whoever waits for one wakes up,
then the test fails. Should Python itself be stuck (a page fault in a mapped file holds the
interpreter's lock), faulthandler ends the whole run a little later."""
import faulthandler
import signal
import sys
import threading
from contextlib import contextmanager

DEFAULT_SECONDS = 60
GRACE_SECONDS = 20

# functions to call at a deadline; mounting.py adds one a mount
cutters = []


class DeadlineExceeded(Exception):
    """A test took longer than it may."""


def cut_everything():
    for cut in list(cutters):
        cut()


@contextmanager
def deadline(seconds):
    """Raises DeadlineExceeded in the main thread after so many seconds."""
    def ring(signum, frame):
        raise DeadlineExceeded(f"not done after {seconds} seconds")

    old = signal.signal(signal.SIGALRM, ring)
    cutter = threading.Timer(seconds, cut_everything)
    cutter.daemon = True
    cutter.start()
    faulthandler.dump_traceback_later(seconds + GRACE_SECONDS, exit=True, file=sys.__stderr__)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        faulthandler.cancel_dump_traceback_later()
        cutter.cancel()
        cutter.join(GRACE_SECONDS)  # what it cuts must be this test's, not the next one's
        signal.signal(signal.SIGALRM, old)
